"""metrics.jsonl: what a run has reported, one JSON object a line. Fields were only ever added: old ones read as new."""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from charrnn.schema import fits, to_json_text
from charrnn.storage.atomic import write_atomically

# One event, of JSON values: a report of `training/events.py`.
Metrics = dict[str, Any]

# What every event has, and what it may have.
ALWAYS: dict[str, Any] = {"step": int, "loss": float, "bpc": float, "lr": float, "grad_norm": float, "clipped": float}
SOMETIMES: dict[str, Any] = {
    "tokens": int,
    "epoch": float,
    "tokens_per_second": float,
    "seconds": float,
    "valid_loss": float,
    "valid_bpc": float,
    "unaveraged": float,
    "best": bool,
    "updates": dict,
    "sample": str,
}


def read_metrics(path: Path) -> Iterator[Metrics]:
    """The events written so far, without fields that are null, for their numbers were not finite.

    A line that is no event is left out, as the last one may be, which a crash has cut short.
    """
    if path.exists():
        for line in path.read_bytes().split(b"\n"):
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(record, dict):
                event = {name: value for name, value in record.items() if value is not None}
                if _is_event(event):
                    yield event


def _is_event(event: Metrics) -> bool:
    """Whether it says what a report says, in values of its types."""
    known = {name: annotation for name, annotation in {**ALWAYS, **SOMETIMES}.items() if name in event}
    if not ALWAYS.keys() <= event.keys() or not all(fits(event[name], known[name]) for name in known):
        return False
    return all(fits(ratio, float | None) for ratio in event.get("updates", {}).values())


@contextmanager
def write_metrics(path: Path, earlier: Iterable[Metrics] = ()) -> Iterator[Callable[[Metrics], None]]:
    """Begin the file anew with the `earlier` events; each that the function is given follows at once.

    A number that is not finite is written as null. Raises CheckpointError when the file cannot be written.
    """
    write_atomically(path, "".join(map(_line, earlier)).encode())
    with open(path, "a", encoding="utf-8") as file:

        def append(event: Metrics) -> None:
            file.write(_line(event))
            file.flush()

        yield append


def _line(event: Metrics) -> str:
    return to_json_text(event) + "\n"
