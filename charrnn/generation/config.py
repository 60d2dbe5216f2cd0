"""What one sampling is: how long, until what, and the options of all processors.

It stands here and not in config/, because its fields are those of the processors: imports run one way.
"""

from dataclasses import dataclass, make_dataclass
from typing import TYPE_CHECKING, Any

from charrnn.config import Config, Range, option, require
from charrnn.config.fields import several, tuple_of
from charrnn.generation.processors import PROCESSORS

# Characters that a gap is filled with at most, unless told.
GAP_LENGTH = 40


@dataclass(frozen=True, kw_only=True)
class TextConfig(Config):
    """How long a text is, before what it ends, and how much it may copy; `length` and `max_copy` count code points."""

    length: int = option(
        "Length in characters, the prompt not counted.", "Text",
        default=500, flags=("--length", "-l"), range=Range(at_least=1, at_most=10**12),
    )  # fmt: skip
    stop: tuple[str, ...] = option(
        "Stop string: end before this text; repeatable.",
        "Text",
        says="none",
        default=(),
        metavar="<text>",
        parse=several,
    )

    max_copy: int | None = option(
        "No longer span, in characters, that stands in the training text; the prompt counts.",
        "New texts", "unlimited", metavar="N", range=Range(at_least=1, at_most=10**9),
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        require(all(self.stop), "a `stop` string must not be empty")


SAMPLING = "One sampling: the fields of `TextConfig`, and the options of `PROCESSORS`; None is off."

if TYPE_CHECKING:
    from collections.abc import Iterator

    class SampleConfig(TextConfig):
        """One sampling: the fields of `TextConfig`, and every option of `PROCESSORS`, None being off."""

        def __init__(self, **options: Any) -> None: ...

        def __getattr__(self, name: str) -> Any: ...

else:
    SampleConfig = make_dataclass(
        "SampleConfig",
        [(name, kind, field) for processor in PROCESSORS for name, kind, field in processor.options],
        bases=(TextConfig,),
        namespace={"__doc__": SAMPLING, "__module__": __name__},
        frozen=True,
        kw_only=True,
    )


def said(config: SampleConfig) -> "Iterator[tuple[str, str]]":
    """The options of a sampling that say something, and their values: temperature, length, and what is set."""
    for name, field in SampleConfig.__dataclass_fields__.items():
        value = getattr(config, name)
        if value not in (None, ()) and (name in ("temperature", "length") or value != field.default):
            yield name, " ".join(map(repr, value)) if tuple_of(field) else str(value)
