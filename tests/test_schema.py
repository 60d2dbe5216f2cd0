"""Records in files: there and back, strict about what is wrong, patient with what is older."""

import json
import math
from dataclasses import dataclass, field
from typing import Any

import pytest

from charrnn.errors import ConfigError
from charrnn.schema import Schema, finite, newer, to_json_text
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


def test_a_newer_version_that_wrote_a_file_is_named_and_versions_are_compared_as_numbers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("charrnn.schema.__version__", "0.9.1")
    told = ": the file was written by charrnn 0.10.0, newer than this 0.9.1: upgrade charrnn"
    assert newer("0.10.0") == told
    assert newer("0.9.2") != ""
    for version in (None, "0.9", "0.9.1", "0.2.30", "", "unknown"):
        assert newer(version) == "", version


def test_numbers_that_no_reader_can_hold_are_none_of_a_record() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Numbers(Schema):
        whole: int = 0
        real: float | None = 0.0

    assert Numbers.from_json({"whole": 2**63 - 1, "real": 3}) == Numbers(whole=2**63 - 1, real=3)
    wrong: list[dict[str, Any]] = [
        {"whole": 2**63}, {"whole": -(10**400)}, {"whole": 1.5}, {"real": 10**400}, {"real": math.nan}, {"real": True},
        {"real": -math.inf}, {"real": "1"}, {"real": [1.0]},
    ]  # fmt: skip
    for record in wrong:
        with pytest.raises(ConfigError, match="cannot be") as caught:
            Numbers.from_json(record)
        assert len(str(caught.value)) < 100


def test_what_goes_without_saying_is_what_a_file_that_lacks_it_means() -> None:
    """So a field that is younger than a record changes nothing of what it is told by."""
    assert OUTER.told() == {"name": "b", "inner": OUTER.inner.to_json(), "notes": ("z",), "pace": 2.0}
    assert Outer(name="", inner=OUTER.inner, pace=1.0).told() == {"name": "", "inner": OUTER.inner.to_json()}


def test_what_is_not_finite_is_null_however_deep_it_is() -> None:
    nan, inf = math.nan, math.inf
    deep = {"a": nan, "b": [1.5, inf, {"c": (-inf, "nan", None, True, 3)}], "d": {"e": {"f": nan}}}
    expected = {"a": None, "b": [1.5, None, {"c": [None, "nan", None, True, 3]}], "d": {"e": {"f": None}}}
    assert finite(deep) == json.loads(to_json_text(deep)) == expected


def test_json_is_strict_on_one_line_and_has_its_letters_as_they_are() -> None:
    assert to_json_text({"sample": "Ünd\n\u2028☃"}) == '{"sample": "Ünd\\n\u2028☃"}'
    for number in (math.nan, math.inf, -math.inf):
        assert to_json_text([{"loss": number}]) == '[{"loss": null}]'
    assert to_json_text([{"loss": -0.0}, (-0.0, -1.5, -0)]) == '[{"loss": 0.0}, [0.0, -1.5, 0]]'


def test_half_a_surrogate_pair_is_escaped_and_comes_back() -> None:
    """The name of a file that is no UTF-8."""
    record = {"sources": ["f\udcff.txt", "é"]}
    text = to_json_text(record)
    assert text.isascii() and json.loads(text) == record
    assert to_json_text({"é": 1}) == '{"é": 1}'
