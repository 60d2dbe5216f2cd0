"""How ids are kept: in their smallest type, in memory or in a file without a name."""

import os
import tempfile
from pathlib import Path

import numpy as np
import pytest

from charrnn.text import token_files as module
from charrnn.text.dataset import build, encode_part
from charrnn.text.documents import SEPARATORS
from charrnn.text.token_files import TokenWriter, smallest_dtype
from charrnn.text.tokenizers.byte import ByteTokenizer
from charrnn.text.tokenizers.char import CharTokenizer

from .cases import each
from .test_split import corpus_of, distinct, split_of


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
        large = encode_part(tokenizer, pieces, documents, writer=TokenWriter(tokenizer.size + 2, folder))

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
    part = encode_part(ByteTokenizer(), ["a" * 900, "b" * (length - 900)], "stream", writer=TokenWriter(258, tmp_path))
    assert isinstance(part.tokens, np.memmap) == mapped
    assert part.tokens.tolist() == [97] * 900 + [98] * (length - 900)
    assert os.listdir(tmp_path) == []


def test_a_mapped_part_cannot_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IN_MEMORY_BYTES", 10)
    part = encode_part(ByteTokenizer(), ["a" * 100], "stream", writer=TokenWriter(258, tmp_path))
    assert not part.tokens.flags.writeable


def test_both_parts_of_a_large_corpus_are_mapped_in_the_folder_named_and_kept(
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
    assert {name.split(".")[-1] for name in os.listdir(folder)} == {"tokens", "json"}


def test_an_empty_part_has_no_tokens() -> None:
    part = encode_part(ByteTokenizer(), [], "stream")
    assert part.tokens.tolist() == []
    assert part.chars == 0
