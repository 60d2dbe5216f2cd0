"""A chart of bars as SVG within a page, with its numbers in a table below; drawn without any library."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 640, 190
LEFT, RIGHT, TOP, BOTTOM = 44, 8, 10, 34
# Of labels along the axis, and of lines across.
MOST_LABELS, LINES = 17, 4


@dataclass(frozen=True)
class Bars:
    """One number for each label; None, or what is not finite, has no bar. `across` and `up` name the axes."""

    title: str
    across: str
    up: str
    labels: Sequence[str]
    values: Sequence[float | None]
    counts: Sequence[int]

    def html(self) -> str:
        """The chart as a figure: title, picture, and everything in it as numbers."""
        rows = "".join(
            f"<tr><th scope=row>{escape(label)}<td>{_number(value)}<td>{count:,}"
            for label, value, count in zip(self.labels, self.values, self.counts, strict=True)
        )
        return (
            f"<figure><figcaption>{escape(self.title)}</figcaption>{self.svg()}<details><summary>Numbers</summary>"
            f"<table><tr><th scope=col>{escape(self.across)}<th scope=col>{escape(self.up)}<th scope=col>count{rows}"
            "</table></details></figure>"
        )

    def svg(self) -> str:
        """The picture; each bar says its numbers."""
        finite = [value for value in self.values if value is not None and math.isfinite(value)]
        step = nice(max(finite, default=0.0) / LINES)
        top = step * max(1, math.ceil(max(finite, default=0.0) / step - 1e-9))
        width, height = (WIDTH - LEFT - RIGHT) / max(1, len(self.values)), HEIGHT - TOP - BOTTOM
        every = math.ceil(len(self.labels) / MOST_LABELS)
        drawn = []
        for line in range(round(top / step) + 1):
            y = TOP + height * (1 - line * step / top)
            drawn.append(
                f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/><text x="{LEFT - 6}" y="{y + 4:.1f}" class=y>'
                f"{line * step:.6g}</text>"
            )
        for place, (label, value, count) in enumerate(zip(self.labels, self.values, self.counts, strict=True)):
            x = LEFT + place * width
            if value is not None and math.isfinite(value):
                tall = height * value / top
                drawn.append(
                    f'<rect x="{x + 0.5:.1f}" y="{TOP + height - tall:.1f}" width="{max(1.0, width - 1):.1f}" '
                    f'height="{tall:.2f}"><title>{escape(label)}: {_number(value)} ({count:,})</title></rect>'
                )
            if place % every == 0:
                drawn.append(f'<text x="{x + width / 2:.1f}" y="{HEIGHT - BOTTOM + 15}">{escape(label)}</text>')
        drawn.append(f'<text x="{(WIDTH + LEFT) / 2:.0f}" y="{HEIGHT - 3}" class=axis>{escape(self.across)}</text>')
        words = escape(f"{self.title}: {self.up} by {self.across}; the numbers are in the table below")
        return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{words}">{"".join(drawn)}</svg>'


def nice(step: float) -> float:
    """The least of 1, 2 or 5 times a power of ten that is not below a positive step; 1 for none."""
    if step <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(step))
    return next(power * times for times in (1, 2, 5, 10) if power * times >= step * (1 - 1e-9))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
