"""Sequential Monte Carlo: texts side by side, weighted by what the pattern left of their chances, and drawn again.

As Lew et al. (2023, arXiv 2306.03081) steer language models; resampled systematically (Kitagawa 1996).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from charrnn.errors import CharrnnError
from charrnn.generation.chain import Chain
from charrnn.generation.drawing import Doubles, draw
from charrnn.generation.processors import DROPPED, log_sums
from charrnn.generation.sequence import UNIFORM_BITS, TextChunk, TextSequence
from charrnn.inference.backends import Serving
from charrnn.inference.base import Engine, EngineState, Ids
from charrnn.inference.products import Floats
from charrnn.inference.reading import Reading

# The more there are, the nearer is their distribution to the true one.
PARTICLES = 64
# Drawn again where they are worth no more than so many of equal weight.
WORTH = PARTICLES / 2


@dataclass
class Particle:
    """One text under way, and the log of its weight."""

    sequence: TextSequence
    weight: float = 0.0

    @property
    def going(self) -> bool:
        """Whether it has neither ended nor left the pattern."""
        return self.sequence.finished is None and self.weight > DROPPED


def resampled(
    engine: Engine, reading: Reading, chain: Chain, rows: Sequence[TextSequence], length: int
) -> Iterator[TextChunk]:
    """A whole text for each row, one after another. Raises CharrnnError when all particles leave the pattern."""
    with Serving(engine, PARTICLES, length * len(rows)) as serving:
        logits = reading.logits.repeat(PARTICLES, axis=0)
        state = engine.select_rows(reading.state, [0] * PARTICLES)
        for row in rows:
            yield _Swarm(engine, serving, chain, row).text(logits, state)


class _Swarm:
    """The particles of one row."""

    def __init__(self, engine: Engine, serving: Serving, chain: Chain, row: TextSequence) -> None:
        self.engine, self.serving, self.chain, self.row = engine, serving, chain, row
        # Seeds that no other row has, nor any particle before.
        self.seed = row.uniforms.seed()
        self.particles = [self.copied(Particle(row)) for _ in range(PARTICLES)]

    def copied(self, particle: Particle) -> Particle:
        """The same again, to go on by itself."""
        self.seed += 2**UNIFORM_BITS
        return Particle(particle.sequence.copy(seed=self.seed), particle.weight)

    def text(self, logits: Floats, state: EngineState) -> TextChunk:
        """One of all that have ended, drawn by its weight; `logits` and `state` are those of the particles going."""
        while True:
            going = [one for one in self.particles if one.going]
            tokens = self.grow(going, logits)
            left = [place for place, one in enumerate(going) if one.going]
            shares = self.shares()
            if not left:
                break
            logits, state = self.serving.step(tokens[left], self.engine.select_rows(state, left))
            if 1 / (shares**2).sum() <= WORTH:
                rows = {id(going[place]): row for row, place in enumerate(left)}
                again = [self.particles[place] for place in systematic(shares, self.row.uniforms.next())]
                order = [rows[id(one)] for one in again if one.going]
                logits, state = logits[order], self.engine.select_rows(state, order)
                self.particles = [self.copied(one) for one in again]
                for particle in self.particles:
                    particle.weight = 0.0
        chosen = int(draw(self.weights()[None], np.array([self.row.uniforms.next()]))[0])
        return self.particles[chosen].sequence.whole(logprobs=self.chain.told)

    def grow(self, going: Sequence[Particle], logits: Floats) -> Ids:
        """One more token for each: weights fall by what the pattern takes away; the tokens (B,)."""
        own, sequences = self.chain.own(logits), [one.sequence for one in going]
        free, left = self.chain.apart(own, sequences)
        with np.errstate(invalid="ignore"):  # of rows where nothing is left
            tokens = draw(left, np.array([one.uniforms.next() for one in sequences]))
        kept = log_sums(left) - log_sums(free)
        tokens[kept == DROPPED] = 0
        logprobs = self.chain.logprobs(own, tokens)
        for particle, token, mass, logprob in zip(going, tokens.tolist(), kept.tolist(), logprobs, strict=True):
            particle.weight += mass
            if particle.going:
                particle.sequence.push(token, logprob)
        return tokens

    def weights(self) -> Doubles:
        """The logarithms of the weights."""
        return np.array([one.weight for one in self.particles])

    def shares(self) -> Doubles:
        """The weights, of sum 1."""
        weights = self.weights()
        if weights.max() == DROPPED:
            raise CharrnnError(
                f"{PARTICLES} particles all left the pattern, so rare is it: `sampler='masked'` never does"
            )
        shares = np.exp(weights - weights.max())
        return np.asarray(shares / shares.sum())


def systematic(shares: Doubles, uniform: float) -> list[int]:
    """As many places as there are shares, each as often as its share says, give or take one (Kitagawa 1996)."""
    comb = (np.arange(len(shares)) + uniform) / len(shares)
    found: list[int] = np.minimum(shares.cumsum().searchsorted(comb, "right"), np.flatnonzero(shares)[-1]).tolist()
    return found
