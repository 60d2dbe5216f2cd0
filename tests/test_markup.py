"""What a notebook shows of a model, a score, a sample, a surprisal: whole, escaped, and of bounded size."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np

from charrnn import api, markup
from charrnn.generation.samples import Sample

MODEL = Path(__file__).with_name("golden") / "f4-run-lines"
NASTY = "<b>&\"'\x00\u202e\ud800\n"


class Reader(HTMLParser):
    """The text of some HTML, its titles, its elements, which all end."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.titles, self.open, self.seen = "", list[str](), list[str](), set[str]()
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.seen.add(tag)
        self.titles += [value or "" for name, value in attrs if name == "title"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_model_and_a_score_are_tables() -> None:
    model = api.load(MODEL)
    shown = Reader(model._repr_html_())
    assert "table" in shown.seen and model.config.size in shown.text and model.name in shown.text
    score = model.score("The heron")
    told = Reader(score._repr_html_())
    assert "table" in told.seen and f"{score.bpc:,.6g}" in told.text and f"{score.nats:,.6g}" in told.text


def test_a_sample_is_its_text_and_markup_in_it_is_text() -> None:
    shown = Reader(Sample(0, 7, NASTY, "length", (1, 2), (-1.0, -2.0))._repr_html_())
    assert shown.seen == {"pre", "small"}
    assert shown.text.startswith("<b>&\"'\u2400\ufffd\ufffd\n") and "seed 7, 2 tokens, 2.164 bits a token" in shown.text
    assert Reader(markup.table(NASTY, {NASTY: NASTY})).text.count("<b>") == 3


def test_a_text_is_shaded_by_its_bits() -> None:
    model = api.load(MODEL)
    text = "The heron\nand the fox"
    for per in ("char", "word", "line"):
        rows = model.surprisal(text, per=per)
        shown = Reader(rows._repr_html_() or "")
        assert shown.text.replace("↵", "").startswith(text), (per, shown.text)
        assert [float(title.split()[0]) for title in shown.titles] == np.round(rows["surprisal"], 2).tolist()
    grounds = re.findall(r"rgba\([\d, ]+, ([\d.]+)\)", markup.shaded([("a", 0.1), ("b", 6.0), ("c", 99.0)], ""))
    assert grounds == ["0.38", "0.75"], "what was expected has none"
    column: Any = rows["surprisal"]
    assert column._repr_html_() is None


def test_what_is_long_is_cut() -> None:
    shown = markup.SHOWN
    for html in (markup.written("é" * (shown + 5), ""), markup.shaded([("x", 1.0)] * (shown + 5), "")):
        assert Reader(html).text.endswith(" … 5 characters more")
