"""Token array -> truncated-BPTT windows. Pure functions of (seed, epoch, index): resuming is asking for the next one.

B batch rows, T window length, N tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from charrnn.models.loss import IGNORED
from charrnn.text.part import Part
from charrnn.text.token_files import Tokens

FRESH = -1
SORTED_GROUPS = 32
SURVEYED = 1 << 20
# Sets the draw of the files' order apart from that of any window.
FILES = 1 << 62


@dataclass(frozen=True, eq=False)
class Batch:
    """One step's tokens.

    inputs, targets (B, T): int64; a target IGNORED is padding. state_rows (B,): which row of the batch before has the
    state that each row continues, FRESH for the initial state; None where every row continues its own.
    """

    inputs: Tensor
    targets: Tensor
    state_rows: Tensor | None = None


class Streams(Protocol):
    """Windows of one epoch after another."""

    batch_size: int
    bptt: int
    ended: bool
    """Whether there is no further window, of a text that is read once."""

    def windows(self, epoch: int) -> int:
        """How many windows this epoch has."""
        ...

    def window(self, epoch: int, index: int) -> Batch:
        """One of them."""
        ...


def open_streams(
    part: Part,
    *,
    start_id: int,
    batch_size: int,
    bptt: int,
    seed: int,
    state_drop: float = 0.0,
    newline: int | None = None,
    shuffle: bool = False,
) -> Streams:
    """One stream cut into rows, or documents in groups, by what the part is; `shuffle` its files."""
    if part.starts is None:
        opening = None if newline is None else paragraph_break(part.tokens, newline)
        order = FileOrder(part.files, part.tokens.size, seed) if shuffle else None
        return ContinuousStreams(part.tokens, start_id, batch_size, bptt, seed, state_drop, opening, order)
    return DocumentStreams(part.tokens, part.starts, start_id, batch_size, bptt, seed)


def paragraph_break(tokens: Tokens, newline: int) -> tuple[int, ...] | None:
    """What stands in front of a paragraph: two newlines in a text that has such, else one, else None."""
    ends = np.asarray(tokens[:SURVEYED]) == newline
    if (ends[1:] & ends[:-1]).any():
        return newline, newline
    return (newline,) if ends.any() else None


def fit(part: Part, *, batch_size: int, bptt: int) -> tuple[int, int]:
    """(batch_size, bptt), both made smaller where the part is shorter than one batch of windows."""
    if part.starts is not None:
        return min(batch_size, len(part.starts)), bptt
    bptt = min(bptt, max(1, part.tokens.size // 2))
    return min(batch_size, max(1, part.tokens.size // bptt)), bptt


class FileOrder:
    """The files of a text in an order of each epoch's own, a pure function of (seed, epoch). S files, N tokens."""

    def __init__(self, files: Sequence[int], tokens: int, seed: int) -> None:
        """`files` (S,): the first token of each, in the text's own order."""
        self._files, self._seed = np.array(files, np.int64), seed
        self._lengths = np.diff(self._files, append=tokens)
        self._drawn = -1

    def places(self, epoch: int, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Where in the text the tokens at these positions of an epoch are."""
        if self._drawn != epoch:
            order = np.random.default_rng([self._seed, epoch, FILES]).permutation(self._files.size)
            ends = np.cumsum(self._lengths[order])
            self._ends, self._moved = ends, self._files[order] - (ends - self._lengths[order])
            self._drawn = epoch
        moved: npt.NDArray[np.int64] = self._moved[np.searchsorted(self._ends, positions, side="right")]
        return positions + moved


class ContinuousStreams:
    """One text as B parallel streams that carry their state from window to window.

    Row b begins at floor(b N / B) and is ceil(N / B) long: together the rows cover every token once, or twice at a
    border. The first window of an epoch is of random length, so that borders fall elsewhere each time; there, each
    row takes over the state of the row before it, which has just read what stands in front of it. At any border
    a row loses its state with probability `state_drop`: so the network learns to begin from nothing. A row that has
    come to the `opening` of a paragraph begins anew from the start id: so a sample begins as a paragraph does. In a
    text without any, half of the rows that lose their state lose their last token too.

    With an `order` of its files, the text of an epoch is those one after another in that order: then no row has read
    what stands in front of another, and an epoch begins from nothing.
    """

    ended = False

    def __init__(
        self,
        tokens: Tokens,
        start_id: int,
        batch_size: int,
        bptt: int,
        seed: int,
        state_drop: float,
        opening: tuple[int, ...] | None = None,
        order: FileOrder | None = None,
    ) -> None:
        self._order = order
        self.batch_size, self.bptt = batch_size, bptt
        self._tokens, self._start_id = tokens, start_id
        self._seed, self._state_drop, self._opening = seed, state_drop, opening
        self._starts = np.arange(batch_size, dtype=np.int64) * tokens.size // batch_size
        self._length = -(-tokens.size // batch_size)

    def _first(self, epoch: int) -> int:
        random = np.random.default_rng([self._seed, epoch])
        return int(random.integers(1, min(self.bptt, self._length), endpoint=True))

    def _at(self, epoch: int, positions: npt.NDArray[np.int64]) -> Tokens:
        """The tokens at these positions of an epoch; the first one for those in front of it."""
        positions = np.maximum(positions, 0)
        return self._tokens[positions if self._order is None else self._order.places(epoch, positions)]

    def _opened(self, epoch: int, begin: int) -> npt.NDArray[np.bool_]:
        """Which rows (B,) have a paragraph's opening right before this position of theirs."""
        opening = np.array(self._opening)
        positions = self._starts[:, None] + begin + np.arange(-len(opening), 0)[None, :]
        found = self._at(epoch, positions) == opening
        return np.asarray((found & (positions >= 0)).all(axis=1))

    def windows(self, epoch: int) -> int:
        return 1 + -(-(self._length - self._first(epoch)) // self.bptt)

    def window(self, epoch: int, index: int) -> Batch:
        first = self._first(epoch)
        begin = 0 if index == 0 else first + (index - 1) * self.bptt
        end = first if index == 0 else min(begin + self.bptt, self._length)
        # One token more, in front: the input of the first target.
        positions = self._starts[:, None] + np.arange(begin - 1, end)[None, :]
        tokens = self._at(epoch, positions).astype(np.int64)
        tokens[positions < 0] = self._start_id
        rows = np.arange(self.batch_size)
        if index == 0:
            rows = rows - 1 if epoch and self._order is None else np.full_like(rows, FRESH)
        random = np.random.default_rng([self._seed, epoch, index])
        dropped = random.random(self.batch_size) < self._state_drop
        started = self._opened(epoch, begin) if self._opening else dropped & (random.random(self.batch_size) < 0.5)
        dropped |= started
        rows[dropped] = FRESH
        inputs = tokens[:, :-1].copy()
        inputs[started, 0] = self._start_id
        moved = index == 0 or dropped.any()
        return Batch(
            torch.from_numpy(inputs),
            torch.from_numpy(tokens[:, 1:].copy()),
            torch.from_numpy(rows) if moved else None,
        )


class DocumentStreams:
    """Documents in groups of B of about the same length, each from the start id and a fresh state to its end.

    A document longer than the window goes on in the next one with its state. Every epoch groups them anew.
    """

    ended = False

    def __init__(
        self, tokens: Tokens, starts: npt.NDArray[np.int64], start_id: int, batch_size: int, bptt: int, seed: int
    ) -> None:
        self.batch_size, self.bptt = batch_size, bptt
        self._tokens, self._starts, self._start_id, self._seed = tokens, starts, start_id, seed
        self._lengths = np.diff(starts, append=tokens.size)
        self._planned = -1
        self._plan: list[tuple[npt.NDArray[np.int64], int, int]] = []

    def _windows(self, epoch: int) -> list[tuple[npt.NDArray[np.int64], int, int]]:
        """(documents of a group, begin, end) of every window; the last epoch asked for is kept."""
        if self._planned != epoch:
            random = np.random.default_rng([self._seed, epoch])
            order = random.permutation(len(self._starts))
            block = SORTED_GROUPS * self.batch_size
            groups = []
            for at in range(0, len(order), block):
                some = order[at : at + block]
                some = some[np.argsort(self._lengths[some], kind="stable")]
                groups += [some[i : i + self.batch_size] for i in range(0, len(some), self.batch_size)]
            self._plan = [
                (groups[g], begin, min(begin + self.bptt, longest))
                for g in random.permutation(len(groups))
                for longest in [int(self._lengths[groups[g]].max())]
                for begin in range(0, longest, self.bptt)
            ]
            self._planned = epoch
        return self._plan

    def windows(self, epoch: int) -> int:
        return len(self._windows(epoch))

    def lengths(self, epoch: int) -> npt.NDArray[np.int64]:
        """How long each window is: to the end of the longest of its documents, or BPTT."""
        return np.array([end - begin for _, begin, end in self._windows(epoch)], np.int64)

    def window(self, epoch: int, index: int) -> Batch:
        group, begin, end = self._windows(epoch)[index]
        # The last group of a block may be short of documents: its missing rows are padding.
        lengths = np.zeros(self.batch_size, np.int64)
        lengths[: len(group)] = self._lengths[group]
        starts = np.zeros(self.batch_size, np.int64)
        starts[: len(group)] = self._starts[group]
        offsets = np.arange(begin - 1, end)[None, :]
        inside = (offsets >= 0) & (offsets < lengths[:, None])
        tokens = self._tokens[np.where(inside, starts[:, None] + offsets, 0)].astype(np.int64)
        tokens[~inside] = self._start_id
        targets = np.where(inside[:, 1:], tokens[:, 1:], IGNORED)
        rows = torch.full((self.batch_size,), FRESH) if begin == 0 else None
        return Batch(torch.from_numpy(tokens[:, :-1].copy()), torch.from_numpy(targets), rows)
