"""So many steps for a time budget: fixed once, mended when the machine's speed has changed."""

import dataclasses
import random
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.training.step_plan import LEAST_STEPS, MEASURED, NEWEST, SLACK, StepPlan


@settings(deadline=None)
@given(
    first=st.integers(0, 10**6),
    steps=st.integers(1, 10**6),
    share=st.floats(0, 1),
    part=st.floats(0, 1),
)
def test_the_share_is_a_straight_line_to_the_end(first: int, steps: int, share: float, part: float) -> None:
    pace = StepPlan(total=first + steps, step=first, share=share)
    step = first + round(part * steps)
    expected = np.interp(step, [first, first + steps], [share, 1.0])
    assert pace.share_at(step) == pytest.approx(expected, rel=1e-12, abs=1e-12)
    assert pace.share_at(first) == pytest.approx(share, abs=1e-12)


def test_after_the_last_step_the_whole_budget_is_spent() -> None:
    """To the last bit: a share below 1 would let another step follow."""
    draw = random.Random(5)
    plans = [StepPlan(total=30 + draw.randrange(1, 10**5), step=29, share=draw.random()) for _ in range(500)]
    assert [plan for plan in plans if plan.total is None or plan.share_at(plan.total) != 1.0] == []


def mean_by_hand(speeds: list[float]) -> float:
    """Each speed weighs `NEWEST` of what those after it have left; the first weighs all that is left."""
    total, left = 0.0, 1.0
    for speed in reversed(speeds[1:]):
        total += left * NEWEST * speed
        left *= 1 - NEWEST
    return total + left * speeds[0]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 1000), st.floats(1e-3, 1e3)), min_size=1, max_size=8))
def test_the_speed_is_a_mean_in_which_the_newest_measurement_counts_for_some(spans: list[tuple[int, float]]) -> None:
    pace, step, seconds, speeds = StepPlan(), 0, 0.0, []
    for steps, each in spans:
        step, seconds = step + steps, seconds + steps * each
        speeds.append(each)
        pace = pace.measure(step, seconds)
        assert (pace.measured_step, pace.measured_at) == (step, seconds)
    assert pace.step_seconds == pytest.approx(mean_by_hand(speeds), rel=1e-6)


def test_measuring_leaves_the_plan_alone() -> None:
    pace = StepPlan(total=100, step=10, share=0.1, step_seconds=2.0, measured_step=10, measured_at=20.0)
    found = pace.measure(20, 50.0)
    assert found == dataclasses.replace(pace, step_seconds=2.3, measured_step=20, measured_at=50.0)


def test_a_measurement_takes_four_steps_and_a_fiftieth_of_the_budget() -> None:
    assert (LEAST_STEPS, MEASURED) == (4, 0.02)
    later = StepPlan(measured_step=70, measured_at=30.0)
    for steps, seconds, due in (
        (0, 0.0, False),
        (3, 99.0, False),
        (4, 1.9, False),
        (4, 2.0, True),
        (500, 1.99, False),
        (500, 2.0, True),
    ):
        assert StepPlan().due(steps, seconds, 100.0) is due, (steps, seconds)
        assert later.due(70 + steps, 30.0 + seconds, 100.0) is due, (steps, seconds)


def affordable_by_hand(left: float, each: float) -> int:
    """One step after another while the time reaches for the greater part of it; one at least."""
    exact_left, exact_each, steps = Fraction(left), Fraction(each), 1
    while (steps + Fraction(1, 2)) * exact_each < exact_left:
        steps += 1
    return steps


@settings(deadline=None)
@given(left=st.floats(-10, 300), each=st.floats(0.5, 20), step=st.integers(0, 1000), share=st.floats(0, 1))
def test_the_first_plan_is_for_the_steps_that_the_time_pays_for(
    left: float, each: float, step: int, share: float
) -> None:
    found = StepPlan(step_seconds=each).fix(step, share, left, 400.0)
    assert found.total is not None
    # Where the time is for a whole number of steps and a half, either is right.
    assert abs(found.total - step - affordable_by_hand(left, each)) <= (abs(left / each % 1 - 0.5) < 1e-9)
    assert (found.step, found.share, found.step_seconds) == (step, share, each)


@settings(deadline=None)
@given(
    left=st.floats(-10, 300),
    each=st.floats(0.5, 20),
    step=st.integers(20, 1000),
    planned=st.integers(0, 400),
    share=st.floats(0.1, 1),
)
def test_a_plan_stands_while_it_ends_near_its_time(
    left: float, each: float, step: int, planned: int, share: float
) -> None:
    budget = 400.0
    plan = StepPlan(total=step + planned, step=10, share=0.05, step_seconds=each)
    ends_late_by = planned * each - max(1, round(left / each)) * each
    found = plan.fix(step, share, left, budget)
    if abs(ends_late_by) < SLACK * budget - 1e-6:
        assert found == plan
    elif abs(ends_late_by) > SLACK * budget + 1e-6:
        assert found == StepPlan(step_seconds=each).fix(step, share, left, budget)
        assert found.share_at(step) == pytest.approx(share, abs=1e-12)
