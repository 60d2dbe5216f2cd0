"""Which ids of a vocabulary are letters of words, and which one ends a line, for whoever counts these in tokens.

Shapes: V symbols.
"""

from collections.abc import Sequence
from typing import NamedTuple
from unicodedata import category

import numpy as np
import numpy.typing as npt

from charrnn.text.tokenizers import Tokenizer

NO_LETTER = -1
APOSTROPHES = "'\u2019"


class Spelling(NamedTuple):
    """How symbols make words and lines: `letters` (V,) as of `letters_of`, and the id of a line's end, if there is one.

    Of pieces: `opens` (V,), whether a word begins with each, and all ids in `order` (V,) of what they stand for.
    """

    letters: npt.NDArray[np.int64]
    newline: int | None
    opens: npt.NDArray[np.bool_] | None = None
    order: npt.NDArray[np.int64] | None = None

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> "Spelling":
        """That of a vocabulary. A piece that begins with a letter, behind a space or not, is like a letter."""
        letters = letters_of(tokenizer)
        return cls(letters, newline_of(tokenizer)) if letters is not None else cls._of_pieces(_texts(tokenizer.pieces))

    @classmethod
    def _of_pieces(cls, texts: Sequence[str]) -> "Spelling":
        ids = {text: number for number, text in enumerate(texts)}
        in_word = np.array([_is_letter(text.lstrip(" ") or " ") for text in texts])
        alike = np.array([ids.get(text.lower(), number) for number, text in enumerate(texts)])
        opens = in_word & np.array([text.startswith(" ") for text in texts])
        order = np.array(sorted(range(len(texts)), key=texts.__getitem__))
        return cls(np.where(in_word, alike, NO_LETTER), ids.get("\n"), opens, order)


def letters_of(tokenizer: Tokenizer) -> npt.NDArray[np.int64] | None:
    """Which letter each id (V,) is, upper and lower case alike; -1 for none. None where ids are pieces of words.

    Letters are those of any script, with their marks, digits and apostrophes; of bytes also all beyond ASCII.
    """
    if tokenizer.to_size:
        return None
    symbols = _texts(tokenizer.pieces)
    ids = {symbol: number for number, symbol in enumerate(symbols)}
    return np.array([ids.get(each.lower(), own) if _is_letter(each) else NO_LETTER for each, own in ids.items()])


def newline_of(tokenizer: Tokenizer) -> int | None:
    """The id of a line's end, where the vocabulary has one."""
    id_, *_ = tokenizer.encode("\n", unknown=True).tolist()
    return id_ if id_ < tokenizer.size else None


def _texts(pieces: Sequence[bytes]) -> list[str]:
    return [piece.decode("utf-8", "surrogateescape") for piece in pieces]


def _is_letter(symbol: str) -> bool:
    """By its first character. A byte beyond ASCII is half a surrogate pair here (PEP 383), of category Cs."""
    return symbol[0] in APOSTROPHES or category(symbol[0])[0] in "LMN" or category(symbol[0]) == "Cs"
