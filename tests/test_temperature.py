"""fit_temperature against a fine grid."""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch

from charrnn.scoring.temperature import LEAST, MOST, fit_temperature
from charrnn.scoring.token_nll import token_nll

from .cases import each
from .test_token_nll import make_model

Loss = Callable[[float], float]
GRID = np.exp(np.linspace(math.log(0.2), math.log(5.0), 801))


def best_of_grid(loss: Loss, every: int) -> float:
    """The slow twin: all temperatures, one after the other."""
    return float(min(GRID[::every], key=lambda temperature: loss(float(temperature))))


def check(loss: Loss, *, every: int = 1) -> float:
    """As close to the grid's best as the search claims to stop at, and no more than a hair dearer."""
    found, expected = fit_temperature(loss), best_of_grid(loss, every)
    assert abs(math.log(found / expected)) < 0.02
    assert loss(found) <= loss(expected) + 5e-4
    return found


def softmax_loss(true: float, *, sureness: float = 3, symbols: int = 20, count: int = 400, seed: int = 0) -> Loss:
    """Mean surprisal of targets drawn from softmax(logits / true), when the logits are divided by something else."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(count, symbols)) * sureness
    shares = np.exp(logits / true)
    shares /= shares.sum(1, keepdims=True)
    targets = np.array([generator.choice(symbols, p=row) for row in shares])

    def loss(temperature: float) -> float:
        divided: npt.NDArray[np.float64] = logits / temperature
        return float(np.mean(np.log(np.exp(divided).sum(1)) - divided[np.arange(count), targets]))

    return loss


def valley(best: float, lopsided: float) -> Loss:
    """Steeper on one side of its bottom than on the other."""

    def loss(temperature: float) -> float:
        away = math.log(temperature / best) * lopsided
        return math.exp(away) - away

    return loss


def counted(loss: Loss) -> tuple[Loss, list[float]]:
    """A loss that writes down where it was read."""
    read: list[float] = []

    def counting(temperature: float) -> float:
        read.append(temperature)
        return loss(temperature)

    return counting, read


@each("best", [0.2, 0.25, 0.5, 0.9, 0.99, 1.0, 1.01, 1.3, 2.0, 4.0, 5.0])
def test_a_parabola_in_the_logarithm_is_met_at_its_vertex(best: float) -> None:
    assert check(lambda temperature: 3 + math.log(temperature / best) ** 2) == pytest.approx(best, rel=0.005)


@each("true", [0.5, 0.7, 0.9, 1.0, 1.1, 1.5, 2.0, 3.0, 4.5])
@each("seed", [0, 1])
def test_what_was_drawn_at_a_temperature_is_fitted_by_about_that(true: float, seed: int) -> None:
    assert check(softmax_loss(true, seed=seed)) == pytest.approx(true, rel=0.15)


@each("lopsided", [-2.0, -1.0, 0.3, 1.0, 2.0])
@each("best", [0.4, 0.8, 1.2, 2.5])
def test_a_valley_that_is_steeper_on_one_side_is_met_at_its_bottom(best: float, lopsided: float) -> None:
    check(valley(best, lopsided))


@each(
    "loss",
    [
        softmax_loss(0.25, sureness=0.3, symbols=60),  # hardly sure of anything, drawn at 0.25
        softmax_loss(0.35, sureness=0.3, symbols=60),  # hardly sure of anything, drawn at 0.35
        softmax_loss(0.6, sureness=1, symbols=60),  # not sure enough, drawn at 0.6
        valley(1.6, 3),  # a valley behind a flat slope
    ],
)
def test_a_network_that_is_far_from_sure_enough_is_fitted_as_by_a_grid(loss: Loss) -> None:
    check(loss)


def test_a_network_that_is_too_sure_of_its_own_text_is_fitted_as_by_a_grid() -> None:
    """It writes a text; then its logits are taken times 1.8."""
    model, generator = make_model("rnn", layers=1), torch.Generator().manual_seed(4)
    tokens, states, previous = np.zeros(400, np.uint8), model.initial_states(1), torch.tensor([[5]])
    with torch.no_grad():
        for place in range(400):
            logits, states = model(previous, states)
            previous = torch.multinomial(logits[0, 0].softmax(0), 1, generator=generator)[None]
            tokens[place] = int(previous)
        assert model.forwards.head is not None
        model.forwards.head.mul_(1.8)
        model.forwards.bias.mul_(1.8)

    def loss(temperature: float) -> float:
        return float(token_nll(model, tokens, temperature=temperature).mean())

    assert check(loss, every=4) == pytest.approx(1.8, rel=0.15)


@each(
    "loss, end",
    [
        (lambda temperature: temperature, LEAST),
        (lambda temperature: math.log(temperature) + 9, LEAST),
        (lambda temperature: 9 - math.log(temperature), MOST),
        (lambda temperature: 1 / temperature, MOST),
        (lambda temperature: math.log(temperature / 7) ** 2, MOST),
        (lambda temperature: math.log(temperature / 0.1) ** 2, LEAST),
        (lambda temperature: -temperature, MOST),
        (lambda temperature: -1 / temperature, LEAST),
    ],
)
def test_a_loss_that_falls_all_the_way_leads_to_the_end_of_the_range(loss: Loss, end: float) -> None:
    assert (LEAST, MOST) == (0.2, 5.0)
    assert fit_temperature(loss) == pytest.approx(end, rel=0.005)


@each("best", [0.2, 0.7, 1.0, 3.0, 9.0])
def test_the_text_is_read_a_bounded_number_of_times(best: float) -> None:
    loss, read = counted(lambda temperature: math.cosh(math.log(temperature / best)))
    fit_temperature(loss)
    assert 10 <= len(read) <= 18 and len(set(read)) == len(read)
