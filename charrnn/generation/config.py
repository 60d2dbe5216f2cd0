"""What one sampling is: how long, until what, and the options of all processors.

It stands here and not with the other configurations, because its fields are made of the processors, which stand here:
imports run one way only.
"""

import dataclasses
import difflib
import numbers
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from charrnn.config import require
from charrnn.generation.processors import OPTIONS
from charrnn.schema import Schema

Class = TypeVar("Class")


def _with_processor_options(record: type[Class]) -> type[Class]:
    """Each option of the processors as one more field of the record."""
    for option in OPTIONS:
        record.__annotations__[option.name] = option.type | None
        setattr(record, option.name, option.default)
    return record


@dataclass(frozen=True, kw_only=True, init=False, repr=False)
@_with_processor_options
class SampleConfig(Schema):
    """One sampling: `length` counts code points, text ends before the first `stop` string; see `OPTIONS` for the rest.

    Raises ConfigError on an unknown option, with the nearest known one, and on a value out of range.
    """

    length: int = 500
    stop: tuple[str, ...] = ()

    def __init__(self, *, length: int = 500, stop: str | Iterable[str] = (), **options: Any) -> None:
        known = [field.name for field in dataclasses.fields(self)]
        for name in options:
            require(name in known, f"there is no option `{name}`: {_nearest(name, known)}")
        stop = (stop,) if isinstance(stop, str) else tuple(stop)
        for name, value in {"length": length, "stop": stop, **options}.items():
            object.__setattr__(self, name, value)
        self._check()

    def _check(self) -> None:
        whole = isinstance(self.length, numbers.Integral) and not isinstance(self.length, bool)
        require(whole and self.length >= 1, f"`length` must be a whole number of at least 1, not {self.length!r}")
        require(all(isinstance(text, str) and text for text in self.stop), "a `stop` string must not be empty")
        for option in OPTIONS:
            option.check(getattr(self, option.name))

    def __repr__(self) -> str:
        """What differs from the defaults."""
        said = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        own = [
            f"{field.name}={said[field.name]!r}"
            for field in dataclasses.fields(self)
            if said[field.name] != field.default
        ]
        return f"SampleConfig({', '.join(own)})"

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


def _nearest(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"the nearest is `{near[0]}`" if near else f"there are {', '.join(known)}"
