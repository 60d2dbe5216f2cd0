"""Characters byte by byte: the tree of their encodings, in which what goes on alike is one node.

Shapes: A characters, C classes of them, N nodes.
"""

from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from charrnn.text.tokenizers.char import CODE_POINTS, code_points

# Of encodings of two, three and four bytes: the least lead byte, the first character, and what their bits go up to.
ENCODINGS = ((0xC0, 0x80, 0x800), (0xE0, 0x800, 0x10000), (0xF0, 0x10000, 0x200000))
BYTES, CONTINUATIONS = 0x100, slice(0x80, 0xC0)
# In the place of a byte, behind the last one.
NO_BYTE = BYTES
SURROGATES = range(0xD800, 0xE000)


class Tree(NamedTuple):
    """Node 0 is between characters, others are inside of one; the last is where bytes are no text, and never left."""

    classes: npt.NDArray[np.int32]
    """(N, 257): that of the character which a byte completes; C where it completes none."""
    nodes: npt.NDArray[np.int32]
    """(N, 257): the node behind a byte."""
    ahead: npt.NDArray[np.bool_]
    """(N, C): the classes of the characters that can be completed from inside of one."""


def tree_of(alphabet: str, classes: npt.NDArray[np.int32], count: int) -> Tree:
    """That of an alphabet, of whose characters these are the classes (A,), so many."""
    of_point = np.full(ENCODINGS[-1][-1], count, np.int32)
    of_point[code_points(alphabet)] = classes
    # A row's entries are classes, `count` where bytes are no text, and above it nodes. Equal rows are one node.
    nowhere = np.full(BYTES, count, np.int32)
    rows, entry_of = [nowhere.copy()], {nowhere[CONTINUATIONS].tobytes(): count}

    def folded(entries: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """One entry for each 64, which the last byte tells apart."""
        tails = entries.reshape(-1, 64)
        for tail in tails:
            if tail.tobytes() not in entry_of:
                entry_of[tail.tobytes()] = count + len(rows)
                rows.append(nowhere.copy())
                rows[-1][CONTINUATIONS] = tail
        return np.array([entry_of[tail.tobytes()] for tail in tails], np.int32)

    rows[0][:0x80] = of_point[:0x80]
    for folds, (lead, first, stop) in enumerate(ENCODINGS, 1):
        if (of_point[first:stop] < count).any():
            entries = np.where(np.arange(stop) < first, count, of_point[:stop])
            for _ in range(folds):
                entries = folded(entries)
            rows[0][lead : lead + len(entries)] = entries
    table, last = np.array([*rows, nowhere]), len(rows)
    nodes = np.where(table == count, last, np.maximum(table - count, 0))
    ahead = np.zeros((last + 1, count), bool)
    for node in range(1, last):  # a node's own come before it
        ahead[node] = ahead[nodes[node]].any(axis=0)
        ahead[node, table[node][table[node] < count]] = True
    still = np.full(last + 1, count)[:, None], np.arange(last + 1)[:, None]
    return Tree(np.hstack([np.minimum(table, count), still[0]]), np.hstack([nodes, still[1]]), ahead)


def alphabet_of(pieces: Iterable[bytes]) -> str:
    """The characters that can be written one by one by these symbols: by one, or by one for each byte."""
    kept = set(pieces)
    letters = {text for text in map(_text, kept) if len(text) == 1}
    if not kept.issuperset(bytes([byte]) for byte in range(0x80, BYTES)):
        return "".join(sorted(letters))
    return "".join(sorted(filter(str.isascii, letters))) + beyond_ascii()


def _text(piece: bytes) -> str:
    try:
        return piece.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return ""


@cache
def beyond_ascii() -> str:
    """Every character that UTF-8 writes in more than a byte, also those that Unicode has not named yet."""
    points = np.arange(CODE_POINTS, dtype="<u4")
    return str(np.delete(points, SURROGATES)[0x80:].tobytes(), "utf-32-le")
