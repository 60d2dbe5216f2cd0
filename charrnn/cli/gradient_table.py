"""How far gradients reach back, as a person reads it: one network place by place, several side by side."""

from collections.abc import Sequence
from textwrap import fill

from charrnn.analysis.gradient_course import GradientCourse
from charrnn.analysis.gradient_history import GradientHistory
from charrnn.analysis.gradients import GradientFlow
from charrnn.cli.tables import shortened
from charrnn.console import sparkline, visible, write
from charrnn.console.plot import WIDTH, letter, plot

SHOWN = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
# Columns of a table's numbers: so many stand in 80.
MOST = 8
LEGEND = "steps back, k; upwards the norm of dL(t) / dh(t - k)"


def write_courses(courses: Sequence[GradientCourse]) -> None:
    """The figures, a picture of all, what is to be said of each, and its training."""
    curves = [(course.flow, layer) for course in courses for layer in range(len(course.flow.norms))]
    if len(courses) == 1:
        for flow, layer in curves:
            _write_band(flow, layer)
    else:
        _write_table(curves)
    write("\n" + plot([flow.band(layer)[1].tolist() for flow, layer in curves], LEGEND))
    for note in dict.fromkeys(course.note for course in courses if course.note):
        write(fill(note, WIDTH) + "\n")
    for course in courses:
        if course.training is not None:
            if len(courses) > 1:
                write(f"{shortened(visible(course.flow.name), WIDTH)}\n")
            _write_training(course.training)


def half_life(flow: GradientFlow, layer: int) -> str:
    """'halves in 3.2 steps'"""
    half = flow.half_life(layer)
    return "does not fall" if half is None else f"halves in {half:.1f} steps"


def _write_band(flow: GradientFlow, layer: int) -> None:
    low, middle, high = flow.band(layer)
    write(f"{visible(flow.name)}, layer {layer + 1}: {half_life(flow, layer)}\n")
    for k in SHOWN:
        if k < len(middle):
            write(f"  k = {k:<5} {middle[k]:9.2e}   {low[k]:9.2e} to {high[k]:9.2e}\n")


def _write_table(curves: Sequence[tuple[GradientFlow, int]]) -> None:
    """Medians: a row for each layer of each network, under the letter that the picture draws it by."""
    for number, (flow, layer) in enumerate(curves):
        ending = f", layer {layer + 1}: {half_life(flow, layer)}"
        write(f"{letter(number)}  {shortened(visible(flow.name), WIDTH - 3 - len(ending))}{ending}\n")
    reach = max(flow.norms.shape[1] for flow, _ in curves)
    within = [k for k in SHOWN if k < reach]
    columns = within if len(within) <= MOST else [0, *within[1 - MOST :]]
    write("\nk =" + "".join(f"{k:>9}" for k in columns) + "\n")
    for number, (flow, layer) in enumerate(curves):
        middle = flow.band(layer)[1]
        write(f"{letter(number)}  " + "".join(f"{middle[k]:>9.1e}" for k in columns) + "\n")


def _write_training(training: GradientHistory) -> None:
    norms = training.norms
    write(f"in training: norm before clipping {sparkline(norms, 45)}\n")
    write(f"  {norms[0]:.3g} to {norms[-1]:.3g}, {training.share_clipped:.1%} of steps clipped\n")
    for step, ratios in training.updates[-1:]:
        for part, ratio in ratios.items():
            write(f"  step {step:,} moved {part} by {ratio:.1e} of its weights' length\n")
