"""The deterministic automaton of a pattern: all derivatives of its language, and how far each is from the end.

Shapes: S states, A characters that can be written, C classes of those that no pattern tells apart.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from charrnn.config import require
from charrnn.generation.constraints.languages import Language, both, derivative, one_of, repeated
from charrnn.generation.constraints.regex import language_of
from charrnn.generation.constraints.syntax import named

MOST_STATES, MOST_EXPRESSIONS = 50_000, 1_000_000
# What is farther from the end than any text is long never gets there.
NEVER = 2**40


@dataclass(frozen=True, eq=False)
class Automaton:
    """State 0 is where a text begins; the last state, from which nothing is accepted, is `dead`."""

    table: npt.NDArray[np.int32]
    """(S, C): the state behind a character of a class."""
    accepting: npt.NDArray[np.bool_]
    """(S,): whether a text may end here."""
    distance: npt.NDArray[np.int64]
    """(S,): the least number of characters to a state where it may; `NEVER` where there is none."""
    alphabet: str
    classes: npt.NDArray[np.int32]
    """(A,): that of each character of the alphabet."""

    @property
    def dead(self) -> int:
        """The state that is never left."""
        return len(self.table) - 1


@lru_cache(maxsize=8)
def automaton_of(patterns: tuple[str, ...], least: int, alphabet: str, prompt: str = "") -> Automaton:
    """What may follow the prompt: at least so many characters of the alphabet, so that all patterns match the whole.

    Raises ConfigError when a pattern is none, or all of them together have too many states.
    """
    known = alphabet + "".join(sorted(character for character in set(prompt) if character not in alphabet))
    try:
        language, symbols = language_of(patterns, known)
        of_prompt = {character: symbols.symbol(known.index(character)) for character in set(prompt)}
        for character in prompt:
            language = derivative(language, of_prompt[character])
        language = both(language, repeated(one_of((1 << symbols.count) - 1), least, None))
        return _explored(language, alphabet, symbols.of_all()[: len(alphabet)])
    except RecursionError:
        require(False, f"{' and '.join(map(named, patterns))} is nested too deeply")
        raise


def _explored(language: Language, alphabet: str, symbols: npt.NDArray[np.int32]) -> Automaton:
    """All derivatives by characters of the alphabet, whose symbols these are (A,)."""
    writable = np.flatnonzero(np.bincount(symbols))
    classes = np.zeros(writable.max(initial=-1) + 1, np.int32)
    classes[writable] = np.arange(len(writable))
    members = writable.tolist()
    found = {language: 0}
    rows: list[list[int]] = []
    waiting = [language]
    for state in waiting:
        row = []
        for symbol in members:
            follows = derivative(state, symbol)
            if follows not in found:
                found[follows] = len(found)
                waiting.append(follows)
            row.append(found[follows])
        rows.append(row)
        small = len(found) <= MOST_STATES and waiting[-1].number - language.number <= MOST_EXPRESSIONS
        require(small, f"`match` is too complicated: its automaton would have more than {MOST_STATES:,} states")
    dead = len(rows)
    rows.append([dead] * len(members))
    table = np.array(rows, np.int32).reshape(dead + 1, len(members))
    accepting = np.array([*(state.holds_empty for state in waiting), False])
    distance = distances(table, accepting)
    return Automaton(table, accepting, distance, alphabet, classes[symbols])


def distances(table: npt.NDArray[np.int32], accepting: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """(S,): the least number of characters from each state to an accepting one, `NEVER` where none is reached."""
    before: list[list[int]] = [[] for _ in table]
    for state, row in enumerate(table.tolist()):
        for follows in row:
            before[follows].append(state)
    distance = np.where(accepting, 0, NEVER)
    waiting = np.flatnonzero(accepting).tolist()
    for state in waiting:  # the nearest first
        for one in before[state]:
            if distance[one] == NEVER:
                distance[one] = distance[state] + 1
                waiting.append(one)
    return distance
