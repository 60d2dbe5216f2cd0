"""What a model and a training are: frozen records with their ranges (of a sampling: generation/config.py).

No torch here: the command line reads its defaults from these classes.
"""

import dataclasses
import math
import secrets
from dataclasses import dataclass
from typing import Self

from charrnn.errors import ConfigError
from charrnn.schema import Schema

# torch's generator takes 32 bits of a seed and ignores the rest.
SEEDS = 2**32


def require(holds: bool, message: str) -> None:
    """Raise ConfigError with this message unless the condition holds (NaN never does)."""
    if not holds:
        raise ConfigError(message)


def draw_seed() -> int:
    """A fresh seed, small enough to be typed."""
    return secrets.randbelow(2**31)


def _finite(value: float) -> bool:
    """Also for an integer beyond all floats, as JSON may hold one."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


@dataclass(frozen=True, kw_only=True)
class ModelConfig(Schema):
    """The network. Token ids 0 … start_id - 1 are text, `start_id` is the context of a first token.

    A model of one stream predicts `start_id` symbols. A model of documents predicts one more: the same id, met
    as a target, is the end of a document. More than one in `ensemble` are: as many networks, alike but for
    their weights, whose probabilities are averaged.
    """

    vocab_size: int
    start_id: int
    cell: str = "lstm"
    embedding: int = 128
    hidden: int = 256
    layers: int = 2
    dropout: float | None = None
    weight_drop: float | None = None
    tie: bool = False
    skip: str | None = None
    norm: bool = False
    bidirectional: bool = False
    ensemble: int = 1

    def __post_init__(self) -> None:
        require(self.start_id >= 1, f"start_id must be at least 1, not {self.start_id}")
        require(
            self.vocab_size in (self.start_id, self.start_id + 1),
            f"vocab_size must be start_id or one more, not {self.vocab_size} beside {self.start_id}",
        )
        for name in ("embedding", "hidden", "layers", "ensemble"):
            require(getattr(self, name) >= 1, f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("dropout", "weight_drop"):
            share = getattr(self, name)
            require(
                share is None or 0 < share < 1,
                f"{name.replace('_', '-')} must lie between 0 and 1, not {share}; leave it out for none",
            )
        require(
            not self.tie or self.embedding == self.hidden,
            f"tied embeddings need embedding = hidden, not {self.embedding} and {self.hidden}",
        )
        require(
            not (self.tie and self.skip == "dense"),
            "a head that reads all layers is no embedding: leave out one of tied embeddings and dense skips",
        )

    @property
    def size(self) -> str:
        """Cell, layers and width: 'lstm 2 x 384'."""
        return f"{self.cell} {self.layers} x {self.hidden}"

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


@dataclass(frozen=True, kw_only=True)
class TrainConfig(Schema):
    """One training, all of it decided. Periods are counted in steps; None is off.

    Exactly one of `steps`, `epochs` and `seconds` is the budget; over its last share `average`, weights are averaged
    and the learning rate falls less far. Left without `eval_every`, validation comes `evaluations` times, evenly over
    the budget; it reads the first `validated` tokens of the held-out part.
    """

    seed: int
    steps: int | None = None
    epochs: float | None = None
    seconds: float | None = None
    bptt: int = 64
    batch_size: int = 32
    lr: float = 8e-3
    warmup: float = 0.03
    optimizer: str = "soap"
    average: float | None = None
    weight_decay: float = 0.01
    clip: float | None = 1.0
    clip_value: float | None = None
    state_drop: float = 0.02
    eval_every: int | None = None
    evaluations: int = 15
    validated: int = 1 << 17
    save_every: int | None = None
    report_every: int = 10
    patience: int | None = 5
    precision: str = "fp32"

    def __post_init__(self) -> None:
        budgets = [b for b in (self.steps, self.epochs, self.seconds) if b is not None]
        require(len(budgets) == 1, "give one of --for, --steps and --epochs")
        require(_finite(budgets[0]) and budgets[0] > 0, f"a budget must be positive, not {budgets[0]}")
        counts = (
            "bptt",
            "batch_size",
            "eval_every",
            "evaluations",
            "validated",
            "save_every",
            "report_every",
            "patience",
        )
        for name in counts:
            value = getattr(self, name)
            require(value is None or value >= 1, f"{name.replace('_', '-')} must be at least 1, not {value}")
        for name in ("lr", "clip", "clip_value"):
            value = getattr(self, name)
            require(
                value is None or (value > 0 and _finite(value)),
                f"{name.replace('_', '-')} must be positive, not {value}",
            )
        require(0 <= self.warmup < 1, f"warmup must lie in [0, 1), not {self.warmup}")
        require(
            self.average is None or 0 < self.average < 1,
            f"average must lie between 0 and 1, not {self.average}; leave it out for none",
        )
        require(0 <= self.weight_decay < 1, f"weight-decay must lie in [0, 1), not {self.weight_decay}")
        require(0 <= self.state_drop < 1, f"state-drop must lie in [0, 1), not {self.state_drop}")
        require(0 <= self.seed < SEEDS, f"seed must lie between 0 and 2^32 - 1, not {self.seed}")


@dataclass(frozen=True, kw_only=True)
class TrainOptions(Schema):
    """What a user asked of a training. None is left open: corpus and time decide it (`training/budget.py`).

    `valid` and `test` are a share of the corpus or a file; `start_from` is a trained model to go on from.
    """

    corpus: tuple[str, ...] = ("fables",)
    name: str | None = None
    start_from: str | None = None
    tokenizer: str | None = None
    vocab_size: int | None = None
    documents: str | None = None
    valid: float | str | None = None
    test: float | str | None = None
    cell: str | None = None
    layers: int | None = None
    hidden: int | None = None
    embedding: int | None = None
    tie: bool | None = None
    skip: str | None = None
    norm: bool | None = None
    bidirectional: bool | None = None
    ensemble: int | None = None
    spectral_radius: float | None = None
    dropout: float | None = None
    weight_drop: float | None = None
    weight_decay: float | None = None
    optimizer: str | None = None
    average: float | None = None
    bptt: int | None = None
    batch_size: int | None = None
    lr: float | None = None
    clip: float | None = 1.0
    clip_value: float | None = None
    patience: int | None = 5
    steps: int | None = None
    epochs: float | None = None
    seconds: float | None = None
    eval_every: int | None = None
    save_every: int | None = None
    seed: int | None = None
    precision: str | None = None
    device: str | None = None
    threads: int | None = None
    tune: bool = True

    def __post_init__(self) -> None:
        budgets = [b for b in (self.steps, self.epochs, self.seconds) if b is not None]
        require(len(budgets) <= 1, "give one of --for, --steps and --epochs")
        require(
            self.documents in (None, "stream", "lines", "paragraphs"), "documents must be stream, lines or paragraphs"
        )
        for name in ("valid", "test"):
            share = getattr(self, name)
            require(
                not isinstance(share, float | int) or 0 < share < 1,
                f"{name} must be a file or a share between 0 and 1, not {share}",
            )
