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

# What every event has, and what it may have; null where a number was not finite.
KNOWN: dict[str, Any] = {
    "step": int,
    "tokens": int,
    "epoch": float | None,
    "loss": float | None,
    "bpc": float | None,
    "lr": float | None,
    "grad_norm": float | None,
    "clipped": float | None,
    "tokens_per_second": float | None,
    "seconds": float | None,
    "valid_loss": float | None,
    "valid_bpc": float | None,
    "unaveraged": float | None,
    "best": bool,
    "updates": dict,
    "sample": str,
}
ALWAYS = ("step", "loss")


def read_metrics(path: Path) -> Iterator[Metrics]:
    """The events written so far; what is none is left out, as a last line that was cut short by a crash."""
    if path.exists():
        for line in path.read_bytes().split(b"\n"):
            try:
                event = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if _is_event(event):
                yield event


def _is_event(event: object) -> bool:
    """Whether a line says what a report says, in values of its types."""
    if not isinstance(event, dict) or any(name not in event for name in ALWAYS):
        return False
    if not all(fits(value, KNOWN[name]) for name, value in event.items() if name in KNOWN):
        return False
    return all(fits(value, float | None) for value in event.get("updates", {}).values())


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
