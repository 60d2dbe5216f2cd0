"""Splitting: a stream in exact stretches, documents whole and drawn."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from charrnn.errors import ConfigError, CorpusError
from charrnn.text import documents as documents_module
from charrnn.text import stretches
from charrnn.text.corpus import Corpus
from charrnn.text.documents import SEPARATORS, join_documents, looks_like_lines, split_documents
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
    found = ["".join(split.part(name, corpus)) for name in PARTS]
    assert [split.has(name) for name in PARTS[1:]] == [bool(part) for part in found[1:]]
    return found


def distinct(length: int) -> str:
    return "".join(chr(0x4E00 + i) for i in range(length))


def naive_documents(text: str, documents: str) -> list[str]:
    """Line by line: in a text of paragraphs, a line of white space ends one; a line of it is never a document."""
    found: list[list[str]] = [[]]
    for line in text.split("\n"):
        if documents == "lines" or not line.strip():
            found.append([])
        if line.strip():
            found[-1].append(line)
    return ["\n".join(lines) for lines in found if lines]


@each("length", [1, 9, 10, 11, 99, 100, 101, 999, 1003, 15394])
@each("size", [7, 1 << 22])
def test_the_first_nine_tenths_train_and_the_rest_validates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int, size: int
) -> None:
    monkeypatch.setattr(stretches, "CHUNK_BYTES", size)
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
        patch.setattr(stretches, "CHUNK_BYTES", size)
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
SHARES = st.sampled_from([None, 0.1, 0.3, 0.45])


@settings(deadline=None, max_examples=150)
@given(
    text=DOCUMENTS,
    documents=st.sampled_from(["lines", "paragraphs"]),
    valid=SHARES,
    test=SHARES,
    size=st.sampled_from([1, 2, 3, 5, 1 << 22]),
)
def test_every_document_is_whole_in_one_part_and_parts_keep_the_order_of_the_text(
    tmp_path_factory: pytest.TempPathFactory,
    text: str,
    documents: str,
    valid: float | None,
    test: float | None,
    size: int,
) -> None:
    whole = [f"{number}{document}" for number, document in enumerate(naive_documents(text, documents))]
    assume(whole)
    separator = SEPARATORS[documents]
    assert separator is not None
    corpus = corpus_of(tmp_path_factory.getbasetemp(), separator.join(whole), "documents.txt")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stretches, "CHUNK_BYTES", size)
        split = split_of(corpus, documents=documents, valid=valid, test=test)
        parts = [naive_documents(part, documents) for part in texts(split, corpus)]

    assert sorted(document for part in parts for document in part) == sorted(whole)
    assert all(part == [document for document in whole if document in part] for part in parts)
    # As many as their share says, to the nearest whole one, but at least one, and one at least to train on.
    assert parts[0] and split.count == len(whole)
    for part, share, held in zip(parts[1:], (valid, test), split.held_out, strict=True):
        assert len(part) == held
        assert (held == 0) if share is None else abs(held - share * len(whole)) <= 1 or len(parts[0]) == 1


def test_documents_are_drawn_the_same_ones_each_time_and_from_all_over_the_text(tmp_path: Path) -> None:
    names = [f"{number:04}" for number in range(2000)]
    corpus = corpus_of(tmp_path, "\n".join(names))
    split = split_of(corpus, documents="lines", valid=0.1, test=0.2)
    drawn = texts(split, corpus)
    assert drawn == texts(split, corpus) == texts(split_of(corpus, documents="lines", valid=0.1, test=0.2), corpus)
    assert [len(part.split()) for part in drawn] == [1400, 200, 400]
    for part, share in zip(drawn, (0.7, 0.1, 0.2), strict=True):
        quarters = [sum(int(name) // 500 == quarter for name in part.split()) for quarter in range(4)]
        assert quarters == pytest.approx([500 * share] * 4, rel=0.3)
    assert drawn != texts(replace(split, drawn=1), corpus)


def test_documents_of_an_older_run_stay_cut_as_they_were(tmp_path: Path) -> None:
    """Its record knows nothing of drawing: both parts are stretches, and files are joined without a border."""
    first, second = corpus_of(tmp_path, "a\nb\nc", "1.txt"), corpus_of(tmp_path, "d\ne\n", "2.txt")
    corpus = Corpus([*first.sources, *second.sources])
    old = {"sources": corpus.sources, "sha256": "", "documents": "lines", "chars": 9, "train_end": 7, "valid_end": 9}
    assert texts(Split.from_json(old), corpus) == ["a\nb\ncd\n", "e\n", ""]


@each("documents, joined", [("lines", ["a", "b", "c", "d"]), ("paragraphs", ["a\nb", "c\nd"])])
@each("ending", ["", "\n", "\n\n\n"])
def test_the_end_of_a_file_is_the_end_of_a_document(
    tmp_path: Path, documents: str, joined: list[str], ending: str
) -> None:
    first, second = corpus_of(tmp_path, f"a\nb{ending}", "1.txt"), corpus_of(tmp_path, "c\nd", "2.txt")
    corpus = Corpus([*first.sources, *second.sources])
    split = split_of(corpus, documents=documents)
    assert naive_documents(texts(split, corpus)[0], documents) == joined
    assert split.chars == len(f"a\nb{ending}c\nd")
    assert texts(split_of(corpus), corpus)[0] == f"a\nb{ending}c\nd"


def default_of(corpus: Corpus, documents: str) -> Split:
    return split_corpus(corpus, corpus.survey(), documents=documents, valid=None, test=None, choose=True)


def test_unless_told_a_stream_holds_out_a_twentieth_and_a_list_a_tenth_of_its_documents(tmp_path: Path) -> None:
    for length, held in [(3999, 0), (4000, 200), (100_000, 5000)]:
        split = default_of(corpus_of(tmp_path, "a" * length), "stream")
        assert split.valid_end - split.train_end == held
    for count, held in [(1, 0), (49, 0), (50, 5), (300, 30), (1999, 200), (2000, 100), (5000, 250)]:
        assert default_of(corpus_of(tmp_path, "ab\n" * count), "lines").held_out == (held, 0)
    # Few documents, but long ones.
    assert default_of(corpus_of(tmp_path, f"{'a' * 1000}\n" * 6), "lines").held_out == (1, 0)


@each("wrong", [{"held_out": [3, 2]}, {"held_out": [-1, 0]}, {"held_out": [1]}, {"count": 1}])
def test_more_held_out_than_there_are_documents_is_refused(wrong: dict[str, object]) -> None:
    right = {"sources": ["a"], "sha256": "", "documents": "lines", "chars": 9, "train_end": 9, "valid_end": 9}
    with pytest.raises(ConfigError, match="held out"):
        Split.from_json({**right, "drawn": 0, "count": 4, "held_out": [2, 1], **wrong})


@settings(deadline=None, max_examples=150)
@given(text=DOCUMENTS, documents=st.sampled_from(list(SEPARATORS)), size=st.integers(1, 6))
def test_documents_are_the_same_whatever_the_chunks(text: str, documents: str, size: int) -> None:
    chunks = [text[i : i + size] for i in range(0, len(text), size)]
    expected = chunks if SEPARATORS[documents] is None else naive_documents(text, documents)
    assert list(split_documents(chunks, documents)) == expected


def test_a_document_keeps_its_inner_line_ends_and_spaces() -> None:
    text = "\n\n one\ntwo \n\n\n three\n\n\n\n\nfour\n"
    assert list(split_documents([text], "paragraphs")) == [" one\ntwo ", " three", "four"]


def test_a_line_of_white_space_is_an_empty_line() -> None:
    text = "  \none\n two\n \t\nthree\n\n   \n\nfour\n  "
    for size in (1, 2, 3, 100):
        chunks = [text[i : i + size] for i in range(0, len(text), size)]
        assert list(split_documents(chunks, "paragraphs")) == ["one\n two", "three", "four"]
        assert list(split_documents(chunks, "lines")) == ["one", " two", "three", "four"]


def test_a_joined_text_gives_its_documents_again_in_chunks_of_their_size() -> None:
    documents = [f"{number}\nand more" for number in range(50)]
    patch = pytest.MonkeyPatch()
    patch.setattr(documents_module, "BATCH_CHARS", 30)
    chunks = list(join_documents(documents, "\n\n"))
    patch.undo()
    assert len(chunks) == 17 and "".join(chunks) == "".join(f"{document}\n\n" for document in documents)
    assert list(split_documents(chunks, "paragraphs")) == documents


def test_a_list_of_names_looks_like_lines_and_prose_verse_and_few_lines_do_not(prose: str) -> None:
    names = "".join(f"Name {number}\n" for number in range(100))
    assert looks_like_lines(names) and looks_like_lines("\n" + names + "\n")
    verse = "".join(f"and so it was the morning {number}\n" for number in range(100))
    for text in (prose, verse, names.replace("\n", "\n\n"), "".join(names.splitlines(True)[:20]), "", "\n" * 99):
        assert not looks_like_lines(text)


def test_a_text_of_several_files_is_known_again_also_by_what_older_versions_kept(tmp_path: Path) -> None:
    files = []
    for name, text in (("a", "some "), ("b", "words")):
        (tmp_path / name).write_text(text)
        files.append(str(tmp_path / name))
    corpus = Corpus(files)
    split = split_corpus(corpus, corpus.survey(), valid=None, test=None)
    older = replace(split, hashes=(), sha256=hashlib.sha256(b"some words").hexdigest())
    assert split.is_of(corpus) and older.is_of(corpus)
    (tmp_path / "b").write_text("wordt")
    changed = Corpus(files)
    changed.survey()
    assert not split.is_of(changed) and not older.is_of(changed)
