"""The events of a training where others draw them: TensorBoard, Weights & Biases; loaded where they are asked for."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from charrnn.config import launch
from charrnn.errors import CharrnnError

if TYPE_CHECKING:
    from charrnn.api.training import Training
    from charrnn.training.events import Event, Report

Listener = Callable[["Event"], None]


def require_installed(log: str | None) -> None:
    """Raises CharrnnError where the package that draws is not there."""
    if log is not None and find_spec(log) is None:
        raise CharrnnError(f"`log` {log} is an extra: pip install 'charrnn[{log}]'")


@contextmanager
def logged(log: str | None, training: "Training") -> Iterator[Listener]:
    """What every event is to be told to, whoever draws it: 'tensorboard', 'wandb', or None."""
    if log is None or launch.rank():
        yield lambda event: None
        return
    with LOGS[log](training) as hear:
        yield hear


def numbers(report: "Report") -> dict[str, float]:
    """What is drawn of a report, in two groups, and how far a step moved each part of the network."""
    found = {
        "train/loss": report.loss, "train/bpc": report.bpc, "train/lr": report.lr, "train/grad_norm": report.grad_norm,
        "train/clipped": report.clipped, "train/epoch": report.epoch,
        "train/tokens_per_second": report.tokens_per_second,
    }  # fmt: skip
    valid = {"valid/loss": report.valid_loss, "valid/bpc": report.valid_bpc}
    found |= {name: value for name, value in valid.items() if value is not None}
    return found | {f"updates/{part}": moved for part, moved in (report.updates or {}).items()}


def tensorboard_folder(training: "Training") -> Path:
    """Where TensorBoard finds all runs of a folder."""
    return training.run.folder.parent / "tensorboard"


@contextmanager
def _tensorboard(training: "Training") -> Iterator[Listener]:
    from torch.utils.tensorboard import SummaryWriter

    from charrnn.training.events import Report

    # What was drawn of steps that a resumed run takes again is to go.
    step = training.progress.position.step or None
    folder = tensorboard_folder(training) / training.run.name
    with SummaryWriter(str(folder), purge_step=step) as writer:

        def hear(event: "Event") -> None:
            if isinstance(event, Report):
                for name, value in numbers(event).items():
                    writer.add_scalar(name, value, event.step)
                if event.sample:
                    text = "\n".join(f"    {line}" for line in event.sample.splitlines())  # as Markdown has it
                    writer.add_text("sample", text, event.step)

        yield hear


@contextmanager
def _wandb(training: "Training") -> Iterator[Listener]:
    import wandb

    from charrnn.training.events import Report

    project = os.environ.get("WANDB_PROJECT", "charrnn")
    with wandb.init(project=project, name=training.run.name, config=training.options) as run:

        def hear(event: "Event") -> None:
            if isinstance(event, Report):
                run.log({**numbers(event), **({"sample": event.sample} if event.sample else {})}, step=event.step)

        yield hear


LOGS: "dict[str, Callable[[Training], AbstractContextManager[Listener]]]" = {
    "tensorboard": _tensorboard,
    "wandb": _wandb,
}
