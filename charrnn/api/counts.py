"""Which gate may be used on which text: none that was fitted on it."""

from typing import TYPE_CHECKING

import numpy as np

from charrnn.api.held_out import HeldOut
from charrnn.api.learned import split_at_hand
from charrnn.errors import CharrnnError
from charrnn.inference.counting import Counting
from charrnn.models.counts.kept import OF_FIRST_HALF, OF_SECOND_HALF
from charrnn.models.counts.mixture import Mixture
from charrnn.text.dataset import encode_scored
from charrnn.text.part import Part

# What a text may have in common with the held-out part for nothing: short lines, a quotation.
MOST_ALIKE = 0.05

if TYPE_CHECKING:
    from charrnn.api.opened import Opened


def mixtures_for(model: "Opened", part: Part, *, lines: bool) -> tuple[list[Counting], list[str]]:
    """The mixtures by which a text is scored, one for all of it or one for each half, and what there is to say of it.

    Of the held-out part itself each half is scored by the gate that was fitted on the other half; a text that has much
    in common with it, by fixed weights.
    """
    if model.counts is None or model.counting is None:
        return [], []
    if OF_FIRST_HALF not in model.counts.gates:
        return [model.counting], ["no text was held out: network and counts are mixed by fixed weights"]
    from charrnn.scoring.counts import alike_in, fixed_gate

    try:
        held_out = model.held_out_part(lines)
    except CharrnnError as problem:
        return [model.counting], [f"whether this text is of the part that was held out cannot be seen: {problem}"]
    alike = 0 if held_out is None else int(np.count_nonzero(alike_in(part, held_out)))
    if held_out is None or alike <= MOST_ALIKE * part.tokens.size:
        return [model.counting], []
    if np.array_equal(held_out.tokens, part.tokens):
        halves = [Counting(model.counts.of(half)) for half in (OF_FIRST_HALF, OF_SECOND_HALF)]
        return halves, ["each half of the held-out part by weights fitted on the other half"]
    networks = model.counting.mixture.networks
    fixed = Counting(Mixture(model.counts.experts, fixed_gate(model.counts.experts, networks)))
    return [fixed], [
        f"{alike:,} tokens stand in the held-out part as well, on which the model's weights for counts were fitted: "
        "fixed ones instead"
    ]


def held_out_part(model: "Opened", lines: bool) -> Part | None:
    """What the gates were fitted on, as a text is read; None where nothing was held out."""
    split = split_at_hand(model)
    if not split.has("valid"):
        return None
    text = HeldOut(split, "valid", any_bytes=model.tokenizer.any_bytes).read()
    return encode_scored(model.tokenizer, text, model.documents, lines=lines, unknown=True)
