"""Tokenizing: documents and their ends, a tokenizer that has seen the training part alone."""

from pathlib import Path

import numpy as np
import pytest

from charrnn.errors import CorpusError, VocabularyError
from charrnn.text import documents as documents_module
from charrnn.text.dataset import Dataset, build, encode_part
from charrnn.text.documents import SEPARATORS
from charrnn.text.part import Part
from charrnn.text.tokenizers.byte import ByteTokenizer
from charrnn.text.tokenizers.char import CharTokenizer
from charrnn.text.tokenizers.subword import SubwordTokenizer

from .cases import each
from .test_split import corpus_of, split_of


def build_of(
    folder: Path, text: str, *, documents: str = "stream", valid: float | None = None, kind: str = "char"
) -> Dataset:
    corpus = corpus_of(folder, text)
    return build(corpus, split_of(corpus, documents=documents, valid=valid), kind=kind)


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


def test_documents_in_several_batches_are_those_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer, text = CharTokenizer("ab"), "a\nbbc\n\nab\nb"
    whole = encode_part(tokenizer, [text], "lines")
    monkeypatch.setattr(documents_module, "BATCH_CHARS", 2)
    some = encode_part(tokenizer, [text], "lines")
    assert some.tokens.tolist() == whole.tokens.tolist() == [0, 2, 1, 1, 3, 2, 0, 1, 2, 1, 2]
    assert some.starts is not None and some.starts.tolist() == [0, 2, 6, 9]
    assert (some.chars, some.unknown) == (whole.chars, whole.unknown) == (11, 1)


def test_one_stream_has_no_documents_and_counts_every_character() -> None:
    part = encode_part(ByteTokenizer(), ["é\n", "\n", "x"], "stream")
    assert part.starts is None
    assert part.chars == 4
    assert part.tokens.tolist() == list("é\n\nx".encode())


def test_the_tokenizer_sees_the_training_part_only(tmp_path: Path) -> None:
    data = build_of(tmp_path, "ab" * 45 + "c" * 9 + "a", valid=0.1)

    assert isinstance(data.tokenizer, CharTokenizer)
    assert data.tokenizer.symbols == "ab"
    assert data.valid is not None
    assert data.valid.tokens.tolist() == [3] * 9 + [0]
    assert (data.train.unknown, data.valid.unknown) == (0, 9)
    assert any(note.startswith("9 characters of the validation part do not occur") for note in data.notes)


def test_a_validation_part_without_new_characters_is_not_remarked_on(tmp_path: Path) -> None:
    data = build_of(tmp_path, "ab" * 1000, valid=0.1)
    assert data.notes == []
    assert data.valid is not None
    assert data.valid.unknown == 0


def test_a_validation_part_too_small_to_judge_by_is_remarked_on(tmp_path: Path) -> None:
    for tokens, remarks in [(199, 1), (200, 0)]:
        notes = build_of(tmp_path, "ab" * (5 * tokens), valid=0.1).notes
        assert [note.startswith(f"only {tokens} characters are held out") for note in notes] == [True] * remarks


@each("documents, symbols", [("stream", "\nabcdef"), ("lines", "abcdef"), ("paragraphs", "\nabcdef")])
def test_a_line_end_between_documents_is_no_symbol_and_one_within_a_paragraph_is(
    tmp_path: Path, documents: str, symbols: str
) -> None:
    data = build_of(tmp_path, "ab\ncd\n\nef\n", documents=documents)
    assert data.tokenizer.decode(range(data.tokenizer.size)) == symbols


def test_the_end_of_a_document_is_no_unknown_character(tmp_path: Path) -> None:
    data = build_of(tmp_path, "".join(f"a{other}\n" for other in "bcdefghijk"), documents="lines", valid=0.1)
    assert data.valid is not None
    # Ten symbols are known, 10 is the end, 11 whatever is unknown.
    assert data.valid.tokens.tolist() == [0, 11, 10]
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


def test_the_beginning_of_a_part_is_its_first_tokens_or_whole_documents() -> None:
    tokens = np.arange(10, dtype=np.uint8)
    stream, documents = Part(tokens, 10), Part(tokens, 10, np.array([0, 4, 7], np.int64))
    assert stream.beginning(10) is stream and stream.beginning(99) is stream
    assert stream.beginning(6).tokens.tolist() == list(range(6))
    for wanted, size, starts in [(1, 4, [0]), (4, 4, [0]), (5, 7, [0, 4]), (7, 7, [0, 4]), (8, 10, [0, 4, 7])]:
        part = documents.beginning(wanted)
        assert part.starts is not None
        assert (part.tokens.tolist(), part.starts.tolist()) == (list(range(size)), starts)
