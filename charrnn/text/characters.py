"""Characters in complaints: as they are where they can be seen, by their number and name where they cannot."""

import unicodedata
from collections.abc import Iterable

# How many different ones a message names.
MOST_NAMED = 8
# Letters and symbols by their category, and yet blank: Hangul fillers, the empty Braille cell.
BLANK = "\u115f\u1160\u3164\uffa0\u2800"


def named(character: str) -> str:
    """How a message writes one character: 'x', or U+0301 COMBINING ACUTE ACCENT."""
    combining = unicodedata.category(character).startswith("M")
    if character.isprintable() and not (combining or character.isspace() or character in BLANK):
        return repr(character)
    # Control characters and the unassigned have no name; '\n' is one to everybody who reads this.
    return f"U+{ord(character):04X} {unicodedata.name(character, repr(character))}"


def named_all(characters: Iterable[str]) -> str:
    """How a message writes several, each once, in order: the first of them, where they are many."""
    different = sorted(set(characters))
    return ", ".join(map(named, different[:MOST_NAMED])) + (", …" if len(different) > MOST_NAMED else "")


def lacking(count: int) -> str:
    """'1 character is not in the vocabulary'"""
    return f"{count:,} character{' is' if count == 1 else 's are'} not in the vocabulary"
