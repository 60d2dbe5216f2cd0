"""Arrays as text within a page: behind each other, deflated, in base 85 (four bytes in five characters)."""

import base64
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

# JavaScript's arrays of the types that a page holds.
KINDS = {
    np.int8: "Int8Array", np.uint16: "Uint16Array", np.int32: "Int32Array", np.uint32: "Uint32Array",
    np.uint64: "BigUint64Array", np.float32: "Float32Array",
}  # fmt: skip
# Levels of deflation: to see which order of bytes takes less room; and for the file, a hundredth above the best, in a
# quarter of its time.
QUICK, GOOD = 1, 7


class Packed:
    """Takes arrays and gives the place of each, as the page's script reads it: [type, first byte, bytes, apart].

    `apart`: the first bytes of all numbers stand before their second ones, and so on, where that takes less room. An
    array that was given before has the place that it had.
    """

    def __init__(self) -> None:
        self._parts, self._size = list[bytes](), 0
        # The arrays are held with their places: what is gone could be another with the same id.
        self._given = dict[int, tuple[npt.NDArray[Any], list[Any]]]()

    def add(self, array: npt.NDArray[Any], dtype: Any) -> list[Any]:
        """The place of an array, whose numbers the type holds as they are."""
        if id(array) in self._given:
            return self._given[id(array)][1]
        numbers = np.ascontiguousarray(array, np.dtype(dtype).newbyteorder("<")).reshape(-1)
        whole = numbers.tobytes()
        apart = numbers.view(np.uint8).reshape(numbers.size, -1).T.tobytes() if numbers.size else b""
        better = len(zlib.compress(apart, QUICK)) < len(zlib.compress(whole, QUICK))
        place = [KINDS[dtype], self._size, len(whole), int(better)]
        self._parts.append(apart if better else whole)
        self._size += len(whole)
        self._given[id(array)] = array, place
        return place

    def text(self) -> tuple[str, int]:
        """All of it, and how many bytes that is without those that fill up the last four.

        The alphabet has no "<", so that no element ends there.
        """
        packed = zlib.compress(b"".join(self._parts), GOOD)
        return base64.b85encode(packed, pad=True).replace(b"<", b"/").decode("ascii"), len(packed)
