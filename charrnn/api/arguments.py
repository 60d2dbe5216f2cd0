"""What Python users pass, read and checked before a verb runs; paths as str or Path."""

import functools
import inspect
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ParamSpec, TypeAlias, TypeVar

from charrnn.config import TrainOptions, require, unknown
from charrnn.config.fields import check, parsed, shown
from charrnn.config.together import refuse
from charrnn.config.verbs import VerbArguments
from charrnn.errors import ConfigError
from charrnn.generation.config import SampleConfig
from charrnn.schema import Schema

P = ParamSpec("P")
R = TypeVar("R")
AnyPath: TypeAlias = str | os.PathLike[str]


def known_options(*records: type[Schema]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """For a verb: what it is given is read and checked before it runs; what is wrong is a ConfigError.

    Its own arguments are those of `VerbArguments`, its options fields of `records`: an unknown name is told with the
    nearest, and what would be ignored beside another is refused.
    """

    def wrap(verb: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(verb)
        own = [each.name for each in signature.parameters.values() if each.kind is not each.VAR_KEYWORD]
        fields = [name for record in records for name in record.__dataclass_fields__]
        known = [name for name in dict.fromkeys([*own, *fields]) if name not in ("self", "cls")]

        @functools.wraps(verb)
        def call(*args: P.args, **options: P.kwargs) -> R:
            for name in options:
                if name not in known:
                    raise ConfigError(unknown("option", name, known))
            bound = signature.bind(*args, **options)
            bound.arguments.update({name: _checked(name, value) for name, value in bound.arguments.items()})
            asked = {**bound.arguments, **options}.items()
            refuse(verb.__qualname__, {name: each for name, each in asked if each is not None and each is not False})
            return verb(*bound.args, **bound.kwargs)

        return call

    return wrap


def _checked(name: str, value: Any) -> Any:
    """An argument of a verb, read and checked as its field says; one that has no field as it is."""
    field = VerbArguments.__dataclass_fields__.get(name)
    if field is None:
        return value
    value = parsed(field, value)
    check(field, value)
    return value


def folder(checkpoints: AnyPath | None) -> Path | None:
    """The folder of the runs, as the files below want it."""
    return None if checkpoints is None else Path(checkpoints)


def train_options(corpus: AnyPath | Iterable[AnyPath] | None, options: dict[str, Any]) -> TrainOptions:
    """The options of a training in Python's words: paths of any kind, one or several, and `seconds` as '30s' too."""
    return TrainOptions.of(**options) if corpus is None else TrainOptions.of(**options, corpus=corpus)


def sample_config(config: SampleConfig | None, options: dict[str, Any]) -> SampleConfig:
    """The options of a sampling, on top of a whole configuration where there is one; `stop` is one text or several."""
    if config is None:
        return SampleConfig.of(**options)
    require(isinstance(config, SampleConfig), f"`config` must be a SampleConfig, not {shown(config)}")
    return SampleConfig.of(**{**{name: getattr(config, name) for name in SampleConfig.__dataclass_fields__}, **options})
