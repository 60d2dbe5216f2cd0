"""How far gradients reach back as one page, with a slider over the steps of training."""

import math
from collections.abc import Sequence
from typing import Any

from charrnn.analysis.gradient_course import GradientCourse
from charrnn.analysis.gradients import GradientFlow
from charrnn.plotting.page import page

# What is seen of a number in a picture, and stands in the file.
DIGITS = 4


def gradients_page(courses: Sequence[GradientCourse]) -> str:
    """The page of some networks: each as it is, and as it was behind the steps that were kept."""
    title = "How far gradients reach back"
    return page("gradients", {"title": title, "networks": [_network(course) for course in courses]})


def _network(course: GradientCourse) -> dict[str, Any]:
    """Frames by their steps, the network itself being one of them."""
    frames = {**course.kept, course.step: course.flow}
    return {
        "name": course.flow.name,
        "note": course.note,
        "frames": [{"step": step, "layers": _layers(flow)} for step, flow in sorted(frames.items())],
    }


def _layers(flow: GradientFlow) -> list[dict[str, Any]]:
    return [
        {
            **{
                name: [_rounded(norm) for norm in band]
                for name, band in zip(("low", "median", "high"), flow.band(layer), strict=True)
            },
            "half": flow.half_life(layer),
        }
        for layer in range(len(flow.norms))
    ]


def _rounded(norm: float) -> float | None:
    """Nothing of what a logarithm has no place for."""
    return float(f"{norm:.{DIGITS}g}") if 0 < norm < math.inf else None
