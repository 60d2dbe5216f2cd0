"""What stands between the model's logits and the draw: masks, penalties, temperature, and filters of the unlikely.

A new one is a class in a file here, with its options, and a place in `PROCESSORS`, whose order is that of the chain;
everything else (field, flag, keyword, check, laws) is made of these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from charrnn.generation.processors.base import DROPPED, Processor, log_sums, relative_probabilities
from charrnn.generation.processors.characters import Allow, Ban, refuse_what_leaves_nothing
from charrnn.generation.processors.match import Match
from charrnn.generation.processors.penalties import FrequencyPenalty, PresencePenalty, RepetitionPenalty
from charrnn.generation.processors.surprise import Surprise
from charrnn.generation.processors.temperature import Temperature
from charrnn.generation.processors.truncation import Eta, MinP, TopK, TopP, TypicalP

if TYPE_CHECKING:
    from charrnn.generation.config import SampleConfig
    from charrnn.text.tokenizers import Tokenizer

__all__ = [
    "DROPPED", "PROCESSORS", "Allow", "Ban", "Eta", "FrequencyPenalty", "Match", "MinP", "PresencePenalty", "Processor",
    "RepetitionPenalty", "Surprise", "Temperature", "TopK", "TopP", "TypicalP", "compose", "log_sums",
    "relative_probabilities",
]  # fmt: skip

# In the order that users of the field know: what may not come at all, penalties, temperature, filters.
PROCESSORS: tuple[type[Processor], ...] = (
    Allow, Ban, Match, RepetitionPenalty, FrequencyPenalty, PresencePenalty, Temperature, TopK, TopP, MinP, TypicalP,
    Eta, Surprise,
)  # fmt: skip


def compose(config: SampleConfig, tokenizer: Tokenizer) -> list[Processor]:
    """The chain of this sampling, in order; what is off is left out."""
    built = (processor.build(config, tokenizer) for processor in PROCESSORS)
    chain = [processor for processor in built if processor is not None]
    refuse_what_leaves_nothing(chain)
    return chain
