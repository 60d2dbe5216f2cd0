"""Prime, draw, feed the draw back in: a stream of text pieces for each row.

B rows are generated side by side; row i depends on seed + i alone, so it is the same text alone or in company.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from charrnn.config import SampleConfig
from charrnn.generation.processors import compose, draw
from charrnn.inference.backends import Acceleration
from charrnn.inference.engine import Engine, select_rows
from charrnn.text.tokenizers import Ids, Tokenizer

UNIFORMS_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class TextChunk:
    """New text of one row; `finished` says why its last piece is the last: length, stop or end, else None."""

    row: int
    text: str
    finished: str | None = None


def generate(
    engine: Engine, tokenizer: Tokenizer, config: SampleConfig, *, prompt: str = "", rows: int = 1, seed: int = 0
) -> Iterator[TextChunk]:
    """Generate `rows` texts that continue the prompt, piece by piece as they come.

    Each ends after `config.length` code points, before a stop string, or at the end of a document. Raises
    VocabularyError when the prompt holds characters that the vocabulary lacks.
    """
    prompt_ids = tokenizer.encode(prompt)
    with engine.accelerated(rows, config.length + len(prompt_ids)) as acceleration:
        yield from _generate(engine, acceleration, tokenizer, config, prompt_ids, rows, seed)


def _generate(
    engine: Engine,
    acceleration: Acceleration,
    tokenizer: Tokenizer,
    config: SampleConfig,
    prompt_ids: Ids,
    rows: int,
    seed: int,
) -> Iterator[TextChunk]:
    logits, memory = engine.prime(np.array([engine.config.start_id, *prompt_ids.tolist()]))
    logits, memory = logits.repeat(rows, axis=0), select_rows(memory, [0] * rows)
    history = np.zeros((rows, engine.config.vocab_size), dtype=np.bool_)
    history[:, prompt_ids] = True

    shape = compose(config)
    texts = [_Text(row, tokenizer, config) for row in range(rows)]
    generators = [np.random.Generator(np.random.PCG64(seed + row)) for row in range(rows)]
    drawn = 0
    uniforms = np.empty((0, rows))
    while texts:
        if drawn % UNIFORMS_AT_ONCE == 0:
            uniforms = np.stack([generator.random(UNIFORMS_AT_ONCE) for generator in generators], axis=1)
            if drawn:  # a reader may want no more than a few lines
                acceleration.use_what_came()
        chosen = draw(shape(logits.astype(np.float64), history), uniforms[drawn % UNIFORMS_AT_ONCE])
        drawn += 1
        left = []
        for index, (text, token) in enumerate(zip(texts, chosen.tolist(), strict=True)):
            piece = text.push(token)
            if piece.text or piece.finished:
                yield piece
            if not piece.finished:
                left.append(index)
        if len(left) < len(texts):
            texts, generators = [texts[i] for i in left], [generators[i] for i in left]
            chosen, history, uniforms = chosen[left], history[left], uniforms[:, left]
            memory = select_rows(memory, left)
        if texts:
            if config.repetition_penalty is not None:
                history[np.arange(len(texts)), chosen] = True
            logits, memory = engine.step(chosen, memory)


class _Text:
    """One row's text: decodes ids, holds back what may become a stop string, counts characters."""

    def __init__(self, row: int, tokenizer: Tokenizer, config: SampleConfig) -> None:
        self.row = row
        self._end = tokenizer.size
        self._decoder = tokenizer.detokenizer()
        self._stop = config.stop
        self._room = config.length
        self._held = ""

    def push(self, token: int) -> TextChunk:
        if token == self._end:
            return self._close(self._held + self._decoder.finish(), "end")
        self._held += self._decoder.push(token)
        places = [place for stop in self._stop if (place := self._held.find(stop)) >= 0]
        if places and min(places) < self._room:
            return self._close(self._held[: min(places)], "stop")
        safe = len(self._held) - self._longest_beginning()
        safe = min(safe, self._room)
        text, self._held = self._held[:safe], self._held[safe:]
        self._room -= len(text)
        if self._room == 0:
            return TextChunk(self.row, text, "length")
        return TextChunk(self.row, text)

    def _close(self, text: str, reason: str) -> TextChunk:
        return TextChunk(self.row, text[: self._room], reason)

    def _longest_beginning(self) -> int:
        """How many characters at the end of the held text may be the beginning of a stop string."""
        longest = 0
        for stop in self._stop:
            for length in range(min(len(stop) - 1, len(self._held)), longest, -1):
                if self._held.endswith(stop[:length]):
                    longest = length
                    break
        return longest
