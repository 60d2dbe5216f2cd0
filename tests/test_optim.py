"""Schedule, clipping, parameter groups."""

import math

import pytest
import torch
from torch import nn

from charrnn.config import ModelConfig, TrainConfig
from charrnn.config.fields import setting
from charrnn.models.language_model import LanguageModel
from charrnn.training.optim import clip, learning_rate, make_optimizer
from charrnn.training.optim.soap import Soap


def gradients(*rows: list[float]) -> list[nn.Parameter]:
    parameters = [nn.Parameter(torch.zeros(len(row))) for row in rows]
    for parameter, row in zip(parameters, rows, strict=True):
        parameter.grad = torch.tensor(row)
    return parameters


def values(parameters: list[nn.Parameter]) -> list[float]:
    return [float(x) for p in parameters if p.grad is not None for x in p.grad]


def test_clipping_by_norm_keeps_the_direction() -> None:
    parameters = gradients([3.0], [0.0, 4.0])
    norm, clipped = clip(parameters, TrainConfig(seed=0, steps=1, clip=1.0))
    assert (float(norm), float(clipped)) == (5.0, 1.0)
    assert values(parameters) == pytest.approx([0.6, 0.0, 0.8])


def test_a_small_gradient_is_left_alone() -> None:
    parameters = gradients([0.3, -0.4])
    norm, clipped = clip(parameters, TrainConfig(seed=0, steps=1, clip=1.0, clip_value=0.5))
    assert float(norm) == pytest.approx(0.5) and float(clipped) == 0
    assert values(parameters) == pytest.approx([0.3, -0.4])


def test_a_gradient_of_zeros_stays_one() -> None:
    parameters = gradients([0.0, 0.0])
    norm, clipped = clip(parameters, TrainConfig(seed=0, steps=1, clip=1.0, clip_value=0.5))
    assert (float(norm), float(clipped)) == (0.0, 0.0)
    assert values(parameters) == [0.0, 0.0]


def test_clipping_by_value_cuts_each_element() -> None:
    parameters = gradients([3.0, -0.1], [-4.0])
    norm, clipped = clip(parameters, TrainConfig(seed=0, steps=1, clip=None, clip_value=0.5))
    assert float(norm) == pytest.approx(math.hypot(3, 0.1, 4)) and float(clipped) == 1
    assert values(parameters) == pytest.approx([0.5, -0.1, -0.5])


def test_both_clips_apply_norm_first() -> None:
    parameters = gradients([3.0, 4.0])
    clip(parameters, TrainConfig(seed=0, steps=1, clip=1.0, clip_value=0.7))
    assert values(parameters) == pytest.approx([0.6, 0.7])


def test_a_gradient_that_is_not_finite_is_reported_whatever_is_clipped_and_never_looks_right() -> None:
    limits: list[dict[str, float | None]] = [{}, {"clip": None}, {"clip": None, "clip_value": 0.5}, {"clip_value": 0.5}]
    for bad in (math.nan, math.inf):
        for limit in limits:
            norm, _ = clip(gradients([1.0, bad], [2.0]), TrainConfig(seed=0, steps=1, **limit))  # type: ignore[arg-type]
            assert not math.isfinite(float(norm)), (bad, limit)
        parameters = gradients([1.0, bad], [2.0])
        clip(parameters, TrainConfig(seed=0, steps=1))
        assert not all(map(math.isfinite, values(parameters))), bad


def test_the_rate_rises_in_a_line_and_falls_in_half_a_cosine() -> None:
    config = TrainConfig(seed=0, steps=1, lr=1.0, warmup=0.1)
    assert learning_rate(config, 0.05) == pytest.approx(0.5)
    assert learning_rate(config, 0.1) == pytest.approx(1.0)
    for quarters, left in ((1, (2 + math.sqrt(2)) / 4), (2, 1 / 2), (3, (2 - math.sqrt(2)) / 4)):
        assert learning_rate(config, 0.1 + 0.9 * quarters / 4) == pytest.approx(0.01 + 0.99 * left), quarters
    assert learning_rate(config, 1.0) == pytest.approx(0.01)
    assert learning_rate(config, 1.2) == pytest.approx(0.01)
    assert learning_rate(config, 0.0) > 0


def test_where_weights_are_averaged_the_rate_ends_at_a_fifth() -> None:
    config = TrainConfig(seed=0, steps=1, lr=1.0, warmup=0.1, average=0.4)
    assert learning_rate(config, 0.1) == pytest.approx(1.0)
    assert learning_rate(config, 0.55) == pytest.approx(0.6)
    assert learning_rate(config, 1.0) == pytest.approx(0.2)


def test_matrices_decay_and_biases_and_embedding_do_not() -> None:
    model = LanguageModel(ModelConfig(vocab_size=5, start_id=5, embedding=3, hidden=4, layers=1))
    optimizer = make_optimizer(model, TrainConfig(seed=0, steps=1, weight_decay=0.3))
    decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    found = {name: decay[id(p)] for name, p in model.named_parameters()}
    assert {name for name, value in found.items() if value == 0.3} == {
        "forwards.layers.0.rnn.weight_ih_l0",
        "forwards.layers.0.rnn.weight_hh_l0",
        "forwards.head",
    }
    assert len(found) == len(list(model.parameters()))


def test_every_optimiser_that_may_be_chosen_is_another() -> None:
    model = LanguageModel(ModelConfig(vocab_size=5, start_id=5, embedding=3, hidden=4, layers=1))
    found = {
        name: make_optimizer(model, TrainConfig(seed=0, steps=1, optimizer=name))
        for name in setting(TrainConfig.__dataclass_fields__["optimizer"]).choices
    }
    assert {name: isinstance(made, Soap) for name, made in found.items()} == {"soap": True, "adamw": True, "sgd": False}
    assert [found[name].param_groups[0]["rotated"] for name in ("soap", "adamw")] == [True, False]


def test_plain_descent_steps_down_its_gradient_and_not_where_it_is_told_to_stand() -> None:
    model = LanguageModel(ModelConfig(vocab_size=5, start_id=5, embedding=3, hidden=4, layers=1))
    model.initialise(torch.Generator().manual_seed(0))
    optimizer = make_optimizer(model, TrainConfig(seed=0, steps=1, optimizer="sgd", lr=0.5, weight_decay=0.2))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for number, p in enumerate(model.parameters()):
        p.grad = torch.full_like(p, 0.1 * (number + 1))
    optimizer.found_inf = torch.tensor(1.0)
    optimizer.step()
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())
    optimizer.found_inf = torch.tensor(0.0)
    optimizer.step()
    for number, (name, p) in enumerate(model.named_parameters()):
        decay = 0.0 if p.dim() == 1 or name == "embedding.weight" else 0.2
        expected = before[name] - 0.5 * (0.1 * (number + 1) + decay * before[name])
        torch.testing.assert_close(p.detach(), expected)


@pytest.mark.parametrize(("precision", "products"), [("fp32", "float32"), ("bf16", "bfloat16"), ("fp16", "bfloat16")])
def test_soap_turns_matrices_in_numbers_that_hold_their_squares(precision: str, products: str) -> None:
    model = LanguageModel(ModelConfig(vocab_size=5, start_id=5, embedding=3, hidden=4, layers=1))
    optimizer = make_optimizer(model, TrainConfig(seed=0, steps=1, precision=precision))
    assert isinstance(optimizer, Soap) and optimizer.products is getattr(torch, products)
    rotated = {id(p) for group in optimizer.param_groups if group["rotated"] for p in group["params"]}
    assert {name for name, p in model.named_parameters() if id(p) in rotated} == {
        "forwards.layers.0.rnn.weight_ih_l0",
        "forwards.layers.0.rnn.weight_hh_l0",
        "forwards.head",
    }


def test_one_step_is_adamw_as_published() -> None:
    """Loshchilov & Hutter 2019, algorithm 2, written out for one number."""
    model = LanguageModel(ModelConfig(vocab_size=2, start_id=2, embedding=1, hidden=1, layers=1))
    model.initialise(torch.Generator().manual_seed(0))
    optimizer = make_optimizer(model, TrainConfig(seed=0, steps=1, optimizer="adamw", lr=0.1, weight_decay=0.2))
    assert model.forwards.head is not None
    before, gradient = float(model.forwards.head[0, 0].detach()), 0.7
    model.forwards.head.grad = torch.full_like(model.forwards.head, gradient)
    optimizer.step()
    first, second = 0.1 * gradient / (1 - 0.9), 0.01 * gradient**2 / (1 - 0.99)
    expected = before * (1 - 0.1 * 0.2) - 0.1 * first / (math.sqrt(second) + 1e-8)
    assert float(model.forwards.head[0, 0].detach()) == pytest.approx(expected, rel=1e-5)
