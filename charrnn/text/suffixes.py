"""The suffix array of a text: all places in it, in the order of what begins there (Manber & Myers 1990)."""

import numpy as np
import numpy.typing as npt


def suffix_array(codes: npt.NDArray[np.unsignedinteger]) -> npt.NDArray[np.signedinteger]:
    """codes (N,) -> the N places, int32 where those are enough; a suffix stands before what it is the beginning of.

    By prefix doubling: sorted by as many characters as fit into a word, then, among those that are still alike, by
    twice as many, which are the places in order of what begins there and of what begins behind it (Larsson & Sadakane
    2007). It takes some 30 bytes a character while it works.
    """
    count, kind = len(codes), np.int32 if len(codes) < 1 << 31 else np.int64
    if not count:
        return np.zeros(0, kind)
    keys, depth = _beginnings(codes)
    order: npt.NDArray[np.int64] = keys.argsort()
    first = _firsts(keys[order])  # of those alike, the place of the first in the order
    del keys
    ranks: npt.NDArray[np.int64] = np.empty(count + 1, kind)
    ranks[count] = -1  # the end stands before everything
    ranks[order] = first
    alike = _alike(first)
    while alike.size:
        places = order[alike]
        behind = ranks[np.minimum(places + depth, count)]
        keys = ranks[places].astype(np.int64) * (count + 2) + behind + 1
        turn = keys.argsort()
        keys, places = keys[turn], places[turn]
        order[alike] = places
        first = alike[_firsts(keys)]
        ranks[places] = first
        alike, depth = alike[_alike(first)], 2 * depth
    return order.astype(kind)


def _beginnings(codes: npt.NDArray[np.unsignedinteger]) -> tuple[npt.NDArray[np.int64], int]:
    """A number for each place, in the order of the characters there, and how many those are; 0 behind the end."""
    keys = codes.astype(np.int64) + 1
    bits, depth = int(keys.max()).bit_length(), 1
    while 2 * depth * bits <= 62:
        further = np.zeros_like(keys)
        further[:-depth] = keys[depth:]
        keys = (keys << (bits * depth)) | further
        depth *= 2
    return keys, depth


def _firsts(keys: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Of each of these sorted numbers, the place of the first that equals it."""
    places = np.arange(len(keys))
    places[1:][keys[1:] == keys[:-1]] = 0
    return np.maximum.accumulate(places)


def _alike(first: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The places that are not alone, in order."""
    same = first[1:] == first[:-1]
    found = np.zeros(len(first), np.bool_)
    found[1:] = same
    found[:-1] |= same
    return np.flatnonzero(found)
