"""Samples in colour, on a terminal and as a page: each place as surprising as the model found it."""

import math
import random
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.text import Text

from charrnn import api
from charrnn.api.copies import copied_spans
from charrnn.api.sample_page import reread
from charrnn.console.shading import GROUNDS, Shades
from charrnn.generation.config import SampleConfig
from charrnn.generation.loop import generate
from charrnn.generation.samples import Sample, samples
from charrnn.generation.sequence import TextChunk
from charrnn.generation.spans import Span, SpanReader
from charrnn.inference.reading import read
from charrnn.plotting.shading import CLASSES, STEPS, steps_of
from charrnn.scoring.predictions import Asked
from charrnn.text.copy_index import CopyIndex
from charrnn.text.tokenizers import Tokenizer
from charrnn.text.tokenizers.byte import ByteTokenizer
from charrnn.text.tokenizers.char import CharTokenizer

from .cases import each
from .conftest import CommandLine
from .test_copy_index import random_texts
from .test_generation_loop import engine_of, network

BYTES, LETTERS = ByteTokenizer(), CharTokenizer("abcde ")


# ---- spans


def test_a_span_is_a_character_that_is_whole_and_costs_all_its_tokens() -> None:
    reader = SpanReader(BYTES)
    ids = [*"é".encode(), ord("x"), *"€".encode(), 0xFF, 256]
    costs = [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0]
    found = reader("éx€\ufffd", ids, [-cost for cost in costs])
    assert found == [
        Span("é", 1.5, 2),
        Span("x", 2.0, 1),
        Span("€", 28.0, 3),
        Span("\ufffd", 32.0, 1),
        Span("", 64.0, 1),
    ]


def test_what_is_held_back_waits_and_what_is_cut_off_is_paid_for() -> None:
    reader = SpanReader(LETTERS)
    assert reader("a", [0, 1, 2], [-1.0, -2.0, -3.0]) == [Span("a", 1.0, 1)]
    assert reader("bcd", [3], [-4.0]) == [Span("b", 2.0, 1), Span("c", 3.0, 1), Span("d", 4.0, 1)]
    pieces = SpanReader(BYTES)
    assert pieces("", [0xE2, 0x82], [-1.0, -2.0]) == []
    assert pieces("€", [0xAC, 0x61], [-4.0, -8.0]) == [Span("€", 7.0, 3)]


@each("kind", ["char", "byte"])
@each("stop", [(), ("e", "ab")])
def test_spans_of_a_stream_are_its_text_and_cost_what_its_tokens_do(kind: str, stop: tuple[str, ...]) -> None:
    tokenizer: Tokenizer = BYTES if kind == "byte" else LETTERS
    config = SampleConfig(length=40, temperature=1.0, stop=stop)
    for seed in range(4):
        reader = SpanReader(tokenizer)
        chunks = list(
            generate(engine_of(network(tokenizer, documents=True)), tokenizer, config, seed=seed, logprobs=True)
        )
        spans = []
        for chunk in chunks:
            new = reader(chunk.text, chunk.ids, chunk.logprobs or ())
            assert "".join(span.text for span in new) == chunk.text
            spans += new
        if chunks[-1].finished == "end":  # nothing was cut off
            told = -math.fsum(chunk.logprob or 0 for chunk in chunks)
            assert math.fsum(span.nats for span in spans) == pytest.approx(told)


# ---- read once more


@each("documents", [True, False])
@each("sampler", [None, "masked", "exact", "smc"])
def test_samples_are_read_again_to_the_bit_as_they_were_drawn(documents: bool, sampler: str | None) -> None:
    engine = engine_of(network(LETTERS, documents=documents), "int8")
    pattern: dict[str, Any] = {} if sampler is None else {"match": ("[a-d ]{3,12}",), "sampler": sampler}
    config = SampleConfig(length=12, temperature=0.7, **pattern)
    begun = read(engine, LETTERS.encode("ab").tolist())

    def write(first: int, rows: int) -> Iterator[TextChunk]:
        return generate(engine, LETTERS, config, after=begun, first=first, rows=rows, seed=3, logprobs=True)

    drawn = list(samples(write, 0, 5, 3))
    for sample, told in zip(drawn, reread(engine, begun, drawn, Asked(rank=True, top=2)), strict=True):
        own = (sample.logprobs or ())[: len(told)]
        assert told.tokens.tolist() == list(sample.ids)[: len(told)] and len(told) >= len(sample.text)
        np.testing.assert_allclose(-told.nll, own, rtol=1e-12, atol=1e-12)
        assert told.top is not None and told.top.shape == (len(told), 2)


# ---- copies


@each("seed", range(3))
def test_copied_spans_are_all_that_stand_there_and_in_no_longer_one(seed: int) -> None:
    draw = random.Random(seed)
    for text in random_texts(seed):
        index = CopyIndex.of([text])
        written = "".join(draw.choices([*(text[at : at + 6] for at in range(0, len(text), 5)), "q"], k=9))
        prompt = written[: draw.randrange(4)]
        whole, least = prompt + written, draw.randrange(1, 5)
        expected = []
        for start in range(len(whole)):
            end = max(end for end in range(start, len(whole) + 1) if whole[start:end] in text)
            inside = start > 0 and whole[start - 1 : end] in text
            if end - start >= least and end > len(prompt) and not inside:
                expected.append((start - len(prompt), whole[start:end]))
        found = index.copies(written, prompt, least=least)
        assert [(one.start, one.text) for one in found] == expected, (text, written)
        for one in found:
            before = text[: text.index(one.text)]
            assert one.line == before.count("\n") + 1 and one.length == len(one.text)


def test_a_whole_line_is_a_copy_however_short() -> None:
    index = CopyIndex.of(["Ada\nBerta\n\nAda\nEve"])
    lines = {"Ada": 1, "Berta": 2, "Eve": 5}
    for text in ("Ada", "Berta", "Eve", "Ad", "da", "ve", "erta", "", "Ada\n", "Carl"):
        found = index.line(text)
        assert (found and found.line) == lines.get(text), text
    assert [one.text for one in copied_spans([index], "Eve", line=True)] == ["Eve"]
    assert not copied_spans([index], "Eve", line=False) and not copied_spans([index], "ve", "E", line=True)


# ---- on a terminal


def shades(monkeypatch: pytest.MonkeyPatch, **environment: str) -> Shades:
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return Shades()


def test_text_is_shaded_by_its_bits_and_line_ends_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    spans = [("a", 0.1), ("b\nc", 3.0), ("\n", 20.0), ("d", 9.0)]
    paint = shades(monkeypatch, FORCE_COLOR="1", TERM="xterm", COLORTERM="truecolor")
    shown = paint(spans)
    read = Text.from_ansi(shown)
    assert read.plain == "ab\nc\nd"
    grounds = {read.plain[span.start]: str(span.style) for span in read.spans}
    assert "#dcb877" in grounds["b"] and "#dcb877" in grounds["c"] and "a" not in grounds
    assert "underline" in grounds["d"] and "#ef6a38" in grounds["d"]
    assert "\x1b[0m\n" in shown and len(GROUNDS) == len(CLASSES) == len(STEPS) + 1
    without = shades(monkeypatch, FORCE_COLOR="1", TERM="xterm", NO_COLOR="1")(spans)
    assert Text.from_ansi(without).plain == read.plain and "underline" in str(Text.from_ansi(without).spans[-1].style)
    assert "#" not in "".join(str(span.style) for span in Text.from_ansi(without).spans)
    assert shades(monkeypatch)(spans) == "ab\nc\nd", "standard output is none"
    assert shades(monkeypatch)([]) == ""


def test_the_command_shades_what_it_writes_otherwise(
    charrnn: CommandLine, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLORTERM", "truecolor")
    line = [
        "sample",
        "-m",
        "small",
        "--checkpoints",
        str(trained),
        "--seed",
        "3",
        "-l",
        "80",
        "--temp",
        "1.2",
        "-n",
        "2",
    ]
    line += ["--stop", "qx"]
    plain, piped = charrnn(*line), charrnn(*line, "--colour")
    assert piped.out == plain.out and "standard output shows no colours" in piped.err
    monkeypatch.setenv("FORCE_COLOR", "1")
    for more in ([], ["--sort"], ["--best", "2", "--color"]):
        shaded = charrnn(*line, "--colour", *more)
        assert "\x1b[" in shaded.out
        assert sorted(Text.from_ansi(shaded.out).plain.rstrip("\n").split("\n\n")) == sorted(
            plain.out.rstrip("\n").split("\n\n")
        )
    assert charrnn(*line, "--colour", "--json").code == 2


# ---- as a page


def test_a_page_shows_each_text_with_what_the_model_held_likely(trained: Path) -> None:
    model = api.load("small", checkpoints=trained)
    options: dict[str, Any] = {"rows": 3, "seed": 5, "length": 60, "temperature": 1.1}
    drawn = list(model.samples("The ", **options))
    page = model.page(drawn, "The ", config=SampleConfig.of(length=60, temperature=1.1))
    assert "temperature 1.1, length 60" in page and "seed 6" in page
    bodies = re.findall(r"<div><b>The </b>(.*?)</div>", page, re.S)
    assert len(bodies) == 3
    for sample, body in zip(drawn, bodies, strict=True):
        places = re.findall(r'<i class="([^"]*)"(?: data-line=\d+)? title="([^"]*)">(.*?)</i>', body, re.S)
        assert unescape("".join(text for _, _, text in places)) == sample.text
        bits = [-logprob / math.log(2) for logprob in sample.logprobs or ()]
        assert [float(title.split()[0]) for _, title, _ in places] == pytest.approx(bits, abs=0.0051)
        assert [classes[0] for classes, _, _ in places] == [CLASSES[step] for step in steps_of(bits)]
        for (_, title, text), cost in zip(places, bits, strict=True):
            rank = int(title.split("rank ")[1].split(";")[0])
            assert title.count("%") == 5 and rank >= 1
            if rank == 1 and text.isalpha():
                assert f"; {text} {100 * 2**-cost:.2g}%" in title


def test_a_page_marks_what_is_copied_and_says_where_that_cannot_be_known(
    charrnn: CommandLine, trained: Path, tmp_path: Path, corpus: Path
) -> None:
    model = api.load("small", checkpoints=trained)
    prompt, text = corpus.read_text(encoding="utf-8")[200:210], corpus.read_text(encoding="utf-8")[210:240] + "zqzqx"
    copy = Sample(0, 1, text, "length", tuple(model.tokenizer.encode(text).tolist()))
    html = model.page([copy], prompt)
    marked = unescape("".join(re.findall(r"<i [^>]*data-line=\d+[^>]*>(.*?)</i>", html, re.S)))
    (copied, *_) = model.copy_index.copies(text, prompt, least=20)
    assert copied.length >= 40 and marked == text[: copied.start + copied.length]
    assert f"{copied.length} characters, “" in html and f"stand in line {copied.line} of the training text" in html
    page = tmp_path / "page.html"
    line = ["sample", "-m", "small", "--checkpoints", str(trained), "--seed", "3", "-l", "30", "--html"]
    told = charrnn(*line, str(page))
    assert f"written: {page}" in told.err and unescape(page.read_text(encoding="utf-8")).count("seed 3") == 1
    assert told.out == charrnn(*line[:-1]).out
    assert "no folder" in charrnn(*line, str(tmp_path / "none/page.html")).err
    folder = tmp_path / "moved"
    (folder / "small").mkdir(parents=True)
    (folder / "small/model.safetensors").write_bytes((trained / "small/model.safetensors").read_bytes())
    (trained.parent / "corpus.txt").rename(trained.parent / "away.txt")
    try:
        html = api.load("small", checkpoints=folder).page([copy], prompt)
    finally:
        (trained.parent / "away.txt").rename(trained.parent / "corpus.txt")
    assert "What is copied is not marked: " in html and not re.search(r"<i [^>]*data-line", html)
