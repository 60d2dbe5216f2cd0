"""Pages in a real browser, headless Chromium: nothing is fetched, nothing fails, and pointing shows what is known."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from charrnn import api
from charrnn.analysis.gradient_course import GradientCourse
from charrnn.analysis.gradients import GradientFlow
from charrnn.plotting.gradients import gradients_page
from tests.cases import each
from tests.extras.chromium import Opened, chromium, until


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def pages(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A page of samples, one of samples of lines, and one of a scored text."""
    folder, model = tmp_path_factory.mktemp("pages"), api.load("small", checkpoints=trained)
    lines = api.load("lines", checkpoints=trained)
    text = "The heron stood in the shallows. <b>No</b> “market” was kinder.\n" * 20
    made = {
        "samples": model.page(list(model.samples("The ", rows=3, seed=1, length=300)), "The "),
        "lines": lines.page(list(lines.samples(rows=20, seed=1))),
        "report": api.report(model, text, model.score(text, unknown=True)).html("a <text>", {}),
    }
    for name, page in made.items():
        (folder / f"{name}.html").write_text(page, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in made}


def shown(page: Page) -> tuple[str, list[tuple[str, str]]]:
    """What the card says: its first line, and its bars by name with their per cent."""
    card = page.locator("#card")
    rows = [(row.locator("b").inner_text(), row.locator("span").inner_text()) for row in card.locator("div").all()]
    return card.locator("p").inner_text(), rows


@each("name", ["samples", "lines", "report"])
def test_pointing_at_a_place_shows_what_is_known_of_it_and_nothing_is_fetched(
    browser: Browser, pages: dict[str, Path], name: str, tmp_path: Path
) -> None:
    opened = Opened(browser, pages[name], viewport={"width": 900, "height": 700})
    page = opened.page
    assert page.locator("#card").is_hidden()
    places = page.locator("#text i")
    assert places.count() > 50
    for place in (places.nth(3), places.nth(40)):
        told = place.get_attribute("title") or ""
        place.hover()
        head, bars = shown(page)
        figures, _, likeliest = told.partition("; ")
        assert figures in head and re.fullmatch(r"[\d.]+ bits, rank \d+", figures), head
        assert ", ".join(f"{symbol} {percent}" for symbol, percent in bars) == likeliest
        assert len(bars) == 5 and place.get_attribute("title") is None, "one hover, not two"
        widths = [bar.bounding_box() or {"width": 0} for bar in page.locator("#card s").all()]
        assert [box["width"] for box in widths] == sorted((box["width"] for box in widths), reverse=True)
    page.locator("h1").hover()
    assert page.locator("#card").is_hidden()
    page.screenshot(path=tmp_path / f"{name}.png")
    assert opened.complaints == []
    assert opened.requests == [pages[name].as_uri()]


@each("name", ["samples", "lines", "report"])
def test_the_keyboard_goes_from_place_to_place_through_all_texts(
    browser: Browser, pages: dict[str, Path], name: str
) -> None:
    page = Opened(browser, pages[name]).page
    page.locator("#text").focus()
    written = page.locator("#text i").all_text_contents()
    for expected in written[:400]:
        page.keyboard.press("ArrowRight")
        assert page.evaluate("document.querySelector('i.chosen').textContent") == expected
    page.keyboard.press("ArrowLeft")
    count = min(400, len(written))
    assert page.evaluate("[...document.querySelectorAll('#text i')].findIndex(i => i.matches('.chosen'))") == count - 2
    assert page.locator("#said").inner_text().strip()
    page.keyboard.press("Escape")
    assert page.locator("#card").is_hidden()


@each("width", [320, 420, 1200])
def test_the_card_stays_on_the_screen_and_the_page_has_no_sideways_scroll(
    browser: Browser, pages: dict[str, Path], width: int
) -> None:
    page = Opened(browser, pages["samples"], viewport={"width": width, "height": 600}).page
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for place in page.locator("#text i").all()[::97]:
        place.hover()
        box = page.locator("#card").bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= width and box["y"] >= 0
        assert box["y"] + box["height"] <= 600


def test_without_its_script_a_page_is_whole(browser: Browser, pages: dict[str, Path]) -> None:
    page = Opened(browser, pages["samples"], java_script_enabled=False).page
    assert re.match(r"[\d.]+ bits, rank \d+; ", page.locator("#text i").first.get_attribute("title") or "")


# ---- the page with the model inside


@pytest.fixture(scope="module")
def writers(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[api.Model, Path]]:
    """Models of several kinds, and the page of each."""
    folder = tmp_path_factory.mktemp("writers")
    sizes: dict[str, Any] = {"hidden": 24, "embedding": 8, "steps": 30, "seed": 1}
    kinds: dict[str, dict[str, Any]] = {
        "lstm": {"layers": 2},
        "gru": {"cell": "gru", "layers": 3},
        "rnn": {"cell": "rnn", "layers": 1, "documents": "lines"},
        "ensemble": {"ensemble": 2, "layers": 1, "tokenizer": "byte"},
        "counted": {"layers": 1},
        "counted lines": {"cell": "gru", "ensemble": 2, "layers": 1, "documents": "lines"},
    }
    for name, kind in kinds.items():
        api.train("fables", name=name, checkpoints=folder, **(sizes | kind))
    models = {name: api.load(name, checkpoints=folder, counts="counted" in name) for name in kinds}
    assert all((model.counts is not None) == ("counted" in name) for name, model in models.items())
    for name, model in models.items():
        (folder / f"{name}.html").write_text(model.live_page(), encoding="utf-8")
    return {name: (model, folder / f"{name}.html") for name, model in models.items()}


DRAWN: list[dict[str, Any]] = [
    {"temperature": 0.8},
    {"temperature": 1.3, "top_k": 12, "min_p": 0.01},
    {"temperature": 1.0, "top_k": 30, "top_p": 0.9},
    {"temperature": 0.0},
]


@each("name", ["lstm", "gru", "rnn", "ensemble", "counted", "counted lines"])
@each("plain", [False, True])
def test_a_seed_gives_the_text_of_the_command_line(
    browser: Browser, writers: dict[str, tuple[api.Model, Path]], name: str, plain: bool
) -> None:
    """With WebAssembly and without."""
    model, file = writers[name]
    opened = Opened(browser, file)
    assert opened.page.evaluate("!!program"), "this browser multiplies by WebAssembly"
    until(opened.page, "model !== undefined", True)
    for seed, how in enumerate(DRAWN, 4294967290):
        settings = {"seed": seed, "length": 1000, "temperature": how["temperature"]}
        settings |= {js: how.get(own, 0) for js, own in {"topK": "top_k", "topP": "top_p", "minP": "min_p"}.items()}
        found = opened.page.evaluate(
            "([s, plain]) => written(new Model(record, array, plain), 'The ', s)", [settings, plain]
        )
        assert found == model.sample("The ", length=1000, seed=seed, precision="int8", **how), how
    assert opened.complaints == [] and opened.requests == [file.as_uri()]


@each("width", [390, 1100])
def test_by_the_keyboard_alone_it_writes_and_a_link_writes_the_same(
    browser: Browser, writers: dict[str, tuple[api.Model, Path]], width: int
) -> None:
    model, file = writers["lstm"]
    opened = Opened(browser, file, viewport={"width": width, "height": 800})
    page, written = opened.page, "[...document.querySelectorAll('#text i')].map(i => i.textContent).join('')"
    until(page, "document.body.inert", False)
    page.keyboard.press("Tab")
    page.keyboard.type("The ")
    page.locator("#speed").focus()
    page.keyboard.press("End")
    page.locator("#length").fill("300")
    page.locator("#write").focus()
    page.keyboard.press("Enter")
    until(page, written, model.sample("The ", length=300, seed=1, precision="int8"))
    page.locator("#temperature").focus()
    page.keyboard.press("ArrowRight")
    warmer = model.sample("The ", length=300, seed=1, temperature=0.85, precision="int8")
    until(page, written, warmer)
    page.locator("#unit").fill("3")
    assert page.locator("#text i.up, #text i.down").count() and page.locator("#legend").is_hidden()
    page.locator("#gates summary").click()
    until(page, "document.querySelectorAll('#formula li').length", 6)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.evaluate("location.replace('#' + link.hash)")
    again = Opened(browser, file).page
    again.goto(page.url)
    until(again, written, warmer)
    assert opened.complaints == []


@each("width", [390, 1100])
def test_gradients_along_a_training_are_gone_through_by_the_keyboard(
    browser: Browser, tmp_path: Path, width: int
) -> None:
    def flow(half_life: float) -> GradientFlow:
        norms = 2.0 ** (-np.arange(31) / half_life)
        return GradientFlow("a: lstm 2 x 8", np.broadcast_to(norms[:, None], (2, 31, 3)))

    file, kept = tmp_path / "g.html", {0: flow(2), 50: flow(4)}
    file.write_text(gradients_page([GradientCourse(flow(8), step=90, kept=kept)]), encoding="utf-8")
    opened = Opened(browser, file, viewport={"width": width, "height": 800})
    page, cells = opened.page, "[...document.querySelectorAll('tbody tr:first-child td')].map(td => td.textContent)"
    assert page.evaluate(cells)[:3] == ["90", "8.0 steps", "9.2e−1"]
    page.locator("#step").focus()
    page.keyboard.press("Home")
    assert page.evaluate(cells)[:3] == ["0", "2.0 steps", "7.1e−1"]
    page.keyboard.press("ArrowRight")
    page.locator("#panels svg").first.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert page.evaluate(cells)[:3] == ["50", "4.0 steps", "5.0e−1"]
    page.locator("#panels svg").last.focus()  # half-lives over the training
    page.keyboard.press("ArrowRight")
    assert page.evaluate(cells)[0] == "90"
    page.locator("#play").focus()
    page.keyboard.press("Enter")
    until(page, cells + "[0]", "90")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert opened.complaints == [] and opened.requests == [file.as_uri()]
