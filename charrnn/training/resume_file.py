"""What training needs to go on, read back and checked: nothing in a damaged file may pass for what a run had."""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from charrnn.config import TrainConfig, TrainOptions, require
from charrnn.config.fields import Config, same_as
from charrnn.errors import CheckpointError
from charrnn.storage import checkpoint
from charrnn.storage.checkpoint import Header
from charrnn.storage.runs import Run
from charrnn.text.split import Split
from charrnn.training.loop import Trainer
from charrnn.training.progress import MOST_ROLLBACKS, Progress, Snapshot
from charrnn.training.state import memory_name

# No run of ours counts further, or lasts longer, in seconds.
MOST_COUNTED, LONGEST = 10**15, 10**12
SHORTEST_STEP = 1e-9


@dataclass(frozen=True, kw_only=True)
class ResumeRecord(Config):
    """Where a run stands, what it was told, what it reads; the machine's settings that it began with."""

    progress: Progress
    train: TrainConfig
    split: Split
    threads: int | None = dataclasses.field(default=None, metadata=same_as(TrainOptions, "threads"))
    tune: bool = True
    adaptive: bool = False
    cache: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        time, plan, rescue = self.progress.time, self.progress.time.plan, self.progress.rescue
        for name, count in _numbers(self.progress.to_json(), int):
            require(0 <= count <= MOST_COUNTED, f"{name} cannot be {count}")
        for name, seconds in _numbers(time.to_json(), float):
            require(-1 <= seconds <= LONGEST, f"{name} cannot be {seconds}")
        require(plan.total is None or plan.total > plan.step, f"total cannot be {plan.total} beyond step {plan.step}")
        require(0 <= plan.share <= 1, f"share cannot be {plan.share}")
        pace = plan.step_seconds
        require(pace is None or pace >= SHORTEST_STEP, f"step_seconds cannot be {pace}")
        require(0 <= rescue.lr_scale <= 1, f"lr_scale cannot be {rescue.lr_scale}")
        require(rescue.rollbacks <= MOST_ROLLBACKS, f"rollbacks cannot be {rescue.rollbacks}")


def read(run: Run) -> tuple[Header, dict[str, Tensor], ResumeRecord]:
    """A run's resume file. Raises CheckpointError where it is none, or damaged."""
    header, tensors = checkpoint.read(run.resume)
    if "resume" not in header.metadata:
        raise CheckpointError(f"{run.resume} is not a file to resume from")
    record = header.record(ResumeRecord, header.metadata["resume"])
    rows = record.train.batch_size
    memory = tensors.get(memory_name(0, 0, 0, 0))
    with header.told():
        # Before anything is made of that size.
        fitting = memory is not None and memory.shape[:1] == (rows,)
        require(fitting, f"batch_size is {rows}, and its tensors are not those of as many streams")
    return header, tensors, record


def restore(trainer: Trainer, header: Header, tensors: dict[str, Tensor], progress: Progress) -> None:
    """The trainer goes on from there. Raises CheckpointError where a tensor or the place is none of this run."""
    with header.told():
        place, windows = progress.position.index, trainer.streams.windows(progress.position.epoch)
        require(place < windows, f"index cannot be {place} in an epoch of {windows} windows")
        try:
            trainer.restore(Snapshot(progress, tensors))
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            raise CheckpointError(f"it lacks or distorts {error}") from None


def _numbers(record: Mapping[str, Any], kind: type) -> Iterator[tuple[str, Any]]:
    """Every number of this kind in a record and those within it, under its field's name."""
    for name, value in record.items():
        if isinstance(value, dict):
            yield from _numbers(value, kind)
        elif isinstance(value, kind) and not isinstance(value, bool):
            yield name, value
