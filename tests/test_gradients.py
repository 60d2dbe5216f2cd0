"""The reach of gradients against finite differences; what a run's reports say of them."""

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from charrnn.analysis.gradient_history import GradientHistory
from charrnn.analysis.gradients import GradientFlow, gradient_flow
from charrnn.analysis.steps import embed
from charrnn.errors import ConfigError, CorpusError
from charrnn.models.cells import States
from charrnn.models.language_model import LanguageModel

from .cases import each
from .test_steps import every_cell, network, text


def loss_with(model: LanguageModel, ids: list[int], warm_up: int, at: int, layer: int, nudge: Tensor) -> float:
    """The last token's loss when what a layer gave at one step had been another: said to its next step and upwards."""
    states: States = model.initial_states(1)
    logits = torch.empty(0)
    for t, token in enumerate(ids[:-1]):
        x, new, handed_on = embed(model, torch.tensor([token])), [], []
        reads = model.forwards
        for number, (own, between, state) in enumerate(zip(reads.layers, reads.connections, states, strict=True)):
            cell = own.cell()
            state = cell.step(cell.project(x), cell.recur(state[0]), state)
            if t == at and number == layer:
                state = state._replace(h=state[0] + nudge)  # type: ignore[attr-defined]
            x = between(state[0], x)
            new.append(state)
            handed_on.append(x)
        states = tuple(new)
        read = torch.cat(handed_on, dim=-1) if model.config.skip == "dense" else x
        logits = F.linear(read, reads.head_weight(), reads.bias)
    return float(F.cross_entropy(logits, torch.tensor(ids[-1:])))


@pytest.mark.slow
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
