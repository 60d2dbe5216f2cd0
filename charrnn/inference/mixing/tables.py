"""The tables of context mixing: functions on grids, and what is remembered of the bits that a counter has met.

Log-odds are in 256ths of a nat, probabilities of a 1 in 65536ths. No entry lies so near to the middle between two
whole numbers that it would be another on a machine with another exponential.
"""

from functools import cache

import numpy as np
import numpy.typing as npt

ODDS, MOST_ODDS, ONE = 3072, 2047, 1 << 16
# To a history of so many bits their order is known; of a longer one, how many of each kind, and the last.
WHOLE = 4
# Where there are n of the rarer bit, at most so many of the other are told apart.
MOST = (40, 16, 9, 7, 6, 5)

# How many bits are 0, how many are 1, and the last: of a short history all of them in their order.
History = tuple[int, int, str]


def stretch() -> npt.NDArray[np.int16]:
    """(4096,): ln(p / (1 - p)) in the middle of each 4096th."""
    p = (np.arange(4096) + 0.5) / 4096
    return np.asarray(np.clip(np.rint(256 * np.log(p / (1 - p))), -MOST_ODDS, MOST_ODDS), np.int16)


def squash() -> npt.NDArray[np.uint16]:
    """(2 ODDS + 1,): 1 / (1 + e^-x), never 0 or 1."""
    x = np.arange(-ODDS, ODDS + 1) / 256
    return np.clip(np.rint(ONE / (1 + np.exp(-x))), 1, ONE - 1).astype(np.uint16)


def logarithms() -> npt.NDArray[np.int32]:
    """(4097,): ln of 4096 to 8192, in 256ths."""
    return np.asarray(np.rint(256 * np.log(np.arange(4096, 8193))), np.int32)


@cache
def histories() -> tuple[tuple[History, ...], npt.NDArray[np.uint8]]:
    """All histories, the empty one first, and to which one each (256, 2) leads when a 0, a 1 is added."""
    found: dict[History, int] = {(0, 0, ""): 0}
    order, following = list(found), np.zeros((256, 2), np.uint8)
    for number, history in enumerate(order):
        for bit in (0, 1):
            longer = _longer(history, bit)
            if longer not in found:
                found[longer] = len(found)
                order.append(longer)
            following[number, bit] = found[longer]
    return tuple(order), following


def _longer(history: History, bit: int) -> History:
    """With one bit more. Of many of the other kind most are forgotten: the text has come to another part."""
    zeros, ones, last = history
    own, other = (ones, zeros) if bit else (zeros, ones)
    own += 1
    if zeros + ones < WHOLE:
        last += str(bit)
    else:
        last = str(bit)
        other = other - (other > 5) if other < 8 else 7
        while not _told_apart(own, other):
            if other >= own and not _told_apart(own - 1, other):
                other -= 1
            else:
                own -= 1
    return (other, own, last) if bit else (own, other, last)


def _told_apart(one: int, other: int) -> bool:
    rarer, more = sorted((one, other))
    return rarer < len(MOST) and more <= MOST[rarer]


def certain() -> npt.NDArray[np.uint8]:
    """(256,): whether a history has bits, and of one kind only."""
    found = np.zeros(256, np.uint8)
    found[: len(histories()[0])] = [(zeros == 0) != (ones == 0) for zeros, ones, _ in histories()[0]]
    return found


def beginning() -> npt.NDArray[np.uint16]:
    """(256,): how likely a 1 is after a history, until that is known better."""
    found = np.full(256, ONE // 2, np.uint16)
    known = [ONE * (5 * ones + 2) // (5 * (zeros + ones) + 4) for zeros, ones, _ in histories()[0]]
    found[: len(known)] = known
    return found
