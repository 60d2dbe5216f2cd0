"""What holds of every layer in the table, and of the formula behind it."""

import copy
import itertools
import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from charrnn.config import ModelConfig
from charrnn.errors import ConfigError
from charrnn.models.cells import CELLS, Cell, State
from charrnn.models.cells.gru import GRU
from charrnn.models.cells.lstm import LSTM
from charrnn.models.cells.simple import RNN
from charrnn.models.language_model import LanguageModel
from charrnn.models.layers import KERNELS, LAYERS, Recurrent, time_major
from charrnn.models.unroll import TorchOperations, unroll

NAMES = list(LAYERS)
INPUTS, HIDDEN = 5, 7
EXACT = 1e-10
# A unit of theirs may be silent, and hand nothing on.
RECTIFIED = ("rnn-relu", "indrnn")

every_layer = pytest.mark.parametrize("name", NAMES)
# With gradients and without, a layer may take another way through its cell.
both_ways = pytest.mark.parametrize("gradients", [True, False], ids=["training", "reading"])


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
    """Any numbers; but what is divided by, the n of the sLSTM, is a sum of what is positive."""
    numbers = [normal(batch, layer.hidden, seed=number + 50) for number in range(len(layer.state_names))]
    return tuple(part.exp() if name == "n" else part for name, part in zip(layer.state_names, numbers, strict=True))


def read_in_chunks(layer: Recurrent, x: Tensor, state: State, lengths: list[int]) -> tuple[Tensor, State]:
    outputs = []
    for chunk in torch.split(x, lengths, dim=1):
        y, state = layer(chunk, state)
        outputs.append(y)
    return torch.cat(outputs, dim=1), state


def read_by_formula(cell: Cell, x: Tensor, state: State) -> tuple[Tensor, State]:
    outputs = []
    for t in range(x.shape[1]):
        state = cell.step(cell.project(x[:, t]), cell.recur(state[0]), state)
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
@both_ways
def test_one_pass_equals_single_steps(name: str, gradients: bool) -> None:
    layer = trained(name)
    x, state = normal(3, 20, INPUTS), some_state(layer, 3)
    with torch.set_grad_enabled(gradients):
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
        differs = ~torch.isclose(y, layer(x, changed)[0]).all(dim=-1)
        assert differs.any(1).all() if name in RECTIFIED else differs.all()


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
    assert [part.shape for part in state] == [(2, HIDDEN)] * len(layer.state_names)
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
        assert gradient[1].any() if name in RECTIFIED else gradient[1].all()
        assert not gradient[2].any()


@every_layer
@pytest.mark.parametrize(("batch", "time"), [(2, 4), (1, 18)])
def test_gradients_of_inputs_state_and_weights_are_right(name: str, batch: int, time: int) -> None:
    layer = trained(name, inputs=2, hidden=3)
    x, state = normal(batch, time, 2), some_state(layer, batch)

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
    # What is not bounded grows, and its rounding with it.
    tolerance = 0.08 * max(1.0, float(y.detach().abs().max()))
    assert_same((y, left), (rough_y.float(), tuple(part.float() for part in rough_left)), tolerance)


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
@both_ways
@pytest.mark.parametrize(("batch", "time"), [(1, 1), (1, 9), (3, 35)])
def test_the_layer_equals_the_formula_over_the_same_weights(name: str, batch: int, time: int, gradients: bool) -> None:
    layer = trained(name)
    x, state = normal(batch, time, INPUTS), some_state(layer, batch)
    with torch.set_grad_enabled(gradients):
        assert_same(layer(x, state), read_by_formula(layer.cell(), x, state))


@every_layer
def test_the_loop_over_a_window_is_the_formula_at_every_step(name: str) -> None:
    cell = trained(name).cell()
    x, state = normal(3, 9, INPUTS), some_state(trained(name), 3)
    y, left = unroll(cell, cell.project(time_major(x)), state)
    assert_same((time_major(y), left), read_by_formula(cell, x, state), tolerance=1e-12)


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


@every_layer
def test_every_matrix_product_is_made_by_the_operations_that_were_given(name: str) -> None:
    watched, layer = Watched(), trained(name)
    x, state = normal(2, 5, INPUTS), some_state(layer, 2)
    assert_same(layer(x, state), read_by_formula(layer.cell(watched), x, state))
    matrices = [tuple(parameter.shape) for parameter in layer.parameters() if parameter.dim() == 2]
    assert sorted(watched.shapes) == sorted(matrices * 5)


@both_ways
@pytest.mark.parametrize("name", ["rnn", "lstm", "gru"])
def test_the_layer_and_its_formula_equal_torchs_own_module(name: str, gradients: bool) -> None:
    module = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[name]
    torch.manual_seed(3)
    theirs = module(INPUTS, HIDDEN, batch_first=True).double()
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


@pytest.mark.parametrize(("name", "module"), [("rnn", nn.RNN), ("lstm", nn.LSTM), ("gru", nn.GRU)])
def test_gradients_equal_those_of_torchs_own_module(name: str, module: Callable[..., nn.RNNBase]) -> None:
    layer = trained(name)
    theirs = module(INPUTS, HIDDEN).double()
    theirs.load_state_dict(layer.rnn.state_dict())
    x, weighting = normal(3, 20, INPUTS), normal(3, 20, HIDDEN, seed=1)
    torch.autograd.backward((layer(x, layer.initial_state(3))[0] * weighting).sum())
    torch.autograd.backward((theirs(time_major(x))[0] * time_major(weighting)).sum())
    for name_, parameter in theirs.named_parameters():
        ours = layer.rnn.get_parameter(name_).grad
        assert ours is not None and parameter.grad is not None and parameter.grad.any()
        assert (ours - parameter.grad).abs().max() < EXACT


# -- weight drop -----------------------------------------------------------------------------------------------------

DROPPED = 0.4
# Which matrices multiply what a layer remembers, by hand: these are dropped, and no others.
RECURRENT = {
    name: {
        "indrnn": [], "mingru": [], "minlstm": [], "lstm-nested": ["weight_hh_l0", "inner_hh"],
        "mlstm": ["weight_hh_l0", "weight_mh"], "gru-before": ["weight_hh_l0", "weight_hn"],
        "gru-before-update": ["weight_hh_l0", "weight_hn"],
    }.get(name, ["weight_hh_l0"])
    for name in NAMES
}  # fmt: skip
every_dropping = pytest.mark.parametrize("name", [name for name in NAMES if RECURRENT[name]])


def dropping(name: str, inputs: int = INPUTS, hidden: int = HIDDEN, share: float = DROPPED) -> Recurrent:
    """The layer of `trained`, in training, that drops recurrent weights."""
    layer = LAYERS[name](inputs, hidden, share).double()
    layer.load_state_dict(trained(name, inputs, hidden).state_dict())
    return layer.train()


def used(name: str, layer: Recurrent) -> dict[str, Tensor]:
    """The recurrent matrices that a window would now be read with."""
    weights = layer.cell().weights
    return {of: (weights.extra.get(of, weights.w_hh)).detach() for of in RECURRENT[name]}


def thinned(name: str, layer: Recurrent, seed: int) -> tuple[Recurrent, dict[str, Tensor]]:
    """A plain layer whose recurrent weights are those that `layer` uses in the window after this seed; the masks."""
    torch.manual_seed(seed)
    left = used(name, layer)
    twin = trained(name, layer.rnn.get_parameter("weight_ih_l0").shape[1], layer.hidden)
    with torch.no_grad():
        for of, weight in left.items():
            twin.rnn.get_parameter(of).copy_(weight)
    return twin, {of: weight != 0 for of, weight in left.items()}


@every_dropping
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_share_of_the_recurrent_weights_is_zero_and_the_others_are_scaled(name: str, share: float) -> None:
    layer = dropping(name, hidden=40, share=share)
    torch.manual_seed(3)
    for of, left in used(name, layer).items():
        weight, kept = layer.rnn.get_parameter(of), left != 0
        assert left.shape == weight.shape
        torch.testing.assert_close(left[kept], weight.detach()[kept] / (1 - share), rtol=1e-12, atol=0)
        deviation = math.sqrt(share * (1 - share) / kept.numel())
        assert abs(float((~kept).double().mean()) - share) < 4 * deviation
        # Single weights are dropped, not rows or columns of them: the number that is left varies as coins do.
        for axis in (0, 1):
            means = kept.double().mean(axis)
            expected = math.sqrt(share * (1 - share) / kept.shape[axis])
            assert 0.5 * expected < float(means.std()) < 1.6 * expected


@pytest.mark.parametrize("name", [name for name in NAMES if not RECURRENT[name]])
def test_a_cell_without_recurrent_matrices_has_nothing_to_drop(name: str) -> None:
    assert not any(weight.recurrent for weight in CELLS[name].table().values())
    with pytest.raises(ConfigError, match=f"{name} has no recurrent matrices to drop"):
        LanguageModel(ModelConfig(vocab_size=3, start_id=3, cell=name, weight_drop=0.2))


@every_dropping
@both_ways
@pytest.mark.parametrize(("batch", "time"), [(1, 1), (1, 9), (3, 35)])
def test_one_mask_serves_a_whole_window(name: str, gradients: bool, batch: int, time: int) -> None:
    """The layer, by its kernel or its formula, equals a plain layer over the thinned weights, step by step."""
    layer = dropping(name)
    x, state = normal(batch, time, INPUTS), some_state(layer, batch)
    twin, _ = thinned(name, layer, seed=5)
    torch.manual_seed(5)
    with torch.set_grad_enabled(gradients):
        found = layer(x, state)
        assert_same(found, read_by_formula(twin.cell(), x, state))
        assert not torch.isclose(found[0], trained(name)(x, state)[0]).all()


@both_ways
@pytest.mark.parametrize("name", list(KERNELS))
def test_torchs_kernel_and_the_formula_drop_alike(name: str, gradients: bool) -> None:
    layer = dropping(name)
    x, state = time_major(normal(3, 20, INPUTS)), some_state(layer, 3)
    with torch.set_grad_enabled(gradients):
        torch.manual_seed(8)
        by_kernel = layer._through_kernel(x, state)
        torch.manual_seed(8)
        by_formula = layer._through_formula(x, state)
        torch.manual_seed(9)
        otherwise = layer._through_kernel(x, state)
    assert_same(by_kernel, by_formula)
    assert not torch.isclose(by_kernel[0], otherwise[0]).all()


@every_dropping
@both_ways
def test_each_window_has_a_mask_of_its_own(name: str, gradients: bool) -> None:
    layer = dropping(name)
    x, state = normal(2, 6, INPUTS), some_state(layer, 2)
    with torch.set_grad_enabled(gradients):
        assert not torch.isclose(layer(x, state)[0], layer(x, state)[0]).all()


@every_dropping
def test_gradients_reach_the_weights_that_were_used_and_no_others(name: str) -> None:
    layer = dropping(name)
    x, weighting = normal(3, 20, INPUTS), normal(3, 20, HIDDEN, seed=1)
    twin, masks = thinned(name, layer, seed=6)
    torch.manual_seed(6)
    for read in (layer, twin):
        torch.autograd.backward((read(x, some_state(read, 3))[0] * weighting).sum())
    assert all(kept.any() and not kept.all() for kept in masks.values())
    for own, other in zip(layer.named_parameters(), twin.named_parameters(), strict=True):
        found, expected = own[1].grad, other[1].grad
        assert own[0] == other[0] and found is not None and expected is not None
        kept = masks.get(own[0].removeprefix("rnn."))
        if kept is not None:
            assert not found[~kept].any()
            expected = expected * kept / (1 - DROPPED)
        assert (found - expected).abs().max() < EXACT


@every_dropping
@both_ways
def test_nothing_is_dropped_outside_training_and_no_weight_is_changed_by_dropping(name: str, gradients: bool) -> None:
    plain, layer = trained(name), dropping(name)
    x, state = normal(2, 6, INPUTS), some_state(plain, 2)
    with torch.set_grad_enabled(gradients):
        layer(x, state)
        assert layer.state_dict().keys() == plain.state_dict().keys()
        assert all(torch.equal(layer.state_dict()[key], value) for key, value in plain.state_dict().items())
        assert all(isinstance(weight, nn.Parameter) for weight in layer.rnn.parameters())
        assert_same(layer.eval()(x, state), plain.eval()(x, state), tolerance=0)
        torch.manual_seed(1)
        assert all(torch.equal(weight, used(name, plain)[of]) for of, weight in used(name, layer).items())
        # And again as before, when training goes on.
        assert not torch.isclose(layer.train()(x, state)[0], plain(x, state)[0]).all()


@every_dropping
def test_a_layer_that_drops_begins_as_one_that_does_not(name: str) -> None:
    layer = LAYERS[name](INPUTS, HIDDEN, DROPPED).double().train()
    layer.initialise(generator(0))
    expected = fresh(name).state_dict()
    assert layer.state_dict().keys() == expected.keys()
    assert all(torch.equal(layer.state_dict()[key], value) for key, value in expected.items())


@every_dropping
def test_a_layer_that_drops_can_be_copied_after_a_step(name: str) -> None:
    layer = dropping(name)
    torch.autograd.backward(layer(normal(2, 6, INPUTS), some_state(layer, 2))[0].sum())
    twin = copy.deepcopy(layer)
    assert all(torch.equal(one, other) for one, other in zip(layer.parameters(), twin.parameters(), strict=True))


# -- fresh weights ---------------------------------------------------------------------------------------------------


@every_layer
def test_recurrent_weights_begin_orthogonal_gate_by_gate(name: str) -> None:
    layer = fresh(name)
    blocks = [
        block for of in RECURRENT[name] for block in layer.rnn.get_parameter(of).detach().view(-1, HIDDEN, HIDDEN)
    ]
    radius, eye = CELLS[name].spectral_radius, torch.eye(HIDDEN, dtype=torch.float64)
    assert radius == (0.25 if name == "rnn-relu" else 1)
    for block in blocks:
        assert torch.allclose(block @ block.t(), radius**2 * eye, atol=1e-6)
        assert torch.equal(block, radius * eye) == (name == "rnn-relu")
    assert all(not torch.allclose(one, other) for one, other in itertools.combinations(blocks, 2))


@every_layer
def test_input_weights_begin_uniform_within_glorots_bound_of_one_gate(name: str) -> None:
    cell = fresh(name, inputs=40, hidden=60).cell()
    bound = math.sqrt(6 / (40 + 60))
    for block in cell.weights.w_ih.chunk(cell.gates):
        assert 0.99 * bound < block.abs().max() <= bound
        assert abs(float(block.detach().std()) - bound / math.sqrt(3)) < 0.05 * bound


# Where the forget gate stands among the gates.
FORGET = {
    "lstm": 1, "lstm-peephole": 1, "lstm-coupled": 0, "lstm-layernorm": 1, "lstm-mogrifier": 1, "lstm-nested": 1,
    "mlstm": 1, "slstm": 1, "minlstm": 0,
}  # fmt: skip
# Those whose cell is nothing but what the forget gate keeps where all else is zero.
KEEPING = ("lstm", "lstm-peephole", "lstm-coupled", "lstm-layernorm", "lstm-mogrifier", "mlstm")


@every_layer
def test_biases_begin_at_zero_but_the_forget_gates_at_one(name: str) -> None:
    weights = fresh(name).cell().weights
    expected = torch.zeros(weights.b_ih.numel(), dtype=torch.float64)
    if name in FORGET:
        expected[FORGET[name] * HIDDEN : (FORGET[name] + 1) * HIDDEN] = 1
    both = weights.b_ih if weights.b_hh is None else weights.b_ih + weights.b_hh
    assert torch.equal(both.detach(), expected)


@pytest.mark.parametrize("name", KEEPING)
def test_the_forget_gate_alone_decides_what_is_kept(name: str) -> None:
    """All else at zero nothing new comes in: an open gate keeps the cell, a closed one empties it."""
    layer = fresh(name)
    assert layer.formula.forget == FORGET[name]
    _, c = state = some_state(layer, 2)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        for bias, kept in ((50.0, c), (-50.0, 0 * c)):
            layer.cell().weights.b_ih.view(-1, HIDDEN)[FORGET[name]].fill_(bias)
            assert torch.allclose(layer(normal(2, 5, INPUTS), state)[1][1], kept, rtol=0, atol=1e-12)


# Beside the matrices: how long they are, and what they are at first.
VECTORS: dict[str, dict[str, tuple[int, float]]] = {
    "lstm-peephole": {"peephole": (21, 0.0)},
    "lstm-layernorm": {"gain_ih": (28, 1.0), "gain_hh": (28, 1.0), "gain_c": (7, 1.0), "bias_c": (7, 0.0)},
    "gru-layernorm": {"gain_ih": (21, 1.0), "gain_hh": (21, 1.0)},
}


@every_layer
def test_a_cells_own_vectors_begin_as_if_they_were_not_there(name: str) -> None:
    parameters = fresh(name).rnn.named_parameters()
    own = {of: p.detach() for of, p in parameters if p.dim() == 1 and not of.endswith("_l0")}
    own.pop("inner_bias", None), own.pop("memory", None)
    assert own.keys() == VECTORS.get(name, {}).keys()
    for vector, (length, value) in VECTORS.get(name, {}).items():
        assert torch.equal(own[vector], torch.full((length,), value, dtype=torch.float64))


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


@every_layer
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


@every_layer
def test_recurrent_matrices_begin_with_the_radius_that_is_asked_for_and_nothing_else_changes(name: str) -> None:
    layer, plain = fresh(name), fresh(name)
    layer.initialise(generator(0), radius=1.5)
    plain.initialise(generator(0))
    for of, weight in CELLS[name].table().items():
        found, expected = layer.rnn.get_parameter(of).detach(), plain.rnn.get_parameter(of).detach()
        if not weight.recurrent:
            assert torch.equal(found, expected)
            continue
        for block in found.chunk(len(found) // HIDDEN):
            circle = torch.full((HIDDEN,), 1.5, dtype=torch.float64)
            torch.testing.assert_close(torch.linalg.eigvals(block).abs(), circle)


# -- the table -------------------------------------------------------------------------------------------------------


def test_every_name_means_another_layer() -> None:
    cells = {name: type(fresh(name).cell()) for name in NAMES}
    assert cells == CELLS
    assert len(set(cells.values())) == len(NAMES)
    assert (cells["rnn"], cells["lstm"], cells["gru"]) == (RNN, LSTM, GRU)


def test_torchs_kernels_stand_under_the_names_of_their_cells() -> None:
    assert {name: type(fresh(name).rnn) for name in KERNELS} == {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


@every_layer
def test_every_weight_is_a_parameter_of_the_formula(name: str) -> None:
    layer = fresh(name)
    w_ih, w_hh, b_ih, b_hh, own = layer.cell().weights
    of_formula = {weight.data_ptr() for weight in (w_ih, w_hh, b_ih, b_hh, *own.values()) if weight is not None}
    assert of_formula == {parameter.data_ptr() for parameter in layer.parameters()}
