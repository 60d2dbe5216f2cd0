"""What every layer begins with."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from charrnn.models.cells import CELLS
from charrnn.models.cells.base import INITIALIZERS
from charrnn.models.initialisation import FILL
from tests.cases import each
from tests.laws.layers import HIDDEN, INPUTS, NAMES, assert_same, fresh, generator, normal, some_state, trained
from tests.laws.twins.cells import TWINS, facts


def test_every_initializer_is_explained_and_used() -> None:
    assert INITIALIZERS.keys() == FILL.keys()


@each("name", NAMES)
def test_recurrent_weights_begin_orthogonal_gate_by_gate(name: str) -> None:
    layer, blocks = fresh(name), list[Tensor]()
    radius, eye = CELLS[name].spectral_radius, torch.eye(HIDDEN, dtype=torch.float64)
    for of, weight in CELLS[name].table().items():
        if weight.recurrent:
            for block in layer.rnn.get_parameter(of).detach().view(-1, HIDDEN, HIDDEN):
                assert torch.allclose(block @ block.t(), radius**2 * eye, atol=1e-6)
                assert torch.equal(block, radius * eye) == (weight.init == "identity")
                blocks.append(block)
    assert all(not torch.allclose(one, other) for one, other in itertools.combinations(blocks, 2))


def test_rectified_units_begin_as_a_quarter_of_themselves() -> None:
    assert torch.equal(fresh("rnn-relu").cell().weights.w_hh, 0.25 * torch.eye(HIDDEN, dtype=torch.float64))


@each("name", NAMES)
def test_input_weights_begin_uniform_within_glorots_bound_of_one_gate(name: str) -> None:
    cell = fresh(name, inputs=40, hidden=60).cell()
    bound = math.sqrt(6 / (40 + 60))
    for block in cell.weights.w_ih.chunk(cell.gates):
        assert 0.99 * bound < block.abs().max() <= bound
        assert abs(float(block.detach().std()) - bound / math.sqrt(3)) < 0.05 * bound


@each("name", NAMES)
def test_biases_begin_at_zero_but_the_forget_gates_at_one(name: str) -> None:
    weights, forget = fresh(name).cell().weights, facts(TWINS[name]).forget
    assert CELLS[name].forget == forget
    expected = torch.zeros(weights.b_ih.numel(), dtype=torch.float64)
    if forget is not None:
        expected[forget * HIDDEN : (forget + 1) * HIDDEN] = 1
    both = weights.b_ih if weights.b_hh is None else weights.b_ih + weights.b_hh
    assert torch.equal(both.detach(), expected)


@each("name", [name for name in NAMES if CELLS[name].forget is not None])
def test_the_forget_gate_alone_decides_whether_the_cell_is_kept(name: str) -> None:
    """The old cell is lost where this gate is closed, and where another is closed in its stead it is not."""
    layer = trained(name)
    with torch.no_grad():
        for parameter in layer.parameters():
            if parameter.dim() == 1:  # so that no other gate sees the cell
                parameter.zero_()
    state, x = some_state(layer, 2), normal(2, 1, INPUTS)
    kept = 1 if "c" in layer.formula.state_names else 0
    other = type(state)(*(part + 1 if place == kept else part for place, part in enumerate(state)))
    biases = layer.cell().weights.b_ih.view(-1, HIDDEN)
    for gate in range(len(biases)):
        with torch.no_grad():
            biases.zero_()[gate] = -50.0
            one, two = (layer(x, given)[1][kept] for given in (state, other))
        assert torch.allclose(one, two, rtol=0, atol=1e-12) == (gate == layer.formula.forget), gate


@each("name", NAMES)
def test_a_cells_own_vectors_begin_with_the_number_that_the_twin_says(name: str) -> None:
    parameters = fresh(name).rnn.named_parameters()
    own = {of: p.detach() for of, p in parameters if p.dim() == 1 and not of.endswith("_l0")}
    constant = {of: own[of] for of in own if CELLS[name].extra_weights[of].init in ("zeros", "ones")}
    assert {of: set(vector.tolist()) for of, vector in constant.items()} == {
        of: {value} for of, value in facts(TWINS[name]).vectors.items()
    }


def test_the_inner_forget_gate_of_a_nested_lstm_begins_open_too() -> None:
    bias = fresh("lstm-nested").rnn.get_parameter("inner_bias").detach().view(-1, HIDDEN)
    assert [float(part.mean()) for part in bias] == [0, 1, 0, 0] and all(part.unique().numel() == 1 for part in bias)


def test_a_unit_that_hears_itself_alone_begins_by_forgetting_a_share() -> None:
    memory = fresh("indrnn", hidden=500).rnn.get_parameter("memory").detach()
    assert 0 <= float(memory.min()) < 0.02 and 0.98 < float(memory.max()) <= 1


def test_fresh_peepholes_change_nothing_until_they_are_learned() -> None:
    plain, peephole = fresh("lstm"), fresh("lstm-peephole")
    peephole.rnn.load_state_dict(plain.rnn.state_dict(), strict=False)
    x, state = normal(2, 20, INPUTS), some_state(plain, 2)
    assert_same(plain(x, state), peephole(x, state))


@each("name", NAMES)
def test_the_same_generator_gives_the_same_weights_and_another_gives_others(name: str) -> None:
    torch.manual_seed(1)
    one = fresh(name, seed=5)
    torch.manual_seed(2)
    other = fresh(name, seed=5)
    third = fresh(name, seed=6)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    drawn = [of for of, weight in CELLS[name].table().items() if weight.init in ("glorot", "orthogonal", "unit")]
    assert drawn
    for of in drawn:
        assert not torch.isclose(one.rnn.get_parameter(of), third.rnn.get_parameter(of)).any()


@pytest.mark.slow
@each("name", NAMES)
def test_recurrent_matrices_begin_with_the_radius_that_is_asked_for_and_nothing_else_changes(name: str) -> None:
    layer, plain = fresh(name), fresh(name)
    layer.initialise(generator(0), spectral_radius=1.5)
    plain.initialise(generator(0))
    for of, weight in CELLS[name].table().items():
        found, expected = layer.rnn.get_parameter(of).detach(), plain.rnn.get_parameter(of).detach()
        if not weight.recurrent:
            assert torch.equal(found, expected)
            continue
        for block in found.chunk(len(found) // HIDDEN):
            circle = torch.full((HIDDEN,), 1.5, dtype=torch.float64)
            torch.testing.assert_close(torch.linalg.eigvals(block).abs(), circle)
