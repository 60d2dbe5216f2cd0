"""Pictures of what was found, as SVG: gradients through time, and what memory brings."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from charrnn.inspection.gradients import Flow
from charrnn.inspection.memory import Memory

COLOURS = ("#2f6f9f", "#b3402a", "#5a7d3a", "#8a5aa0", "#b8862b", "#3a8f8a", "#777777", "#c2557f")


def draw_flows(flows: Sequence[Flow]) -> bytes:
    """Norms against steps back, the median and its 10-90% band; a panel for each layer, a colour for each network."""
    layers = max(len(flow.norms) for flow in flows)
    with _figure(layers) as (figure, panels, picture):
        for layer, axes in enumerate(panels):
            for flow, colour in zip(flows, _colours(), strict=False):
                if layer >= len(flow.norms):
                    continue
                low, middle, high = flow.band(layer)
                steps, half = range(len(middle)), flow.half_life(layer)
                label = flow.name if half is None else f"{flow.name}, halves in {half:.1f} steps"
                axes.plot(steps, middle, color=colour, linewidth=1.6, label=label)
                axes.fill_between(steps, low, high, color=colour, alpha=0.15, linewidth=0)
            axes.set_yscale("log")
            axes.set_title(f"layer {layer + 1}", loc="left")
            axes.set_xlabel("steps back, k")
            axes.legend(frameon=False, fontsize=8, loc="lower left")
        panels[0].set_ylabel("norm of dL(t) / dh(t - k)")
        figure.savefig(picture, format="svg", metadata={"Date": None})
    return picture.getvalue()


def draw_memories(memories: Sequence[Memory]) -> bytes:
    """Bits per character against how long the state is left; the right-most point is a state that is never reset."""
    with _figure(1) as (figure, panels, picture):
        (axes,) = panels
        for memory, colour in zip(memories, _colours(), strict=False):
            known = [every for every in memory.resets if every is not None]
            at = [*known, 2 * max(known, default=1)]
            axes.plot(at[: len(memory.bits)], memory.bits, color=colour, marker="o", markersize=3.5, label=memory.name)
        axes.set_xscale("log")
        axes.set_xlabel("state reset every so many tokens; last: never")
        axes.set_ylabel("bits per character")
        axes.legend(frameon=False, loc="upper right")
        figure.savefig(picture, format="svg", metadata={"Date": None})
    return picture.getvalue()


def _colours() -> Iterator[str]:
    while True:
        yield from COLOURS


@contextmanager
def _figure(panels: int) -> Iterator[tuple[Any, list[Any], io.BytesIO]]:
    """A row of panels sharing their vertical axis. matplotlib takes long to load: only where a picture is asked for."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    with pyplot.rc_context({"svg.hashsalt": "charrnn", "font.size": 10}):
        figure, grid = pyplot.subplots(
            1, panels, figsize=(1.5 + 4.5 * panels, 4), sharey=True, squeeze=False, layout="constrained"
        )
        for axes in grid[0]:
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(alpha=0.25)
        yield figure, list(grid[0]), io.BytesIO()
        pyplot.close(figure)
