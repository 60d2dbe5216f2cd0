"""Pages in a real browser, headless Chromium: nothing is fetched, nothing fails, and pointing shows what is known.

`CHROMIUM` names the browser where it is not on the path.
"""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from charrnn import api
from tests.cases import each

# What a browser would do of its own accord on a network.
ALONE = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    assert chromium, "these tests need Chromium: install it, or name it in CHROMIUM"
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=chromium, args=ALONE)
        yield started
        started.close()


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


class Opened:
    """A page that was opened, and what the browser complained of and asked for."""

    def __init__(self, browser: Browser, file: Path, **how: Any) -> None:
        self.page: Page = browser.new_page(**how)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(file.as_uri())


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
