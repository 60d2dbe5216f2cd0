"""When a run is saved between its validations."""

import pytest

from charrnn.config import TrainOptions
from charrnn.errors import ConfigError
from charrnn.training.save_schedule import SAVE_SECONDS, SaveSchedule

from .cases import each


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def due_at(every: int | str | None, saving: float) -> list[float]:
    """The seconds of ten minutes at which it is time, a save taking so long."""
    clock = Clock()
    schedule, found = SaveSchedule(every, clock), []
    for step in range(1, 601):
        clock.now += 1
        if schedule.due(step):
            found.append(clock.now - 100)
            began = clock.now
            clock.now += saving
            schedule.saved(began)
    return found


def test_it_is_every_so_many_steps_or_every_so_often() -> None:
    assert due_at(150, 0) == [150, 300, 450, 600]
    assert due_at("2m30s", 0) == [151, 302, 453]
    assert due_at("2m30s", 20)[:2] == [151, 322], "asked for, also where saving takes long"
    assert due_at(None, 0)[:2] == [SAVE_SECONDS + 1, 2 * SAVE_SECONDS + 2]
    assert due_at(None, 2)[:2] == [61, 61 + 2 + 201], "more seldom where it takes long"


@each("given, value", [("200", 200), (200, 200), ("5m", "5m"), ("1h30m", "1h30m"), (None, None)])
def test_steps_and_times_are_told_apart(given: str | int | None, value: str | int | None) -> None:
    assert TrainOptions.of(save_every=given).save_every == value


@each("given", ["0", 0, -3, "5x", "", 1.5, "m"])
def test_anything_else_is_refused(given: str | float) -> None:
    with pytest.raises(ConfigError, match=r"save_every|is no time"):
        TrainOptions.of(save_every=given)
