"""Pages and pictures show what they are given, and fetch nothing."""

import json
import math
import xml.etree.ElementTree as ElementTree
from typing import Any

import numpy as np
import pytest

from charrnn.analysis.context import memory_curve
from charrnn.analysis.gradient_history import GradientHistory
from charrnn.analysis.gradients import GradientFlow
from charrnn.plotting.analysis import draw_context_curves, draw_flows
from charrnn.plotting.curve import LEFT, LOSSES, RIGHT, VALID, Scale, comparable, draw_curve
from charrnn.plotting.page import page

from .cases import each
from .test_gradients import falling
from .test_steps import network, text


@each("name", ["memory", "neurons"])
def test_a_page_holds_its_data_whatever_that_is_and_fetches_nothing(name: str) -> None:
    data = {"title": '</script><b>"\\', "symbols": ["<", "é", "\n", "\u2028"]}
    html = page(name, data)
    assert "/*DATA*/" not in html
    line = next(line for line in html.split("\n") if line.startswith("const data = "))
    assert json.loads(line.removeprefix("const data = ").removesuffix(";")) == data
    assert html.count("</script>") == 1
    assert "http://" not in html and "https://" not in html and "src=" not in html and "@import" not in html


@pytest.mark.slow
def test_pictures_show_every_network_by_name() -> None:
    flows = [GradientFlow(name, falling(5).norms) for name in ("rnn 1 x 8", "lstm 1 x 8")]
    picture = draw_flows(flows).decode()
    assert picture.startswith("<?xml") and picture == draw_flows(flows).decode()
    assert all(name in picture for name in ("rnn 1 x 8, halves in 5.0 steps", "layer 1"))
    curve = draw_context_curves([memory_curve(network(), text(60), name="here")]).decode()
    assert "here" in curve and "bits per character" in curve


@pytest.mark.slow
def test_a_record_is_drawn_beside_the_flows() -> None:
    flow = GradientFlow("one", np.full((1, 3, 4), 0.5))
    record = GradientHistory([10, 20], [2.0, 1.0], [0.5, 0.5], [(20, {"head": 1e-3})])
    plain, whole = draw_flows([flow]).decode(), draw_flows([flow], record).decode()
    assert "50.0% of steps clipped" in whole and "50.0% of steps clipped" not in plain
    assert "head" in whole
    draw_flows([flow], GradientHistory([10], [2.0], [0.5], []))


@pytest.mark.slow
def test_a_name_is_drawn_literally() -> None:
    for name in ("x$_^$y", "_hidden", r"\frac{"):
        flows = [GradientFlow(name, falling(5).norms), GradientFlow("other", falling(5).norms)]
        assert f"{name}, halves in 5.0 steps" in draw_flows(flows).decode(), name
        assert name in draw_context_curves([memory_curve(network(), text(60), name=name)]).decode()


def event(step: int, **more: Any) -> dict[str, Any]:
    return {"step": step, "tokens": step * 10, "bpc": 5 - step / 100, "lr": 0.01, **more}


def elements(picture: bytes, kind: str) -> list[ElementTree.Element]:
    return ElementTree.fromstring(picture).findall(f".//{{http://www.w3.org/2000/svg}}{kind}")


def words(picture: bytes) -> list[str]:
    return [element.text or "" for element in elements(picture, "text")]


def test_a_curve_shows_validations_where_they_were() -> None:
    events = [event(step, **({"valid_bpc": 4 - step / 100} if step % 50 == 0 else {})) for step in range(10, 201, 10)]
    picture = draw_curve(events, "fables: gru 1 x 8")
    assert picture == draw_curve(events, "fables: gru 1 x 8")
    assert {"fables: gru 1 x 8", "best 2.000", "training", "validation", "steps", "bits per character"} <= {
        *words(picture)
    }
    at = [float(dot.get("cx", "")) for dot in elements(picture, "circle")]
    assert at == pytest.approx([LEFT + (step - 10) / 190 * (RIGHT - LEFT) for step in (50, 100, 150, 200)], abs=0.06)
    heights = [float(dot.get("cy", "")) for dot in elements(picture, "circle")]
    assert heights == sorted(heights) and LOSSES[0] <= heights[0] and heights[-1] <= LOSSES[1]


@each("title", ["x$_^$y", "<b>&amp;\"'", "_", "漢字"])
def test_a_title_is_drawn_as_it_is(title: str) -> None:
    assert title in words(draw_curve([event(1)], title))


def test_what_xml_cannot_hold_is_a_replacement_character() -> None:
    assert "a\ufffdb\ufffd" in words(draw_curve([event(1)], "a\x1bb\udcff"))


@each(
    "events",
    [
        [event(7)],
        [event(7, valid_bpc=3.0)],
        [event(1, bpc=None, valid_bpc=None), event(2)],
        [event(step, bpc=2.0, lr=0.0) for step in (1, 2, 3)],
        [event(5), {**event(3), "tokens": 0}],
    ],
)
def test_a_curve_of_little_or_of_what_was_not_finite_is_drawn_too(events: list[dict[str, Any]]) -> None:
    picture = draw_curve(events, "title")
    assert b"nan" not in picture and b"inf" not in picture
    for line in elements(picture, "polyline"):
        assert all(math.isfinite(float(one)) for pair in line.get("points", "").split() for one in pair.split(","))
    assert (VALID.encode() in picture) == (events[0].get("valid_bpc") is not None)


def test_points_of_training_are_means_over_as_many_tokens() -> None:
    # A validation came one step behind each third report, whose mean over that step is off by far.
    reports = [(10, 100, 4.0), (20, 200, 3.0), (21, 210, 9.0), (30, 300, 2.0), (40, 400, 1.0)]
    events = [{"step": step, "tokens": tokens, "bpc": bpc} for step, tokens, bpc in reports]
    whole = (9.0 * 10 + 2.0 * 90) / 100
    assert list(comparable(events)) == [(10, 4.0), (20, 3.0), (30, pytest.approx(whole)), (40, 1.0)]
    many = [{"step": step, "tokens": step, "bpc": float(step % 2)} for step in range(1, 10_001)]
    thinned = list(comparable(many))
    assert len(thinned) == 200 and all(value == 0.5 for _, value in thinned)


def test_ticks_are_round_and_inside() -> None:
    for low, high, count, least, ticks in (
        (0, 10, 5, 0, [0, 2, 4, 6, 8, 10]),
        (1.93, 4.4, 5, 0, [2, 2.5, 3, 3.5, 4]),
        (1, 4, 8, 1, [1, 2, 3, 4]),
        (0, 0.017, 2, 0, [0, 0.01]),
        (7, 7, 8, 1, [7]),
    ):
        assert list(Scale(low, high, 0, 1).ticks(count, least)) == pytest.approx(ticks), (low, high)
