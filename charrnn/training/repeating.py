"""The options that train a run again: what its model file says was decided, as a user would have asked for it."""

from typing import Any

from charrnn.config import TrainOptions
from charrnn.config.durations import format_duration
from charrnn.storage.checkpoint import tokenizer_of
from charrnn.storage.header import Header
from charrnn.text.split import Split

# Options whose 0 means none, as which a configuration has None.
NONE_IS_ZERO = ("dropout", "weight_drop", "average", "clip")
# Of subwords alone is the size of the vocabulary an option.
SUBWORD = "subword"


def options_of(header: Header) -> dict[str, Any]:
    """Values by the names of `TrainOptions`, in their order; those of the machine, and the run's name, are left out.

    A run on a time budget is given its time again, in which another machine takes other steps. Whether it began from
    another model, or with another spectral radius than its cell's own, no file says. Raises CheckpointError
    where the file does not say what it was trained on.
    """
    decided = header.summary.get("config", {})
    network, tokenizer = header.config.to_json(), header.metadata["tokenizer"]
    told = {**network, **{name: value for name, value in decided.items() if name in TrainOptions.__dataclass_fields__}}
    told["corpus"] = list(header.split.sources)
    if (seconds := told.get("seconds")) is not None:
        told["seconds"] = format_duration(seconds) if seconds == round(seconds) else f"{seconds:g}s"
    told |= {"tokenizer": tokenizer["kind"], "documents": header.documents, "skip": network["skip"] or "none"}
    told["vocab_size"] = tokenizer_of(header).size if tokenizer["kind"] == SUBWORD else None
    if not told.get("stream"):
        told |= {name: _part(header.split, name) for name in ("valid", "test")}
    for name in NONE_IS_ZERO:
        told[name] = told.get(name) or 0.0
    return {name: told[name] for name in TrainOptions.__dataclass_fields__ if told.get(name) is not None}


def text_of(header: Header) -> dict[str, Any]:
    """Those of them that say what text a run has learned from, what of it was held out, and for how long."""
    told = options_of(header)
    return {name: told[name] for name in ("corpus", "documents", "valid", "test", "seconds") if name in told}


def _part(split: Split, name: str) -> float | str | None:
    """A file, or the share that cuts the corpus where it was cut."""
    file, _ = split.file(name)
    if file is not None:
        return file
    if split.drawn is not None:
        held = split.held_out[("valid", "test").index(name)]
        return held / split.count if held else None
    first, end = split.span(name)
    return (end - first) / split.chars if end > first else None
