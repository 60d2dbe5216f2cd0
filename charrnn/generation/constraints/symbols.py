"""The characters of an alphabet, a million perhaps, as the few symbols that some patterns tell apart.

Shapes: A characters, R runs of neighbours that are alike, P parts of patterns.
"""

from bisect import bisect
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from charrnn.generation.constraints.syntax import Part, runs


class Symbols:
    """A symbol stands for all characters that are in the same ones of the sets that were asked for."""

    def __init__(self, alphabet: str, asked: Iterable[Part]) -> None:
        parts = {part.key: part for part in asked}
        found = {key: np.array(runs(part, alphabet), np.int64).reshape(-1, 2) for key, part in parts.items()}
        ends = np.unique(np.concatenate([[0, len(alphabet)], *(spans.ravel() for spans in found.values())]))
        # Of each set, 1 where a run of it begins and -1 where it has ended; summed up, (P, R): whether it holds a run.
        holds = np.zeros((len(found), len(ends)), np.int8)
        for row, spans in zip(holds, found.values(), strict=True):
            row[ends.searchsorted(spans[:, 0])] = 1
            row[ends.searchsorted(spans[:, 1])] = -1
        columns = [tuple(column) for column in holds.cumsum(axis=1)[:, :-1].T.tolist()]
        numbers: dict[tuple[int, ...], int] = {}
        self._of_run = [numbers.setdefault(column, len(numbers)) for column in columns]
        self._ends: list[int] = ends[1:].tolist()
        self._sets = {
            key: sum(1 << number for column, number in numbers.items() if column[row]) for row, key in enumerate(found)
        }
        self.count = len(numbers)

    def set_of(self, part: Part) -> int:
        """The symbols that a part stands for, as an integer: bit i is symbol i."""
        return self._sets[part.key]

    def symbol(self, place: int) -> int:
        """That of the character that stands here in the alphabet."""
        return self._of_run[bisect(self._ends, place)]

    def of_all(self) -> npt.NDArray[np.int32]:
        """(A,): that of each character."""
        return np.repeat(np.array(self._of_run, np.int32), np.diff([0, *self._ends]))
