"""When a run is saved between its validations: every so many steps, or by the clock; and for good."""

from collections.abc import Callable

from charrnn.config import TrainConfig
from charrnn.config.durations import parse_duration
from charrnn.training.world import ALONE

# A large model takes a while to save: then more seldom, so that saving takes no more than this share of the time.
SAVE_SECONDS, SAVE_SHARE = 60.0, 0.01


class SaveSchedule:
    """Every `every` steps, or every so often ('5m'); every minute where that is None. Also every `kept` steps."""

    def __init__(
        self, every: int | str | None, clock: Callable[[], float] = ALONE.now, kept: int | None = None
    ) -> None:
        self.every, self.clock, self.kept = every, clock, kept
        self._asked = parse_duration(every) if isinstance(every, str) else None
        self._wait, self._saved_at = self._asked or SAVE_SECONDS, clock()

    @classmethod
    def of(cls, config: TrainConfig, clock: Callable[[], float]) -> "SaveSchedule":
        """A run's."""
        return cls(config.save_every, clock, config.keep_every)

    def due(self, step: int) -> bool:
        """Whether it is time, behind this step."""
        if self.kept is not None and step % self.kept == 0:
            return True
        if isinstance(self.every, int):
            return step % self.every == 0
        return self.clock() - self._saved_at > self._wait

    def saved(self, began: float) -> None:
        """A save that began at this time is done."""
        self._saved_at = self.clock()
        self._wait = self._asked or max(SAVE_SECONDS, (self._saved_at - began) / SAVE_SHARE)
