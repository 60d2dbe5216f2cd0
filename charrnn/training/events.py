"""What a training says while it runs: plain records, for whoever follows it and for its files."""

import dataclasses
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Report:
    """Means since the last report; with the last fields, a validation. `clipped` is a share of steps."""

    step: int
    tokens: int
    epoch: float
    loss: float
    bpc: float
    lr: float
    grad_norm: float
    clipped: float
    tokens_per_second: float
    seconds: float
    progress: float
    seconds_left: float
    valid_loss: float | None = None
    valid_bpc: float | None = None
    best: bool | None = None
    # Now and then: how far a step moved each part of the network, over the length of its weights.
    updates: dict[str, float] | None = None
    # The last validation of a run whose weights were averaged: what the last step's weights alone would give.
    unaveraged: float | None = None
    sample: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The event as `metrics.jsonl` has it: the validation's fields only where there was one."""
        fields = dataclasses.asdict(self)
        del fields["progress"], fields["seconds_left"]
        return {name: value for name, value in fields.items() if value is not None}


@dataclass(frozen=True)
class Note:
    """Something to say in one line; what should not be overlooked is a warning."""

    text: str
    warning: bool = False


@dataclass(frozen=True)
class Stopped:
    """The end: 'done', 'no improvement' or 'interrupted'."""

    reason: str


Event = Report | Note | Stopped
