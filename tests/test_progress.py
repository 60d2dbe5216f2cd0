"""The small records of where a run stands, one event after another, against counting by hand."""

import math

import pytest

from charrnn.config import TrainConfig
from charrnn.errors import DivergedError
from charrnn.training.progress import MOST_ROLLBACKS, WORSE, Accumulators, Best, Position, Rescue, Spent


def test_a_position_goes_through_windows_and_epochs() -> None:
    position, seen = Position(), []
    for _ in range(5):
        position = position.advance(tokens=7, windows=2)
        seen.append((position.step, position.tokens, position.epoch, position.index))
    assert seen == [(1, 7, 0, 1), (2, 14, 1, 0), (3, 21, 1, 1), (4, 28, 2, 0), (5, 35, 2, 1)]


def test_sums_add_up_each_by_itself() -> None:
    sums = Accumulators().add(loss=1.5, norm=0.5, clipped=1.0, steps=1, tokens=8, seconds=0.25)
    assert sums == Accumulators(loss=1.5, norm=0.5, clipped=1.0, steps=1, tokens=8, seconds=0.25)
    assert sums.add(tokens=2) == Accumulators(loss=1.5, norm=0.5, clipped=1.0, steps=1, tokens=10, seconds=0.25)
    assert sums.add(norm=1.0, steps=2).norm == 1.5


def test_early_stopping_counts_what_is_worse_than_the_best_not_what_is_no_better() -> None:
    best, seen = Best(), []
    for step, loss in enumerate((2.0, 2.0 * WORSE, 2.0 * WORSE + 1e-9, 2.5, math.nan, math.inf, 2.0, 1.9)):
        best = best.after(loss, step)
        seen.append((best.loss, best.step, best.stale))
    assert seen == [(2.0, 0, n) for n in (0, 0, 1, 2, 3, 4, 4)] + [(1.9, 7, 0)]
    assert Best().after(math.nan, 3) == Best(stale=1), "nothing is known of how good that is"
    assert not Best().is_beaten_by(math.nan) and Best().is_beaten_by(9.0) and not Best(loss=2.0).is_beaten_by(2.0)


def test_each_divergence_halves_the_rate_and_too_many_in_a_row_end_the_run() -> None:
    rescue, config = Rescue(), TrainConfig(seed=0, steps=1)
    for number in range(1, MOST_ROLLBACKS + 1):
        rescue = rescue.again(5, config)
        assert rescue == Rescue(lr_scale=0.5**number, rollbacks=number)
    with pytest.raises(DivergedError, match=r"at step 7, 4 returns .* a lower `lr` or a smaller `clip`"):
        rescue.again(7, config)
    with pytest.raises(DivergedError, match="a lower `lr` or `clip` 1;"):
        rescue.again(7, TrainConfig(seed=0, steps=1, clip=None))
    assert rescue.over() == Rescue(lr_scale=0.5**MOST_ROLLBACKS)
    assert rescue.over().again(8, config).lr_scale == 0.5 ** (MOST_ROLLBACKS + 1)


def test_time_on_steps_is_what_is_no_overhead() -> None:
    assert Spent(seconds=9.5, overhead_seconds=2.0).stepping == 7.5
