"""The model's own distribution, given the pattern: texts are drawn until one matches, and no failure is met twice.

What was seen to fail is remembered in a tree of beginnings, each with the probability that is left to it (adaptive
rejection sampling, Gilks & Wild 1992; of language models, CARS, arXiv 2510.01902, 2025).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from charrnn.errors import CharrnnError
from charrnn.generation.chain import Chain
from charrnn.generation.drawing import Doubles
from charrnn.generation.processors import log_sums
from charrnn.generation.sequence import TextChunk, TextSequence
from charrnn.inference.backends import Serving
from charrnn.inference.base import Engine, EngineState
from charrnn.inference.products import Floats
from charrnn.inference.reading import Reading

# A text is given up after so many tries, or symbols read; beginnings are remembered while they are no more than these.
MOST_TRIES, MOST_STEPS, MOST_REMEMBERED = 10_000, 250_000, 4_000


@dataclass(eq=False)
class Beginning:
    """What may follow the first tokens of a text."""

    sequence: TextSequence
    state: EngineState
    own: Doubles
    """The model's logits, (1, V)."""
    left: Doubles
    """(V,): the probability of each symbol, less that of what was seen to fail behind it."""
    mass: float = 1.0
    """The sum of `left`, as the beginning that is one symbol shorter knows it."""
    after: dict[int, "Beginning"] = field(default_factory=dict)


def tried(
    engine: Engine, reading: Reading, chain: Chain, rows: Sequence[TextSequence], length: int
) -> Iterator[TextChunk]:
    """A whole text for each row, one after another. Raises CharrnnError when one does not come."""
    with Serving(engine, 1, length * len(rows)) as serving:
        for row in rows:
            yield _Search(serving, chain, row, reading.logits, reading.state).text()


class _Search:
    """Tries of one row."""

    def __init__(self, serving: Serving, chain: Chain, row: TextSequence, logits: Floats, state: EngineState) -> None:
        self.serving, self.chain, self.row = serving, chain, row
        self.root, self.remembered, self.steps = self.beginning(row, logits, state), 1, 0

    def text(self) -> TextChunk:
        """The first that matches."""
        tries = 0
        while tries < MOST_TRIES and self.steps < MOST_STEPS and self.root.left.any():
            found = self.once(known=tries > 0)
            tries += 1
            if found is not None:
                return found.whole(logprobs=self.chain.told, tries=tries)
        raise CharrnnError(
            f"none of {tries:,} texts matched, so rare is the pattern: `sampler='smc'` or `sampler='masked'` finds some"
        )

    def beginning(self, sequence: TextSequence, logits: Floats, state: EngineState) -> Beginning:
        """All that may follow, and what of it the pattern leaves."""
        own = self.chain.own(logits)
        free, left = self.chain.apart(own, [sequence])
        return Beginning(sequence, state, own, np.exp(left - log_sums(free))[0])

    def once(self, *, known: bool) -> TextSequence | None:
        """A text that matches; where it failed None, and the failure is remembered."""
        path: list[tuple[Beginning, int, Beginning]] = []
        node, kept = self.root, True
        while True:
            reached = np.add.accumulate(node.left)
            # What is known to fail is not drawn; where nothing is known yet, it may be, and the try fails.
            place = self.row.uniforms.next() * (reached[-1] if known else 1.0)
            if place >= reached[-1]:
                break
            token = int(reached.searchsorted(place, "right"))
            (logprob,) = self.chain.logprobs(node.own, np.array([token]))
            child = node.after.get(token)
            known = child is not None
            if child is None:
                sequence = node.sequence.copy()
                sequence.push(token, logprob)
                if sequence.finished:
                    return sequence
                self.steps += 1
                child = self.beginning(sequence, *self.serving.step(np.array([token]), node.state))
                kept = kept and self.remembered < MOST_REMEMBERED
                if kept:
                    node.after[token] = child
                    self.remembered += 1
            if kept:
                path.append((node, token, child))
            node = child
        for before, token, child in reversed(path):
            mass = float(child.left.sum())
            before.left[token] *= mass / child.mass
            child.mass = mass
        return None
