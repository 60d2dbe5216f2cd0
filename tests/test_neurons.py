"""Single units against the states that the model passes through, and properties counted by hand."""

import numpy as np
import pytest
import torch
from torch import Tensor

from charrnn.analysis.gates import OPEN, SHUT, fresh_gates, saturation
from charrnn.analysis.gradients import gradient_flow
from charrnn.analysis.neurons import activations, correlated_units
from charrnn.analysis.properties import bracket_depth, inside_quotes, letter_case, position_in_line, position_in_word
from charrnn.analysis.steps import embed, step
from charrnn.models.cells import CELLS
from charrnn.models.unroll import TorchOperations

from .cases import each
from .test_steps import every_cell, network, text


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
    values = np.stack(gates)
    found = saturation(model, tokens)
    assert [(one.layer, one.gate) for one in found] == [(0, "i"), (0, "f"), (0, "o")]
    for one, place in zip(found, (0, 1, 3), strict=True):
        assert one.shut == pytest.approx(float((values[:, place] < SHUT).mean()), abs=1e-6)
        assert one.open == pytest.approx(float((values[:, place] > OPEN).mean()), abs=1e-6)
    assert any(one.shut > 0 for one in found) and any(one.open > 0 for one in found)
    assert saturation(network("rnn"), tokens) == []


@each("cell", ["gru", "gru-update", "gru-before"])
def test_why_a_fresh_grus_gradients_halve_as_soon_as_they_do_is_reckoned_from_its_gates(cell: str) -> None:
    """Between what its parts, each worked out by itself, let through; and far later once the gate is open."""
    tokens = np.random.default_rng(3).integers(0, 7, 400).astype(np.uint8)
    for opened, least, most in ((0.0, 1.1, 2.5), (3.0, 10, 30)):
        model = network(cell, layers=1, hidden=32)
        with torch.no_grad():
            z = model.get_parameter("forwards.layers.0.rnn.bias_ih_l0")[32:64]
            z += -opened if "update" in cell else opened
        gates = fresh_gates(model, tokens[:100])
        assert gates is not None
        kept = 1 / (1 + np.exp(-opened))
        assert gates.kept == pytest.approx(kept, abs=0.03) and gates.reset == pytest.approx(0.5, abs=0.03)
        shortest, longest = gates.half_lives
        # A step takes a gradient that is turned aside, and one that is not, so many times in half a life.
        through = (1 - gates.kept) * gates.reset
        assert (gates.kept**2 + through**2) ** (shortest / 2) == pytest.approx(0.5)
        assert (gates.kept + through) ** longest == pytest.approx(0.5)
        found = gradient_flow(model, tokens, reach=40, positions=8).half_life(0)
        assert found is not None and least < shortest < found < longest < most
        assert f"z = {gates.kept:.2f}" in gates.told() and f"{shortest:.1f} to {longest:.1f} steps" in gates.told()
    assert fresh_gates(network("lstm"), tokens) is None
