"""Symbols to bytes and back through a mixer, each at the cost of its probability; the mixer learns as it goes."""

import ctypes

import numpy as np

from charrnn.inference.mixing.mixer import Mixer, Shares
from charrnn.native.mixing import CoderRecord

# A symbol writes at most 128 bytes: its code has at most 64 bits, and the rarest of these cost 16.
ROOM = 256
ALL = (1 << 32) - 1
TO_BE_FOUND = -1


class Encoder:
    """Writes symbols; `data` grows, and `bits` is what they cost by their probabilities."""

    def __init__(self, mixer: Mixer) -> None:
        self._mixer, self._room = mixer, np.zeros(ROOM, np.uint8)
        self._coder = CoderRecord(bytes=self._room.ctypes.data, size=ROOM, high=ALL)
        self.data, self.bits = bytearray(), 0.0

    def write(self, symbol: int, begins: bool, shares: Shares) -> None:
        """The next symbol, where a network gives the V symbols these shares (V,); a document may begin with it."""
        self._mixer.code(self._coder, symbol, begins, shares)
        self.bits -= float(np.log2(self._coder.likely))
        self._take()

    def finish(self) -> bytes:
        """All that was written."""
        self._mixer.calls.charrnn_mixing_finish(ctypes.byref(self._coder))
        self._take()
        return bytes(self.data)

    def _take(self) -> None:
        self.data += self._room[: self._coder.at].tobytes()
        self._coder.at = 0


class Decoder:
    """Reads the symbols back, by a mixer that has read the same before."""

    def __init__(self, mixer: Mixer, data: bytes) -> None:
        self._mixer, self._data = mixer, np.frombuffer(data + bytes(4), np.uint8)
        self._coder = CoderRecord(
            bytes=self._data.ctypes.data, size=self._data.size, at=4, high=ALL, value=int.from_bytes(data[:4], "big")
        )

    def read(self, begins: bool, shares: Shares) -> int:
        """The next symbol. Of data that are damaged any may come."""
        return self._mixer.code(self._coder, TO_BE_FOUND, begins, shares)
