"""Texts that an engine writes side by side: a state a row, so that any may join or leave, and no other notices.

A batch goes on by turns. Rows that are drawn by one chain are a party: the samples of one prompt. Between two turns a
party may join with what was read before it, or leave. Shapes: B rows, V vocabulary.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np

from charrnn.errors import CharrnnError
from charrnn.generation.chain import Chain
from charrnn.generation.sequence import TextChunk, TextSequence
from charrnn.inference.backends import Serving
from charrnn.inference.base import Drawing, Draws, Engine, EngineState, Used
from charrnn.inference.products import Doubles, Floats
from charrnn.inference.reading import Reading

# Tokens of a row that are drawn before any is looked at: few at first, for somebody waits, and then what takes about so
# many seconds.
FIRST_SPELL, LONGEST_SPELL, SPELL_SECONDS = 8, 4096, 0.03

LEFT, FAILED = "left", "failed"


@dataclass(eq=False)
class Party:
    """Rows that one chain draws; `problem` is what stopped them, where nothing may follow that its processors leave."""

    chain: Chain
    sequences: Sequence[TextSequence]
    problem: CharrnnError | None = None


Told = tuple[Party, TextChunk]


class Batch(ABC):
    """The parties under way, held (`with`) while they are written."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.parties: list[Party] = []
        self._logits: Floats = np.empty((0, engine.config.vocab_size), np.float32)
        self._state: EngineState = None  # of no row

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.parties = []
        self._changed()

    @property
    def rows(self) -> list[TextSequence]:
        """All that are under way, in the order of their states."""
        return [sequence for party in self.parties for sequence in party.sequences]

    def join(self, party: Party, reading: Reading) -> None:
        """Another party, all of whose rows go on from what was read."""
        rows = len(party.sequences)
        logits, state = reading.logits.repeat(rows, axis=0), self.engine.select_rows(reading.state, [0] * rows)
        if self.parties:
            logits = np.concatenate([self._logits, logits])
            state = self.engine.join_rows([self._state, state])
        self._logits, self._state = logits, state
        self.parties.append(party)
        self._changed()

    def leave(self, party: Party) -> None:
        """A party goes, wherever its texts stand."""
        before = len(self.rows)
        _end(party, LEFT)
        if before != len(self._drop()):
            self._changed()

    @abstractmethod
    def turn(self) -> Iterator[Told]:
        """Go on with all rows -> what is certain now of each; those that have ended are out of it when it is done."""

    def _drop(self) -> list[int]:
        """Take those that have ended out -> the places of the rows that go on."""
        rows = self.rows
        going = [place for place, sequence in enumerate(rows) if sequence.finished is None]
        if len(going) < len(rows):
            for party in self.parties:
                party.sequences = [sequence for sequence in party.sequences if sequence.finished is None]
            self.parties = [party for party in self.parties if party.sequences]
            self._logits = self._logits[going]
            self._state = self.engine.select_rows(self._state, going) if going else None
        return going

    def _changed(self) -> None:  # noqa: B027
        """Parties have come or gone."""


class Steps(Batch):
    """One token of each row in a turn, which any chain may draw."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._serving: Serving | None = None

    def turn(self) -> Iterator[Told]:
        tokens, first = np.zeros(len(self._logits), np.int64), 0
        for party in self.parties:
            rows = slice(first, first := first + len(party.sequences))
            try:
                drawn, told = party.chain.draw(self._logits[rows], party.sequences)
            except CharrnnError as problem:
                party.problem = problem
                _end(party, FAILED)
                continue
            tokens[rows] = drawn
            for sequence, token, of_it in zip(party.sequences, drawn.tolist(), told, strict=True):
                chunk = sequence.push(token, *of_it)
                if chunk is not None:
                    yield party, chunk
        going = self._drop()
        if not going:
            self._changed()
        elif self._serving is not None:
            self._logits, self._state = self._serving.step(tokens[going], self._state)

    def _changed(self) -> None:
        if self._serving is not None:
            self._serving.__exit__(None, None, None)
            self._serving = None
        if self.parties:
            rows = self.rows
            self._serving = Serving(self.engine, len(rows), max(sequence.room for sequence in rows)).__enter__()


class Spells(Batch):
    """Many tokens of each row in a turn, drawn by the compiled step: what stands behind an end is thrown away."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._spell = FIRST_SPELL
        # How often each symbol was used in each row, within the window of its penalties.
        self._used: Doubles = np.empty((0, engine.config.vocab_size))

    def join(self, party: Party, reading: Reading) -> None:
        super().join(party, reading)
        symbols, window = self.engine.config.vocab_size, _drawing(party).window
        self._used = np.concatenate([self._used, [one.counts(window)[:symbols] for one in party.sequences]])

    def _drop(self) -> list[int]:
        going = super()._drop()
        self._used = self._used if len(going) == len(self._used) else self._used[going]
        return going

    def turn(self) -> Iterator[Told]:
        rows = [(party, sequence) for party in self.parties for sequence in party.sequences]
        steps = min(self._spell, max(1, *(sequence.room for _, sequence in rows)))
        uniforms = np.array([sequence.uniforms.take(steps) for _, sequence in rows])
        drawings, used = [_drawing(party) for party, _ in rows], None
        if any(drawing.looks_back for drawing in drawings):
            leaving = [one.leaving(own.window, steps) for own, (_, one) in zip(drawings, rows, strict=True)]
            used = Used(self._used, np.array(leaving, np.int64))
        told = any(party.chain.told for party in self.parties)
        began = time.perf_counter()
        drawn = self.engine.write(self._logits, self._state, Draws(uniforms, drawings, told, used))
        took = time.perf_counter() - began
        self._logits, self._state = drawn.logits, drawn.state
        logprobs = [None] * len(rows) if drawn.logprobs is None else drawn.logprobs.tolist()
        for (party, sequence), tokens, of_them in zip(rows, drawn.ids.tolist(), logprobs, strict=True):
            chunk = sequence.extend(tokens, of_them if party.chain.told else None)
            if chunk is not None:
                yield party, chunk
        if took < SPELL_SECONDS:
            self._spell = min(2 * self._spell, LONGEST_SPELL)
        elif took > 2 * SPELL_SECONDS:
            self._spell = max(FIRST_SPELL, self._spell // 2)
        self._drop()


def kind_of(engine: Engine, chain: Chain) -> type[Steps] | type[Spells]:
    """The kind of batch that a chain's rows can join."""
    return Spells if engine.writes and chain.drawing is not None else Steps


def _drawing(party: Party) -> Drawing:
    """How its rows are drawn."""
    assert party.chain.drawing is not None
    return party.chain.drawing


def _end(party: Party, why: str) -> None:
    for sequence in party.sequences:
        sequence.finished = why
