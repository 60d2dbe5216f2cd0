"""What is shown of a network's gradients: how far they reach back, then and along its training."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from charrnn.analysis.gradient_history import GradientHistory
from charrnn.analysis.gradients import GradientFlow


@dataclass(frozen=True)
class GradientCourse:
    """One network: its flow; behind which step of its training; its run's reports; a note for whoever asks why.

    `kept` are the flows of the networks that were kept along the way (`keep_every`), by their steps.
    """

    flow: GradientFlow
    step: int = 0
    training: GradientHistory | None = None
    note: str | None = None
    kept: Mapping[int, GradientFlow] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As JSON has it, without those along the way."""
        return {
            **self.flow.to_json(),
            "step": self.step,
            "training": self.training and self.training.to_json(),
            "note": self.note,
        }
