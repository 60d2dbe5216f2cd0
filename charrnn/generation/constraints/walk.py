"""An automaton of characters walked by the symbols of a vocabulary, each some bytes: characters, halves, or many.

Shapes: S states, C classes of characters, N nodes inside of characters, V symbols.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

from charrnn.generation.constraints.automaton import NEVER, Automaton
from charrnn.generation.constraints.utf8 import NO_BYTE, tree_of

Numbers = npt.NDArray[np.int64]
# UTF-8 has no use for this byte.
NEVER_WRITTEN = b"\xff"
# Of what follows the places, so many numbers are kept.
MOST_KEPT = 4_000_000


class Walk:
    """A place is a state of the automaton and a node inside of the character that comes: 0 where a text begins."""

    def __init__(self, automaton: Automaton, pieces: Sequence[bytes]) -> None:
        """`pieces` are the bytes of the V symbols; those without any never come."""
        states, classes = automaton.table.shape
        self._tree = tree_of(automaton.alphabet, automaton.classes, classes)
        # Where no character is completed the state stays as it is.
        self._table = np.hstack([automaton.table, np.arange(states, dtype=np.int32)[:, None]])
        self._distance, self._accepting = automaton.distance, automaton.accepting
        pieces = [piece or NEVER_WRITTEN for piece in pieces]
        self._bytes = np.full((max(map(len, pieces)), len(pieces)), NO_BYTE)
        for token, piece in enumerate(pieces):
            self._bytes[: len(piece), token] = [*piece]
        self.lengths = [_characters(piece) for piece in pieces]
        self._lengths = np.array(self.lengths)
        self._spelled = cache(self._spelling)
        self._known: dict[int, tuple[Numbers, Numbers]] = {}

    def may_end(self, place: int) -> bool:
        """Whether a text may."""
        state, node = divmod(place, len(self._tree.nodes))
        return node == 0 and bool(self._accepting[state])

    def follows(self, place: int) -> Numbers:
        """(V,): the place behind each symbol."""
        return self._of(place)[0]

    def needed(self, place: int) -> Numbers:
        """(V,): the characters that it takes, by way of each symbol, to where the text may end.

        A character counts where it begins.
        """
        return self._of(place)[1]

    def _of(self, place: int) -> tuple[Numbers, Numbers]:
        if place not in self._known:
            if len(self._known) * len(self.lengths) > MOST_KEPT:
                self._known.clear()
            state, node = divmod(place, len(self._tree.nodes))
            spelled, nodes = self._spelled(node)
            states = np.full(len(nodes), state, np.int32)
            for classes in spelled:
                states = self._table[states, classes]
            places = states.astype(np.int64) * len(self._tree.nodes) + nodes
            self._known[place] = places, self._lengths + self._left(states, nodes)
        return self._known[place]

    def _spelling(self, node: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """What is the same in all states: the classes of the characters that symbols complete, as many rows (., V) as
        the most are, and the nodes behind them (V,)."""
        count, goes_on = len(self.lengths), self._table.shape[1] - 1
        nodes = np.full(count, node, np.int32)
        spelled = np.full((len(self._bytes), count), goes_on, np.int32)
        complete = np.zeros(count, np.int64)
        for step in self._bytes:
            classes, nodes = self._tree.classes[nodes, step], self._tree.nodes[nodes, step]
            spelled[complete, np.arange(count)] = classes
            complete += classes != goes_on
        return spelled[: complete.max()].copy(), nodes

    def _left(self, states: npt.NDArray[np.int32], nodes: npt.NDArray[np.int32]) -> Numbers:
        """(V,): the least number of characters that must still begin."""
        left = self._distance[states]
        if nodes.any():
            inside = np.flatnonzero(nodes)
            behind = self._distance[self._table[states[inside], :-1]]
            left[inside] = np.where(self._tree.ahead[nodes[inside]], behind, NEVER).min(axis=1, initial=NEVER)
        return left


def _characters(piece: bytes) -> int:
    """How many begin."""
    return sum(byte & 0xC0 != 0x80 for byte in piece)
