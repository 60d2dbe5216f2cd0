"""Spans of a text by hashes of 64 bits, all at once: that any two of a million are taken for one has a chance of 3e-8.

A span's hash is the sum of its scrambled ids times powers of a number, modulo 2^64 (Karp & Rabin 1987); the last id
counts once, so that with one more the hash is `BASE` times what it was, and the new one. Shapes: N ids.
"""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from charrnn.models.counts.trie import Ids, Places

Hashes: TypeAlias = npt.NDArray[np.uint64]

# An odd number has an inverse modulo 2^64, so that a prefix can be taken away from a sum of powers.
BASE = 0x9E3779B97F4A7C15
INVERSE = pow(BASE, -1, 1 << 64)
MULTIPLIER = np.uint64(0xD6E8FEB86659FD93)


def span_hashes(ids: Ids, firsts: Places, ends: Places) -> Hashes:
    """Hashes of the spans [first, end) of ids (N,), each of one symbol or more; the same for the same ids anywhere."""
    sums = np.append(np.uint64(0), np.cumsum(scrambled(ids) * powers(INVERSE, ids.size)))
    hashes: Hashes = (sums[ends] - sums[firsts]) * powers(BASE, ids.size)[ends - 1]
    return hashes


def scrambled(ids: Ids) -> Hashes:
    """What each id counts in a sum."""
    mixed = (ids.astype(np.uint64) + np.uint64(1)) * np.uint64(BASE)  # a 0 would leave no trace
    mixed = (mixed ^ (mixed >> np.uint64(32))) * MULTIPLIER
    return mixed ^ (mixed >> np.uint64(29))


def powers(base: int, count: int) -> Hashes:
    """1, base, its square and so on, modulo 2^64 (count,)."""
    powers = np.full(count, base, np.uint64)
    powers[:1] = 1
    return np.cumprod(powers)


def shared(tokens: Ids, others: Ids, length: int) -> npt.NDArray[np.bool_]:
    """Which of tokens (N,) stand in a run of so many that stands in another text as well."""
    found = np.zeros(tokens.size + 1, np.int64)
    if min(tokens.size, others.size) >= length:
        runs, known = (
            span_hashes(ids, firsts, firsts + length)
            for ids, firsts in ((each, np.arange(each.size - length + 1)) for each in (tokens, others))
        )
        begins = np.flatnonzero(np.isin(runs, known))
        found[begins] += 1
        found[begins + length] -= 1
    return np.cumsum(found)[:-1] > 0
