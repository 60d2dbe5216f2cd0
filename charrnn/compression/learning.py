"""Symbols through a network, context mixing and a binary coder, one after another: counts learn from each as it comes.

They begin with what the model has learned from. Everything that decides is a whole number, so that it decodes on any
machine. Shapes: N symbols, A symbols of the coder.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from charrnn.compression.coding import Coded
from charrnn.compression.frequencies import frequencies
from charrnn.compression.symbols import Alphabet, Ids
from charrnn.inference.backends import Serving
from charrnn.inference.base import Engine
from charrnn.inference.mixing import Decoder, Encoder, Mixer

# What the shares of a place add up to, about.
TOTAL = 1 << 24

Shares = npt.NDArray[np.uint32]
# The place, whether a document begins there, and the network's shares (A,) -> the symbol there.
Code = Callable[[int, bool, Shares], int]


@dataclass(frozen=True, eq=False)
class Learning:
    """What codes symbols with counts that have read others (M,) before. Raises CharrnnError where none can."""

    network: Engine
    alphabet: Alphabet
    begins_with: Ids

    def encode(self, symbols: Ids) -> Coded:
        """Symbols (N,) -> their bytes, one block."""
        encoder = Encoder(self._mixer(symbols.size))

        def code(place: int, begins: bool, shares: Shares) -> int:
            encoder.write(int(symbols[place]), begins, shares)
            return int(symbols[place])

        self._one_by_one(symbols.size, code)
        return Coded((encoder.finish(),), encoder.bits)

    def decode(self, data: bytes, count: int) -> Ids:
        """So many symbols (N,) of such bytes."""
        decoder, found = Decoder(self._mixer(count), data), np.empty(count, np.int64)

        def code(place: int, begins: bool, shares: Shares) -> int:
            found[place] = decoder.read(begins, shares)
            return int(found[place])

        self._one_by_one(count, code)
        return found

    def _mixer(self, count: int) -> Mixer:
        """One that has read; its tables have the size that it takes to read so many symbols more."""
        before, alphabet = self.begins_with.astype(np.uint32), self.alphabet
        most = 2 * (before.size + count)  # with the beginnings of documents, which nobody has counted yet
        mixer = Mixer(before, alphabet.size, alphabet.spelling, most)
        mixer.read(before, np.append(True, before[:-1] == alphabet.end)[: before.size])
        return mixer

    def _one_by_one(self, count: int, code: Code) -> None:
        """Give `code` the network's shares at every place, and read what it answers."""
        start = self.network.config.start_id
        with Serving(self.network, 1, count) as serving:
            state, token, begins = self.network.initial_state(1), start, True
            for place in range(count):
                logits, state = serving.step(np.array([token]), state)
                symbol = code(place, begins, frequencies(logits, self.alphabet.size, TOTAL)[0].astype(np.uint32))
                # As in blocks: an escape is read as the start id, and behind the end of a document begins another.
                token, begins = min(symbol, start), symbol == self.alphabet.end
                if begins:
                    state = self.network.initial_state(1)
