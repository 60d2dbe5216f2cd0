"""What is seen inside a network, against finite differences, against counting by hand, and against the model itself."""

import json
import math
from collections.abc import Callable
from itertools import cycle
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from charrnn.analysis.context import CONTEXT_LENGTHS, ContextCurve, context_curve, memory_curve
from charrnn.analysis.gradient_history import GradientHistory
from charrnn.analysis.gradients import GradientFlow, gradient_flow
from charrnn.analysis.neurons import (
    OPEN,
    SHUT,
    activations,
    bracket_depth,
    correlated_units,
    inside_quotes,
    letter_case,
    position_in_line,
    position_in_word,
    saturation,
)  # fmt: skip
from charrnn.analysis.saliency import saliency
from charrnn.analysis.steps import embed, step
from charrnn.config import ModelConfig
from charrnn.errors import ConfigError, CorpusError
from charrnn.models.cells import CELLS, States
from charrnn.models.language_model import LanguageModel
from charrnn.models.unroll import TorchOperations
from charrnn.plotting.analysis import draw_context_curves, draw_flows
from charrnn.plotting.page import page
from charrnn.scoring.token_nll import token_nll

from .cases import each

Array = npt.NDArray[np.float64]

every_cell = each("cell", list(CELLS))
WAYS: list[dict[str, Any]] = [{}, {"skip": "residual"}, {"skip": "highway", "norm": True}, {"skip": "dense"}]


def network(cell: str = "lstm", **fields: Any) -> LanguageModel:
    """Seven symbols, float64, fresh weights: far from zero, far from running away."""
    chosen: dict[str, Any] = {"vocab_size": 7, "start_id": 7, "embedding": 4, "hidden": 5, "layers": 2} | fields
    model = LanguageModel(ModelConfig(cell=cell, **chosen)).double().eval()
    model.initialise(torch.Generator().manual_seed(2))
    return model


def text(count: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 7, count).astype(np.uint8)


# -- steps -----------------------------------------------------------------------------------------------------------


@each("cell, ways", zip(CELLS, cycle(WAYS)))
def test_steps_are_the_models_own_forward(cell: str, ways: dict[str, Any]) -> None:
    model, tokens = network(cell, layers=3, **ways), torch.from_numpy(text(24).reshape(2, 12).astype(np.int64))
    expected, left = model(tokens, model.initial_states(2))
    states = model.initial_states(2)
    for t in range(12):
        logits, states = step(model, embed(model, tokens[:, t]), states)
        assert (logits - expected[:, t]).abs().max() < 1e-10
    for state, own in zip(states, left, strict=True):
        assert all((part - other).abs().max() < 1e-10 for part, other in zip(state, own, strict=True))


# -- gradients -------------------------------------------------------------------------------------------------------


def loss_with(model: LanguageModel, ids: list[int], warm_up: int, at: int, layer: int, nudge: Tensor) -> float:
    """The last token's loss when what a layer gave at one step had been another: said to its next step and upwards."""
    states: States = model.initial_states(1)
    logits = torch.empty(0)
    for t, token in enumerate(ids[:-1]):
        x, new, handed_on = embed(model, torch.tensor([token])), [], []
        for number, (own, between, state) in enumerate(
            zip(model.forwards.layers, model.forwards.connections, states, strict=True)
        ):
            cell = own.cell()
            state = cell.step(cell.project(x), cell.recur(state[0]), state)
            if t == at and number == layer:
                state = (state[0] + nudge, *state[1:])
            x = between(state[0], x)
            new.append(state)
            handed_on.append(x)
        states = tuple(new)
        read = torch.cat(handed_on, dim=-1) if model.config.skip == "dense" else x
        logits = F.linear(read, model.forwards.head_weight(), model.forwards.bias)
    return float(F.cross_entropy(logits, torch.tensor(ids[-1:])))


@every_cell
def test_norms_are_those_of_finite_differences(cell: str) -> None:
    model, reach, warm_up, nudge = network(cell), 3, 2, 1e-5
    tokens = text(reach + warm_up + 2)  # one place alone is possible
    flow = gradient_flow(model, tokens, reach=reach, positions=1, warm_up=warm_up)
    assert flow.norms.shape == (2, reach + 1, 1)
    with torch.no_grad():
        for layer in range(2):
            for k in range(reach + 1):
                at, slopes = warm_up + reach - k, []
                for unit in range(5):
                    one = torch.zeros(1, 5, dtype=torch.float64)
                    one[0, unit] = nudge
                    up, down = (loss_with(model, tokens.tolist(), warm_up, at, layer, sign * one) for sign in (1, -1))
                    slopes.append((up - down) / (2 * nudge))
                assert flow.norms[layer, k, 0] == pytest.approx(math.hypot(*slopes), rel=1e-4, abs=1e-9), (layer, k)


def test_places_are_drawn_from_the_text_by_the_seed_and_each_stands_for_itself() -> None:
    model, tokens = network(), text(300)
    one, same, other = (gradient_flow(model, tokens, reach=5, positions=8, warm_up=4, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one.norms, same.norms) and not np.isclose(one.norms, other.norms).all()
    assert len(set(one.norms[0, 0].tolist())) > 4


def test_a_network_that_keeps_nothing_has_no_gradient_before_its_last_step() -> None:
    model = network("rnn", layers=1)
    with torch.no_grad():
        model.get_parameter("forwards.layers.0.rnn.weight_hh_l0").zero_()
    flow = gradient_flow(model, text(100), reach=6, positions=4, warm_up=2)
    assert (flow.norms[0, 0] > 0).all() and not flow.norms[0, 1:].any()
    assert flow.half_life(0) is None


def test_the_model_is_left_as_it_is() -> None:
    model = network().float()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    gradient_flow(model, text(100), reach=6, positions=4, warm_up=2)
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
    assert all(weight.grad is None and weight.dtype == torch.float32 for weight in model.parameters())


def falling(half_life: float, steps: int = 40) -> GradientFlow:
    norms = 3 * 2.0 ** (-np.arange(steps + 1) / half_life)
    return GradientFlow("x", norms[None, :, None].repeat(3, axis=2))


@each("half_life", [0.5, 5.0, 70.0])
def test_the_half_life_of_an_exponential_is_its_own(half_life: float) -> None:
    assert falling(half_life).half_life(0) == pytest.approx(half_life)


def test_what_grows_or_stays_has_no_half_life() -> None:
    assert falling(-5.0).half_life(0) is None
    assert GradientFlow("x", np.ones((1, 9, 2))).half_life(0) is None


def test_bands_are_percentiles_over_the_places() -> None:
    norms = np.arange(101, dtype=float)[None, None, :].repeat(2, axis=1)
    low, middle, high = GradientFlow("x", norms).band(0)
    assert (low.tolist(), middle.tolist(), high.tolist()) == ([10, 10], [50, 50], [90, 90])
    record = GradientFlow("x", norms).to_json()
    assert record["positions"] == 101 and record["layers"][0]["median"] == [50, 50]


def test_a_text_that_is_too_short_is_refused_with_the_length_that_is_needed() -> None:
    with pytest.raises(CorpusError, match="13 tokens where 14 are needed"):
        gradient_flow(network(), text(13), reach=10, positions=2, warm_up=2)
    with pytest.raises(ConfigError):
        gradient_flow(network(), text(13), reach=0)


# -- memory ----------------------------------------------------------------------------------------------------------


def test_the_curve_is_what_scoring_says_at_each_reset() -> None:
    model, tokens = network(), text(120)
    curve = memory_curve(model, tokens, chars=240)
    assert curve.lengths == (1, 2, 5, 10, 20, 50, 100, None) and set(curve.lengths) <= set(CONTEXT_LENGTHS)
    for every, loss, bits in zip(curve.lengths, curve.losses, curve.bits, strict=True):
        expected = float(token_nll(model, tokens, reset_every=every).mean())
        assert loss == pytest.approx(expected, rel=1e-9)
        assert bits == pytest.approx(loss / math.log(2) / 2)
    assert [point["reset_every"] for point in curve.to_json()["curve"]][-2:] == [100, None]


def test_the_exact_curve_is_what_single_steps_from_no_memory_say() -> None:
    model, tokens = network(), text(410)
    curve = context_curve(model, tokens, chars=820, positions=9)
    assert curve.lengths == (1, 2, 5, 10, 20, 50, 100, 200, None)
    targets = sorted({int(place) for place in np.linspace(200, 409, 9)})
    for reach, loss, bits in zip(curve.lengths, curve.losses, curve.bits, strict=True):
        losses = []
        for target in targets:
            states = model.initial_states(1)
            # The state carried from end to end begins with the start id.
            whole = [model.config.start_id, *tokens[:target].tolist()]
            for token in whole if reach is None else whole[-reach:]:
                logits, states = step(model, embed(model, torch.tensor([int(token)])), states)
            losses.append(-float(logits[0].log_softmax(0)[int(tokens[target])].detach()))
        assert loss == pytest.approx(np.mean(losses), rel=1e-6)
        assert bits == pytest.approx(loss / math.log(2) / 2)
    assert [point["context"] for point in curve.to_json()["curve"]][-2:] == [200, None]


@each("curve_of", [memory_curve, context_curve])
def test_a_network_without_memory_has_a_flat_curve(curve_of: Callable[..., ContextCurve]) -> None:
    model = network("rnn", layers=1)
    with torch.no_grad():
        model.get_parameter("forwards.layers.0.rnn.weight_hh_l0").zero_()
    losses = curve_of(model, text(120)).losses
    assert max(losses) - min(losses) < 1e-9


@each("size", [0, 1, 2])
def test_an_exact_curve_needs_something_to_read(size: int) -> None:
    with pytest.raises(CorpusError, match="fewer than three"):
        context_curve(network(), text(size))
    assert context_curve(network(), text(3)).lengths == (1, None)


@every_cell
def test_what_a_prediction_rests_on_is_what_finite_differences_find(cell: str) -> None:
    model, tokens, nudge = network(cell), text(5), 1e-5
    found = saliency(model, tokens, list("abcde"))
    inputs = [model.config.start_id, *tokens.tolist()[:-1]]
    vectors = [embed(model, torch.tensor([token])).detach() for token in inputs]

    def logit(t: int, changed: int, by: Tensor) -> float:
        states = model.initial_states(1)
        for place in range(t + 1):
            vector = vectors[place] + (by if place == changed else 0)
            logits, states = step(model, vector, states)
        return float(logits[0, int(tokens[t])])

    with torch.no_grad():
        for t in range(5):
            for s in range(5):
                slopes = []
                for part in range(4):
                    one = torch.zeros(1, 4, dtype=torch.float64)
                    one[0, part] = nudge
                    slopes.append((logit(t, s, one) - logit(t, s, -one)) / (2 * nudge))
                assert found.weights[t, s] == pytest.approx(math.hypot(*slopes), rel=1e-4, abs=1e-9)
    np.testing.assert_allclose(found.probabilities, np.exp(-token_nll(model, tokens)), rtol=1e-5)
    rows = found.to_json()["weights"]
    assert [len(row) for row in rows] == [1, 2, 3, 4, 5]


def test_a_text_to_look_at_must_be_there_and_known() -> None:
    with pytest.raises(ConfigError, match="name a text"):
        saliency(network(), text(0), [])
    with pytest.raises(ConfigError, match="lacks"):
        saliency(network(), np.array([8], np.uint8), ["?"])
    with pytest.raises(CorpusError):
        memory_curve(network(), text(0))
    with pytest.raises(CorpusError):
        activations(network(), text(0))


# -- units -----------------------------------------------------------------------------------------------------------


def test_properties_counted_by_hand() -> None:
    assert inside_quotes('a "bc" “d”').tolist() == [0, 0, 1, 1, 1, 0, 0, 1, 1, 0]
    assert position_in_line("ab\ncd").tolist() == [1, 2, 0, 1, 2]
    assert bracket_depth("a(b[c])d)e").tolist() == [0, 1, 1, 2, 2, 1, 0, 0, 0, 0]
    assert letter_case("aBéÉ 1").tolist() == [0, 1, 0, 1, 0, 0]
    assert position_in_word("ab c1.").tolist() == [1, 2, 0, 1, 2, 0]


@every_cell
def test_activations_are_the_states_that_the_model_passes_through(cell: str) -> None:
    model, tokens = network(cell), text(9)
    tracks = activations(model, tokens)
    assert tracks.shape == (2, 9, 5)
    for t in range(9):
        _, states = model(torch.from_numpy(tokens[None, : t + 1].astype(np.int64)), model.initial_states(1))
        for layer, state in enumerate(states):
            np.testing.assert_allclose(tracks[layer, t], state[-1][0].detach().numpy(), rtol=0, atol=1e-10)


def test_the_unit_that_follows_a_property_is_found_and_one_that_turns_against_it() -> None:
    random, truth = np.random.default_rng(0), np.array([0.0, 0, 1, 1, 0, 1, 0, 0, 1, 1])
    tracks = random.standard_normal((2, 10, 6))
    tracks[1, :, 4] = 0.3 + 2 * truth
    tracks[0, :, 2] = -truth + 0.1 * tracks[0, :, 2]
    tracks[0, :, 0] = 1.0
    found = correlated_units(tracks, truth, 2)
    assert [(unit.layer, unit.unit) for unit in found] == [(1, 4), (0, 2)]
    assert found[0].correlation == pytest.approx(1) and -1 < found[1].correlation < -0.9
    for unit in correlated_units(tracks, truth, 12):
        track = tracks[unit.layer, :, unit.unit]
        expected = 0.0 if np.ptp(track) == 0 else float(np.corrcoef(track, truth)[0, 1])
        assert unit.correlation == pytest.approx(expected, abs=1e-12)
    assert correlated_units(tracks, np.ones(10)) == []


class Counting(TorchOperations):
    """Torch's operations; how many equal parts each sigmoid's result has is not known here, only that it was asked."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def sigmoid(self, x: Tensor) -> Tensor:  # type: ignore[override]
        self.sizes.append(x.shape[-1])
        return torch.sigmoid(x)


@every_cell
def test_a_cell_names_what_its_sigmoids_give_call_by_call(cell: str) -> None:
    model, counting = network(cell, layers=1), Counting()
    step(model, embed(model, torch.tensor([1])), model.initial_states(1), [counting])
    names = CELLS[cell].sigmoids
    assert len(counting.sizes) == len(names)
    # q gates the input, of 4 numbers; all others are of 5 units.
    assert counting.sizes == [4 if gates[0].startswith("q") else 5 * len(gates) for gates in names]


def test_saturation_is_the_share_of_gates_beyond_the_limits() -> None:
    model, tokens = network(layers=1), text(30)
    with torch.no_grad():
        for parameter in model.forwards.layers[0].parameters():
            parameter.mul_(3)
    states, gates = model.initial_states(1), []
    with torch.no_grad():
        for token in tokens.tolist():
            cell = model.forwards.layers[0].cell()
            x = embed(model, torch.tensor([token]))
            gates.append(torch.sigmoid(cell.project(x) + cell.recur(states[0][0])).view(4, 5).numpy())
            _, states = step(model, x, states)
    values: Array = np.stack(gates)
    found = saturation(model, tokens)
    assert [(one.layer, one.gate) for one in found] == [(0, "i"), (0, "f"), (0, "o")]
    for one, place in zip(found, (0, 1, 3), strict=True):
        assert one.shut == pytest.approx(float((values[:, place] < SHUT).mean()), abs=1e-6)
        assert one.open == pytest.approx(float((values[:, place] > OPEN).mean()), abs=1e-6)
    assert any(one.shut > 0 for one in found) and any(one.open > 0 for one in found)
    assert saturation(network("rnn"), tokens) == []


# -- pages and pictures ----------------------------------------------------------------------------------------------


@each("name", ["memory", "neurons"])
def test_a_page_holds_its_data_whatever_that_is_and_fetches_nothing(name: str) -> None:
    data = {"title": '</script><b>"\\', "symbols": ["<", "é", "\n", "\u2028"]}
    html = page(name, data)
    assert "/*DATA*/" not in html
    line = next(line for line in html.split("\n") if line.startswith("const data = "))
    assert json.loads(line.removeprefix("const data = ").removesuffix(";")) == data
    assert html.count("</script>") == 1
    assert "http://" not in html and "https://" not in html and "src=" not in html and "@import" not in html


def test_pictures_show_every_network_by_name() -> None:
    flows = [GradientFlow(name, falling(5).norms) for name in ("rnn 1 x 8", "lstm 1 x 8")]
    picture = draw_flows(flows).decode()
    assert picture.startswith("<?xml") and picture == draw_flows(flows).decode()
    assert all(name in picture for name in ("rnn 1 x 8, halves in 5.0 steps", "layer 1"))
    curve = draw_context_curves([memory_curve(network(), text(60), name="here")]).decode()
    assert "here" in curve and "bits per character" in curve


# -- a run's own record ----------------------------------------------------------------------------------------------


def test_a_record_is_what_the_reports_say() -> None:
    events: list[dict[str, Any]] = [
        {"step": 10, "grad_norm": 2.0, "clipped": 0.5},
        {"step": 20, "grad_norm": 1.0, "clipped": 0.1, "updates": {"head": 1e-3}},
        {"step": 30, "grad_norm": 0.5, "clipped": 0.0, "updates": {"head": 2e-3, "bias": 1.0}},
    ]
    record = GradientHistory.of(events)
    assert record is not None and record.share_clipped == pytest.approx(0.2)
    assert record.to_json() == {
        "step": [10, 20, 30],
        "grad_norm": [2.0, 1.0, 0.5],
        "clipped": record.share_clipped,
        "updates": [{"step": 20, "ratios": {"head": 1e-3}}, {"step": 30, "ratios": {"head": 2e-3, "bias": 1.0}}],
    }
    assert GradientHistory.of([]) is None


def test_a_record_is_drawn_beside_the_flows() -> None:
    flow = GradientFlow("one", np.full((1, 3, 4), 0.5))
    record = GradientHistory([10, 20], [2.0, 1.0], [0.5, 0.5], [(20, {"head": 1e-3})])
    plain, whole = draw_flows([flow]).decode(), draw_flows([flow], record).decode()
    assert "50.0% of steps clipped" in whole and "50.0% of steps clipped" not in plain
    assert "head" in whole
    draw_flows([flow], GradientHistory([10], [2.0], [0.5], []))
