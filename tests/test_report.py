"""The page of a scored text: its numbers are those of the arrays, it fetches nothing, and no text breaks it."""

import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from charrnn import api
from charrnn.plotting import report as module
from charrnn.plotting.bars import LINES, Bars, nice
from charrnn.plotting.report import Report
from charrnn.plotting.shading import ASKED, CLASSES, STEPS
from charrnn.scoring.predict import predict
from charrnn.scoring.predictions import Predictions
from charrnn.text.dataset import encode_scored
from charrnn.text.tokenizers.byte import ByteTokenizer
from charrnn.text.tokenizers.char import CharTokenizer
from tests.conftest import CommandLine

HOSTILE = (
    "<script>alert('1')</script>\n\"><img src=x onerror=a()> &amp; {{text}} \u202eevil"
    "\x00\x1b[31m\x7f\r\n</i></div>\t.\n"
)


class Page(HTMLParser):
    """What a browser would see: elements with their attributes, marked places by where they stand, cells of tables."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.spans: dict[str, list[tuple[dict[str, str | None], str]]] = {"text": [], "passages": [], "legend": []}
        self.cells: list[str] = []
        self._part, self._open = "", ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        told = dict(attributes)
        self.tags.append((tag, told))
        self._open = tag
        for name in (told.get("id"), told.get("class")):
            # Passages are of the class "text" as well.
            if name in self.spans and not (name == "text" and told.get("id") is None):
                self._part = str(name)
        if tag == "i":
            self.spans[self._part].append((told, ""))
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open == "i":
            told, text = self.spans[self._part][-1]
            self.spans[self._part][-1] = told, text + data
        if self._open in ("td", "th"):
            self.cells[-1] += data


def scored(text: str, size: int = 5, seed: int = 0) -> tuple[CharTokenizer, Predictions]:
    """A model's predictions of a text, made up: all that a page tells."""
    tokenizer = CharTokenizer.train([text])
    tokens = tokenizer.encode(text).astype(np.int64)
    draw = np.random.default_rng(seed)
    shape = (tokens.size, size)
    return tokenizer, Predictions(
        tokens, draw.exponential(2.0, tokens.size), rank=draw.integers(0, 9, tokens.size),
        top=draw.integers(0, tokenizer.size + 1, shape), top_nll=draw.exponential(2.0, shape),
    )  # fmt: skip


def page_of(text: str) -> tuple[str, Predictions]:
    tokenizer, predictions = scored(text)
    report = Report(tokenizer)
    report.push(text, predictions)
    return report.html(
        "a <title> & more", {"bpc": 2.0, "adapted": {"bpc": 1.5}, "bpb": None, "text": "<b>"}
    ), predictions


def fetches_nothing(html: str) -> None:
    """No address, and nothing that a browser would load; the policy forbids it as well."""
    told = Page(html).tags
    assert "default-src 'none'" in html and html.count("<script>") == html.count("</script>") == 1
    assert not {"img", "link", "iframe", "object", "base", "form"} & {tag for tag, _ in told}
    for _, attributes in told:
        assert not {"src", "onerror", "onclick", "style", "srcset", "data"} & attributes.keys()
        assert (attributes.get("href") or "#").startswith("#")
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style and "@import" not in style and "http" not in style


def test_every_character_is_in_the_text_once_with_its_numbers(prose: str) -> None:
    text = prose[:3000]
    html, predictions = page_of(text)
    spans = Page(html).spans["text"]
    assert "".join(content for _, content in spans) == text and len(spans) == len(text)
    bits = predictions.nll / math.log(2)
    assert predictions.rank is not None and predictions.top_nll is not None
    for (told, _), own, rank, top_nll in zip(spans, bits, predictions.rank, predictions.top_nll, strict=True):
        title, step = str(told["title"]), CLASSES.index(str(told["class"])[0])
        assert title.startswith(f"{own:.2f} bits, " + (f"rank {rank};" if rank else "not in the vocabulary;"))
        assert re.findall(r" (\S+)%", title) == [f"{100 * math.exp(-nats):.2g}" for nats in top_nll]
        assert step == sum(own >= bound for bound in STEPS)


def test_a_page_fetches_nothing_and_shows_hostile_text_as_text() -> None:
    text = HOSTILE * 3
    html, _ = page_of(text)
    fetches_nothing(html)
    spans = Page(html).spans["text"]
    shown = "".join(content for _, content in spans)
    for raw, picture in (("\x00", "␀"), ("\x1b", "␛"), ("\x7f", "␡"), ("\r", "␍"), ("\u202e", "\ufffd")):
        assert raw not in html
        text = text.replace(raw, picture)
    assert shown == text and "<script>alert" not in html and "<img" not in html and "a &lt;title&gt; &amp; more" in html
    assert re.search(r"<i[^>]*>[^<>\"']</i>", html) and "<b>" not in html
    # Half a surrogate, as a byte that is no UTF-8 is read.
    broken = b"a\xffb".decode("utf-8", "surrogateescape")
    report = Report(ByteTokenizer())
    report.push(broken, Predictions(ByteTokenizer().encode(broken).astype(np.int64), np.ones(3)))
    assert "".join(content for _, content in Page(report.html("t", {})).spans["text"]) == "a\ufffdb"
    report.html("t", {}).encode()


def test_charts_and_figures_hold_the_numbers(prose: str) -> None:
    text = prose[:3000]
    html, predictions = page_of(text)
    bits = predictions.nll / math.log(2)
    titles = [
        [(label, float(value), int(count.replace(",", ""))) for label, value, count in re.findall(
            r"<title>([^<]+): (\S+) \(([\d,]+)\)</title>", svg)]
        for svg in re.findall(r"<svg.*?</svg>", html, re.DOTALL)
    ]  # fmt: skip
    histogram, columns, letters = titles
    for label, share, count in histogram:
        low = float(label.rstrip("+"))
        own = int(((bits >= low) & (bits < (math.inf if label.endswith("+") else low + 0.5))).sum())
        assert count == own and share == pytest.approx(100 * own / len(text), rel=1e-3, abs=1e-9)
    starts = [0, *(place + 1 for place, char in enumerate(text) if char == "\n")]
    first = [bits[start] for start in starts if start < len(text)]
    assert list(columns[0]) == ["1", pytest.approx(np.mean(first), rel=1e-3), len(first)]
    space = [own for own, char in zip(bits, text, strict=True) if char.isspace()]
    assert list(letters[0]) == ["space", pytest.approx(np.mean(space), rel=1e-3), len(space)]
    heights = [float(each) for each in re.findall(r'height="([\d.]+)"><title>', html)][: len(histogram)]
    shares = [share for _, share, _ in histogram]
    assert heights == pytest.approx([share * max(heights) / max(shares) for share in shares], rel=2e-2, abs=0.02)
    cells = Page(html).cells
    assert cells[cells.index("bpc") + 1] == "2" and cells[cells.index("adapted_bpc") + 1] == "1.5"
    assert cells[cells.index("bpb") + 1] == "-" and cells[cells.index("text") + 1] == "<b>"


def test_passages_link_to_their_place_and_are_coloured_alike(prose: str) -> None:
    html, _ = page_of(prose[:3000])
    page = Page(html)
    ids = {told["id"] for _, told in page.tags if "id" in told}
    links = [str(told["href"])[1:] for tag, told in page.tags if tag == "a"]
    assert len(links) == len(set(links)) > 8 and ids >= set(links)
    in_text = {(told["title"], content) for told, content in page.spans["text"]}
    assert {(told["title"], content) for told, content in page.spans["passages"]} <= in_text


def test_of_a_long_text_the_beginning_is_shown_and_the_charts_are_of_the_whole(
    prose: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SHOWN", 1000)
    text = prose[:3000]
    tokenizer, predictions = scored(text)
    whole = Report(tokenizer)
    whole.push(text, Predictions(predictions.tokens, predictions.nll), predictions[:1000])
    html = whole.html("t", {})
    spans = Page(html).spans
    assert "".join(content for _, content in spans["text"]) == text[:1000]
    assert all(" bits, " in str(told["title"]) for told, _ in spans["text"])
    assert "The first 1,000 of 3,000 characters." in html
    assert any(" bits, " not in str(told["title"]) for told, _ in spans["passages"]), "only bits are known further on"
    parts = Report(tokenizer)
    for first in range(0, 3000, 700):
        parts.push(text[first : first + 700], predictions[first : first + 700])
    assert "".join(content for _, content in Page(parts.html("t", {})).spans["text"]) == text[:1000]
    assert np.array_equal(parts.profile.histogram, whole.profile.histogram)


def test_fields_without_line_ends_are_lines_of_their_own() -> None:
    report = Report(tokenizer := CharTokenizer.train(["ab"]))
    for text in ("ab", "ba", "ab"):
        report.push(text, Predictions(tokenizer.encode(text).astype(np.int64), np.ones(2)), ends_line=True)
    html = report.html("t", {})
    block = html[html.index('id="text"') :].split("<script>")[0]
    assert [re.sub("<.*?>", "", part) for part in re.findall(r"<div>(.*?)</div>", block)] == ["ab", "ba", "ab"]
    assert report.profile.by_column.counts.tolist()[:3] == [3, 3, 0] == report.profile.by_letter.counts.tolist()[1:4]
    assert [passage.line for passage in (*report.profile.worst, *report.profile.best)] == [1, 2, 3]


def contrast(one: str, other: str) -> float:
    """The ratio of two colours' luminances (WCAG 2.1)."""

    def luminance(colour: str) -> float:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_text_can_be_read_on_every_ground_in_light_and_dark() -> None:
    html, _ = page_of("a b\n" * 20)
    schemes = [
        dict(re.findall(r"--([\w-]+): (#\w{6})", block)) for block in re.findall(r":root \{(.*?)\}", html, re.DOTALL)
    ]
    assert len(schemes) == 2 and schemes[0].keys() == schemes[1].keys()
    for colours in schemes:
        assert contrast(colours["ink"], colours["paper"]) > 7 and contrast(colours["quiet"], colours["paper"]) > 4.5
        assert contrast(colours["chosen"], colours["paper"]) > 4.5 and contrast(colours["bar"], colours["paper"]) > 3
        for ground in "bcdefgh":
            ink = colours["on-hot" if ground in "gh" else "ink"]
            assert contrast(ink, colours[ground]) >= 4.5, (ground, contrast(ink, colours[ground]))


def test_a_colour_begins_at_its_bound() -> None:
    tokenizer = CharTokenizer.train(["a"])
    bits = [0.0, *STEPS, *(step - 0.01 for step in STEPS), math.inf]
    report = Report(tokenizer)
    report.push("a" * len(bits), Predictions(np.zeros(len(bits), np.int64), np.array(bits) * math.log(2)))
    page = Page(report.html("t", {}))
    classes = [told["class"] for told, _ in page.spans["text"]]
    assert classes == ["a", *CLASSES[1:], *CLASSES[:-1], CLASSES[-1]]
    legend = [(told["class"], text) for told, text in page.spans["legend"]]
    assert legend[0] == ("a", "under 0.5") and legend[3] == ("d", "2–4") and legend[-1] == ("h", "12 and more")


def test_a_bar_ends_at_its_number_on_the_axis() -> None:
    svg = Bars("t", "x", "y", ["a", "b", "c"], [1.0, 3.5, 0.0], [1, 2, 3]).svg()
    axis = {float(value): float(y) - 4 for y, value in re.findall(r'y="([\d.]+)" class=y>([\d.]+)<', svg)}
    assert set(axis) == {0.0, 1.0, 2.0, 3.0, 4.0}
    bars = [tuple(map(float, bar)) for bar in re.findall(r'y="([\d.]+)" width="[\d.]+" height="([\d.]+)"', svg)]
    assert [y for y, _ in bars] == pytest.approx([axis[1.0], (axis[3.0] + axis[4.0]) / 2, axis[0.0]], abs=0.1)
    assert [y + tall for y, tall in bars] == pytest.approx([axis[0.0]] * 3, abs=0.1)


def test_bars_of_nothing_and_of_what_is_not_finite() -> None:
    for values in ([], [None, None], [0.0, None], [math.inf, 1.0]):
        bars = Bars("t", "x", "y", ["a", "b"][: len(values)], values, [1, 2][: len(values)])
        assert bars.svg().count("<rect") == sum(value is not None and math.isfinite(value) for value in values)
        assert "nan" not in bars.html()
    for step in (0.003, 0.1, 1.0, 1.01, 7.0, 20.0, 5e9):
        assert step <= nice(step) * (1 + 1e-9) and nice(step) < 2.6 * step
    assert nice(0.0) == 1.0 and LINES == 4


def test_eval_writes_a_page_of_what_the_model_held_likely(charrnn: CommandLine, trained: Path, prose: str) -> None:
    text = prose[:400] + "\n\nThe end"
    Path("text.txt").write_text(text, encoding="utf-8")
    for run, mode in (("small", []), ("small", ["--lines"]), ("small", ["--reset-every", "9"]), ("lines", [])):
        # Some of its documents are held out, and their figure is by other weights for counts.
        counts = run == "small"
        line = ["eval", "-m", run, "--checkpoints", str(trained), "text.txt", "--threads", "1", "--json", *mode]
        line += [] if counts else ["--no-counts"]
        plain = json.loads(charrnn(*line).out)
        done = charrnn(*line, "--html", "page.html")
        assert done.code == 0 and "written: page.html" in done.err
        assert {**json.loads(done.out), "seconds": 0} == {**plain, "seconds": 0}
        html = Path("page.html").read_text(encoding="utf-8")
        fetches_nothing(html)
        spans = Page(html).spans["text"]
        shown = "".join(content for _, content in spans)
        assert shown == (text if run == "small" else re.sub("\n+", "\n", text) + "\n")
        bits = [float(str(told["title"]).split(" ")[0]) for told, _ in spans]
        assert sum(bits) == pytest.approx(plain["nats"] / math.log(2), abs=0.006 * len(bits))
        model = api.load(run, checkpoints=trained, counts=counts)
        part = encode_scored(model.tokenizer, text, model.documents, lines="--lines" in mode, unknown=False)
        reset = 9 if "--reset-every" in mode else None
        told = predict(model.predictor, part.tokens, part.starts, asked=ASKED, reset_every=reset)
        assert told.rank is not None and told.rank.size == len(spans)
        assert all(f", rank {rank};" in str(span["title"]) for (span, _), rank in zip(spans, told.rank, strict=True))
    refused = charrnn(
        "eval", "--checkpoints", str(trained), "-m", "small", "-m", "lines", "text.txt", "--html", "p.html"
    )
    assert refused.code == 2 and "--html is of one model on one text" in refused.err and not Path("p.html").exists()


def test_a_page_of_an_unknown_character_says_so(charrnn: CommandLine, trained: Path) -> None:
    Path("text.txt").write_text("The hérön", encoding="utf-8")
    line = ["eval", "-m", "small", "--checkpoints", str(trained), "text.txt", "--unk", "--html", "page.html"]
    assert charrnn(*line, "--threads", "1").code == 0
    spans = Page(Path("page.html").read_text(encoding="utf-8")).spans["text"]
    assert "".join(content for _, content in spans) == "The hérön"
    assert [content for told, content in spans if "not in the vocabulary" in str(told["title"])] == ["é", "ö"]


def test_score_writes_a_page_of_the_lines_it_scored(charrnn: CommandLine, trained: Path, prose: str) -> None:
    text = prose[:400] + "\n\nThe end"
    Path("text.txt").write_text(text, encoding="utf-8")
    Path("fields.tsv").write_text("1\tThe end\n2\tof it\n", encoding="utf-8")
    for run in ("small", "lines"):
        line = ["score", "-m", run, "--checkpoints", str(trained), "--threads", "1"]
        for mode in (
            [],
            ["--carry"] if run == "small" else [],
            ["--per", "token", "--top", "2", "--json"],
            ["--per", "word"],
        ):
            plain = charrnn(*line, *mode, "text.txt")
            done = charrnn(*line, *mode, "text.txt", "--html", "page.html")
            assert done.code == plain.code == 0, (run, mode)
            # What is told of each place is computed in another way, which differs by less than 1e-6.
            floats = re.compile(r"\d+\.\d+(?:e-\d+)?")
            assert floats.sub("", done.out) == floats.sub("", plain.out), (run, mode)
            assert [float(one) for one in floats.findall(done.out)] == pytest.approx(
                [float(one) for one in floats.findall(plain.out)], rel=1e-6
            )
            html = Path("page.html").read_text(encoding="utf-8")
            fetches_nothing(html)
            page = Page(html)
            shown = "".join(content for _, content in page.spans["text"])
            assert shown == (text if run == "small" else re.sub("\n+", "\n", text)), (run, mode)
            assert all(" bits, rank " in str(told["title"]) for told, _ in page.spans["text"])
        totals = [float(total) for total in charrnn(*line, "-q", "text.txt").out.split()]
        charrnn(*line, "-q", "text.txt", "--html", "page.html")
        cells = Page(Path("page.html").read_text(encoding="utf-8")).cells
        assert float(cells[cells.index("surprisal") + 1]) == pytest.approx(sum(totals), rel=1e-5)
        assert charrnn(*line, "--column", "2", "fields.tsv", "--html", "page.html").code == 0
        page = Page(Path("page.html").read_text(encoding="utf-8"))
        assert "".join(content for _, content in page.spans["text"]) == "The end\nof it\n"
