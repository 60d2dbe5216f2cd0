"""A model file that was read: what there is before anything is done with it."""

import math
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import PurePath
from typing import TYPE_CHECKING

import numpy as np

from charrnn.api.source import Source
from charrnn.config import ModelConfig
from charrnn.inference.base import Engine
from charrnn.inference.counted import beside_counts
from charrnn.inference.counting import Counting
from charrnn.inference.engine import open_engine
from charrnn.inference.formats import INT8
from charrnn.markup import table
from charrnn.models.counts.kept import KeptCounts
from charrnn.models.weights import require_bounded
from charrnn.storage import checkpoint, runs
from charrnn.storage.checkpoint import Header, Weights
from charrnn.storage.digest import digest
from charrnn.text.tokenizers import Tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable

    from charrnn.models.ensemble import Network, Predictor
    from charrnn.text.copy_index import CopyIndex
    from charrnn.text.part import Part

# Generation reads weights in 8 bits where that costs fewer bits per character than this.
MOST_LOST_TO_INT8 = 0.003


@dataclass(frozen=True, eq=False, repr=False)
class Opened(Source):
    """What was read from a model file: weights, tokenizer, and what its header says.

    Models are equal when their configuration, their tokenizer and every weight are.
    """

    weights: Weights
    tokenizer: Tokenizer
    header: Header
    device: str = "cpu"
    counts: KeptCounts | None = None
    """What it has counted of its training text beside the network; None where it has not, or they are left out."""

    def __repr__(self) -> str:
        """<Model fables: lstm 2 x 384, 74 characters, 1.739 bpc>"""
        config, loss, unit = self.config, self.header.summary.get("loss"), self.tokenizer.unit
        figure = ""
        if isinstance(loss, float):
            # A token is a character only where nothing but characters is predicted.
            name = "bpc" if unit == "characters" and not config.documents else "bits per token"
            figure = f", {loss / math.log(2):.3f} {name}"
        return f"<Model {config.titled(self.name)}{config.manner}, {self.tokenizer.size:,} {unit}{figure}>"

    def _repr_html_(self) -> str:
        """For a notebook: what it is, and what is known of it."""
        loss, counts = self.header.summary.get("loss"), self.header.counts
        facts = {
            "network": f"{self.config.size}{self.config.manner}, {self.header.parameters:,} weights",
            "symbols": f"{self.tokenizer.size:,} {self.tokenizer.unit}",
            "text": ", ".join(PurePath(source).name for source in self.header.summary.get("corpus", ())) or "not told",
            "loss": "not measured" if loss is None else f"{loss:.4f} nats, {loss / math.log(2):.4f} bits per token",
            "counts": "none" if self.counts is None or counts is None else f"of {counts.tokens:,} tokens",
        }
        return table(f"charrnn model {self.name}", facts)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Opened):
            return NotImplemented
        return (
            self.config == other.config
            and self.tokenizer.spec() == other.tokenizer.spec()
            and self.weights.keys() == other.weights.keys()
            and all(np.array_equal(weight, other.weights[name]) for name, weight in self.weights.items())
            and (self.counts is None) == (other.counts is None)
            and (self.counts is None or self.digest == other.digest)
        )

    def __hash__(self) -> int:
        return hash(self.config)

    @property
    def name(self) -> str:
        """The run's name; of a file elsewhere, the file's."""
        path = self.header.path.absolute()
        run = runs.Run(path.parent)
        return run.name if path in (run.model, run.resume) else path.stem

    @property
    def config(self) -> ModelConfig:
        """The network: cell, layers, sizes."""
        return self.header.config

    @cached_property
    def network(self) -> "Network":
        """The network in torch. Raises ConfigError when the machine lacks the device."""
        import torch

        from charrnn.machine import pick_device

        tensors = {name: torch.from_numpy(weight) for name, weight in self.weights.items()}
        return checkpoint.build_network(self.header, tensors).to(pick_device(self.device))

    @cached_property
    def counting(self) -> Counting | None:
        """The counts at work beside a network, by a gate for any text."""
        return None if self.counts is None else Counting(self.counts.mixture)

    @cached_property
    def held_out_part(self) -> "Callable[[bool], Part | None]":
        """What its gates for counts were fitted on, by lines or not: read once, however many texts are scored."""
        from charrnn.api.counts import held_out_part

        return cache(lambda lines: held_out_part(self, lines))

    @cached_property
    def predictor(self) -> "Predictor":
        """What the model holds likely: the network in torch, beside its counts where it has such."""
        from charrnn.scoring.counted import Counted

        return self.network if self.counting is None else Counted(self.network, [self.counting])

    @property
    def precision(self) -> str:
        """In what numbers it generates, unless told: int8 where the end of its training measured that this is safe."""
        lost = self.header.summary.get("int8_bpc")
        return "int8" if isinstance(lost, float) and lost < MOST_LOST_TO_INT8 else "fp32"

    @cached_property
    def digest(self) -> str:
        """What the model is, in one number: SHA-256 of configuration, tokenizer, weights and counts, in hexadecimal."""
        return digest(self.config, self.tokenizer, self.weights, self.counts)

    @property
    def title(self) -> str:
        """Its file, and which direction writes, where it has two."""
        direction = ", the direction that reads forwards" if self.config.bidirectional else ""
        return f"{self.header.path}{direction}"

    @property
    def opened(self) -> "tuple[Opened, ...]":
        """Itself."""
        return (self,)

    def open_engine(self, precision: str) -> Engine:
        """What reads one token after another. Raises ConfigError where that cannot be done in these numbers."""
        if precision == INT8:
            require_bounded(self.config)
        return beside_counts(open_engine(self.config, self.weights, precision), self.counting)

    @property
    def documents(self) -> str:
        """How its training text was told apart: stream, lines or paragraphs."""
        return self.header.documents

    @cached_property
    def copy_index(self) -> "CopyIndex":
        """The text that it has learned from, to look in for copies: made once, and kept in its run's folder.

        `model.copy_index.longest_copy(text)` is the longest span of a text that stands in it. Raises CorpusError
        where the training text cannot be read as it was, CheckpointError where the model does not say what it is.
        """
        from charrnn.api.copies import copy_index

        return copy_index(self)
