"""Splitting: contiguous, exact, whole documents."""

import hashlib
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from charrnn.errors import ConfigError, CorpusError
from charrnn.text import corpus as corpus_module
from charrnn.text.corpus import Corpus
from charrnn.text.documents import SEPARATORS, split_documents
from charrnn.text.split import Split, split_corpus

from .cases import each

PARTS = ("train", "valid", "test")


def corpus_of(folder: Path, text: str, name: str = "text.txt") -> Corpus:
    file = folder / name
    file.write_bytes(text.encode())
    return Corpus([str(file)])


def split_of(
    corpus: Corpus, *, documents: str = "stream", valid: float | str | None = None, test: float | str | None = None
) -> Split:
    return split_corpus(corpus, corpus.survey(), documents=documents, valid=valid, test=test)


def texts(split: Split, corpus: Corpus) -> list[str]:
    return ["".join(split.part(name, corpus)) for name in PARTS]


def distinct(length: int) -> str:
    return "".join(chr(0x4E00 + i) for i in range(length))


def naive_documents(text: str, separator: str) -> list[str]:
    return [stripped for document in text.split(separator) if (stripped := document.strip("\n"))]


def naive_border(text: str, at: int, separator: str) -> int:
    ends = (end for end in range(max(at, len(separator)), len(text)) if text[:end].endswith(separator))
    return next(ends, len(text))


@each("length", [1, 9, 10, 11, 99, 100, 101, 999, 1003, 15394])
@each("size", [7, 1 << 22])
def test_the_first_nine_tenths_train_and_the_rest_validates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int, size: int
) -> None:
    monkeypatch.setattr(corpus_module, "CHUNK_BYTES", size)
    text = distinct(length)
    corpus = corpus_of(tmp_path, text)
    end = int(length * 0.9)
    assert texts(split_of(corpus, valid=0.1), corpus) == [text[:end], text[end:], ""]


def test_tiny_shakespeare_is_split_where_everybody_splits_it(tmp_path: Path) -> None:
    split = split_of(corpus_of(tmp_path, "a" * 1_115_394), valid=0.1)
    assert (split.train_end, split.valid_end - split.train_end) == (1_003_854, 111_540)


def test_the_split_counts_characters_after_line_ends_are_normalised(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, "a\r\n" * 100)
    assert texts(split_of(corpus, valid=0.1), corpus) == ["a\n" * 90, "a\n" * 10, ""]


@settings(deadline=None, max_examples=60)
@given(
    length=st.integers(1, 60), valid=st.floats(0, 0.49), test=st.floats(0, 0.49), size=st.sampled_from([3, 8, 1 << 22])
)
def test_the_parts_follow_one_another_without_gap_or_overlap(
    tmp_path_factory: pytest.TempPathFactory, length: int, valid: float, test: float, size: int
) -> None:
    text = distinct(length)
    corpus = corpus_of(tmp_path_factory.getbasetemp(), text, "parts.txt")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpus_module, "CHUNK_BYTES", size)
        parts = texts(split_of(corpus, valid=valid, test=test), corpus)

    assert "".join(parts) == text
    assert [len(part) for part in parts] == pytest.approx(
        [length * (1 - valid - test), length * valid, length * test], abs=1
    )


def test_training_validation_and_test_come_in_this_order(tmp_path: Path) -> None:
    text = distinct(100)
    corpus = corpus_of(tmp_path, text)
    assert texts(split_of(corpus, valid=0.25, test=0.5), corpus) == [text[:25], text[25:50], text[50:]]
    assert texts(split_of(corpus, test=0.5), corpus) == [text[:50], "", text[50:]]
    assert texts(split_of(corpus), corpus) == [text, "", ""]


def test_a_part_may_be_a_file_of_its_own(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, "training")
    valid, test = (corpus_of(tmp_path, name, name).sources[0] for name in ("validating", "testing"))
    assert texts(split_of(corpus, valid=valid, test=test), corpus) == ["training", "validating", "testing"]
    assert texts(split_of(corpus, valid=valid, test=0.5), corpus) == ["trai", "validating", "ning"]


@each("name", ["valid", "test"])
def test_a_part_that_is_a_file_is_known_by_its_content(tmp_path: Path, name: str) -> None:
    corpus, file = corpus_of(tmp_path, "training"), corpus_of(tmp_path, "held out", "part").sources[0]
    split = split_of(corpus, valid=file) if name == "valid" else split_of(corpus, test=file)
    Path(file).write_text("another")
    with pytest.raises(CorpusError, match="part has changed since the run began"):
        list(split.part(name, corpus))
    # Runs of older versions do not know what their file was.
    assert list(replace(split, valid_sha256=None, test_sha256=None).part(name, corpus)) == ["another"]
    Path(file).write_text("held out")
    assert list(split.part(name, corpus)) == ["held out"]
    Path(file).write_text("")
    with pytest.raises(CorpusError, match="holds no text"):
        split_of(corpus, valid=file)


@each("valid, test", [(1.0, None), (None, 1.0), (0.5, 0.5), (0.6, 0.5), (-0.1, None), (None, -0.1), (1.5, -1.0)])
def test_shares_that_leave_nothing_to_train_on_are_refused(
    tmp_path: Path, valid: float | None, test: float | None
) -> None:
    with pytest.raises(ConfigError, match="leave nothing to train"):
        split_of(corpus_of(tmp_path, "some text"), valid=valid, test=test)


def test_a_share_that_is_no_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        split_of(corpus_of(tmp_path, "some text"), valid=float("nan"))


def test_a_split_remembers_its_corpus_and_comes_back_from_json(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, "a\nb\n" * 50)
    file = corpus_of(tmp_path, "c", "test.txt").sources[0]
    split = split_of(corpus, documents="lines", valid=0.1, test=file)
    assert (split.sources, split.sha256) == (tuple(corpus.sources), corpus.statistics.sha256)
    assert (split.documents, split.chars, split.test_file) == ("lines", 200, file)
    assert (split.valid_sha256, split.test_sha256) == (None, hashlib.sha256(b"c").hexdigest())
    assert Split.from_json(split.to_json()) == split


@each("wrong", [{"train_end": 6}, {"valid_end": 11}, {"train_end": -1}, {"documents": "pages"}])
def test_a_split_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    right = {"sources": ["a"], "sha256": "", "documents": "stream", "chars": 10, "train_end": 5, "valid_end": 5}
    with pytest.raises(ConfigError):
        Split.from_json({"valid_file": None, "test_file": None, **right, **wrong})


DOCUMENTS = st.text("ab \n\n", max_size=40)


@settings(deadline=None, max_examples=150)
@given(
    text=DOCUMENTS,
    documents=st.sampled_from(["lines", "paragraphs"]),
    valid=st.sampled_from([None, 0.1, 0.3, 0.45]),
    test=st.sampled_from([None, 0.2, 0.5]),
    size=st.sampled_from([1, 2, 3, 5, 1 << 22]),
)
def test_documents_are_never_cut_by_the_split(
    tmp_path_factory: pytest.TempPathFactory,
    text: str,
    documents: str,
    valid: float | None,
    test: float | None,
    size: int,
) -> None:
    assume(text)
    corpus = corpus_of(tmp_path_factory.getbasetemp(), text, "documents.txt")
    separator = SEPARATORS[documents]
    assert separator is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpus_module, "CHUNK_BYTES", size)
        split = split_of(corpus, documents=documents, valid=valid, test=test)
        parts = texts(split, corpus)

    assert "".join(parts) == text
    whole = naive_documents(text, separator)
    assert [document for part in parts for document in naive_documents(part, separator)] == whole
    # A part ends with the document that its share falls into.
    shares = [Fraction(str(share or 0)) for share in (valid, test)]
    assert split.train_end == naive_border(text, int(len(text) * (1 - shares[0] - shares[1])), separator)
    assert split.valid_end == naive_border(text, int(len(text) * (1 - shares[1])), separator)


@settings(deadline=None, max_examples=150)
@given(text=DOCUMENTS, documents=st.sampled_from(list(SEPARATORS)), size=st.integers(1, 6))
def test_documents_are_the_same_whatever_the_chunks(text: str, documents: str, size: int) -> None:
    chunks = [text[i : i + size] for i in range(0, len(text), size)]
    separator = SEPARATORS[documents]
    expected = chunks if separator is None else naive_documents(text, separator)
    assert list(split_documents(chunks, documents)) == expected


def test_a_document_keeps_its_inner_line_ends_and_spaces() -> None:
    text = "\n\n one\ntwo \n\n\n three\n\n\n\n\nfour\n"
    assert list(split_documents([text], "paragraphs")) == [" one\ntwo ", " three", "four"]
