"""What holds of every layer in the table, and of the formula behind it."""

import itertools
import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from charrnn.cli.train import CellName
from charrnn.models.cells import GRU, LSTM, RNN, Cell, State, Weights
from charrnn.models.layers import LAYERS, Recurrent, time_major

Array = npt.NDArray[np.float64]

NAMES = list(LAYERS)
INPUTS, HIDDEN = 5, 7
EXACT = 1e-10

every_layer = pytest.mark.parametrize("name", NAMES)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def fresh(name: str, inputs: int = INPUTS, hidden: int = HIDDEN, seed: int = 0) -> Recurrent:
    """A layer as `initialise` leaves it, float64."""
    layer = LAYERS[name](inputs, hidden).double()
    layer.initialise(generator(seed))
    return layer


def trained(name: str, inputs: int = INPUTS, hidden: int = HIDDEN) -> Recurrent:
    """A layer none of whose weights is special: no bias is zero, no two gates are alike."""
    layer = LAYERS[name](inputs, hidden).double()
    with torch.no_grad():
        for number, parameter in enumerate(layer.parameters()):
            parameter.copy_(0.6 * normal(*parameter.shape, seed=number + 10))
    return layer


def some_state(layer: Recurrent, batch: int) -> State:
    return tuple(normal(batch, layer.hidden, seed=number + 50) for number in range(len(layer.parts)))


def read_in_chunks(layer: Recurrent, x: Tensor, state: State, lengths: list[int]) -> tuple[Tensor, State]:
    outputs = []
    for chunk in torch.split(x, lengths, dim=1):
        y, state = layer(chunk, state)
        outputs.append(y)
    return torch.cat(outputs, dim=1), state


def read_by_formula(cell: Cell, x: Tensor, state: State) -> tuple[Tensor, State]:
    outputs = []
    for t in range(x.shape[1]):
        state = cell.step(cell.project(x[:, t]), state)
        outputs.append(state[0])
    return torch.stack(outputs, dim=1), state


def assert_same(left: tuple[Tensor, State], right: tuple[Tensor, State], tolerance: float = EXACT) -> None:
    assert len(left[1]) == len(right[1])
    for one, other in zip((left[0], *left[1]), (right[0], *right[1]), strict=True):
        assert one.shape == other.shape
        assert (one - other).abs().max() <= tolerance


# -- a layer is a sequence -------------------------------------------------------------------------------------------


@every_layer
@settings(deadline=None, max_examples=25)
@given(lengths=st.lists(st.integers(1, 5), min_size=1, max_size=6), batch=st.integers(1, 3))
def test_one_pass_equals_any_split_into_chunks(name: str, lengths: list[int], batch: int) -> None:
    layer = trained(name)
    x, state = normal(batch, sum(lengths), INPUTS), some_state(layer, batch)
    assert_same(layer(x, state), read_in_chunks(layer, x, state, lengths))


@every_layer
def test_one_pass_equals_single_steps(name: str) -> None:
    layer = trained(name)
    x, state = normal(3, 20, INPUTS), some_state(layer, 3)
    assert_same(layer(x, state), read_in_chunks(layer, x, state, [1] * 20))


@every_layer
def test_what_comes_later_does_not_change_what_came_before(name: str) -> None:
    layer = trained(name)
    x, state = normal(2, 8, INPUTS), some_state(layer, 2)
    changed = x.clone()
    changed[:, 5] += 1
    before, after = layer(x, state)[0], layer(changed, state)[0]
    assert torch.equal(before[:, :5], after[:, :5])
    assert not torch.isclose(before[:, 5:], after[:, 5:]).all(dim=-1).any()


@every_layer
def test_every_part_of_the_state_matters(name: str) -> None:
    layer = trained(name)
    x, state = normal(2, 3, INPUTS), some_state(layer, 2)
    y = layer(x, state)[0]
    for number in range(len(state)):
        changed = tuple(part + 1 if place == number else part for place, part in enumerate(state))
        assert not torch.isclose(y, layer(x, changed)[0]).any(dim=-1).all()


@every_layer
def test_nothing_recurrent_stays_in_the_layer(name: str) -> None:
    layer = trained(name)
    x, state = normal(2, 6, INPUTS), some_state(layer, 2)
    kept = [part.clone() for part in state]
    first = layer(x, state)
    layer(normal(4, 9, INPUTS, seed=1), some_state(layer, 4))
    assert_same(first, layer(x, state), tolerance=0)
    assert all(torch.equal(part, old) for part, old in zip(state, kept, strict=True))
    assert not list(layer.buffers())


@every_layer
def test_shapes_are_batch_first_and_the_output_is_the_first_part_of_the_state(name: str) -> None:
    layer = trained(name)
    y, state = layer(normal(2, 6, INPUTS), layer.initial_state(2))
    assert y.shape == (2, 6, HIDDEN)
    assert [part.shape for part in state] == [(2, HIDDEN)] * len(layer.parts)
    assert torch.equal(y[:, -1], state[0])


@every_layer
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_initial_state_is_zeros_of_the_weights_type(name: str, dtype: torch.dtype) -> None:
    state = LAYERS[name](INPUTS, HIDDEN).to(dtype).initial_state(3)
    assert [(part.shape, part.dtype) for part in state] == [((3, HIDDEN), dtype)] * len(state)
    assert all(not part.any() for part in state)


@every_layer
def test_rows_of_a_batch_do_not_touch_each_other(name: str) -> None:
    layer = trained(name)
    x, state = normal(4, 6, INPUTS), some_state(layer, 4)
    y, left = layer(x, state)
    for row in range(4):
        own = slice(row, row + 1)
        alone = layer(x[own], tuple(part[own] for part in state))
        assert_same((y[own], tuple(part[own] for part in left)), alone, tolerance=1e-12)


@every_layer
def test_no_gradient_flows_from_a_row_to_another(name: str) -> None:
    layer = trained(name)
    x = normal(3, 6, INPUTS).requires_grad_()
    state = tuple(part.requires_grad_() for part in some_state(layer, 3))
    y, left = layer(x, state)
    total = y[1].sum() + sum(part[1].sum() for part in left)
    for gradient in torch.autograd.grad(total, (x, *state)):
        assert not gradient[0].any()
        assert gradient[1].all()
        assert not gradient[2].any()


@every_layer
def test_gradients_of_inputs_state_and_weights_are_right(name: str) -> None:
    layer = trained(name, inputs=2, hidden=3)
    x, state = normal(2, 4, 2), some_state(layer, 2)

    def read(x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        # The weights, given last, are the layer's own: gradcheck nudges them in place.
        y, left = layer(x, rest[: len(state)])
        return y, *left

    inputs = (x.requires_grad_(), *(part.requires_grad_() for part in state), *layer.parameters())
    assert torch.autograd.gradcheck(read, inputs)


@every_layer
def test_bfloat16_is_near_float32(name: str) -> None:
    layer = trained(name).float()
    x, state = normal(3, 20, INPUTS).float(), tuple(part.float() for part in some_state(layer, 3))
    y, left = layer(x, state)
    rough = trained(name).bfloat16()
    rough_y, rough_left = rough(x.bfloat16(), tuple(part.bfloat16() for part in state))
    assert {rough_y.dtype, *(part.dtype for part in rough_left)} == {torch.bfloat16}
    assert_same((y, left), (rough_y.float(), tuple(part.float() for part in rough_left)), tolerance=0.08)


@every_layer
def test_float32_is_near_float64(name: str) -> None:
    layer = trained(name)
    x, state = normal(3, 20, INPUTS), some_state(layer, 3)
    exact = layer(x, state)
    y, left = trained(name).float()(x.float(), tuple(part.float() for part in state))
    assert_same(exact, (y.double(), tuple(part.double() for part in left)), tolerance=1e-5)


def test_time_major_swaps_batch_and_time_without_a_copy() -> None:
    x = normal(2, 3, 4)
    assert time_major(x).shape == (3, 2, 4)
    assert time_major(x)[2, 1, 3] == x[1, 2, 3]
    assert time_major(x).data_ptr() == x.data_ptr()


# -- a cell is its formula -------------------------------------------------------------------------------------------


@every_layer
@pytest.mark.parametrize(("batch", "time"), [(1, 1), (1, 9), (3, 9)])
def test_the_kernel_equals_the_formula_over_the_same_weights(name: str, batch: int, time: int) -> None:
    layer = trained(name)
    x, state = normal(batch, time, INPUTS), some_state(layer, batch)
    assert_same(layer(x, state), read_by_formula(layer.cell(), x, state))


@every_layer
def test_the_formula_borrows_the_weights(name: str) -> None:
    layer = trained(name)
    cell, x, state = layer.cell(), normal(2, 5, INPUTS), some_state(layer, 2)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.mul_(0.5)
    assert_same(layer(x, state), read_by_formula(cell, x, state))


@every_layer
def test_projecting_a_sequence_equals_projecting_each_step(name: str) -> None:
    cell, x = trained(name).cell(), normal(2, 5, INPUTS)
    whole = cell.project(x)
    assert whole.shape == (2, 5, cell.gates * HIDDEN)
    assert torch.allclose(whole, torch.stack([cell.project(x[:, t]) for t in range(5)], dim=1), atol=1e-12)


@every_layer
def test_every_matrix_product_is_made_by_the_linear_that_was_given(name: str) -> None:
    shapes = []

    def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        shapes.append(tuple(weight.shape))
        return x @ weight.t() + bias

    layer = trained(name)
    x, state = normal(2, 5, INPUTS), some_state(layer, 2)
    assert_same(layer(x, state), read_by_formula(layer.cell(linear), x, state))
    gates = layer.cell().gates * HIDDEN
    assert shapes == [(gates, INPUTS), (gates, HIDDEN)] * 5


@pytest.mark.parametrize(("cell", "module"), [(RNN, nn.RNN), (LSTM, nn.LSTM), (GRU, nn.GRU)])
def test_the_formula_equals_torchs_own_module(cell: type[Cell], module: Callable[..., nn.RNNBase]) -> None:
    torch.manual_seed(3)
    theirs = module(INPUTS, HIDDEN, batch_first=True).double()
    x = normal(3, 9, INPUTS)
    state = tuple(normal(3, HIDDEN, seed=number + 1) for number in range(len(cell.parts)))
    given_state = tuple(part.unsqueeze(0) for part in state)
    y, left = theirs(x, given_state if len(state) > 1 else given_state[0])
    parts = left if isinstance(left, tuple) else (left,)
    weights = dict(theirs.named_parameters())
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    ours = read_by_formula(cell(Weights(*(weights[name] for name in names))), x, state)
    assert_same((y, tuple(part.squeeze(0) for part in parts)), ours)


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def numpy_rnn(x: Array, h: Array, c: Array, w: Array, u: Array, b: Array, d: Array) -> tuple[Array, Array]:
    return np.tanh(w @ x + b + u @ h + d), c


def numpy_lstm(x: Array, h: Array, c: Array, w: Array, u: Array, b: Array, d: Array) -> tuple[Array, Array]:
    n = len(h)
    gates = w @ x + b + u @ h + d
    i = sigmoid(gates[0 * n : 1 * n])
    f = sigmoid(gates[1 * n : 2 * n])
    g = np.tanh(gates[2 * n : 3 * n])
    o = sigmoid(gates[3 * n : 4 * n])
    c = f * c + i * g
    return o * np.tanh(c), c


def numpy_gru(x: Array, h: Array, c: Array, w: Array, u: Array, b: Array, d: Array) -> tuple[Array, Array]:
    k = len(h)
    x_gates, h_gates = w @ x + b, u @ h + d
    r = sigmoid(x_gates[0 * k : 1 * k] + h_gates[0 * k : 1 * k])
    z = sigmoid(x_gates[1 * k : 2 * k] + h_gates[1 * k : 2 * k])
    n = np.tanh(x_gates[2 * k : 3 * k] + r * h_gates[2 * k : 3 * k])
    return (1 - z) * n + z * h, c


@pytest.mark.parametrize(("name", "step"), [("rnn", numpy_rnn), ("lstm", numpy_lstm), ("gru", numpy_gru)])
def test_the_layer_equals_the_equations_in_numpy(name: str, step: Callable[..., tuple[Array, Array]]) -> None:
    layer = trained(name)
    weights = [weight.detach().numpy() for weight in layer.cell().weights]
    x, state = normal(2, 9, INPUTS), some_state(layer, 2)
    y, left = layer(x, state)
    for row in range(2):
        h, c = state[0][row].numpy(), state[-1][row].numpy()
        for t in range(9):
            h, c = step(x[row, t].numpy(), h, c, *weights)
            np.testing.assert_allclose(y[row, t].detach().numpy(), h, rtol=0, atol=EXACT)
        if len(left) == 2:
            np.testing.assert_allclose(left[1][row].detach().numpy(), c, rtol=0, atol=EXACT)


# -- fresh weights ---------------------------------------------------------------------------------------------------


@every_layer
def test_recurrent_weights_begin_orthogonal_gate_by_gate(name: str) -> None:
    cell = fresh(name).cell()
    blocks = cell.weights.w_hh.chunk(cell.gates)
    for block in blocks:
        assert torch.allclose(block @ block.t(), torch.eye(HIDDEN, dtype=torch.float64), atol=1e-6)
    assert all(not torch.allclose(one, other) for one, other in itertools.combinations(blocks, 2))


@every_layer
def test_input_weights_begin_uniform_within_glorots_bound_of_one_gate(name: str) -> None:
    cell = fresh(name, inputs=40, hidden=60).cell()
    bound = math.sqrt(6 / (40 + 60))
    for block in cell.weights.w_ih.chunk(cell.gates):
        assert 0.99 * bound < block.abs().max() <= bound
        assert abs(float(block.detach().std()) - bound / math.sqrt(3)) < 0.05 * bound


@every_layer
def test_biases_begin_at_zero_but_the_forget_gates_at_one(name: str) -> None:
    weights = fresh(name).cell().weights
    expected = torch.zeros(weights.b_ih.numel(), dtype=torch.float64)
    if name == "lstm":
        expected[HIDDEN : 2 * HIDDEN] = 1
    assert torch.equal((weights.b_ih + weights.b_hh).detach(), expected)


@every_layer
def test_the_same_generator_gives_the_same_weights_and_another_gives_others(name: str) -> None:
    torch.manual_seed(1)
    one = fresh(name, seed=5).cell().weights
    torch.manual_seed(2)
    other = fresh(name, seed=5).cell().weights
    third = fresh(name, seed=6).cell().weights
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert not torch.isclose(one.w_ih, third.w_ih).any()
    assert not torch.isclose(one.w_hh, third.w_hh).any()


# -- the table -------------------------------------------------------------------------------------------------------


def test_the_table_and_the_command_line_list_the_same_cells() -> None:
    assert [cell.value for cell in CellName] == NAMES


def test_every_name_means_another_layer() -> None:
    assert len({type(fresh(name)) for name in NAMES}) == len(NAMES)
    assert type(fresh("rnn").cell()) is RNN
    assert type(fresh("lstm").cell()) is LSTM
    assert type(fresh("gru").cell()) is GRU


@every_layer
def test_every_weight_is_a_parameter_of_the_formula(name: str) -> None:
    layer = fresh(name)
    of_formula = {weight.data_ptr() for weight in layer.cell().weights}
    assert of_formula == {parameter.data_ptr() for parameter in layer.parameters()}
