"""The page that learns, in headless Chromium: by the keyboard, on a phone, from a disk. Its numbers:
test_playground_numbers.py.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from charrnn.export.playground import playground
from tests.cases import each
from tests.extras.chromium import Opened, chromium, until

READY = "facts !== null && last !== null"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place: Path = tmp_path_factory.mktemp("playground") / "playground.html"
    place.write_text(playground(), encoding="utf-8")
    return place


def opened(browser: Browser, file: Path, width: int = 1100, fragment: str = "") -> Opened:
    found = Opened(browser, file, viewport={"width": width, "height": 800})
    if fragment:
        found.page.goto(f"{file.as_uri()}#{fragment}")
        found.page.reload()
    until(found.page, READY)
    return found


def figures(page: Page, name: str) -> list[float]:
    """Of both networks, in bits."""
    return [float(page.locator(f"#{name}{n}").inner_text().removesuffix(" bits")) for n in (0, 1)]


@each("width", [375, 1100])
def test_by_the_keyboard_alone_both_learn_and_the_page_stays_awake(browser: Browser, file: Path, width: int) -> None:
    """Words come within some seconds: the loss falls below what the frequencies of characters give, samples with it."""
    found = opened(browser, file, width)
    page = found.page
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    # It stays awake, for nothing of this is done by the page itself.
    page.evaluate("void (Learner = Network = Pass = Gradients = null)")
    begun = figures(page, "heldOut")
    before = page.locator("#sample0").inner_text()
    page.locator("#prompt").focus()
    page.keyboard.type("The ")
    page.locator("#hidden0").focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    assert page.locator("output[for=hidden0]").inner_text() == "32"
    page.locator("#run").focus()
    page.keyboard.press("Enter")
    assert page.locator("#run").inner_text() == "Pause"
    until(page, "last !== null && last.running")
    until(page, "results.every(({ heldOut }) => heldOut.points.at(-1)[1] < facts.frequencies * BITS - 0.5)", tries=1200)
    page.keyboard.press("Enter")
    until(page, "!last.running && last.whole")
    assert page.locator("#run").inner_text() == "Go on"
    assert all(now < 4.1 < first for first, now in zip(begun, figures(page, "heldOut"), strict=True))
    assert before != page.locator("#sample0").inner_text() and page.locator("#sample0").inner_text().startswith("The ")
    assert page.locator("#earlier0").evaluate("list => list.children.length") >= 1
    assert "held-out" in (page.locator("#loss").get_attribute("aria-label") or "")
    assert page.locator("#loss path.line").count() == 4 and page.locator("#loss .mark.of1").count() > 1
    assert page.locator("#said").inner_text().count("bits") == 2
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert found.complaints == []
    assert [url for url in found.requests if not url.startswith("blob:")] == [file.as_uri()]


def test_the_same_settings_learn_the_same_and_a_link_brings_them(browser: Browser, file: Path) -> None:
    first = opened(browser, file)
    page = first.page
    page.locator("#seed").fill("7")
    page.locator("#window").fill("3")
    page.locator("#cell1").select_option("gru")
    page.locator("#rate").fill("-2")
    until(page, "session > 3 && last !== null")
    for count in range(1, 4):
        page.locator("#step").click()
        until(page, "last.done", count)
    link = page.evaluate("link.hash")
    second = opened(browser, file, fragment=link).page
    assert (
        second.locator("#cell1").input_value() == "gru"
        and second.locator("output[for=window]").inner_text() == "8 steps"
    )
    for count in range(1, 4):
        second.locator("#step").click()
        until(second, "last.done", count)
    for name in ("sample0", "sample1", "nats0", "nats1", "status"):
        assert second.locator(f"#{name}").inner_text() == page.locator(f"#{name}").inner_text(), name
    assert page.locator("#status").inner_text().startswith("384 characters read")
    page.locator("#afresh").click()
    until(page, "last !== null && last.done === 0")
    assert page.locator("#run").inner_text() == "Start" and first.complaints == []


def test_a_pasted_text_is_learned_and_one_too_short_is_refused(browser: Browser, file: Path) -> None:
    found = opened(browser, file)
    page = found.page
    page.locator("#lesson").fill("Too short.")
    until(page, "byId('problem').hidden", False)
    assert "paste at least 1,000" in page.locator("#problem").inner_text()
    page.locator("#run").click()
    assert page.locator("#run").inner_text() == "Start"
    # More kinds of characters than are told apart, and few windows: all is said, nothing fails.
    page.locator("#lesson").fill("".join(chr(0x4E00 + n % 255) for n in range(1200)))
    until(page, "last && facts?.symbols", 255)
    assert page.locator("#problem").is_hidden() and "the rarest" not in page.locator("#about").inner_text()
    page.locator("#lesson").fill("".join(chr(0x4E00 + n % 256) for n in range(1200)))
    until(page, "last && facts?.symbols", 256)
    assert "the rarest counted as one" in page.locator("#about").inner_text()
    page.locator("#file").set_input_files(Path(__file__).parents[2] / "corpora/river.txt")
    until(page, "last && facts?.training", 63886)
    page.locator("#step").click()
    until(page, "last.done", 1)
    assert found.complaints == []


def test_gradients_explode_and_are_caught_unless_they_are_clipped(browser: Browser, file: Path) -> None:
    found = opened(browser, file)
    page = found.page
    page.locator("#explode").click()
    until(page, "last !== null && last.networks[1].skipped > 2", tries=400)
    page.locator("#run").click()
    assert page.locator("#skipped1").is_visible() and int(page.locator("#skipped1").inner_text()) > 2
    assert page.locator("#skipped0").is_hidden() and page.evaluate("results[1].norm.points[0][1]") > 100
    page.locator("#clip").select_option("1")
    page.locator("#afresh").click()
    until(page, "last !== null && last.done === 0")
    page.locator("#run").click()
    until(page, "last.done > 8", tries=400)
    page.locator("#run").click()
    assert page.locator("#skipped1").is_hidden()
    assert found.complaints == []


def test_without_its_script_it_says_what_it_needs(browser: Browser, file: Path) -> None:
    page = Opened(browser, file, java_script_enabled=False).page
    assert "needs JavaScript" in page.locator("noscript").inner_text()
