"""What holds of every processor in the registry, which symbols each keeps, and what may be drawn from those."""

import copy
import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.config.fields import Field, kinds
from charrnn.config.fields import setting as setting_of
from charrnn.generation.config import SampleConfig
from charrnn.generation.drawing import draw, log_probabilities
from charrnn.generation.processors import (
    PROCESSORS,
    Grammar,
    MinP,
    Processor,
    RepetitionPenalty,
    Temperature,
    TopK,
    TopP,
    compose,
)
from charrnn.generation.sequence import TextSequence
from charrnn.text.tokenizers.char import CharTokenizer
from tests.laws.twins import processors as twins

Logits = npt.NDArray[np.float64]

INF = math.inf
LN2 = math.log(2)
LETTERS = CharTokenizer("abcdefghijklmnop")


def name_of(processor: type[Processor]) -> str:
    name, _, _ = processor.options[0]
    return name


DECLARED = {field.name: field for field in dataclasses.fields(SampleConfig)}
OPTIONS = [name for processor in PROCESSORS for name, _, _ in processor.options]
# A grammar has an alphabet of its own: tests/test_smiles.py.
OF_ANY_ALPHABET = [processor for processor in PROCESSORS if processor is not Grammar]
every_processor = pytest.mark.parametrize("processor", OF_ANY_ALPHABET, ids=name_of)


# -- cases, from the registry's own ranges ---------------------------------------------------------------------------


# Of the four symbols that rows of logits here have, those that are named stay.
SOME: dict[str, list[Any]] = {
    "allow": [("abcd",), ("ab", "cdef")], "ban": [("ef",), ("p",)],
    "match": [("[a-d]+",), ("(?!e).*", "([a-m]{2})*[^n]?")], "lines": [1], "min_length": [9], "sampler": ["masked"],
}  # fmt: skip


def values(field: Field, *, inside: bool = False) -> list[Any]:
    """Values all over an option's range, its ends among them unless it must be `inside`."""
    if field.name in SOME:
        return SOME[field.name]
    within = setting_of(field).range
    assert within is not None
    if int in kinds(field):
        return [1, 3, 10**9]
    found, ends = [0.0321, 0.123, 0.654, 0.876, 1.1, 2.0, 4.7], [0.0, 1e-9, 1.0, 1 + 1e-9, 1e300]
    return [value for value in (found if inside else found + ends) if value in within]


def settings_of(processor: type[Processor], *, inside: bool = False) -> Iterator[tuple[Any, ...]]:
    """The values of all its options, in many combinations; but the first, an option may be off."""
    first, *others = (DECLARED[name] for name, _, _ in processor.options)
    return itertools.product(values(first, inside=inside), *([None, *values(option)] for option in others))


def built(processor: type[Processor], setting: tuple[Any, ...]) -> Processor:
    options: dict[str, Any] = {name: value for (name, _, _), value in zip(processor.options, setting, strict=True)}
    found = processor.build(SampleConfig(**options), LETTERS)
    assert isinstance(found, processor)
    return found


def sequences(one: Processor | None, rows: list[list[int]]) -> list[TextSequence]:
    chain = [] if one is None else [one]
    return [TextSequence(row, ids, LETTERS, SampleConfig(), chain) for row, ids in enumerate(rows)]


def table(*rows: list[float]) -> Logits:
    return np.array(rows, np.float64)


def uniforms(*numbers: float) -> npt.NDArray[np.float64]:
    return np.array(numbers, np.float64)


def apply(one: Processor, logits: list[float], used: list[int] | None = None) -> list[float]:
    (row,) = one(table(logits), sequences(one, [used or []])).tolist()
    assert isinstance(row, list)
    return row


def chained(config: SampleConfig, logits: Logits, rows: list[list[int]]) -> Logits:
    for one in compose(config, LETTERS):
        logits = one(logits, sequences(one, rows))
    return logits


def kept_of(row: list[float]) -> list[int]:
    return [place for place, value in enumerate(row) if value != -INF]


def survivors(one: Processor, logits: list[float]) -> list[int]:
    """The places that stay; those must have kept their logits."""
    left = apply(one, logits)
    kept = kept_of(left)
    assert [left[place] for place in kept] == [logits[place] for place in kept]
    return kept


def logs(*weights: float) -> list[float]:
    return [math.log(weight) if weight else -INF for weight in weights]


# Quarters make ties common; -inf is what an earlier processor dropped.
quarters = st.integers(-40, 40).map(lambda number: number / 4)
rows_of_logits = st.lists(
    st.lists(st.one_of(quarters, st.just(-INF)), min_size=4, max_size=4).filter(lambda row: max(row) > -INF),
    min_size=1,
    max_size=4,
)
some_ids = st.lists(st.lists(st.integers(0, 3), max_size=6), min_size=4, max_size=4)


# -- laws ------------------------------------------------------------------------------------------------------------


@every_processor
@settings(deadline=None, max_examples=12)
@given(rows=rows_of_logits, ids=some_ids)
def test_something_of_each_row_stays_nothing_comes_back_and_nothing_given_is_changed(
    processor: type[Processor], rows: list[list[float]], ids: list[list[int]]
) -> None:
    logits = table(*rows)
    for setting in settings_of(processor):
        one = built(processor, setting)
        given_rows = sequences(one, ids[: len(rows)])
        before = logits.copy(), [(row.ids.copy(), row.states.copy()) for row in given_rows]
        left = one(logits, given_rows)
        assert left.shape == logits.shape and left.dtype == np.float64, setting
        assert not np.isnan(left).any(), setting
        assert (left.max(axis=1) > -INF).all(), setting
        assert (left[logits == -INF] == -INF).all(), setting
        assert np.array_equal(logits, before[0]), setting
        assert [(row.ids, row.states) for row in given_rows] == before[1], setting


@every_processor
@settings(deadline=None, max_examples=12)
@given(rows=rows_of_logits, ids=some_ids)
def test_a_row_is_processed_alone_as_in_a_batch(
    processor: type[Processor], rows: list[list[float]], ids: list[list[int]]
) -> None:
    logits = table(*rows)
    for setting in settings_of(processor):
        one = built(processor, setting)
        together = one(logits, sequences(one, ids[: len(rows)]))
        for row in range(len(rows)):
            assert np.array_equal(one(logits[[row]], sequences(one, [ids[row]])), together[[row]]), setting


@every_processor
@settings(deadline=None, max_examples=12)
@given(rows=rows_of_logits)
def test_of_what_stays_the_likelier_stays_the_likelier_where_nothing_came_before(
    processor: type[Processor], rows: list[list[float]]
) -> None:
    for setting, row in itertools.product(settings_of(processor), rows):
        left = apply(built(processor, setting), row)
        for one, other in itertools.permutations(kept_of(left), 2):
            assert left[one] >= left[other] or row[one] < row[other], setting


@every_processor
@settings(deadline=None, max_examples=40)
@given(
    logits=st.lists(st.floats(-6, 6).map(lambda value: round(value, 2)), min_size=4, max_size=9),
    ids=st.lists(st.integers(0, 3), max_size=9),
)
def test_a_processor_is_its_twin(processor: type[Processor], logits: list[float], ids: list[int]) -> None:
    twin: Callable[..., list[float]] = getattr(twins, name_of(processor))
    for setting in settings_of(processor, inside=True):
        found, expected = apply(built(processor, setting), logits, ids), twin(logits, ids, *setting)
        assert kept_of(found) == kept_of(expected), setting
        assert found == pytest.approx(expected, rel=1e-12), setting


@every_processor
def test_off_is_absent(processor: type[Processor]) -> None:
    off: dict[str, Any] = dict.fromkeys(OPTIONS, None)
    assert compose(SampleConfig(**off), LETTERS) == []
    for setting in settings_of(processor):
        on: dict[str, Any] = {name: value for (name, _, _), value in zip(processor.options, setting, strict=True)}
        (one,) = compose(SampleConfig(**{**off, **on}), LETTERS)
        assert type(one) is processor


@every_processor
def test_a_state_is_not_changed_by_what_comes_after_it(processor: type[Processor]) -> None:
    for setting in settings_of(processor):
        one = built(processor, setting)
        state = one.start([0, 1, 2])
        before = copy.deepcopy(state)
        one.advance(state, 3, -1.0)
        assert state == before, setting


# -- one at a time ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("logits", "k", "kept"),
    [
        ([1, 3, 2, 0], 1, [1]),
        ([1, 3, 2, 0], 2, [1, 2]),
        ([1, 3, 2, 0], 3, [0, 1, 2]),
        ([1, 3, 2, 0], 4, [0, 1, 2, 3]),
        ([1, 3, 2, 0], 5, [0, 1, 2, 3]),
        ([1, 3, 2, 0], 10**9, [0, 1, 2, 3]),
        ([-5, -1, -3], 1, [1]),
        ([2, 2, 2, 2], 2, [0, 1]),
        ([1, 2, 2, 2], 2, [1, 2]),
        ([2, 1, 2, 2], 2, [0, 2]),
        ([-INF, 0, -INF, 1], 3, [1, 3]),
    ],
)
def test_top_k_keeps_the_k_likeliest_and_the_first_of_equals(logits: list[float], k: int, kept: list[int]) -> None:
    assert survivors(TopK(k), logits) == kept


@pytest.mark.parametrize(
    ("logits", "p", "kept"),
    [
        (logs(5, 3, 2), 0.49, [0]),
        (logs(5, 3, 2), 0.51, [0, 1]),
        (logs(5, 3, 2), 0.79, [0, 1]),
        (logs(5, 3, 2), 0.81, [0, 1, 2]),
        (logs(2, 3, 5), 0.51, [1, 2]),
        (logs(2, 5, 3), 0.01, [1]),
        (logs(5, 3, 2), 1.0, [0, 1, 2]),
        (logs(1e-12, 1, 1e-9), 1.0, [0, 1, 2]),
        ([0, 0, 0, 0], 0.25, [0]),
        ([0, 0, 0, 0], 0.26, [0, 1]),
        ([0, 0, 0, 0], 0.5, [0, 1]),
        ([7, 7, 7, 7], 0.75, [0, 1, 2]),
        ([7, 7, 7, 7], 1.0, [0, 1, 2, 3]),
        ([0, -INF, 0, -INF], 0.5, [0]),
        ([0, -INF, 0, -INF], 1.0, [0, 2]),
        ([0, 1000, 0], 0.99, [1]),
    ],
)
def test_top_p_keeps_the_smallest_set_that_reaches_p(logits: list[float], p: float, kept: list[int]) -> None:
    assert survivors(TopP(p), logits) == kept


@pytest.mark.parametrize(
    ("logits", "p", "kept"),
    [
        (logs(8, 4, 1), 0.51, [0]),
        (logs(8, 4, 1), 0.49, [0, 1]),
        (logs(8, 4, 1), 0.13, [0, 1]),
        (logs(8, 4, 1), 0.12, [0, 1, 2]),
        (logs(1, 8, 4), 0.3, [1, 2]),
        (logs(8, 4, 1), 1.0, [0]),
        (logs(8, 1, 8), 1.0, [0, 2]),
        ([3, 3, 3, 3], 1.0, [0, 1, 2, 3]),
        ([3, 3, 3, 3], 0.5, [0, 1, 2, 3]),
        ([-INF, 0, -INF], 1.0, [1]),
        ([0, 1000, 0], 1e-9, [1]),
        ([-1000, -1001, -1100], 0.1, [0, 1]),
    ],
)
def test_min_p_keeps_what_is_at_least_p_times_as_likely(logits: list[float], p: float, kept: list[int]) -> None:
    assert survivors(MinP(p), logits) == kept


@pytest.mark.parametrize(
    ("t", "expected"), [(1.0, [1, -2, 4]), (2.0, [0.5, -1, 2]), (0.5, [2, -4, 8]), (0.25, [4, -8, 16])]
)
def test_temperature_divides(t: float, expected: list[float]) -> None:
    assert apply(Temperature(t), [1, -2, 4]) == expected


@pytest.mark.parametrize(
    ("logits", "best"),
    [([1, 3, 2], 1), ([-5, -9, -7], 0), ([1, 3, 3], 1), ([2, 2, 2, 2], 0), ([-INF, -INF, -800], 2), ([0, 0, 1e-12], 2)],
)
def test_temperature_zero_leaves_the_likeliest_alone_the_first_of_equals(logits: list[float], best: int) -> None:
    left = apply(Temperature(0), logits)
    assert [place for place, value in enumerate(left) if value != -INF] == [best]
    assert math.isfinite(left[best])


@pytest.mark.parametrize("t", [1e-3, 1e-100, 1e-308, 5e-324])
@pytest.mark.parametrize("logits", [[-20.0, -21.0, -22.0], [22.0, 21.0, 20.0]])
def test_a_temperature_near_zero_chooses_as_zero_does(t: float, logits: list[float]) -> None:
    left = table(apply(Temperature(t), logits))
    for uniform in (0.0, 0.5, 0.999):
        assert draw(left, uniforms(uniform)).tolist() == [0]


@pytest.mark.parametrize(
    ("used", "window", "expected"),
    [
        ([], 64, [4, -4, 0, 1]),
        ([0], 64, [2, -4, 0, 1]),
        ([1], 64, [4, -8, 0, 1]),
        ([0, 1, 2, 3], 64, [2, -8, 0, 0.5]),
        ([0, 1, 1], 2, [4, -8, 0, 1]),
        ([0, 1, 3], 1, [4, -4, 0, 0.5]),
        ([0] + [2] * 63, 64, [2, -4, 0, 1]),
        ([0] + [2] * 64, 64, [4, -4, 0, 1]),
        ([0] + [2] * 64, None, [2, -4, 0, 1]),
        ([1, 0], 9, [2, -8, 0, 1]),
    ],
)
def test_the_penalty_makes_symbols_used_within_its_window_less_likely(
    used: list[int], window: int | None, expected: list[float]
) -> None:
    assert apply(RepetitionPenalty(2.0, window), [4, -4, 0, 1], used) == expected


def test_a_penalty_of_one_changes_nothing_and_dropped_symbols_stay_dropped() -> None:
    assert apply(RepetitionPenalty(1.0), [4, -4, -INF], [0, 1, 2]) == [4, -4, -INF]
    assert apply(RepetitionPenalty(2.0), [4, -4, -INF], [2]) == [4, -4, -INF]


@pytest.mark.parametrize("one", [Temperature(1.0), TopK(4), TopP(1.0), MinP(1e-12)])
def test_a_processor_at_its_loosest_changes_nothing(one: Processor) -> None:
    logits = [0.3, -1.2, 2.5, 0.3]
    assert apply(one, logits) == logits


# -- the order of the chain ------------------------------------------------------------------------------------------


def test_the_order_is_penalty_temperature_top_k_top_p_min_p() -> None:
    known = ["repetition_penalty", "temperature", "top_k", "top_p", "min_p"]
    assert [name for name in map(name_of, PROCESSORS) if name in known] == known
    config = SampleConfig(temperature=0.7, top_k=4, top_p=0.9, min_p=0.2, repetition_penalty=1.3, repetition_window=3)
    assert [name_of(type(one)) for one in compose(config, LETTERS)] == known
    logits = expected = np.random.default_rng(0).standard_normal((200, 8)) * 2
    ids = [[row % 8, row % 5, row % 3, row % 7] for row in range(200)]
    for one in (RepetitionPenalty(1.3, 3), Temperature(0.7), TopK(4), TopP(0.9), MinP(0.2)):
        expected = one(expected, sequences(one, ids))
    assert np.array_equal(chained(config, logits, ids), expected)


@pytest.mark.parametrize(
    ("options", "logits", "used", "kept"),
    [
        # The penalty comes before the greedy choice: 4 falls to 2, below 3.
        ({"temperature": 0, "repetition_penalty": 2.0}, [4, 3, 1], [0], [1]),
        # Temperature before top-p: weights 4 : 1 grow from 2 : 1 and the first reaches 0.7 alone.
        ({"temperature": 0.5, "top_p": 0.7}, [LN2, 0], [], [0]),
        # Temperature before min-p: a quarter is below 0.4, a half is not.
        ({"temperature": 0.5, "min_p": 0.4}, [LN2, 0], [], [0]),
        # Top-k before top-p: of the two left the first has 5/9 and suffices; of all three it has a half.
        ({"temperature": 1.0, "top_k": 2, "top_p": 0.55}, logs(5, 4, 1), [], [0]),
        # The penalty before top-k.
        ({"temperature": 1.0, "top_k": 1, "repetition_penalty": 2.0}, [4, 3, 1], [0], [1]),
    ],
)
def test_an_earlier_processor_decides_what_a_later_one_sees(
    options: dict[str, Any], logits: list[float], used: list[int], kept: list[int]
) -> None:
    (left,) = chained(SampleConfig(**options), table(logits), [used]).tolist()
    assert kept_of(left) == kept


# -- draw ------------------------------------------------------------------------------------------------------------

ALMOST_ONE = 1 - 2.0**-53


@pytest.mark.parametrize(
    ("uniform", "symbol"),
    [(0.0, 0), (0.2499, 0), (0.25, 1), (0.4999, 1), (0.5, 2), (0.74, 2), (0.75, 3), (ALMOST_ONE, 3)],
)
def test_draw_inverts_the_cumulative_distribution(uniform: float, symbol: int) -> None:
    for rows in (1, 3):  # one row alone is drawn in another way
        assert draw(table(*[[0.0] * 4] * rows), uniforms(*[uniform] * rows)).tolist() == [symbol] * rows, rows


@pytest.mark.parametrize("symbols", [3, 10, 65, 256, 1000])
def test_the_largest_uniform_draws_the_last_symbol_though_the_sum_of_all_is_rounded(symbols: int) -> None:
    last = uniforms(ALMOST_ONE)
    assert draw(table([0.0] * symbols), last).tolist() == [symbols - 1]
    assert draw(table([0.0] * symbols + [-INF]), last).tolist() == [symbols - 1]


def test_a_rare_symbol_is_drawn_where_its_turn_comes() -> None:
    # Its share of the line from 0 to 1 is the last 9.4e-14.
    before, within = 1 - 1.1e-13, 1 - 0.8e-13
    assert draw(table([0, -30], [0, -30]), uniforms(before, within)).tolist() == [0, 1]


def test_each_row_is_drawn_by_its_own_uniform() -> None:
    logits = table(logs(1, 1), logs(3, 1), logs(1, 3))
    drawn = draw(logits, uniforms(0.6, 0.6, 0.2))
    assert drawn.tolist() == [1, 0, 0]
    assert drawn.dtype == np.int64


def test_drawing_leaves_its_input_untouched_and_gives_a_row_the_same_alone_as_in_a_batch() -> None:
    rng = np.random.default_rng(0)
    logits, places = rng.standard_normal((50, 70)) * 3, rng.random(50)
    kept_logits, kept_places = logits.copy(), places.copy()
    drawn = draw(logits, places)
    assert np.array_equal(logits, kept_logits) and np.array_equal(places, kept_places)
    assert drawn.tolist() == [draw(logits[row : row + 1], places[row : row + 1]).item() for row in range(50)]


@pytest.mark.parametrize("weights", [(1, 2, 3, 4), (0, 1, 0, 9), (100, 1, 1, 0), (1, 1, 1, 1)])
def test_an_even_grid_of_uniforms_gives_the_frequencies_of_softmax(weights: tuple[float, ...]) -> None:
    grid = (np.arange(10_000) + 0.5) / 10_000
    drawn = draw(table(logs(*weights)).repeat(10_000, axis=0), grid)
    for symbol, weight in enumerate(weights):
        assert abs(int((drawn == symbol).sum()) - 10_000 * weight / sum(weights)) <= 1


def test_random_uniforms_give_frequencies_within_their_error() -> None:
    weights, count = (1, 2, 3, 4), 20_000
    drawn = draw(table(logs(*weights)).repeat(count, axis=0), np.random.default_rng(0).random(count))
    for symbol, weight in enumerate(weights):
        p = weight / sum(weights)
        assert abs(float((drawn == symbol).mean()) - p) < 4 * math.sqrt(p * (1 - p) / count)


@settings(deadline=None, max_examples=200)
@given(
    logits=st.lists(st.one_of(st.floats(-800, 800), st.just(-INF)), min_size=1, max_size=9).filter(
        lambda row: max(row) > -INF
    ),
    uniform=st.one_of(st.floats(0, 1, exclude_max=True), st.sampled_from([0.0, 5e-324, ALMOST_ONE])),
)
def test_a_symbol_of_probability_zero_is_never_drawn(logits: list[float], uniform: float) -> None:
    (symbol,) = draw(table(logits), uniforms(uniform)).tolist()
    assert 0 <= symbol < len(logits)
    assert math.exp(logits[symbol] - max(logits)) > 0


@settings(deadline=None, max_examples=60)
@given(logits=st.lists(st.one_of(st.floats(-800, 800), st.just(-INF)), min_size=3, max_size=3))
def test_log_probabilities_are_the_logarithms_of_softmax(logits: list[float]) -> None:
    row = [0.0, *logits]
    total = math.log(math.fsum(math.exp(value - max(row)) for value in row)) + max(row)
    found = log_probabilities(table(*[row] * 4), np.arange(4))
    assert found.tolist() == pytest.approx([value - total for value in row], abs=1e-9)
