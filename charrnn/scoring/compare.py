"""Which of two models predicts a text better, and whether that is more than chance.

Both are asked for the same characters, so the difference is taken pair by pair. Its errors cluster, so it is added up
over blocks of 500 to 1,000 characters, of which the interval is (`intervals.py`). Shapes: S spans, B blocks.
"""

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from charrnn.errors import CorpusError
from charrnn.scoring.costs import Costs, Places, aligned
from charrnn.scoring.figures import Nats
from charrnn.scoring.intervals import CONFIDENCE, LEAST_BLOCKS, Interval, mean_interval
from charrnn.text.spans import WORD

LARGE_BLOCK, SMALL_BLOCK = 1000, 500
# Blocks are large where there are so many of them.
MANY_BLOCKS = 30


@dataclass(frozen=True)
class Item:
    """A word or a character: how often the text has it, and nats that both models paid for all of these."""

    text: str
    count: int
    nats_a: float
    nats_b: float

    @property
    def advantage(self) -> float:
        """Bits that B paid more than A."""
        return (self.nats_b - self.nats_a) / math.log(2)

    def to_json(self) -> dict[str, Any]:
        """Bits, under the names that tables have."""
        bits = {"bits_a": self.nats_a / math.log(2), "bits_b": self.nats_b / math.log(2)}
        return {"text": self.text, "count": self.count, **bits, "advantage": self.advantage}


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Two models on one text. What is called an advantage is A's: what B costs more, negative where B costs less.

    `a` and `b` cost nats (S,) in the same spans of `text`, the least that both predict apart.
    """

    a: Costs
    b: Costs
    text: str
    # What to know of the text and of how it was read, a sentence each.
    notes: tuple[str, ...] = field(default=())

    def __repr__(self) -> str:
        """<Comparison small is better than large by 0.012 bits …>"""
        return f"<Comparison {self.sentence}>"

    @property
    def chars(self) -> int:
        """Characters compared."""
        return int((self.a.ends - self.a.begins).sum())

    @property
    def nats_a(self) -> float:
        """What A costs in all."""
        return math.fsum(self.a.nats)

    @property
    def nats_b(self) -> float:
        """What B costs in all."""
        return math.fsum(self.b.nats)

    @property
    def advantage(self) -> float:
        """Bits per character that B costs more than A."""
        return math.fsum(self.b.nats - self.a.nats) / self.chars / math.log(2)

    @cached_property
    def block_ends(self) -> Places:
        """(B,): how many spans the blocks up to each hold, the last one included."""
        # Of like length, and of whole documents, unless these are so long that few blocks would be left.
        length = np.cumsum(self.a.ends - self.a.begins)
        size = LARGE_BLOCK if self.chars >= MANY_BLOCKS * LARGE_BLOCK else SMALL_BLOCK
        number = max(1, self.chars // size)
        wanted = self.chars * np.arange(1, number + 1) / number
        anywhere = np.unique(np.searchsorted(length, wanted)) + 1
        document_ends = self.a.document_ends if self.a.document_ends is not None else self.b.document_ends
        if document_ends is None:
            return anywhere
        last = np.searchsorted(self.a.ends, document_ends, side="right")
        last = np.unique(np.append(last[last > 0], length.size))
        whole = np.unique(last[np.searchsorted(length[last - 1], wanted)])
        return whole if whole.size >= anywhere.size / 2 else anywhere

    @cached_property
    def block_chars(self) -> Places:
        """(B,): characters of each block."""
        return _by_block(self.a.ends - self.a.begins, self.block_ends)

    @cached_property
    def block_advantage(self) -> Nats:
        """(B,): nats of each block that B costs more than A."""
        return _by_block(self.b.nats - self.a.nats, self.block_ends)

    @property
    def blocks(self) -> int:
        """B, the number of blocks."""
        return self.block_ends.size

    @property
    def won(self) -> int:
        """Blocks in which A costs less."""
        return int((self.block_advantage > 0).sum())

    @property
    def lost(self) -> int:
        """Blocks in which B costs less."""
        return int((self.block_advantage < 0).sum())

    @cached_property
    def interval(self) -> Interval | None:
        """The 95% interval of the advantage in bits per character; none of a text of fewer than five blocks."""
        found = mean_interval(self.block_advantage, self.block_chars)
        return None if found is None else Interval(found.low / math.log(2), found.high / math.log(2))

    @property
    def better(self) -> str | None:
        """'a' or 'b', whose advantage the interval holds to be no chance; None where it is undecided."""
        if self.interval is None or 0.0 in self.interval:
            return None
        return "a" if self.interval.low > 0 else "b"

    @cached_property
    def words(self) -> list[Item]:
        """All words by A's advantage, the largest first; a word has the white space in front of it."""
        # As the pieces of subwords do; white space behind the last is a word without letters.
        found = list(WORD.finditer(self.text))
        word = np.searchsorted([one.end() for one in found], self.a.ends - 1, side="right")
        return self._items(word, [*(one[0] for one in found), ""])

    @cached_property
    def characters(self) -> list[Item] | None:
        """All characters by A's advantage, the largest first; none where a model predicts several in one piece."""
        ends, width = self.a.ends, self.a.ends - self.a.begins
        alone = width == 1
        if self.a.document_ends is not None:
            alone |= np.isin(ends, self.a.document_ends)
        return self._items(ends - 1, self.text) if alone.all() else None

    def _items(self, place: Places, text_at: "list[str] | str") -> list[Item]:
        """The costs of spans (S,) by the text that stands at the place of each; a place is counted once."""
        numbers: dict[str, int] = {}
        places, at = np.unique(place, return_inverse=True)
        which = np.array([numbers.setdefault(text_at[each], len(numbers)) for each in places])
        counts = np.bincount(which)
        nats_a, nats_b = (np.bincount(which[at], costs.nats) for costs in (self.a, self.b))
        items = [Item(text, int(counts[i]), float(nats_a[i]), float(nats_b[i])) for text, i in numbers.items()]
        return sorted(items, key=lambda item: -item.advantage)

    @property
    def sentence(self) -> str:
        """What it means."""
        if not self.block_advantage.any():
            return f"no difference: {self.a.name} and {self.b.name} cost the same"
        ahead, behind, wins, sign = self.a.name, self.b.name, self.won, 1
        if self.advantage < 0:
            ahead, behind, wins, sign = self.b.name, self.a.name, self.lost, -1
        by = f"{ahead} is better than {behind} by {abs(self.advantage):.3f} bits a character"
        if self.interval is None:
            least = LEAST_BLOCKS * SMALL_BLOCK
            return f"undecided: {by}, and for an interval {self.chars:,} characters are too few: it needs {least:,}"
        low, high = sorted(sign * bound for bound in self.interval)
        between = f"{CONFIDENCE:.0%} interval {low:.3f} to {high:.3f}"
        won = f"it wins {wins} of {self.blocks} blocks"
        return f"{by}, {between}; {won}" if self.better else f"undecided: {by}, {between}, which holds 0; {won}"

    def figures(self) -> dict[str, Any]:
        """Every figure under its name, None where there is none."""
        low, high = self.interval or (None, None)
        nats_per_bit, chars = math.log(2), self.chars
        advantage = self.advantage

        def row(a: float, b: float, unit: float) -> dict[str, float | None]:
            """`unit`: how many of it one bit per character is."""
            bounds = {"low": None if low is None else low * unit, "high": None if high is None else high * unit}
            return {"a": a, "b": b, "advantage": advantage * unit, **bounds}

        nats_a, nats_b = self.nats_a, self.nats_b
        return {
            "name_a": self.a.name,
            "name_b": self.b.name,
            "chars": chars,
            "nats": row(nats_a, nats_b, chars * nats_per_bit),
            "bits": row(nats_a / nats_per_bit, nats_b / nats_per_bit, chars),
            "nats_per_char": row(nats_a / chars, nats_b / chars, nats_per_bit),
            "bpc": row(nats_a / chars / nats_per_bit, nats_b / chars / nats_per_bit, 1.0),
            "confidence": CONFIDENCE,
            "blocks": self.blocks,
            "blocks_won": self.won,
            "blocks_lost": self.lost,
            "better": self.better,
            "sentence": self.sentence,
        }


def compare(a: Costs, b: Costs, text: str, notes: tuple[str, ...] = ()) -> Comparison:
    """Compare what one text costs two models, or a model and a baseline.

    Raises CorpusError where they score different characters, or one cannot predict the text at all.
    """
    for each in (a, b):
        if not np.isfinite(each.nats).all():
            raise CorpusError(
                f"{each.name} holds something in this text to be impossible: there is no difference to tell"
            )
    return Comparison(*aligned(a, b), text, notes)


def best(items: list[Item], whose: str) -> list[Item]:
    """Of items as a comparison lists them, those that 'a' or 'b' predicts better, on which it saves most first."""
    sign = 1 if whose == "a" else -1
    return [item for item in items[::sign] if sign * item.advantage > 0]


def _by_block(values: npt.NDArray[Any], ends: Places) -> npt.NDArray[Any]:
    """Sums of spans (S,) over blocks (B,)."""
    return np.add.reduceat(values, np.append(0, ends[:-1]))
