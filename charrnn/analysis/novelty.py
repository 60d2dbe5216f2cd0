"""Learned or copied: the share of a text's n-grams that do not stand in the training text (McCoy et al. 2023).

Text that people wrote, held out of the training, is the measure: what is sampled should be about as new as that.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from charrnn.text.copy_index import CopyIndex

# The name of the curve that the others are held against.
HELD_OUT = "held out"


@dataclass(frozen=True)
class NoveltyCurve:
    """Of texts of so many `chars` together, the share of n-grams that are new, for n = 1, 2, and on.

    `counts` are the n-grams that there are; where there are none, the share is None.
    """

    name: str
    chars: int
    shares: tuple[float | None, ...]
    counts: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """As JSON has it."""
        return dict(vars(self))


def novelty_curve(name: str, texts: Iterable[str], index: CopyIndex, longest: int = 50) -> NoveltyCurve:
    """Each n-gram of each text counts as often as it comes, up to n = `longest`; none reaches across two texts."""
    chars, new, counts = 0, np.zeros(longest, np.int64), np.zeros(longest, np.int64)
    for text in texts:
        chars += len(text)
        copied = index.longest_beginnings(text, longest)
        # From a place, n-grams of up to as many characters as are left, or as `longest` are; those longer than what is
        # copied from there are new.
        left = np.minimum(len(text) - np.arange(len(text)), longest)
        counts += _at_least(left, longest)
        new += _at_least(left, longest) - _at_least(copied, longest)
    pairs = zip(new.tolist(), counts.tolist(), strict=True)
    return NoveltyCurve(name, chars, tuple(one / of if of else None for one, of in pairs), tuple(counts.tolist()))


def _at_least(sizes: Any, longest: int) -> Any:
    """How many are at least 1, 2, ..., `longest`."""
    return np.bincount(sizes, minlength=longest + 1)[::-1].cumsum()[::-1][1:]
