"""Records that are kept in files: frozen dataclasses to strict JSON and back."""

import dataclasses
import math
import types
import typing
from dataclasses import dataclass
from typing import Any, Self

from charrnn.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Schema:
    """A frozen dataclass that goes to JSON and comes back, every key named, none unknown."""

    def to_json(self) -> dict[str, Any]:
        """The fields as plain JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, record: object) -> Self:
        """Read what `to_json` wrote. Raises ConfigError on a missing, unknown or mistyped field."""
        if not isinstance(record, dict):
            raise ConfigError(f"{cls.__name__}: expected an object, got {type(record).__name__}")
        hints = typing.get_type_hints(cls)
        names = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(map(str, set(record) - names)):
            raise ConfigError(f"{cls.__name__}: unknown field {unknown[0]!r}")
        if missing := sorted(names - set(record)):
            raise ConfigError(f"{cls.__name__}: missing field {missing[0]!r}")
        values = dict(record)
        for name, value in record.items():
            if isinstance(hints[name], type) and issubclass(hints[name], Schema):
                values[name] = hints[name].from_json(value)
            elif not _fits(value, hints[name]):
                raise ConfigError(f"{cls.__name__}: {name} cannot be {value!r}")
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


def _fits(value: object, annotation: Any) -> bool:
    if isinstance(annotation, types.UnionType):
        return any(_fits(value, option) for option in typing.get_args(annotation))
    if typing.get_origin(annotation) is tuple:
        item = typing.get_args(annotation)[0]
        return isinstance(value, tuple | list) and all(_fits(part, item) for part in value)
    if annotation is float:
        return isinstance(value, float | int) and not isinstance(value, bool)
    if annotation is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, annotation)


def finite(record: dict[str, Any]) -> dict[str, Any]:
    """JSON has no NaN and no infinity: null stands for them, also in records within the record."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return finite(value)
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return {name: plain(value) for name, value in record.items()}
