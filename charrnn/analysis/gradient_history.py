"""What a run's own reports say of its gradients: how long they were, how often clipped, how far they moved weights."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class GradientHistory:
    """Report by report: the step, the mean norm before clipping and the share of clipped steps since the last one.

    `updates` are (step, how far it moved each part of the network over the length of that part's weights).
    """

    steps: list[int]
    norms: list[float]
    clipped: list[float]
    updates: list[tuple[int, dict[str, float]]]

    @classmethod
    def of(cls, events: Iterable[dict[str, Any]]) -> "GradientHistory | None":
        """From the events of `metrics.jsonl`; None where there are none."""
        found = list(events)
        if not found:
            return None
        return cls(
            steps=[event["step"] for event in found],
            norms=[event["grad_norm"] for event in found],
            clipped=[event["clipped"] for event in found],
            updates=[(event["step"], event["updates"]) for event in found if "updates" in event],
        )

    @property
    def share_clipped(self) -> float:
        """Of all steps; reports come after as many steps each, near enough."""
        return sum(self.clipped) / len(self.clipped)

    def to_json(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "step": self.steps,
            "grad_norm": self.norms,
            "clipped": self.share_clipped,
            "updates": [{"step": step, "ratios": ratios} for step, ratios in self.updates],
        }
