"""The runs of a folder, each as a small record: what it learned from, how large it is, how far it came."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from charrnn.api.arguments import AnyPath, folder, known_options
from charrnn.errors import CharrnnError
from charrnn.storage.checkpoint import Header, read_header
from charrnn.storage.lock import locked
from charrnn.storage.runs import Run, all_runs, checkpoints_folder

TRAINING, RESUMABLE, COMPLETE, MODEL, DAMAGED = "training", "resumable", "complete", "model only", "damaged"


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """One run. `loss` in nats per token and `bpc` in bits per character are of the model that is kept.

    They are of the held-out part where the run has `validated`, else of the training text; `seconds` is what the
    training has taken, `state` one of training, resumable, complete, model only, damaged (`problem` says how).
    `options` are those of network, text and training, by name.
    """

    name: str
    folder: str
    state: str
    saved: datetime
    problem: str | None = None
    corpus: tuple[str, ...] = ()
    network: str | None = None
    parameters: int | None = None
    steps: int | None = None
    seconds: float | None = None
    loss: float | None = None
    bpc: float | None = None
    validated: bool | None = None
    options: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON has it; the time as ISO 8601."""
        return {**vars(self), "corpus": list(self.corpus), "saved": self.saved.isoformat(timespec="seconds")}


@known_options()
def runs(checkpoints: AnyPath | None = None) -> list[RunSummary]:
    """Every run in the checkpoints folder, the one that was saved last in front. None of their weights is read."""
    found = map(summarise, all_runs(checkpoints_folder(folder(checkpoints))))
    return sorted(found, key=lambda run: (run.saved, run.name), reverse=True)


def summarise(run: Run) -> RunSummary:
    """What the files of a run say of it."""
    known: dict[str, Any] = {
        "name": run.name, "folder": str(run.folder), "saved": datetime.fromtimestamp(run.saved, UTC),
    }  # fmt: skip
    busy = locked(run.folder)
    try:
        kept = read_header(run.model if run.model.exists() else run.resume)
        latest = read_header(run.resume) if run.resume.exists() else None
    except CharrnnError as error:
        return RunSummary(**known, state=TRAINING if busy else DAMAGED, problem=str(error))
    summary, network = kept.summary, kept.config
    loss, reached = summary.get("loss"), (latest or kept).summary
    return RunSummary(
        **known,
        state=TRAINING if busy else _state(latest),
        corpus=tuple(summary.get("corpus", ())),
        network=network.size + network.manner,
        parameters=kept.parameters,
        steps=reached.get("step"),
        seconds=reached.get("seconds"),
        loss=loss,
        bpc=None if loss is None else _bits(run, loss),
        validated=summary.get("validated"),
        options=_options(kept),
    )


def _state(resume: Header | None) -> str:
    if resume is None:
        return MODEL
    saved = resume.metadata.get("resume")
    progress = saved.get("progress") if isinstance(saved, dict) else None
    finished = progress.get("finished") if isinstance(progress, dict) else None
    return COMPLETE if finished is True else RESUMABLE


def _bits(run: Run, loss: float) -> float | None:
    """Nats per token as bits per character, by the share that the run's own reports have between the two."""
    for event in run.read_metrics():
        if event["loss"] > 0:
            return float(loss * event["bpc"] / event["loss"])
    return None


def _options(header: Header) -> dict[str, Any]:
    summary, tokenizer = header.summary, header.metadata.get("tokenizer")
    told = {name: value for name, value in header.config.to_json().items() if name not in ("vocab_size", "start_id")}
    return {
        "tokenizer": tokenizer.get("kind") if isinstance(tokenizer, dict) else None,
        "symbols": header.config.start_id,
        "documents": summary.get("documents"),
        "train_tokens": summary.get("train_tokens"),
        **told,
        **summary.get("config", {}),
    }
