"""Prime, draw, feed the draw back in: a stream of text pieces for each row.

B rows are generated side by side; row i depends on seed + i alone, so it is the same text alone or in company.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from charrnn.config import SEEDS, SampleConfig
from charrnn.generation.decoder import Decoder
from charrnn.generation.filters import compose, draw
from charrnn.models.language_model import LanguageModel, carry
from charrnn.text.tokenizers import Tokenizer

UNIFORMS_AT_ONCE = 256


@dataclass(frozen=True)
class Piece:
    """New text of one row; `finished` says why its last piece is the last: length, stop or end, else None."""

    row: int
    text: str
    finished: str | None = None


def generate(
    model: LanguageModel, tokenizer: Tokenizer, config: SampleConfig, *, prompt: str = "", rows: int = 1, seed: int = 0
) -> Iterator[Piece]:
    """Generate `rows` texts that continue the prompt, piece by piece as they come.

    Each ends after `config.length` code points, before a stop string, or at the end of a document. Raises
    VocabularyError when the prompt holds characters that the vocabulary lacks.
    """
    prompt_ids = tokenizer.encode(prompt)
    device = next(model.parameters()).device
    decoder = Decoder(model)
    start = torch.tensor([model.config.start_id, *prompt_ids.tolist()], device=device)
    logits, states = decoder.prime(start)
    logits = logits.expand(rows, -1)
    everyone = torch.zeros(rows, dtype=torch.int64, device=device)
    states = carry(states, everyone)
    history = torch.zeros(rows, model.config.vocab_size, dtype=torch.bool)
    history[:, torch.from_numpy(prompt_ids).long()] = True

    shape = compose(config)
    texts = [_Text(row, tokenizer, config) for row in range(rows)]
    generators = [torch.Generator().manual_seed((seed + row) % SEEDS) for row in range(rows)]
    drawn = 0
    uniforms = torch.empty(0)
    while texts:
        if drawn % UNIFORMS_AT_ONCE == 0:
            uniforms = torch.stack([_uniforms(generator) for generator in generators])
        chosen = draw(shape(logits.double().cpu(), history), uniforms[:, drawn % UNIFORMS_AT_ONCE])
        drawn += 1
        left = []
        for index, (text, token) in enumerate(zip(texts, chosen.tolist(), strict=True)):
            piece = text.push(token)
            if piece.text or piece.finished:
                yield piece
            if not piece.finished:
                left.append(index)
        if len(left) < len(texts):
            keep = torch.tensor(left, dtype=torch.int64)
            texts, generators = [texts[i] for i in left], [generators[i] for i in left]
            chosen, history, uniforms = chosen[keep], history[keep], uniforms[keep]
            states = carry(states, keep.to(device))
        if texts:
            history[torch.arange(len(texts)), chosen] = True
            logits, states = decoder.step(chosen.to(device), states)


def _uniforms(generator: torch.Generator) -> Tensor:
    return torch.rand(UNIFORMS_AT_ONCE, generator=generator, dtype=torch.float64)


class _Text:
    """One row's text: decodes ids, holds back what may become a stop string, counts characters."""

    def __init__(self, row: int, tokenizer: Tokenizer, config: SampleConfig) -> None:
        self.row = row
        self._end = tokenizer.size
        self._decoder = tokenizer.decoder()
        self._stop = config.stop
        self._room = config.length
        self._held = ""

    def push(self, token: int) -> Piece:
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
            return Piece(self.row, text, "length")
        return Piece(self.row, text)

    def _close(self, text: str, reason: str) -> Piece:
        return Piece(self.row, text[: self._room], reason)

    def _longest_beginning(self) -> int:
        """How many characters at the end of the held text may be the beginning of a stop string."""
        longest = 0
        for stop in self._stop:
            for length in range(min(len(stop) - 1, len(self._held)), longest, -1):
                if self._held.endswith(stop[:length]):
                    longest = length
                    break
        return longest
