"""A text that an engine has read, once, to be gone on from as often as one likes."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from charrnn.inference.backends import Serving
from charrnn.inference.base import Engine, EngineState, Ids
from charrnn.inference.products import Floats

# Shorter texts are read before it would be known who multiplies fastest.
LONG = 256


class Reading(NamedTuple):
    """What is left of a text that was read: with it, whatever comes is to the bit what it would have been."""

    ids: list[int]
    """All of it, the start not among them: penalties and patterns look back."""
    logits: Floats
    """(1, V) of what comes next"""
    state: EngineState
    """of one row"""


def read(engine: Engine, ids: Sequence[int], after: Reading | None = None) -> Reading:
    """Read ids, from the start of a text or after what was read before.

    Token by token: where sums are exact, a layer could read many at once to the same bits, but the products that wait
    for the state are most of the work, and it is no faster. A long text is read by whoever multiplies fastest.
    """
    tokens, logits, state = [engine.config.start_id, *ids], None, engine.initial_state(1)
    if after is not None:
        tokens, logits, state = list(ids), after.logits, after.state
    if tokens:
        with Serving(engine, 1, len(tokens)) as serving:
            step = serving.step if len(tokens) >= LONG else engine.step
            for token in np.array(tokens)[:, None]:
                logits, state = step(token, state)
    assert logits is not None
    return Reading([*(after.ids if after else ()), *ids], logits, state)


def read_side_by_side(engine: Engine, begun: Reading, rows: Sequence[Sequence[int]]) -> Iterator[tuple[Ids, Floats]]:
    """Read B rows of ids behind what was read: the tokens (B,) of each place, and the logits (B, V) that foretold them.

    Behind its last token a shorter row goes on with the first of all; whoever reads it looks no further. One place at
    least comes.
    """
    longest = max(1, *map(len, rows))
    tokens = np.array([[*row, *[0] * (longest - len(row))] for row in rows], np.int64)
    logits, state = begun.logits.repeat(len(rows), axis=0), engine.select_rows(begun.state, [0] * len(rows))
    with Serving(engine, len(rows), longest) as serving:
        for place, given in enumerate(tokens.T):
            yield given, logits
            if place + 1 < longest:
                logits, state = serving.step(given, state)
