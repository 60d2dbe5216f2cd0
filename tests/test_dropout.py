"""Dropout whose mask is held over a window, and the places of a model where something is dropped."""

import math

import pytest
import torch
from torch import Tensor

from charrnn.models.cells import CELLS
from charrnn.models.layers import LockedDropout
from tests.cases import each
from tests.test_language_model import some_tokens, tiny

# Without recurrent matrices there is nothing to drop.
DROPPING = [name for name, cell in CELLS.items() if any(weight.recurrent for weight in cell.table().values())]


@each("p", [0.1, 0.5, 0.8])
def test_one_mask_is_held_over_time_and_what_stays_is_scaled(p: float) -> None:
    torch.manual_seed(0)
    x = torch.rand(30, 5, 100, dtype=torch.float64) + 1
    y = LockedDropout(p).train()(x)
    factor = y / x
    assert torch.equal(factor == 0, (factor == 0)[:, :1].expand_as(factor))
    assert torch.allclose(factor[factor != 0], torch.tensor(1 / (1 - p), dtype=torch.float64))
    dropped = float((factor[:, 0] == 0).double().mean())
    assert abs(dropped - p) < 4 * math.sqrt(p * (1 - p) / 3000)


def test_every_row_and_every_window_has_a_mask_of_its_own() -> None:
    torch.manual_seed(0)
    dropout, x = LockedDropout(0.5).train(), torch.ones(4, 3, 50)
    first, second = dropout(x), dropout(x)
    assert not torch.equal(first, second)
    assert len({tuple(row[0].tolist()) for row in first}) == 4


def test_dropout_is_off_outside_training_and_when_none_is_wanted() -> None:
    x = torch.rand(4, 3, 50)
    for dropout in (LockedDropout(0.5).eval(), LockedDropout(None).train(), LockedDropout(None).eval()):
        assert torch.equal(dropout(x), x)


@each("cell", CELLS)
@each("layers", [1, 3])
def test_dropout_stands_behind_every_layer_and_a_quarter_of_it_behind_the_embedding(cell: str, layers: int) -> None:
    torch.manual_seed(0)
    model = tiny(cell=cell, layers=layers, dropout=0.5).train()
    seen: list[Tensor] = []

    def look(module: torch.nn.Module, given: tuple[Tensor], result: Tensor) -> None:
        assert given[0].shape == result.shape == (2, 4, 6), "rows first, then time"
        seen.append(result)

    model.forwards.input_dropout.register_forward_hook(look)
    model.forwards.dropout.register_forward_hook(look)
    tokens = some_tokens(2, 4)
    logits, _ = model(tokens, model.initial_states(2))
    assert len(seen) == layers + 1
    kept = seen[0] != 0
    assert kept.any()
    assert torch.allclose(seen[0][kept], model.embedding.weight[tokens][kept] / (1 - 0.125))
    assert torch.allclose(logits, seen[-1] @ model.forwards.head_weight().t() + model.forwards.bias)


@each("dropout", [0.2, 0.5, 0.9])
def test_the_share_of_dropped_inputs_is_a_quarter_of_the_share_dropped_between_layers(dropout: float) -> None:
    torch.manual_seed(1)
    model = tiny(hidden=400, embedding=400, dropout=dropout).train()
    for stage, share in ((model.forwards.input_dropout, dropout / 4), (model.forwards.dropout, dropout)):
        gone = (stage(torch.ones(50, 1, 400)) == 0).double().mean()
        assert float(gone) == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / (50 * 400)))


def test_without_dropout_no_input_is_dropped() -> None:
    model = tiny().train()
    x = torch.rand(4, 3, 50)
    assert torch.equal(model.forwards.input_dropout(x), x) and torch.equal(model.forwards.dropout(x), x)


@each("cell", DROPPING)
@each("share", [None, 0.3])
def test_every_layer_drops_the_share_of_its_recurrent_weights_that_the_configuration_says(
    cell: str, share: float | None
) -> None:
    model = tiny(cell=cell, layers=3, weight_drop=share)
    assert [layer.weight_drop for layer in model.forwards.layers] == [share] * 3


@each("cell", DROPPING)
def test_a_model_with_weight_drop_is_the_plain_model_outside_training(cell: str) -> None:
    plain, dropped = tiny(cell=cell), tiny(cell=cell, weight_drop=0.5)
    tokens = some_tokens(2, 4)
    before = plain(tokens, plain.initial_states(2))[0]
    noisy = dropped.train()(tokens, dropped.initial_states(2))[0]
    # The first symbol is read from an empty memory: there is no recurrent share to drop in the lowest layer.
    assert not torch.isclose(noisy[:, 1:], before[:, 1:]).all()
    assert torch.equal(before, dropped.eval()(tokens, dropped.initial_states(2))[0])
    assert dropped.state_dict().keys() == plain.state_dict().keys()


def test_a_model_with_dropout_is_the_plain_model_outside_training() -> None:
    plain, dropped = tiny(), tiny(dropout=0.5)
    tokens = some_tokens(2, 4)
    assert torch.equal(plain(tokens, plain.initial_states(2))[0], dropped(tokens, dropped.initial_states(2))[0])
    noisy, _ = dropped.train()(tokens, dropped.initial_states(2))
    assert not torch.isclose(noisy, plain(tokens, plain.initial_states(2))[0]).all()
