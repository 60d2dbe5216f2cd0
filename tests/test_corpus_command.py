"""A look at a text before training: held against counting by hand."""

import json
import random
from collections import Counter
from pathlib import Path

import pytest

from charrnn.api.corpus import check_corpus
from charrnn.errors import CorpusError
from charrnn.text import check as module
from charrnn.text.sources import bundled_names

from .cases import each
from .conftest import CommandLine


def lines(seed: int, count: int = 900) -> list[str]:
    """Some of them again and again, some empty, some short."""
    draw = random.Random(seed)
    words = ["heron", "river", "barley", "ferry", "née"]
    pool = [" ".join(draw.choices(words, k=draw.randrange(9))) for _ in range(count // 2)]
    return [draw.choice(pool) for _ in range(count)]


@each("documents", [None, "lines"])
def test_what_is_told_is_what_counting_says(tmp_path: Path, documents: str | None) -> None:
    some = lines(1)
    (tmp_path / "a.txt").write_text("\n".join(some[:400]) + "\n", encoding="utf-8")
    (tmp_path / "b.txt").write_text("\n".join(some[400:]) + "\n~", encoding="utf-8")
    some.append("~")
    report = check_corpus(tmp_path, documents=documents)
    text = "\n".join(some)
    assert (report.chars, report.words, report.bytes) == (len(text), len(text.split()), len(text.encode()))
    assert (report.lines, report.blank_lines) == (len(some), some.count(""))
    assert report.longest_line == max(map(len, some)) == len(some[report.longest_line_number - 1])
    assert all(len(line) < report.longest_line for line in some[: report.longest_line_number - 1])
    counts = Counter(text)
    rare = sorted(one for one, count in counts.items() if count < 5)
    assert (report.alphabet, report.rare, report.rare_characters) == (len(counts), len(rare), "".join(rare))
    above = 0 if documents else 20
    long = [line for line in some if len(line) > above]
    assert report.duplicates == pytest.approx(1 - len(set(long)) / len(long))
    if documents is None:
        cut = int(len(text) * 0.95)
        held, rest = text[cut:].split("\n"), set(text[:cut].split("\n"))
        wanted = {line for line in held if len(line) > above}
        assert report.held_out == len(text) - cut
        assert report.leaked == pytest.approx(len(wanted & rest) / len(wanted))
    else:
        assert report.leaked is not None and 0 < report.leaked < 1


def test_of_too_many_lines_some_stand_for_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = tmp_path / "a.txt"
    text.write_text(
        "\n".join(f"line {number % 6000} of many, and long enough" for number in range(9000)), encoding="utf-8"
    )
    monkeypatch.setattr(module, "MOST_LINES", 500)
    told = check_corpus(text).duplicates
    assert told is not None and abs(told - 1 / 3) < 0.1


def test_the_command_tells_it_in_words_and_as_json(charrnn: CommandLine, corpus: Path, tmp_path: Path) -> None:
    report = check_corpus(corpus)
    assert json.loads(charrnn("corpus", "check", str(corpus), "--json").out) == json.loads(json.dumps(report.to_json()))
    told = charrnn("corpus", "check", str(corpus))
    assert f"{report.chars:,} characters" in told.out and f"{report.alphabet} characters" in told.out
    assert charrnn("corpus", "list").out.split()[::3] == bundled_names()
    assert [
        json.loads(line)["name"] for line in charrnn("corpus", "list", "--json").out.splitlines()
    ] == bundled_names()
    (tmp_path / "bad.txt").write_bytes(b"good and \xff bad")
    refused = charrnn("corpus", "check", str(tmp_path / "bad.txt"))
    assert refused.code == 1 and "bad.txt is not UTF-8: byte 9 is 0xFF" in refused.err
    with pytest.raises(CorpusError, match="there is no file"):
        check_corpus(tmp_path / "none.txt")


def test_shards_are_one_text_and_the_one_that_has_changed_is_told_by_name(
    charrnn: CommandLine, tmp_path: Path, prose: str
) -> None:
    shards = tmp_path / "shards"
    shards.mkdir()
    for number in range(4):
        (shards / f"{number}.txt").write_text(prose[number * 3000 : (number + 1) * 3000], encoding="utf-8")
    folder = ["--checkpoints", str(tmp_path / "c")]
    trained = charrnn("train", str(shards / "*.txt"), *folder, "--steps", "3", "--hidden", "16", "--seed", "1", "-q")
    assert trained.code == 0 and (tmp_path / "c" / "shards").is_dir(), trained.err
    (shards / "2.txt").write_text("another text", encoding="utf-8")
    refused = charrnn("train", "--resume", *folder, "--steps", "5")
    assert refused.code == 1 and f"{shards / '2.txt'} has changed since the run shards began" in refused.err
    (shards / "3.txt.gz").write_bytes(b"\x1f\x8b\x08")
    truncated = charrnn("train", str(shards), *folder, "--steps", "3")
    assert truncated.code == 1 and "3.txt.gz cannot be read to its end" in truncated.err
