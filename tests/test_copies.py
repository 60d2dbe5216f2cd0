"""What a model has by heart: lines of its samples that stand in the text it has learned from."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from charrnn import api
from charrnn.api.copies import training_lines
from charrnn.errors import CorpusError
from charrnn.text import copies
from charrnn.text.copies import TrainingLines, verdict, whole_lines
from charrnn.text.corpus import Corpus
from charrnn.training.events import Note, Report
from charrnn.training.recording import Training
from charrnn.training.run import start

from .cases import each
from .conftest import CommandLine
from .test_run import options
from .test_split import corpus_of, split_of, texts


@each(
    "text, prompt, cut, lines",
    [
        ("one\ntwo\nthr", "", True, ["one", "two"]),
        ("one\ntwo\nthree", "", False, ["one", "two", "three"]),
        ("one\n\n \ntwo\n", "", True, ["one", "two"]),
        ("na\nBert", "zero\nAn", False, ["Anna", "Bert"]),
        ("na", "An", True, []),
        ("", "Anna", False, []),
        ("one\ntwo", "Anna\n", False, ["one", "two"]),
    ],
)
def test_the_lines_of_a_sample_are_those_that_it_has_ended(text: str, prompt: str, cut: bool, lines: list[str]) -> None:
    assert whole_lines(text, prompt=prompt, cut=cut) == lines


@each("documents", ["stream", "lines", "paragraphs"])
def test_lines_of_the_training_part_are_known_and_of_no_other(tmp_path: Path, documents: str) -> None:
    border = "\n\n" if documents == "paragraphs" else "\n"
    corpus = corpus_of(tmp_path, "".join(f"  line {number} {border}" for number in range(100)))
    split = split_of(corpus, documents=documents, valid=0.2, test=0.2)
    train, *held_out = (part.split("\n") for part in texts(split, corpus))
    lines = TrainingLines.of(split, Corpus(list(split.sources)))
    assert lines is not None and lines.copied(["no such line", "line 1 line 2"]) == 0
    whole = [line for line in train if line.strip()]
    assert lines.copied(whole) == len(whole) > 50
    # A stream may be cut within a line.
    assert sum(lines.copied(filter(str.strip, part)) for part in held_out) <= (2 if documents == "stream" else 0)


def test_a_text_that_is_too_long_is_not_looked_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    split = split_of(corpus_of(tmp_path, "one\ntwo\n"))
    monkeypatch.setattr(copies, "LARGEST", 8)
    assert TrainingLines.of(split, Corpus(list(split.sources))) is not None
    monkeypatch.setattr(copies, "LARGEST", 7)
    assert TrainingLines.of(split, Corpus(list(split.sources))) is None


# ---- while training


def names(folder: Path, count: int) -> Path:
    file = folder / "names.txt"
    file.write_text("".join(f"{'abcdefgh'[n % 8]}{'ijklmno'[n % 7]}{'pqrst'[n % 5]}\n" for n in range(count)))
    return file


def notes_of(training: Training) -> Iterator[Note]:
    return (event for event in training.events() if isinstance(event, Note))


def test_the_end_of_training_says_how_many_lines_are_copies(tmp_path: Path) -> None:
    training = start(options(names(tmp_path, 60), documents="lines", steps=5), checkpoints=tmp_path / "c")
    assert training.data.split.held_out == (6, 0)
    last = list(notes_of(training))[-1]
    assert (
        last.text.startswith("at temperature 0.8, ") and "lines stand word for word in the training text" in last.text
    )
    assert not last.warning


def test_what_is_learned_by_heart_is_warned_of(tmp_path: Path) -> None:
    file = tmp_path / "two.txt"
    file.write_text("aaab\ncccd\n" * 20)
    training = start(options(file, documents="lines", steps=60, lr=0.02, dropout=0), checkpoints=tmp_path / "c")
    last = list(notes_of(training))[-1]
    assert last.warning and last.text.endswith("it is learned by heart")


def test_a_text_too_small_to_hold_a_part_out_is_shown_samples_of_all_the_same(tmp_path: Path) -> None:
    training = start(options(names(tmp_path, 40), documents="lines", steps=30), checkpoints=tmp_path / "c")
    assert training.data.valid is None
    reports = [event for event in training.events() if isinstance(event, Report)]
    assert all(report.valid_loss is None for report in reports)
    assert sum(report.sample is not None for report in reports) == training.trainer.config.evaluations


# ---- sampling


def test_sampling_says_how_many_lines_are_copies(charrnn: CommandLine, trained: Path) -> None:
    arguments = ["sample", "-m", "lines", "--checkpoints", str(trained), "--seed", "1", "-n", "3", "-l", "60"]
    result = charrnn(*arguments)
    lines = training_lines(api.load("lines", checkpoints=trained))
    assert lines is not None
    records = [json.loads(line) for line in charrnn(*arguments, "--json").out.splitlines()]
    wanted = [whole_lines(one["text"], cut=one["finished"] == "length") for one in records]
    assert [one["lines"] for one in records] == [len(each) for each in wanted]
    assert [one["copied_lines"] for one in records] == [lines.copied(each) for each in wanted]
    count = sum(map(len, wanted))
    assert count and verdict(sum(map(lines.copied, wanted)), count) in result.err
    assert "word for word" not in result.out
    assert charrnn(*arguments, "-q").err == ""


def test_a_corpus_that_is_gone_or_changed_says_nothing_of_copies(
    charrnn: CommandLine, tmp_path: Path, corpus: Path
) -> None:
    for _ in start(options(corpus, documents="lines", steps=2), checkpoints=tmp_path / "checkpoints").events():
        pass
    model = api.load("run", checkpoints=tmp_path / "checkpoints")
    assert training_lines(model) is not None
    corpus.write_text(corpus.read_text("utf-8") + "more\n", "utf-8")
    assert training_lines(model) is None
    corpus.unlink()
    assert training_lines(model) is None
    with pytest.raises(CorpusError, match=re.escape(corpus.name)):
        list(model.samples(rows=2, novel=True))
    result = charrnn("sample", "-n", "2", "--json", "-l", "5", "--seed", "1")
    assert [json.loads(line)["copied_lines"] for line in result.out.splitlines()] == [None, None]
    assert "word for word" not in charrnn("sample", "-l", "5").err
