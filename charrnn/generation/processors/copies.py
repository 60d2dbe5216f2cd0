"""No long copies: what would make a span longer that stands word for word in the training text does not come."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from charrnn.errors import CharrnnError
from charrnn.generation.lazy import LazyModule
from charrnn.generation.processors.base import DROPPED, Processor

if TYPE_CHECKING:
    import numpy as np

    from charrnn.generation.processors.base import Logits
    from charrnn.generation.sequence import TextSequence
    from charrnn.text.copy_index import CopyIndex
    from charrnn.text.tokenizers import Tokenizer
    from charrnn.text.tokenizers.base import Detokenizer
else:
    np = LazyModule("numpy")

# Windows whose forbidden symbols are remembered: the same come again and again, in a row and in many.
REMEMBERED = 1 << 14
HALF = 3
# Places in the training text that are looked at one by one.
FEW = 8
# Characters that make no difference to the depth of a search.
NEAR = 2
# Beginnings of symbols that are not looked for one by one.
MANY = 8
# So many characters, which come again and again, tell whether a long symbol may follow.
CONTEXT = 2


class Written(NamedTuple):
    """What is known of a row: its last characters, how many of them are copied at most, the symbols that are too much
    behind them, and what is in half a character.
    """

    window: str
    copied: int
    forbidden: Sequence[int] = ()
    half: Detokenizer | None = None


class MaxCopy(Processor):
    """Drop what would make a span of more than `most` characters, the prompt's with them, stand in the training text.

    A symbol of several characters is dropped where any of its characters would; one that ends in half a character is
    judged when that is whole, by the symbol that completes it.
    """

    options = ()

    def __init__(self, learned: CopyIndex, most: int, tokenizer: Tokenizer) -> None:
        self._learned, self._most, self._tokenizer = learned, most, tokenizer
        self._texts = [_whole_text(tokenizer, token) for token in range(tokenizer.size)]
        self._longest = max(1, *(len(text or "") for text in self._texts))
        self._harmless = most - self._longest
        self._context = min(CONTEXT, max(0, most + 1 - self._longest))
        # By length: beginnings of symbols, and the symbols that begin so.
        self._beginnings: list[dict[str, list[int]]] = [{} for _ in range(self._longest + 1)]
        for token, text in enumerate(self._texts):
            for length in range(1, len(text or "") + 1):
                self._beginnings[length].setdefault((text or "")[:length], []).append(token)
        self._looked = lru_cache(REMEMBERED)(self._look)
        self._followed = lru_cache(REMEMBERED)(self._find_followed)
        self._possible = lru_cache(REMEMBERED)(self._find_possible)

    def start(self, prompt: Sequence[int]) -> Written:
        """The state behind the prompt."""
        state = self._state("", 0, None)
        for token in prompt:
            state = self.advance(state, token, None)
        return state

    def advance(self, state: Written, token: int, logprob: float | None) -> Written:
        """One more symbol; how much is copied is looked up only when it may matter."""
        if token >= self._tokenizer.size:
            return state
        text, half = self._texts[token], None
        if text is None or state.half is not None:
            half = self._tokenizer.detokenizer() if state.half is None else state.half.copy()
            text = half.push(token)
            half = half if half.copy().finish() else None
        window = (state.window + text)[-self._most :]
        copied = state.copied + len(text)
        if copied <= self._harmless and half is None:
            return Written(window, copied)
        return self._state(window, min(copied, len(window)), half)

    def _state(self, window: str, copied: int, half: Detokenizer | None) -> Written:
        """Behind a window of which so many characters are copied at most."""
        if half is None and self._may_matter(window, copied):
            return Written(window, *self._looked(window, copied))
        return Written(window, copied, (), half)

    def __call__(self, logits: Logits, sequences: Sequence[TextSequence]) -> Logits:
        result = logits
        for row, sequence in enumerate(sequences):
            state: Written = sequence.states[self]
            if forbidden := state.forbidden if state.half is None else self._completing(state):
                result = logits.copy() if result is logits else result
                result[row, forbidden] = DROPPED
                if result[row].max() == DROPPED:
                    raise CharrnnError(
                        f"every symbol that may come behind {state.window!r} would make a span of more than "
                        f"{self._most:,} characters stand in the training text: a larger `max_copy` leaves a choice"
                    )
        return result

    def _may_matter(self, window: str, copied: int) -> bool:
        """Whether any symbol may be too much behind a window of which so many characters are copied at most."""
        least = self._most + 1 - copied
        return least <= self._longest and self._possible(window[len(window) - self._context :], least)

    def _find_possible(self, end: str, least: int) -> bool:
        """Whether a symbol of so many characters may come behind this in the training text: looked up for a few."""
        beginnings = self._beginnings[least]
        return len(beginnings) > MANY or any(end + text in self._learned for text in beginnings)

    def _look(self, window: str, copied: int) -> tuple[int, list[int]]:
        """How many of a window's last characters are copied at most, and the symbols that are too much behind it.

        A span that is too long is an end of the window and a beginning of a symbol. Where half of the window is not
        copied, or as much of it as the longest symbol calls for, none is; as many again are looked for until they may
        be, for a search less deep costs less. The shorter the end, the more often it stands in the training text, but
        the fewer symbols have so long a beginning.
        """
        known, least = 0, max(0, self._most + 1 - self._longest)
        while (size := (known + len(window) + 1) // 2) + NEAR < least:
            if window[-size:] not in self._learned:
                return size - 1, []
            known = size
        found: set[int] = set()
        for size in range(least, copied + 1):
            end = window[len(window) - size :]
            low, high = self._learned.find(end)
            if high - low <= max(FEW, len(self._beginnings[self._most + 1 - size])):
                places = self._learned.suffixes[low:high].tolist()
                sizes = [self._common(window, size, place) for place in places]
                for place, common in zip(places, sizes, strict=True):
                    ahead = self._learned.read(place + size, place + size + self._most + 1 - common)
                    found.update(self._beginnings[self._most + 1 - common].get(ahead, ()))
                return max(sizes, default=size - 1), sorted(found)
            found.update(self._followed(end))
        return copied, sorted(found)

    def _common(self, window: str, size: int, place: int) -> int:
        """How many of the window's last characters stand where `size` of them do."""
        before = window[: len(window) - size]
        other = self._learned.read(max(0, place - len(before)), place)
        for one, two in zip(reversed(before), reversed(other), strict=False):
            if one != two:
                break
            size += 1
        return size

    def _find_followed(self, end: str) -> list[int]:
        """The symbols whose beginning makes a span that is too long of this end of a window, which stands in many
        places.
        """
        beginnings = self._beginnings[self._most + 1 - len(end)]
        return [token for text, tokens in beginnings.items() if end + text in self._learned for token in tokens]

    def _completing(self, state: Written) -> list[int]:
        """The symbols that are too much where half a character waits for its other half."""
        assert state.half is not None
        # It may yet be up to three that stand for what is no UTF-8.
        if state.copied + self._longest + HALF <= self._most:
            return []
        texts = (state.half.copy().push(token) for token in range(self._tokenizer.size))
        return [token for token, text in enumerate(texts) if text and self._too_long(state.window + text)]

    def _too_long(self, text: str) -> bool:
        size = self._most + 1
        return any(text[start : start + size] in self._learned for start in range(len(text) - self._most))


def _whole_text(tokenizer: Tokenizer, token: int) -> str | None:
    """What a symbol writes by itself; None where it ends in half a character."""
    detokenizer = tokenizer.detokenizer()
    text = detokenizer.push(token)
    return None if detokenizer.finish() else text
