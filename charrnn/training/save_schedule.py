"""When a run is saved between its validations: every so many steps, or by the clock."""

from collections.abc import Callable

from charrnn.training.world import ALONE

# A large model takes a while to save: then more seldom, so that saving takes no more than this share of the time.
SAVE_SECONDS, SAVE_SHARE = 60.0, 0.01


class SaveSchedule:
    """Every `every` steps; every minute where that is None."""

    def __init__(self, every: int | None, clock: Callable[[], float] = ALONE.now) -> None:
        self.every, self.clock = every, clock
        self._wait, self._saved_at = SAVE_SECONDS, clock()

    def due(self, step: int) -> bool:
        """Whether it is time, behind this step."""
        if self.every is not None:
            return step % self.every == 0
        return self.clock() - self._saved_at > self._wait

    def saved(self, began: float) -> None:
        """A save that began at this time is done."""
        self._saved_at = self.clock()
        self._wait = max(SAVE_SECONDS, (self._saved_at - began) / SAVE_SHARE)
