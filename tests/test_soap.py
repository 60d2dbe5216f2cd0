"""SOAP against its paper written out in NumPy, and against what makes it worth its products."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

from charrnn.training.optim import soap
from charrnn.training.optim.soap import Soap

Array = npt.NDArray[np.float64]

ROWS, COLUMNS = 7, 4


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def optimizer(*weights: nn.Parameter, rotated: bool = True, lr: float = 0.1, **options: Any) -> Soap:
    return Soap([{"params": list(weights), "rotated": rotated, **options}], lr, torch.float64)


def move(moved: Soap, *gradients: Tensor) -> None:
    """One step, numbered as the trainer numbers them."""
    weights = [weight for group in moved.param_groups for weight in group["params"]]
    for weight, gradient in zip(weights, gradients, strict=True):
        weight.grad = gradient.clone()
    moved.step()
    moved.number += 1


def written_out(weight: Array, gradients: list[Array], lr: float, decay: float) -> Array:
    """Vyas et al. 2024, algorithm 3 with the right side alone, its moments kept in the basis."""
    mean, square = np.zeros_like(weight), np.zeros_like(weight)
    outer = gradients[0].T @ gradients[0]
    basis = np.linalg.eigh(outer)[1][:, ::-1]
    for number, gradient in enumerate(gradients):
        if number and number % soap.LOOK_EVERY == 0:
            outer = soap.MEMORY * outer + (1 - soap.MEMORY) * gradient.T @ gradient
        if number and (number + 1) % soap.TURN_EVERY == 0:
            turned_back = mean @ basis.T
            basis, _ = np.linalg.qr(outer @ basis)
            mean = turned_back @ basis
        seen = gradient @ basis
        mean = 0.9 * mean + 0.1 * seen
        square = 0.99 * square + 0.01 * seen**2
        update = (mean / (1 - 0.9 ** (number + 1))) / (np.sqrt(square / (1 - 0.99 ** (number + 1))) + 1e-8)
        weight = weight * (1 - lr * decay) - lr * update @ basis.T
    return weight


@pytest.mark.parametrize(("look", "turn"), [(1, 1), (2, 3), (5, 50), (3, 1)])
def test_steps_are_those_of_the_paper(monkeypatch: pytest.MonkeyPatch, look: int, turn: int) -> None:
    monkeypatch.setattr(soap, "LOOK_EVERY", look)
    monkeypatch.setattr(soap, "TURN_EVERY", turn)
    weight = nn.Parameter(normal(ROWS, COLUMNS))
    expected = weight.detach().numpy().copy()
    gradients = [normal(ROWS, COLUMNS, seed=seed) for seed in range(1, 13)]
    moved = optimizer(weight, weight_decay=0.3)
    for gradient in gradients:
        move(moved, gradient)
    expected = written_out(expected, [gradient.numpy() for gradient in gradients], 0.1, 0.3)
    np.testing.assert_allclose(weight.detach().numpy(), expected, rtol=1e-9, atol=1e-10)


def test_without_a_basis_it_is_adamw() -> None:
    mine, theirs = ([nn.Parameter(normal(ROWS, COLUMNS)), nn.Parameter(normal(COLUMNS, seed=1))] for _ in range(2))
    moved = optimizer(*mine, rotated=False, weight_decay=0.2)
    twin = torch.optim.AdamW(theirs, lr=0.1, betas=(0.9, 0.99), weight_decay=0.2)
    for seed in range(5):
        gradients = [normal(*weight.shape, seed=seed + 10) for weight in mine]
        move(moved, *gradients)
        for weight, gradient in zip(theirs, gradients, strict=True):
            weight.grad = gradient.clone()
        twin.step()
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_turning_what_a_matrix_reads_turns_its_path_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """W and W R on the same problem in another basis stay W and W R: what AdamW cannot say of itself."""
    monkeypatch.setattr(soap, "TURN_EVERY", 3)
    rotation = torch.linalg.qr(normal(COLUMNS, COLUMNS, seed=9))[0]

    def apart(rotated: bool) -> float:
        weight = nn.Parameter(normal(ROWS, COLUMNS))
        other = nn.Parameter(weight.detach() @ rotation)
        one, two = optimizer(weight, rotated=rotated), optimizer(other, rotated=rotated)
        for seed in range(1, 10):
            gradient = normal(ROWS, COLUMNS, seed=seed)
            move(one, gradient)
            move(two, gradient @ rotation)
        return float((weight @ rotation - other).detach().abs().max())

    assert apart(rotated=True) < 1e-9
    assert apart(rotated=False) > 0.01


def test_the_basis_stays_orthogonal_and_comes_to_be_that_of_the_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soap, "TURN_EVERY", 2)
    weight = nn.Parameter(normal(ROWS, COLUMNS))
    moved, mixed = optimizer(weight), normal(COLUMNS, COLUMNS, seed=5)
    move(moved, normal(ROWS, COLUMNS, seed=3))
    for _ in range(400):  # whatever was first, these gradients have one and the same G^T G
        move(moved, normal(ROWS, COLUMNS, seed=4) @ mixed)
    basis, outer = moved.state[weight]["basis"], moved.state[weight]["outer"]
    torch.testing.assert_close(basis.t() @ basis, torch.eye(COLUMNS, dtype=torch.float64))
    seen = basis.t() @ outer @ basis
    diagonal = seen.diagonal()
    assert float((seen - diagonal.diag()).abs().max()) < 1e-6 * float(diagonal.max())
    assert diagonal.tolist() == sorted(diagonal.tolist(), reverse=True)


def test_a_narrow_valley_that_lies_askew_is_gone_down_faster_than_by_adamw() -> None:
    """Mean squares of a linear map whose inputs differ a thousandfold along directions that no coordinate follows."""
    rotation = torch.linalg.qr(normal(COLUMNS, COLUMNS, seed=2))[0]
    inputs = normal(256, COLUMNS, seed=1) * torch.tensor([1.0, 0.1, 0.03, 0.001], dtype=torch.float64) @ rotation
    target = inputs @ normal(COLUMNS, ROWS, seed=3)

    def loss_after(rotated: bool) -> float:
        weight = nn.Parameter(torch.zeros(ROWS, COLUMNS, dtype=torch.float64))
        moved = optimizer(weight, rotated=rotated, lr=0.02)
        loss = math.inf
        for _ in range(150):
            error = (inputs @ weight.t() - target).square().sum(1).mean()
            loss = float(error.detach())
            move(moved, torch.autograd.grad(error, weight)[0])
        return loss

    assert loss_after(rotated=True) < 0.1 * loss_after(rotated=False)


@pytest.mark.parametrize(
    ("rotated", "before", "bad"), [(True, 0, math.nan), (True, 3, math.inf), (False, 0, math.inf), (False, 3, math.nan)]
)
def test_where_a_gradient_is_not_finite_nothing_moves(rotated: bool, before: int, bad: float) -> None:
    weight = nn.Parameter(normal(ROWS, COLUMNS))
    moved = optimizer(weight, rotated=rotated, weight_decay=0.1)
    for seed in range(before):
        move(moved, normal(ROWS, COLUMNS, seed=seed))
    kept = weight.detach().clone()
    broken = normal(ROWS, COLUMNS, seed=7)
    broken[2, 1] = bad
    moved.found_inf = torch.tensor(1.0)
    move(moved, broken)
    assert torch.equal(weight, kept)
    assert all(bool(slot.isfinite().all()) for slot in moved.state[weight].values())
    moved.found_inf = torch.tensor(0.0)
    move(moved, normal(ROWS, COLUMNS, seed=8))
    assert bool(weight.isfinite().all()) and not torch.equal(weight, kept)


def test_products_in_bf16_come_close_to_those_in_fp32() -> None:
    def path(products: torch.dtype) -> Tensor:
        weight = nn.Parameter(normal(48, 32).float())
        moved = Soap([{"params": [weight], "rotated": True}], 0.01, products)
        for seed in range(20):
            move(moved, normal(48, 32, seed=seed).float())
        return weight.detach() - normal(48, 32).float()

    exact, rough = path(torch.float32), path(torch.bfloat16)
    assert not torch.equal(exact, rough)
    assert float((exact - rough).norm() / exact.norm()) < 0.05


def test_a_weight_without_a_gradient_stays() -> None:
    weight, idle = nn.Parameter(normal(ROWS, COLUMNS)), nn.Parameter(normal(ROWS, COLUMNS, seed=1))
    kept, moved = idle.detach().clone(), optimizer(weight, idle, weight_decay=0.5)
    weight.grad = normal(ROWS, COLUMNS, seed=2)
    moved.step()
    assert torch.equal(idle, kept) and not moved.state[idle]
