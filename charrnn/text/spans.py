"""Where lines, words, characters and tokens stand in a text: in characters, and in the tokens that they are made of.

Shapes: N of them, C characters, T tokens.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from charrnn.text.tokenizers import Ids, Tokenizer
from charrnn.text.tokenizers.byte import BytePieces
from charrnn.text.tokenizers.char import code_points

Positions: TypeAlias = npt.NDArray[np.int64]

WORD = re.compile(r"\S+")
# How a byte that is no UTF-8 is read (PEP 383): one such code point for each.
LONE_BYTES = (0xDC80, 0xDCFF)


@dataclass(frozen=True, eq=False)
class Spans:
    """N pieces of one text, in order, each half open: characters [begins, ends) and tokens [firsts, stops).

    A token that a piece shares with its neighbour, as a subword's space before a word, belongs to both.
    """

    begins: Positions
    ends: Positions
    firsts: Positions
    stops: Positions


def spans(tokenizer: Tokenizer, text: str, ids: Ids, per: str) -> Spans:
    """The pieces of a text whose ids (T,) these are; `per` is a name in `PIECES`. Words stand between white space."""
    token_edges, char_edges = edges(tokenizer, text, ids)
    begins, ends = PIECES[per](text, token_edges, char_edges)
    firsts = np.searchsorted(token_edges, char_edges[begins], side="right") - 1
    stops = np.searchsorted(token_edges, char_edges[ends], side="left")
    if per == "token":  # several may lie within one character
        firsts, stops = np.arange(ids.size), np.arange(1, ids.size + 1)
    return Spans(begins, ends, firsts, stops)


def edges(tokenizer: Tokenizer, text: str, ids: Ids) -> tuple[Positions, Positions]:
    """Where tokens (T + 1,) and characters (C + 1,) begin and end, counted in the same unit: characters or bytes."""
    if not isinstance(tokenizer, BytePieces):
        return np.arange(ids.size + 1), np.arange(len(text) + 1)
    points = code_points(text).astype(np.int64)
    sizes = 1 + (points >= 0x80) + (points >= 0x800) + (points >= 0x10000)
    sizes[(points >= LONE_BYTES[0]) & (points <= LONE_BYTES[1])] = 1
    lengths = np.array([len(tokenizer.pieces[token]) for token in ids.tolist()], np.int64)
    return np.append(0, np.cumsum(lengths)), np.append(0, np.cumsum(sizes))


def _line(text: str, token_edges: Positions, char_edges: Positions) -> tuple[Positions, Positions]:
    return np.array([0]), np.array([len(text)])


def _words(text: str, token_edges: Positions, char_edges: Positions) -> tuple[Positions, Positions]:
    found = np.array([word.span() for word in WORD.finditer(text)], np.int64).reshape(-1, 2)
    return found[:, 0], found[:, 1]


def _characters(text: str, token_edges: Positions, char_edges: Positions) -> tuple[Positions, Positions]:
    return np.arange(len(text)), np.arange(1, len(text) + 1)


def _tokens(text: str, token_edges: Positions, char_edges: Positions) -> tuple[Positions, Positions]:
    """The characters that a token has a part in."""
    return (
        np.searchsorted(char_edges, token_edges[:-1], side="right") - 1,
        np.searchsorted(char_edges, token_edges[1:], side="left"),
    )


# What a text is cut into, by the names of `--per`.
PIECES: dict[str, Callable[[str, Positions, Positions], tuple[Positions, Positions]]] = {
    "line": _line,
    "word": _words,
    "char": _characters,
    "token": _tokens,
}
