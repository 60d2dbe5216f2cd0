"""One training with all of it decided: what `training/plan.py` makes of the options, the corpus and the time."""

from dataclasses import dataclass, field

from charrnn.config.fields import Config, require, same_as, within
from charrnn.config.options import ONE_BUDGET, TrainOptions


@dataclass(frozen=True, kw_only=True)
class TrainConfig(Config):
    """One training, all of it decided. Periods are counted in steps; None is off.

    Exactly one of `steps`, `epochs` and `seconds` is the budget; over its last share `average`, weights are averaged
    and the learning rate falls less far. Left without `eval_every`, validation comes `evaluations` times, evenly over
    the budget; it reads the first `validated` tokens of the held-out part.
    """

    seed: int = field(metadata=same_as(TrainOptions, "seed"))
    steps: int | None = field(default=None, metadata=same_as(TrainOptions, "steps"))
    epochs: float | None = field(default=None, metadata=same_as(TrainOptions, "epochs"))
    seconds: float | None = field(default=None, metadata=same_as(TrainOptions, "seconds"))
    bptt: int = field(default=64, metadata=same_as(TrainOptions, "bptt"))
    batch_size: int = field(default=32, metadata=same_as(TrainOptions, "batch_size"))
    lr: float = field(default=8e-3, metadata=same_as(TrainOptions, "lr"))
    warmup: float = field(default=0.03, metadata=within(at_least=0, below=1))
    optimizer: str = field(default="soap", metadata=same_as(TrainOptions, "optimizer"))
    average: float | None = field(default=None, metadata=within(above=0, below=1))
    weight_decay: float = field(default=0.01, metadata=same_as(TrainOptions, "weight_decay"))
    clip: float | None = field(default=1.0, metadata=within(above=0))
    clip_value: float | None = field(default=None, metadata=same_as(TrainOptions, "clip_value"))
    stream: bool = field(default=False, metadata=same_as(TrainOptions, "stream"))
    shuffle: bool = field(default=False, metadata=same_as(TrainOptions, "shuffle"))
    teacher: str | None = field(default=None, metadata=same_as(TrainOptions, "teacher"))
    state_drop: float = field(default=0.02, metadata=within(at_least=0, below=1))
    eval_every: int | None = field(default=None, metadata=same_as(TrainOptions, "eval_every"))
    evaluations: int = field(default=15, metadata=within(at_least=1))
    validated: int = field(default=1 << 17, metadata=within(at_least=1))
    save_every: int | str | None = field(default=None, metadata=same_as(TrainOptions, "save_every"))
    keep_every: int | None = field(default=None, metadata=same_as(TrainOptions, "keep_every"))
    report_every: int = field(default=10, metadata=within(at_least=1))
    counts: bool = field(default=True, metadata=same_as(TrainOptions, "counts"))
    patience: int | None = field(default=5, metadata=same_as(TrainOptions, "patience"))
    precision: str = field(default="fp32", metadata=same_as(TrainOptions, "precision"))

    def __post_init__(self) -> None:
        super().__post_init__()
        budgets = [budget for budget in (self.steps, self.epochs, self.seconds) if budget is not None]
        require(len(budgets) == 1, ONE_BUDGET)
