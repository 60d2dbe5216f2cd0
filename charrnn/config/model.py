"""What a network is: cell, sizes, and what stands between its layers."""

import dataclasses
from dataclasses import dataclass, field
from typing import Self

from charrnn.config.fields import Config, require, same_as, within
from charrnn.config.options import TrainOptions


@dataclass(frozen=True, kw_only=True)
class ModelConfig(Config):
    """The network. Token ids 0 … start_id - 1 are text, `start_id` is the context of a first token.

    A model of one stream predicts `start_id` symbols. A model of documents predicts one more: the same id, met
    as a target, is the end of a document. More than one in `ensemble` are: as many networks, alike but for
    their weights, whose probabilities are averaged.
    """

    vocab_size: int
    start_id: int = field(metadata=within(at_least=1))
    cell: str = "lstm"
    embedding: int = field(default=128, metadata=same_as(TrainOptions, "embedding"))
    hidden: int = field(default=256, metadata=same_as(TrainOptions, "hidden"))
    layers: int = field(default=2, metadata=same_as(TrainOptions, "layers"))
    dropout: float | None = field(default=None, metadata=within(above=0, below=1))
    weight_drop: float | None = field(default=None, metadata=within(above=0, below=1))
    tie: bool = False
    skip: str | None = None
    norm: bool = False
    bidirectional: bool = False
    ensemble: int = field(default=1, metadata=same_as(TrainOptions, "ensemble"))

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.vocab_size in (self.start_id, self.start_id + 1),
            f"`vocab_size` must be `start_id` or one more, not {self.vocab_size} beside {self.start_id}",
        )
        require(
            not self.tie or self.embedding == self.hidden,
            f"tied embeddings need `embedding` = `hidden`, not {self.embedding} and {self.hidden}",
        )
        require(
            not (self.tie and self.skip == "dense"),
            "a head that reads all layers is no embedding: leave out one of `tie` and `skip='dense'`",
        )

    @property
    def size(self) -> str:
        """Cell, layers and width: 'lstm 2 x 384'."""
        return f"{self.cell} {self.layers} x {self.hidden}"

    def titled(self, name: str) -> str:
        """A run's name and what its network is, each once: 'fables: lstm 2 x 384'; of a run called lstm, the size."""
        return self.size if name.lower() in (self.cell, self.size) else f"{name}: {self.size}"

    @property
    def manner(self) -> str:
        """In words, what is not plain about how the layers stand: ', tied embeddings, residual', or nothing."""
        said = {
            "tied embeddings": self.tie,
            f"{self.skip}": self.skip is not None,
            "layer norm between layers": self.norm,
            "both directions": self.bidirectional,
            f"{self.ensemble} such networks averaged": self.ensemble > 1,
        }
        return "".join(f", {words}" for words, holds in said.items() if holds)

    @property
    def single(self) -> Self:
        """Each network of an ensemble by itself."""
        return dataclasses.replace(self, ensemble=1)

    @property
    def documents(self) -> bool:
        """Whether the model knows the end of a document."""
        return self.vocab_size > self.start_id
