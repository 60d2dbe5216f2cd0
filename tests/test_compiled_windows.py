"""Windows between whose products the library works, and those whose products it makes too, against the plain loop."""

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor

from charrnn import native
from charrnn.models import kernels
from charrnn.models.cells import CELLS, Cell, State
from charrnn.models.kernels import compiled
from charrnn.models.layers import Recurrent
from charrnn.models.unroll import unroll
from charrnn.native.window import WindowRecord, has_products, threads_of_openmp
from tests.cases import each
from tests.test_kernels import Problem, everything, gradients, normal, problem, relative

LIBRARY = native.library()
SETS = LIBRARY.sets if LIBRARY else ()
CELLS_HERE = list(compiled.COMPILED)
FP32, BF16 = torch.float32, torch.bfloat16
# Whether the library makes the products too: in bf16 where the processor multiplies it.
MULTIPLIES_BF16 = has_products(1)
PRODUCTS = [False, True] if MULTIPLIES_BF16 else [False]
# Units that nothing divides; one block of 16, three, four, seven; rows that fill a tile of 4, 6 or 8, and do not.
SIZES = [(1, 1), (5, 3), (16, 2), (48, 9), (64, 6), (112, 13)]


pytestmark = pytest.mark.usefixtures("compiled_library")


@contextmanager
def making(products: bool) -> Iterator[None]:
    """Within it, the library makes the products, or torch does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "has_products", lambda _: products)
        yield


def read(given: Problem) -> tuple[Tensor, State]:
    return compiled.run(given.cell, given.x, given.state)


def gradients_of(given: Problem) -> dict[str, Tensor]:
    """Of every leaf, through the library."""
    return gradients(given, lambda cell, _, state: compiled.run(cell, given.x, state))


def everything_of(given: Problem) -> dict[str, Tensor]:
    """What a window gives, and all its gradients."""
    y, last = read(given)
    found = {"y": y} | {f"last {n}": part for n, part in enumerate(last)}
    return {name: tensor.detach().clone() for name, tensor in found.items()} | gradients_of(given)


# -- as the slow twin ------------------------------------------------------------------------------------------------


@each("cell", CELLS_HERE)
@each("name", SETS)
@each("steps", [1, 2, 19])
@each("products", [False, True])
def test_fp32_is_near_float64_on_each_instruction_set(
    cell: type[Cell], name: str, steps: int, products: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(native.VARIABLE, name)
    assert has_products(0)
    monkeypatch.setattr(compiled, "has_products", lambda _: products)
    for hidden, batch in SIZES:
        exact = problem(cell, steps, batch, hidden=hidden, scale=0.2)
        rough = exact.to(FP32)
        (y, last), (exact_y, exact_last) = read(rough), exact.read(unroll)
        for found, expected in zip((y, *last), (exact_y, *exact_last), strict=True):
            assert found.dtype == FP32 and found.shape == expected.shape
            assert relative(found, expected) < 1e-5
        expected_gradients = gradients(exact, unroll)
        for leaf, gradient in gradients_of(rough).items():
            assert gradient.shape == expected_gradients[leaf].shape
            assert relative(gradient, expected_gradients[leaf]) < 3e-5, (hidden, leaf)


@each("cell", CELLS_HERE)
@each("products", PRODUCTS)
def test_bf16_is_as_near_as_its_eight_bits(cell: type[Cell], products: bool) -> None:
    for hidden, batch in SIZES:
        rounded = problem(cell, 5, batch, hidden=hidden, scale=0.2).to(torch.float64, rounded=BF16)
        y, last = rounded.read(unroll)
        expected = gradients(rounded, unroll) | {"y": y, "last 0": last[0]}
        with making(products):
            found = everything_of(rounded.to(BF16))
        for name, tensor in expected.items():
            assert found[name].dtype == BF16
            assert relative(found[name], tensor) < 0.03, (hidden, name)


@pytest.mark.skipif(len(PRODUCTS) == 1, reason="this processor does not multiply bf16")
@each("cell", CELLS_HERE)
def test_products_of_the_library_are_those_of_torch(cell: type[Cell]) -> None:
    """But for the order of adding up, which moves a rounding here and there."""
    for hidden, batch in [size for size in SIZES if size[0] % 16 == 0]:
        given = problem(cell, 7, batch, hidden=hidden, scale=0.3).to(BF16)
        with making(False):
            expected = everything_of(given)
        with making(True):
            found = everything_of(given)
        for name, tensor in expected.items():
            assert relative(found[name], tensor) < 0.01, (hidden, name)


@each("cell", CELLS_HERE)
@each("products", PRODUCTS)
def test_bf16_is_the_same_for_any_number_of_threads(cell: type[Cell], products: bool) -> None:
    given, before = problem(cell, 5, 64, hidden=144, scale=0.2).to(BF16), torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            with making(products), pytest.MonkeyPatch.context() as patch:
                patch.setattr(compiled, "Packed", lambda weight, _: lambda x: x @ weight.t())
                found.append(everything_of(given))
    finally:
        torch.set_num_threads(before)
    assert given.x.shape[1] * 144 >= compiled.WORTH_SHARING
    for other in found[1:]:
        assert all(relative(other[name], tensor) < 1e-3 for name, tensor in found[0].items())
        if products:  # in which torch has no share but those of whole windows
            assert torch.equal(other["y"], found[0]["y"]) and torch.equal(other["initial h"], found[0]["initial h"])


@each("cell", CELLS_HERE)
@each("number", [FP32, BF16])
def test_windows_are_the_same_however_many_rows_are_made_at_once(
    cell: type[Cell], number: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = problem(cell, 19, 3, hidden=48, scale=0.2).to(number)
    expected = everything_of(given)
    for rows in (1, 12, 57):
        monkeypatch.setattr(compiled, "ROWS_AT_ONCE", rows)
        for name, tensor in everything_of(given).items():
            assert relative(tensor, expected[name]) < (1e-5 if number == FP32 else 0.01), (rows, name)


@each("cell", CELLS_HERE)
def test_two_windows_one_behind_the_other_are_one(cell: type[Cell]) -> None:
    given = problem(cell, 25, 2, hidden=32, scale=0.2).to(FP32)

    def in_two(cell: Cell, _: Tensor, state: State) -> tuple[Tensor, State]:
        before, state = compiled.run(cell, given.x[:7], state)
        after, state = compiled.run(cell, given.x[7:], state)
        return torch.cat([before, after]), state

    expected = gradients(given, unroll)
    for name, gradient in gradients(given, in_two).items():
        assert relative(gradient, expected[name]) < 1e-5, name


@each("cell", CELLS_HERE)
@each("products", PRODUCTS)
def test_a_window_changes_nothing_that_it_was_given(cell: type[Cell], products: bool) -> None:
    """Nor, on its way back, what it has given."""
    given = problem(cell, 9, 2, hidden=16).to(BF16)
    before = [leaf.detach().clone() for leaf in given.leaves.values()]
    with making(products):
        y, last = read(given)
        kept = [part.detach().clone() for part in (y, *last)]
        torch.autograd.backward(everything(y, last))
    assert all(map(torch.equal, before, given.leaves.values()))
    assert all(map(torch.equal, kept, (y, *last)))


@each("cell", CELLS_HERE)
def test_layouts_and_single_gradients(cell: type[Cell]) -> None:
    """Rows first in memory, one number spread over all outputs, and one gradient without the others."""
    given = problem(cell, 9, 3, hidden=16).to(FP32)
    turned = given._replace(x=given.x.detach().transpose(0, 1).contiguous().transpose(0, 1).requires_grad_())
    leaves = turned.leaves
    expected = gradients(given, unroll, lambda y, _: y.sum())
    for name, leaf in leaves.items():
        for other, tensor in leaves.items():
            tensor.requires_grad_(other == name)
        (gradient,) = torch.autograd.grad(read(turned)[0].sum(), [leaf])
        assert relative(gradient, expected[name]) < 1e-5, name


def test_what_is_no_number_stays_none() -> None:
    """A run that diverges is seen."""
    for cell in CELLS_HERE:
        for number in (FP32, BF16):
            given = problem(cell, 3, 2, hidden=16).to(number)
            with torch.no_grad():
                given.x[1, 0, 0] = float("nan")
            y, _ = read(given)
            assert y[0].isfinite().all() and y[1:, 0].isnan().all() and y[1:, 1].isfinite().all()
            assert gradients_of(given)["w_hh"].isnan().any()


def test_large_numbers_end_at_the_ends() -> None:
    for cell in CELLS_HERE:
        given = problem(cell, 3, 2, hidden=16).to(FP32)
        with torch.no_grad():
            given.x.mul_(1e4)
        (y, _), (expected, _) = read(given), given.read(unroll)
        assert y.isfinite().all() and torch.allclose(y, expected, atol=1e-6)


# -- where it is used ------------------------------------------------------------------------------------------------


def a_layer(cell: str, hidden: int, number: torch.dtype) -> tuple[Recurrent, Tensor]:
    layer = Recurrent(CELLS[cell], 3, hidden)
    layer.initialise(torch.Generator().manual_seed(0))
    return layer.to(number), normal(2, 4, 3, seed=0).to(number)


def used(cell: str, hidden: int, number: torch.dtype, patch: pytest.MonkeyPatch) -> str:
    """What trains such a layer: this, the formulas' kernels, or torch."""
    by: list[str] = []

    def watched(name: str, function: Callable[..., tuple[Tensor, State]]) -> Callable[..., tuple[Tensor, State]]:
        return lambda *given: by.append(name) or function(*given)  # type: ignore[func-returns-value]

    patch.setattr(compiled, "run", watched("compiled", compiled.run))
    patch.setattr(kernels, "run", watched("formula", kernels.run))
    layer, x = a_layer(cell, hidden, number)
    y, _ = layer(x, layer.initial_state(2))
    assert y.requires_grad and layer.trains_compiled(number) is (by == ["compiled"])
    with torch.no_grad():
        layer(x, layer.initial_state(2))
    patch.undo()
    return "+".join(by) or "torch"


@each("cell", ["rnn", "gru", "lstm"])
def test_which_kernel_trains_a_layer(cell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    here = "compiled" if MULTIPLIES_BF16 else "torch"
    assert used(cell, 16, BF16, monkeypatch) == (here if cell == "lstm" else "compiled")
    assert used(cell, 16, FP32, monkeypatch) == ("torch" if cell == "lstm" else "compiled")
    assert used(cell, 16, torch.float64, monkeypatch) == ("torch" if cell == "lstm" else "formula")
    monkeypatch.setattr(compiled, "has_products", lambda _: False)
    assert used(cell, 16, BF16, monkeypatch) == ("torch" if cell == "lstm" else "compiled")


def test_torch_multiplies_where_its_threads_cannot_be_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """But not on one thread."""
    x, before = torch.zeros(2, 2, 3), torch.get_num_threads()
    monkeypatch.setattr(compiled, "threads_of_openmp", lambda: None)
    try:
        for threads, here in ((1, True), (2, False)):
            torch.set_num_threads(threads)
            assert compiled.multiplies(16, x) is here
    finally:
        torch.set_num_threads(before)


@each("cell", ["rnn", "gru", "lstm"])
def test_without_the_library_it_goes_on_without(cell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(native.VARIABLE, native.NONE)
    assert used(cell, 16, BF16, monkeypatch) == ("torch" if cell == "lstm" else "formula")


def test_it_goes_back_once() -> None:
    given = problem(CELLS["lstm"], 3, 2, hidden=16).to(FP32)
    total = everything(*read(given))
    torch.autograd.grad(total, [given.w_hh], retain_graph=True)
    with pytest.raises(RuntimeError, match="goes back once"):
        torch.autograd.grad(total, [given.w_hh])


# -- what it refuses -------------------------------------------------------------------------------------------------


def test_what_does_not_fit_together_is_refused() -> None:
    assert LIBRARY is not None
    numbers = [torch.zeros(4 * 2 * 16 * 4) for _ in range(9)]
    names = ("gates", "bias", "h", "memory", "product", "dy", "d_projected", "carried", "d_bias")
    places = {name: tensor.data_ptr() for name, tensor in zip(names, numbers, strict=True)}

    def step(
        back: int = 0, t: int = 0, parts: int = 1, shape: tuple[int, ...] = (1, 0, 2, 4, 16), **other: int | None
    ) -> None:
        record = WindowRecord(*shape, **(places | other))
        LIBRARY.call("charrnn_step", ctypes.byref(record), back, t, parts, None)

    step()
    step(back=1, t=1, parts=3)
    for shape in (
        (3, 0, 2, 4, 16),
        (-1, 0, 2, 4, 16),
        (1, 2, 2, 4, 16),
        (1, 0, 0, 4, 16),
        (1, 0, 2, 0, 16),
        (1, 0, 2, 4, 0),
    ):
        with pytest.raises(IndexError, match="fit together"):
            step(shape=shape)
    for wrong in ({"t": 2}, {"t": -1}, {"parts": 0}, {"gates": None}, {"h": None}, {"product": None}, {"bias": None}):
        with pytest.raises(IndexError, match="fit together"):
            step(**wrong)
    for missing in ("dy", "carried", "d_bias"):
        with pytest.raises(IndexError, match="fit together"):
            step(back=1, **{missing: None})  # type: ignore[arg-type]
    with pytest.raises(IndexError, match="fit together"):
        step(back=1, shape=(2, 0, 2, 4, 16), d_projected=None)
    if MULTIPLIES_BF16:
        record = WindowRecord(1, 1, 2, 4, 24, **places, weight=places["gates"])
        with pytest.raises(IndexError, match="fit together"):
            LIBRARY.call("charrnn_steps", ctypes.byref(record), 0, 0, 2, 1, None)
        record.hidden = 16
        for first, last in ((-1, 2), (0, 3)):
            with pytest.raises(IndexError, match="fit together"):
                LIBRARY.call("charrnn_steps", ctypes.byref(record), 0, first, last, 1, None)


def test_threads_are_torchs_on_linux() -> None:
    """torch brings GNU OpenMP into the process for all to see."""
    assert (threads_of_openmp() is None) == (not hasattr(ctypes.CDLL(None), "GOMP_parallel"))
