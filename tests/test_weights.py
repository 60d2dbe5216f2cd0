"""Names and shapes of a network's weights, also those of older files, and which weights are whose."""

import math
from typing import Any

import pytest

from charrnn.config import ModelConfig
from charrnn.errors import ConfigError
from charrnn.models.ensemble import build
from charrnn.models.weights import current_name, direction_weights, own_name, split_models, weight_shapes
from tests.cases import each
from tests.saving import parameter_count
from tests.test_language_model import CASES, SMALL, tiny

COUNTS: list[tuple[dict[str, Any], int]] = [
    # embedding 10 x 4, layers gates x (inputs x 6 + 6 x 6 + 6 + 6), head 9 x 6, bias 9
    ({"cell": "rnn", "embedding": 4}, 40 + 72 + 84 + 54 + 9),
    ({"cell": "lstm", "embedding": 4}, 40 + 288 + 336 + 54 + 9),
    ({"cell": "gru", "embedding": 4}, 40 + 216 + 252 + 54 + 9),
    # and the cell's own vectors: three of 6; none; two of 24, two of 6
    ({"cell": "lstm-peephole", "embedding": 4}, 40 + 288 + 18 + 336 + 18 + 54 + 9),
    ({"cell": "lstm-coupled", "embedding": 4}, 40 + 216 + 252 + 54 + 9),
    ({"cell": "lstm-layernorm", "embedding": 4}, 40 + 288 + 60 + 336 + 60 + 54 + 9),
    # one vector of 6; five matrices between 4 or 6 and 6; inner gates; the share of m; a third matrix; no state's
    ({"cell": "indrnn", "embedding": 4}, 40 + 36 + 48 + 54 + 9),
    ({"cell": "lstm-mogrifier", "embedding": 4}, 40 + (240 + 24 + 120) + (288 + 24 + 180) + 54 + 9),
    ({"cell": "lstm-nested", "embedding": 4}, 40 + 288 + 312 + 336 + 312 + 54 + 9),
    ({"cell": "mlstm", "embedding": 4}, 40 + (120 + 36 + 144 + 24) + (180 + 36 + 144 + 24) + 54 + 9),
    ({"cell": "slstm", "embedding": 4}, 40 + 288 + 336 + 54 + 9),
    ({"cell": "gru-before", "embedding": 4}, 40 + (72 + 72 + 36 + 18) + (108 + 72 + 36 + 18) + 54 + 9),
    ({"cell": "gru-layernorm", "embedding": 4}, 40 + 216 + 36 + 252 + 36 + 54 + 9),
    ({"cell": "mingru", "embedding": 4}, 40 + 60 + 84 + 54 + 9),
    ({"cell": "minlstm", "embedding": 4}, 40 + 90 + 126 + 54 + 9),
    # gains and shifts of both layers; a gate above the second; a head for both
    ({"cell": "rnn", "embedding": 4, "norm": True}, 40 + 72 + 84 + 24 + 54 + 9),
    ({"cell": "rnn", "embedding": 4, "skip": "residual"}, 40 + 72 + 84 + 54 + 9),
    ({"cell": "rnn", "embedding": 4, "skip": "highway"}, 40 + 72 + 84 + 42 + 54 + 9),
    ({"cell": "rnn", "embedding": 4, "skip": "dense"}, 40 + 72 + 84 + 108 + 9),
    ({"cell": "lstm", "embedding": 4, "vocab_size": 10}, 40 + 288 + 336 + 60 + 10),
    ({"cell": "lstm", "embedding": 4, "layers": 1}, 40 + 288 + 54 + 9),
    ({"cell": "lstm", "tie": True}, 60 + 336 + 336 + 9),
    ({"cell": "lstm", "tie": True, "vocab_size": 10}, 60 + 336 + 336 + 10),
]


@each("case", COUNTS)
def test_parameters_counted_by_hand(case: tuple[dict[str, Any], int]) -> None:
    fields, count = case
    assert parameter_count(tiny(**fields)) == count


@each("case", [*CASES, {"ensemble": 3}, {"ensemble": 2, "bidirectional": True, "tie": True}])
def test_a_file_is_checked_against_the_names_and_shapes_that_the_network_has(case: dict[str, Any]) -> None:
    model = build(ModelConfig(**SMALL | case))
    found = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    assert weight_shapes(model.config) == found
    assert sum(map(math.prod, found.values())) == parameter_count(model)


def test_the_shapes_of_a_cell_that_is_not_in_the_table_are_an_error_that_names_those_that_are() -> None:
    with pytest.raises(ConfigError, match=r"gru, .*lstm, .*rnn, .*'transformer'"):
        weight_shapes(ModelConfig(vocab_size=9, start_id=9, cell="transformer"))


def test_a_tied_head_is_no_second_parameter() -> None:
    names = [name for name, _ in tiny(tie=True).named_parameters()]
    assert "forwards.head" not in names
    assert [name for name, _ in tiny().named_parameters() if name not in names] == ["forwards.head"]


# -- which are whose -------------------------------------------------------------------------------------------------

# What a weight was called in files of formats 1 to 4, by itself and in an ensemble, and what it is called today.
RENAMED = [
    ("embedding.weight", "embedding.weight", "models.0.embedding.weight"),
    ("head", "forwards.head", "models.0.forwards.head"),
    ("bias", "forwards.bias", "models.0.forwards.bias"),
    ("layers.0.rnn.weight_ih_l0", "forwards.layers.0.rnn.weight_ih_l0", "models.0.forwards.layers.0.rnn.weight_ih_l0"),
    ("connections.1.carry_bias", "forwards.connections.1.carry_bias", "models.0.forwards.connections.1.carry_bias"),
    ("reverse.head", "backwards.head", "models.0.backwards.head"),
    ("reverse.layers.1.rnn.inner_hh", "backwards.layers.1.rnn.inner_hh", "models.0.backwards.layers.1.rnn.inner_hh"),
]


@each("names", RENAMED)
def test_old_names_become_those_of_today(names: tuple[str, str, str]) -> None:
    old, alone, in_ensemble = names
    assert current_name(old, ensemble=False) == alone
    assert current_name(old, ensemble=True) == in_ensemble
    for member in (2, 3, 12):
        expected = in_ensemble.replace("models.0.", f"models.{member - 1}.")
        assert current_name(f"member.{member}.{old}", ensemble=True) == expected


def test_names_that_no_file_of_ours_has_become_none_of_a_network() -> None:
    known = weight_shapes(ModelConfig(**SMALL | {"ensemble": 2, "bidirectional": True}))
    for name in ("member.0.head", "member.x.head", "member.2", f"member.{'9' * 5000}.head", "", "reverse."):
        assert current_name(name, ensemble=True) not in known, name


@each("bidirectional", [False, True])
@each("ensemble", [1, 3])
def test_every_weight_is_of_one_model_and_one_direction(bidirectional: bool, ensemble: int) -> None:
    config = ModelConfig(**SMALL | {"bidirectional": bidirectional, "ensemble": ensemble, "skip": "highway"})
    network = build(config)
    weights = network.state_dict()
    models = split_models(config, weights)
    assert len(models) == ensemble
    seen = []
    for model, own in zip(network.models, models, strict=True):
        assert own.keys() == model.state_dict().keys() == weight_shapes(config.single).keys()
        for name, direction in (("forwards", model.forwards), ("backwards", model.backwards)):
            if direction is not None:
                found = direction_weights(own, name)
                assert found.pop("embedding.weight").data_ptr() == model.embedding.weight.data_ptr()
                assert {of: weight.data_ptr() for of, weight in found.items()} == {
                    of: weight.data_ptr() for of, weight in direction.named_parameters()
                }
                seen += [weight.data_ptr() for weight in found.values()]
        seen.append(model.embedding.weight.data_ptr())
    assert sorted(seen) == sorted(weight.data_ptr() for weight in weights.values())


@each("prefix", ["", "models.0.", "models.11."])
@each("direction", ["forwards.", "backwards."])
def test_a_weights_own_name_says_neither_model_nor_direction(prefix: str, direction: str) -> None:
    for name in ("head", "layers.0.rnn.bias_hh_l0", "connections.1.gain"):
        assert own_name(prefix + direction + name) == name
    assert own_name(prefix + "embedding.weight") == "embedding.weight"
