"""A gate is fitted to places whose symbols are known: its constants by Newton's method, then all by gradient steps.

The surprisal of a log-linear mixture is convex in its weights: its gradient is what the mixture expects of the experts'
log-probabilities less what the symbol has, its curvature their covariance under the mixture. Few places say little:
constants are held by those that did well elsewhere, as by so many places more, and the gate's outward weights by zero.
The same places give the same gate. Shapes: K experts, N places, V symbols, F features, H units, P places of a step.
"""

from dataclasses import replace
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from charrnn.models.counts.mixture import Gate, Rows, features, mixed

Ids: TypeAlias = npt.NDArray[np.int64]
Parameters: TypeAlias = dict[str, Rows]

UNITS, SEED = 32, 0
# Of fewer places a gate learns more by heart than it is worth.
LEAST = 10_000
# How fast constants are held (see `_newton`) and outward weights.
HELD_BY, HELD_TO_ZERO_BY = 3000.0, 300.0
NEWTON_STEPS, NEWTON_TOLERANCE = 20, 1e-6
# Numbers (K x n x V) that are summed at a time.
AT_ONCE = 1 << 21
# Places that are costed at a time.
ROWS = 1 << 13
STEPS, PASSES, PLACES_A_STEP, RATE = 300, 10, 1024, 5e-3
# Adam's (Kingma & Ba 2015), but for a shorter memory of squares: there are few steps.
BETAS, EPSILON = (0.9, 0.99), 1e-8


class Examples(NamedTuple):
    """`log_p` (K, N, V) of the experts where each of `tokens` (N,), below V, stands: at `places` (N,)."""

    log_p: Rows
    tokens: Ids
    places: Ids = np.empty(0, np.int64)

    def cost(self, gate: Gate) -> float:
        """Nats of all tokens by a gate."""
        total = 0.0
        for first in range(0, self.tokens.size, ROWS):
            log_p, tokens = self.log_p[:, first : first + ROWS], self.tokens[first : first + ROWS]
            total -= float(mixed(log_p, gate.weights(log_p))[np.arange(tokens.size), tokens].sum(dtype=np.float64))
        return total

    @property
    def own(self) -> Rows:
        """Log-probabilities of the tokens themselves (N, K)."""
        return self.log_p[:, np.arange(self.tokens.size), self.tokens].T


def fit(examples: Examples, start: Gate, units: int = UNITS, steps: int = STEPS) -> Gate:
    """The gate that does best on these, from constants that did elsewhere; of few examples constants alone."""
    constants = fit_constants(examples, start.constants)
    if examples.tokens.size < LEAST:
        return Gate.constant(constants.tolist())
    return _fit_from(constants, examples, units, steps)


def _fit_from(constants: Rows, examples: Examples, units: int, steps: int) -> Gate:
    """The gate that begins with these constants and looks at nothing."""
    seen = features(examples.log_p)
    mean, scale = seen.mean(axis=0), seen.std(axis=0) + 1e-6
    random = np.random.default_rng(SEED)
    inward = random.standard_normal((seen.shape[1], units)) / np.sqrt(seen.shape[1])
    gate = Gate(constants, mean, scale, inward, np.zeros(units), np.zeros((units, constants.size)))
    steps = min(steps, -(-PASSES * examples.tokens.size // PLACES_A_STEP))
    return _descend(gate, examples, (seen - mean) / scale, steps, random)


def fit_constants(examples: Examples, held: Rows, held_by: float = HELD_BY) -> Rows:
    """Weights (K,) that do best everywhere, held near others by half their squared distance times so much.

    A step of Newton's that would cost more than it saves is halved until it does not.
    """
    weights, own = held.astype(float), examples.own.sum(axis=0)
    here = _moments(examples, weights)
    for _ in range(NEWTON_STEPS):
        away = weights - held
        cost = here.log_z - weights @ own + held_by / 2 * away @ away
        step = np.linalg.lstsq(
            here.covariance + held_by * np.eye(weights.size), here.mean - own + held_by * away, rcond=None
        )[0]
        while np.abs(step).max() >= NEWTON_TOLERANCE:
            there, away = _moments(examples, weights - step), weights - step - held
            if there.log_z - (weights - step) @ own + held_by / 2 * away @ away <= cost:
                break
            step = step / 2
        else:
            break
        weights, here = weights - step, there
    return weights


class Moments(NamedTuple):
    """Sums over all places: ln Z, what is expected of the log-probabilities (K,), their covariance (K, K)."""

    log_z: float
    mean: Rows
    covariance: Rows


def _moments(examples: Examples, weights: Rows) -> Moments:
    """Those of the mixture by weights (K,)."""
    experts, log_z = weights.size, 0.0
    at_once = max(1, AT_ONCE // (experts * examples.log_p.shape[2]))
    mean, covariance = np.zeros(experts), np.zeros((experts, experts))
    for first in range(0, examples.tokens.size, at_once):
        log_p = examples.log_p[:, first : first + at_once]
        found = mixed(log_p, np.broadcast_to(weights, (log_p.shape[1], experts)))
        p = np.exp(found)
        means = np.einsum("nv,knv->nk", p, log_p)
        weighed = (log_p * p).reshape(experts, -1)
        covariance += weighed @ log_p.reshape(experts, -1).T - means.T @ means
        mean += means.sum(axis=0)
        log_z += float((log_p[:, :, 0].T @ weights - found[:, 0]).sum())
    return Moments(log_z, mean, covariance)


def _descend(gate: Gate, examples: Examples, seen: Rows, steps: int, random: np.random.Generator) -> Gate:
    """So many steps of Adam, each on places of their own as long as there are any, at a rate that falls to 0."""
    names = ("constants", "inward", "bias", "outward")
    means = {name: np.zeros_like(getattr(gate, name)) for name in names}
    squares = {name: np.zeros_like(getattr(gate, name)) for name in names}
    constants, count, own = gate.constants, examples.tokens.size, examples.own
    places, order = min(PLACES_A_STEP, count), np.empty(0, np.int64)
    for step in range(steps):
        if order.size < places:
            order = random.permutation(count)
        some, order = order[:places], order[places:]
        found = gradient(gate, examples.log_p[:, some], seen[some], own[some])
        found["constants"] = found["constants"] + HELD_BY / count * (gate.constants - constants)
        found["outward"] = found["outward"] + HELD_TO_ZERO_BY / count * gate.outward
        rate = RATE * (1 + np.cos(np.pi * step / steps)) / 2
        moved = {}
        for name, each in found.items():
            for kept, beta, new in ((means, BETAS[0], each), (squares, BETAS[1], each * each)):
                kept[name] = beta * kept[name] + (1 - beta) * new
            size = np.sqrt(squares[name] / (1 - BETAS[1] ** (step + 1))) + EPSILON
            moved[name] = getattr(gate, name) - rate * means[name] / (1 - BETAS[0] ** (step + 1)) / size
        gate = replace(gate, **moved)
    return gate


def gradient(gate: Gate, log_p: Rows, seen: Rows, own: Rows) -> Parameters:
    """That of the mean surprisal at places (K, P, V) in nats, of which the gate sees (P, F), by its parameters."""
    hidden = np.tanh(seen @ gate.inward + gate.bias)
    p = np.exp(mixed(log_p, hidden @ gate.outward + gate.constants))
    of_weights = (np.einsum("nv,knv->nk", p, log_p) - own) / len(own)
    of_hidden = of_weights @ gate.outward.T * (1 - hidden * hidden)
    return {
        "constants": of_weights.sum(axis=0),
        "inward": seen.T @ of_hidden,
        "bias": of_hidden.sum(axis=0),
        "outward": hidden.T @ of_weights,
    }
