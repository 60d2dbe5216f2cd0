"""What stands between the model's logits and the draw: masks, penalties, temperature, and filters of the unlikely.

A new one is a class in a file here, with its options, and a place in `PROCESSORS`, whose order is that of the chain;
everything else (field, flag, keyword, check, laws) is made of these.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from charrnn.config import require
from charrnn.generation.processors.base import DROPPED, Processor, log_sums, relative_probabilities, shift, without
from charrnn.generation.processors.characters import Allow, Ban, refuse_what_leaves_nothing
from charrnn.generation.processors.copies import MaxCopy
from charrnn.generation.processors.grammar import Grammar
from charrnn.generation.processors.match import Match
from charrnn.generation.processors.penalties import FrequencyPenalty, PresencePenalty, RepetitionPenalty
from charrnn.generation.processors.surprise import Surprise
from charrnn.generation.processors.temperature import Temperature
from charrnn.generation.processors.truncation import Eta, MinP, TopK, TopP, TypicalP

if TYPE_CHECKING:
    from charrnn.generation.config import SampleConfig
    from charrnn.text.copy_index import CopyIndex
    from charrnn.text.tokenizers import Tokenizer

__all__ = [
    "DROPPED", "PROCESSORS", "Allow", "Ban", "Eta", "FrequencyPenalty", "Grammar", "Match", "MaxCopy", "MinP",
    "PresencePenalty", "Processor", "RepetitionPenalty", "Surprise", "Temperature", "TopK", "TopP", "TypicalP",
    "compose", "log_sums", "relative_probabilities", "shift", "without",
]  # fmt: skip

# In the order that users of the field know: what may not come at all, penalties, temperature, filters.
MASKS: tuple[type[Processor], ...] = (Allow, Ban, Grammar, Match)
PROCESSORS: tuple[type[Processor], ...] = (
    *MASKS, RepetitionPenalty, FrequencyPenalty, PresencePenalty, Temperature, TopK, TopP, MinP, TypicalP, Eta,
    Surprise,
)  # fmt: skip


def compose(config: SampleConfig, tokenizer: Tokenizer, learned: Sequence[CopyIndex] = ()) -> list[Processor]:
    """The chain of this sampling, in order; what is off is left out.

    `learned` are the training texts that no more than `max_copy` characters are copied of: one more mask for each.
    """
    require(bool(learned) or config.max_copy is None, "`max_copy` needs an index of the training text")
    copies = [] if config.max_copy is None else [MaxCopy(index, config.max_copy, tokenizer) for index in learned]
    chain = [*_built(MASKS, config, tokenizer), *copies, *_built(PROCESSORS[len(MASKS) :], config, tokenizer)]
    refuse_what_leaves_nothing(chain)
    return chain


def _built(kinds: Iterable[type[Processor]], config: SampleConfig, tokenizer: Tokenizer) -> list[Processor]:
    chain = (kind.build(config, tokenizer) for kind in kinds)
    return [processor for processor in chain if processor is not None]
