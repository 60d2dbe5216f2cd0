"""Places of a text as a page shows them: the ground by how surprising they were, and what is known of each on hover.

Colours are classes and what is known is a `title`, so that a page is whole without its script. A terminal's shading
has the same steps. Shapes: K alternatives.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from charrnn.markup import safe as safe
from charrnn.scoring.predictions import Asked, Predictions
from charrnn.text.tokenizers import Tokenizer

# What a page tells of a place beside its bits.
TOP = 5
ASKED = Asked(rank=True, top=TOP)
# Characters that are shown: some 10 MB of page.
SHOWN = 100_000
# Bits from which the next colour holds, and the classes of all colours.
STEPS = (0.5, 1.0, 2.0, 4.0, 6.0, 8.0, 12.0)
CLASSES = "abcdefgh"

SIGNS = {" ": "␣", "\n": "↵", "\t": "⇥", "": "∎"}


def steps_of(bits: npt.NDArray[np.float64] | Sequence[float]) -> list[int]:
    """Which colour each has."""
    found: list[int] = np.searchsorted(STEPS, bits, side="right").tolist()
    return found


class Marks:
    """Places as HTML, the symbols of one tokenizer named in them."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    def mark(self, text: str, step: int, bits: float, known: str = "", line: int = 0) -> str:
        """One place as what follows `<i`: its colour, what is known of it, the line it is copied from, its text."""
        classes = CLASSES[step] + (" n" if text.startswith("\n") else "" if text else " z") + " k" * bool(line)
        copied = f" data-line={line}" if line else ""
        return f' class="{classes}"{copied} title="{bits:.2f} bits{known}">{safe(text)}</i>'

    def known(self, detail: Predictions, token: int) -> str:
        """', rank 4; e 31%, a 12%', as far as that was asked for of the token in this place."""
        words = ""
        if token < len(detail) and detail.rank is not None:
            words = f", rank {detail.rank[token]}" if detail.rank[token] else ", not in the vocabulary"
        if token < len(detail) and detail.top is not None and detail.top_nll is not None:
            likeliest = zip(detail.top[token].tolist(), np.exp(-detail.top_nll[token]).tolist(), strict=True)
            words += "; " + ", ".join(f"{self._sign(symbol)} {100 * p:.2g}%" for symbol, p in likeliest)
        return words

    def _sign(self, token: int) -> str:
        symbol = self._tokenizer.symbol(token) if token < self._tokenizer.size else ""
        return SIGNS.get(symbol) or safe("".join(SIGNS.get(char, char) for char in symbol))


def legend() -> str:
    """The colours by their bits."""
    bounds = [f"{step:g}" for step in STEPS]
    names = [
        f"under {bounds[0]}",
        *(f"{low}–{high}" for low, high in pairwise(bounds)),
        f"{bounds[-1]} and more",
    ]
    return " ".join(f'<i class="{of}">{name}</i>' for of, name in zip(CLASSES, names, strict=True))
