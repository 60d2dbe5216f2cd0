"""Pictures of what was found: gradients through time, what memory brings, how new samples are."""

from collections.abc import Sequence
from itertools import cycle
from typing import Any

from charrnn.analysis.context import ContextCurve
from charrnn.analysis.gradient_history import GradientHistory
from charrnn.analysis.gradients import GradientFlow
from charrnn.analysis.novelty import HELD_OUT, NoveltyCurve
from charrnn.plotting.style import COLOURS, legend, picture


def draw_flows(flows: Sequence[GradientFlow], training: GradientHistory | None = None) -> bytes:
    """Norms against steps back, the median and its 10-90% band; a panel for each layer, a colour for each network.

    Where a run's history is given, two panels more: norms before clipping and relative updates against its steps.
    """
    layers = max(len(flow.norms) for flow in flows)
    with picture(columns=layers + (2 if training else 0)) as (panels, drawn):
        for layer, axes in enumerate(panels[:layers]):
            axes.sharey(panels[0])
            lines, names = [], []
            for flow, colour in zip(flows, cycle(COLOURS), strict=False):
                if layer >= len(flow.norms):
                    continue
                low, middle, high = flow.band(layer)
                steps, half = range(len(middle)), flow.half_life(layer)
                names.append(flow.name if half is None else f"{flow.name}, halves in {half:.1f} steps")
                lines += axes.plot(steps, middle, color=colour, linewidth=1.6)
                axes.fill_between(steps, low, high, color=colour, alpha=0.15, linewidth=0)
            axes.set_yscale("log")
            axes.set_title(f"layer {layer + 1}", loc="left")
            axes.set_xlabel("steps back, k")
            legend(axes, lines, names, fontsize=8, loc="lower left")
        panels[0].set_ylabel("norm of dL(t) / dh(t - k)")
        if training:
            _draw_history(training, *panels[layers:])
    return drawn.getvalue()


def _draw_history(training: GradientHistory, norms: Any, updates: Any) -> None:
    norms.plot(training.steps, training.norms, color=COLOURS[0], linewidth=1.2)
    norms.set_title(f"norm before clipping; {training.share_clipped:.1%} of steps clipped", loc="left")
    for part, colour in zip(dict.fromkeys(part for _, of in training.updates for part in of), COLOURS, strict=False):
        at = [(step, ratios[part]) for step, ratios in training.updates if part in ratios]
        updates.plot(*zip(*at, strict=True), color=colour, marker="o", markersize=3, linewidth=1.2, label=part)
    updates.set_title("a step's length over its weights'", loc="left")
    if training.updates:
        updates.legend(frameon=False, fontsize=8)
    for axes in (norms, updates):
        axes.set_yscale("log")
        axes.set_xlabel("steps of training")


def draw_context_curves(curves: Sequence[ContextCurve]) -> bytes:
    """Bits per character against how far the network may look back; the right-most point is the state carried on."""
    with picture() as ((axes,), drawn):
        lines = []
        for curve, colour in zip(curves, cycle(COLOURS), strict=False):
            known = [length for length in curve.lengths if length is not None]
            at = [*known, 2 * max(known, default=1)]
            lines += axes.plot(at[: len(curve.bits)], curve.bits, color=colour, marker="o", markersize=3.5)
        axes.set_xscale("log")
        exact = any(curve.exact for curve in curves)
        axes.set_xlabel(
            "tokens read before the one scored; last: all" if exact else "state reset every so many tokens; last: never"
        )
        axes.set_ylabel("bits per character")
        legend(axes, lines, [curve.name for curve in curves], loc="upper right")
    return drawn.getvalue()


def draw_novelty(name: str, curves: Sequence[NoveltyCurve]) -> bytes:
    """The share of n-grams that are new against their length; what was held out is dashed."""
    with picture() as ((axes,), drawn):
        lines = []
        for curve, colour in zip(curves, cycle(COLOURS), strict=False):
            known = [(size, share) for size, share in enumerate(curve.shares, 1) if share is not None]
            style = "--" if curve.name == HELD_OUT else "-"
            lines += axes.plot(*zip(*known, strict=True), style, color=colour, linewidth=1.6)
        axes.set_ylim(-0.02, 1.02)
        axes.set_xlabel("n, characters")
        axes.set_ylabel("share of n-grams not in the training text")
        axes.set_title(name, loc="left", parse_math=False)
        legend(axes, lines, [curve.name for curve in curves], loc="lower right")
    return drawn.getvalue()
