"""The number format that is the same on every machine: near the model's own numbers, and the same for any row."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from charrnn.inference import tables
from charrnn.inference.engine import open_engine
from charrnn.inference.formats import INT8, WIDE
from charrnn.inference.integer import IntegerOperations, Wide8, integer_mixture, integer_shares
from charrnn.inference.operations import NumpyOperations, ensemble_logits
from charrnn.inference.products import EXACT, LEVELS, Exact8, Floats
from charrnn.models.cells import CELLS
from charrnn.models.ensemble import Network
from charrnn.models.weights import bounded
from charrnn.training.int8_check import arrays
from tests.cases import each
from tests.test_engine import SHAPES, same_bits, some_tokens, step_through, tiny

ONE = 1 << 96
TABLES = [
    (tables.sigmoid, lambda x: 1 / (1 + math.exp(-x)), -16, 16),
    (tables.tanh, math.tanh, -8, 8),
    (tables.exp, math.exp, -32, 0),
    (tables.log_one_plus_exp, lambda x: math.log1p(math.exp(x)), -32, 0),
    (tables.log_of_half_to_one, math.log, 0.5, 1),
]


@each("table, function, first, last", TABLES)
def test_tables_hold_the_functions(table: Any, function: Any, first: float, last: float) -> None:
    grid = np.linspace(first, last, tables.POINTS + 1)
    found = table()(grid.astype(np.float32))
    assert found.dtype == np.float32
    assert np.abs(found - np.array([function(x) for x in grid])).max() <= 2**-24
    beyond = table()(np.array([first - 1, first - 1e9, last + 1, last + 1e30], np.float32))
    assert beyond.tolist() == [found[0], found[0], found[-1], found[-1]]


def test_the_nearest_entry_counts_in_arrays_of_any_shape() -> None:
    x = np.random.default_rng(0).normal(size=(3, 40_000), scale=3).astype(np.float32)
    table = tables.tanh()
    nearest = np.floor(x.astype(np.float64) * 2048 + tables.POINTS / 2 + 0.5).clip(0, tables.POINTS).astype(int)
    assert (np.abs(table(x) - table.values[nearest]) <= 2**-11).all()
    assert np.abs(table(x) - np.tanh(x)).max() < 3e-4
    assert np.array_equal(table(x[:, ::2]), table(x)[:, ::2]) and table(x[:0]).shape == (0, 40_000)


def exponentials() -> list[int]:
    """e^(-i / 1024) for i = 0 … 2^15 with 96 fractional bits, by whole numbers alone: the series, then products."""
    ratio, term, number = 0, ONE, 0
    while term:
        ratio += -term if number % 2 else term
        number += 1
        term //= 1024 * number
    found = [ONE]
    for _ in range(tables.POINTS):
        found.append(found[-1] * ratio >> 96)
    return found


@pytest.mark.slow
def test_no_library_rounds_an_entry_the_other_way() -> None:
    """By whole numbers: each entry is the nearest, and what a library is wrong by, some 1e-16, does not matter."""
    powers = exponentials()
    half = powers[: tables.POINTS // 2 + 1]
    rising = [(ONE - p << 96) // (ONE + p) for p in half]
    exact = {
        tables.exp: list(reversed(powers)),
        tables.sigmoid: [(p << 96) // (ONE + p) for p in reversed(half)] + [(ONE << 96) // (ONE + p) for p in half[1:]],
        tables.tanh: [-number for number in reversed(rising[1:])] + rising,
    }
    for table, numbers in exact.items():
        scaled = [Fraction(number, 1 << 72) for number in numbers]  # in units of 2^-24
        entries = [Fraction(float(value)) * (1 << 24) for value in table().values]
        off = [abs(number - entry) for number, entry in zip(scaled, entries, strict=True)]
        assert max(off) < Fraction(1, 2) - Fraction(1, 10**7), table


def test_relative_probabilities_are_exponentials() -> None:
    x = -np.random.default_rng(5).exponential(8, 5000)
    found = tables.relative(x)
    assert np.abs(found / np.exp(x) - 1)[x > -44].max() < 3e-14
    assert tables.relative(np.array([0.0, -45, -1e300, -np.inf])).tolist() == [1.0, 0.0, 0.0, 0.0]
    assert abs(tables.powers()[512] ** 2 - 0.5) < 2e-16 and tables.all_powers()[1024] == 0.5


def test_what_is_added_up_is_exact() -> None:
    rng = np.random.default_rng(1)
    weight = rng.normal(size=(7, 4000)).astype(np.float32)
    weight[3] = 1  # 4000 times 127 times 127 is beyond what float32 holds
    matrix = Exact8(weight)
    assert (np.abs(matrix.weight).astype(np.int64).sum(axis=1) * LEVELS <= EXACT).all()
    assert np.abs(matrix.weight[3]).max() <= 64 and np.abs(matrix.weight[0]).max() >= 64
    x = np.rint(np.ones((2, 4000), np.float32) * LEVELS)
    expected = (x.astype(np.int64) @ matrix.weight.T.astype(np.int64)).astype(np.float32) * matrix.scale
    assert np.array_equal(matrix(x), expected)


def test_what_has_no_bounds_is_multiplied_in_two_digits() -> None:
    rng = np.random.default_rng(2)
    weight, x = rng.normal(size=(30, 50)).astype(np.float32), rng.normal(size=(5, 50)).astype(np.float32)
    x *= np.array([[1e-6], [1], [1e6], [0], [3]], np.float32)
    matrix = Wide8(weight)
    rounded = matrix.weight * matrix.scale.T * LEVELS
    assert (np.abs(matrix(x) - x @ rounded.T) <= 1e-3 * np.abs(x).max(axis=1, keepdims=True)).all()
    table = Exact8.table(x[1:], weight)
    assert np.allclose(table, x[1:] @ weight.T, rtol=1e-4, atol=1e-4 * np.abs(x[1:]).max())


@each("name", ["sigmoid", "tanh", "log_sigmoid", "exp"])
def test_functions_are_those_of_the_formulas(name: str) -> None:
    x = np.random.default_rng(3).normal(size=(4, 300), scale=5).astype(np.float32)
    x = -np.abs(x) if name == "exp" else x
    integer, plain = (getattr(operations, name)(x) for operations in (IntegerOperations, NumpyOperations))
    assert np.abs(integer - plain).max() < 6e-4


def test_normalisation_is_that_of_the_formulas() -> None:
    rng = np.random.default_rng(4)
    x, gain, bias = (rng.normal(size=(rows, 64)).astype(np.float32) for rows in (6, 1, 1))
    x *= np.array([[1e-4], [1], [100], [1], [0], [1]], np.float32)
    for shift in (None, bias):
        expected = NumpyOperations.normalise(x, gain, shift)
        assert np.allclose(IntegerOperations.normalise(x, gain, shift), expected, atol=1e-4)


def test_the_mixture_is_the_mean_of_probabilities() -> None:
    logits = [np.random.default_rng(seed).normal(size=(5, 80), scale=3).astype(np.float32) for seed in range(3)]
    expected = np.exp(ensemble_logits(logits))
    assert np.abs(np.exp(integer_mixture(logits)) - expected).max() < 1e-3
    shares = integer_shares(logits[0])
    assert (shares == np.rint(shares)).all() and (shares.max(axis=1) == 2**24).all()


def logits_of(model: Network, precision: str, tokens: Any, torch_sums: bool = False) -> tuple[Floats, Any]:
    engine = open_engine(model.config, arrays(model), precision)
    for matrix in engine.matrices:
        matrix.use_torch(torch_sums)
    return step_through(engine, tokens, engine.initial_state(len(tokens)))


@each("cell", list(CELLS))
def test_every_cell_gives_nearly_the_models_probabilities(cell: str) -> None:
    for number, shape in enumerate(SHAPES):
        if cell != "lstm" and (number + len(cell)) % 3:
            continue
        model = tiny(cell=cell, **shape)
        precision = INT8 if bounded(model.config) else WIDE
        tokens = some_tokens(9, 12)
        found, _ = logits_of(model, precision, tokens)
        by_torch = model(torch.from_numpy(tokens), model.initial_states(9))[0].detach().numpy()
        p, q = (np.exp(each - each.max(axis=-1, keepdims=True)) for each in (found, by_torch))
        assert np.abs(p / p.sum(axis=-1, keepdims=True) - q / q.sum(axis=-1, keepdims=True)).max() < 0.02, shape


@each("cell", list(CELLS))
def test_every_cell_gives_the_same_bits_to_a_row_alone_and_by_torch(cell: str) -> None:
    model = tiny(cell=cell, **({"ensemble": 2} if cell in ("gru", "slstm") else {}))
    precision = INT8 if bounded(model.config) else WIDE
    tokens = some_tokens(9, 6)
    together = logits_of(model, precision, tokens)
    assert same_bits(together, logits_of(model, precision, tokens, torch_sums=True))
    for row in (0, 8):
        alone, _ = logits_of(model, precision, tokens[row : row + 1])
        assert alone.tobytes() == together[0][row : row + 1].tobytes()


def test_a_format_that_is_none_is_refused() -> None:
    with pytest.raises(KeyError):
        logits_of(tiny(), "int4", some_tokens(1, 1))
