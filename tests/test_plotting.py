"""Pages and pictures show what they are given, and fetch nothing."""

import json

import numpy as np
import pytest

from charrnn.analysis.context import memory_curve
from charrnn.analysis.gradient_history import GradientHistory
from charrnn.analysis.gradients import GradientFlow
from charrnn.plotting.analysis import draw_context_curves, draw_flows
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
