"""Gates: what holds, what does not, what is refused; one wording and one exit code for all commands."""

import json
import math
from pathlib import Path

import pytest
import typer

from charrnn.cli.exit_codes import GATE
from charrnn.cli.gates import Gate, Tolerance, leave, read_records
from charrnn.errors import CharrnnError, ConfigError
from charrnn.schema import to_json_text
from tests.cases import each
from tests.conftest import CommandLine


def record(bpc: float | None, text: str = "t.txt", model: str = "m", **more: object) -> dict[str, object]:
    return {"model": model, "text": text, "chars": 10, "bpc": bpc, **more}


def write(file: Path, *records: dict[str, object]) -> Path:
    file.write_text("".join(to_json_text(one) + "\n" for one in records), encoding="utf-8")
    return file


def broken(gate: Gate, *records: dict[str, object]) -> list[str]:
    gate.judge(records)
    return gate.broken


@each(
    "limits, value, holds",
    [
        ({"above": 2.0}, 2.0, True), ({"above": 2.0}, 2.0000001, False), ({"above": math.inf}, 1e300, True),
        ({"below": 2.0}, 2.0, True), ({"below": 2.0}, 1.9, False), ({"above": 3.0, "below": 2.0}, 2.5, True),
        ({"above": 3.0, "below": 2.0}, 3.5, False), ({"above": 3.0}, math.inf, False), ({"above": -1.0}, -2, True),
        ({"above": 0.0}, 0.0, True), ({}, 5.0, True),
    ],
)  # fmt: skip
def test_a_figure_may_reach_its_limits_and_not_pass_them(limits: dict[str, float], value: float, holds: bool) -> None:
    assert (broken(Gate("bpc", limits.get("above"), limits.get("below")), record(value)) == []) == holds


@each(
    "tolerance, higher, value, holds",
    [
        (None, False, 2.0, True), (None, False, 2.0000019, True), (None, False, 2.000003, False),
        (None, False, 1.0, True), ("0", False, 2.0000001, False), ("0.1", False, 2.0999, True),
        ("0.1", False, 2.1001, False), ("5%", False, 2.0999, True), ("5 %", False, 2.1001, False),
        ("1e-3", False, 2.0009, True), (".5", False, 2.4, True), (None, True, 1.9, False), (None, True, 9.0, True),
        ("5%", True, 1.9001, True), ("5%", True, 1.8999, False),
    ],
)  # fmt: skip
def test_a_figure_may_be_worse_than_its_baseline_by_the_tolerance(
    tmp_path: Path, tolerance: str | None, higher: bool, value: float, holds: bool
) -> None:
    file = write(tmp_path / "base.json", record(2.0))
    gate = Gate("bpc", baseline=file, tolerance=tolerance, higher_is_better=higher)
    assert (broken(gate, record(value)) == []) == holds


def test_a_share_of_a_negative_baseline_is_an_amount_as_well(tmp_path: Path) -> None:
    file = write(tmp_path / "base.json", record(-2.0))
    assert not broken(Gate("bpc", baseline=file, tolerance="10%"), record(-1.81))
    assert broken(Gate("bpc", baseline=file, tolerance="10%"), record(-1.79))


@each("text", ["nan", "-1", "inf", "1e999", "", "%", "1 percent", "1%%", "0x1", "1_0"])
def test_a_tolerance_is_an_amount_or_a_share(text: str) -> None:
    with pytest.raises(ConfigError, match="`tolerance` must be"):
        Tolerance.parse(text)


def test_what_does_not_hold_is_told_with_what_it_is_of(tmp_path: Path) -> None:
    file = write(tmp_path / "base.json", record(2.0), record(1.0, text="u.txt"))
    gate = Gate("bpc", above=2.1, baseline=file, tolerance="1%")
    gate.judge([record(2.25), record(1.0, text="u.txt")])
    assert gate.broken == [
        "bpc of t.txt, m is 2.25, above 2.1",
        "bpc of t.txt, m is 2.25, above the baseline 2 by more than 1%",
    ]
    gate = Gate("bpc", above=2.0)
    assert broken(gate, {"bpc": 2.0000000001}) == ["bpc is 2.0000000001, above 2.0"]
    with pytest.raises(typer.Exit) as left:
        gate.close()
    assert left.value.exit_code == GATE == 3
    leave([])
    Gate("bpc").close()


def test_the_figure_of_a_baseline_is_of_the_same_text_and_where_there_are_several_of_the_same_model(
    tmp_path: Path,
) -> None:
    file = write(
        tmp_path / "base.json",
        record(2.0, "a"), record(3.0, "b", "m"), record(4.0, "b", "n"), record(5.0, "c"), record(5.0, "c"),
    )  # fmt: skip

    def judged(*records: dict[str, object]) -> list[str]:
        return broken(Gate("bpc", baseline=file), *records)

    assert not judged(record(2.0, "a", "a model that came later"), record(3.0, "b", "m"), record(4.0, "b", "n"))
    assert len(judged(record(3.5, "b", "m"), record(3.5, "b", "n"))) == 1
    for of, words in (
        (record(1.0, "d"), "holds no figures of d"),
        (record(1.0, "b", "o"), "holds no figures of o on b"),
        (record(1.0, "c"), "holds 2 figures of m on c"),
        (record(1.0, "a", chars=11), "chars 10 there, 11 here"),
    ):
        with pytest.raises(CharrnnError, match=words):
            judged(of)


def test_a_figure_that_is_not_defined_passes_no_gate(tmp_path: Path) -> None:
    file = write(tmp_path / "base.json", record(2.0))
    for value in (None, math.nan, "2.0", True):
        for gate in (Gate("bpc", above=math.inf), Gate("bpc", below=-math.inf), Gate("bpc", baseline=file)):
            with pytest.raises(CharrnnError, match="bpc is not defined for this text"):
                gate.judge([record(value)])  # type: ignore[arg-type]
    with pytest.raises(CharrnnError, match="not defined"):
        Gate("bpc", above=1.0).judge([{}])
    with pytest.raises(CharrnnError, match=r"bpc is not defined for .*base\.json"):
        Gate("bpc", baseline=write(tmp_path / "base.json", record(None))).judge([record(2.0)])
    for value in ("Infinity", "-Infinity", "9" * 400):  # as others may write it; everything would pass
        file.write_text(f'{{"text": "t.txt", "bpc": {value}}}')
        with pytest.raises(CharrnnError, match=r"bpc is not finite in .*base\.json"):
            Gate("bpc", baseline=file).judge([record(2.0)])
    Gate("bpc").judge([record(None)])


def test_a_baseline_that_is_none_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    file = tmp_path / "base.json"
    for content, words in (
        (b"", "holds no figures"), (b"\n\n", "holds no figures"), (b"{}\n2.0\n", "line 2, is no JSON object"),
        (b"bpc\t2.0\n", "line 1, is no"), (b"\xff\xfe{}", "is no JSON object"),
        (100_000 * b"[", "line 1, is no JSON object"),
    ):  # fmt: skip
        file.write_bytes(content)
        with pytest.raises(CharrnnError, match=words):
            Gate("bpc", baseline=file)
    file.write_bytes(b'\xef\xbb\xbf{"bpc": 2}\r\n')
    assert read_records(file) == [{"bpc": 2}]
    assert read_records(write(file, {"text": "a\u2028b"}, {"text": "\x85"})) == [{"text": "a\u2028b"}, {"text": "\x85"}]
    with pytest.raises(OSError, match="No such file"):
        Gate("bpc", baseline=tmp_path / "none.json")


def test_eval_holds_its_figures_to_limits_and_to_what_it_wrote_before(
    charrnn: CommandLine, trained: Path, prose: str
) -> None:
    Path("text.txt").write_text(prose[:300], encoding="utf-8")
    line = ["eval", "-m", "small", "--checkpoints", str(trained), "text.txt", "--threads", "1"]
    written = charrnn(*line, "--json")
    Path("base.json").write_text(written.out, encoding="utf-8")
    figures = json.loads(written.out)
    metric = ["-q", "--metric", "bpc"]
    assert charrnn(*line, *metric, "--baseline", "base.json").code == 0
    limit = str(figures["bpc"] * 1.01)
    low = charrnn(*line, "--metric", "bpc", "--fail-below", limit)
    assert low.code == 3 and "the gate does not hold: bpc of text.txt, " in low.err and "bpc" in low.out
    assert charrnn(*line, *metric, "--fail-above", limit).code == 0
    Path("better.json").write_text(json.dumps({**figures, "bpc": figures["bpc"] * 0.98}), encoding="utf-8")
    assert charrnn(*line, *metric, "--baseline", "better.json").code == 3
    assert charrnn(*line, *metric, "--baseline", "better.json", "--tolerance", "1%").code == 3
    assert charrnn(*line, *metric, "--baseline", "better.json", "--tolerance", "3%").code == 0
    for wrong, code, words in (
        (["--fail-below", "nan"], 2, "--fail-below"), (["--fail-above", "nan"], 2, "--fail-above"),
        (["--baseline", "base.json", "--tolerance", "x"], 2, "--tolerance must be"),
        (["--tolerance", "1%"], 2, "--tolerance means nothing without --baseline"),
        (["--baseline", "none.json"], 1, "none.json"), (["--baseline", "text.txt"], 1, "is no JSON object"),
        (["--baseline", "base.json", "--reset-every", "9"], 1, "state carried there, reset every 9 tokens here"),
    ):  # fmt: skip
        refused = charrnn(*line, *wrong)
        assert refused.code == code and words in refused.err and refused.err.count("\n") <= 2, wrong
