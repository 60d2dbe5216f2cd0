"""Records in files: there and back, strict about what is wrong, patient with what is older."""

import json
import math
from dataclasses import dataclass, field
from typing import Any

import pytest

import charrnn
from charrnn.errors import ConfigError
from charrnn.schema import Schema, finite, to_json_text
from charrnn.training.progress import Position, Progress, Spent
from charrnn.training.step_plan import StepPlan


@dataclass(frozen=True, kw_only=True)
class Inner(Schema):
    number: int
    words: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Outer(Schema):
    name: str
    inner: Inner
    # Younger than the first files: the default is another than what was so before.
    pace: float = field(default=2.0, metadata={"absent": 1.0})
    drawn: bool = True
    notes: tuple[str, ...] = field(default_factory=tuple)

    @classmethod
    def migrate(cls, record: dict[str, Any]) -> dict[str, Any]:
        return {"name" if key == "title" else key: value for key, value in record.items()}


OUTER = Outer(name="b", inner=Inner(number=-1, words=("x", "y")), notes=("z",))


def test_a_record_within_another_comes_back_as_what_it_was() -> None:
    again = Outer.from_json(json.loads(to_json_text(OUTER.to_json())))
    assert again == OUTER and type(again.inner) is Inner and hash(again) == hash(OUTER)


def test_where_a_run_stands_comes_back_with_its_plan() -> None:
    progress = Progress(
        position=Position(step=3), time=Spent(seconds=1.5, plan=StepPlan(total=9, step=2, share=0.25, step_seconds=0.5))
    )
    again = Progress.from_json(json.loads(to_json_text(progress.to_json())))
    assert again == progress and type(again.time.plan) is StepPlan


def test_what_is_wrong_within_is_named_as_strictly_as_what_is_wrong_without() -> None:
    inner: list[tuple[object, str]] = [
        (None, "Inner: expected an object, got NoneType"),
        ([["number", 3]], "Inner: expected an object, got list"),
        ({"words": []}, "Inner: missing field 'number'"),
        ({"number": 3, "words": [], "x": 1}, "Inner: unknown field 'x'"),
        ({"number": True, "words": []}, "Inner: number cannot be True"),
        ({"number": 3, "words": [4]}, "Inner: words cannot be [4]"),
    ]
    for record, message in inner:
        with pytest.raises(ConfigError) as caught:
            Outer.from_json({"name": "a", "inner": record})
        assert str(caught.value) == message


def test_a_field_that_is_missing_is_what_it_was_before_there_was_the_field() -> None:
    found = Outer.from_json({"name": "a", "inner": {"number": 3}})
    assert found == Outer(name="a", inner=Inner(number=3), pace=1.0, drawn=True, notes=())
    assert Outer(name="a", inner=Inner(number=3)).pace == 2.0
    with pytest.raises(ConfigError, match=r"^Outer: missing field 'name'$"):
        Outer.from_json({"inner": {"number": 3}})


def test_a_field_that_was_renamed_is_read_under_its_old_name() -> None:
    assert Outer.from_json({"title": "a", "inner": {"number": 3}}).name == "a"


def test_a_field_that_is_unknown_names_the_newer_version_that_wrote_it() -> None:
    for record in ({**OUTER.to_json(), "tide": 1}, {**OUTER.to_json(), "inner": {"number": 3, "tide": 1}}):
        for version, newer in ((None, False), (charrnn.__version__, False), ("0.0.9", False), ("99.1", True)):
            with pytest.raises(ConfigError) as caught:
                Outer.from_json(record, written_by=version)
            told = f": the file was written by charrnn 99.1, newer than this {charrnn.__version__}: upgrade charrnn"
            assert str(caught.value).endswith("unknown field 'tide'" + told * newer), (version, str(caught.value))


def test_versions_are_compared_as_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("charrnn.schema.__version__", "0.9.1")
    for version, newer in (("0.10.0", True), ("0.9.2", True), ("0.9", False), ("0.9.1", False), ("0.2.30", False)):
        with pytest.raises(ConfigError) as caught:
            Inner.from_json({"number": 3, "tide": 1}, written_by=version)
        assert ("upgrade charrnn" in str(caught.value)) == newer, version


def test_what_is_not_finite_is_null_however_deep_it_is() -> None:
    nan, inf = math.nan, math.inf
    deep = {"a": nan, "b": [1.5, inf, {"c": (-inf, "nan", None, True, 3)}], "d": {"e": {"f": nan}}}
    expected = {"a": None, "b": [1.5, None, {"c": [None, "nan", None, True, 3]}], "d": {"e": {"f": None}}}
    assert finite(deep) == expected
    assert json.loads(to_json_text(finite(deep))) == expected


def test_json_is_strict_on_one_line_and_has_its_letters_as_they_are() -> None:
    assert to_json_text({"sample": "Ünd\n\u2028☃"}) == '{"sample": "Ünd\\n\u2028☃"}'
    for number in (math.nan, math.inf, -math.inf):
        with pytest.raises(ValueError, match="JSON"):
            to_json_text([{"loss": number}])


def test_half_a_surrogate_pair_is_escaped_and_comes_back() -> None:
    """The name of a file that is no UTF-8."""
    record = {"sources": ["f\udcff.txt", "é"]}
    text = to_json_text(record)
    assert text.isascii() and json.loads(text) == record
    assert to_json_text({"é": 1}) == '{"é": 1}'
