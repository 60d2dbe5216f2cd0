"""Cross-entropy, token by token, in nats."""

import math

import torch

from charrnn.models.loss import cross_entropy
from tests.cases import each


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def naive_nats(logits: list[float], target: int) -> float:
    peak = max(logits)
    return math.log(sum(math.exp(value - peak) for value in logits)) + peak - logits[target]


@each("scale", [1.0, 1000.0])
def test_nats_is_the_logarithm_of_softmax_of_each_target(scale: float) -> None:
    logits = scale * torch.randn(2, 5, 7, generator=generator(0))
    targets = torch.randint(0, 7, (2, 5), generator=generator(1))
    losses = cross_entropy(logits, targets)
    assert losses.shape == (2, 5)
    for row in range(2):
        for t in range(5):
            expected = naive_nats(logits[row, t].tolist(), int(targets[row, t]))
            assert math.isclose(float(losses[row, t]), expected, rel_tol=1e-5, abs_tol=1e-5)


@each("fields", [{}, {"ignored": 3}])
def test_an_ignored_target_costs_nothing_and_teaches_nothing(fields: dict[str, int]) -> None:
    logits = torch.randn(2, 5, 7, generator=generator(0)).requires_grad_()
    targets = torch.tensor([[0, 1, 2, 4, 5], [6, 5, 4, 2, 1]])
    whole = cross_entropy(logits, targets)
    hidden = torch.tensor([[True, False, False, True, False], [False, False, True, False, True]])
    some = cross_entropy(logits, targets.masked_fill(hidden, fields.get("ignored", -100)), **fields)
    assert torch.equal(some, whole.masked_fill(hidden, 0))
    (gradient,) = torch.autograd.grad(some.sum(), logits)
    assert torch.equal(gradient.abs().sum(dim=-1) == 0, hidden)


@each("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_nats_is_computed_in_float32_from_any_logits(dtype: torch.dtype) -> None:
    logits = torch.randn(1, 4, 7, generator=generator(0)).to(dtype)
    targets = torch.tensor([[0, 1, 2, 3]])
    losses = cross_entropy(logits, targets)
    assert losses.dtype == torch.float32
    assert torch.allclose(losses, cross_entropy(logits.float(), targets), atol=1e-6)
