"""A mixer: what each symbol of a text costs after all that it has read, before it learns from it."""

import ctypes
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from charrnn.config import require
from charrnn.errors import CharrnnError
from charrnn.inference.mixing import tables
from charrnn.inference.mixing.tree import tree
from charrnn.native import mixing
from charrnn.native.mixing import CoderRecord
from charrnn.text.letters import NO_LETTER, Spelling
from charrnn.text.token_files import Tokens

NOT_BUILT = (
    "mixing counts needs the compiled part of charrnn, which is not here: install it where there is a C compiler, or "
    "adapt by gradient"
)
NO_MEMORY = "mixing counts: no memory"
# Symbols are kept in 16 bits.
MOST_SYMBOLS = 65_535
# Blocks and single symbols kept for each symbol read, as powers of two, and at most: 512 MB and 128 MB.
BLOCKS, MOST_BLOCKS, LEAST = 2, 24, 10
SINGLES, MOST_SINGLES = 3, 25
MOST_PLACES = 22
# What was counted lately is forgotten after so many symbols, as a power of two.
LATELY = 11

Begins = npt.NDArray[np.bool_]
Shares = npt.NDArray[np.uint32]


def require_built() -> Any:
    """The library's functions. Raises CharrnnError where it was not built."""
    if (calls := mixing.calls()) is None:
        raise CharrnnError(NOT_BUILT)
    return calls


class Mixer:
    """Reads V symbols, which make words as their `spelling` says; its tables are made for `most` of them.

    `training` gives the tree of the alphabet its shape. Raises CharrnnError where the library was not built.
    """

    def __init__(self, training: Tokens, symbols: int, spelling: Spelling, most: int) -> None:
        calls = require_built()
        require(1 <= symbols <= MOST_SYMBOLS, f"mixing counts needs an alphabet of at most {MOST_SYMBOLS:,} symbols")
        self.calls, self.symbols = calls, symbols
        letters, newline, opens, order = spelling
        more = symbols - len(letters)  # symbols that spell nothing
        size = max(0, math.ceil(math.log2(max(most, 1))))
        # They live as long as the mixer, which reads them where they are.
        self._arrays: dict[str, npt.NDArray[Any]] = {
            "children": np.ascontiguousarray(tree(training, symbols, order)),
            "letters": np.append(letters, [NO_LETTER] * more).astype(np.int32),
            "opens": np.zeros(symbols, np.uint8)
            if opens is None
            else np.append(opens, [False] * more).astype(np.uint8),
            "next": np.ascontiguousarray(tables.histories()[1]),
            "certain": tables.certain(),
            "beginning": tables.beginning(),
            "stretch": tables.stretch(),
            "squash": tables.squash(),
            "logarithms": tables.logarithms(),
        }
        settings = mixing.SettingsRecord(
            symbols=symbols,
            newline=-1 if newline is None else newline,
            most=most + 4,
            blocks=max(LEAST, min(size + BLOCKS, MOST_BLOCKS)),
            singles=max(LEAST, min(size + SINGLES, MOST_SINGLES)),
            places=max(LEAST, min(size, MOST_PLACES)),
            lately=LATELY,
            **{name: array.ctypes.data for name, array in self._arrays.items()},
        )
        self._mixer = calls.charrnn_mixing_new(ctypes.byref(settings))
        if not self._mixer:
            raise MemoryError(NO_MEMORY)

    def __del__(self) -> None:
        if getattr(self, "_mixer", None):
            self.calls.charrnn_mixing_free(self._mixer)

    def read(self, tokens: Tokens, begins: Begins, shares: Shares | None = None) -> npt.NDArray[np.float64]:
        """How likely each token (N,) was; 1 for any that is no symbol. A document begins where `begins` (N,) says so.

        `shares` (N, V) are those of a network, each 1 or more: from the first on it takes part.
        """
        likely = np.empty(tokens.size)
        symbols = np.where(tokens < self.symbols, tokens, self.symbols).astype(np.int32)
        flags = np.ascontiguousarray(begins, dtype=np.uint8)
        if shares is not None:
            shares = np.ascontiguousarray(shares, dtype=np.uint32)
            assert shares.shape == (tokens.size, self.symbols)
        refused = self.calls.charrnn_mixing_read(
            self._mixer,
            tokens.size,
            symbols.ctypes.data,
            flags.ctypes.data,
            None if shares is None else shares.ctypes.data,
            likely.ctypes.data,
        )
        if refused:
            raise MemoryError(NO_MEMORY)
        return likely

    def code(self, coder: CoderRecord, symbol: int, begins: bool, shares: Shares) -> int:
        """Write a symbol, or read the one that comes where it is -1, and learn from it -> that symbol."""
        assert shares.dtype == np.uint32 and shares.shape == (self.symbols,) and shares.flags.c_contiguous
        found: int = self.calls.charrnn_mixing_code(
            self._mixer, ctypes.byref(coder), symbol, begins, shares.ctypes.data
        )
        if found < 0:
            raise MemoryError(NO_MEMORY)
        return found
