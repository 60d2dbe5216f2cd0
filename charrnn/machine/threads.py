"""How many threads compute, where that was left open: measured again when other programs come, and when they go.

A parallel step, of training or of scoring, waits at its barriers for its slowest thread. With company on the machine,
one of them is often not running, and fewer threads may be the faster ones. So: work on all, and watch for company; when
it has come, time a few steps on each of some numbers of threads, go on with the best of them, and time them all again,
ever more seldom, for company goes too: at once where the system says that the processors left to it stand still.
Nothing is changed where no company was noticed.
"""

import os
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import torch

from charrnn.machine import Machine

R = TypeVar("R")

resource: ModuleType | None
try:
    import resource
except ImportError:  # Windows does not count how often a program had to make way
    resource = None

# Company: the thread that steps is kept waiting for a quarter of the time, by being made to leave the processor this
# often a second. Either alone may be a slow disk, or the system's own small work.
KEPT_WAITING = 0.25
MADE_TO_LEAVE = 10.0
# Seconds of stepping, and the least number of steps, that are watched, or timed on one number of threads.
WATCHED, TIMED, LEAST_STEPS = 1.0, 0.3, 3
# In company, threads that bring less than this many times the speed are left to the others: two trainings that each
# cling to a second thread are slower together.
WORTH = 1.25
# A first step that takes so many times as long as a step on another number: no more are made.
HOPELESS = 3.0
# What was chosen is kept for so many times as long as the timing took, and for as many seconds, which double each time
# that the same is chosen again.
HELD_FOR_TIMING = 20
HELD_FIRST, HELD_AT_MOST = 5.0, 80.0
# Processors left to others stand still where they do nothing for this share of the time. All threads work again once
# that has been so after so many seconds, which double each time that company is back within four times as many: another
# machine's programs on the same processors are not seen by this system.
STILL = 0.9
TRUSTED_FIRST = 2.0


@dataclass(frozen=True)
class Spell:
    """Some steps in a row: `seconds` on the wall, those on the processor (this thread's), how often it was taken away.

    `made_to_leave` counts all threads of the program; None where the system does not tell.
    """

    seconds: float = 0.0
    processor: float = 0.0
    made_to_leave: int | None = 0
    steps: int = 0

    def __add__(self, other: "Spell") -> "Spell":
        known = self.made_to_leave is not None and other.made_to_leave is not None
        return Spell(
            self.seconds + other.seconds,
            self.processor + other.processor,
            (self.made_to_leave or 0) + (other.made_to_leave or 0) if known else None,
            self.steps + other.steps,
        )

    @property
    def company(self) -> bool:
        """Whether other programs had the processors that these steps were waiting for."""
        waited = self.processor < (1 - KEPT_WAITING) * self.seconds
        return waited and (self.made_to_leave is None or self.made_to_leave > MADE_TO_LEAVE * self.seconds)


def timed(step: Callable[[], None]) -> Spell:
    """Do one step, and say what the clocks say of it."""
    left, processor, began = _made_to_leave(), time.thread_time(), time.monotonic()
    step()
    seconds, own, left_now = time.monotonic() - began, time.thread_time() - processor, _made_to_leave()
    return Spell(seconds, own, None if left is None or left_now is None else left_now - left, 1)


@dataclass(frozen=True)
class Idle:
    """What has gone by on the wall, and what of it each processor of this program did nothing in, together; seconds."""

    seconds: float
    idle: float


def idle_so_far() -> Idle | None:
    """Since some beginning; None where the system does not tell (it does on Linux)."""
    try:
        allowed = {f"cpu{number}" for number in os.sched_getaffinity(0)}
        lines = [line.split() for line in Path("/proc/stat").read_text(encoding="ascii").splitlines()]
        ticks = sum(int(line[4]) + int(line[5]) for line in lines if line[0] in allowed)
        return Idle(time.monotonic(), ticks / os.sysconf("SC_CLK_TCK"))
    except (AttributeError, OSError, ValueError, IndexError):
        return None


def _made_to_leave() -> int | None:
    return None if resource is None else int(resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw)


class AdaptiveThreads:
    """Threads for the steps of a training or of scoring: at most as many as the machine was chosen with, or just these.

    `steps` measures a step, `use` sets the number of threads, `idle` says what processors did not do; tests put clocks
    of their own in their place.
    """

    def __init__(
        self,
        machine: Machine,
        *,
        steps: Callable[[Callable[[], None]], Spell] = timed,
        use: Callable[[int], None] = torch.set_num_threads,
        idle: Callable[[], Idle | None] = idle_so_far,
    ) -> None:
        self.most = self.used = machine.threads
        self._adaptive = machine.adaptive and machine.threads > 1
        self._timed, self._set, self._idle = steps, use, idle
        self._notes: list[str] = []
        self._told = False
        self._rule = self._choose()
        next(self._rule)

    def watch(self, step: Callable[[], None]) -> None:
        """Do one step; the threads of the next may then be others."""
        if self._adaptive:
            self._rule.send(self._timed(step))
        else:
            step()

    def measure(self, step: Callable[[], None], seconds: float, steps: int) -> float:
        """Seconds of a step, in the mean of so many seconds and steps at least.

        Where these have company, the threads that are best in it are found first, and go on.
        """
        rule = self._measure(seconds, steps)
        next(rule)
        try:
            while True:
                rule.send(self._timed(step))
        except StopIteration as done:
            found: float = done.value
            return found

    def notes(self) -> list[str]:
        """What there is to say since the last call: once, when fewer threads are used for the first time."""
        said, self._notes = self._notes, []
        return said

    def restore(self) -> None:
        """All threads again, as before the first step."""
        self._use(self.most)

    def _choose(self, took: float | None = None) -> Generator[None, Spell, None]:
        """The rule itself; it is sent each step that has been done. `took`: threads were chosen a moment ago."""
        held, trusted, taken_back = HELD_FIRST, TRUSTED_FIRST, False
        while True:
            if took is None:
                if self.used == self.most:
                    alone = yield from self._alone()
                    if taken_back:
                        trusted = TRUSTED_FIRST if alone > 4 * trusted else min(2 * trusted, HELD_AT_MOST)
                before = self.used
                took, _ = yield from self._use_the_best()
                held = min(2 * held, HELD_AT_MOST) if self.used == before else HELD_FIRST
            taken_back = yield from self._others_stand_still(max(held, HELD_FOR_TIMING * took), trusted)
            if taken_back:
                self._use(self.most)
            took = None

    def _alone(self) -> Generator[None, Spell, float]:
        """Go on until there is company; for so many seconds there was none."""
        alone = 0.0
        while not (spell := (yield from _spell(WATCHED, 1))).company:
            alone += spell.seconds
        return alone

    def _others_stand_still(self, seconds: float, trusted: float) -> Generator[None, Spell, bool]:
        """Go on for so many seconds; true, after `trusted` of them, as soon as processors left to others do nothing."""
        left = self.most - self.used
        if not left:
            yield from _spell(seconds, 1)
            return False
        waited, now = 0.0, self._idle()
        while waited < seconds:
            spell = yield from _spell(WATCHED, 1)
            waited, before, now = waited + spell.seconds, now, self._idle()
            still = before and now and now.idle - before.idle >= STILL * left * (now.seconds - before.seconds)
            if still and waited >= trusted:
                return True
        return False

    def _measure(self, seconds: float, steps: int) -> Generator[None, Spell, float]:
        spell = yield from _spell(seconds, steps)
        if not (self._adaptive and spell.company):
            return spell.seconds / spell.steps
        took, a_step = yield from self._use_the_best()
        self._rule = self._choose(took)
        next(self._rule)
        return a_step

    def _use_the_best(self) -> Generator[None, Spell, tuple[float, float]]:
        """Go on with the best number of threads; the seconds that it took to find out, and those of a step on it."""
        seconds, took, best = yield from self._time_all()
        self._use(best)
        if best < self.most and not self._told:
            self._told = True
            self._notes.append(_fewer(best, self.most))
        return took, seconds[best]

    def _time_all(self) -> Generator[None, Spell, tuple[dict[int, float], float, int]]:
        """Seconds of a step by the number of threads, those that it took to find out, and the best number.

        It is the fastest; while company is there, the fewest that are about as fast.
        """
        seconds: dict[int, float] = {}
        took, worth = 0.0, 1.0
        others = sorted({self.most, self.most - 1, self.most // 2, 1} - {0, self.used}, reverse=True)
        for count in [self.used, *others]:
            first = Spell()
            if count != self.used:
                self._use(count)
                first = yield from _spell(0.0, 1)  # in which threads are made, and caches filled
            some = first
            if not seconds or first.seconds <= HOPELESS * min(seconds.values()):
                some = yield from _spell(TIMED, LEAST_STEPS)
                took += first.seconds
            seconds[count] = some.seconds / some.steps
            took += some.seconds
            if count == self.most and some.company:
                worth = WORTH
        fastest = min(seconds.values())
        return seconds, took, min(count for count, one in seconds.items() if one <= worth * fastest)

    def _use(self, count: int) -> None:
        if count != self.used:
            self.used = count
            self._set(count)


# What `watched` goes by, and who is told; none: the threads are those of whoever set them.
_GIVING_WAY: ContextVar[tuple[AdaptiveThreads, Callable[[str], None]] | None] = ContextVar("giving way", default=None)


@contextmanager
def giving_way(threads: AdaptiveThreads, tell: Callable[[str], None]) -> Iterator[None]:
    """Within it, what is done by `watched` gives way to company, and `tell` hears of it."""
    token = _GIVING_WAY.set((threads, tell))
    try:
        yield
    finally:
        _GIVING_WAY.reset(token)
        threads.restore()


def watched(step: Callable[[], R]) -> R:
    """Do one step of much work; within `giving_way`, the threads of the next may then be others."""
    if (ours := _GIVING_WAY.get()) is None:
        return step()
    threads, tell = ours
    done: list[R] = []
    threads.watch(lambda: done.append(step()))
    for note in threads.notes():
        tell(note)
    return done[0]


def _spell(seconds: float, steps: int) -> Generator[None, Spell, Spell]:
    """Wait for so many seconds of stepping, and so many steps at least."""
    spell = Spell()
    while spell.steps < steps or spell.seconds < seconds:
        spell += yield
    return spell


def _fewer(count: int, most: int) -> str:
    threads = f"{count} thread{'s' if count > 1 else ''} instead of {most}"
    return f"other programs are at work: {threads}, which is faster now; a given `threads` is kept"
