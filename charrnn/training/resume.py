"""Go on exactly where a run stopped, with the budget that it has or a new one, its text where it was or moved."""

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path

from charrnn import machine as precision
from charrnn.config import TrainConfig, require
from charrnn.config.durations import format_duration
from charrnn.errors import CorpusError, RunError
from charrnn.machine import Machine
from charrnn.storage import checkpoint, runs
from charrnn.storage.header import Header
from charrnn.storage.lock import HeldElsewhere, Lock
from charrnn.storage.runs import Run
from charrnn.storage.texts import at_hand, whole_path
from charrnn.text.corpus import Corpus
from charrnn.text.dataset import build
from charrnn.text.kept_tokens import KeptTokens
from charrnn.text.sources import STDIN, read_once
from charrnn.text.split import Split
from charrnn.text.token_files import Tokens
from charrnn.text.tokenizers import Tokenizer
from charrnn.training import resume_file
from charrnn.training.progress import Progress
from charrnn.training.recording import Training, moved
from charrnn.training.resume_file import ResumeRecord
from charrnn.training.run import assemble
from charrnn.training.streaming import encoded
from charrnn.training.time_budget import with_new_budget
from charrnn.training.world import ALONE, World


def resume(
    name: str | None = None,
    *,
    corpus: tuple[str, ...] | None = None,
    checkpoints: Path | None = None,
    device: str | None = None,
    threads: int | None = None,
    steps: int | None = None,
    epochs: float | None = None,
    seconds: float | None = None,
    more: float | None = None,
    world: World = ALONE,
) -> Training:
    """Go on exactly where a run stopped, with a new budget where one is given; `more` seconds are added to those spent.

    `corpus` is where its text is now; of a `world` the first process alone writes. Raises RunError when there is
    nothing to resume, the budget is spent or another process trains the run, CorpusError when the corpus has changed
    or is not there.
    """
    folder = runs.checkpoints_folder(checkpoints)
    _refuse_a_run(corpus, folder)
    run = runs.latest(folder) if name is None else runs.find(folder, name)
    if not run.resume.exists():
        raise RunError(f"{run.folder} has no {run.resume.name}: it cannot be resumed, only sampled from")
    lock = Lock(run.folder) if world.rank == 0 else HeldElsewhere(run.folder)
    try:
        if world.rank == 0:
            run.tidy(tokens=world.size == 1)  # others may be making theirs
        header, tensors, record = resume_file.read(run)
        progress, config, split = record.progress, record.train, at_hand(record.split, run.folder)
        tokenizer = checkpoint.tokenizer_of(header)
        kept_in = Path(record.cache) if record.cache else run.folder
        coming, corpus = (_coming(run, corpus, tokenizer), None) if config.stream else (None, corpus)
        text = _text_of(run, split, corpus, tokenizer, kept_in, threads or record.threads)
        if corpus is not None and world.rank == 0:
            split = moved(run, split, text)
        renewed = (steps, epochs, seconds, more) != (None,) * 4
        if renewed:
            config, progress = _with_new_budget(config, progress, steps, epochs, seconds, more)
        _refuse_complete(run, progress, moved=corpus is not None)
        machine = _machine(record, device, threads)
        data = dataclasses.replace(build(text, split, tokenizer=tokenizer, folder=kept_in), coming=coming)
        network, _ = checkpoint.build_model(header, tensors)
        notes = [f"resumed: {run.name} at step {progress.position.step:,}", *_changed(header, config, machine)]
        config = dataclasses.replace(config, precision=machine.precision)
        training = assemble(run, network.to(machine.device), config, data, machine, notes, lock, world=world)
        resume_file.restore(training.trainer, header, tensors, progress)
        if renewed:
            _refuse_spent(training)
        training.earlier += [event for event in run.read_metrics() if event["step"] <= progress.position.step]
        return training
    except BaseException:
        lock.release()
        raise


def _machine(record: ResumeRecord, device: str | None, threads: int | None) -> Machine:
    """As the run began, but for what is asked, and for fp16 where there is no GPU to compute in it."""
    numbers: str | None = record.train.precision
    if numbers == "fp16" and precision.pick_device(device).type != "cuda":
        numbers = None
    adaptive = threads is None and record.adaptive
    return precision.choose(device, numbers, threads or record.threads, tune=record.tune, adaptive=adaptive)


def _changed(header: Header, config: TrainConfig, machine: Machine) -> Iterator[str]:
    """What is not as the run began."""
    if machine.precision != config.precision:
        yield f"begun in {config.precision}, which needs a GPU: from here on {machine.precision}"
    if config.stream:
        yield "a stream is not read again: from the weights as saved, it learns from what comes now"
    if header.differences:
        yield f"begun by an older charrnn: from here on {', '.join(header.differences)}"


def _refuse_a_run(corpus: tuple[str, ...] | None, folder: Path) -> None:
    """A run's name where its text was asked for."""
    for source in corpus or ():
        if not Path(source).is_file() and Run(folder / source).exists:
            raise RunError(f"{source} is a run: it is named by `name`; a text beside `resume` is where its text is now")


def _refuse_complete(run: Run, progress: Progress, *, moved: bool) -> None:
    if progress.finished:
        told = "; where its text is now is remembered" if moved else ""
        raise RunError(
            f"the run {run.name} is complete after {progress.position.step:,} steps: `more` time, or `steps`, "
            f"`epochs` or `seconds` with more than that goes on{told}"
        )


def _coming(run: Run, corpus: tuple[str, ...] | None, tokenizer: Tokenizer) -> Iterator[Tokens]:
    """What a run that reads its text once learns from now. Raises RunError where that would have to be typed in."""
    if corpus is None and sys.stdin is not None and sys.stdin.isatty():
        raise RunError(f"the run {run.name} reads its text once: pipe in, or name, what it shall learn from now")
    return encoded(tokenizer, Corpus(list(corpus or [STDIN]), any_bytes=tokenizer.any_bytes).once())


def _text_of(
    run: Run, split: Split, corpus: tuple[str, ...] | None, tokenizer: Tokenizer, kept_in: Path, threads: int | None
) -> Corpus:
    """The text that a run began with, at its place or at a new one: the hash decides, where it must be read at all."""
    any_bytes = tokenizer.any_bytes
    if corpus is None and KeptTokens(kept_in, split, tokenizer).fresh:
        return Corpus(list(split.sources), any_bytes=any_bytes)
    require(
        not any(map(read_once, corpus or ())),
        "standard input and pipes can be read once, and `resume` reads its text twice: name a file",
    )
    try:
        sources = [whole_path(source) for source in corpus or split.sources]
        text = Corpus(sources, any_bytes=any_bytes, processes=precision.readers(threads))
        text.survey()
    except CorpusError as error:
        if corpus is not None or all(Path(source).exists() for source in split.sources if Path(source).is_absolute()):
            raise
        raise CorpusError(f"{error}; where it has moved, name its new place: `corpus` beside `resume`") from None
    if not split.is_of(text):
        which = "is not the text that" if corpus else "has changed since"
        pairs = zip(text.sources, text.statistics.hashes, split.hashes, strict=False)
        changed = [source for source, now, then in pairs if now != then] or text.sources
        raise CorpusError(f"{' '.join(changed[:3])} {which} the run {run.name} began with: it cannot go on exactly")
    return text


def _with_new_budget(
    config: TrainConfig,
    progress: Progress,
    steps: int | None,
    epochs: float | None,
    seconds: float | None,
    more: float | None,
) -> tuple[TrainConfig, Progress]:
    """A run that goes on, for longer or otherwise than it was meant to: its end and early stopping are open again."""
    if more is not None:
        seconds = progress.time.seconds + more
    opened = dataclasses.replace(
        progress,
        finished=False,
        best=dataclasses.replace(progress.best, stale=0),
        time=with_new_budget(progress.time, progress.position.step),
    )
    return dataclasses.replace(config, steps=steps, epochs=epochs, seconds=seconds), opened


def _refuse_spent(training: Training) -> None:
    """A budget is the whole run's: one that is behind already would end the run where it stands, and be kept."""
    config, trainer = training.trainer.config, training.trainer
    position, spent = trainer.position, trainer.time.spent.seconds
    epochs = trainer.epochs(position)
    for name, budget, so_far, behind in (
        ("steps", config.steps, position.step, f"{position.step:,} steps"),
        ("epochs", config.epochs, epochs, f"{epochs:.4g} epochs"),
        ("seconds", config.seconds, spent, format_duration(spent)),
    ):
        if budget is not None and budget <= so_far:
            raise RunError(
                f"{behind} of the run {training.run.name} are behind already: `{name}` counts from its beginning and "
                f"must be more than that; `more` counts from here"
            )
