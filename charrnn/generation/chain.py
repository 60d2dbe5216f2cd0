"""The processors of one sampling at work, and what the draw is told by. Shapes: B rows, V vocabulary."""

from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from charrnn.generation.drawing import Doubles, draw, log_probabilities
from charrnn.generation.processors import DROPPED, Processor, log_sums, without
from charrnn.generation.sequence import TextSequence
from charrnn.inference.base import Drawing
from charrnn.inference.products import Floats


class Chain:
    """Some processors in their order.

    A model of one stream has no end. Where a pattern may end its text, a column for that stands behind the vocabulary:
    the probability of ending is that of all that the pattern drops, for the stream goes on with something else.
    """

    def __init__(self, processors: Sequence[Processor], end: int, *, endless: bool, told: bool) -> None:
        """`end` is the id of an end, which the model of an `endless` stream lacks.

        With `told`, what is drawn and what the pattern keeps is told in nats; what is drawn also where a processor
        uses it.
        """
        self.processors, self.end = processors, end
        self.told = told or any(one.uses_logprob for one in processors)
        self._kept_told = told
        self._ending = endless and any(one.ends for one in processors)

    @cached_property
    def drawing(self) -> Drawing | None:
        """The chain as settings of the compiled draw; None where that does not do all of it."""
        drawing: Drawing | None = None if self._ending else Drawing()
        for processor in self.processors:
            drawing = None if drawing is None else processor.drawing(drawing)
        return drawing

    def own(self, logits: Floats) -> Doubles:
        """The model's logits (B, V) in float64, with the column that it may lack: nothing, yet."""
        if not self._ending:
            return logits.astype(np.float64)
        result = np.full((len(logits), self.end + 1), DROPPED)
        result[:, : self.end] = logits
        return result

    def __call__(self, own: Doubles, sequences: Sequence[TextSequence]) -> tuple[Doubles, list[float] | None]:
        """(B, V) -> what may be drawn (B, V); how much of each row the pattern kept (nats), where it is told."""
        kept = None
        for processor in self.processors:
            given, own = own, self._through(processor, own, sequences)
            if processor.ends and self._kept_told:
                kept = (log_sums(own) - log_sums(given)).tolist()
        return own, kept

    def draw(
        self, logits: Floats, sequences: Sequence[TextSequence]
    ) -> tuple[npt.NDArray[np.int64], Iterable[tuple[float | None, float | None]]]:
        """The model's logits (B, V) -> the next token of each row (B,), and what `TextSequence.push` is told of it."""
        own = self.own(logits)
        processed, kept = self(own, sequences)
        tokens = draw(processed, np.array([sequence.uniforms.next() for sequence in sequences]))
        nothing = [None] * len(sequences)
        return tokens, zip(self.logprobs(own, tokens) if self.told else nothing, kept or nothing, strict=True)

    def apart(self, own: Doubles, sequences: Sequence[TextSequence]) -> tuple[Doubles, Doubles]:
        """(B, V) -> what would be drawn from without a pattern (B, V), and what of that the pattern leaves (B, V)."""
        left = own
        for processor in sorted(self.processors, key=lambda one: one.ends):  # the pattern last
            given, left = left, self._through(processor, left, sequences)
        return given, left

    def _through(self, processor: Processor, logits: Doubles, sequences: Sequence[TextSequence]) -> Doubles:
        left = processor(logits, sequences)
        if processor.ends and self._ending:
            open_rows = [row for row, sequence in enumerate(sequences) if processor.may_end(sequence)]
            if open_rows:
                dropped = without(left > DROPPED, logits)
                left[open_rows, self.end] = log_sums(dropped)[open_rows]
        return left

    def logprobs(self, own: Doubles, tokens: npt.NDArray[np.int64]) -> list[float]:
        """How likely the model itself held what was drawn (B,), in nats; an end that it lacks is certain."""
        told = log_probabilities(own, tokens)
        if self._ending:
            told[tokens == self.end] = 0.0
        return list(told.tolist())
