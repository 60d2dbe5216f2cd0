"""One run under way, and what it leaves in its folder: metrics, model and resume files."""

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from platform import python_version
from typing import Any

import torch

from charrnn import __version__
from charrnn.config import ModelConfig, TrainConfig
from charrnn.generation.config import SampleConfig
from charrnn.generation.loop import generate
from charrnn.inference.engine import open_engine
from charrnn.machine import Machine
from charrnn.models.weights import bounded
from charrnn.schema import finite
from charrnn.storage import checkpoint
from charrnn.storage.metrics import Metrics, write_metrics
from charrnn.storage.runs import Run
from charrnn.text.dataset import Dataset
from charrnn.training.events import Event, Report, Stopped
from charrnn.training.int8_check import arrays, int8_cost
from charrnn.training.loop import Trainer
from charrnn.training.progress import Progress, Snapshot

MEASURED_IN_INT8 = 1 << 14
SHOWN_SAMPLE = SampleConfig(temperature=0.8, length=160)


@dataclass
class Training:
    """One run under way: iterate `events`; `run.model` is then the best of it.

    `earlier` are the reports of a run that is gone on with.
    """

    run: Run
    trainer: Trainer
    data: Dataset
    notes: list[str]
    machine: Machine
    earlier: list[Metrics] = field(default_factory=list)

    def events(self) -> Iterator[Event]:
        """Train; every report goes into metrics.jsonl as it comes."""
        with write_metrics(self.run.metrics, self.earlier) as append:
            for event in self.trainer.run():
                if isinstance(event, Report):
                    if event.valid_loss is not None:
                        event = dataclasses.replace(event, sample=self._shown_sample())
                    append(event.to_json())
                if isinstance(event, Stopped) and self.run.model.exists():
                    self._measure_int8()
                yield event

    def stop(self) -> None:
        """End after the step that is running, with everything saved."""
        self.trainer.stop = True

    def _shown_sample(self) -> str:
        engine = open_engine(self.trainer.model.config, arrays(self.trainer.model))
        pieces = generate(engine, self.data.tokenizer, SHOWN_SAMPLE, seed=self.trainer.config.seed)
        return "".join(piece.text for piece in pieces)

    def _measure_int8(self) -> None:
        """Measure what 8-bit weights cost the best model, which decides how it generates."""
        header, tensors = checkpoint.read(self.run.model)
        cost = None
        if bounded(header.config):
            best, _ = checkpoint.build_model(header, tensors)
            tokens = (self.data.valid or self.data.train).tokens[:MEASURED_IN_INT8]
            cost = int8_cost(best, tokens) * self.trainer.bits
        summary = {**header.summary, "int8_bpc": cost}
        checkpoint.write(self.run.model, tensors, {**header.metadata, "training": finite(summary)})


def saver(
    run: Run, network: ModelConfig, data: Dataset, config: TrainConfig, machine: Machine
) -> Callable[[Snapshot, bool], None]:
    """What writes a snapshot to the run's resume file, and to its model file where it is the best so far."""

    def save(snapshot: Snapshot, best: bool) -> None:
        record = _metadata(network, data, config, snapshot.progress)
        resume_record = {"progress": snapshot.progress, "train": config, "split": data.split}
        saved: dict[str, Any] = {key: value.to_json() for key, value in resume_record.items()}
        saved |= {"threads": machine.threads, "adaptive": machine.adaptive, "tune": machine.tuned}
        if best:
            checkpoint.write(run.model, snapshot.model(), record)
        checkpoint.write(run.resume, snapshot.tensors, {**record, "resume": saved})

    return save


def _metadata(model: ModelConfig, data: Dataset, config: TrainConfig, progress: Progress) -> dict[str, Any]:
    """What a model file says of itself."""
    return {
        "model": model.to_json(),
        "tokenizer": data.tokenizer.spec(),
        "training": finite(
            {
                "corpus": list(data.split.sources),
                "sha256": data.split.sha256,
                "documents": data.split.documents,
                "split": data.split.to_json(),
                "train_tokens": int(data.train.tokens.size),
                "step": progress.position.step,
                "tokens": progress.position.tokens,
                "epoch": progress.position.epoch,
                "seconds": progress.time.seconds,
                "loss": progress.best.loss,
                "validated": data.valid is not None,
                "config": config.to_json(),
            }
        ),
        "versions": {"charrnn": __version__, "torch": torch.__version__, "python": python_version()},
        "saved": datetime.now(UTC).isoformat(timespec="seconds"),
    }
