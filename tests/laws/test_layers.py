"""What holds of every layer in the registry, and of the formula behind it."""

from operator import itemgetter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from charrnn.models.cells import CELLS
from charrnn.models.kernels import FUSED
from charrnn.models.layers import Recurrent, time_major
from charrnn.models.states import map_state
from charrnn.models.unroll import TorchOperations, unroll
from tests.cases import each
from tests.laws.layers import (
    EXACT,
    HIDDEN,
    INPUTS,
    NAMES,
    assert_same,
    fresh,
    normal,
    read_by_formula,
    read_in_chunks,
    some_state,
    trained,
)

TORCHS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
FUSED_NAMES = [cell.name for cell in FUSED]


def silent(y: Tensor) -> bool:
    """Whether units are silent now and then, as rectified ones are: what is silent hands nothing on."""
    return bool((y == 0).any())


# -- a layer is a sequence -------------------------------------------------------------------------------------------


@each("name", NAMES)
@settings(deadline=None, max_examples=10)
@given(lengths=st.lists(st.integers(1, 5), min_size=1, max_size=6), batch=st.integers(1, 3))
def test_one_pass_equals_any_split_into_chunks(name: str, lengths: list[int], batch: int) -> None:
    layer = trained(name)
    x, state = normal(batch, sum(lengths), INPUTS), some_state(layer, batch)
    assert_same(layer(x, state), read_in_chunks(layer, x, state, lengths))


@each("name", NAMES)
@each("gradients", [True, False])
def test_one_pass_equals_single_steps(name: str, gradients: bool) -> None:
    layer = trained(name)
    x, state = normal(3, 20, INPUTS), some_state(layer, 3)
    with torch.set_grad_enabled(gradients):
        assert_same(layer(x, state), read_in_chunks(layer, x, state, [1] * 20))


@each("name", NAMES)
def test_what_comes_later_does_not_change_what_came_before(name: str) -> None:
    layer = trained(name)
    x, state = normal(2, 8, INPUTS), some_state(layer, 2)
    changed = x.clone()
    changed[:, 5] += 1
    before, after = layer(x, state)[0], layer(changed, state)[0]
    assert torch.equal(before[:, :5], after[:, :5])
    assert not torch.isclose(before[:, 5:], after[:, 5:]).all(dim=-1).any()


@each("name", NAMES)
def test_every_part_of_the_state_matters(name: str) -> None:
    layer = trained(name)
    x, state = normal(2, 3, INPUTS), some_state(layer, 2)
    y = layer(x, state)[0]
    for number in range(len(state)):
        changed = type(state)(*(part + 1 if place == number else part for place, part in enumerate(state)))
        differs = ~torch.isclose(y, layer(x, changed)[0]).all(dim=-1)
        assert differs.any(1).all() if silent(y) else differs.all()


@each("name", NAMES)
def test_nothing_recurrent_stays_in_the_layer(name: str) -> None:
    layer = trained(name)
    x, state = normal(2, 6, INPUTS), some_state(layer, 2)
    kept = [part.clone() for part in state]
    first = layer(x, state)
    layer(normal(4, 9, INPUTS, seed=1), some_state(layer, 4))
    assert_same(first, layer(x, state), tolerance=0)
    assert all(torch.equal(part, old) for part, old in zip(state, kept, strict=True))
    assert not list(layer.buffers())


@each("name", NAMES)
def test_shapes_are_batch_first_and_the_output_is_the_first_part_of_the_state(name: str) -> None:
    layer = trained(name)
    y, state = layer(normal(2, 6, INPUTS), layer.initial_state(2))
    assert y.shape == (2, 6, HIDDEN)
    assert [part.shape for part in state] == [(2, HIDDEN)] * len(layer.formula.state_names)
    assert torch.equal(y[:, -1], state[0])


@each("name", NAMES)
@each("gradients", [True, False])
def test_the_parts_of_a_state_keep_their_names(name: str, gradients: bool) -> None:
    layer, kind = trained(name), CELLS[name].state_type
    assert kind._fields == CELLS[name].state_names and kind._fields[0] == "h"
    with torch.set_grad_enabled(gradients):
        for state in (layer.initial_state(2), layer(normal(2, 6, INPUTS), layer.initial_state(2))[1]):
            assert type(state) is kind
    cell = layer.cell()
    gates = cell.project(normal(2, INPUTS))
    assert type(cell.step(gates, cell.recur(state[0]), state)) is kind


@each("name", NAMES)
@each("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_initial_state_is_zeros_of_the_weights_type(name: str, dtype: torch.dtype) -> None:
    state = Recurrent(CELLS[name], INPUTS, HIDDEN).to(dtype).initial_state(3)
    assert [(part.shape, part.dtype) for part in state] == [((3, HIDDEN), dtype)] * len(state)
    assert all(not part.any() for part in state)


@each("name", NAMES)
def test_rows_of_a_batch_do_not_touch_each_other(name: str) -> None:
    layer = trained(name)
    x, state = normal(4, 6, INPUTS), some_state(layer, 4)
    y, left = layer(x, state)
    for row in range(4):
        own = slice(row, row + 1)
        alone = layer(x[own], map_state(itemgetter(own), state))
        assert_same((y[own], map_state(itemgetter(own), left)), alone, tolerance=1e-12)


@each("name", NAMES)
def test_no_gradient_flows_from_a_row_to_another(name: str) -> None:
    layer = trained(name)
    x = normal(3, 6, INPUTS).requires_grad_()
    state = map_state(Tensor.requires_grad_, some_state(layer, 3))
    y, left = layer(x, state)
    total = y[1].sum() + sum(part[1].sum() for part in left)
    for gradient in torch.autograd.grad(total, (x, *state)):
        assert not gradient[0].any()
        assert gradient[1].any() if silent(y) else gradient[1].all()
        assert not gradient[2].any()


@pytest.mark.slow
@each("name", NAMES)
@each("size", [(2, 4), (1, 18)])
def test_gradients_of_inputs_state_and_weights_are_right(name: str, size: tuple[int, int]) -> None:
    layer, (batch, time) = trained(name, inputs=2, hidden=3), size
    x, state = normal(batch, time, 2), some_state(layer, batch)

    def read(x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        # The weights, given last, are the layer's own: gradcheck nudges them in place.
        y, left = layer(x, type(state)(*rest[: len(state)]))
        return y, *left

    inputs = (x.requires_grad_(), *(part.requires_grad_() for part in state), *layer.parameters())
    assert torch.autograd.gradcheck(read, inputs, fast_mode=True)


@each("name", NAMES)
def test_bfloat16_is_near_float32(name: str) -> None:
    layer = trained(name).float()
    x, state = normal(3, 20, INPUTS).float(), tuple(part.float() for part in some_state(layer, 3))
    y, left = layer(x, state)
    rough = trained(name).bfloat16()
    rough_y, rough_left = rough(x.bfloat16(), tuple(part.bfloat16() for part in state))
    assert {rough_y.dtype, *(part.dtype for part in rough_left)} == {torch.bfloat16}
    # What is not bounded grows, and its rounding with it.
    tolerance = 0.08 * max(1.0, float(y.detach().abs().max()))
    assert_same((y, left), (rough_y.float(), tuple(part.float() for part in rough_left)), tolerance)


@each("name", NAMES)
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


@each("name", NAMES)
@each("gradients", [True, False])
@each("size", [(1, 1), (1, 9), (3, 35)])
def test_the_layer_equals_the_formula_over_the_same_weights(name: str, size: tuple[int, int], gradients: bool) -> None:
    layer, (batch, time) = trained(name), size
    x, state = normal(batch, time, INPUTS), some_state(layer, batch)
    with torch.set_grad_enabled(gradients):
        assert_same(layer(x, state), read_by_formula(layer.cell(), x, state))


@each("name", NAMES)
def test_the_loop_over_a_window_is_the_formula_at_every_step(name: str) -> None:
    cell = trained(name).cell()
    x, state = normal(3, 9, INPUTS), some_state(trained(name), 3)
    y, left = unroll(cell, cell.project(time_major(x)), state)
    assert_same((time_major(y), left), read_by_formula(cell, x, state), tolerance=1e-12)


@each("name", NAMES)
def test_the_formula_borrows_the_weights(name: str) -> None:
    layer = trained(name)
    cell, x, state = layer.cell(), normal(2, 5, INPUTS), some_state(layer, 2)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.mul_(0.5)
    assert_same(layer(x, state), read_by_formula(cell, x, state))


@each("name", NAMES)
def test_projecting_a_sequence_equals_projecting_each_step(name: str) -> None:
    cell, x = trained(name).cell(), normal(2, 5, INPUTS)
    whole = cell.project(x)
    assert whole.shape == (2, 5, INPUTS if cell.mixes else cell.gates * HIDDEN)
    assert torch.allclose(whole, torch.stack([cell.project(x[:, t]) for t in range(5)], dim=1), atol=1e-12)


class Watched(TorchOperations):
    """Torch's operations, every matrix noted that something is multiplied with."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def linear(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:  # type: ignore[override]
        self.shapes.append(tuple(weight.shape))
        product = x @ weight.t()
        return product if bias is None else product + bias


@each("name", NAMES)
def test_every_matrix_product_is_made_by_the_operations_that_were_given(name: str) -> None:
    watched, layer = Watched(), trained(name)
    x, state = normal(2, 5, INPUTS), some_state(layer, 2)
    assert_same(layer(x, state), read_by_formula(layer.cell(watched), x, state))
    matrices = [tuple(parameter.shape) for parameter in layer.parameters() if parameter.dim() == 2]
    assert sorted(watched.shapes) == sorted(matrices * 5)


@each("name", FUSED_NAMES)
@each("gradients", [True, False])
def test_the_layer_and_its_formula_equal_torchs_own_module(name: str, gradients: bool) -> None:
    torch.manual_seed(3)
    theirs = TORCHS[name](INPUTS, HIDDEN, batch_first=True).double()
    layer = fresh(name)
    layer.rnn.load_state_dict(theirs.state_dict())
    x, state = normal(3, 20, INPUTS), some_state(layer, 3)
    given_state = tuple(part.unsqueeze(0) for part in state)
    y, left = theirs(x, given_state if len(state) > 1 else given_state[0])
    parts = left if isinstance(left, tuple) else (left,)
    expected = y, tuple(part.squeeze(0) for part in parts)
    with torch.set_grad_enabled(gradients):
        assert_same(expected, layer(x, state))
        assert_same(expected, read_by_formula(layer.cell(), x, state))


@each("name", FUSED_NAMES)
def test_gradients_equal_those_of_torchs_own_module(name: str) -> None:
    layer = trained(name)
    theirs = TORCHS[name](INPUTS, HIDDEN).double()
    theirs.load_state_dict(layer.rnn.state_dict())
    x, weighting = normal(3, 20, INPUTS), normal(3, 20, HIDDEN, seed=1)
    torch.autograd.backward((layer(x, layer.initial_state(3))[0] * weighting).sum())
    torch.autograd.backward((theirs(time_major(x))[0] * time_major(weighting)).sum())
    for name_, parameter in theirs.named_parameters():
        ours = layer.rnn.get_parameter(name_).grad
        assert ours is not None and parameter.grad is not None and parameter.grad.any()
        assert (ours - parameter.grad).abs().max() < EXACT
