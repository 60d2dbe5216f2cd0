"""What a unit may follow: properties of a text that a reader would name, one number a character.

The command line lists them, so NumPy is loaded when one is first computed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from charrnn.generation.lazy import LazyModule

if TYPE_CHECKING:
    import numpy as np
else:
    np = LazyModule("numpy")

# A number for each character (T,), or each token's for every unit (L, T, H).
Track: TypeAlias = "np.typing.NDArray[np.float64]"

OPENING, CLOSING = "([{", ")]}"


def inside_quotes(text: str) -> Track:
    """1 between a double quotation mark and the next, 0 elsewhere."""
    inside, found = False, []
    for char in text:
        if char in "“”„":
            inside = char != "”"
        elif char == '"':
            inside = not inside
        found.append(float(inside))
    return np.array(found)


def position_in_line(text: str) -> Track:
    """How many characters of the line have been read."""
    position, found = 0, []
    for char in text:
        position = 0 if char == "\n" else position + 1
        found.append(float(position))
    return np.array(found)


def bracket_depth(text: str) -> Track:
    """How many brackets are open."""
    depth, found = 0, []
    for char in text:
        depth = depth + 1 if char in OPENING else max(0, depth - 1) if char in CLOSING else depth
        found.append(float(depth))
    return np.array(found)


def letter_case(text: str) -> Track:
    """1 at capital letters, 0 elsewhere."""
    return np.array([float(char.isupper()) for char in text])


def position_in_word(text: str) -> Track:
    """How many letters of the word have been read, 0 between words."""
    position, found = 0, []
    for char in text:
        position = position + 1 if char.isalnum() else 0
        found.append(float(position))
    return np.array(found)


PROPERTIES: dict[str, Callable[[str], Track]] = {
    "quotes": inside_quotes,
    "line": position_in_line,
    "brackets": bracket_depth,
    "case": letter_case,
    "word": position_in_word,
}
