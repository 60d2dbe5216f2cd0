"""One thread that reads the prompts and writes the texts of one model, for all who ask.

Everything comes to it through `submit` and `cancel`; what it has written goes to each task's `hand`, called in the
thread of the event loop. Between two turns of the texts it takes what has come, and reads a piece of the prompts.
"""

import asyncio
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from charrnn.generation.batch import SPELL_SECONDS, Batch, Party, Spells, Steps, kind_of
from charrnn.generation.sequence import TextChunk, joined
from charrnn.inference.base import Engine
from charrnn.serve.limits import Limits
from charrnn.serve.metrics import Metrics
from charrnn.serve.problems import FAULT, Problem, problem_of
from charrnn.serve.prompts import Prompts

# Chunks of a task's texts, or what has stopped them all.
Come = list[TextChunk] | Problem


@dataclass(eq=False)
class Task:
    """A prompt and the texts behind it, numbered by their rows."""

    prompt: list[int]
    party: Party
    hand: Callable[[Come], None]
    rows: int = field(init=False)
    cached: int = 0
    """Tokens of the prompt that were not read again."""

    def __post_init__(self) -> None:
        self.rows = len(self.party.sequences)


class Desk:
    """The tasks of one model: waiting, being read, and under way."""

    def __init__(self, engine: Engine, limits: Limits, metrics: Metrics, fault: Callable[[str], None]) -> None:
        """`fault` is told the traceback of what should not have been."""
        self._engine, self._limits, self._metrics, self._fault = engine, limits, metrics, fault
        self._prompts = Prompts(engine, limits.cache * 10**6)
        self._batches: dict[type[Batch], Batch] = {kind: kind(engine) for kind in (Spells, Steps)}
        self._waiting: deque[Task] = deque()
        self._under_way: dict[Party, Task] = {}
        self._come: deque[Callable[[], None]] = deque()
        self._anything = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="charrnn-desk", daemon=True)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin; called in the event loop, as all that follows is."""
        self._loop = loop
        self._thread.start()

    def close(self) -> None:
        """Stop behind this turn."""
        self._closing = True
        self._put(lambda: None)
        self._thread.join()

    def submit(self, task: Task) -> None:
        """Write this too."""
        self._put(lambda: self._waiting.append(task))

    def cancel(self, task: Task) -> None:
        """Nobody wants it any more, or it has come to its end."""
        self._put(lambda: self._leave(task))

    def _put(self, order: Callable[[], None]) -> None:
        with self._anything:
            self._come.append(order)
            self._anything.notify()

    # -- in the thread ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._closing:
            with self._anything:
                while not (self._come or self._under_way or self._waiting):
                    self._anything.wait()
            try:
                self._cycle()
            except Exception:  # a fault of ours must not leave everybody waiting for ever
                self._fault(traceback.format_exc())
                self._give_up()
        for batch in self._batches.values():
            batch.__exit__(None, None, None)

    def _cycle(self) -> None:
        while self._come:
            self._come.popleft()()
        rows = sum(task.rows for task in self._under_way.values())
        while self._waiting and (not rows or rows + self._waiting[0].rows <= self._limits.rows):
            task = self._waiting.popleft()
            rows += task.rows
            self._under_way[task.party] = task
            task.cached = self._prompts.add(task, task.prompt)
            self._metrics.add("prompt_tokens", len(task.prompt) - task.cached)
            self._metrics.add("cached_tokens", task.cached)
        for task, reading in self._prompts.go_on():
            self._batches[kind_of(self._engine, task.party.chain)].join(task.party, reading)
        handed: dict[Task, Come] = {}
        for batch in self._batches.values():
            self._write(batch, handed)
        self._metrics.set("rows", rows)
        self._metrics.set("waiting", sum(task.rows for task in self._waiting))
        if handed:
            self._loop.call_soon_threadsafe(_hand_out, handed)

    def _write(self, batch: Batch, handed: dict[Task, Come]) -> None:
        """A turn, or single steps for about as long; what came of it."""
        written: dict[tuple[Party, int], list[TextChunk]] = {}
        parties, began = list(batch.parties), time.perf_counter()
        while batch.parties:
            for party, chunk in batch.turn():
                written.setdefault((party, chunk.row), []).append(chunk)
            if not isinstance(batch, Steps) or time.perf_counter() - began > SPELL_SECONDS:
                break
        for (party, _), chunks in written.items():
            come = handed.setdefault(self._under_way[party], [])
            assert isinstance(come, list)
            come.append(joined(chunks))
            self._metrics.add("tokens", sum(len(chunk.ids) for chunk in chunks))
        for party in parties:
            if party.problem is not None:
                handed[self._under_way[party]] = problem_of(party.problem)
            if party not in batch.parties:
                del self._under_way[party]

    def _leave(self, task: Task) -> None:
        if task in self._waiting:
            self._waiting.remove(task)
        self._prompts.drop(task)
        for batch in self._batches.values():
            if task.party in batch.parties:
                batch.leave(task.party)
        self._under_way.pop(task.party, None)

    def _give_up(self) -> None:
        """All that are under way get an error; whoever comes is served again."""
        tasks = [*self._under_way.values(), *self._waiting]
        for batch in self._batches.values():
            batch.__exit__(None, None, None)
        self._under_way = {}
        self._waiting.clear()
        self._prompts = Prompts(self._engine, self._limits.cache * 10**6)
        handed: dict[Task, Come] = {task: Problem("a fault of the server's", FAULT) for task in tasks}
        self._loop.call_soon_threadsafe(_hand_out, handed)


def _hand_out(handed: dict[Task, Come]) -> None:
    for task, come in handed.items():
        task.hand(come)
