"""One row of a text under way: all that belongs to it, so that it can be copied, dropped and put in another order."""

import copy
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from charrnn.generation.config import SampleConfig
from charrnn.generation.processors import Processor
from charrnn.generation.stop import StopSearch
from charrnn.text.tokenizers import Tokenizer

UNIFORMS_AT_ONCE = 256
# A uniform has so many bits.
UNIFORM_BITS = 53


class TextChunk(NamedTuple):
    """New text of one row; `finished` says why its last chunk is the last: length, stop or end, else None.

    `ids` are the tokens drawn since the row's last chunk: those with them whose text was held back or cut off, and the
    end of a document. `logprobs`, where they were asked for: the model's own log-probability of each (nats, temperature
    1, no filter).
    Beside them, under a pattern: `kept`, the log-probability (nats) of all that the pattern left there, where it masks;
    `tries`, those that it took, where texts are tried until one matches.
    """

    row: int
    text: str
    finished: str | None = None
    ids: tuple[int, ...] = ()
    logprobs: tuple[float, ...] | None = None
    kept: float | None = None
    tries: int | None = None

    @property
    def logprob(self) -> float | None:
        """That of all its tokens; None where it was not asked for."""
        return None if self.logprobs is None else sum(self.logprobs)


class Uniforms:
    """Numbers in [0, 1), those of PCG64 (O'Neill 2014) with this seed, one after another; a copy goes on alike."""

    def __init__(self, seed: int) -> None:
        self._seed, self._made = seed, 0
        self._block: Sequence[float] = ()
        self._place = 0  # of the next one in the block

    def next(self) -> float:
        """The next number."""
        if self._place == len(self._block):
            self._block, self._place = self._more(UNIFORMS_AT_ONCE).tolist(), 0
        self._place += 1
        return self._block[self._place - 1]

    def take(self, numbers: int) -> npt.NDArray[np.float64]:
        """The next so many."""
        first = self._block[self._place : self._place + numbers]
        self._place += len(first)
        return np.concatenate([first, self._more(numbers - len(first))])

    def _more(self, numbers: int) -> npt.NDArray[np.float64]:
        # The generator is made anew where it has come to: nothing but numbers is ever copied.
        generator = np.random.Generator(np.random.PCG64(self._seed).advance(self._made))
        self._made += numbers
        return generator.random(numbers)

    def seed(self) -> int:
        """The next number as a seed: one that no other row has."""
        return int(self.next() * 2**UNIFORM_BITS)


class Counts:
    """How often each id stands among the last ones, so many or all; kept up as they come."""

    def __init__(self, ids: Sequence[int], window: int | None, size: int) -> None:
        self._window, self._seen = window, len(ids)
        last = ids if window is None else ids[-window:]
        self._counts = np.bincount(last, minlength=size).astype(np.float64)

    def of(self, ids: Sequence[int]) -> npt.NDArray[np.float64]:
        """Of these ids, which begin with those of before."""
        counts, window = self._counts, self._window
        for place in range(self._seen, len(ids)):
            counts[ids[place]] += 1
            if window is not None and place >= window:
                counts[ids[place - window]] -= 1
        self._seen = len(ids)
        return counts


def joined(chunks: Sequence[TextChunk]) -> TextChunk:
    """Chunks of one row, of which nothing is told but their tokens and how likely these were, as one."""
    text, ids = "".join(chunk.text for chunk in chunks), tuple(token for chunk in chunks for token in chunk.ids)
    told = [one for chunk in chunks for one in chunk.logprobs or ()]
    return TextChunk(chunks[0].row, text, chunks[-1].finished, ids, tuple(told) or None)


class TextSequence:
    """One row: its ids (prompt and all that was drawn), its text, its uniforms, and the processors' states.

    `finished` says why it has ended: length, stop or end; None while it has not.
    """

    def __init__(
        self,
        row: int,
        prompt: Iterable[int],
        tokenizer: Tokenizer,
        config: SampleConfig,
        processors: Iterable[Processor] = (),
        *,
        seed: int = 0,
        most: int | None = None,
    ) -> None:
        """With `most`, it ends behind so many tokens, if nothing ends it before."""
        self.row = row
        self.ids = list(prompt)
        self.uniforms = Uniforms(seed)
        self.finished: str | None = None
        started = {processor: processor.start(self.ids) for processor in processors}
        self.states: dict[Processor, Any] = {one: state for one, state in started.items() if state is not None}
        self._end = tokenizer.size
        self._detokenizer = tokenizer.detokenizer()
        self._stop = StopSearch(config.stop, config.length)
        self._written: list[str] = []
        self.written = 0  # characters, the prompt not among them
        # How many ids the prompt has, how many there were at the last chunk, and how many there may be.
        self._begun = self._told = len(self.ids)
        self._most = sys.maxsize if most is None else self._begun + most
        self._logprobs: list[float] = []  # of what was drawn, where they are told
        self._kept = 0.0  # since the last chunk
        self._counts: dict[int | None, Counts] = {}

    @property
    def text(self) -> str:
        """What was written so far, the prompt not among it."""
        return "".join(self._written)

    def counts(self, window: int | None) -> npt.NDArray[np.float64]:
        """How often each id stands among the last, so many or all: (V + 2,), which belongs to the sequence."""
        if window not in self._counts:
            self._counts[window] = Counts(self.ids, window, self._end + 2)
        return self._counts[window].of(self.ids)

    def leaving(self, window: int | None, steps: int) -> list[int]:
        """Of the ids so far, which one leaves the window with each of the next so many; none: -1."""
        begin = -steps if window is None else len(self.ids) - window
        known = self.ids[max(0, begin) : max(0, begin + steps)]
        before = min(steps, max(0, -begin))
        return [-1] * before + known + [-1] * (steps - before - len(known))

    def push(self, token: int, logprob: float | None = None, kept: float | None = None) -> TextChunk | None:
        """Go on by the token drawn -> the text that is certain now, None where there is none.

        `logprob` (nats) is for the processors that use it, and for the chunk, as `kept` is.
        """
        self.ids.append(token)
        for processor, state in self.states.items():
            self.states[processor] = processor.advance(state, token, logprob)
        if token == self._end:
            text, self.finished = self._stop.finish(self._detokenizer.finish()), "end"
        else:
            text, self.finished = self._within(*self._stop.push(self._detokenizer.push(token)))
        if logprob is not None:
            self._logprobs.append(logprob)
        if kept is not None:
            self._kept = kept = self._kept + kept
        return self._chunk(text, self.finished, kept)

    def _within(self, text: str, finished: str | None) -> tuple[str, str | None]:
        """The same or, where that is the last token that there may be, with what was held back."""
        if finished or len(self.ids) < self._most:
            return text, finished
        return text + self._stop.finish(""), "length"

    def _chunk(self, text: str, finished: str | None, kept: float | None = None) -> TextChunk | None:
        """What is told of the tokens since the last chunk; None where no text is certain."""
        self.finished = finished
        if not text and not finished:
            return None
        self._written.append(text)
        self.written += len(text)
        told = tuple(self._logprobs[self._told - self._begun :]) if self._logprobs else None
        chunk = TextChunk(self.row, text, finished, tuple(self.ids[self._told :]), told, kept)
        self._kept, self._told = 0.0, len(self.ids)
        return chunk

    @property
    def room(self) -> int:
        """How many characters, or tokens, there is room for behind what is certain or held back."""
        return min(self._stop.room, self._most - len(self.ids))

    def extend(self, tokens: Sequence[int], logprobs: Sequence[float] | None = None) -> TextChunk | None:
        """`push`, one after another up to an end, and what they all give; for a sequence without processors' states."""
        stop, detokenizer = copy.copy(self._stop), self._detokenizer.copy()
        tokens = tokens[: self._most - len(self.ids)]
        if self._end not in tokens:
            *_, last = pieces = list(map(detokenizer.push, tokens))
            text = "".join(pieces)
            fits = len(text) - len(last) < stop.room  # it is not full before the last of them
            text, finished = stop.push(text)
            if fits and finished != "stop":
                self._stop, self._detokenizer = stop, detokenizer
                self.ids += tokens
                self._logprobs += (logprobs or ())[: len(tokens)]
                return self._chunk(*self._within(text, finished))
        chunks = []
        for place, token in enumerate(tokens):
            chunk = self.push(token, logprobs[place] if logprobs else None)
            if chunk is not None:
                chunks.append(chunk)
                if chunk.finished:
                    break
        return joined(chunks) if chunks else None

    def whole(self, *, logprobs: bool, tries: int | None = None) -> TextChunk:
        """All that was written, as one chunk; with what was told of its tokens, if that is asked for."""
        told = tuple(self._logprobs) if logprobs else None
        return TextChunk(self.row, self.text, self.finished, tuple(self.ids[self._begun :]), told, tries=tries)

    def copy(self, *, seed: int | None = None) -> "TextSequence":
        """The same again, to go on by itself: alike or, with a seed, by other uniforms."""
        twin = copy.copy(self)
        twin.ids, twin.states, twin._written = self.ids.copy(), self.states.copy(), self._written.copy()
        twin._logprobs = self._logprobs.copy()
        twin.uniforms = copy.copy(self.uniforms) if seed is None else Uniforms(seed)
        twin._counts = {}  # made anew where they are asked for
        twin._detokenizer, twin._stop = self._detokenizer.copy(), copy.copy(self._stop)
        return twin
