"""What stands before a place in a text, as far as a pattern looks back: the automaton of some languages of it."""

from collections.abc import Iterable

from charrnn.generation.constraints.languages import Language, derivative

MOST_BEGINNINGS = 1_000


class TooManyStates(Exception):
    """More than MOST_BEGINNINGS."""


class Behind:
    """State 0 is where a text begins: nothing stands before it. Where nothing is looked back for, there is no other."""

    def __init__(self, languages: Iterable[Language], count: int) -> None:
        """Of so many symbols. Raises TooManyStates."""
        asked = tuple(dict.fromkeys(languages))
        # A state is what may follow, in each language, what stands before.
        found = {asked: 0}
        states = [asked]
        self.moves: list[tuple[tuple[int, int], ...]] = []
        """Of each state: those behind one symbol, each with the set of symbols that lead there."""
        for state in states:
            moves: dict[int, int] = {}
            for symbol in range(count):
                follows = tuple(derivative(language, symbol) for language in state)
                if follows not in found:
                    found[follows] = len(states)
                    states.append(follows)
                moves[found[follows]] = moves.get(found[follows], 0) | 1 << symbol
            if len(states) > MOST_BEGINNINGS:
                raise TooManyStates
            self.moves.append(tuple(moves.items()))
        self._holds = {
            language: tuple(state[place].holds_empty for state in states) for place, language in enumerate(asked)
        }

    def is_in(self, language: Language) -> tuple[bool, ...]:
        """Of each state, whether what stands before is in one of the languages."""
        return self._holds[language]
