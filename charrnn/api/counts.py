"""What counts of the training text add to a network on a text."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from charrnn.api.baselines import end_of_training_text
from charrnn.api.held_out import HeldOut
from charrnn.api.learned import split_at_hand
from charrnn.models.counts.experts import Experts
from charrnn.models.counts.mixture import Gate
from charrnn.text.dataset import encode_part, encode_scored
from charrnn.text.letters import letters_of
from charrnn.text.part import Part

if TYPE_CHECKING:
    from charrnn.api.opened import Opened
    from charrnn.scoring.figures import Score

# What was fitted on tiny-shakespeare: of the network and of the experts in their order. Of pieces the same way.
CONSTANTS = (0.66, 0.15, 0.20, -0.10)
CONSTANTS_OF_PIECES = (0.55, 0.38, -0.03)


@dataclass(frozen=True, eq=False)
class Counts:
    """What was counted of a model's training text, how long that took, and which part of it it was, "" for all."""

    experts: Experts
    seconds: float
    part_of_text: str


def count(model: "Opened") -> Counts:
    """Raises CharrnnError when the training text is not known, gone or changed."""
    text, part_of_text = end_of_training_text(model)
    started = time.monotonic()
    training = encode_part(model.tokenizer, [text], model.documents)
    letters = letters_of(model.tokenizer)
    experts = Experts.count(training.tokens, model.config.start_id, training.starts, letters)
    return Counts(experts, time.monotonic() - started, part_of_text)


def with_counts(
    model: "Opened", part: Part, plain: "Score", *, lines: bool, reset_every: int | None, batch_size: int
) -> "tuple[Score, list[str]]":
    """The score of a part by network and counts, and what there is to say of it, a line each."""
    from charrnn.scoring.counts import Mixture
    from charrnn.scoring.counts import with_counts as compute

    counts = model.counts
    mixture = Mixture(model.network, counts.experts, reset_every, batch_size)
    constants = Gate.constant(CONSTANTS if len(counts.experts.named) == 3 else CONSTANTS_OF_PIECES)
    split = split_at_hand(model)
    held_out = None
    if split.has("valid"):
        text = HeldOut(split, "valid", any_bytes=model.tokenizer.any_bytes).read()
        held_out = encode_scored(model.tokenizer, text, model.documents, lines=lines, unknown=True)
    found = compute(mixture, part, plain, held_out, constants)
    weights = ", ".join(f"{name} {weight:.2f}" for name, weight in found.weights.items())
    what = counts.part_of_text or "the training text"
    return found.score, [
        f"counts of {what}, in {counts.seconds:.1f} s; {found.fitted}",
        f"weights in the mean: {weights}",
    ]
