"""A regular expression in Python's syntax becomes a language over the characters that a model can write.

Python's own parser reads it, and Python's own matcher says which characters an item stands for. Look-ahead becomes an
intersection. Look-behind, ^ and \\b ask whether what stands before is in a language: an automaton runs beside that
knows. What none can do (back-references, groups that do not give back what they took) is refused.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from charrnn.config import require
from charrnn.generation.constraints.behind import MOST_BEGINNINGS, Behind, TooManyStates
from charrnn.generation.constraints.languages import (
    EMPTY,
    EVERYTHING,
    NOTHING,
    Language,
    both,
    either,
    one_of,
    other_than,
    recursive,
    repeated,
    then,
)
from charrnn.generation.constraints.symbols import Symbols
from charrnn.generation.constraints.syntax import (
    NEWLINE,
    PARSER,
    Items,
    Part,
    flags_within,
    looks_behind,
    named,
    parsed,
    parts,
    word,
)

LOOKS = (PARSER.ASSERT, PARSER.ASSERT_NOT, PARSER.AT)
BOUNDARIES = (PARSER.AT_BOUNDARY, PARSER.AT_NON_BOUNDARY)
BEGINNINGS = (PARSER.AT_BEGINNING, PARSER.AT_BEGINNING_STRING)
# In a text without a character, Python finds no place that is no boundary, until 3.14.
EMPTY_HAS_NONE = re.fullmatch(r"\B", "") is None
MOST_ROUNDS = 10_000
REFUSED = {
    "GROUPREF": "a back-reference", "GROUPREF_EXISTS": "a back-reference", "ATOMIC_GROUP": "an atomic group",
    "POSSESSIVE_REPEAT": "a possessive repeat",
}  # fmt: skip
LOOKS_AHEAD = "look-behind that looks ahead of where it ends"
# What follows a place: one language for each state of what may stand before it.
Rest: TypeAlias = tuple[Language, ...]


def language_of(patterns: Sequence[str], alphabet: str) -> tuple[Language, Symbols]:
    """The texts over an alphabet that all patterns match as a whole, and what their symbols stand for.

    Raises ConfigError, naming the fault, when one is no pattern or cannot be an automaton.
    """
    trees = {pattern: parsed(pattern) for pattern in patterns}
    every = (part for tree in trees.values() for part in parts(tree.data, tree.state.flags))
    symbols = Symbols(alphabet, [asked for part in every for asked in _characters_asked(part)])
    readers = [_Reader(pattern, symbols, tree.data, tree.state.flags) for pattern, tree in trees.items()]
    return both(*(reader.of_all()[0] for reader in readers)), symbols


def _characters_asked(part: Part) -> list[Part]:
    """The parts that stand for the characters which a part must know."""
    if part.operation is PARSER.AT:
        return [word(part.flags) if part.value in BOUNDARIES else NEWLINE]
    return [] if str(part.operation) in READERS else [part]


class _Reader:
    """Reads a tree from its end: what follows is known where a part looks ahead to it."""

    def __init__(self, pattern: str, symbols: Symbols, items: Items, flags: int, *, behind: bool = False) -> None:
        """Of a whole pattern, or of what stands in look-`behind`, which knows nothing of what comes after it."""
        self.pattern, self.symbols, self.items, self.flags = pattern, symbols, items, flags
        self.knows_ahead = not behind
        self._behind_of: dict[str, Language] = {}
        languages = [one for part in parts(items, flags, behind=False) for one in self.asked_of_before(part)]
        try:
            self.behind = Behind(languages, symbols.count)
        except TooManyStates:
            self.refuse(f"look-behind that tells more than {MOST_BEGINNINGS:,} beginnings apart")

    def of_all(self) -> Rest:
        """What the whole tree matches."""
        return self.sequence(self.items, self.all(EMPTY), self.flags)

    def asked_of_before(self, part: Part) -> list[Language]:
        """The languages that a part asks about what stands before it."""
        if looks_behind(part):
            return [self.before(part)]
        if part.operation is not PARSER.AT:
            return []
        if part.value in BOUNDARIES:
            return [EMPTY, self.ending_in(word(part.flags))]
        return self.before_a_line(part.flags) if part.value in BEGINNINGS else []

    def before_a_line(self, flags: int) -> list[Language]:
        """What stands before the beginning of the text or, where ^ means that, of a line."""
        return [EMPTY, self.ending_in(NEWLINE)] if flags & re.MULTILINE else [EMPTY]

    def ending_in(self, part: Part) -> Language:
        """All texts of which the last character is one that a part stands for."""
        return then(EVERYTHING, one_of(self.symbols.set_of(part)))

    def before(self, part: Part) -> Language:
        """All texts at whose end a look-behind finds what it looks for."""
        if part.key not in self._behind_of:
            inner = _Reader(self.pattern, self.symbols, part.value[1].data, part.flags, behind=True)
            self._behind_of[part.key] = inner.anywhere()
        return self._behind_of[part.key]

    def anywhere(self) -> Language:
        """The texts of which the tree matches the end."""
        ends = self.of_all()
        if len(set(ends)) == 1:
            return then(EVERYTHING, ends[0])
        every = (1 << self.symbols.count) - 1
        return recursive(
            lambda again: tuple(either(*each) for each in zip(ends, self.one_of(every, again), strict=True)),
            [one.holds_empty for one in ends],
        )[0]

    def all(self, language: Language) -> Rest:
        """The same in all states."""
        return (language,) * len(self.behind.moves)

    def sequence(self, items: Items, rest: Rest, flags: int) -> Rest:
        """Items one after another, and then what follows."""
        for operation, value in reversed(items):
            rest = READERS.get(str(operation), _Reader.characters)(self, operation, value, rest, flags)
        return rest

    def branch(self, operation: Any, value: Any, rest: Rest, flags: int) -> Rest:
        """One of several sequences."""
        ways = [self.sequence(one.data, rest, flags) for one in value[1]]
        return tuple(either(*each) for each in zip(*ways, strict=True))

    def group(self, operation: Any, value: Any, rest: Rest, flags: int) -> Rest:
        """A sequence with flags of its own."""
        return self.sequence(value[-1].data, rest, flags_within(value, flags))

    def repeat(self, operation: Any, value: Any, rest: Rest, flags: int) -> Rest:
        """An item again and again: written out round by round, where one round must know what is around it."""
        least, most, inner = value
        bound = None if most is PARSER.MAXREPEAT else int(most)
        looks = [part for part in parts(inner.data, flags, behind=False) if part.operation in LOOKS]
        alike = len(set(rest)) == 1 and not any(map(self.asked_of_before, looks))
        if alike and not looks:
            return self.all(then(repeated(self.sequence(inner.data, self.all(EMPTY), flags)[0], least, bound), rest[0]))
        if (least if bound is None else bound) > MOST_ROUNDS:
            self.refuse(f"more than {MOST_ROUNDS:,} rounds of what looks around itself")

        def maybe(more: Rest) -> Rest:
            rounds = self.sequence(inner.data, more, flags)
            return tuple(either(*each) for each in zip(rest, rounds, strict=True))

        whole = rest
        if bound is None:
            if inner.getwidth()[0] == 0:
                self.refuse("an endless repeat of what may be empty and looks around itself")
            states = 1 if alike else len(rest)
            spread = len(rest) // states
            whole = spread * recursive(
                lambda again: maybe(spread * again)[:states], [one.holds_empty for one in rest[:states]]
            )
        for _ in range(0 if bound is None else bound - least):
            whole = maybe(whole)
        for _ in range(least):
            whole = self.sequence(inner.data, whole, flags)
        return whole

    def look(self, operation: Any, value: Any, rest: Rest, flags: int) -> Rest:
        """What follows, as far as it also begins, or does not begin, with this; or this stands before it, or not."""
        part = Part(operation, value, flags)
        if looks_behind(part):
            wanted = self.wherever(self.before(part))
        else:
            wanted = self.sequence(value[1].data, self.all(EVERYTHING), flags)
            if not self.knows_ahead:
                self.refuse(LOOKS_AHEAD)
        if operation is PARSER.ASSERT_NOT:
            wanted = tuple(map(other_than, wanted))
        return tuple(both(*each) for each in zip(rest, wanted, strict=True))

    def place(self, operation: Any, value: Any, rest: Rest, flags: int) -> Rest:
        """The beginning or the end, of the text or of a line or a word."""
        inside = value in BEGINNINGS or (value in BOUNDARIES and not any(one.holds_empty for one in rest))
        if not (self.knows_ahead or inside):
            self.refuse(LOOKS_AHEAD)
        return tuple(both(*each) for each in zip(rest, PLACES[str(value)](self, flags), strict=True))

    def wherever(self, language: Language) -> Rest:
        """Whatever follows, where what stands before is in a language that was asked for."""
        return tuple(EVERYTHING if held else NOTHING for held in self.behind.is_in(language))

    def line_begin(self, flags: int) -> Rest:
        """What may follow the beginning of the text, or of a line."""
        begins = map(self.wherever, self.before_a_line(flags))
        return tuple(either(*each) for each in zip(*begins, strict=True))

    def line_end(self, flags: int) -> Rest:
        """What may follow the end of a line, or of the text."""
        newline = one_of(self.symbols.set_of(NEWLINE))
        return self.all(either(EMPTY, then(newline, EVERYTHING if flags & re.MULTILINE else EMPTY)))

    def boundary(self, flags: int) -> Rest:
        """What may follow the beginning or the end of a word."""
        ahead = then(one_of(self.symbols.set_of(word(flags))), EVERYTHING)
        return tuple(other_than(ahead) if held else ahead for held in self.behind.is_in(self.ending_in(word(flags))))

    def no_boundary(self, flags: int) -> Rest:
        """What may follow any other place."""
        others = zip(map(other_than, self.boundary(flags)), self.behind.is_in(EMPTY), strict=True)
        return tuple(both(one, other_than(EMPTY)) if begins and EMPTY_HAS_NONE else one for one, begins in others)

    def failure(self, operation: Any, value: Any, rest: Rest, flags: int) -> Rest:
        """What never matches."""
        return self.all(NOTHING)

    def refused(self, operation: Any, value: Any, rest: Rest, flags: int) -> Rest:
        """What no automaton does."""
        return self.refuse(REFUSED[str(operation)])

    def characters(self, operation: Any, value: Any, rest: Rest, flags: int) -> Rest:
        """One character of those that an item stands for."""
        return self.one_of(self.symbols.set_of(Part(operation, value, flags)), rest)

    def one_of(self, symbols: int, rest: Rest) -> Rest:
        """One of these symbols; what stands before what follows is longer by it."""
        found: dict[object, Language] = {}
        for moves in self.behind.moves:
            if moves not in found:
                known = dict.fromkeys((rest[state] for state, _ in moves), 0)
                for state, leading in moves:
                    known[rest[state]] |= symbols & leading
                found[moves] = either(*(then(one_of(chosen), language) for language, chosen in known.items()))
        return tuple(found[moves] for moves in self.behind.moves)

    def refuse(self, fault: str) -> Rest:
        """Raise ConfigError."""
        require(False, f"{named(self.pattern)}: {fault} cannot be kept to while a text is written")
        return ()


# By the parser's names; all others are characters.
READERS: dict[str, Callable[[_Reader, Any, Any, Rest, int], Rest]] = {
    "BRANCH": _Reader.branch, "SUBPATTERN": _Reader.group, "MAX_REPEAT": _Reader.repeat, "MIN_REPEAT": _Reader.repeat,
    "ASSERT": _Reader.look, "ASSERT_NOT": _Reader.look, "AT": _Reader.place, "FAILURE": _Reader.failure,
    "GROUPREF": _Reader.refused, "GROUPREF_EXISTS": _Reader.refused, "ATOMIC_GROUP": _Reader.refused,
    "POSSESSIVE_REPEAT": _Reader.refused,
}  # fmt: skip
# What must follow a place.
PLACES: dict[str, Callable[[_Reader, int], Rest]] = {
    "AT_BEGINNING": _Reader.line_begin, "AT_END": _Reader.line_end, "AT_BOUNDARY": _Reader.boundary,
    "AT_NON_BOUNDARY": _Reader.no_boundary, "AT_END_STRING": lambda reader, flags: reader.all(EMPTY),
    "AT_BEGINNING_STRING": lambda reader, flags: reader.wherever(EMPTY),
}  # fmt: skip
