"""What counts know of a text beside a network, as a table: what `charrnn inspect counts` tells."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from charrnn.api.counts import mixtures_for
from charrnn.api.scoring import encoded
from charrnn.config import require

if TYPE_CHECKING:
    from charrnn.api.opened import Opened

# Where a character stands: a word's first letter, its second, its third, all further ones, and what stands between.
GROUPS = ("first letter", "second", "third", "further", "between words")


@dataclass(frozen=True)
class Reader:
    """What one of them, or all together, make of a text: bits a token, over all and by its place; the mean weight."""

    name: str
    bits: float
    weight: float | None
    by_place: dict[str, float | None]

    def to_json(self) -> dict[str, Any]:
        """As JSON has it."""
        return dict(vars(self))


def read_beside(model: "Opened", text: str, *, length: int) -> list[Reader]:
    """The network, each expert and all together on the beginning of a text, so many tokens.

    Raises ConfigError where the model has no counts.
    """
    from charrnn.scoring.contributions import TOGETHER, contributions

    require(model.counts is not None, "the model has no counts: train one without `counts=False`")
    part = encoded(model, text, unknown=True)
    mixtures, _ = mixtures_for(model, part, lines=False)
    found = contributions(model.network, mixtures, part)
    kept = found.places < length
    groups = _groups(model, part.tokens)[found.places[kept]]

    def reader(name: str, nats: Any, weight: float | None) -> Reader:
        bits = nats[kept] / math.log(2)
        means = {
            group: float(bits[groups == number].mean()) if (groups == number).any() else None
            for number, group in enumerate(GROUPS)
        }
        return Reader(name, float(bits.mean()), weight, means)

    each = zip(found.names, found.alone, found.weights, strict=True)
    readers = [reader(name, alone, float(weight[kept].mean())) for name, alone, weight in each]
    return [*readers, reader(TOGETHER, found.together, None)]


def _groups(model: "Opened", tokens: Any) -> Any:
    """Which of `GROUPS` each token (N,) stands in, by its last character; a document's end stands between words."""
    symbols = [model.tokenizer.symbol(token) if token < model.tokenizer.size else "" for token in tokens.tolist()]
    group, place = np.empty(len(symbols), np.int64), 0
    for number, symbol in enumerate(symbols):
        place = place + 1 if symbol and symbol[-1].isalpha() else 0
        group[number] = len(GROUPS) - 1 if place == 0 else min(place, len(GROUPS) - 1) - 1
    return group
