"""One run under way, and what it leaves in its folder: metrics, model and resume files."""

import dataclasses
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from platform import python_version
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from charrnn import __version__
from charrnn.config import ModelConfig, TrainConfig
from charrnn.generation.config import SampleConfig
from charrnn.generation.loop import generate
from charrnn.inference.engine import open_engine
from charrnn.machine import PRECISIONS, Machine
from charrnn.machine.memory import told_when_short
from charrnn.models.ensemble import Network
from charrnn.models.weights import bounded
from charrnn.storage import checkpoint
from charrnn.storage.checkpoint import Header
from charrnn.storage.lock import Lock
from charrnn.storage.metrics import Metrics, write_metrics
from charrnn.storage.runs import Run
from charrnn.storage.texts import remembered
from charrnn.text.copies import TrainingLines, verdict, whole_lines
from charrnn.text.corpus import Corpus
from charrnn.text.dataset import Dataset
from charrnn.text.split import Split
from charrnn.training import counting
from charrnn.training.events import Event, Note, Report, Stopped
from charrnn.training.int8_check import arrays, int8_cost
from charrnn.training.loop import Trainer
from charrnn.training.progress import Best, Progress, Snapshot

# Tokens that 8 bits are measured on: fewer for a large network, for nobody shall be kept waiting at the end.
LEAST_MEASURED, MOST_MEASURED, PRODUCTS_MEASURED = 1 << 11, 1 << 14, 4e9
# What the best model is asked for at the end, to see what it copies: within so many seconds, as far as it gets.
JUDGED_SAMPLES, JUDGED_SECONDS = 50, 0.2
# The share of copied lines that is warned of.
MANY_COPIES = 0.3
SHOWN_SAMPLE = SampleConfig(temperature=0.8, length=160)


@dataclass
class Training:
    """One run under way: iterate `events`; `run.model` is then the best of it.

    `decided` says what was before the first step, a line each; `earlier` are the reports of a run that is gone on with.
    """

    run: Run
    trainer: Trainer
    data: Dataset
    decided: list[str]
    machine: Machine
    lock: Lock
    earlier: list[Metrics] = field(default_factory=list)
    # The last validation.
    _judged: Report | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """What will be done behind the last step is no time for steps."""
        if self._counts_wanted:
            self.trainer.time.at_end = counting.at_the_end(self.trainer.config, self.data)

    @property
    def _counts_wanted(self) -> bool:
        model = self.trainer.model.config
        return counting.wanted(self.trainer.config, self.data, bidirectional=model.bidirectional)

    @property
    def notes(self) -> list[str]:
        """What was decided, and where it is computed."""
        threads, size = self.machine.threads, self.trainer.world.size
        several = f"{size} processes train it together, {threads} thread{'s'[: threads > 1]} each"
        layer = self.trainer.model.models[0].directions[0].layers[0]
        steps = "steps compiled, " if layer.trains_compiled(PRECISIONS[self.machine.precision]) else ""
        machine = f"machine: {self.machine}, {steps}seed {self.trainer.config.seed}"
        return [*self.decided, machine, *[several] * (size > 1)]

    def events(self) -> Iterator[Event]:
        """Train; every report goes into metrics.jsonl as it comes. The end, or leaving it, lets others write.

        Of several processes the first alone writes. Raises DivergedError, and DeviceMemoryError where a GPU's memory
        does not suffice.
        """
        stays = "; this run stays as it was saved last: `resume` goes on once there is more"
        if self.trainer.world.rank:
            with told_when_short(stays):
                yield from self.trainer.run()
            self.trainer.world.leave()
            return
        shown = self.trainer.time.spent.validations
        with self.lock, write_metrics(self.run.metrics, self.earlier) as append, told_when_short(stays):
            for event in self.trainer.run():
                if isinstance(event, Report):
                    # Where nothing is held out, a validation is only the time for a sample.
                    if event.valid_loss is not None or self.trainer.time.spent.validations > shown:
                        shown = self.trainer.time.spent.validations
                        event = dataclasses.replace(event, sample=self._shown_sample())
                    if event.valid_loss is not None:
                        self._judged = event
                    append(event.to_json())
                if isinstance(event, Stopped) and self.run.model.exists():
                    yield from self._judge_best()
                if isinstance(event, Stopped) and event.reason != "interrupted":
                    self.run.launch.unlink(missing_ok=True)
                yield event
        self.trainer.world.leave()

    def save(self) -> None:
        """Save it as it stands before its first step."""
        saver(self.run, self.trainer.model.config, self.data, self.trainer.config, self.machine)(
            self.trainer.snapshot(), True
        )

    def stop(self) -> None:
        """End after the step that is running, with everything saved."""
        self.trainer.stop = True

    def _shown_sample(self) -> str:
        with np.errstate(all="ignore"):  # of a training that goes astray, which its losses tell
            engine = open_engine(self.trainer.model.config, arrays(self.trainer.model))
            pieces = generate(engine, self.data.tokenizer, SHOWN_SAMPLE, seed=self.trainer.config.seed)
            return "".join(piece.text for piece in pieces)

    def _judge_best(self) -> Iterator[Note]:
        """Measure what counts bring the best model, and what 8-bit weights cost it, which decides how it generates.

        Beside counts the last weights may be better than those that were the best alone. Say what it copies.
        """
        header, tensors = checkpoint.read(self.run.model)
        best, _ = checkpoint.build_model(header, tensors)
        tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith(checkpoint.COUNTS_PREFIX)}
        counted = counting.count(best, self.trainer.config, self.data) if self._counts_wanted else None
        if counted is not None and (last := self._last()) is not None:
            again = counting.beside(last.network, counted, self.data)
            if again.loss < counted.loss:
                yield Note(
                    f"beside counts the weights of the end ({again.loss:.4f} nats per token) are better than those of "
                    f"step {header.summary['step']:,} ({counted.loss:.4f}), the best alone: kept"
                )
                header, tensors, best, counted = *last, again
                self.trainer.best = Best(loss=header.summary["loss"], step=header.summary["step"])
        cost = None
        if bounded(header.config):
            affordable = int(PRODUCTS_MEASURED / header.parameters)
            measured = max(LEAST_MEASURED, min(MOST_MEASURED, affordable))
            cost = int8_cost(best, (self.data.valid or self.data.train).tokens[:measured]) * self.trainer.bits
        summary = {**header.summary, "int8_bpc": cost}
        kept = None
        if counted is not None:
            yield Note(counted.told(self.trainer.bits, self.data.train.tokens.size))
            if counted.help:
                kept, summary = counted.counts, {**summary, "counts": counted.summary.to_json()}
        checkpoint.write(self.run.model, tensors, {**header.metadata, "training": summary}, kept)
        if self.data.split.documents != "stream":
            yield from self._say_copies(best)

    def _last(self) -> "_Kept | None":
        """The model as it was at the end, where another was the best; none where the end was not validated."""
        step, judged = self.trainer.position.step, self._judged
        if judged is None or judged.step != step or self.trainer.best.step == step:
            return None
        header, tensors = checkpoint.read(self.run.resume)
        tensors = Snapshot(self.trainer.progress, tensors).model()
        metadata = {name: value for name, value in header.metadata.items() if name != "resume"}
        metadata["training"] = {**header.summary, "loss": judged.valid_loss}
        header = dataclasses.replace(header, metadata=metadata)
        return _Kept(header, tensors, checkpoint.build_model(header, tensors)[0])

    def _say_copies(self, best: Network) -> Iterator[Note]:
        """How many lines of some samples the model has by heart."""
        split, any_bytes = self.data.split, self.data.tokenizer.any_bytes
        learned = TrainingLines.of(split, Corpus(list(split.sources), any_bytes=any_bytes))
        if learned is None:
            return
        engine = open_engine(best.config, arrays(best))
        texts, lines, until = [""] * JUDGED_SAMPLES, list[str](), time.monotonic() + JUDGED_SECONDS
        pieces = generate(engine, self.data.tokenizer, SHOWN_SAMPLE, rows=JUDGED_SAMPLES, seed=self.trainer.config.seed)
        for piece in pieces:
            texts[piece.row] += piece.text
            if piece.finished:
                lines += whole_lines(texts[piece.row], cut=piece.finished == "length")
            if lines and time.monotonic() > until:
                break
        if lines:
            copied = learned.copied(lines)
            by_heart = copied > MANY_COPIES * len(lines)
            text = f"at temperature {SHOWN_SAMPLE.temperature:g}, {verdict(copied, len(lines))}"
            yield Note(f"{text}: it is learned by heart" if by_heart else text, warning=by_heart)


class _Kept(NamedTuple):
    """A model as a file has it."""

    header: Header
    tensors: dict[str, Tensor]
    network: Network


def saver(
    run: Run, network: ModelConfig, data: Dataset, config: TrainConfig, machine: Machine
) -> Callable[[Snapshot, bool], None]:
    """What writes a snapshot to the run's resume file, to its model file where it is the best so far, or for good."""

    def save(snapshot: Snapshot, best: bool) -> None:
        split = remembered(data.split, run.folder)
        record = _metadata(network, data, split, config, snapshot.progress)
        resume_record = {"progress": snapshot.progress, "train": config, "split": split}
        saved: dict[str, Any] = {key: value.to_json() for key, value in resume_record.items()}
        if data.folder not in (None, run.folder):
            saved["cache"] = str(data.folder)
        saved |= {"threads": machine.threads, "adaptive": machine.adaptive, "tune": machine.tuned}
        if best:
            checkpoint.write(run.model, snapshot.model(), record)
        step, judged = snapshot.progress.position.step, snapshot.progress.best.step
        if config.keep_every is not None and step % config.keep_every == 0:
            # Its own loss is known where it was just judged, and was the best.
            training = record["training"] if judged == step else {**record["training"], "loss": None}
            checkpoint.write(run.kept(step), snapshot.model(), {**record, "training": training})
        checkpoint.write(run.resume, snapshot.tensors, {**record, "resume": saved})

    return save


def moved(run: Run, split: Split, text: Corpus) -> Split:
    """The split of a run whose text lies elsewhere now, which its files remember from here on."""
    split = dataclasses.replace(split, sources=tuple(text.sources))
    told = remembered(split, run.folder)
    for file in filter(Path.exists, (run.model, run.resume, *run.all_kept().values())):
        header, tensors = checkpoint.read(file)
        if header.split == told:
            continue
        summary = {**header.summary, "corpus": list(told.sources), "split": told.to_json()}
        metadata = {**header.metadata, "training": summary}
        if "resume" in metadata:
            metadata["resume"] = {**metadata["resume"], "split": told.to_json()}
        checkpoint.write(file, tensors, metadata)
    return split


def _metadata(
    model: ModelConfig, data: Dataset, split: Split, config: TrainConfig, progress: Progress
) -> dict[str, Any]:
    """What a model file says of itself."""
    return {
        "model": model.to_json(),
        "tokenizer": data.tokenizer.spec(),
        "training": {
            "corpus": list(split.sources),
            "sha256": split.sha256,
            "documents": split.documents,
            "split": split.to_json(),
            "train_tokens": int(data.train.tokens.size),
            "step": progress.position.step,
            "tokens": progress.position.tokens,
            "epoch": progress.position.epoch,
            "seconds": progress.time.seconds,
            "loss": progress.best.loss,
            "validated": data.valid is not None,
            "config": config.to_json(),
        },
        "versions": {"charrnn": __version__, "torch": torch.__version__, "python": python_version()},
        "saved": datetime.now(UTC).isoformat(timespec="seconds"),
    }
