"""A pattern as Python's own parser takes it apart, and what Python's own matcher says of its parts.

`re` hands a pattern from the one to the other as a tree of operations, each with a value, in which more may stand.
"""

import re
import warnings
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any, NamedTuple, TypeAlias

from charrnn.config import require
from charrnn.config.fields import shown

PARSER: Any = import_module("re._parser")
COMPILER: Any = import_module("re._compiler")
# Of these a group has one alone.
TYPES = re.ASCII | re.LOCALE | re.UNICODE
Items: TypeAlias = Sequence[tuple[Any, Any]]


class Part(NamedTuple):
    """An operation of a tree, by the parser's name, and the flags that hold where it stands."""

    operation: Any
    value: Any
    flags: int

    @property
    def key(self) -> str:
        """Equal parts have equal keys: a value may be a list."""
        return repr(self)


NEWLINE = Part(PARSER.LITERAL, ord("\n"), 0)


def word(flags: int) -> Part:
    """What \\b takes for a character of a word."""
    return Part(PARSER.IN, [(PARSER.CATEGORY, PARSER.CATEGORY_WORD)], flags & TYPES)


def parsed(pattern: str) -> Any:
    """The tree. Raises ConfigError, naming the fault, when it is no pattern."""
    try:
        with warnings.catch_warnings(action="ignore"):  # of what may mean something else one day
            re.compile(pattern)  # which refuses more than the parser
            return PARSER.parse(pattern)
    except (re.error, OverflowError) as problem:
        require(False, f"{named(pattern)} is no regular expression: {problem}")


def named(pattern: str) -> str:
    """A pattern as messages call it, its backslashes as they were typed."""
    return f"`match` {shown(pattern)}".replace(2 * "\\", "\\")


def parts(items: Items, flags: int, *, behind: bool = True) -> Iterator[Part]:
    """Everything that stands anywhere in a tree, what holds others before these; within look-`behind` if wanted."""
    for operation, value in items:
        part = Part(operation, value, flags)
        yield part
        within = flags_within(value, flags) if operation is PARSER.SUBPATTERN else flags
        for inner in _trees(value) if behind or not looks_behind(part) else ():
            yield from parts(inner.data, within, behind=behind)


def looks_behind(part: Part) -> bool:
    """Whether it is look-behind."""
    return part.operation in (PARSER.ASSERT, PARSER.ASSERT_NOT) and part.value[0] < 0


def flags_within(group: tuple[Any, int, int, Any], flags: int) -> int:
    """The flags that hold in a group, by its value."""
    _, added, removed, _ = group
    return ((flags & ~TYPES if added & TYPES else flags) | added) & ~removed


def _trees(value: Any) -> Iterator[Any]:
    if isinstance(value, PARSER.SubPattern):
        yield value
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _trees(one)


def runs(part: Part, alphabet: str) -> list[tuple[int, int]]:
    """Where characters stand in an alphabet for which a part stands: from, to; runs that do not touch, in order."""
    one = PARSER.SubPattern(PARSER.State(), [(part.operation, part.value)])
    some = PARSER.SubPattern(one.state, [(PARSER.MAX_REPEAT, (1, PARSER.MAXREPEAT, one))])
    return [found.span() for found in COMPILER.compile(some, part.flags).finditer(alphabet)]
