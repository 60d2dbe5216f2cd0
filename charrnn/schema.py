"""Records that are kept in files: frozen dataclasses to strict JSON and back; files may be older than their reader.

A field that a file lacks has the value that was so before the field was known: what its metadata has under `absent`,
else its default. A field that a file has and the reader does not know is an error.
"""

import dataclasses
import json
import math
import re
import reprlib
import types
import typing
from dataclasses import dataclass
from typing import Any, Self

from charrnn import __version__
from charrnn.errors import ConfigError

# The key in a field's metadata for what was so before there was the field.
ABSENT = "absent"
# What every reader can hold: whole numbers of 64 bits.
LARGEST = 2**63 - 1


@dataclass(frozen=True, kw_only=True)
class Schema:
    """A frozen dataclass that goes to JSON and comes back, also when the file is older than the class."""

    def to_json(self) -> dict[str, Any]:
        """The fields as plain JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def migrate(cls, record: dict[str, Any]) -> dict[str, Any]:
        """A record as older versions wrote it, in today's fields: the place for what was renamed or moved."""
        return record

    @classmethod
    def from_json(cls, record: object) -> Self:
        """Read what `to_json` wrote, then or now.

        Raises ConfigError on an unknown or mistyped field, and on a missing one that has no default.
        """
        if not isinstance(record, dict):
            raise ConfigError(f"{cls.__name__}: expected an object, got {type(record).__name__}")
        record = cls.migrate(record)
        hints = typing.get_type_hints(cls)
        fields = {field.name: field for field in dataclasses.fields(cls)}
        if unknown := sorted(map(str, record.keys() - fields.keys())):
            raise ConfigError(f"{cls.__name__}: unknown field {reprlib.repr(unknown[0])}")
        values = {name: _absent(cls.__name__, field) for name, field in fields.items() if name not in record}
        for name, value in record.items():
            if isinstance(hints[name], type) and issubclass(hints[name], Schema):
                values[name] = hints[name].from_json(value)
            elif fits(value, hints[name]):
                values[name] = tuple(value) if isinstance(value, list) else value
            else:
                raise ConfigError(f"{cls.__name__}: {name} cannot be {reprlib.repr(value)}")
        return cls(**values)

    def told(self) -> dict[str, Any]:
        """As `to_json`, without what a file that does not say it would mean anyway: the same in every version."""
        known = {field.name: field for field in dataclasses.fields(self)}
        return {name: value for name, value in self.to_json().items() if not _goes_without_saying(known[name], value)}


def finite(value: Any) -> Any:
    """JSON has no NaN and no infinity: null stands for them, however deep in lists and records they are.

    Nor is there a zero below zero, which some readers of JSON would show.
    """
    if isinstance(value, dict):
        return {name: finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [finite(part) for part in value]
    if isinstance(value, float):
        return value + 0.0 if math.isfinite(value) else None
    return value


def to_json_text(value: Any) -> str:
    """Strict JSON in one line, Unicode as it is; a number that is not finite is null (see `finite`).

    Half a surrogate pair, as a file's name that is no UTF-8 has it, is no Unicode: then all beyond ASCII is escaped.
    """
    value = finite(value)
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, allow_nan=False)
    return text


def _absent(owner: str, field: "dataclasses.Field[Any]") -> Any:
    """What a field was before a file could say so."""
    if ABSENT in field.metadata:
        return field.metadata[ABSENT]
    if field.default is not dataclasses.MISSING:
        return field.default
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    raise ConfigError(f"{owner}: missing field {field.name!r}")


def _goes_without_saying(field: "dataclasses.Field[Any]", value: Any) -> bool:
    try:
        return bool(_absent("", field) == value)
    except ConfigError:  # it must be said
        return False


def newer(version: str | None) -> str:
    """What to say of a file that this version cannot read, if a newer one wrote it; else nothing."""
    if version is None or _numbers(version) <= _numbers(__version__):
        return ""
    return f": the file was written by charrnn {version}, newer than this {__version__}: upgrade charrnn"


def _numbers(version: str) -> list[int]:
    """'0.10.2' -> [0, 10, 2]"""
    return [int(number) for number in re.findall(r"\d{1,9}", version)]


def fits(value: object, annotation: Any) -> bool:
    """Whether a JSON value is what the annotation of a field says; numbers must be finite, and of 64 bits."""
    if isinstance(annotation, types.UnionType):
        return any(fits(value, option) for option in typing.get_args(annotation))
    if typing.get_origin(annotation) is tuple:
        item = typing.get_args(annotation)[0]
        return isinstance(value, tuple | list) and all(fits(part, item) for part in value)
    if annotation is float and isinstance(value, float):
        return math.isfinite(value)
    if annotation in (float, int):
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST
    return isinstance(value, annotation)
