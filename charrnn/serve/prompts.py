"""Prompts that are being read, side by side and piece by piece, so that no text under way waits long for them.

What was read is kept by its beginning: a prompt that begins as another did is read from there. Shapes: T tokens, B
prompts, V vocabulary.
"""

import time
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np

from charrnn.inference.base import Engine, EngineState, Ids
from charrnn.inference.products import Floats
from charrnn.inference.reading import Reading
from charrnn.models.states import map_state, state_parts

# Beginnings are kept at multiples of so many tokens, and where a prompt ends.
STRIDE = 256
DIGEST = 16
# Prompts read at once; logits of a piece (T x B x V) at most; and the tokens of a piece, which takes about so long.
MOST_ROWS, MOST_LOGITS = 64, 1 << 22
LEAST_PIECE, MOST_PIECE, PIECE_SECONDS = 64, 1 << 14, 0.03

# A digest of whole strides, and the ids behind them.
Key = tuple[bytes, bytes]


class Known(NamedTuple):
    """Where a text stands behind its first tokens."""

    tokens: int
    logits: Floats
    """(1, V) of what comes next; nothing before the first token."""
    state: EngineState
    """of one row"""


class Text:
    """Token ids (T,), and what tells their beginnings apart: a digest of whole strides, and what stands behind them."""

    def __init__(self, ids: Ids) -> None:
        self.ids = ids
        self._digests = [bytes(DIGEST)]
        for first in range(0, len(ids) - STRIDE + 1, STRIDE):
            told = self._digests[-1] + ids[first : first + STRIDE].tobytes()
            self._digests.append(blake2b(told, digest_size=DIGEST).digest())

    def __len__(self) -> int:
        return len(self.ids)

    def key(self, length: int) -> Key:
        """That of its first tokens."""
        strides = length // STRIDE
        return self._digests[strides], self.ids[strides * STRIDE : length].tobytes()


class Beginnings:
    """States of texts by their tokens; the one that was longest not asked for goes first."""

    def __init__(self, most_bytes: int) -> None:
        self._kept: OrderedDict[Key, Known] = OrderedDict()
        # By the digest of whole strides: how many tokens stand behind them in those that are kept.
        self._rests: dict[bytes, Counter[int]] = defaultdict(Counter)
        self._bytes, self._most = 0, most_bytes

    def longest(self, text: Text) -> Known | None:
        """The longest beginning of this text that is known."""
        for whole in range(len(text) // STRIDE * STRIDE, -1, -STRIDE):
            for rest in sorted(self._rests.get(text.key(whole)[0], ()), reverse=True):
                key = text.key(whole + rest)
                if whole + rest <= len(text) and key in self._kept:
                    self._kept.move_to_end(key)
                    return self._kept[key]
        return None

    def keep(self, text: Text, known: Known) -> None:
        """Keep where a text stands behind so many of its tokens."""
        key = text.key(known.tokens)
        if key in self._kept:
            return
        self._kept[key] = known
        self._rests[key[0]][known.tokens % STRIDE] += 1
        self._bytes += _size(key, known)
        while self._bytes > self._most:
            key, known = self._kept.popitem(last=False)
            self._bytes -= _size(key, known)
            self._rests[key[0]] -= Counter([known.tokens % STRIDE])
            if not self._rests[key[0]]:
                del self._rests[key[0]]


def _size(key: Key, known: Known) -> int:
    arrays = [known.logits, *state_parts(known.state)]
    return len(key[0]) + len(key[1]) + sum(int(array.nbytes) for array in arrays)


@dataclass(eq=False)
class _Begun:
    """A prompt that is being read, for whom, and how far it has come; the text has the start in front."""

    whose: Any
    text: Text
    known: Known

    @property
    def left(self) -> int:
        """How many tokens are still to be read."""
        return len(self.text) - self.known.tokens

    def next(self) -> int:
        """How many tokens up to where it is kept next."""
        return min(self.left, STRIDE - self.known.tokens % STRIDE)


class Prompts:
    """All that are being read on one engine."""

    def __init__(self, engine: Engine, cache_bytes: int) -> None:
        self._engine, self._beginnings = engine, Beginnings(cache_bytes)
        self._begun: list[_Begun] = []
        self._piece = LEAST_PIECE

    def __len__(self) -> int:
        return len(self._begun)

    def add(self, whose: Any, prompt: Sequence[int]) -> int:
        """Read this prompt too -> how many of its tokens are known already."""
        text = Text(np.array([self._engine.config.start_id, *prompt], np.int64))
        known = self._beginnings.longest(text)
        if known is None:
            none = np.empty((0, self._engine.config.vocab_size), np.float32)
            known = Known(0, none, self._engine.initial_state(1))
        self._begun.append(_Begun(whose, text, known))
        return max(0, known.tokens - 1)

    def drop(self, whose: Any) -> None:
        """Nobody waits for it any more."""
        self._begun = [each for each in self._begun if each.whose is not whose]

    def go_on(self) -> list[tuple[Any, Reading]]:
        """Read for a moment -> those whose prompts are read."""
        began = ended = time.perf_counter()
        while ended - began < PIECE_SECONDS and (some := [each for each in self._begun if each.left][:MOST_ROWS]):
            before = ended
            self._read(some)
            ended = time.perf_counter()
            if ended - before < PIECE_SECONDS:
                self._piece = min(2 * self._piece, MOST_PIECE)
            elif ended - before > 2 * PIECE_SECONDS:
                self._piece = max(LEAST_PIECE, self._piece // 2)
        done = [each for each in self._begun if not each.left]
        self._begun = [each for each in self._begun if each.left]
        return [(each.whose, Reading(each.text.ids[1:].tolist(), each.known.logits, each.known.state)) for each in done]

    def _read(self, some: Sequence[_Begun]) -> None:
        """As far as the first of them is to be kept."""
        room = min(self._piece, MOST_LOGITS // self._engine.config.vocab_size) // len(some)
        steps = min(max(1, room), *(each.next() for each in some))
        tokens = np.array([each.text.ids[each.known.tokens : each.known.tokens + steps] for each in some]).T
        state = self._engine.join_rows([each.known.state for each in some])
        logits, state = self._engine.read(np.ascontiguousarray(tokens), state)
        for row, each in enumerate(some):
            own = map_state(lambda part: part[row : row + 1].copy(), state)  # noqa: B023
            each.known = Known(each.known.tokens + steps, logits[-1, row : row + 1].copy(), own)
            if not each.left or each.known.tokens % STRIDE == 0:
                self._beginnings.keep(each.text, each.known)
