"""No long copies: what would make a span longer that stands word for word in the training text does not come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from charrnn.errors import CharrnnError
from charrnn.generation.lazy import LazyModule
from charrnn.generation.processors.base import DROPPED, Processor

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

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
FEW = 64


class Written(NamedTuple):
    """What is known of a row: its last characters, how many of them are copied at most, what is in half a character."""

    window: str
    copied: int
    half: Detokenizer | None


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
        # By length: beginnings of symbols, and the symbols that begin so.
        self._beginnings: list[dict[str, list[int]]] = [{} for _ in range(self._longest + 1)]
        for token, text in enumerate(self._texts):
            for length in range(1, len(text or "") + 1):
                self._beginnings[length].setdefault((text or "")[:length], []).append(token)
        self._forbidden = lru_cache(REMEMBERED)(self._find_forbidden)
        self._followed = lru_cache(REMEMBERED)(self._find_followed)
        self._copied = lru_cache(REMEMBERED)(self._find_copied)

    def start(self, prompt: Sequence[int]) -> Written:
        """The state behind the prompt."""
        state = Written("", 0, None)
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
        copied = min(state.copied + len(text), len(window))
        if copied + self._longest > self._most:
            copied = self._copied(window)
        return Written(window, copied, half)

    def __call__(self, logits: Logits, sequences: Sequence[TextSequence]) -> Logits:
        result = logits
        for row, sequence in enumerate(sequences):
            state: Written = sequence.states[self]
            # Half a character may yet be up to three that stand for what is no UTF-8.
            if state.copied + self._longest + (0 if state.half is None else HALF) <= self._most:
                continue
            forbidden = self._forbidden(state.window, state.copied) if state.half is None else self._completing(state)
            if len(forbidden):
                result = logits.copy() if result is logits else result
                result[row, forbidden] = DROPPED
                if result[row].max() == DROPPED:
                    raise CharrnnError(
                        f"every symbol that may come behind {state.window!r} would make a span of more than "
                        f"{self._most:,} characters stand in the training text: a larger `max_copy` leaves a choice"
                    )
        return result

    def _find_copied(self, window: str) -> int:
        """How many of its last characters are copied at most; all of them only where they are.

        Where half of them are not, it takes as many again until they may be: a search less deep costs less.
        """
        known = 0
        while known < len(window):
            size = (known + len(window) + 1) // 2
            if window[-size:] not in self._learned:
                return size - 1
            known = size
        return known

    def _find_forbidden(self, window: str, copied: int) -> npt.NDArray[np.int64]:
        """The symbols one of whose characters is too much behind a window of which so many are copied at most.

        A span that is too long is an end of the window and a beginning of the symbol. The shorter the end, the more
        often it stands in the training text, but the fewer symbols have so long a beginning.
        """
        found: set[int] = set()
        for size in range(max(0, self._most + 1 - self._longest), copied + 1):
            end = window[len(window) - size :]
            low, high = self._learned.find(end)
            if high - low <= FEW:
                found.update(*self._at_places(window, size, self._learned.suffixes[low:high].tolist()))
                break
            found.update(self._followed(end))
        return np.array(sorted(found), np.int64)

    def _at_places(self, window: str, size: int, places: Iterable[int]) -> Iterator[list[int]]:
        """The symbols that would go on as the text does at places where so many characters of the window's end stand.

        However many more stand there in front of them.
        """
        read, span = self._learned.read, self._most + 1
        before = len(window) - size
        for place in places:
            common = size + common_end(window[:before], read(max(0, place - before), place))
            yield self._beginnings[span - common].get(read(place + size, place + size + span - common), [])

    def _find_followed(self, end: str) -> list[int]:
        """The symbols whose beginning makes a span that is too long of this end of a window, which stands in many
        places.
        """
        beginnings = self._beginnings[self._most + 1 - len(end)]
        return [token for text, tokens in beginnings.items() if end + text in self._learned for token in tokens]

    def _completing(self, state: Written) -> list[int]:
        """The symbols that are too much where half a character waits for its other half."""
        assert state.half is not None
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


def common_end(one: str, other: str) -> int:
    """How many of the last characters of two texts are the same."""
    most = min(len(one), len(other))
    return next((size for size in range(most) if one[-1 - size] != other[-1 - size]), most)
