"""Every figure once more, token by token from probabilities; each is found by the name of its figure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Scored:
    """A text of which every token had a probability; `known` are those that the vocabulary holds."""

    probabilities: Sequence[float]
    known: Sequence[bool]
    chars: int
    bytes: int
    words: int


def nats(text: Scored) -> float:
    return sum(math.log(1 / p) for p in text.probabilities)


def loss(text: Scored) -> float:
    return nats(text) / len(text.probabilities)


def ppl(text: Scored) -> float:
    """The geometric mean of 1 / p."""
    return math.prod(math.pow(1 / p, 1 / len(text.probabilities)) for p in text.probabilities)


def ppl_se(text: Scored) -> float | None:
    """The delta method: ppl times the standard error of the mean of the nats."""
    count, mean = len(text.probabilities), loss(text)
    if count == 1:
        return None
    variance = sum((-math.log(p) - mean) ** 2 for p in text.probabilities) / (count - 1)
    return ppl(text) * math.sqrt(variance / count)


def ppl_known(text: Scored) -> float | None:
    known = [p for p, is_known in zip(text.probabilities, text.known, strict=True) if is_known]
    return math.prod(math.pow(1 / p, 1 / len(known)) for p in known) if known else None


def bits(text: Scored) -> float:
    return sum(math.log2(1 / p) for p in text.probabilities)


def bpt(text: Scored) -> float:
    return bits(text) / len(text.probabilities)


def bpc(text: Scored) -> float:
    return bits(text) / text.chars


def bpb(text: Scored) -> float | None:
    return bits(text) / text.bytes if all(text.known) else None


def word_ppl(text: Scored) -> float | None:
    return math.prod(math.pow(1 / p, 1 / text.words) for p in text.probabilities) if text.words else None
