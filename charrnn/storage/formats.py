"""What files of older formats say, and how it is said today: the one place that knows formats 1 to 4.

    1   one network, AdamW; a state is called `state.LAYER.PART`
    2   weight drop; later, steps planned for a time budget; dropout of the embedding is a quarter of the layers'
    3   SOAP and averaged weights; connections between layers; both directions, the second's in `state_reverse`
    4   ensembles, called `members`; a state is called `state.NETWORK.DIRECTION.LAYER.PART`
    5   progress in small records; weights under the names of their models and directions

From format 5 on a field that is missing has its default (`Schema`), so that a new field needs no new format.
"""

from collections.abc import Callable
from typing import Any

from charrnn.models.weights import current_name

FORMAT = 5

Record = dict[str, Any]

# What older files leave out, where it was so before anyone could say it.
MODEL: Record = {"weight_drop": None, "skip": None, "norm": False, "bidirectional": False, "ensemble": 1}
TRAIN: Record = {"evaluations": 15, "validated": 1 << 17, "optimizer": "adamw", "average": None}
DOCUMENTS = {"blank": "paragraphs"}

# Where each number of a flat progress stands today.
PROGRESS: dict[str, dict[str, str]] = {
    "position": {"step": "step", "tokens": "tokens", "epoch": "epoch", "index": "index"},
    "since_report": {
        "loss": "summed_loss",
        "norm": "summed_norm",
        "clipped": "summed_clipped",
        "steps": "summed_steps",
        "tokens": "summed_tokens",
        "seconds": "summed_seconds",
    },
    "best": {"loss": "best", "step": "best_step", "stale": "stale"},
    "time": {
        "seconds": "seconds",
        "overhead_seconds": "seconds_beside",
        "validation_seconds": "validation_seconds",
        "validations": "evaluations",
        "plan": "pace",
    },
    "rescue": {"lr_scale": "lr_scale", "rollbacks": "rollbacks"},
}
STILL_FLAT = ("averaged", "finished")


def today(record: Record) -> Record:
    """What a file says of itself, as today's would say it; `format` stays the file's own."""
    if record["format"] >= 5:
        return record
    found = {**record, "model": _model(record.get("model")), "training": _training(record.get("training", {}))}
    resume = record.get("resume")
    if isinstance(resume, dict):
        found["resume"] = {
            **resume,
            "train": _with_absent(TRAIN, resume.get("train")),
            "split": _with_documents(resume.get("split")),
            "progress": _progress(resume.get("progress")),
        }
    return found


def today_name(format: int, *, ensemble: bool) -> Callable[[str], str]:
    """From the name that a tensor has in a file of this format to the one that it has today."""
    if format >= 5:
        return lambda name: name

    def renamed(name: str) -> str:
        kind, *rest = name.split(".")
        match kind:
            case "model" | "average":
                return f"{kind}.{current_name('.'.join(rest), ensemble=ensemble)}"
            case "optimizer":
                *parameter, slot = rest
                return f"{kind}.{current_name('.'.join(parameter), ensemble=ensemble)}.{slot}"
            case "state" if len(rest) == 2:
                return ".".join(["state.0.0", *rest])
            case "state_reverse":
                return ".".join(["state.0.1", *rest])
        return name

    return renamed


def differences(record: Record) -> list[str]:
    """In what a run, as its file says it, goes on otherwise than the charrnn that began it would have gone on."""
    resume = record.get("resume")
    if record["format"] >= 5 or not isinstance(resume, dict):
        return []
    model, train, progress = (
        part if isinstance(part, dict) else {}
        for part in (record.get("model"), resume.get("train"), resume.get("progress"))
    )
    found = []
    if record["format"] == 1 and model.get("dropout"):
        found.append("the embedding drops out a quarter as much as the layers")
    if record["format"] == 1 and train.get("patience"):
        found.append("early stopping counts validations that are worse than the best, not all that are no better")
    if "pace" not in progress and train.get("seconds") is not None:
        found.append("the rest of its time is planned in steps")
    return found


def _model(record: object) -> object:
    if not isinstance(record, dict):
        return record
    renamed = {"ensemble" if name == "members" else name: value for name, value in record.items()}
    return {**MODEL, **renamed}


def _training(record: object) -> object:
    if not isinstance(record, dict):
        return record
    found = _with_documents(record)
    return {**found, "split": _with_documents(record["split"])} if "split" in record else found


def _with_absent(absent: Record, record: object) -> object:
    return {**absent, **record} if isinstance(record, dict) else record


def _with_documents(record: Any) -> Any:
    """Whatever tells documents apart, under its name of today."""
    if not isinstance(record, dict) or not isinstance(record.get("documents"), str):
        return record
    return {**record, "documents": DOCUMENTS.get(record["documents"], record["documents"])}


def _progress(record: object) -> object:
    """The flat numbers sorted into records. Where no steps were planned, their speed is measured from here on."""
    if not isinstance(record, dict):
        return record
    spent = [record.get(name, 0.0) for name in ("seconds", "seconds_beside")]
    # What is no number is left to whoever reads the record.
    stepping = spent[0] - spent[1] if all(isinstance(each, int | float) for each in spent) else 0.0
    flat = {"pace": {"measured_step": record.get("step", 0), "measured_at": stepping}, **record}
    moved = {*STILL_FLAT, *(old for names in PROGRESS.values() for old in names.values())}
    found: Record = {name: value for name, value in record.items() if name not in moved or name in STILL_FLAT}
    for part, names in PROGRESS.items():
        found[part] = {new: flat[old] for new, old in names.items() if old in flat}
    return found
