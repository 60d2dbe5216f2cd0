"""A regular expression in Python's syntax becomes a language over the characters that a model can write.

Python's own parser reads it, and Python's own matcher says which characters an item stands for. Look-ahead becomes an
intersection. Of what stands before an item, its last character's kind is known, as much as ^ and \\b ask for. What no
automaton can do (back-references), and what looks back further, is refused.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

from charrnn.config import require
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
from charrnn.generation.constraints.syntax import NEWLINE, PARSER, Items, Part, flags_within, named, parsed, parts, word

BEHIND = (PARSER.AT_BEGINNING, PARSER.AT_BOUNDARY, PARSER.AT_NON_BOUNDARY, PARSER.AT_BEGINNING_STRING)
LOOKING = (PARSER.ASSERT, PARSER.ASSERT_NOT, PARSER.AT)
# In a text without a character, Python finds no place that is no boundary, until 3.14.
EMPTY_HAS_NONE = re.fullmatch(r"\B", "") is None
MOST_ROUNDS = 10_000
REFUSED = {
    "GROUPREF": "a back-reference", "GROUPREF_EXISTS": "a back-reference", "ASSERT": "look-behind",
    "ASSERT_NOT": "look-behind", "ATOMIC_GROUP": "an atomic group", "POSSESSIVE_REPEAT": "a possessive repeat",
}  # fmt: skip
# What follows a place: one language for each kind of character that may stand before it.
Rest: TypeAlias = tuple[Language, ...]


class Kind(NamedTuple):
    """What is known of the last character before a place, if there is one."""

    first: bool = False
    newline: bool = False
    word: bool = False
    ascii_word: bool = False


def language_of(patterns: Sequence[str], alphabet: str) -> tuple[Language, Symbols]:
    """The texts over an alphabet that all patterns match as a whole, and what their symbols stand for.

    Raises ConfigError, naming the fault, when one is no pattern or cannot be an automaton.
    """
    trees = {pattern: parsed(pattern) for pattern in patterns}
    every = (part for tree in trees.values() for part in parts(tree.data, tree.state.flags))
    symbols = Symbols(alphabet, [NEWLINE, word(re.UNICODE), word(re.ASCII), *filter(_stands_for_characters, every)])
    languages = []
    for pattern, tree in trees.items():
        reader = _Reader(pattern, symbols)
        languages.append(reader.sequence(tree.data, reader.all(EMPTY), tree.state.flags)[0])
    return both(*languages), symbols


def _stands_for_characters(part: Part) -> bool:
    return str(part.operation) not in READERS


class _Reader:
    """Reads a tree from its end: what follows is known where a part looks ahead to it."""

    def __init__(self, pattern: str, symbols: Symbols) -> None:
        self.pattern, self.symbols = pattern, symbols
        newline, *words = (symbols.set_of(part) for part in (NEWLINE, word(re.UNICODE), word(re.ASCII)))
        # The symbols of each kind; before the first character there is none.
        self.kinds: dict[Kind, int] = {Kind(first=True): 0}
        for symbol in (1 << number for number in range(symbols.count)):
            kind = Kind(False, *(bool(symbol & one) for one in (newline, *words)))
            self.kinds[kind] = self.kinds.get(kind, 0) | symbol
        self.newline = one_of(newline)

    def all(self, language: Language) -> Rest:
        """The same behind all kinds."""
        return (language,) * len(self.kinds)

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
        alike = len(set(rest)) == 1 and not _holds(inner, BEHIND)
        if alike and not _holds(inner, LOOKING):
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
            kinds = 1 if alike else len(rest)
            spread = len(rest) // kinds
            whole = spread * recursive(
                lambda again: maybe(spread * again)[:kinds], [one.holds_empty for one in rest[:kinds]]
            )
        for _ in range(0 if bound is None else bound - least):
            whole = maybe(whole)
        for _ in range(least):
            whole = self.sequence(inner.data, whole, flags)
        return whole

    def look(self, operation: Any, value: Any, rest: Rest, flags: int) -> Rest:
        """What follows, as far as it also begins, or does not begin, with this."""
        direction, inner = value
        if direction != 1:
            self.refuse(REFUSED[str(operation)])
        seen = self.sequence(inner.data, self.all(EVERYTHING), flags)
        wanted = seen if operation is PARSER.ASSERT else map(other_than, seen)
        return tuple(both(*each) for each in zip(rest, wanted, strict=True))

    def place(self, operation: Any, value: Any, rest: Rest, flags: int) -> Rest:
        """The beginning or the end, of the text or of a line or a word."""
        ahead = PLACES[str(value)]
        return tuple(both(one, ahead(self, kind, flags)) for kind, one in zip(self.kinds, rest, strict=True))

    def line_end(self, kind: Kind, flags: int) -> Language:
        """What may follow the end of a line, or of the text."""
        return either(EMPTY, then(self.newline, EVERYTHING if flags & re.MULTILINE else EMPTY))

    def boundary(self, kind: Kind, flags: int) -> Language:
        """What may follow the beginning or the end of a word."""
        behind = kind.ascii_word if flags & re.ASCII else kind.word
        ahead = then(one_of(self.symbols.set_of(word(flags))), EVERYTHING)
        return other_than(ahead) if behind else ahead

    def no_boundary(self, kind: Kind, flags: int) -> Language:
        """What may follow any other place."""
        other = other_than(self.boundary(kind, flags))
        return both(other, other_than(EMPTY)) if kind.first and EMPTY_HAS_NONE else other

    def failure(self, operation: Any, value: Any, rest: Rest, flags: int) -> Rest:
        """What never matches."""
        return self.all(NOTHING)

    def refused(self, operation: Any, value: Any, rest: Rest, flags: int) -> Rest:
        """What no automaton does."""
        return self.refuse(REFUSED[str(operation)])

    def characters(self, operation: Any, value: Any, rest: Rest, flags: int) -> Rest:
        """One character of those that an item stands for; of what kind it is, what follows knows."""
        symbols, known = self.symbols.set_of(Part(operation, value, flags)), dict.fromkeys(rest, 0)
        for of_kind, language in zip(self.kinds.values(), rest, strict=True):
            known[language] |= symbols & of_kind
        return self.all(either(*(then(one_of(chosen), language) for language, chosen in known.items())))

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
# What must follow a place, with this kind of character before it.
PLACES: dict[str, Callable[[_Reader, Kind, int], Language]] = {
    "AT_END": _Reader.line_end, "AT_BOUNDARY": _Reader.boundary, "AT_NON_BOUNDARY": _Reader.no_boundary,
    "AT_END_STRING": lambda reader, kind, flags: EMPTY,
    "AT_BEGINNING": lambda reader, kind, flags: (
        EVERYTHING if kind.first or (kind.newline and flags & re.MULTILINE) else NOTHING),
    "AT_BEGINNING_STRING": lambda reader, kind, flags: EVERYTHING if kind.first else NOTHING,
}  # fmt: skip


def _holds(part: Any, names: tuple[Any, ...]) -> bool:
    """Whether one of these names of the parser stands anywhere in a part of a tree."""
    if isinstance(part, PARSER.SubPattern | list | tuple):
        return any(_holds(one, names) for one in part)
    return any(part is one for one in names)
