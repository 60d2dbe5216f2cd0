"""Configurations: what a field says of itself holds in Python and on the command line, and in files."""

import dataclasses
import json
import math
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.cli.app import app
from charrnn.cli.flags import commands
from charrnn.config import (
    ModelConfig,
    Range,
    TrainConfig,
    TrainOptions,
    draw_seed,
    format_duration,
    nearest,
    option,
    parse_duration,
    require,
)  # fmt: skip
from charrnn.config.fields import Config, Field, kinds, setting
from charrnn.errors import ConfigError
from charrnn.generation.config import SampleConfig
from charrnn.schema import Schema

NAN, INF = math.nan, math.inf

# What each must be given.
NEEDED: dict[type[Config], dict[str, Any]] = {
    ModelConfig: {"vocab_size": 65, "start_id": 65},
    TrainConfig: {"seed": 1, "steps": 100},
    TrainOptions: {},
    SampleConfig: {},
}
CONFIGS = list(NEEDED)
# One of each with values that are not the defaults.
FULL: list[Config] = [
    ModelConfig(vocab_size=66, start_id=65, cell="gru", embedding=32, hidden=32, layers=3, dropout=0.25, tie=True),
    TrainConfig(seed=2**32 - 1, epochs=2.5, bptt=1, clip=None, clip_value=5.0, patience=None, precision="bf16"),
    TrainOptions(corpus=("a.txt", "b.txt"), name="run", valid=0.1, test="test.txt", seconds=60.0, tie=False, seed=7),
    SampleConfig(temperature=0.0, length=1, top_k=1, top_p=1.0, repetition_penalty=1.0, stop=("\n\n", "é")),
]
DEFAULTS = [config(**needed) for config, needed in NEEDED.items()]


def fields(config: type[Schema]) -> list[Field]:
    return list(dataclasses.fields(config))


def made(config: type[Config], name: str, value: object) -> Any:
    """A configuration with this value, and what it needs beside."""
    needed = {key: each for key, each in NEEDED[config].items() if name not in ("epochs", "seconds") or key != "steps"}
    return config(**{**needed, name: value})


def bounds(field: Field) -> tuple[list[float], list[float]]:
    """Numbers just inside the field's range, and just outside."""
    within = setting(field).range
    assert within is not None

    def beside(bound: float, towards: float) -> float:
        whole = int in kinds(field)
        return bound + int(math.copysign(1, towards)) if whole else math.nextafter(bound, towards)

    inside, outside = [], []
    for bound, open_, towards in (
        (within.at_least, False, -INF), (within.above, True, -INF), (within.at_most, False, INF),
        (within.below, True, INF),
    ):  # fmt: skip
        if bound is not None:
            inside.append(beside(bound, -towards) if open_ else bound)
            outside.append(bound if open_ else beside(bound, towards))
    return inside, outside


# ---- what a field says holds


def test_every_range_begins_and_ends_where_its_field_says() -> None:
    seen = 0
    for config in CONFIGS:
        for field in fields(config):
            if setting(field).range is None or field.name == "start_id":
                continue
            inside, outside = bounds(field)
            for value in inside:
                assert getattr(made(config, field.name, value), field.name) == value
                seen += 1
            for value in [*outside, NAN, INF, -INF, -(10**400)]:
                with pytest.raises(ConfigError, match=rf"^`{field.name}` must be .*, not -?[\w.+-]+$"):
                    made(config, field.name, value)
    assert seen > 60


@cache
def named_commands() -> dict[str, Any]:
    """Made of their signatures once."""
    return dict(commands(app))


def parse(command: str, *arguments: str) -> dict[str, Any]:
    """What a command line is read as, without running it."""
    found: dict[str, Any] = named_commands()[command].make_context(command, [*arguments]).params
    return found


# Without these, the option means nothing.
NEEDED_BESIDE = {"vocab_size": ["--tokenizer", "subword"], "repetition_window": ["--repetition-penalty", "2"]}


@pytest.mark.slow
def test_the_command_line_has_the_same_ranges() -> None:
    for config, command in ((TrainOptions, "train"), (SampleConfig, "sample")):
        for field in fields(config):
            if setting(field).range is None:
                continue
            inside, outside = bounds(field)
            needed = NEEDED_BESIDE.get(field.name, [])
            flag, unit = (setting(field).flags or (f"--{field.name.replace('_', '-')}",))[0], ""
            if field.name == "seconds":
                inside, outside, unit = [0.5], [0], "s"
            for value in inside:
                found = parse(command, flag, f"{value}{unit}", *needed)[field.name]
                assert found == value and type(found) in kinds(field), (flag, value)
            for value in outside if unit else [*outside, NAN, INF]:
                if int in kinds(field) and isinstance(value, float):
                    continue  # no whole number: the parser refuses it
                with pytest.raises(ConfigError):
                    parse(command, flag, f"{value}{unit}", *needed)


def test_the_same_quantity_has_the_same_range_wherever_it_stands() -> None:
    options = {field.name: setting(field) for field in fields(TrainOptions)}
    # Here 0 is written for none, and there it is None.
    written = {"dropout", "weight_drop", "average", "clip"}
    for config in (ModelConfig, TrainConfig):
        for field in fields(config):
            if field.name in options and field.name not in {*written, "vocab_size", "start_id"}:
                assert setting(field).range == options[field.name].range, field.name
            elif field.name in written:
                within, there = setting(field).range, options[field.name].range
                assert within is not None and there is not None
                assert (within.above, within.below) == (there.at_least, there.below) and 0 in there, field.name


def test_a_value_of_another_type_is_refused_and_the_field_named() -> None:
    wrong = {bool: [1, "yes"], int: [1.0, "2", True, b"x"], float: ["0.5", True, [1.0]], str: [3, True, ["a"], b"x"]}
    for config in CONFIGS:
        for field in fields(config):
            plain = [kind for kind in kinds(field) if kind in wrong]
            for value in [each for kind in plain for each in wrong[kind]]:
                if isinstance(value, tuple(plain)) and not isinstance(value, bool):
                    continue
                if bool in plain and isinstance(value, bool):
                    continue
                with pytest.raises(ConfigError, match=f"^`{field.name}` must be "):
                    made(config, field.name, value)
            if plain and type(None) not in kinds(field):
                with pytest.raises(ConfigError, match=f"^`{field.name}` must be .*, not None$"):
                    made(config, field.name, None)


def test_a_name_is_one_of_the_choices_of_its_field() -> None:
    for config in CONFIGS:
        for field in fields(config):
            for choice in setting(field).choices:
                assert getattr(made(config, field.name, choice), field.name) == choice
                with pytest.raises(ConfigError, match=f"^`{field.name}` must be .*{choice}.*, not '{choice.upper()}'$"):
                    made(config, field.name, choice.upper())


@dataclass(frozen=True, kw_only=True)
class Probe(Config):
    whole: int = option("", "", default=2, range=Range(at_least=1, at_most=3))
    share: float | None = option("", "", range=Range(above=0, below=1))
    part: float | str | None = option("", "", range=Range(at_least=0.5))
    name: str = option("", "", default="one", choices=("one", "two", "three"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"whole": 0}, "`whole` must be from 1 to 3, not 0"),
        ({"whole": 2.5}, "`whole` must be a whole number, not 2.5"),
        ({"share": 1}, "`share` must be above 0 and below 1, not 1"),
        ({"share": "x"}, "`share` must be a number, not 'x'"),
        ({"part": 0.1}, "`part` must be a file or at least 0.5, not 0.1"),
        ({"name": "four"}, "`name` must be one, two or three, not 'four'"),
        ({"nam": "two"}, "there is no option `nam`; the nearest is `name`"),
        ({"xyz": "two"}, "there is no option `xyz`; there are whole, share, part, name"),
    ],
)  # fmt: skip
def test_a_message_says_what_is_allowed_in_words(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Probe.of(**given)
    assert str(caught.value) == message


@given(st.floats() | st.integers(), st.floats(-9, 9), st.floats(-9, 9))
def test_a_range_holds_what_its_four_bounds_say(value: float, low: float, high: float) -> None:
    finite = isinstance(value, int) or math.isfinite(value)
    if isinstance(value, int) and abs(value) > 1e308:
        finite = False
    assert (value in Range(at_least=low, at_most=high)) == (finite and low <= value <= high)
    assert (value in Range(above=low, below=high)) == (finite and low < value < high)


def test_require_raises_its_message_unless_the_condition_holds() -> None:
    require(True, "never said")
    for condition in (False, NAN > 0):
        with pytest.raises(ConfigError, match=r"^said$"):
            require(condition, "said")


# ---- what people write


def test_what_people_write_becomes_the_value_and_a_value_stays_as_it_is() -> None:
    asked = TrainOptions.of(
        corpus=Path("a.txt"), seconds="1h30m", start_from=Path("runs/a"), valid="0.1", test=Path("t.txt"), skip="none"
    )
    assert (asked.corpus, asked.seconds, asked.start_from) == (("a.txt",), 5400.0, "runs/a")
    assert (asked.valid, asked.test, asked.skip) == (0.1, "t.txt", None)
    assert TrainOptions.of(**dict(vars(asked))) == asked
    assert TrainOptions.of(corpus=[Path("a"), "b"]).corpus == ("a", "b")
    assert TrainOptions.of(corpus="fables", valid=None) == TrainOptions(corpus=("fables",))


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("1h30m", 5400), ("1.5h", 5400), ("2m0.5s", 120.5)]
)
def test_a_time_is_read_as_people_write_it(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds == parse_duration(seconds)


@pytest.mark.parametrize("text", ["", "soon", "10", "10 m", "m", "-5m", "1h30", "1m1x", "infs", "nan"])
def test_what_is_no_time_is_told_how_to_write_one(text: str) -> None:
    with pytest.raises(ConfigError, match="is no time: write it as 90s, 10m or 1h30m"):
        parse_duration(text)


@given(st.integers(1, 10**6))
def test_a_time_that_is_written_is_read_again(seconds: int) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


def test_the_nearest_name_is_the_one_that_was_meant() -> None:
    names = list(TrainOptions.__dataclass_fields__)
    for wrong, meant in {
        "hiden": "hidden",
        "batchsize": "batch_size",
        "drop_out": "dropout",
        "layer": "layers",
    }.items():
        assert nearest(wrong, names) == meant
    assert nearest("zzz", names) is None


def test_a_seed_that_is_drawn_is_one() -> None:
    seeds = {draw_seed() for _ in range(20)}
    assert len(seeds) > 1 and all(TrainOptions(seed=seed).seed == seed for seed in seeds)


# ---- fields that go together


BUDGET = "give one of `seconds`, `steps` and `epochs`"


def test_there_is_one_budget_and_options_may_leave_it_open() -> None:
    assert TrainOptions().seconds is None
    for names in ([], ["steps", "epochs"], ["epochs", "seconds"], ["steps", "epochs", "seconds"]):
        budgets: dict[str, Any] = dict.fromkeys(names, 1)
        with pytest.raises(ConfigError, match=f"^{BUDGET}$"):
            TrainConfig(seed=1, **budgets)
        if names:
            with pytest.raises(ConfigError, match=f"^{BUDGET}$"):
                TrainOptions(**budgets)


def test_a_network_predicts_the_symbols_and_at_most_the_end_beside_them() -> None:
    assert not ModelConfig(vocab_size=65, start_id=65).documents
    assert ModelConfig(vocab_size=66, start_id=65).documents
    assert ModelConfig(vocab_size=1, start_id=1).start_id == 1
    for size, start, words in ((64, 65, "one more, not 64"), (67, 65, "one more, not 67"), (1, 0, "at least 1, not 0")):
        with pytest.raises(ConfigError, match=words):
            ModelConfig(vocab_size=size, start_id=start)


def test_tied_embeddings_are_as_wide_as_what_the_head_reads() -> None:
    sizes: dict[str, Any] = {"vocab_size": 65, "start_id": 65, "embedding": 8}
    assert ModelConfig(**sizes, tie=True, hidden=8).tie and not ModelConfig(**sizes, hidden=9).tie
    with pytest.raises(ConfigError, match="tied embeddings need `embedding` = `hidden`, not 8 and 9"):
        ModelConfig(**sizes, tie=True, hidden=9)
    with pytest.raises(ConfigError, match="leave out one of `tie` and `skip='dense'`"):
        ModelConfig(**sizes, tie=True, hidden=8, skip="dense")


def test_an_empty_stop_string_is_refused() -> None:
    for stop in (("",), ("a", "")):
        with pytest.raises(ConfigError, match="`stop` string must not be empty"):
            SampleConfig(stop=stop)


# ---- records in files


def test_a_configuration_comes_back_from_json_every_field_named() -> None:
    for config in [*FULL, *DEFAULTS]:
        record = config.to_json()
        assert list(record) == [field.name for field in dataclasses.fields(config)]
        again = type(config).from_json(json.loads(json.dumps(record, allow_nan=False)))
        assert again == config and hash(again) == hash(config) and type(again) is type(config)
        types = {name: type(value) for name, value in vars(config).items()}
        assert {name: type(value) for name, value in vars(again).items()} == types


def test_a_configuration_cannot_be_changed_and_is_given_by_name() -> None:
    for config in FULL:
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(config, dataclasses.fields(config)[0].name, 1)
        with pytest.raises(TypeError, match="positional"):
            type(config)(1)  # type: ignore[call-arg]


def test_what_is_no_record_of_a_configuration_is_refused_and_the_fault_named() -> None:
    others: list[object] = [None, [], "text", 3, [("seed", 1)]]
    mistyped: list[object] = [{}, [1], [None], b"x", 1j]
    for config in FULL:
        name, record = type(config).__name__, config.to_json()
        for other in others:
            with pytest.raises(ConfigError, match=f"{name}: expected an object, got {type(other).__name__}"):
                type(config).from_json(other)
        for key in ("astonish", "", 3, None):
            strange: dict[Any, Any] = {**record, key: 1}
            with pytest.raises(ConfigError, match=f"^{name}: unknown field {re.escape(repr(str(key)))}"):
                type(config).from_json(strange)
        for field in dataclasses.fields(config):
            for value in mistyped:
                with pytest.raises(ConfigError, match=f"^{name}: {field.name} cannot be "):
                    type(config).from_json({**record, field.name: value})
            if field.default is dataclasses.MISSING:
                rest = {key: value for key, value in record.items() if key != field.name}
                with pytest.raises(ConfigError, match=f"^{name}: missing field '{field.name}'"):
                    type(config).from_json(rest)


def test_a_value_out_of_range_is_refused_in_a_file_too() -> None:
    for config, name, value in ((FULL[1], "lr", NAN), (FULL[0], "layers", 0), (FULL[1], "epochs", 10**400)):
        with pytest.raises(ConfigError, match=f"`{name}` must be|{name} cannot be"):
            type(config).from_json({**config.to_json(), name: value})


def test_numbers_of_numpy_are_numbers() -> None:
    found = SampleConfig.of(temperature=np.float32(0.5), top_k=np.int64(5), length=np.int32(7))
    assert found == SampleConfig(temperature=0.5, top_k=5, length=7) and type(found.top_k) is int
