"""Configurations: strict JSON there and back, and every range with its message."""

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import Any

import pytest

from charrnn.config import ModelConfig, TrainConfig, TrainOptions, require
from charrnn.errors import ConfigError
from charrnn.schema import Schema
from charrnn.training.events import Progress
from charrnn.training.step_plan import StepPlan

NAN, INF = math.nan, math.inf

MODEL: dict[str, Any] = {"vocab_size": 65, "start_id": 65}
TRAIN: dict[str, Any] = {"seed": 1, "steps": 100}

# A configuration of each kind, every field given.
FULL: list[Schema] = [
    ModelConfig(
        vocab_size=66, start_id=65, cell="gru", embedding=32, hidden=32, layers=3, dropout=0.25, weight_drop=0.3,
        tie=True,
    ),
    TrainConfig(
        seed=2**32 - 1,
        epochs=2.5,
        bptt=1,
        batch_size=1,
        lr=1e-3,
        warmup=0.0,
        weight_decay=0.0,
        clip=None,
        clip_value=5.0,
        state_drop=0.5,
        eval_every=10,
        save_every=20,
        report_every=1,
        patience=None,
        precision="bf16",
    ),
    TrainOptions(
        corpus=("a.txt", "b.txt"),
        name="run",
        start_from="other",
        tokenizer="subword",
        vocab_size=500,
        documents="lines",
        valid=0.1,
        test="test.txt",
        cell="rnn",
        layers=1,
        hidden=64,
        embedding=16,
        tie=False,
        dropout=0.1,
        weight_drop=0.2,
        weight_decay=0.03,
        bptt=8,
        batch_size=2,
        lr=0.01,
        seconds=60.0,
        seed=7,
        precision="fp32",
        device="cpu",
        threads=2,
        tune=False,
    ),
]  # fmt: skip
DEFAULTS: list[Schema] = [ModelConfig(**MODEL), TrainConfig(**TRAIN), TrainOptions()]
FIELDS = [(config, field.name) for config in FULL for field in dataclasses.fields(config)]


def kind(config: object) -> str:
    return type(config).__name__ if isinstance(config, Schema) else str(config)


# ---- there and back


@pytest.mark.parametrize("config", FULL + DEFAULTS, ids=kind)
def test_a_configuration_comes_back_from_json(config: Schema) -> None:
    text = json.dumps(config.to_json(), allow_nan=False)
    again = type(config).from_json(json.loads(text))
    assert again == config
    assert type(again) is type(config)
    assert {name: type(value) for name, value in vars(again).items()} == {n: type(v) for n, v in vars(config).items()}


@pytest.mark.parametrize("config", FULL, ids=kind)
def test_json_names_every_field(config: Schema) -> None:
    assert list(config.to_json()) == [field.name for field in dataclasses.fields(config)]


@pytest.mark.parametrize("config", FULL, ids=kind)
def test_a_configuration_cannot_be_changed(config: Schema) -> None:
    name = dataclasses.fields(config)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(config, name, 1)


@pytest.mark.parametrize("config_class", [ModelConfig, TrainConfig, TrainOptions])
def test_fields_are_given_by_name_only(config_class: Any) -> None:
    with pytest.raises(TypeError, match="positional"):
        config_class(1)


# ---- what is not a configuration


@pytest.mark.parametrize("config, name", FIELDS, ids=kind)
def test_a_missing_field_is_named(config: Schema, name: str) -> None:
    record = config.to_json()
    del record[name]
    with pytest.raises(ConfigError, match=f"^{type(config).__name__}: missing field '{name}'$"):
        type(config).from_json(record)


@pytest.mark.parametrize("config", FULL, ids=kind)
@pytest.mark.parametrize("key", ["surprise", "", 3, None])
def test_an_unknown_field_is_named(config: Schema, key: object) -> None:
    record: dict[Any, Any] = {**config.to_json(), key: 1}
    with pytest.raises(ConfigError, match=f"^{type(config).__name__}: unknown field {str(key)!r}$"):
        type(config).from_json(record)


@pytest.mark.parametrize("record", [None, [], "text", 3, [("seed", 1)]])
def test_what_is_no_object_is_refused(record: object) -> None:
    with pytest.raises(ConfigError, match=f"TrainConfig: expected an object, got {type(record).__name__}"):
        TrainConfig.from_json(record)


@pytest.mark.parametrize("config, name", FIELDS, ids=kind)
@pytest.mark.parametrize("value", [{}, [1], [None], b"x", 1j], ids=repr)
def test_a_mistyped_field_is_named(config: Schema, name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"^{type(config).__name__}: {name} cannot be "):
        type(config).from_json({**config.to_json(), name: value})


OPTIONAL = [
    ("weight_drop", ModelConfig), ("skip", ModelConfig), ("average", TrainConfig), ("skip", TrainOptions),
    ("norm", TrainOptions), ("bidirectional", TrainOptions), ("ensemble", TrainOptions),
    ("optimizer", TrainOptions), ("average", TrainOptions),
    ("dropout", ModelConfig), ("steps", TrainConfig), ("epochs", TrainConfig), ("seconds", TrainConfig),
    ("clip", TrainConfig), ("clip_value", TrainConfig), ("eval_every", TrainConfig), ("save_every", TrainConfig),
    ("patience", TrainConfig), ("name", TrainOptions), ("valid", TrainOptions), ("test", TrainOptions),
    ("hidden", TrainOptions), ("embedding", TrainOptions), ("tie", TrainOptions), ("dropout", TrainOptions),
    ("lr", TrainOptions), ("clip", TrainOptions), ("clip_value", TrainOptions), ("patience", TrainOptions),
    ("steps", TrainOptions), ("epochs", TrainOptions), ("seconds", TrainOptions), ("eval_every", TrainOptions),
    ("save_every", TrainOptions), ("seed", TrainOptions), ("precision", TrainOptions), ("device", TrainOptions),
    ("threads", TrainOptions),
    *[(name, TrainOptions) for name in ("start_from", "tokenizer", "documents", "cell", "layers", "weight_drop")],
    *[(name, TrainOptions) for name in ("weight_decay", "bptt", "batch_size", "vocab_size", "spectral_radius")],
]  # fmt: skip


@pytest.mark.parametrize("config, name", FIELDS, ids=kind)
def test_only_what_can_be_off_may_be_null(config: Schema, name: str) -> None:
    record = {**config.to_json(), name: None}
    if (name, type(config)) in OPTIONAL:
        with_budget = {**record, "steps": 1} if isinstance(config, TrainConfig) and name == "epochs" else record
        assert getattr(type(config).from_json(with_budget), name) == with_budget[name]
    else:
        with pytest.raises(ConfigError, match=f"{name} cannot be None"):
            type(config).from_json(record)


@pytest.mark.parametrize(
    "config, name, value",
    [
        (FULL[0], "layers", 2.0),
        (FULL[0], "layers", "2"),
        (FULL[0], "layers", True),
        (FULL[0], "tie", 1),
        (FULL[0], "tie", "yes"),
        (FULL[0], "cell", 3),
        (FULL[0], "dropout", True),
        (FULL[0], "dropout", "0.5"),
        (FULL[1], "seed", True),
        (FULL[1], "lr", False),
        (FULL[2], "corpus", "a.txt"),
        (FULL[2], "corpus", ["a.txt", 3]),
        (FULL[2], "valid", True),
        (FULL[2], "valid", ["a"]),
    ],
)
def test_a_type_that_is_nearly_right_is_refused(config: Schema, name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"{name} cannot be"):
        type(config).from_json({**config.to_json(), name: value})


# ---- a configuration within a configuration


@dataclass(frozen=True, kw_only=True)
class Inner(Schema):
    number: int
    words: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Outer(Schema):
    name: str
    inner: Inner


@pytest.mark.parametrize(
    "outer", [Outer(name="a", inner=Inner(number=3)), Outer(name="b", inner=Inner(number=-1, words=("x", "y")))]
)
def test_a_configuration_within_another_comes_back_as_what_it_was(outer: Outer) -> None:
    text = json.dumps(outer.to_json())
    assert json.loads(text)["inner"] == {"number": outer.inner.number, "words": list(outer.inner.words)}
    again = Outer.from_json(json.loads(text))
    assert again == outer and type(again.inner) is Inner
    assert hash(again) == hash(outer)


@pytest.mark.parametrize(
    ("inner", "message"),
    [
        (None, "Inner: expected an object, got NoneType"),
        (3, "Inner: expected an object, got int"),
        ([["number", 3]], "Inner: expected an object, got list"),
        ({"words": []}, "Inner: missing field 'number'"),
        ({"number": 3, "words": [], "x": 1}, "Inner: unknown field 'x'"),
        ({"number": True, "words": []}, "Inner: number cannot be True"),
        ({"number": 3, "words": [4]}, r"Inner: words cannot be \[4\]"),
    ],
    ids=str,
)
def test_what_is_wrong_within_is_named_as_strictly_as_what_is_wrong_without(inner: object, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}$"):
        Outer.from_json({"name": "a", "inner": inner})


def test_where_a_run_stands_comes_back_with_its_pace() -> None:
    progress = Progress(step=3, seconds=1.5, plan=StepPlan(total=9, step=2, share=0.25, step_seconds=0.5))
    again = Progress.from_json(json.loads(json.dumps(progress.to_json())))
    assert again == progress and type(again.plan) is StepPlan
    record = progress.to_json()
    del record["pace"]["share"]
    with pytest.raises(ConfigError, match=r"^StepPlan: missing field 'share'$"):
        Progress.from_json(record)


# ---- ranges


def accept(config_class: type[Schema], base: dict[str, Any], name: str, value: object) -> None:
    assert getattr(config_class(**{**base, name: value}), name) == value


def refuse(config_class: type[Schema], base: dict[str, Any], changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config_class(**{**base, **changes})
    assert str(caught.value) == message


def test_require_raises_its_message_unless_the_condition_holds() -> None:
    require(True, "never said")
    with pytest.raises(ConfigError, match=r"^said$"):
        require(False, "said")
    with pytest.raises(ConfigError, match=r"^said$"):
        require(NAN > 0, "said")


@pytest.mark.parametrize("name", ["embedding", "hidden", "layers"])
def test_sizes_of_a_network_are_at_least_one(name: str) -> None:
    accept(ModelConfig, MODEL, name, 1)
    for value in (0, -1):
        refuse(ModelConfig, MODEL, {name: value}, f"{name} must be at least 1, not {value}")


def test_a_vocabulary_has_at_least_one_symbol() -> None:
    assert ModelConfig(vocab_size=1, start_id=1).start_id == 1
    refuse(ModelConfig, {}, {"vocab_size": 1, "start_id": 0}, "start_id must be at least 1, not 0")


def test_a_network_predicts_the_symbols_and_at_most_the_end_beside_them() -> None:
    assert not ModelConfig(vocab_size=65, start_id=65).documents
    assert ModelConfig(vocab_size=66, start_id=65).documents
    for size in (64, 67):
        message = f"vocab_size must be start_id or one more, not {size} beside 65"
        refuse(ModelConfig, MODEL, {"vocab_size": size}, message)


@pytest.mark.parametrize("value", [0.0, 1.0, -0.1, 1.5, 0, 1, NAN, INF])
def test_dropout_lies_strictly_between_zero_and_one(value: float) -> None:
    for name, spoken in (("dropout", "dropout"), ("weight_drop", "weight-drop")):
        message = f"{spoken} must lie between 0 and 1, not {value}; leave it out for none"
        refuse(ModelConfig, MODEL, {name: value}, message)
        accept(ModelConfig, MODEL, name, 1e-9)
        accept(ModelConfig, MODEL, name, 0.999)
        accept(ModelConfig, MODEL, name, None)


def test_tied_embeddings_are_as_wide_as_the_hidden_layer() -> None:
    assert ModelConfig(**MODEL, tie=True, embedding=8, hidden=8).tie
    assert not ModelConfig(**MODEL, embedding=8, hidden=9).tie
    changes = {"tie": True, "embedding": 8, "hidden": 9}
    refuse(ModelConfig, MODEL, changes, "tied embeddings need embedding = hidden, not 8 and 9")


ONE_BUDGET = "give one of --for, --steps and --epochs"


@pytest.mark.parametrize("names", [["steps", "epochs"], ["epochs", "seconds"], ["steps", "epochs", "seconds"]])
def test_more_than_one_budget_is_refused(names: list[str]) -> None:
    budgets = dict.fromkeys(names, 1)
    refuse(TrainConfig, {"seed": 1}, budgets, ONE_BUDGET)
    refuse(TrainOptions, {}, budgets, ONE_BUDGET)


def test_a_training_has_a_budget_and_options_may_leave_it_open() -> None:
    refuse(TrainConfig, {"seed": 1}, {}, ONE_BUDGET)
    options = TrainOptions()
    assert (options.steps, options.epochs, options.seconds) == (None, None, None)


@pytest.mark.parametrize("name", ["steps", "epochs", "seconds"])
@pytest.mark.parametrize("value", [0, -1, 0.0, -0.5, NAN, INF])
def test_a_budget_is_positive_and_finite(name: str, value: float) -> None:
    refuse(TrainConfig, {"seed": 1}, {name: value}, f"a budget must be positive, not {value}")
    accept(TrainConfig, {"seed": 1}, name, 1)


@pytest.mark.parametrize("name", ["bptt", "batch_size", "eval_every", "save_every", "report_every", "patience"])
def test_counts_and_periods_are_at_least_one(name: str) -> None:
    accept(TrainConfig, TRAIN, name, 1)
    for value in (0, -1):
        refuse(TrainConfig, TRAIN, {name: value}, f"{name.replace('_', '-')} must be at least 1, not {value}")


@pytest.mark.parametrize("name", ["lr", "clip", "clip_value"])
@pytest.mark.parametrize("value", [0, 0.0, -1e-9, NAN, INF, -INF])
def test_rates_and_limits_are_positive_and_finite(name: str, value: float) -> None:
    refuse(TrainConfig, TRAIN, {name: value}, f"{name.replace('_', '-')} must be positive, not {value}")
    accept(TrainConfig, TRAIN, name, 1e-12)


@pytest.mark.parametrize("name", ["warmup", "weight_decay", "state_drop"])
@pytest.mark.parametrize("value", [1, 1.0, -1e-9, 2, NAN, INF, -INF])
def test_shares_lie_between_zero_and_below_one(name: str, value: float) -> None:
    refuse(TrainConfig, TRAIN, {name: value}, f"{name.replace('_', '-')} must lie in [0, 1), not {value}")
    accept(TrainConfig, TRAIN, name, 0)
    accept(TrainConfig, TRAIN, name, 0.999)


@pytest.mark.parametrize("value", [-1, 2**32, NAN])
def test_a_seed_fits_into_63_bits(value: float) -> None:
    refuse(TrainConfig, TRAIN, {"seed": value}, f"seed must lie between 0 and 2^32 - 1, not {value}")
    accept(TrainConfig, TRAIN, "seed", 0)
    accept(TrainConfig, TRAIN, "seed", 2**32 - 1)


@pytest.mark.parametrize("name", ["valid", "test"])
@pytest.mark.parametrize("value", [0, 1, 0.0, 1.0, -0.1, 1.1, NAN, INF, True])
def test_a_held_out_share_lies_strictly_between_zero_and_one(name: str, value: float) -> None:
    refuse(TrainOptions, {}, {name: value}, f"{name} must be a file or a share between 0 and 1, not {value}")


@pytest.mark.parametrize("name", ["valid", "test"])
@pytest.mark.parametrize("value", [1e-9, 0.999, "held.txt", "0", None])
def test_a_held_out_part_is_a_share_a_file_or_left_open(name: str, value: object) -> None:
    accept(TrainOptions, {}, name, value)


@pytest.mark.parametrize("value", ["stream", "lines", "paragraphs"])
def test_documents_are_told_apart_in_three_ways_or_left_open(value: str) -> None:
    accept(TrainOptions, {}, "documents", value)
    accept(TrainOptions, {}, "documents", None)
    refuse(TrainOptions, {}, {"documents": value.upper()}, "documents must be stream, lines or paragraphs")


def test_a_value_out_of_range_is_refused_when_it_comes_from_json_too() -> None:
    with pytest.raises(ConfigError, match="lr must be positive, not nan"):
        TrainConfig.from_json({**FULL[1].to_json(), "lr": json.loads("NaN")})
    with pytest.raises(ConfigError, match="layers must be at least 1"):
        ModelConfig.from_json({**FULL[0].to_json(), "layers": 0})


@pytest.mark.parametrize(
    "config, name",
    [(FULL[1], "epochs"), (FULL[1], "lr"), (FULL[1], "clip_value"),
 ],
    ids=kind,
)  # fmt: skip
def test_a_number_beyond_all_floats_is_refused_or_taken_but_no_crash(config: Schema, name: str) -> None:
    """JSON integers have no limit."""
    try:
        found = type(config).from_json({**config.to_json(), name: 10**400})
    except ConfigError:
        return
    assert getattr(found, name) == 10**400
