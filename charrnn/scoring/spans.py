"""Spans: a scored text in the smallest pieces that can be shown, and what each of them cost.

A token of a character model is a span. Bytes, and pieces that end within a character, are put together until a
character is whole. Shapes: N tokens, S spans.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from charrnn.scoring.figures import Nats
from charrnn.scoring.predictions import Ids, Predictions
from charrnn.text.alignment import Alignment


@dataclass(frozen=True, eq=False)
class ScoredSpans:
    """`ends` (S,) are the characters of `text` where spans end, `bits` (S,) what they cost.

    `tokens` (S,) is the first token of each; `single` (S,) marks those of one token. `detail` tells of the first
    tokens, or of all, what else the model held likely in their place.
    """

    text: str
    ends: Ids
    bits: Nats
    tokens: Ids
    single: npt.NDArray[np.bool_]
    detail: Predictions

    def __len__(self) -> int:
        return self.bits.size

    def __getitem__(self, some: slice) -> "ScoredSpans":
        """Consecutive ones, with the text that they stand for."""
        first, end, _ = some.indices(len(self))
        start = self.start(first)
        part = slice(first, end)
        return ScoredSpans(
            self.text[start : self.start(end)],
            self.ends[part] - start,
            self.bits[part],
            self.tokens[part],
            self.single[part],
            self.detail,
        )

    def start(self, span: int) -> int:
        """The character at which a span begins; of S, where the last one ends."""
        return int(self.ends[span - 1]) if span else 0

    @property
    def texts(self) -> list[str]:
        """What each stands for; together the text."""
        ends = self.ends.tolist()
        return [self.text[start:end] for start, end in zip([0, *ends], ends, strict=False)]

    @property
    def bits_per_char(self) -> float:
        """Bits of all per character of the text."""
        return math.fsum(self.bits) / max(1, len(self.text))


def spans_of(text: str, predictions: Predictions, align: Alignment, detail: Predictions | None = None) -> ScoredSpans:
    """The spans of a text, or of one document with its end, by its tokens.

    `detail` where more is known of the first tokens alone. Raises ValueError when the tokens are of another text.
    """
    done = align(text, predictions.tokens).done
    if (done[-1] if done.size else 0) != len(text):
        raise ValueError(f"the tokens are of another text: {done[-1:]} characters of {len(text)}")
    # The last token ends a span in any case: a document's end may stand for no character.
    last = np.flatnonzero(np.append(np.diff(done, prepend=0)[:-1] > 0, True)[: done.size])
    first = np.append(0, last[:-1] + 1)[: last.size]
    bits = np.add.reduceat(predictions.nll, first) / math.log(2) if last.size else np.empty(0)
    return ScoredSpans(text, done[last], bits + 0.0, first, first == last, predictions if detail is None else detail)
