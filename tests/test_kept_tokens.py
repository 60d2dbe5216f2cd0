"""The tokens of a large text are made once, and are those that would be made again."""

import json
from pathlib import Path

import numpy as np
import pytest

from charrnn.storage.runs import Run
from charrnn.text import token_files
from charrnn.text.corpus import Corpus
from charrnn.text.dataset import Dataset, build
from charrnn.text.kept_tokens import KeptTokens
from charrnn.text.split import Split, split_corpus

from .cases import each
from .conftest import CommandLine


@pytest.fixture(autouse=True)
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every text is."""
    monkeypatch.setattr(token_files, "IN_MEMORY_BYTES", 100)


def built(file: Path, folder: Path | None, documents: str = "stream") -> tuple[Dataset, Split]:
    corpus = Corpus([str(file)])
    split = split_corpus(corpus, corpus.survey(), documents=documents, valid=0.1, test=None)
    return build(corpus, split, folder=folder), split


def unreadable(*_: object) -> None:
    raise AssertionError("the text is read again")


@each("documents", ["stream", "lines"])
def test_what_is_kept_is_what_would_be_made_and_the_text_is_not_read_again(
    tmp_path: Path, corpus: Path, documents: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / documents
    made, split = built(corpus, None, documents)
    kept, _ = built(corpus, folder, documents)
    assert any("tokens are kept in" in note for note in kept.notes) and not any("kept" in note for note in made.notes)
    with monkeypatch.context() as patch:
        patch.setattr(Split, "part", unreadable)
        again = build(Corpus([str(corpus)]), split, tokenizer=made.tokenizer, folder=folder)
    for name in ("train", "valid"):
        one, two, three = (getattr(data, name) for data in (made, kept, again))
        for other in (two, three):
            np.testing.assert_array_equal(other.tokens, one.tokens)
            assert other.tokens.dtype == one.tokens.dtype and (other.chars, other.unknown) == (one.chars, one.unknown)
            assert (other.starts is None) == (one.starts is None)
            np.testing.assert_array_equal(np.asarray(other.starts), np.asarray(one.starts))
    assert KeptTokens(folder, split, made.tokenizer).fresh


def test_files_of_another_text_tokenizer_or_split_or_in_part_are_not_taken(tmp_path: Path, corpus: Path) -> None:
    folder = tmp_path / "kept"
    data, split = built(corpus, folder)
    kept = KeptTokens(folder, split, data.tokenizer)
    (tokens,) = folder.glob("train-*.tokens")
    whole, train = tokens.read_bytes(), np.array(data.train.tokens)
    assert data.valid is not None
    valid = np.array(data.valid.tokens)
    tokens.write_bytes(whole[:-1])
    assert not kept.fresh
    np.testing.assert_array_equal(built(corpus, folder)[0].train.tokens, train)
    (told,) = folder.glob("valid-*.json")
    told.write_text("{", encoding="utf-8")
    assert not kept.fresh
    again = built(corpus, folder)[0].valid
    assert again is not None
    np.testing.assert_array_equal(again.tokens, valid)
    assert kept.fresh
    corpus.write_text(corpus.read_text(encoding="utf-8").replace("e", "x"), encoding="utf-8")
    assert not kept.fresh
    other, _ = built(corpus, folder)
    assert len(list(folder.glob("train-*.tokens"))) == 2 and not np.array_equal(other.train.tokens, train)


@pytest.mark.slow
def test_a_run_goes_on_from_what_is_kept_and_hears_of_a_text_that_changed(
    charrnn: CommandLine, tmp_path: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = ["train", "--checkpoints", str(tmp_path / "c"), "--hidden", "16", "--seed", "1"]
    first = charrnn(*train, str(corpus), "--name", "a", "--steps", "4")
    assert first.code == 0 and "its tokens are kept in" in first.err
    more = ["train", "--resume", "--checkpoints", str(tmp_path / "c"), "--name", "a", "--steps"]
    with monkeypatch.context() as patch:
        patch.setattr(Corpus, "survey", unreadable)
        patch.setattr(Split, "part", unreadable)
        assert charrnn(*more, "6").code == 0
    whole = charrnn(*train, str(corpus), "--name", "b", "--steps", "4")
    assert whole.code == 0
    steps = [json.loads(line) for line in (tmp_path / "c/a/metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert steps[-1]["step"] == 6
    corpus.write_text(corpus.read_text(encoding="utf-8") + "more", encoding="utf-8")
    changed = charrnn(*more, "9")
    assert changed.code == 1 and f"{corpus} has changed since the run a began" in changed.err
    run = Run(tmp_path / "c/a")
    assert run.files()[1] == [] and run.remove() == [] and not run.folder.exists()


@pytest.mark.slow
def test_a_held_out_file_that_has_changed_is_told_though_the_text_has_not(
    charrnn: CommandLine, tmp_path: Path, corpus: Path
) -> None:
    valid = tmp_path / "valid.txt"
    valid.write_text(corpus.read_text(encoding="utf-8")[:3000], encoding="utf-8")
    run = ["--checkpoints", str(tmp_path / "c"), "--name", "a"]
    train = charrnn("train", str(corpus), "--valid", str(valid), "--hidden", "16", "--steps", "4", *run)
    assert train.code == 0 and "its tokens are kept in" in train.err
    assert charrnn("train", "--resume", "--steps", "6", *run).code == 0
    valid.write_text("other " * 400, encoding="utf-8")
    changed = charrnn("train", "--resume", "--steps", "8", *run)
    assert changed.code == 1 and f"{valid} has changed since the run began" in changed.err
    assert not list((tmp_path / "c/a").glob(".*.tokens.*"))


def training(corpus: Path, folder: Path) -> list[str]:
    """A command line of four steps."""
    return ["train", str(corpus), "--checkpoints", str(folder / "c"), "--hidden", "16", "--steps", "4"]


@pytest.mark.slow
def test_what_a_kill_leaves_of_tokens_is_the_runs_own(charrnn: CommandLine, tmp_path: Path, corpus: Path) -> None:
    train = [*training(corpus, tmp_path), "--name", "a"]
    assert charrnn(*train).code == 0
    run = Run(tmp_path / "c/a")
    left = [
        run.folder / f"{name}0123456789abcdef.{kind}"
        for name, kind in ((".train-", "tokens.77.1.78"), ("valid-", "77"))
    ]
    for file in left:
        file.write_bytes(b"half")
    assert set(left) <= set(run.files()[0])
    assert charrnn("train", "--resume", "--checkpoints", str(tmp_path / "c"), "--steps", "6").code == 0
    assert not left[0].exists()
    left[1].write_bytes(b"half")
    assert run.remove() == [] and not run.folder.exists()


@pytest.mark.slow
def test_runs_of_one_text_share_a_cache(
    charrnn: CommandLine, tmp_path: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    train = [*training(corpus, tmp_path), "--seed", "1"]
    assert charrnn(*train, "--name", "a", "--cache", str(cache)).code == 0
    made = {file.name: file.stat().st_mtime_ns for file in cache.iterdir()}
    assert len(made) == 4 and not list((tmp_path / "c/a").glob("*.tokens"))
    assert charrnn(*train, "--name", "b", "--cache", str(cache)).code == 0
    assert {file.name: file.stat().st_mtime_ns for file in cache.iterdir()} == made
    with monkeypatch.context() as patch:
        patch.setattr(Split, "part", unreadable)
        resumed = charrnn("train", "--resume", "--checkpoints", str(tmp_path / "c"), "--name", "b", "--steps", "6")
    assert resumed.code == 0, resumed.err
    assert charrnn(*train, "--name", "d", "--tokenizer", "byte", "--cache", str(cache)).code == 0
    assert len(list(cache.glob("*.tokens"))) == 4
