"""The window kernels against their slow twin: `unroll`, the same formula step by step under plain autograd."""

import inspect
from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from charrnn import native
from charrnn.models import kernels, layers
from charrnn.models.cells import CELLS, Cell, State, Weights
from charrnn.models.kernels import CELL_KERNELS, FUSED, run
from charrnn.models.kernels.base import CHUNK, CellKernel, Packed
from charrnn.models.layers import Recurrent, time_major
from charrnn.models.states import map_state
from charrnn.models.unroll import TorchOperations, unroll
from tests.cases import each

EXACT = 1e-10
INPUTS, HIDDEN = 3, 5

FORMULAS = list(CELL_KERNELS)
# Around the border between two chunks, and at it.
LENGTHS = [1, 2, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 1, 3 * CHUNK]

Read = Callable[[Cell, Tensor, State], tuple[Tensor, State]]
# What of outputs (T, B, H) and last state is made into one number, whose gradients are compared.
Loss = Callable[[Tensor, State], Tensor]


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Problem(NamedTuple):
    """A cell's weights, an input (T, B, E) and a state, all of which want a gradient."""

    formula: type[Cell]
    x: Tensor
    state: State
    w_ih: Tensor
    w_hh: Tensor
    b_ih: Tensor
    b_hh: Tensor
    vectors: tuple[Tensor, ...]

    @property
    def own(self) -> dict[str, Tensor]:
        """The cell's own weights by name."""
        return dict(zip(self.formula.extra_weights, self.vectors, strict=True))

    @property
    def leaves(self) -> dict[str, Tensor]:
        """Everything that has a gradient, under a name that says which it is."""
        parts = {f"initial {name}": part for name, part in zip(self.formula.state_names, self.state, strict=True)}
        plain = {"x": self.x, "w_ih": self.w_ih, "w_hh": self.w_hh, "b_ih": self.b_ih, "b_hh": self.b_hh}
        return plain | parts | self.own

    @property
    def cell(self) -> Cell:
        """The formula over these weights, nothing kept from an earlier use."""
        return self.formula(Weights(self.w_ih, self.w_hh, self.b_ih, self.b_hh, self.own), TorchOperations())

    def read(self, read: Read) -> tuple[Tensor, State]:
        cell = self.cell
        return read(cell, cell.project(self.x), self.state)

    def to(self, dtype: torch.dtype, rounded: torch.dtype | None = None) -> "Problem":
        """The same numbers in another format, perhaps rounded to a coarser one before."""

        def convert(tensor: Tensor) -> Tensor:
            return tensor.detach().to(rounded or dtype).to(dtype).requires_grad_()

        return Problem(
            self.formula,
            *map_state(convert, (self.x, self.state, self.w_ih, self.w_hh, self.b_ih, self.b_hh, self.vectors)),
        )


def problem(formula: type[Cell], steps: int, batch: int, hidden: int = HIDDEN, scale: float = 0.6) -> Problem:
    """No weight special: no bias is zero, no two gates are alike."""
    gates = formula.gates * hidden

    def weight(*shape: int, seed: int) -> Tensor:
        return (scale * normal(*shape, seed=seed)).requires_grad_()

    return Problem(
        formula,
        x=normal(steps, batch, INPUTS, seed=1).requires_grad_(),
        state=formula.state_type(
            *(normal(batch, hidden, seed=50 + n).requires_grad_() for n in range(len(formula.state_names)))
        ),
        w_ih=weight(gates, INPUTS, seed=10),
        w_hh=weight(gates, hidden, seed=11),
        b_ih=weight(gates, seed=12),
        b_hh=weight(gates, seed=13),
        vectors=tuple(
            (0.6 * normal(*own.shape(INPUTS, hidden), seed=20 + n)).requires_grad_()
            for n, own in enumerate(formula.extra_weights.values())
        ),
    )


def everything(y: Tensor, last: State) -> Tensor:
    """Every output and every part of the last state, each number with a weight of its own."""
    weighted = [part * normal(*part.shape, seed=70 + n).to(part.dtype) for n, part in enumerate((y, *last))]
    return torch.stack([part.sum() for part in weighted]).sum()


def gradients(given: Problem, read: Read, loss: Loss = everything) -> dict[str, Tensor]:
    """Of every leaf; zeros where the loss does not depend on it."""
    names, leaves = zip(*given.leaves.items(), strict=True)
    found = torch.autograd.grad(loss(*given.read(read)), leaves, materialize_grads=True)
    return dict(zip(names, found, strict=True))


def assert_gradients_equal(given: Problem, loss: Loss, read: Read = run) -> None:
    expected, found = gradients(given, unroll, loss), gradients(given, read, loss)
    assert any(gradient.any() for gradient in expected.values())
    for name, gradient in expected.items():
        assert found[name].shape == gradient.shape
        assert (found[name] - gradient).abs().max() <= EXACT * max(1, float(gradient.abs().max())), name


def relative(found: Tensor, expected: Tensor) -> float:
    found, expected = found.detach().double(), expected.detach().double()
    return float((found - expected).norm() / expected.norm())


# -- as the slow twin ------------------------------------------------------------------------------------------------


@each("formula", FORMULAS)
@each("steps", LENGTHS)
@each("batch", [1, 3])
def test_outputs_and_last_state_equal_those_of_the_plain_loop(formula: type[Cell], steps: int, batch: int) -> None:
    given = problem(formula, steps, batch)
    (y, last), (expected_y, expected_last) = given.read(run), given.read(unroll)
    assert y.shape == (steps, batch, HIDDEN)
    for found, expected in zip((y, *last), (expected_y, *expected_last), strict=True):
        assert found.shape == expected.shape
        assert (found - expected).abs().max() <= EXACT


@each("formula", FORMULAS)
@each("steps", LENGTHS)
@each("batch", [1, 3])
def test_all_gradients_equal_those_of_autograd_through_the_plain_loop(
    formula: type[Cell], steps: int, batch: int
) -> None:
    given = problem(formula, steps, batch)
    assert all(gradient.any() for gradient in gradients(given, unroll).values())
    assert_gradients_equal(given, everything)


@each("formula", FORMULAS)
@each("steps", [1, 17])
def test_gradients_equal_where_the_last_state_alone_is_looked_at(formula: type[Cell], steps: int) -> None:
    given = problem(formula, steps, 2)
    for number in range(len(formula.state_names)):
        weighting = normal(2, HIDDEN, seed=number)
        assert_gradients_equal(given, lambda _, last, n=number, w=weighting: (last[n] * w).sum())  # type: ignore[misc]


@each("formula", FORMULAS)
@each("step", [0, 1, CHUNK - 1, CHUNK, 2 * CHUNK])
def test_gradients_equal_where_one_output_alone_is_looked_at(formula: type[Cell], step: int) -> None:
    given = problem(formula, 2 * CHUNK + 1, 2)
    weighting = normal(2, HIDDEN, seed=step)
    assert_gradients_equal(given, lambda y, _: (y[step] * weighting).sum())
    later = gradients(given, run, lambda y, _: (y[step] * weighting).sum())["x"][step + 1 :]
    assert not later.any()


@each("formula", FORMULAS)
def test_gradients_equal_through_two_windows_one_behind_the_other(formula: type[Cell]) -> None:
    def in_two(cell: Cell, projected: Tensor, state: State) -> tuple[Tensor, State]:
        before, state = run(cell, projected[:7], state)
        after, state = run(cell, projected[7:], state)
        return torch.cat([before, after]), state

    assert_gradients_equal(problem(formula, 25, 2), everything, in_two)


@each("formula", FORMULAS)
def test_gradients_equal_whatever_the_layout_of_inputs_and_of_what_comes_back(formula: type[Cell]) -> None:
    """Rows first in memory, as a layer is given them, and one number spread over all outputs, as a sum gives it."""

    def rows_first(y: Tensor, last: State) -> Tensor:
        mixed = time_major(y).contiguous().flatten(1) @ normal(y.shape[0] * HIDDEN, 4, seed=5)
        return torch.stack([mixed.square().sum(), *(part.sum() for part in last)]).sum()

    given = problem(formula, 18, 3)
    turned = given._replace(x=time_major(time_major(given.x.detach()).contiguous()).requires_grad_())
    assert not turned.x.is_contiguous()
    for loss in (rows_first, lambda y, last: y.sum()):
        assert_gradients_equal(turned, loss)


@each("formula", FORMULAS)
def test_going_back_twice_gives_the_same_twice(formula: type[Cell]) -> None:
    given = problem(formula, 18, 2)
    total, leaves = everything(*given.read(run)), list(given.leaves.values())
    first = [gradient.clone() for gradient in torch.autograd.grad(total, leaves, retain_graph=True)]
    assert all(map(torch.equal, first, torch.autograd.grad(total, leaves)))


# -- when less is asked for ------------------------------------------------------------------------------------------


@each("formula", FORMULAS)
def test_where_no_gradient_is_wanted_none_is_kept(formula: type[Cell]) -> None:
    given = problem(formula, 18, 2)
    expected, expected_last = given.read(unroll)
    with torch.no_grad():
        y, last = given.read(run)
    assert not any(part.requires_grad for part in (y, *last))
    for found, part in zip((y, *last), (expected, *expected_last), strict=True):
        assert (found - part).abs().max() <= EXACT


@each("formula", FORMULAS)
def test_each_gradient_alone_is_the_same_as_among_the_others(formula: type[Cell]) -> None:
    given = problem(formula, 18, 2)
    expected, leaves = gradients(given, run), given.leaves
    for wanted, gradient in expected.items():
        for name, leaf in leaves.items():
            leaf.requires_grad_(name == wanted)
        (alone,) = torch.autograd.grad(everything(*given.read(run)), [leaves[wanted]])
        assert torch.allclose(alone, gradient, rtol=0, atol=EXACT), wanted


@each("formula", FORMULAS)
def test_a_window_changes_nothing_that_it_was_given(formula: type[Cell]) -> None:
    given = problem(formula, 18, 2)
    cell = given.cell
    projected = cell.project(given.x).detach().requires_grad_()
    all_given = [projected, *given.leaves.values()]
    before = [tensor.detach().clone() for tensor in all_given]
    y, last = run(cell, projected, given.state)
    kept = [part.detach().clone() for part in (y, *last)]
    torch.autograd.backward(everything(y, last))
    assert all(map(torch.equal, before, all_given))
    assert all(map(torch.equal, kept, (y, *last)))


# -- other number formats --------------------------------------------------------------------------------------------


@each("formula", FORMULAS)
@each("batch", [1, 3])
def test_float32_over_packed_weights_is_near_float64(formula: type[Cell], batch: int) -> None:
    exact = problem(formula, 33, batch, hidden=32, scale=0.2)
    rough = exact.to(torch.float32)
    assert Packed(rough.w_hh, batch).packs == torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    (y, last), (exact_y, exact_last) = rough.read(run), exact.read(unroll)
    for found, expected in zip((y, *last), (exact_y, *exact_last), strict=True):
        assert found.dtype == torch.float32
        assert relative(found, expected) < 1e-4
    # One number spread over all outputs: the packed product is then given a tensor whose rows all lie in one place.
    for loss in (everything, lambda y, _: y.sum()):
        expected_gradients = gradients(exact, unroll, loss)
        for name, gradient in gradients(rough, run, loss).items():
            assert relative(gradient, expected_gradients[name]) < 1e-4, name


@each("formula", FORMULAS)
@each("batch", [1, 3])
def test_bfloat16_gradients_point_where_float32_gradients_do(formula: type[Cell], batch: int) -> None:
    whole = problem(formula, 33, batch, hidden=32, scale=0.2)
    expected = gradients(whole.to(torch.float32, rounded=torch.bfloat16), run)
    for name, gradient in gradients(whole.to(torch.bfloat16), run).items():
        assert gradient.dtype == torch.bfloat16
        assert float(F.cosine_similarity(gradient.float().flatten(), expected[name].flatten(), dim=0)) > 0.999, name
        assert float(gradient.float().norm() / expected[name].norm()) == pytest.approx(1, abs=0.03), name


# -- the table -------------------------------------------------------------------------------------------------------


def kinds(of: type[CellKernel]) -> list[type[CellKernel]]:
    """All classes below this one."""
    return [kind for below in of.__subclasses__() for kind in (below, *kinds(below))]


def test_every_kernel_that_is_whole_says_which_cell_it_is_for() -> None:
    whole = [kind for kind in kinds(CellKernel) if not inspect.isabstract(kind)]  # type: ignore[type-abstract]
    assert {kind.cell: kind for kind in whole} == CELL_KERNELS and len(whole) == len(CELL_KERNELS)
    # The cells that torch has kernels for have one of ours, for it trains them slowly on a CPU, a wide LSTM too.
    assert set(FUSED) < set(CELL_KERNELS)


@each("formula", FORMULAS)
def test_a_layer_is_trained_by_its_window(formula: type[Cell], monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[type[Cell]] = []

    def watched(cell: Cell, projected: Tensor, state: State) -> tuple[Tensor, State]:
        used.append(type(cell))
        return run(cell, projected, state)

    monkeypatch.setattr(kernels, "run", watched)
    monkeypatch.setattr(layers, "WIDEST_FUSED", HIDDEN - 1)
    monkeypatch.setenv(native.VARIABLE, native.NONE)  # which is asked first
    layer = Recurrent(formula, INPUTS, HIDDEN)
    layer.initialise(torch.Generator().manual_seed(0))
    layer.bfloat16()
    x = normal(2, 4, INPUTS, seed=0).bfloat16()
    y, _ = layer(x, layer.initial_state(2))
    assert used == [formula]
    assert y.requires_grad
    with torch.no_grad():
        layer(x, layer.initial_state(2))
    assert len(used) == 1 + (formula not in FUSED)


def test_torch_trains_the_lstms_that_it_trains_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "run", lambda *_: pytest.fail("by ours"))
    for width, numbers in ((layers.WIDEST_FUSED, torch.bfloat16), (layers.WIDEST_FUSED + 1, torch.float32)):
        layer = Recurrent(CELLS["lstm"], INPUTS, width).to(numbers)
        layer(normal(2, 4, INPUTS, seed=0).to(numbers), layer.initial_state(2))
