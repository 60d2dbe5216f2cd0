"""A text that several processes read is the same, in its figures and its tokens, as one that a single one reads."""

import os
from pathlib import Path

import numpy as np
import pytest
from backports import zstd

from charrnn.errors import CorpusError
from charrnn.text import corpus as corpus_module
from charrnn.text import stretches, token_files
from charrnn.text.corpus import Corpus
from charrnn.text.dataset import Dataset, build
from charrnn.text.split import split_corpus
from charrnn.text.workers import side_by_side

TEXT = "a line\r\nof 海 two\r\r\n\x01 words\n\r" + "".join(f"{line} zażółć gęślą jaźń\r\n" for line in range(60))


@pytest.fixture(autouse=True)
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every text is, and has many stretches, whose borders cut characters and line ends."""
    monkeypatch.setattr(token_files, "IN_MEMORY_BYTES", 100)
    monkeypatch.setattr(corpus_module, "LARGE_BYTES", 0)
    monkeypatch.setattr(stretches, "CHUNK_BYTES", 31)


def shards(folder: Path) -> str:
    folder.mkdir()
    (folder / "1.txt").write_bytes(b"\xef\xbb\xbf" + TEXT.encode())
    (folder / "2.zst").write_bytes(zstd.compress(("é" + TEXT).encode()))
    (folder / "3.txt").write_bytes(b"")
    (folder / "4.txt").write_bytes(TEXT[7:1200].encode() + b"\r")
    return str(folder)


def made(text: str, kept: Path, processes: int, kind: str) -> tuple[Dataset, dict[str, bytes]]:
    corpus = Corpus([text], processes=processes)
    split = split_corpus(corpus, corpus.survey(), valid=0.3, test=0.1)
    data = build(corpus, split, kind=kind, vocab_size=340, folder=kept)
    # Their names have the vocabulary in them, which for subwords says how many threads learned it.
    return data, {file.name.split("-")[0]: file.read_bytes() for file in kept.glob("*.tokens")}


@pytest.mark.slow
def test_as_many_processes_as_one_likes_make_the_same(tmp_path: Path) -> None:
    text = shards(tmp_path / "text")
    for kind in ("char", "subword"):
        one, tokens = made(text, tmp_path / f"{kind}1", 1, kind)
        two, others = made(text, tmp_path / f"{kind}2", 2, kind)
        assert one.statistics == two.statistics and one.split == two.split and len(one.statistics.lengths) > 12
        assert one.tokenizer.pieces == two.tokenizer.pieces
        assert others == tokens and len(tokens) == 2
        assert one.valid is not None and two.valid is not None
        assert (two.valid.chars, two.valid.unknown) == (one.valid.chars, one.valid.unknown)
        assert len(os.listdir(tmp_path / f"{kind}2")) == 4
    whole = "".join(Corpus([text]).chunks())
    assert "".join(one.split.part("train", Corpus([text]))) == whole[: one.split.train_end]
    np.testing.assert_array_equal(one.train.tokens, two.train.tokens)


@pytest.mark.slow
def test_what_a_process_stumbles_over_is_said_as_ever(tmp_path: Path) -> None:
    text = shards(tmp_path / "text")
    broken, corpus = tmp_path / "text/2.zst", Corpus([text], processes=2)
    split = split_corpus(corpus, corpus.survey(), valid=0.3, test=0.1)
    broken.write_bytes(broken.read_bytes()[:-9])
    with pytest.raises(CorpusError, match=r"2\.zst cannot be read to its end"):
        build(corpus, split, kind="byte", folder=tmp_path / "kept")
    assert os.listdir(tmp_path / "kept") == []
    with pytest.raises(CorpusError, match=r"2\.zst cannot be read to its end"):
        Corpus([text], processes=2).survey()
    with (
        pytest.raises(CorpusError, match="a process that reads the text has died"),
        side_by_side([("no such task", {})], 2) as said,
    ):
        next(said)
