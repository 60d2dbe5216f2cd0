"""Products for one token after another: 8-bit sums that are exact whoever computes them, and float32 row by row."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.config.verbs import PRECISIONS
from charrnn.inference import products
from charrnn.inference.formats import FORMATS
from charrnn.inference.products import EXACT, FEW, LEVELS, WORTH_A_CALL, Exact8, Floats, Matrix, Plain

Integers = npt.NDArray[np.int64]

BATCHES = [*range(1, 10), 64]
# (outputs, inputs): one number; odd sizes; gates of a layer; where the scale's two bounds meet; a single row through
# torch; far more inputs than any layer has.
SHAPES = [(1, 1), (11, 13), (400, 100), (7, 1040), (3, 1041), (WORTH_A_CALL // 128, 128), (5, 5000)]
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


def random_weight(outputs: int, inputs: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).standard_normal((outputs, inputs)).astype(np.float32)


def some_outputs(rows: int, size: int, seed: int = 1) -> Floats:
    """What a layer may put out: numbers in [-1, 1], both ends among them."""
    h = np.random.default_rng(seed).uniform(-1, 1, (rows, size)).astype(np.float32)
    h[0] = np.where(h[0] < 0, -1, 1)
    return h


def integers(x: Floats) -> Integers:
    """The same numbers as integers; fails where one is none."""
    whole: Integers = x.astype(np.int64)
    assert np.array_equal(whole, x)
    return whole


def sums_by_integers(matrix: Exact8, x: Floats) -> Integers:
    """The slow, obvious product."""
    sums = [[int((integers(row) * integers(out)).sum()) for out in matrix.weight] for row in x]
    exact: Integers = np.array(sums, np.int64)
    return exact


def scaled(sums: Integers, matrix: Exact8) -> Floats:
    assert np.abs(sums).max() < EXACT
    result: Floats = sums.astype(np.float32) * matrix.scale
    return result


def largest_sums(matrix: Exact8) -> Integers:
    """What each row adds up to when all inputs are 127 with the weights' own signs."""
    sums: Integers = LEVELS * np.abs(integers(matrix.weight)).sum(axis=1)
    return sums


def accelerated(weight: Floats) -> Exact8:
    """Must really go through torch: this machine's product is right."""
    matrix = Exact8(weight)
    matrix.use_torch(True)
    assert matrix._torch is not None
    return matrix


def both_ways(weight: Floats) -> list[Exact8]:
    """By NumPy, by torch."""
    return [Exact8(weight), accelerated(weight)]


# -- 8 bits: exact ---------------------------------------------------------------------------------------------------


@every_shape
def test_products_equal_integer_arithmetic(shape: tuple[int, int]) -> None:
    matrix = Exact8(random_weight(*shape))
    for rows in (1, 2, 5):
        x = Exact8.read(some_outputs(rows, shape[1]))
        y = matrix(x)
        assert y.shape == (rows, shape[0]) and y.dtype == np.float32
        assert np.array_equal(y, scaled(sums_by_integers(matrix, x), matrix)), rows


@every_shape
def test_torch_and_numpy_give_the_same_bits_and_a_row_of_a_batch_is_what_it_is_alone(shape: tuple[int, int]) -> None:
    numpy, torch = both_ways(random_weight(*shape))
    x = Exact8.read(some_outputs(64, shape[1]))
    exact = scaled(integers(x) @ integers(numpy.weight).T, numpy)
    for matrix in (numpy, torch):
        for rows in BATCHES:
            assert np.array_equal(matrix(x[64 - rows :]), exact[64 - rows :]), (rows, matrix is torch)
        assert np.array_equal(np.vstack([matrix(row[None]) for row in x]), exact)


@every_shape
def test_the_largest_sums_are_exact(shape: tuple[int, int]) -> None:
    for matrix in both_ways(random_weight(*shape)):
        signs = np.where(matrix.weight < 0, -LEVELS, LEVELS).astype(np.float32)
        for x in (signs, -signs):
            assert np.array_equal(matrix(x), scaled(integers(x) @ integers(matrix.weight).T, matrix))


def test_a_product_is_not_changed_by_later_ones() -> None:
    matrix = accelerated(random_weight(40, 100))
    x = Exact8.read(some_outputs(9, 100))
    first = matrix(x)
    kept = first.copy()
    matrix(-x)
    matrix(x[:1])
    assert np.array_equal(first, kept)


def test_neither_weights_nor_inputs_are_changed() -> None:
    for rows in BATCHES:
        weight, h = random_weight(30, 20), some_outputs(rows, 20)
        kept_weight, kept_h = weight.copy(), h.copy()
        for matrix in both_ways(weight):
            x = Exact8.read(h)
            kept_x, scale = x.copy(), matrix.scale.copy()
            matrix(x)
            assert np.array_equal(weight, kept_weight) and np.array_equal(h, kept_h)
            assert np.array_equal(x, kept_x) and np.array_equal(matrix.scale, scale)


# -- 8 bits: what is kept of the numbers -----------------------------------------------------------------------------


@every_shape
def test_weights_are_kept_to_half_a_level_of_their_own_rows_scale(shape: tuple[int, int]) -> None:
    weight = random_weight(*shape) * np.geomspace(1e-6, 1e6, shape[0], dtype=np.float32)[:, None]
    matrix = Exact8(weight)
    level = matrix.scale.T.astype(np.float64) * LEVELS
    assert (np.abs(integers(matrix.weight)) <= LEVELS).all()
    assert (np.abs(matrix.weight * level - weight) <= 0.5001 * level).all()


def test_the_largest_weight_of_a_row_becomes_127_where_its_sums_allow() -> None:
    for inputs in (1, 8, 128, 512, 1000):
        weight = random_weight(6, inputs)
        assert (np.abs(Exact8(weight).weight).max(axis=1) == LEVELS).all(), inputs
        equal = np.full((2, inputs), -0.3, np.float32)
        assert (Exact8(equal).weight == -LEVELS).all(), inputs


@settings(deadline=None, max_examples=60)
@given(h=st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=20))
def test_an_output_is_read_as_the_nearest_of_255_levels(h: list[float]) -> None:
    given_h = np.array([h], np.float32)
    levels = integers(Exact8.read(given_h))
    assert (np.abs(levels) <= LEVELS).all()
    assert (np.abs(levels - LEVELS * given_h.astype(np.float64)) <= 0.5 + 1e-5).all()


def test_the_ends_and_zero_are_read_as_themselves() -> None:
    h = np.array([[-1, 0, 1, 0.5 / 127, 1.5 / 127, -0.51 / 127]], np.float32)
    assert Exact8.read(h).tolist() == [[-127, 0, 127, 0, 2, -1]]


@every_shape
def test_a_product_is_near_the_product_of_the_numbers_themselves(shape: tuple[int, int]) -> None:
    weight, h = random_weight(*shape), some_outputs(3, shape[1])
    matrix = Exact8(weight)
    y, expected = matrix(Exact8.read(h)), h.astype(np.float64) @ weight.astype(np.float64).T
    # Half a level off for each weight and each input, at the very worst.
    level = matrix.scale.astype(np.float64) * LEVELS
    worst = 0.51 * (np.abs(h).sum(axis=1)[:, None] * level + np.abs(weight).sum(axis=1) / LEVELS + shape[1] * level)
    assert (np.abs(y - expected) <= worst).all()


def test_a_power_of_two_scales_the_result_and_nothing_else() -> None:
    weight, x = random_weight(20, 1500), Exact8.read(some_outputs(9, 1500))
    for size in (1e-30, 1e-10, 1.0, 1e10, 1e30):
        factor = np.float32(2.0 ** round(np.log2(size)))
        for one, other in zip(both_ways(weight), both_ways(weight * factor), strict=True):
            assert np.array_equal(one.weight, other.weight), size
            assert np.array_equal(one(x) * factor, other(x)), size


def test_a_row_of_zeros_gives_zero_and_leaves_the_others_alone() -> None:
    weight, others = random_weight(6, 10), [1, 2, 3, 5]
    weight[[0, 4]] = 0
    for matrix in both_ways(weight):
        for rows in (1, 3, 9):
            x = Exact8.read(some_outputs(rows, 10))
            y = matrix(x)
            assert (y[:, [0, 4]] == 0).all()
            assert np.array_equal(y[:, others], Exact8(weight[others])(x))


def test_nothing_but_zeros_gives_zeros() -> None:
    for matrix in both_ways(np.zeros((4, 8), np.float32)):
        assert (matrix(Exact8.read(some_outputs(3, 8))) == 0).all()
    assert (Exact8(random_weight(4, 8))(np.zeros((3, 8), np.float32)) == 0).all()


def test_the_scale_of_a_row_is_its_own() -> None:
    weight = random_weight(5, 30)
    alone = [Exact8(row[None]) for row in weight]
    weight[2] *= 1000
    together = Exact8(weight)
    for row in (0, 1, 3, 4):
        assert np.array_equal(together.weight[row], alone[row].weight[0])
        assert together.scale[0, row] == alone[row].scale[0, 0]


# -- 8 bits: no sum is too large -------------------------------------------------------------------------------------

ADVERSARIES: dict[str, Callable[[int], npt.NDArray[Any]]] = {
    "all equal": lambda k: np.ones(k),
    "all equal, negative": lambda k: -np.ones(k),
    "signs alternate": lambda k: (-1.0) ** np.arange(k),
    "one large among halves of a level": lambda k: np.where(np.arange(k) == 0, 1, 0.501 / LEVELS),
    "one large among equals": lambda k: np.where(np.arange(k) == 0, 1, 0.9),
    "rounded up everywhere": lambda k: np.where(np.arange(k) == 0, 1, 100.5001 / LEVELS),
    "one alone": lambda k: (np.arange(k) == k - 1) * 1.0,
    "falling": lambda k: 1 / (1 + np.arange(k)),
    "normal": lambda k: np.random.default_rng(k).standard_normal(k),
}


@pytest.mark.parametrize("kind", list(ADVERSARIES))
def test_no_sum_reaches_what_float32_cannot_hold(kind: str) -> None:
    sizes = (1e-30, 1.0, 1e30)
    for size, inputs in itertools.product(sizes, (1, 2, 127, 512, 1039, 1040, 1041, 1042, 1100, 2048, 4999, 5000)):
        weight = (ADVERSARIES[kind](inputs)[None] * size).astype(np.float32)
        matrix = Exact8(weight)
        assert (largest_sums(matrix) < EXACT).all()
        assert (np.abs(matrix.weight) <= LEVELS).all()
        # The bound costs no more than it must: the levels that are there are used.
        assert np.abs(matrix.weight).max() == LEVELS or (largest_sums(matrix) > 0.92 * EXACT).all()


@settings(deadline=None, max_examples=80)
@given(
    inputs=st.integers(1, 5000),
    seed=st.integers(0, 2**32),
    evenness=st.sampled_from([0.0, 0.02, 0.3, 1.0, 5.0]),
)
def test_no_sum_of_any_row_reaches_it_either(inputs: int, seed: int, evenness: float) -> None:
    noise = np.random.default_rng(seed).standard_normal((3, inputs))
    matrix = Exact8((1 + evenness * noise).astype(np.float32))
    assert (largest_sums(matrix) < EXACT).all()


def test_many_equal_weights_are_exact_in_every_order_of_adding_up() -> None:
    matrix = Exact8(np.ones((2, 5000), np.float32))
    x = np.full((1, 5000), LEVELS, np.float32)
    (sum_, _) = sums_by_integers(matrix, x)[0].tolist()
    assert 0.92 * EXACT < sum_ < EXACT
    one_after_another = np.add.accumulate(matrix.weight[0] * x[0], dtype=np.float32)
    assert one_after_another[-1] == sum_
    for rows in BATCHES:
        exact = scaled(np.full((rows, 2), sum_), matrix)
        assert np.array_equal(matrix(x.repeat(rows, axis=0)), exact)
        assert np.array_equal(accelerated(np.ones((2, 5000), np.float32))(x.repeat(rows, axis=0)), exact)


# -- torch, where it is right ----------------------------------------------------------------------------------------


Spoil = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], None]


def pretend(monkeypatch: pytest.MonkeyPatch, spoil: Spoil) -> None:
    """A torch whose product of 8-bit integers is spoilt."""

    def int_mm(x: torch.Tensor, weight: torch.Tensor, *, out: torch.Tensor) -> None:
        spoil(x, weight, out)

    monkeypatch.setattr(torch, "_int_mm", int_mm)


def right(x: torch.Tensor, weight: torch.Tensor, out: torch.Tensor) -> None:
    out.copy_(x.int() @ weight.int())


def saturating(x: torch.Tensor, weight: torch.Tensor, out: torch.Tensor) -> None:
    """As processors without the instruction for it do: pairs of products of x + 128 are added up in 16 bits."""
    products = (x.int() + 128)[:, :, None] * weight.int()
    pairs = (products[:, ::2] + products[:, 1::2]).clamp(-(2**15), 2**15 - 1)
    out.copy_(pairs.sum(dim=1) - 128 * weight.int().sum(dim=0))


def off_by_one(x: torch.Tensor, weight: torch.Tensor, out: torch.Tensor) -> None:
    right(x, weight, out)
    out[-1, -1] += 1


def doing_nothing(x: torch.Tensor, weight: torch.Tensor, out: torch.Tensor) -> None:
    out.fill_(7)


def clipped(x: torch.Tensor, weight: torch.Tensor, out: torch.Tensor) -> None:
    right(x, weight, out)
    out.clamp_(-(2**15), 2**15)


def wrong_for_many_rows(x: torch.Tensor, weight: torch.Tensor, out: torch.Tensor) -> None:
    right(x, weight, out)
    out += len(x) >= FEW.stop


@pytest.mark.parametrize("spoil", [saturating, off_by_one, doing_nothing, clipped, wrong_for_many_rows])
def test_a_torch_whose_product_is_wrong_is_refused(spoil: Spoil, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, spoil)
    for seed in range(5):
        weight, x = random_weight(40, 64, seed), Exact8.read(some_outputs(9, 64))
        matrix, untouched = Exact8(weight), Exact8(weight)
        matrix.use_torch(True)
        assert matrix._torch is None, seed
        for rows in (1, 2, 9):
            assert np.array_equal(matrix(x[:rows]), untouched(x[:rows]))


def test_a_torch_whose_product_is_right_is_used_where_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    small, large = (random_weight(outputs, 64) for outputs in (40, WORTH_A_CALL // 64))
    calls: list[int] = []

    def counting(x: torch.Tensor, weight: torch.Tensor, out: torch.Tensor) -> None:
        calls.append(len(x))
        right(x, weight, out)

    def asked(matrix: Exact8, rows: int) -> list[int]:
        calls.clear()
        matrix(Exact8.read(some_outputs(rows, 64)))
        return list(calls)

    pretend(monkeypatch, counting)
    for weight, alone in ((small, []), (large, [1])):
        matrix = Exact8(weight)
        assert asked(matrix, 3) == []
        matrix.use_torch(True)
        assert asked(matrix, 1) == alone
        assert asked(matrix, 3) == [1, 1, 1]
        assert asked(matrix, 9) == [9]
        matrix.use_torch(False)
        assert asked(matrix, 9) == []


def test_torch_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = accelerated(random_weight(4, 8))
    product = matrix._torch
    pretend(monkeypatch, doing_nothing)
    refused = Exact8(random_weight(4, 8))
    for wanted in (True, False, True):
        matrix.use_torch(wanted)
        refused.use_torch(wanted)
    assert matrix._torch is product and refused._torch is None


# -- float32 ---------------------------------------------------------------------------------------------------------


@every_shape
def test_plain_products_are_the_products(shape: tuple[int, int]) -> None:
    weight = random_weight(*shape)
    for rows in (1, 2, 9):
        h = some_outputs(rows, shape[1])
        y = Plain(weight)(Plain.read(h))
        assert y.shape == (rows, shape[0]) and y.dtype == np.float32
        expected = h.astype(np.float64) @ weight.astype(np.float64).T
        assert np.allclose(y, expected, rtol=0, atol=1e-6 * shape[1])


@every_shape
def test_a_plain_row_of_a_batch_is_what_it_is_alone(shape: tuple[int, int]) -> None:
    matrix, h = Plain(random_weight(*shape)), some_outputs(64, shape[1])
    alone = np.vstack([matrix(row[None]) for row in h])
    for rows in BATCHES:
        # At whatever address a row begins.
        assert np.array_equal(matrix(h[64 - rows :]), alone[64 - rows :])


def test_plain_weights_may_lie_in_any_order_in_memory() -> None:
    weight, h = random_weight(30, 20), some_outputs(3, 20)
    assert np.array_equal(Plain(np.asfortranarray(weight))(h), Plain(weight)(h))


def test_plain_is_left_as_it_is_by_torch_and_changes_nothing_given() -> None:
    weight, h = random_weight(30, 20), some_outputs(3, 20)
    kept_weight, kept_h = weight.copy(), h.copy()
    matrix = Plain(weight)
    before = matrix(h)
    matrix.use_torch(True)
    assert np.array_equal(matrix(h), before)
    assert np.array_equal(weight, kept_weight) and np.array_equal(h, kept_h)


def test_the_table_of_precisions() -> None:
    assert (FORMATS["int8"].matrix, FORMATS["fp32"].matrix) == (Exact8, Plain) and {*PRECISIONS} < {*FORMATS}
    assert all(issubclass(one.matrix, Matrix) for one in FORMATS.values())
    assert set(products.FEW) < set(BATCHES) and max(products.FEW) < max(BATCHES)
