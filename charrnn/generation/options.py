"""An option of sampling, written once, beside the processor that it steers.

The field of `SampleConfig`, the keyword of Python, the flag of the command line with its help, the check of its range
and the laws of the tests are all made of it.
"""

import math
import numbers
import sys
from dataclasses import dataclass
from typing import Any

from charrnn.config import require

GROUP = "Sampling (in this order)"
KINDS: dict[type, tuple[type, str]] = {
    int: (numbers.Integral, "a whole number"),
    float: (numbers.Real, "a number"),
    str: (str, "a text"),
}


@dataclass(frozen=True, kw_only=True)
class SamplingOption:
    """One option: None is off, and lies in every range."""

    name: str
    type: type[int] | type[float] | type[str]
    help: str
    default: int | float | str | None = None
    default_text: str = ""  # what help says of the default, where that is not the default itself
    least: float = -math.inf
    most: float = sys.float_info.max
    above: bool = False  # whether `least` itself is too little
    flags: tuple[str, ...] = ()
    group: str = GROUP

    def __post_init__(self) -> None:
        object.__setattr__(self, "flags", self.flags or (f"--{self.name.replace('_', '-')}",))
        object.__setattr__(
            self, "default_text", self.default_text or str("off" if self.default is None else self.default)
        )

    @property
    def range(self) -> str:
        """In words: 'above 0 and at most 1'."""
        low = f"{'above' if self.above else 'at least'} {self.least:g}"
        if self.most < sys.float_info.max:
            return f"{low} and at most {self.most:.12g}"
        return low if self.type is int else f"finite and {low}"

    def check(self, value: Any) -> None:
        """Raises ConfigError, naming the field, when the value is of another kind or out of range."""
        if value is None:
            return
        kind, words = KINDS[self.type]
        require(
            isinstance(value, kind) and not isinstance(value, bool), f"`{self.name}` must be {words}, not {value!r}"
        )
        if self.type is not str:
            low = value > self.least if self.above else value >= self.least
            require(low and value <= self.most, f"`{self.name}` must be {self.range}, not {value}")
