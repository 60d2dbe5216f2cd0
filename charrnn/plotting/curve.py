"""The picture of a run: training and validation loss and the learning rate against steps, as SVG.

It is drawn at the end of every training, so it waits for no library: matplotlib takes longer to load than all of this.
"""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

TRAIN, VALID, RATE = "#7aa6c2", "#b3402a", "#9a9a9a"
WIDTH, HEIGHT, LEFT, RIGHT = 800, 500, 70, 780
# The two panels, from the top edge to the bottom edge.
LOSSES, RATES = (40, 350), (375, 450)
MOST_POINTS = 200
NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Point = tuple[float, float]


@dataclass(frozen=True)
class Scale:
    """Values from `low` to `high` as places from `start` to `end`, in pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        span = self.high - self.low or 1.0
        return self.start + (value - self.low) / span * (self.end - self.start)

    def ticks(self, count: int, least: float = 0.0) -> Iterator[float]:
        """At most about so many round values, `least` apart: multiples of 1, 2 or 5 times a power of ten."""
        rough = max(self.high - self.low, 1e-12) / count
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
        step = max(step, least)
        for number in range(math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9) + 1):
            yield number * step


def draw_curve(events: Sequence[dict[str, Any]], title: str) -> bytes:
    """An SVG of the run's events, as `metrics.jsonl` has them."""
    train = list(comparable(events))
    valid = [(event["step"], event["valid_bpc"]) for event in events if _is_number(event.get("valid_bpc"))]
    rates = [(event["step"], event["lr"]) for event in events]
    steps = Scale(min(at for at, _ in rates), max(at for at, _ in rates), LEFT, RIGHT)
    bits = Scale(*_bounds(train, valid), LOSSES[1], LOSSES[0])
    lr = Scale(0.0, max(rate for _, rate in rates), RATES[1], RATES[0])
    drawn = [
        _text(LEFT, 24, title, size=15),
        *_grid(steps, bits, LOSSES, "bits per character"),
        *_grid(steps, lr, RATES, "learning rate", across=2),
        *(_text(steps(tick), RATES[1] + 18, f"{tick:,.10g}", anchor="middle") for tick in steps.ticks(8, least=1)),
        _text((LEFT + RIGHT) / 2, HEIGHT - 10, "steps", anchor="middle"),
        _line([(steps.low, 0.0), *rates, (steps.high, 0.0)], steps, lr, "none", fill=RATE),
        _line(train, steps, bits, TRAIN),
        _text(RIGHT - 5, LOSSES[0] + 14, "training", colour=TRAIN, anchor="end"),
    ]
    if valid:
        best = min(valid, key=lambda point: point[1])
        x, y = steps(best[0]), bits(best[1])
        drawn += [
            _line(valid, steps, bits, VALID),
            *(f'<circle cx="{steps(at):.1f}" cy="{bits(value):.1f}" r="3" fill="{VALID}"/>' for at, value in valid),
            _text(x, y + 18, f"best {best[1]:.3f}", colour=VALID, anchor="end" if x > (LEFT + RIGHT) / 2 else "start"),
            _text(RIGHT - 5, LOSSES[0] + 30, "validation", colour=VALID, anchor="end"),
        ]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">'
    clip = (
        f'<clipPath id="panel"><rect x="{LEFT}" y="{LOSSES[0]}" width="{RIGHT - LEFT}" height="{HEIGHT}"/></clipPath>'
    )
    ground = f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
    return "\n".join([head, clip, ground, *drawn, "</svg>", ""]).encode()


def comparable(events: Sequence[dict[str, Any]]) -> Iterator[Point]:
    """Training's bits per character, each a mean over as many tokens as a usual report, or a two-hundredth of all.

    A report is a mean since the one before it, which may be a single step behind it: such a point says nothing.
    """
    spans, before = [], 0
    for event in events:
        spans.append(max(0, event["tokens"] - before))
        before = event["tokens"]
    enough = max(sorted(spans)[len(spans) // 2], sum(spans) / MOST_POINTS)
    total, tokens = 0.0, 0
    for event, span in zip(events, spans, strict=True):
        if not _is_number(event["bpc"]):
            continue
        total, tokens = total + event["bpc"] * span, tokens + span
        if tokens and tokens >= enough:
            yield event["step"], total / tokens
            total, tokens = 0.0, 0


def _bounds(train: Sequence[Point], valid: Sequence[Point]) -> Point:
    """The least and the greatest loss that are shown: what is above the first validation, the beginning, is cut off."""
    values = sorted(value for _, value in train)
    highest = [*values[-max(1, len(values) // 20) :][:1], *(value for _, value in valid[:1])]
    low, high = min([*values, *(value for _, value in valid)], default=0.0), max(highest, default=1.0)
    margin = 0.12 * (high - low) or 0.1
    return low - margin, high + margin


def _grid(steps: Scale, values: Scale, panel: tuple[int, int], name: str, across: int = 5) -> Iterator[str]:
    """A panel's lines, the figures at its left edge, and what they are."""
    top, bottom = panel
    for tick in values.ticks(across):
        y = values(tick)
        yield f'<path d="M{LEFT} {y:.1f}H{RIGHT}" stroke="#ddd"/>'
        yield _text(LEFT - 6, y + 4, f"{tick:.6g}", anchor="end")
    for tick in steps.ticks(8, least=1):
        yield f'<path d="M{steps(tick):.1f} {top}V{bottom}" stroke="#ddd"/>'
    yield f'<path d="M{LEFT} {top}V{bottom}H{RIGHT}" stroke="#333" fill="none"/>'
    middle = (top + bottom) / 2
    yield f'<g transform="rotate(-90 16 {middle})">{_text(16, middle, name, anchor="middle")}</g>'


def _line(points: Iterable[Point], steps: Scale, values: Scale, colour: str, fill: str = "none") -> str:
    path = " ".join(f"{steps(at):.1f},{values(value):.1f}" for at, value in points)
    paint = f'fill="{fill}" fill-opacity="0.35" stroke="{colour}" stroke-width="1.6" clip-path="url(#panel)"'
    return f'<polyline points="{path}" {paint}/>'


def _text(x: float, y: float, words: str, *, colour: str = "#333", size: int = 12, anchor: str = "start") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" text-anchor="{anchor}"'
    shown = escape(NOT_IN_XML.sub("\ufffd", words))
    return f"<text {place}>{shown}</text>"


def _is_number(value: Any) -> bool:
    """What was not finite stands in the file as null."""
    return isinstance(value, int | float) and math.isfinite(value)
