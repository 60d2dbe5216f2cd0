"""A GPU's memory that is short: one line with advice in place of a library's page."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from charrnn.errors import DeviceMemoryError

ASKED = re.compile(r"Tried to allocate ([\d.]+ \w+)")


@contextmanager
def told_when_short(then: str = "") -> Iterator[None]:
    """Within it, a GPU without memory is a DeviceMemoryError that says what needs less, and what holds `then`.

    Torch knows a GPU's by its type; any other RuntimeError is left as it is, whatever its words.
    """
    try:
        yield
    except torch.OutOfMemoryError as problem:
        asked = ASKED.search(str(problem))
        more = f" ({asked[1]} more were asked for)" if asked else ""
        advice = "a smaller `batch_size`, `bptt` or `hidden` needs less"
        raise DeviceMemoryError(f"the GPU has no memory left{more}: {advice}{then}") from problem
