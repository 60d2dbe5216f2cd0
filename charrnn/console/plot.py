"""Curves in a terminal, each drawn by its own letter, so that they can be told apart without colour."""

import math
import string
from collections.abc import Sequence

WIDTH, HEIGHT, EDGE = 80, 14, 8
LETTERS = string.ascii_letters


def letter(number: int) -> str:
    """What a curve is drawn by."""
    return LETTERS[number % len(LETTERS)]


def plot(curves: Sequence[Sequence[float]], across: str) -> str:
    """Curves of positive numbers over 0, 1, 2 …, upwards by powers of ten, as lines of at most `WIDTH` columns.

    Where several meet, the later one's letter stands; what is not positive and finite is left out.
    """
    last = max(map(len, curves)) - 1
    levels = [[math.log10(y) if 0 < y < math.inf else None for y in curve] for curve in curves]
    known = [level for curve in levels for level in curve if level is not None]
    if not known:
        return ""
    low, high = min(known), max(known)
    high = max(high, low + 1e-9)
    columns = WIDTH - EDGE - 1
    rows = [[" "] * columns for _ in range(HEIGHT)]
    for number, curve in enumerate(levels):
        for column in range(columns):
            place = round(column * last / (columns - 1))
            level = curve[place] if place < len(curve) else None
            if level is not None:
                rows[round((high - level) / (high - low) * (HEIGHT - 1))][column] = letter(number)
    lines = []
    for number, row in enumerate(rows):
        named = f"{10 ** (high - number * (high - low) / (HEIGHT - 1)):.0e}" if number % 3 == 0 else ""
        lines.append(f"{named:>{EDGE - 1}} │{''.join(row)}".rstrip())
    lines.append(" " * EDGE + "└" + "─" * (columns - 1))
    lines.append(f"{'0':>{EDGE + 1}}{across:^{columns - 2 - len(str(last))}}{last}")
    return "\n".join(lines) + "\n"
