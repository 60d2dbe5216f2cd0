"""Headless Chromium, and a page opened in it. `CHROMIUM` names the browser where it is not on the path."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

# What a browser would do of its own accord on a network.
ALONE = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


@contextmanager
def chromium() -> Iterator[Browser]:
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    assert found, "these tests need Chromium: install it, or name it in CHROMIUM"
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=found, args=ALONE)
        yield started
        started.close()


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


def until(page: Page, expression: str, wanted: object = True, tries: int = 100) -> None:
    """Ask until it is so: the page's policy lets nobody wait inside it."""
    for _ in range(tries):
        if (found := page.evaluate(expression)) == wanted:
            return
        page.wait_for_timeout(50)
    assert found == wanted
