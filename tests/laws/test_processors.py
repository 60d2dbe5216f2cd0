"""Which symbols survive each filter, and what may be drawn from those."""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.config import SampleConfig
from charrnn.generation.processors import (
    Filter,
    History,
    Logits,
    compose,
    draw,
    min_p,
    repetition_penalty,
    temperature,
    top_k,
    top_p,
)

INF = math.inf
LN2 = math.log(2)

FILTERS: dict[str, Filter] = {
    "penalty": repetition_penalty(1.5),
    "warm": temperature(2.0),
    "cold": temperature(0.1),
    "greedy": temperature(0.0),
    "top_k 1": top_k(1),
    "top_k 3": top_k(3),
    "top_k 99": top_k(99),
    "top_p tiny": top_p(1e-9),
    "top_p half": top_p(0.5),
    "top_p 1": top_p(1.0),
    "min_p tiny": min_p(1e-9),
    "min_p half": min_p(0.5),
    "min_p 1": min_p(1.0),
    "all": compose(SampleConfig(temperature=0.7, top_k=4, top_p=0.9, min_p=0.05, repetition_penalty=1.3)),
}
every_filter = pytest.mark.parametrize("name", list(FILTERS))


def table(*rows: list[float]) -> Logits:
    return np.array(rows, np.float64)


def uniforms(*numbers: float) -> npt.NDArray[np.float64]:
    return np.array(numbers, np.float64)


def apply(one: Filter, logits: list[float], used: list[int] | None = None) -> list[float]:
    history = np.zeros((1, len(logits)), np.bool_)
    history[0, used or []] = True
    (row,) = one(table(logits), history).tolist()
    assert isinstance(row, list)
    return row


def survivors(one: Filter, logits: list[float]) -> list[int]:
    """The places that stay; those must have kept their logits."""
    left = apply(one, logits)
    kept = [place for place, value in enumerate(left) if value != -INF]
    assert [left[place] for place in kept] == [logits[place] for place in kept]
    return kept


def logs(*weights: float) -> list[float]:
    return [math.log(weight) if weight else -INF for weight in weights]


# -- one filter at a time --------------------------------------------------------------------------------------------


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
    assert survivors(top_k(k), logits) == kept


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
    assert survivors(top_p(p), logits) == kept


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
    assert survivors(min_p(p), logits) == kept


@pytest.mark.parametrize(
    ("t", "expected"), [(1.0, [1, -2, 4]), (2.0, [0.5, -1, 2]), (0.5, [2, -4, 8]), (0.25, [4, -8, 16])]
)
def test_temperature_divides(t: float, expected: list[float]) -> None:
    assert apply(temperature(t), [1, -2, 4]) == expected


@pytest.mark.parametrize(
    ("logits", "best"),
    [([1, 3, 2], 1), ([-5, -9, -7], 0), ([1, 3, 3], 1), ([2, 2, 2, 2], 0), ([-INF, -INF, -800], 2), ([0, 0, 1e-12], 2)],
)
def test_temperature_zero_leaves_the_likeliest_alone_the_first_of_equals(logits: list[float], best: int) -> None:
    left = apply(temperature(0), logits)
    assert [place for place, value in enumerate(left) if value != -INF] == [best]
    assert math.isfinite(left[best])


@pytest.mark.parametrize("t", [1e-3, 1e-100, 1e-308, 5e-324])
@pytest.mark.parametrize("logits", [[-20.0, -21.0, -22.0], [22.0, 21.0, 20.0]])
def test_a_temperature_near_zero_chooses_as_zero_does(t: float, logits: list[float]) -> None:
    left = table(apply(temperature(t), logits))
    for uniform in (0.0, 0.5, 0.999):
        assert draw(left, uniforms(uniform)).tolist() == [0]


@pytest.mark.parametrize(
    ("used", "expected"),
    [
        ([], [4, -4, 0, 1]),
        ([0], [2, -4, 0, 1]),
        ([1], [4, -8, 0, 1]),
        ([0, 1, 2, 3], [2, -8, 0, 0.5]),
    ],
)
def test_the_penalty_makes_used_symbols_less_likely(used: list[int], expected: list[float]) -> None:
    assert apply(repetition_penalty(2.0), [4, -4, 0, 1], used) == expected


def test_a_penalty_of_one_changes_nothing_and_dropped_symbols_stay_dropped() -> None:
    assert apply(repetition_penalty(1.0), [4, -4, -INF], [0, 1, 2]) == [4, -4, -INF]
    assert apply(repetition_penalty(2.0), [4, -4, -INF], [2]) == [4, -4, -INF]


@pytest.mark.parametrize("one", [temperature(1.0), top_k(4), top_p(1.0), min_p(1e-12)])
def test_a_filter_at_its_loosest_changes_nothing(one: Filter) -> None:
    logits = [0.3, -1.2, 2.5, 0.3]
    assert apply(one, logits) == logits


# -- all filters -----------------------------------------------------------------------------------------------------


# Quarters make ties common; -inf is what an earlier filter dropped.
quarters = st.integers(-40, 40).map(lambda number: number / 4)
rows_of_logits = st.lists(
    st.lists(st.one_of(quarters, st.just(-INF)), min_size=4, max_size=4).filter(lambda row: max(row) > -INF),
    min_size=1,
    max_size=4,
)


def some_history(logits: Logits) -> History:
    third: History = np.arange(logits.size).reshape(logits.shape) % 3 == 0
    return third


@every_filter
@settings(deadline=None, max_examples=40)
@given(rows=rows_of_logits)
def test_something_stays_the_likeliest_unpenalised_among_it_and_nothing_comes_back(
    name: str, rows: list[list[float]]
) -> None:
    logits = table(*rows)
    left = FILTERS[name](logits, np.zeros_like(logits, dtype=np.bool_))
    assert left.shape == logits.shape and left.dtype == np.float64
    assert not np.isnan(left).any()
    assert (np.take_along_axis(left, logits.argmax(axis=-1)[:, None], axis=-1) > -INF).all()
    assert (left[logits == -INF] == -INF).all()


@every_filter
@settings(deadline=None, max_examples=40)
@given(rows=rows_of_logits)
def test_a_row_is_filtered_alone_as_in_a_batch(name: str, rows: list[list[float]]) -> None:
    logits = table(*rows)
    history = some_history(logits)
    together = FILTERS[name](logits, history)
    for row in range(len(rows)):
        alone = FILTERS[name](logits[row : row + 1], history[row : row + 1])
        assert np.array_equal(together[row : row + 1], alone)


@every_filter
def test_the_input_is_left_untouched(name: str) -> None:
    logits = table([1.0, -3.0, 2.0, 0.0], [5.0, 5.0, 5.0, -INF])
    history = some_history(logits)
    kept_logits, kept_history = logits.copy(), history.copy()
    FILTERS[name](logits, history)
    assert np.array_equal(logits, kept_logits)
    assert np.array_equal(history, kept_history)


def naive_top_p(logits: list[float], p: float) -> list[int]:
    weights = [math.exp(value - max(logits)) for value in logits]
    kept: list[int] = []
    for place in sorted(range(len(logits)), key=lambda place: -logits[place]):
        if sum(weights[k] for k in kept) / sum(weights) >= p:
            break
        kept.append(place)
    return sorted(kept)


def naive_min_p(logits: list[float], p: float) -> list[int]:
    return [place for place, value in enumerate(logits) if math.exp(value - max(logits)) >= p]


def naive_top_k(logits: list[float], k: float) -> list[int]:
    return sorted(sorted(range(len(logits)), key=lambda place: -logits[place])[: int(k)])


@pytest.mark.parametrize(
    ("one", "naive", "value"),
    [
        (top_k, naive_top_k, 1),
        (top_k, naive_top_k, 5),
        (top_p, naive_top_p, 0.123),
        (top_p, naive_top_p, 0.876),
        (min_p, naive_min_p, 0.0321),
        (min_p, naive_min_p, 0.654),
    ],
)
@settings(deadline=None, max_examples=60)
@given(logits=st.lists(st.floats(-6, 6).map(lambda value: round(value, 2)), min_size=1, max_size=9))
def test_a_filter_keeps_what_its_sentence_says(
    one: Callable[[float], Filter], naive: Callable[[list[float], float], list[int]], value: float, logits: list[float]
) -> None:
    assert survivors(one(value), logits) == naive(logits, value)


# -- the order of composition ----------------------------------------------------------------------------------------


def test_filters_that_are_off_change_nothing() -> None:
    logits = [0.3, -1.2, 2.5, 0.3]
    assert apply(compose(SampleConfig(temperature=1.0)), logits, [0, 2]) == logits


@pytest.mark.parametrize(
    ("one", "config"),
    [
        (repetition_penalty(1.7), SampleConfig(temperature=1.0, repetition_penalty=1.7)),
        (temperature(0.3), SampleConfig(temperature=0.3)),
        (temperature(0), SampleConfig(temperature=0)),
        (top_k(2), SampleConfig(temperature=1.0, top_k=2)),
        (top_p(0.6), SampleConfig(temperature=1.0, top_p=0.6)),
        (min_p(0.2), SampleConfig(temperature=1.0, min_p=0.2)),
    ],
)
def test_each_setting_is_its_filter(one: Filter, config: SampleConfig) -> None:
    logits = [0.3, -1.2, 2.5, 0.9]
    assert apply(compose(config), logits, [1, 2]) == apply(one, logits, [1, 2])


def test_the_order_is_penalty_temperature_top_k_top_p_min_p() -> None:
    config = SampleConfig(temperature=0.7, top_k=4, top_p=0.9, min_p=0.2, repetition_penalty=1.3)
    steps = [repetition_penalty(1.3), temperature(0.7), top_k(4), top_p(0.9), min_p(0.2)]
    logits = np.random.default_rng(0).standard_normal((200, 8)) * 2
    history = some_history(logits)
    expected = logits
    for step in steps:
        expected = step(expected, history)
    assert np.array_equal(compose(config)(logits, history), expected)


@pytest.mark.parametrize(
    ("config", "logits", "used", "kept"),
    [
        # The penalty comes before the greedy choice: 4 falls to 2, below 3.
        (SampleConfig(temperature=0, repetition_penalty=2.0), [4, 3, 1], [0], [1]),
        # Temperature before top-p: weights 4 : 1 grow from 2 : 1 and the first reaches 0.7 alone.
        (SampleConfig(temperature=0.5, top_p=0.7), [LN2, 0], [], [0]),
        # Temperature before min-p: a quarter is below 0.4, a half is not.
        (SampleConfig(temperature=0.5, min_p=0.4), [LN2, 0], [], [0]),
        # Top-k before top-p: of the two left the first has 5/9 and suffices; of all three it has a half.
        (SampleConfig(temperature=1.0, top_k=2, top_p=0.55), logs(5, 4, 1), [], [0]),
        # The penalty before top-k.
        (SampleConfig(temperature=1.0, top_k=1, repetition_penalty=2.0), [4, 3, 1], [0], [1]),
    ],
)
def test_an_earlier_filter_decides_what_a_later_one_sees(
    config: SampleConfig, logits: list[float], used: list[int], kept: list[int]
) -> None:
    left = apply(compose(config), logits, used)
    assert [place for place, value in enumerate(left) if value != -INF] == kept


# -- draw ------------------------------------------------------------------------------------------------------------

ALMOST_ONE = 1 - 2.0**-53


@pytest.mark.parametrize(
    ("uniform", "symbol"),
    [(0.0, 0), (0.2499, 0), (0.25, 1), (0.4999, 1), (0.5, 2), (0.74, 2), (0.75, 3), (ALMOST_ONE, 3)],
)
def test_draw_inverts_the_cumulative_distribution(uniform: float, symbol: int) -> None:
    assert draw(table([0, 0, 0, 0]), uniforms(uniform)).tolist() == [symbol]


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
