"""Counts of the training text beside a network: made when a training ends, and kept where they help.

Shapes: N tokens, V symbols.
"""

import math
import time
from dataclasses import dataclass, replace

from charrnn.config import TrainConfig
from charrnn.models.counts import Experts
from charrnn.models.counts.kept import KeptCounts
from charrnn.models.counts.level import MOST_IDS
from charrnn.models.ensemble import Network
from charrnn.scoring.counts import MOST_READ, Fitted, fit_gates
from charrnn.storage.header import CountsSummary
from charrnn.text.dataset import Dataset
from charrnn.text.letters import letters_of
from charrnn.text.part import Part
from charrnn.training.plan import VALIDATION_CHUNKS
from charrnn.training.time_budget import AtEnd

# Tokens of a training text that are counted, at its end; of a time budget, counting takes no more than this share.
MOST_COUNTED, MOST_SHARE = 1 << 22, 0.05
# Tokens that are counted in a second, and those that gates are fitted to, beside reading them, about.
COUNTED_A_SECOND, FITTED_A_SECOND = 8e5, 4e4
# Nats a token that counts must save to be kept.
WORTH = 1e-3


@dataclass(frozen=True, eq=False)
class Counted:
    """Counts that were tried: what they save, where that could be measured, and of how much text they are."""

    found: Fitted
    tokens: int
    seconds: float

    @property
    def counts(self) -> KeptCounts:
        """The counts and their gates."""
        return self.found.counts

    @property
    def help(self) -> bool:
        """Whether they are worth their place; where nothing was held out, that is taken for granted."""
        alone, both = self.found.alone, self.found.both
        return alone is None or both is None or alone - both >= WORTH

    @property
    def loss(self) -> float:
        """Nats a token of the held-out part by the model that is kept; not a number where nothing was held out."""
        found = self.found.both if self.help else self.found.alone
        return math.nan if found is None else found

    @property
    def summary(self) -> CountsSummary:
        """What the model's file says of them."""
        size = self.counts.experts.nbytes
        return CountsSummary(tokens=self.tokens, bytes=size, alone=self.found.alone, loss=self.found.both)

    def told(self, bits: float, whole: int) -> str:
        """All this in a line; `bits` per character are so many nats per token, `whole` tokens were there."""
        text = "the training text" if self.tokens == whole else f"the last {self.tokens:,} tokens of the training text"
        made = f"counts of {text} ({self.counts.experts.nbytes / 1e6:.1f} MB, {self.seconds:.1f} s)"
        alone, both = self.found.alone, self.found.both
        if alone is None or both is None:
            return f"{made}: kept beside the network, by fixed weights"
        found = f"{both * bits:.3f} bits per character, {alone * bits:.3f} by the network alone"
        return f"{made}: {found}" if self.help else f"{made} would bring nothing ({found}): left out"


def wanted(config: TrainConfig, data: Dataset, *, bidirectional: bool) -> bool:
    """Whether counts are to be tried: not where they are not wanted, nor beside a network of two directions."""
    return config.counts and not bidirectional and data.tokenizer.size + 1 < MOST_IDS and data.train.tokens.size > 0


def to_count(config: TrainConfig, data: Dataset) -> int:
    """How many tokens there is time for."""
    most = MOST_COUNTED if config.seconds is None else int(MOST_SHARE * config.seconds * COUNTED_A_SECOND)
    return min(data.train.tokens.size, MOST_COUNTED, most)


def at_the_end(config: TrainConfig, data: Dataset) -> AtEnd:
    """How long it will take, about."""
    fitted = 0 if data.valid is None else min(data.valid.tokens.size, MOST_READ)
    return AtEnd(to_count(config, data) / COUNTED_A_SECOND + fitted / FITTED_A_SECOND, fitted / config.validated)


def count(network: Network, config: TrainConfig, data: Dataset) -> Counted:
    """Counts of the training text, and gates fitted on the held-out part."""
    began, start_id = time.monotonic(), network.config.start_id
    learned: Part = data.train.end(to_count(config, data))
    experts = Experts.count(learned.tokens, start_id, learned.starts, letters_of(data.tokenizer))
    found = fit_gates(network, experts, data.valid, VALIDATION_CHUNKS)
    return Counted(found, learned.tokens.size, time.monotonic() - began)


def beside(network: Network, counted: Counted, data: Dataset) -> Counted:
    """The same counts beside another network, with gates of its own."""
    began = time.monotonic()
    found = fit_gates(network, counted.counts.experts, data.valid, VALIDATION_CHUNKS)
    return replace(counted, found=found, seconds=counted.seconds + time.monotonic() - began)
