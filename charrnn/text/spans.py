"""Where lines, words, characters and tokens stand in a text: in characters, and in the tokens that they are made of.

Shapes: N of them, C characters, T tokens.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from charrnn.text.alignment import Aligned, Alignment, Positions
from charrnn.text.tokenizers import Ids

WORD = re.compile(r"\S+")


@dataclass(frozen=True, eq=False)
class Spans:
    """N pieces of one text, in order, each half open: characters [begins, ends) and tokens [firsts, stops).

    A token that a piece shares with its neighbour, as a subword's space before a word, belongs to both.
    """

    begins: Positions
    ends: Positions
    firsts: Positions
    stops: Positions


def spans(align: Alignment, text: str, ids: Ids, per: str) -> Spans:
    """The pieces of a text whose ids (T,) these are; `per` is a name in `PIECES`. Words stand between white space."""
    at = align(text, ids)
    begins, ends = PIECES[per](text, at)
    if per == "token":  # several may lie within one character
        return Spans(begins, ends, np.arange(ids.size), np.arange(1, ids.size + 1))
    # The token that holds a piece's first byte, and the one that begins behind its last.
    edges = np.append(at.byte, at.bytes[-1])
    firsts = np.searchsorted(edges, at.bytes[begins], side="right") - 1
    return Spans(begins, ends, firsts, np.searchsorted(edges, at.bytes[ends], side="left"))


def _line(text: str, at: Aligned) -> tuple[Positions, Positions]:
    return np.array([0]), np.array([len(text)])


def _words(text: str, at: Aligned) -> tuple[Positions, Positions]:
    found = np.array([word.span() for word in WORD.finditer(text)], np.int64).reshape(-1, 2)
    return found[:, 0], found[:, 1]


def _characters(text: str, at: Aligned) -> tuple[Positions, Positions]:
    return np.arange(len(text)), np.arange(1, len(text) + 1)


def _tokens(text: str, at: Aligned) -> tuple[Positions, Positions]:
    """The characters that a token has a part in."""
    return at.begins, at.reached


# What a text is cut into, by the names of `--per`.
PIECES: dict[str, Callable[[str, Aligned], tuple[Positions, Positions]]] = {
    "line": _line,
    "word": _words,
    "char": _characters,
    "token": _tokens,
}
