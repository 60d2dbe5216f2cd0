"""A sampling's configuration: one field for each option of the processors, each with its range."""

import dataclasses
import json
import math
from typing import Any

import pytest

from charrnn.errors import ConfigError
from charrnn.generation.config import SampleConfig
from charrnn.generation.processors import OPTIONS

NAN, INF = math.nan, math.inf


def refuse(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        SampleConfig(**options)
    assert str(error.value) == message


def test_every_option_is_a_field_with_its_default() -> None:
    fields = {field.name: field.default for field in dataclasses.fields(SampleConfig)}
    assert fields == {"length": 500, "stop": ()} | {option.name: option.default for option in OPTIONS}
    assert (SampleConfig().temperature, SampleConfig().top_k, SampleConfig().repetition_window) == (0.8, None, 64)


def test_configurations_are_equal_by_value_hashable_frozen_and_say_what_is_not_the_default() -> None:
    one = SampleConfig(temperature=0.5, top_k=3, length=100, stop=("x",))
    assert one == SampleConfig(stop="x", length=100, top_k=3, temperature=0.5)
    assert hash(one) == hash(SampleConfig(stop=["x"], length=100, top_k=3, temperature=0.5))
    assert one != SampleConfig() and one != SampleConfig(**{**one.to_json(), "top_k": 4})
    assert repr(one) == "SampleConfig(length=100, stop=('x',), temperature=0.5, top_k=3)"
    assert repr(SampleConfig()) == "SampleConfig()"
    for name in ("length", "top_k"):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(one, name, 1)
    with pytest.raises(TypeError, match="positional"):
        SampleConfig(1)  # type: ignore[call-arg]


def test_a_configuration_comes_back_from_json() -> None:
    several: list[dict[str, Any]] = [{}, {"stop": ("a", "\n")}, *({option.name: 1} for option in OPTIONS)]
    for one in (SampleConfig(**options) for options in several):
        record = json.loads(json.dumps(one.to_json(), allow_nan=False))
        assert list(record) == [field.name for field in dataclasses.fields(SampleConfig)]
        assert SampleConfig.from_json(record) == one


def test_an_option_that_there_is_not_is_told_with_the_nearest() -> None:
    refuse({"temp": 1}, "there is no option `temp`: the nearest is `temperature`")
    refuse({"topk": 1}, "there is no option `topk`: the nearest is `top_k`")
    names = ", ".join(field.name for field in dataclasses.fields(SampleConfig))
    refuse({"xyz": 1}, f"there is no option `xyz`: there are {names}")


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_a_value_of_another_kind_or_out_of_range_is_an_error_that_names_the_field(option: Any) -> None:
    words = "a whole number" if option.type is int else "a number"
    for value in ("1", True, [1], 1j, *([1.5] if option.type is int else [])):
        refuse({option.name: value}, f"`{option.name}` must be {words}, not {value!r}")
    beyond = [option.least - 1, option.least - 1e-9, -INF, NAN, *([option.least] if option.above else [])]
    beyond += [option.most + 1] if option.most < 1e9 else [INF]
    for value in [int(option.least) - 1, 10**400] if option.type is int else beyond:
        if option.type is not int or value < option.least:
            refuse({option.name: value}, f"`{option.name}` must be {option.range}, not {value}")
    for value in (None, 1):
        options: dict[str, Any] = {option.name: value}
        assert getattr(SampleConfig(**options), option.name) == value


def test_ranges_are_said_in_words() -> None:
    said = {option.name: option.range for option in OPTIONS}
    assert said["temperature"] == "finite and at least 0"
    assert said["top_k"] == "at least 1"
    assert said["top_p"] == said["min_p"] == "above 0 and at most 1"
    assert said["repetition_penalty"] == "finite and at least 1"


def test_length_and_stop_have_their_ranges_too() -> None:
    for length in (0, -1, 1.5, None, True, "9"):
        refuse({"length": length}, f"`length` must be a whole number of at least 1, not {length!r}")
    for stop in ("", [""], ["a", ""], [1]):
        refuse({"stop": stop}, "a `stop` string must not be empty")
    assert SampleConfig(stop=" ").stop == (" ",)
