"""charrnn score: a line out for each line in, tables of their units, fields of TSV and JSON Lines."""

import csv
import io
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from charrnn import api
from charrnn.api import Model

from .cases import each
from .conftest import CommandLine, Result
from .test_architecture import command_line, loaded

Score = Callable[..., Result]
TEXT = "the heron stood\r\n\n  two  spaces \nthe end"


@pytest.fixture
def score(charrnn: CommandLine, trained: Path) -> Score:
    """Score a text as a file; the model is `small` unless another is named."""

    def call(text: str | bytes, *arguments: str, model: str = "small", code: int = 0) -> Result:
        Path("text").write_bytes(text.encode() if isinstance(text, str) else text)
        done = charrnn("score", "text", "-m", model, "--checkpoints", str(trained), *arguments)
        assert done.code == code, done.err
        return done

    return call


@pytest.fixture(scope="module")
def models(trained: Path) -> dict[str, Model]:
    return {name: api.load(name, checkpoints=trained) for name in ("small", "lines")}


def table(done: Result) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(done.out), delimiter="\t", quoting=csv.QUOTE_NONE))


def bits(model: Model, line: str) -> float:
    return model.score(line).nats / math.log(2)


def written(done: Result) -> list[str]:
    return done.out.splitlines()


def records(done: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written(done)]


def total(done: Result) -> float:
    return math.fsum(float(row["surprisal"]) for row in table(done))


def test_each_line_is_scored_alone_its_line_end_with_it(score: Score, models: dict[str, Model]) -> None:
    rows = table(score(TEXT))
    assert list(rows[0]) == ["surprisal", "per_char", "ppl", "text"]
    lines = ["the heron stood\n", "\n", "  two  spaces \n", "the end"]
    assert [row["text"] for row in rows] == [line.removesuffix("\n") for line in lines]
    for row, line in zip(rows, lines, strict=True):
        wanted = models["small"].score(line)
        assert float(row["surprisal"]) == pytest.approx(bits(models["small"], line), rel=1e-6)
        assert float(row["per_char"]) == pytest.approx(wanted.bpc, rel=1e-6)
        assert float(row["ppl"]) == pytest.approx(wanted.ppl, rel=1e-6)


def test_to_a_model_of_lines_an_empty_line_says_nothing_and_the_last_has_an_end(
    score: Score, models: dict[str, Model]
) -> None:
    rows = table(score(TEXT, model="lines"))
    assert (rows[1]["surprisal"], rows[1]["per_char"], rows[1]["ppl"]) == ("0.0", "", "")
    for row, line in zip(rows, TEXT.split("\n"), strict=True):
        if line:
            assert float(row["surprisal"]) == pytest.approx(bits(models["lines"], line), rel=1e-6)
            assert float(row["per_char"]) == pytest.approx(models["lines"].score(line).bpc, rel=1e-6)
    empty, _ = records(score("\nthe\n", "--json", model="lines"))
    assert (empty["surprisal"], empty["ppl"]) == (0, None)


@each("model", ["small", "lines"])
def test_all_units_add_up_to_the_total_and_stand_where_they_say(
    score: Score, models: dict[str, Model], model: str
) -> None:
    wanted = total(score(TEXT, model=model))
    if model == "lines":
        assert wanted == pytest.approx(bits(models[model], TEXT), rel=1e-6)
    for options in (["word"], ["word", "--space", "before"], ["word", "--space", "none"], ["char"], ["token"]):
        done = score(TEXT, "--per", *options, model=model)
        assert total(done) == pytest.approx(wanted, rel=1e-9)
        for row in table(done):
            start, end = int(row["start"]), int(row["end"])
            cell = row["text"].replace("\\r", "\r").replace("\\n", "\n")
            assert TEXT[start:end] == cell and int(row["byte"]) == len(TEXT[:start].encode()), row
            assert int(row["line"]) == 1 + TEXT[:start].count("\n")


def test_carried_lines_add_up_to_the_figure_of_eval(score: Score, models: dict[str, Model]) -> None:
    carried, plain = score(TEXT, "--carry"), score(TEXT)
    assert total(carried) == pytest.approx(bits(models["small"], TEXT), rel=1e-6)
    assert abs(total(plain) - total(carried)) > 0.1
    assert total(score(TEXT, "--carry", "--per", "word")) == pytest.approx(total(carried), rel=1e-9)


def test_python_gives_the_rows_of_the_table(score: Score, models: dict[str, Model]) -> None:
    for per, space in (("word", "after"), ("word", "none"), ("char", "after"), ("token", "after")):
        spaced = ["--space", space] if per == "word" else []
        told = records(score(TEXT, "--carry", "--json", "--per", per, *spaced))
        rows = models["small"].surprisal(TEXT, per=per, space=space)
        for name in ("line", "text", "start", "end", "byte"):
            assert [row[name] for row in told] == rows[name].tolist()
        assert [row["surprisal"] for row in told] == pytest.approx(rows["surprisal"].tolist(), rel=1e-5)


def test_a_context_is_a_text_or_a_file(score: Score, models: dict[str, Model]) -> None:
    Path("before").write_text("The heron ")
    of_text = score("stood\nfell\n", "--context", "The heron ")
    assert score("stood\nfell\n", "--context", "before").out == of_text.out
    for row in table(of_text):
        wanted = bits(models["small"], f"The heron {row['text']}\n") - bits(models["small"], "The heron ")
        assert float(row["surprisal"]) == pytest.approx(wanted, rel=1e-5)


def test_the_same_figures_in_every_form(score: Score) -> None:
    rows = table(score(TEXT))
    told = records(score(TEXT, "--json"))
    assert [record["line"] for record in told] == [1, 2, 3, 4]
    assert [list(record) for record in told] == [["line", "surprisal", "per_char", "ppl", "text"]] * 4
    for name in ("surprisal", "per_char", "ppl"):
        assert [float(row[name]) for row in rows] == [record[name] for record in told]
    bare = written(score(TEXT, "-q"))
    assert [*map(float, bare)] == [record["surprisal"] for record in told]
    for base, unit in (("e", math.log(2)), ("10", math.log10(2))):
        nats = table(score(TEXT, "--log-base", base))
        assert [float(row["surprisal"]) for row in nats] == pytest.approx(
            [record["surprisal"] * unit for record in told]
        )
        assert [float(row["ppl"]) for row in nats] == pytest.approx([record["ppl"] for record in told])
    assert len(written(score(TEXT, "--per", "word", "-q"))) == len(table(score(TEXT, "--per", "word")))


def test_a_person_gets_columns_and_fewer_digits(score: Score, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = table(score("the heron\nstood\n"))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    header, *lines = written(score("the heron\nstood\n"))
    assert header.split() == ["surprisal", "per_char", "ppl", "text"] and "\t" not in header
    for name in ("per_char", "ppl", "text"):
        place = header.index(name)
        assert all(line[place - 1] == " " != line[place] for line in lines)
    assert [line[:9].strip() for line in lines] == [f"{float(row['surprisal']):.6g}" for row in rows]
    assert [line[header.index("text") :] for line in lines] == ["the heron", "stood"]


def test_alternatives_are_columns_or_a_list(score: Score) -> None:
    rows = table(score("the\n", "--per", "token", "--top", "2"))
    assert list(rows[0])[5:] == ["surprisal", "rank", "entropy", "top1", "top1_surprisal", "top2", "top2_surprisal"]
    told = records(score("the\n", "--per", "char", "--top", "2", "--json"))
    for row, record in zip(rows, told, strict=True):
        assert [float(row["top1_surprisal"]), float(row["top2_surprisal"])] == [x["surprisal"] for x in record["top"]]
        assert row["top1"].replace("\\n", "\n") == record["top"][0]["text"] and int(row["rank"]) == record["rank"]
        assert float(row["entropy"]) > 0 and record["top"][0]["surprisal"] <= record["top"][1]["surprisal"]
    nats = table(score("the\n", "--per", "token", "--top", "2", "--log-base", "e"))
    for name in ("surprisal", "entropy", "top2_surprisal"):
        assert [float(row[name]) for row in nats] == pytest.approx([float(row[name]) * math.log(2) for row in rows])
    for per in ("line", "word"):
        assert "--top needs --per char or --per token" in score("the\n", "--top", "2", "--per", per, code=2).err


def test_a_context_may_be_longer_than_a_name(score: Score, models: dict[str, Model]) -> None:
    before = "the heron " * 500
    assert float(score("stood", "-q", "--context", before).out) == pytest.approx(
        bits(models["small"], before + "stood") - bits(models["small"], before), rel=1e-4
    )


def test_a_text_with_tabs_stays_one_cell(score: Score) -> None:
    assert written(score("the\n", "--prefix", "a\t"))[0].split("\t")[0] == r"a\tsurprisal"
    row = written(score("the\theron\\\n", "--unk"))[1].split("\t")
    assert row[3:] == [r"the\theron\\"]


def test_quotation_marks_are_those_of_the_text(score: Score) -> None:
    done = score('a "the heron\nNA the" b\n', "--per", "word", "--unk")
    rows = list(csv.DictReader(io.StringIO(done.out), delimiter="\t", quoting=csv.QUOTE_NONE))
    assert [row["text"] for row in rows if row["text"]] == ["a", '"the', "heron", "NA", 'the"', "b"]
    # As the help says: whoever takes them for quotes loses rows.
    assert len(list(csv.DictReader(io.StringIO(done.out), delimiter="\t"))) < len(rows)


# ---- fields


def test_a_column_is_scored_as_if_it_stood_alone_and_the_rest_goes_through(score: Score) -> None:
    text = "1\tthe heron\r\n2\tstood\t"
    plain = written(score("the heron\nstood", "-q"))
    for line, before, value in zip(written(score(text, "--column", "2")), text.split("\r\n"), plain, strict=True):
        assert line.startswith(before + "\t") and line.removeprefix(before + "\t").split("\t")[0] == value
    told = records(score(text, "--column", "2", "--json"))
    assert told[0]["fields"] == ["1", "the heron"] and told[1]["surprisal"] == float(plain[1])
    # A CR within is read as it is in a line.
    assert written(score("the\rheron\n", "-q")) == written(score("1\tthe\rheron\n", "--column", "2", "-q"))
    assert "line 2 has 1 column, and no column 2" in score("1\ta\n2\n", "--column", "2", code=1).err


def test_a_field_of_tsv_is_found_by_its_header(score: Score) -> None:
    text = "id\ttext\n1\tthe heron\n2\tstood\n"
    plain = written(score("the heron\nstood\n", "-q"))
    done = score(text, "--field", "text")
    assert written(done)[0] == "id\ttext\tsurprisal\tper_char\tppl"
    assert [row["surprisal"] for row in table(done)] == plain and [row["id"] for row in table(done)] == ["1", "2"]
    # What comes out goes in again, under names of its own.
    again = score(done.out, "--field", "text", "--prefix", "b_")
    assert [row["b_surprisal"] for row in table(again)] == [row["surprisal"] for row in table(again)] == plain
    refused = score(done.out, "--field", "text", code=1).err
    assert "has a column 'surprisal' already" in refused and "--prefix" in refused
    assert "no column 'nonsense' but 'id', 'text'" in score(text, "--field", "nonsense", code=1).err
    # Each file has the header, and each row its columns: figures would stand under other names.
    Path("more").write_text(text)
    more = score(text, "more", "--field", "text")
    assert [row["surprisal"] for row in table(more)] == 2 * plain and more.out.count("text") == 1
    Path("more").write_text("text\tid\nstood\t1\n")
    assert "line 4 is another header" in score(text, "more", "--field", "text", code=1).err
    for row, told in (("1\tstood\tx", "3 columns"), ("1", "1 column")):
        ragged = score(f"{text}{row}\n", "--field", "text", code=1)
        assert f"line 4 has {told}, and the header 2" in ragged.err and len(written(ragged)) == 3
    assert "has 2 columns 'id'" in score("id\tid\n1\t2\n", "--field", "id", code=1).err
    assert "columns stand between tabs" in score("id,text\n1,the heron\n", "--field", "text", code=1).err
    words = table(score(text, "--field", "text", "--per", "word"))
    assert [(row["line"], row["text"], row["start"]) for row in words if row["text"]] == [
        ("2", "the", "0"), ("2", "heron", "4"), ("3", "stood", "0")]  # fmt: skip


def test_a_field_of_json_lines_leaves_the_rest_as_it_is_written(score: Score) -> None:
    text = '{"n":1.50, "text":"the heron"}\n{"text": "st\\u006fod", "x": [1e400]  }\n'
    plain = [float(value) for value in written(score("the heron\nstood\n", "-q"))]
    lines = written(score(text, "--field", "text"))
    assert lines[0].startswith('{"n":1.50, "text":"the heron", "surprisal": ')
    assert lines[1].startswith('{"text": "st\\u006fod", "x": [1e400], "surprisal": ')
    assert [json.loads(line)["surprisal"] for line in lines] == plain
    # Line ends are read as those of a file are.
    ends = written(score('{"text": "a\\r\\nb\\rc"}\n{"text": "a\\nb\\nc"}\n', "--field", "text", "-q"))
    assert ends[0] == ends[1]
    for bad, words in (
        ("{}\n", "line 1 has no field 'text'"), ('{"text": 3}\n', "line 1 has no text in its field 'text'"),
        ('{"text": "a"}\nx\n', "line 2 is no JSON"), ('{"text": "a"}\n[]\n', "line 2 is no JSON object"),
        ('{"text": "a", "ppl": 1}\n', "has a field 'ppl' already"), ('{"text": "a"\n', "(column 13)"),
        ('{"x": ' + 100_000 * "[", "line 1 cannot be read"), ('{"x": ' + 5_000 * "1", "line 1 cannot be read"),
    ):  # fmt: skip
        done = score(bad, "--field", "text", code=1)
        assert words in done.err and len(written(done)) == words.startswith("line 2")


def test_half_of_a_surrogate_pair_is_a_character_that_is_written_out(score: Score, models: dict[str, Model]) -> None:
    half = '{"text": "\\ud800 a"}\n'
    bits = float(
        written(score(half, "--field", "text", "--unk", "--per", "line", "--json"))[0].split(": ")[2].split(",")[0]
    )
    for per in ("word", "char", "token"):
        rows = table(score(half, "--field", "text", "--unk", "--per", per))
        assert rows[0]["text"] == "\\ud800" and [row["byte"] for row in rows][:2] == [
            "0",
            "4" if per == "word" else "3",
        ]
        assert math.fsum(float(row["surprisal"]) for row in rows) == pytest.approx(bits, rel=1e-9)
        told = models["small"].surprisal("\ud800 a\n", per=per, unknown=True)
        assert told["byte"].tolist() == [int(row["byte"]) for row in rows]
        assert told["surprisal"].sum() == pytest.approx(bits, rel=1e-6)


# ---- what goes wrong


def test_a_line_that_cannot_be_scored_is_told_when_those_before_are_out(score: Score) -> None:
    for text, options, words, before in (
        ("the\nh\u00e9\n", [], "line 2: the model's vocabulary has no 'é'", 2),
        ("text\nthe\nh\u00e9\n", ["--field", "text"], "line 3: the model's vocabulary has no 'é'", 2),
        (b"the\nheron\nh\xe9\n", [], "line 3, is not UTF-8: its byte 1 is 0xE9", 3),
        (b"the\n\0\n", [], "line 2, holds zero bytes", 2),
    ):
        done = score(text, *options, code=1)
        assert words in done.err and len(written(done)) == before, done.err
    done = score("the\nh\u00e9\n", "--unk")
    assert len(written(done)) == 3 and "1 character is not in the vocab" in done.err


def test_no_text_is_a_line_and_an_empty_one_is_no_failure(score: Score, charrnn: CommandLine, trained: Path) -> None:
    done = charrnn("score", "-m", "small", "--checkpoints", str(trained))
    assert done.code == 2 and "nothing to score: name a file, or pipe lines in" in done.err
    missing = charrnn("score", "nothing.txt", "-m", "small", "--checkpoints", str(trained))
    assert (missing.code, missing.out) == (1, "") and "there is no file nothing.txt" in missing.err
    assert score("").out == "surprisal\tper_char\tppl\ttext\n"
    assert score("", "-q").out == score("", "--field", "text").out == ""
    piped = subprocess.run(process_line(trained), input=b"", capture_output=True, check=True)
    assert piped.stdout == b"surprisal\tper_char\tppl\ttext\n"


# ---- a process of its own


def process_line(trained: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "charrnn", "score", "-m", "small", "--checkpoints", str(trained), *arguments]


def process(trained: Path, *arguments: str, **pipes: Any) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        process_line(trained, *arguments),
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **pipes,
    )


@pytest.mark.slow
@each("options", [["-q"], ["-q", "--unbuffered"], ["-q", "--per", "word"]])
def test_a_pipe_that_never_ends_is_answered_line_by_line(trained: Path, options: list[str]) -> None:
    with process(trained, *options, stdin=subprocess.PIPE) as running:
        assert running.stdin is not None and running.stdout is not None
        for line in (b"the\n", b"heron\n", b"stood\n"):
            running.stdin.write(line)
            running.stdin.flush()
            assert float(running.stdout.readline()) > 0
            if "word" in options:
                running.stdout.readline()
        running.stdin.close()
        assert running.wait() == 0


@pytest.mark.slow
def test_a_reader_that_goes_away_is_no_failure(trained: Path) -> None:
    with process(trained, "-", stdin=subprocess.PIPE) as running:
        assert running.stdin is not None and running.stdout is not None
        running.stdin.write(b"the heron\n" * 2000)
        running.stdin.flush()
        running.stdout.readline()
        running.stdout.close()
        running.stdin.close()
        assert running.wait() == 0


@pytest.mark.slow
def test_short_texts_are_scored_without_torch(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("the heron\nstood\n")
    line = ["score", str(tmp_path / "text"), "-m", "small", "--checkpoints", str(trained)]
    scripts = [
        command_line(*line, *more) for more in ([], ["--per", "word", "--json"], ["--per", "char", "--top", "2"])
    ]
    for script, packages in zip(scripts, loaded(*scripts), strict=True):
        assert "numpy" in packages and not packages & {"torch", "matplotlib", "pandas"}, script
