"""What of a text stands word for word in another one, which was learned from: exact, whatever the length."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from charrnn.text.suffixes import suffix_array

# What a character is numbered in, the smallest that does; the highest byte first, so that bytes are in the order of
# the characters.
WIDTHS = (np.dtype("u1"), np.dtype(">u2"), np.dtype(">u4"))

# A search begins among the places that begin alike, with so many characters; where those are is remembered.
PREFIX, REMEMBERED = 3, 1 << 16


@dataclass(frozen=True)
class Copied:
    """The longest span of a text that stands in the training text, and where it stands there."""

    length: int
    """Characters."""
    text: str
    start: int
    """Its first character in the text that was looked at, from 0, a prompt not counted: less than 0 within that."""
    line: int
    """The line of the training part that it begins in, from 1."""
    line_text: str
    """That line, whole."""

    def to_json(self) -> dict[str, Any]:
        """As JSON has it."""
        return dict(vars(self))


class CopyIndex:
    """A text of N characters and its suffix array: 5 to 8 bytes a character where it has fewer than 2^31."""

    def __init__(
        self,
        alphabet: npt.NDArray[np.uint32],
        codes: npt.NDArray[np.unsignedinteger],
        suffixes: npt.NDArray[np.signedinteger],
    ) -> None:
        """`alphabet` its code points in order, `codes` (N,) their numbers, the highest byte first, `suffixes` (N,)."""
        self.alphabet, self.codes, self.suffixes = alphabet, codes, suffixes
        self._characters = [chr(code) for code in alphabet.tolist()]
        self._width = codes.dtype.itemsize
        numbers = range(len(alphabet))
        self._bytes = {one: at.to_bytes(self._width) for one, at in zip(self._characters, numbers, strict=True)}
        self._text = codes.view(np.uint8).data
        self._places = suffixes.data
        self._prefix = lru_cache(REMEMBERED)(self._find)
        self._begins = lru_cache(REMEMBERED)(self._beginning)

    @classmethod
    def of(cls, chunks: Iterable[str]) -> "CopyIndex":
        """That of a text."""
        points = np.frombuffer("".join(chunks).encode("utf-32-le", "surrogatepass"), np.uint32)
        alphabet, numbers = np.unique(points, return_inverse=True)
        width = next(width for width in WIDTHS if len(alphabet) <= 1 << (8 * width.itemsize))
        return cls(alphabet, numbers.astype(width), suffix_array(numbers.astype(width.newbyteorder("="))))

    def find(self, text: str) -> tuple[int, int]:
        """Where in `suffixes` those stand that begin with a text: from a place up to another, equal where it is not."""
        wanted = self._encoded(text)
        return (0, 0) if wanted is None else self._find(wanted)

    def __contains__(self, text: object) -> bool:
        """Whether a text stands in it."""
        if not isinstance(text, str) or (wanted := self._encoded(text)) is None:
            return False
        if len(text) <= PREFIX:
            low, high = self._prefix(wanted)
            return low < high or not text
        begins = self._begins(len(text))
        low, high = self._prefix(wanted[: PREFIX * self._width])
        low = bisect_left(self._places, wanted, low, high, key=begins)
        return low < high and begins(self._places[low]) == wanted

    def _find(self, wanted: bytes) -> tuple[int, int]:
        short = PREFIX * self._width
        low, high = self._prefix(wanted[:short]) if len(wanted) > short else (0, len(self.suffixes))
        begins = self._begins(len(wanted) // self._width)
        low = bisect_left(self._places, wanted, low, high, key=begins)
        if low == high or begins(self._places[low]) != wanted:
            return low, low
        return low, bisect_right(self._places, wanted, low, high, key=begins)

    def read(self, first: int, end: int) -> str:
        """Its characters from a place up to another."""
        return "".join(map(self._characters.__getitem__, self.codes[first:end].tolist()))

    def followers(self, text: str) -> str:
        """Every character that comes behind a text somewhere in it, in order."""
        (low, high), found, length = self.find(text), "", len(text)
        following = self._begins(1, length)
        while low < high:
            if code := following(self._places[low]):
                found += self._characters[int.from_bytes(code)]
            low = bisect_right(self._places, code, low, high, key=following)
        return found

    def longest_end(self, text: str) -> int:
        """How many of a text's last characters stand in it together: where k do, fewer do as well."""
        return bisect_left(range(1, len(text) + 1), True, key=lambda size: text[-size:] not in self)

    def longest_beginnings(self, text: str, most: int) -> npt.NDArray[np.int64]:
        """How many characters from each of a text's T on stand in it together, `most` at most -> (T,)."""
        found, size = np.zeros(len(text), np.int64), 0
        for start in range(len(text)):  # what began one character before was at most one longer
            size = max(size - 1, 0)
            while size < min(most, len(text) - start) and text[start : start + size + 1] in self:
                size += 1
            found[start] = size
        return found

    def longest_copy(self, text: str, prompt: str = "") -> Copied | None:
        """The longest span of a text that stands in it, the first of several; None where no character does.

        A span may begin in the prompt, but not end there.
        """
        whole, behind, best, at = prompt + text, len(prompt) + 1, 0, 0
        for start in range(behind - self.longest_end(whole[:behind]) if text else 0, len(whole)):
            size = max(best + 1, behind - start)
            while start + size <= len(whole) and whole[start : start + size] in self:
                best, at, size = size, start, size + 1
        return self._copied(whole[at : at + best], at - len(prompt)) if best else None

    def copies(self, text: str, prompt: str = "", *, least: int) -> list[Copied]:
        """The spans of a text of `least` characters or more that stand in it and in no longer one that does, in order.

        A span may begin in the prompt, but not end there.
        """
        whole, found, reached = prompt + text, [], len(prompt)
        lengths = self.longest_beginnings(whole, len(whole))
        for start in np.flatnonzero(lengths >= least).tolist():
            length = int(lengths[start])
            if start + length > reached:  # what begins later and ends there is part of it
                reached = start + length
                found.append(self._copied(whole[start:reached], start - len(prompt)))
        return found

    def line(self, text: str) -> Copied | None:
        """A text that is a whole line of it."""
        low, high = self.find(text)
        places = self.suffixes[low:high].astype(np.int64)
        ends = np.concatenate([[-1], self._line_ends, [len(self.codes)]])
        whole = places[np.isin(places - 1, ends) & np.isin(places + len(text), ends)]
        if not whole.size or not text:
            return None
        number, line = self._line(int(whole.min()))
        return Copied(len(text), text, 0, number, line)

    def _copied(self, text: str, start: int) -> Copied:
        """A text that stands in it, by the first place of several."""
        low, high = self.find(text)
        return Copied(len(text), text, start, *self._line(int(self.suffixes[low:high].min())))

    def _line(self, place: int) -> tuple[int, str]:
        ends = self._line_ends
        line = int(np.searchsorted(ends, place))
        begin = int(ends[line - 1]) + 1 if line else 0
        codes = self.codes[begin : int(ends[line]) if line < len(ends) else None]
        return line + 1, "".join(map(self._characters.__getitem__, codes.tolist()))

    @cached_property
    def _line_ends(self) -> npt.NDArray[np.int64]:
        end = self._bytes.get("\n")
        return np.flatnonzero(self.codes == int.from_bytes(end)) if end is not None else np.zeros(0, np.int64)

    def _encoded(self, text: str) -> bytes | None:
        """A text in numbers; None where a character of it never comes."""
        try:
            return b"".join(map(self._bytes.__getitem__, text))
        except KeyError:
            return None

    def _beginning(self, length: int, skipped: int = 0) -> Any:
        """What gives so many characters from a place on, some skipped; fewer at the end."""
        text, width = self._text, self._width
        first, end = skipped * width, (skipped + length) * width
        if width == 1:
            if not first:
                return lambda place: text[place : place + end].tobytes()
            return lambda place: text[place + first : place + end].tobytes()
        return lambda place: text[place * width + first : place * width + end].tobytes()
