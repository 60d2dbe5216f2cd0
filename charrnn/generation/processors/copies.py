"""No long copies: what would make a span longer that stands word for word in the training text does not come."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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


class Written(NamedTuple):
    """What is known of a row: its last characters, how many of them are copied at most, what is in half a character."""

    window: str
    copied: int
    half: Detokenizer | None


class Branch:
    """The symbols whose text leads here, what follows on them, and how many characters the longest has from here."""

    def __init__(self) -> None:
        self.tokens: list[int] = []
        self.further: dict[str, Branch] = {}
        self.depth = 0

    def add(self, token: int, text: str) -> None:
        """A symbol whose text is this, from here."""
        self.depth = max(self.depth, len(text))
        if text:
            self.further.setdefault(text[0], Branch()).add(token, text[1:])
        else:
            self.tokens.append(token)

    def all_tokens(self) -> list[int]:
        """Every symbol here and further on."""
        return [*self.tokens, *(token for branch in self.further.values() for token in branch.all_tokens())]


class MaxCopy(Processor):
    """Drop what would make a span of more than `most` characters, the prompt's with them, stand in the training text.

    A symbol of several characters is dropped where any of its characters would; one that ends in half a character is
    judged when that is whole, by the symbol that completes it.
    """

    options = ()

    def __init__(self, learned: CopyIndex, most: int, tokenizer: Tokenizer) -> None:
        self._learned, self._most, self._tokenizer = learned, most, tokenizer
        self._texts = [_whole_text(tokenizer, token) for token in range(tokenizer.size)]
        self._root = Branch()
        for token, text in enumerate(self._texts):
            if text:
                self._root.add(token, text)
        self._longest = max(self._root.depth, 1)
        self._forbidden = lru_cache(REMEMBERED)(self._find_forbidden)
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
        return np.array(sorted(self._walk(self._root, window, copied)), np.int64)

    def _walk(self, branch: Branch, window: str, copied: int) -> Iterable[int]:
        """The symbols below a branch that are one character too much, behind a window of which so many are copied."""
        if copied + branch.depth <= self._most:
            return
        too_much = self._learned.followers(window) if copied == self._most else ""
        for character, further in branch.further.items():
            if character in too_much:
                yield from further.all_tokens()
            elif further.depth:
                after = (window + character)[-self._most :]
                bound = min(copied + 1, self._most)
                yield from self._walk(further, after, self._copied(after) if bound + further.depth > self._most else 0)

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
