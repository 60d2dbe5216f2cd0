"""Which ids of a vocabulary are letters of words, and which one ends a line, for whoever counts these in tokens.

Shapes: V symbols.
"""

from unicodedata import category

import numpy as np
import numpy.typing as npt

from charrnn.text.tokenizers import Tokenizer

OF_PIECES = "counts that learn as they read are of characters or bytes, not of subwords"
NO_LETTER = -1
APOSTROPHES = "'\u2019"


def letters_of(tokenizer: Tokenizer) -> npt.NDArray[np.int64] | None:
    """Which letter each id (V,) is, upper and lower case alike; -1 for none. None where ids are pieces of words.

    Letters are those of any script, with their marks, digits and apostrophes; of bytes also all beyond ASCII.
    """
    if tokenizer.to_size:
        return None
    symbols = [piece.decode("utf-8", "surrogateescape") for piece in tokenizer.pieces]
    ids = {symbol: number for number, symbol in enumerate(symbols)}
    return np.array([ids.get(each.lower(), own) if _is_letter(each) else NO_LETTER for each, own in ids.items()])


def newline_of(tokenizer: Tokenizer) -> int | None:
    """The id of a line's end, where the vocabulary has one."""
    id_, *_ = tokenizer.encode("\n", unknown=True).tolist()
    return id_ if id_ < tokenizer.size else None


def _is_letter(symbol: str) -> bool:
    """A byte beyond ASCII stands for half a surrogate pair (PEP 383), which is of category Cs."""
    return symbol in APOSTROPHES or category(symbol[0])[0] in "LMN" or category(symbol[0]) == "Cs"
