"""The picture of a run: training and validation loss and the learning rate against steps."""

from collections.abc import Sequence
from typing import Any

from charrnn.plotting.style import picture

TRAIN, VALID, RATE = "#7aa6c2", "#b3402a", "#9a9a9a"


def draw_curve(events: Sequence[dict[str, Any]], title: str) -> bytes:
    """An SVG of the run's events, as `metrics.jsonl` has them."""
    with picture(rows=2, size=(8, 5), sharex=True, height_ratios=(4, 1)) as ((losses, rates), drawn):
        steps = [event["step"] for event in events]
        losses.plot(steps, [event["bpc"] for event in events], color=TRAIN, linewidth=1.2, label="training")
        checked = [event for event in events if "valid_bpc" in event]
        if checked:
            at, bits = [event["step"] for event in checked], [event["valid_bpc"] for event in checked]
            losses.plot(at, bits, color=VALID, linewidth=1.8, marker="o", markersize=3.5, label="validation")
            best = min(range(len(bits)), key=bits.__getitem__)
            losses.annotate(
                f"best {bits[best]:.3f}",
                (at[best], bits[best]),
                textcoords="offset points",
                xytext=(0, -16),
                ha="right",
                color=VALID,
            )
            losses.set_ylim(top=max(bits[0], sorted(event["bpc"] for event in events)[-max(1, len(events) // 20)]))
        losses.set_ylabel("bits per character")
        losses.set_title(title, loc="left")
        losses.legend(frameon=False)
        losses.margins(y=0.12)
        rates.fill_between(steps, [event["lr"] for event in events], color=RATE, alpha=0.35, linewidth=0)
        rates.set_ylabel("learning rate")
        rates.set_xlabel("steps")
        rates.set_ylim(bottom=0)
    return drawn.getvalue()
