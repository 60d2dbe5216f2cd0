"""What Python users pass: options by name, an unknown one told with the nearest; paths as str or Path."""

import functools
import inspect
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ParamSpec, TypeAlias, TypeVar

from charrnn.config import TrainOptions, unknown
from charrnn.config.durations import parse_duration
from charrnn.errors import ConfigError
from charrnn.generation.config import SampleConfig
from charrnn.schema import Schema

P = ParamSpec("P")
R = TypeVar("R")
AnyPath: TypeAlias = str | os.PathLike[str]


def known_options(*records: type[Schema]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """For a verb: a keyword that is neither its own nor a field of these records is a ConfigError, not a TypeError."""

    def wrap(verb: Callable[P, R]) -> Callable[P, R]:
        own = [each.name for each in inspect.signature(verb).parameters.values() if each.kind is not each.VAR_KEYWORD]
        fields = [name for record in records for name in record.__dataclass_fields__]
        known = [name for name in dict.fromkeys([*own, *fields]) if name not in ("self", "cls")]

        @functools.wraps(verb)
        def call(*args: P.args, **options: P.kwargs) -> R:
            for name in options:
                if name not in known:
                    raise ConfigError(unknown("option", name, known))
            return verb(*args, **options)

        return call

    return wrap


def folder(checkpoints: AnyPath | None) -> Path | None:
    """The folder of the runs, as the files below want it."""
    return None if checkpoints is None else Path(checkpoints)


def train_options(corpus: AnyPath | Iterable[AnyPath] | None, options: dict[str, Any]) -> TrainOptions:
    """The options of a training in Python's words: paths of any kind, one or several, and `seconds` as '30s' too."""
    return TrainOptions.of(**options) if corpus is None else TrainOptions.of(**options, corpus=corpus)


def sample_config(config: SampleConfig | None, options: dict[str, Any]) -> SampleConfig:
    """The options of a sampling, on top of a whole configuration where there is one; `stop` is one text or several."""
    asked = {} if config is None else {name: getattr(config, name) for name in SampleConfig.__dataclass_fields__}
    return SampleConfig.of(**{**asked, **options})


def span(seconds: str | float | None) -> float | None:
    """A span of time in seconds, from 30 or '30s'."""
    return None if seconds is None else parse_duration(seconds)
