"""Follow a training: show its events as they come, and let Ctrl-C or SIGTERM end it with everything saved."""

import os
import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from charrnn.api import Training
from charrnn.api.logs import logged
from charrnn.config.launch import launched
from charrnn.console import say, warn, write
from charrnn.console.display import TrainingDisplay
from charrnn.schema import to_json_text
from charrnn.storage.runs import checkpoints_folder
from charrnn.training.events import Report, Stopped


def follow(training: Training, *, json_lines: bool, log: str | None = None) -> str:
    """Run to the end and return the reason for it."""
    reason = "done"
    with _stopping(training), TrainingDisplay() as display, logged(log, training) as hear:
        for event in training:
            display.show(event)
            hear(event)
            match event:
                case Report() if json_lines:
                    write(to_json_text(event.to_json()) + "\n")
                case Stopped(why):
                    reason = why
    return reason


def farewell(training: Training, reason: str, checkpoints: Path | None, *, bare: bool = False) -> None:
    """Where the model is, what it reached, and what to do next; `bare`: its figure alone, on stdout."""
    run, progress = training.run, training.progress
    where = f" --checkpoints {shlex.quote(str(checkpoints))}" if checkpoints else ""
    if reason == "interrupted":
        go_on = f"charrnn train --resume --name {shlex.quote(run.name)}{where}"
        warn(f"stopped at step {progress.position.step:,} and saved; to go on:", go_on)
        return
    if bare:
        write(f"{training.best_bpc!r}\n")
    if reason == "no improvement":
        # Beside counts the weights of the end may be the best all the same.
        since = f" since step {progress.best.step:,}" if progress.best.step < progress.position.step else ""
        say(f"stopped early: no better validation{since}")
    if training.validates and progress.best.loss is not None:
        best, steps = progress.best, progress.position.step
        say(f"best at step {best.step:,} of {steps:,}: {best.loss:.4f} nats per token")
        if best.stale:
            warn("from there on it learned its text by heart (overfitting): more text, --dropout or less --for help")
    say(f"saved in {run.folder}: model.safetensors, curve.svg, metrics.jsonl")
    model = f" -m {shlex.quote(run.name)}" if run.folder.parent == checkpoints_folder(checkpoints) else ""
    new = " -n 20 --novel" if training.documents == "lines" else ""
    say("next:", f"charrnn sample{model}{new}{where}")


@contextmanager
def _stopping(training: Training) -> Iterator[None]:
    """The first signal ends the run after its step; the second leaves at once.

    A launcher of several processes hands every signal on, and leaves by itself those that take too long.
    """
    asking = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGUSR1"):  # which Slurm sends some time before it ends a job
        asking.append(signal.SIGUSR1)

    def ask(number: int, frame: FrameType | None) -> None:
        training.stop()
        warn("stopping after this step" + ("" if launched() else "; once more leaves at once"))
        for each in asking:
            signal.signal(each, signal.SIG_IGN if launched() else leave)

    def leave(number: int, frame: FrameType | None) -> None:
        os._exit(128 + number)

    before = {each: signal.signal(each, ask) for each in asking}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
