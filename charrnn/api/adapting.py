"""What a text costs when something learns from it as it is read: the network, counts beside it, or both."""

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from charrnn.api.baselines import end_of_training_text
from charrnn.config.verbs import ADAPTED
from charrnn.text.dataset import encode_part
from charrnn.text.letters import Spelling
from charrnn.text.part import Part

if TYPE_CHECKING:
    from charrnn.api.opened import Opened
    from charrnn.inference.mixing import Mixer
    from charrnn.scoring.figures import Score
    from charrnn.scoring.learning import Learning
    from charrnn.scoring.token_nll import Take

GRADIENT, COUNTS, BOTH = ADAPTED
# Tokens of lines that tables are made for: of more the rarest are forgotten.
LINES = 1 << 20


class Adapting:
    """A model's text is read in one of these ways. Raises CharrnnError where counts cannot be had, before any work."""

    def __init__(self, model: "Opened", way: str) -> None:
        self.model, self.way = model, way
        self.notes: list[str] = []
        if way == GRADIENT:
            return
        from charrnn.inference.mixing import require_built

        require_built()
        text, part_of_text = end_of_training_text(model)
        self.training = encode_part(model.tokenizer, [text], model.documents)
        self.what = part_of_text or "the training text"

    def beside(self, part: Part, plain: "Score", batch_size: int) -> "Score":
        """The plain score, with those beside it that were asked for."""
        if self.way == GRADIENT:
            return replace(plain, adapted=self._by_gradient(part, plain))
        found = replace(plain, adapted_counts=self._by_counts(part, plain, batch_size))
        if self.way == COUNTS:
            return found
        by_gradient, by_both = self._by_gradient_and_both(part, plain)
        return replace(found, adapted=by_gradient, adapted_both=by_both)

    def _by_counts(self, part: Part, plain: "Score", batch_size: int) -> "Score":
        from charrnn.scoring.mixing import Mixing, read_plainly

        mixing = Mixing(self.mixer(size_of(part)), part, plain)
        read_plainly(self.model.network, part, mixing, batch_size)
        return mixing.score(plain, "counts")

    def _by_gradient_and_both(self, part: Part, plain: "Score") -> "tuple[Score, Score]":
        from charrnn.scoring.mixing import Mixing

        mixing = Mixing(self.mixer(size_of(part)), part, plain)
        return self._by_gradient(part, plain, mixing.take), mixing.score(plain, "weights and counts")

    def _by_gradient(self, part: Part, plain: "Score", take: "Take | None" = None) -> "Score":
        from charrnn.scoring.adaptation import adapted

        return adapted(self.model.network, part, plain, take)

    def mixer(self, more: int) -> "Mixer":
        """One that has read the training text, and has tables for so many tokens and documents more."""
        from charrnn.inference.mixing import Mixer
        from charrnn.scoring.mixing import prime

        started, spelling = time.monotonic(), Spelling.of(self.model.tokenizer)
        mixer = Mixer(self.training.tokens, self.model.config.vocab_size, spelling, size_of(self.training) + more)
        prime(mixer, self.training)
        self.notes = [f"counts begin with {self.what}, read in {time.monotonic() - started:.1f} s"]
        return mixer


def size_of(part: Part) -> int:
    """Its tokens and documents."""
    return part.tokens.size + (1 if part.starts is None else part.starts.size)


def learning_of(model: "Opened") -> "Learning":
    """What learns from lines, however many come. Raises CharrnnError where counts cannot be had."""
    from charrnn.scoring.learning import Learning

    return Learning(Adapting(model, COUNTS).mixer(LINES))
