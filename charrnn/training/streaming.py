"""A text that comes once and is never held: as tokens, and as the windows of a training. B rows, T window length."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np
import torch

from charrnn.errors import CorpusError
from charrnn.text.characters import named_all
from charrnn.text.token_files import Tokens, smallest_dtype
from charrnn.text.tokenizers import Tokenizer
from charrnn.training.batches import FRESH, Batch, Streams

# What a row reads of a block, in tokens: at its begin the row begins from nothing.
STRETCH = 1 << 14
# No stream has so many windows.
ENDLESS = 1 << 49


def encoded(tokenizer: Tokenizer, texts: Iterable[str]) -> Iterator[Tokens]:
    """The tokens of a text as it comes. Raises CorpusError on a character that the vocabulary lacks."""
    for text in texts:
        ids = tokenizer.encode(text, unknown=True)
        if (ids > tokenizer.size).any():
            lacking = (one for one in set(text) if tokenizer.encode(one, unknown=True)[0] > tokenizer.size)
            raise CorpusError(
                f"what comes holds {named_all(lacking)}, which the beginning of the stream did not: the run is kept as "
                "it was saved last; `tokenizer='byte'` reads every text"
            )
        yield ids.astype(smallest_dtype(tokenizer.size + 2))


class ReadOnce:
    """Tokens that come in pieces as B parallel rows, each window once.

    They are cut into blocks of B x STRETCH tokens. Row b reads the b-th stretch of each, window by window, as it would
    of a text that is no longer. At a block's begin the first row goes on with the state of the last one, which has just
    read what stands in front of it, and the others begin from nothing. Fewer than B tokens at the end are left out.

    Whatever window is asked for, the next one comes. Where it is not the one behind that before, as when a training
    goes back after a divergence, all rows begin from nothing.
    """

    def __init__(
        self, pieces: Iterator[Tokens], windows: Callable[[Tokens], Streams], batch_size: int, bptt: int
    ) -> None:
        """`windows` makes those of one block. Raises CorpusError where nothing comes."""
        self.batch_size, self.bptt, self.ended = batch_size, bptt, False
        self._pieces, self._make = pieces, windows
        self._waiting: Tokens = np.empty(0, np.uint8)
        self._block, self._at, self._next = -1, 0, -1
        # The last token of this block, and of the one before.
        self._end = self._before = 0
        self._load()
        if self.ended:
            raise CorpusError("there is nothing to read in what comes: pipe a text in, or name one")

    def windows(self, epoch: int) -> int:
        """No number of them: the end of what comes is not known."""
        return ENDLESS

    def window(self, epoch: int, index: int) -> Batch:
        """The next one, whichever is asked for."""
        batch = self._rows.window(self._block, self._at)
        if self._at == 0 and self._block:
            rows = torch.full((self.batch_size,), FRESH)
            rows[0] = self.batch_size - 1
            batch.inputs[0, 0] = self._before
            batch = replace(batch, state_rows=rows)
        if index != self._next:
            batch = replace(batch, state_rows=torch.full((self.batch_size,), FRESH))
        self._next, self._at = index + 1, self._at + 1
        if self._at == self._rows.windows(self._block):
            self._load()
        return batch

    def _load(self) -> None:
        """The next block, or the end."""
        wanted, found = self.batch_size * STRETCH, [self._waiting]
        while sum(piece.size for piece in found) < wanted and (piece := next(self._pieces, None)) is not None:
            found.append(piece)
        tokens = np.concatenate(found) if len(found) > 1 else found[0]
        block, self._waiting = tokens[:wanted], tokens[wanted:]
        self.ended = block.size < self.batch_size
        if not self.ended:
            self._rows, self._block, self._at = self._make(block), self._block + 1, 0
            self._before, self._end = self._end, int(block[-1])
