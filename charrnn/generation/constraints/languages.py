"""Regular languages as expressions that can be derived, symbol by symbol (Brzozowski 1964; Owens et al. 2009).

The derivative of a language by a symbol is what may follow that symbol. Expressions are made by the functions below,
which simplify what they are given and make each expression once, so that equal ones are the same object and there are
finitely many derivatives. A set of symbols is an integer, whose bit i is symbol i.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from weakref import WeakValueDictionary


@dataclass(eq=False, slots=True, weakref_slot=True)
class Language:
    """A set of texts, made by the functions below alone. It remembers its derivatives, and is forgotten with them."""

    kind: str
    parts: tuple["Language", ...]
    symbols: int
    least: int
    most: int | None
    holds_empty: bool
    """Whether the empty text is one of it."""
    number: int
    derivatives: dict[int, "Language"] = field(default_factory=dict)


_numbers = count()
_made: WeakValueDictionary[object, Language] = WeakValueDictionary()


def _make(
    kind: str,
    parts: tuple[Language, ...] = (),
    *,
    holds_empty: bool,
    symbols: int = 0,
    least: int = 0,
    most: int | None = None,
) -> Language:
    # While an expression lives its parts do, and no other expression has their numbers.
    key = (kind, tuple(part.number for part in parts), symbols, least, most)
    found = _made.get(key)
    if found is None:
        found = _made[key] = Language(kind, parts, symbols, least, most, holds_empty, next(_numbers))
    return found


NOTHING = _make("one of", holds_empty=False)  # no text at all
EMPTY = _make("empty", holds_empty=True)  # the text without a symbol
EVERYTHING = _make("not", (NOTHING,), holds_empty=True)


def one_of(symbols: int) -> Language:
    """The texts of one of these symbols."""
    return _make("one of", symbols=symbols, holds_empty=False)


def then(first: Language, second: Language) -> Language:
    """A text of the first and then one of the second."""
    if NOTHING in (first, second):
        return NOTHING
    if first is EMPTY:
        return second
    if second is EMPTY:
        return first
    parts = [first]
    while parts[-1].kind == "then":  # to the right, so that one sequence is one expression
        parts += parts.pop().parts
    for part in reversed(parts):
        second = _make("then", (part, second), holds_empty=part.holds_empty and second.holds_empty)
    return second


def either(*languages: Language) -> Language:
    """A text of any of them."""
    parts = _gathered("either", languages)
    if EVERYTHING in parts:
        return EVERYTHING
    symbols = 0
    for part in [part for part in parts if part.kind == "one of"]:
        parts.remove(part)
        symbols |= part.symbols
    if symbols or not parts:
        parts.append(one_of(symbols))
    if EMPTY in parts and sum(part.holds_empty for part in parts) > 1:
        parts.remove(EMPTY)
    parts = _absorbed(parts, "both")
    return parts[0] if len(parts) == 1 else _combined("either", parts, any(part.holds_empty for part in parts))


def both(*languages: Language) -> Language:
    """A text of all of them."""
    parts = [part for part in _gathered("both", languages) if part is not EVERYTHING]
    if NOTHING in parts:
        return NOTHING
    if EMPTY in parts:
        return EMPTY if all(part.holds_empty for part in parts) else NOTHING
    if not parts:
        return EVERYTHING
    parts = _absorbed(parts, "either")
    return parts[0] if len(parts) == 1 else _combined("both", parts, all(part.holds_empty for part in parts))


def other_than(language: Language) -> Language:
    """Every text that is none of it."""
    if language.kind == "not":
        return language.parts[0]
    return _make("not", (language,), holds_empty=not language.holds_empty)


def repeated(language: Language, least: int, most: int | None) -> Language:
    """So many texts of it, one after another; any number from `least` on where `most` is None."""
    if most == 0 or language is EMPTY:
        return EMPTY
    if language is NOTHING:
        return EMPTY if least == 0 else NOTHING
    if least == most == 1:
        return language
    least = 0 if language.holds_empty else least
    return _make("repeated", (language,), least=least, most=most, holds_empty=least == 0)


def recursive(
    define: Callable[[tuple[Language, ...]], tuple[Language, ...]], holds_empty: Sequence[bool]
) -> tuple[Language, ...]:
    """The smallest languages X that are `define(X)`, which must look at X behind a symbol alone."""
    made = tuple(Language("again", (), 0, 0, None, empty, next(_numbers)) for empty in holds_empty)
    for one, definition in zip(made, define(made), strict=True):
        one.parts = (definition,)
    return made


def _gathered(kind: str, languages: Iterable[Language]) -> list[Language]:
    """The parts of nested expressions of one kind, each once."""
    return list(dict.fromkeys(part for one in languages for part in (one.parts if one.kind == kind else (one,))))


def _absorbed(parts: list[Language], kind: str) -> list[Language]:
    """Without what another part says already: x | (x & y) and x & (x | y) are x."""
    alone = set(parts)
    return [part for part in parts if part.kind != kind or alone.isdisjoint(part.parts)]


def _combined(kind: str, parts: list[Language], holds_empty: bool) -> Language:
    return _make(kind, tuple(sorted(parts, key=lambda part: part.number)), holds_empty=holds_empty)


def derivative(language: Language, symbol: int) -> Language:
    """What may follow this symbol at the beginning of a text of the language."""
    found = language.derivatives.get(symbol)
    if found is None:
        found = language.derivatives[symbol] = _DERIVED[language.kind](language, symbol)
    return found


def _of_then(language: Language, symbol: int) -> Language:
    first, second = language.parts
    follows = then(derivative(first, symbol), second)
    return either(follows, derivative(second, symbol)) if first.holds_empty else follows


def _of_repeated(language: Language, symbol: int) -> Language:
    (part,) = language.parts
    most = None if language.most is None else language.most - 1
    return then(derivative(part, symbol), repeated(part, max(0, language.least - 1), most))


_DERIVED: dict[str, Callable[[Language, int], Language]] = {
    "one of": lambda language, symbol: EMPTY if language.symbols >> symbol & 1 else NOTHING,
    "empty": lambda language, symbol: NOTHING,
    "not": lambda language, symbol: other_than(derivative(language.parts[0], symbol)),
    "then": _of_then,
    "either": lambda language, symbol: either(*(derivative(part, symbol) for part in language.parts)),
    "both": lambda language, symbol: both(*(derivative(part, symbol) for part in language.parts)),
    "repeated": _of_repeated,
    "again": lambda language, symbol: derivative(language.parts[0], symbol),
}
