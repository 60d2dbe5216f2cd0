"""Learned or copied: the share of n-grams that are new, counted one by one."""

import json
import random
from pathlib import Path

import pytest

from charrnn import api
from charrnn.analysis.novelty import HELD_OUT, NoveltyCurve, novelty_curve
from charrnn.errors import ConfigError
from charrnn.plotting.analysis import draw_novelty
from charrnn.text.copy_index import CopyIndex

from .cases import each
from .conftest import CommandLine


def counted(texts: list[str], learned: str, longest: int) -> tuple[list[float | None], list[int]]:
    """The same as anybody would count it."""
    grams = [[one[at : at + n] for one in texts for at in range(len(one) - n + 1)] for n in range(1, longest + 1)]
    return (
        [sum(gram not in learned for gram in of) / len(of) if of else None for of in grams],
        [len(of) for of in grams],
    )


@each("seed", range(6))
def test_a_curve_is_what_counting_gives(seed: int) -> None:
    draw = random.Random(seed)
    learned = "".join(draw.choices("abc\n", k=200))
    texts = ["".join(draw.choices("abcd\n", k=draw.randrange(40))) for _ in range(5)] + [learned[20:60], ""]
    curve = novelty_curve("it", texts, CopyIndex.of([learned]), 30)
    assert (list(curve.shares), list(curve.counts)) == counted(texts, learned, 30)
    assert curve.chars == sum(map(len, texts))


def test_a_copy_is_never_new_and_another_alphabet_always() -> None:
    index = CopyIndex.of(["abcabcab"])
    assert novelty_curve("it", ["cabca"], index, 6).shares == (0.0, 0.0, 0.0, 0.0, 0.0, None)
    assert novelty_curve("it", ["xyz"], index, 4).shares == (1.0, 1.0, 1.0, None)
    assert novelty_curve("it", [], index, 2) == NoveltyCurve("it", 0, (None, None), (0, 0))


@each("run", ["small", "lines"])
def test_held_out_text_stands_beside_samples(trained: Path, run: str) -> None:
    model = api.load(run, checkpoints=trained)
    curves = list(model.novelty([0.2, 1.0], chars=400, longest=8, seed=3))
    assert [curve.name for curve in curves] == [HELD_OUT, "temperature 0.2", "temperature 1"]
    assert [curve.chars for curve in curves[1:]] == [400, 400] and curves[0].chars <= 400
    text, learned = api.held_out(model).read()[:400], "".join(chunk for chunk in _learned(model))
    parts = [text] if run == "small" else [line for line in text.split("\n") if line]
    assert list(curves[0].shares) == counted(parts, learned, 8)[0]
    assert curves == list(model.novelty((0.2, 1), chars=400, longest=8, seed=3)), "by its seed"
    for curve in curves:  # an n-gram that is new makes every longer one new
        shares = [share for share in curve.shares if share is not None]
        assert shares[0] < 0.1 < shares[-1] and all(0 <= share <= 1 for share in shares)


def _learned(model: api.Model) -> list[str]:
    from charrnn.text.corpus import Corpus

    split = model.header.split
    return list(split.part("train", Corpus(list(split.sources))))


def test_what_are_no_temperatures_is_refused(trained: Path) -> None:
    model = api.load("small", checkpoints=trained)
    for wrong in ([], "warm", [-1.0], [float("nan")]):
        with pytest.raises(ConfigError, match="temperatures"):
            model.novelty(wrong)  # type: ignore[arg-type]


def test_the_command_gives_a_table_json_and_a_picture(charrnn: CommandLine, trained: Path, tmp_path: Path) -> None:
    arguments = ["inspect", "novelty", "-m", "small", "--checkpoints", str(trained), "--seed", "3", "-l", "300"]
    arguments += ["--longest", "5", "--temp", "0.5"]
    curves = list(api.load("small", checkpoints=trained).novelty([0.5], chars=300, longest=5, seed=3))
    records = [json.loads(line) for line in charrnn(*arguments, "--json").out.splitlines()]
    assert records == [json.loads(json.dumps(curve.to_json())) for curve in curves]
    result = charrnn(*arguments, "--svg", str(tmp_path / "new.svg"))
    rows = [line.split("\t") for line in result.out.splitlines()]
    assert rows[0] == ["n", "held out", "temperature 0.5"] and len(rows) == 6
    assert [float(row[2]) for row in rows[1:]] == list(curves[1].shares)
    assert (tmp_path / "new.svg").read_bytes().startswith(b"<?xml") and draw_novelty("$x_1", curves)
    assert charrnn(*arguments, "-q").out.splitlines()[0].startswith("1\t")
    # Beyond the longest text there is nothing to tell.
    short = charrnn("inspect", "novelty", "-m", "lines", *arguments[4:7], "3", "-l", "60", "--longest", "400", "-q")
    assert 5 < len(short.out.splitlines()) < 400 and short.out.splitlines()[-1].count("-") < 8
    refused = charrnn(*arguments[:-1], "-1")
    assert refused.code == 2 and "--temp must be" in refused.err
