"""metrics.jsonl: what a run has reported, one JSON object a line. Fields were only ever added: old ones read as new."""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from charrnn.schema import finite, to_json_text
from charrnn.storage.atomic import write_atomically

# One event, of JSON values: a report of `training/events.py`.
Metrics = dict[str, Any]


def read_metrics(path: Path) -> Iterator[Metrics]:
    """The events written so far; a last line that was cut short by a crash is left out."""
    if path.exists():
        for line in path.read_bytes().split(b"\n"):
            try:
                yield json.loads(line)
            except ValueError:
                return


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
    return to_json_text(finite(event)) + "\n"
