"""Splitting and tokenizing: contiguous, exact, whole documents, a tokenizer that has seen the training part alone."""

import os
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from charrnn.errors import ConfigError, CorpusError, VocabularyError
from charrnn.text import corpus as corpus_module
from charrnn.text import token_files as module
from charrnn.text.corpus import Corpus
from charrnn.text.dataset import Dataset, Part, build, encode_part
from charrnn.text.documents import SEPARATORS, split_documents
from charrnn.text.split import Split, split_corpus
from charrnn.text.token_files import smallest_dtype
from charrnn.text.tokenizers.byte import ByteTokenizer
from charrnn.text.tokenizers.char import CharTokenizer
from charrnn.text.tokenizers.subword import SubwordTokenizer

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


def build_of(
    folder: Path, text: str, *, documents: str = "stream", valid: float | None = None, kind: str = "char"
) -> Dataset:
    corpus = corpus_of(folder, text)
    return build(corpus, split_of(corpus, documents=documents, valid=valid), kind=kind)


def distinct(length: int) -> str:
    return "".join(chr(0x4E00 + i) for i in range(length))


def naive_documents(text: str, separator: str) -> list[str]:
    return [stripped for document in text.split(separator) if (stripped := document.strip("\n"))]


def naive_border(text: str, at: int, separator: str) -> int:
    ends = (end for end in range(max(at, len(separator)), len(text)) if text[:end].endswith(separator))
    return next(ends, len(text))


# The split


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
    split = split_of(corpus, documents="lines", valid=0.1, test="test.txt")
    assert (split.sources, split.sha256) == (tuple(corpus.sources), corpus.statistics.sha256)
    assert (split.documents, split.chars, split.test_file) == ("lines", 200, "test.txt")
    assert Split.from_json(split.to_json()) == split


@each("wrong", [{"train_end": 6}, {"valid_end": 11}, {"train_end": -1}, {"documents": "pages"}])
def test_a_split_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    right = {"sources": ["a"], "sha256": "", "documents": "stream", "chars": 10, "train_end": 5, "valid_end": 5}
    with pytest.raises(ConfigError):
        Split.from_json({"valid_file": None, "test_file": None, **right, **wrong})


# Documents


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


@each("documents, expected", [("lines", ["aé", "b", "aé"]), ("paragraphs", ["aé\nb", "aé"])])
def test_each_document_is_followed_by_its_end(documents: str, expected: list[str]) -> None:
    text = "aé\nb\n\naé\n"
    tokenizer = CharTokenizer.train([text])
    part = encode_part(tokenizer, [text], documents)

    ids = [[*tokenizer.encode(document).tolist(), tokenizer.size] for document in expected]
    assert part.tokens.tolist() == [token for document in ids for token in document]
    assert part.starts is not None
    assert part.starts.tolist() == [sum(map(len, ids[:i])) for i in range(len(ids))]
    separator = SEPARATORS[documents]
    assert separator is not None
    assert part.chars == sum(len(document) + len(separator) for document in expected)


def test_one_stream_has_no_documents_and_counts_every_character() -> None:
    part = encode_part(ByteTokenizer(), ["é\n", "\n", "x"], "stream")
    assert part.starts is None
    assert part.chars == 4
    assert part.tokens.tolist() == list("é\n\nx".encode())


# The tokenizer and what it lacks


def test_the_tokenizer_sees_the_training_part_only(tmp_path: Path) -> None:
    data = build_of(tmp_path, "ab" * 45 + "c" * 9 + "a", valid=0.1)

    assert isinstance(data.tokenizer, CharTokenizer)
    assert data.tokenizer.symbols == "ab"
    assert data.valid is not None
    assert data.valid.tokens.tolist() == [3] * 9 + [0]
    assert (data.train.unknown, data.valid.unknown) == (0, 9)
    assert any(note.startswith("9 characters of the validation part do not occur") for note in data.notes)


def test_a_validation_part_without_new_characters_is_not_remarked_on(tmp_path: Path) -> None:
    data = build_of(tmp_path, "ab" * 50, valid=0.1)
    assert data.notes == []
    assert data.valid is not None
    assert data.valid.unknown == 0


@each("documents, symbols", [("stream", "\nabcdef"), ("lines", "abcdef"), ("paragraphs", "\nabcdef")])
def test_a_line_end_between_documents_is_no_symbol_and_one_within_a_paragraph_is(
    tmp_path: Path, documents: str, symbols: str
) -> None:
    data = build_of(tmp_path, "ab\ncd\n\nef\n", documents=documents)
    assert data.tokenizer.decode(range(data.tokenizer.size)) == symbols


def test_the_end_of_a_document_is_no_unknown_character(tmp_path: Path) -> None:
    data = build_of(tmp_path, "ab\n" * 9 + "ac\n", documents="lines", valid=0.1)
    assert data.valid is not None
    assert data.valid.tokens.tolist() == [0, 3, 2]
    assert data.valid.unknown == 1


def test_subword_pieces_are_learned_from_the_training_part_only(tmp_path: Path) -> None:
    training, validation = "the cat sat on the mat\n" * 90, "кот сидел на ковре yes\n" * 10
    data = build_of(tmp_path, training + validation, valid=0.1, kind="subword")
    assert data.tokenizer.spec() == SubwordTokenizer.train([training], 1000).spec()
    assert data.tokenizer.size < 1000
    assert f"the text gives {data.tokenizer.size} subword pieces, not 1000" in data.notes


def test_a_vocabulary_of_the_size_asked_for_is_not_remarked_on(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, "the cat sat down\n" * 90)
    data = build(corpus, split_of(corpus), kind="subword", vocab_size=270)
    assert data.tokenizer.size == 270
    assert data.notes == []


def test_a_tokenizer_that_is_given_is_used_as_it_is(tmp_path: Path) -> None:
    tokenizer = CharTokenizer("xab")
    corpus = corpus_of(tmp_path, "abab")
    data = build(corpus, split_of(corpus), tokenizer=tokenizer, kind="byte")
    assert data.tokenizer is tokenizer
    assert data.train.tokens.tolist() == [1, 2, 1, 2]


def test_what_reading_found_is_passed_on(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, "\ufeffab\r\n")
    data = build(corpus, split_of(corpus))
    assert data.statistics is corpus.statistics
    assert data.notes == corpus.statistics.notes
    assert len(data.notes) == 2


def test_without_a_validation_share_there_is_no_validation_part(tmp_path: Path) -> None:
    assert build_of(tmp_path, "abab").valid is None


def test_unknown_characters_can_be_an_error() -> None:
    with pytest.raises(VocabularyError):
        encode_part(CharTokenizer("ab"), ["abc"], "stream", unknown=False)


@each(
    "text, documents, valid",
    [
        ("a", "stream", None),
        ("a", "stream", 0.1),  # nothing at all is left to train on
        ("ab", "stream", 0.5),
        ("\n\n\n", "lines", None),
        ("\n\n\n", "paragraphs", None),
    ],
)
@each("kind", ["char", "byte"])
def test_too_little_to_train_on_is_an_error_of_the_corpus(
    tmp_path: Path, text: str, documents: str, valid: float | None, kind: str
) -> None:
    with pytest.raises(CorpusError):
        build_of(tmp_path, text, documents=documents, valid=valid, kind=kind)


def test_two_characters_are_enough_to_train_on(tmp_path: Path) -> None:
    assert build_of(tmp_path, "ab").train.tokens.tolist() == [0, 1]


# How ids are kept


@each(
    "ids, dtype",
    [(1, "uint8"), (2, "uint8"), (256, "uint8"), (257, "uint16"), (1 << 16, "uint16"), ((1 << 16) + 1, "uint32")],
)
def test_ids_are_kept_in_the_smallest_type_that_holds_them(ids: int, dtype: str) -> None:
    assert smallest_dtype(ids) == np.dtype(dtype)


@each("size, dtype", [(254, "uint8"), (255, "uint16")])
def test_the_smallest_type_holds_the_two_ids_beyond_the_vocabulary(size: int, dtype: str) -> None:
    tokenizer = CharTokenizer(distinct(size))
    part = encode_part(tokenizer, [distinct(size) + "?"], "lines")
    assert part.tokens.dtype == np.dtype(dtype)
    assert part.tokens.tolist() == [*range(size), size + 1, size]


@each("documents", SEPARATORS)
@each("kind", ["char", "byte"])
def test_a_part_beyond_the_threshold_is_mapped_from_a_file_that_has_no_name(
    tmp_path: Path, documents: str, kind: str
) -> None:
    pieces = [f"line {i} é\n\nand {i}\n" for i in range(300)]
    tokenizer = CharTokenizer.train(pieces) if kind == "char" else ByteTokenizer()
    small = encode_part(tokenizer, pieces, documents)
    folder = tmp_path / "run"
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "IN_MEMORY_BYTES", 1000)
        # The folder is the one that is named, not the system's.
        patch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
        large = encode_part(tokenizer, pieces, documents, folder=folder)

    assert isinstance(large.tokens, np.memmap)
    assert not isinstance(small.tokens, np.memmap)
    assert os.listdir(folder) == []
    assert large.tokens.dtype == small.tokens.dtype
    np.testing.assert_array_equal(large.tokens, small.tokens)
    assert (large.starts is None) == (small.starts is None) == (documents == "stream")
    np.testing.assert_array_equal(np.asarray(large.starts), np.asarray(small.starts))
    assert (large.chars, large.unknown) == (small.chars, small.unknown)


@each("length, mapped", [(1000, False), (1001, True)])
def test_the_threshold_is_counted_in_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int, mapped: bool
) -> None:
    monkeypatch.setattr(module, "IN_MEMORY_BYTES", 2000)  # two bytes an id
    part = encode_part(ByteTokenizer(), ["a" * 900, "b" * (length - 900)], "stream", folder=tmp_path)
    assert isinstance(part.tokens, np.memmap) == mapped
    assert part.tokens.tolist() == [97] * 900 + [98] * (length - 900)
    assert os.listdir(tmp_path) == []


def test_a_mapped_part_cannot_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IN_MEMORY_BYTES", 10)
    part = encode_part(ByteTokenizer(), ["a" * 100], "stream", folder=tmp_path)
    assert not part.tokens.flags.writeable


def test_both_parts_of_a_large_corpus_are_mapped_in_the_folder_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "IN_MEMORY_BYTES", 50)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    corpus = corpus_of(tmp_path, distinct(1000) * 2)
    folder = tmp_path / "run"
    folder.mkdir()
    data = build(corpus, split_of(corpus, valid=0.5), folder=folder)
    assert data.valid is not None
    np.testing.assert_array_equal(data.train.tokens, data.valid.tokens)
    assert all(isinstance(part.tokens, np.memmap) for part in (data.train, data.valid))
    assert os.listdir(folder) == []


def test_an_empty_part_has_no_tokens() -> None:
    part = encode_part(ByteTokenizer(), [], "stream")
    assert part.tokens.tolist() == []
    assert part.chars == 0


# Its beginning


def test_the_beginning_of_a_part_is_its_first_tokens_or_whole_documents() -> None:
    tokens = np.arange(10, dtype=np.uint8)
    stream, documents = Part(tokens, 10), Part(tokens, 10, np.array([0, 4, 7], np.int64))
    assert stream.beginning(10) is stream and stream.beginning(99) is stream
    assert stream.beginning(6).tokens.tolist() == list(range(6))
    for wanted, size, starts in [(1, 4, [0]), (4, 4, [0]), (5, 7, [0, 4]), (7, 7, [0, 4]), (8, 10, [0, 4, 7])]:
        part = documents.beginning(wanted)
        assert part.starts is not None
        assert (part.tokens.tolist(), part.starts.tolist()) == (list(range(size)), starts)
