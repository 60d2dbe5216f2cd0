"""The page that learns is one whole file, and the one in docs/. What it computes: tests/extras/test_playground*.py."""

import re
from pathlib import Path

import pytest

from charrnn.export import playground as export
from charrnn.export.playground import playground

from .cases import each
from .conftest import CommandLine

DOCS = Path(__file__).parents[1] / "docs"


def test_the_page_of_the_documents_is_the_one_that_is_written(charrnn: CommandLine) -> None:
    done = charrnn("page", "--train", "-o", "x.html")
    assert done.code == 0 and re.search(r"written: x\.html, 0\.1 MB", done.err), done.err
    assert (DOCS / "playground.html").read_text("utf-8") == Path("x.html").read_text("utf-8"), "run: make docs"


def test_the_file_is_whole_by_itself() -> None:
    page = playground()
    assert "{{" not in page and "default-src 'none'" in page
    assert not re.search(
        r"""(src|href)=|url\((?!#)|@import|https?:(?!//www\.w3\.org/2000/svg)|\bfetch\(|importScripts""", page
    )
    # Its first text: whole fables, long enough to be learned from.
    (text,) = re.findall(r"<textarea[^>]*>(.*?)</textarea>", page, re.DOTALL)
    assert text.startswith("THE HERON LETS HIS SHADE\n") and 30_000 < len(text) < 40_000 and text.endswith(".\n")


@each("arguments", [["fables", "--train"], ["--train", "--checkpoints", "x"]])
def test_a_page_that_learns_has_no_model(charrnn: CommandLine, arguments: list[str]) -> None:
    done = charrnn("page", *arguments)
    assert done.code == 2 and done.err.count("\n") == 1 and "leave out the model, or --train" in done.err


def test_a_missing_corpus_is_told(monkeypatch: pytest.MonkeyPatch, charrnn: CommandLine) -> None:
    monkeypatch.setattr(export, "bundled", lambda name: None)
    done = charrnn("page", "--train")
    assert done.code == 1 and "install charrnn anew" in done.err
