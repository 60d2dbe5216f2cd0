"""What a field of a configuration may be, and the words for it: said at the field, and nowhere else.

A field's metadata holds a `Setting`. The range, the choices and the type are checked when the record is made, from
Python and from the command line alike; the help, the flag and docs/cli.md are made of the rest.
"""

import dataclasses
import math
import os
import types
import typing
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from charrnn.config.suggest import unknown
from charrnn.errors import ConfigError
from charrnn.schema import Schema

# Of a value that is refused, so much is shown.
SHOWN = 80


def require(holds: bool, message: str) -> None:
    """Raise ConfigError with this message unless the condition holds (NaN never does)."""
    if not holds:
        raise ConfigError(message)


@dataclass(frozen=True, kw_only=True)
class Range:
    """Finite numbers between two bounds, each of them inside (`at_least`, `at_most`) or outside (`above`, `below`)."""

    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None

    def __contains__(self, value: float) -> bool:
        try:
            finite = math.isfinite(value)
        except OverflowError:  # an integer beyond all floats, as JSON may hold one
            return False
        return (
            finite
            and (self.at_least is None or value >= self.at_least)
            and (self.above is None or value > self.above)
            and (self.at_most is None or value <= self.at_most)
            and (self.below is None or value < self.below)
        )

    def __str__(self) -> str:
        if self.at_least is not None and self.at_most is not None:
            return f"from {self.at_least:,} to {self.at_most:,}"
        bounds = {"at least": self.at_least, "above": self.above, "at most": self.at_most, "below": self.below}
        return " and ".join(f"{words} {bound:,}" for words, bound in bounds.items() if bound is not None)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """All that is known of a field beside its name, its type and its default.

    `flags` where the flag is not --field-name; `default` what the help says of a default that is decided later;
    `parse` turns what people write ("90s", a Path) into the value, and a value into itself.
    """

    help: str = ""
    group: str = ""
    flags: tuple[str, ...] = ()
    default: str | None = None
    metavar: str | None = None
    choices: tuple[str, ...] = ()
    range: Range | None = None
    parse: Callable[[Any], Any] | None = None


Field = dataclasses.Field[Any]
NOTHING = Setting()
KINDS = {bool: "True or False", int: "a whole number", float: "a number", str: "a text"}


def option(
    help: str,
    group: str,
    says: str | None = None,
    *,
    default: Any = None,
    flags: tuple[str, ...] = (),
    metavar: str | None = None,
    choices: tuple[str, ...] = (),
    range: Range | None = None,
    parse: Callable[[Any], Any] | None = None,
    **metadata: Any,
) -> Any:
    """A field that users set: its help, the panel that it stands in, what the help says of a default that is open."""
    told = Setting(
        help=help, group=group, flags=flags, default=says, metavar=metavar, choices=choices, range=range, parse=parse
    )
    return field(default=default, metadata={"setting": told, **metadata})


def within(**bounds: float) -> dict[str, Setting]:
    """Metadata of a field that has a range and no words."""
    return {"setting": Setting(range=Range(**bounds))}


def same_as(config: type[Schema], name: str) -> dict[str, Setting]:
    """Metadata of a field that is the same quantity as one of another configuration: its range and its choices."""
    told = setting(config.__dataclass_fields__[name])
    return {"setting": Setting(range=told.range, choices=told.choices)}


def again(config: type[Schema], name: str) -> Any:
    """A field of another configuration once more: its words, its range, its default."""
    there = config.__dataclass_fields__[name]
    return field(default=there.default, metadata=there.metadata)


def setting(field: Field) -> Setting:
    """What a field's metadata says of it."""
    told = field.metadata.get("setting", NOTHING)
    assert isinstance(told, Setting)
    return told


def kinds(field: Field) -> tuple[type, ...]:
    """The types that a field may have; NoneType stands for off, or left open."""
    annotation: Any = field.type
    return typing.get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)


def check(field: Field, value: object) -> None:
    """Raise ConfigError unless the value is of the field's type, in its range and among its choices."""
    if wanted := complaint(field, value):
        raise ConfigError(f"`{field.name}` must be {wanted}, not {shown(value)}")


def shown(value: object) -> str:
    """A value that is refused, cut to what is readable; of one in a tuple, that one."""
    if isinstance(value, tuple) and len(value) == 1:
        return shown(value[0])
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # Python writes out no integer of so many digits
        return "a number of thousands of digits"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def tuple_of(field: Field) -> bool:
    """Whether the field is a tuple of texts."""
    return any(typing.get_origin(kind) is tuple for kind in kinds(field))


def complaint(field: Field, value: object) -> str:
    """What the value should be, in words; nothing where it is that."""
    told, allowed = setting(field), kinds(field)
    plain = [kind for kind in allowed if kind in KINDS]
    if value is None and types.NoneType in allowed:
        return ""
    if tuple_of(field):
        several = isinstance(value, tuple) and all(isinstance(each, str) for each in value)
        return "" if several else "a text, or several"
    if not plain or (isinstance(value, tuple) and type(value) in allowed):
        return ""
    if not any(_is(value, kind) for kind in plain):
        return " or ".join(KINDS[kind] for kind in plain)
    if isinstance(value, str):
        return one_of(told.choices) if told.choices and value not in told.choices else ""
    if told.range is not None and isinstance(value, int | float) and value not in told.range:
        return f"{'a file or ' if str in plain else ''}{told.range}"
    return ""


def _is(value: object, kind: type) -> bool:
    """Whether a value is of this kind: whole numbers are numbers, True and False are none."""
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


def one_of(names: Sequence[str]) -> str:
    """('a', 'b', 'c') -> 'a, b or c'"""
    return " or ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


@dataclass(frozen=True, kw_only=True)
class Config(Schema):
    """A record whose fields are checked when it is made. Raises ConfigError, which names the field."""

    def __post_init__(self) -> None:
        for each in dataclasses.fields(self):
            value = native(getattr(self, each.name))
            object.__setattr__(self, each.name, value)
            check(each, value)

    @classmethod
    def of(cls, **options: Any) -> Self:
        """Made of what people write: '90s' for seconds, a Path for a file's name.

        Raises ConfigError on a value out of range, and on an unknown name, telling the nearest known one.
        """
        fields = cls.__dataclass_fields__
        for name in options:
            if name not in fields:
                raise ConfigError(unknown("option", name, fields))
        return cls(**{name: parsed(fields[name], value) for name, value in options.items()})


def parsed(field: Field, value: Any) -> Any:
    """What people write as the field's value, NumPy's numbers too. Raises ConfigError when it cannot be read."""
    parse, value = setting(field).parse, native(value)
    return value if parse is None or value is None else parse(value)


def native(value: Any) -> Any:
    """A number or text of NumPy's as Python's own, which files can hold; all else as it is."""
    if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0:
        return value.item()
    return value


def several(value: Any) -> tuple[Any, ...]:
    """One text or several: a single text is not its letters."""
    alone = isinstance(value, str | bytes | os.PathLike) or not isinstance(value, Iterable)
    return (value,) if alone else tuple(value)


def text_of(path: Any) -> Any:
    """A path as text; anything else as it is."""
    return os.fspath(path) if isinstance(path, os.PathLike) else path
