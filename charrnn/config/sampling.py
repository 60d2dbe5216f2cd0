"""How text is drawn from a model: every option of a sampling, in the order in which filters apply."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from charrnn.config.fields import Config, Range, option, require

COUNT = Range(at_least=1, at_most=10**12)
PROBABILITY = Range(above=0, at_most=1)

drawing = partial(option, group="Sampling")
text = partial(option, group="Text")


def several(stop: str | Iterable[str]) -> tuple[str, ...]:
    """One text or several."""
    return (stop,) if isinstance(stop, str) else tuple(stop)


@dataclass(frozen=True, kw_only=True)
class SampleConfig(Config):
    """One sampling. `temperature` 0 is greedy; filters that are None are off; `length` counts code points."""

    repetition_penalty: float | None = drawing(
        "Repetition penalty: makes symbols that were used less likely.", says="off", range=Range(at_least=1)
    )
    repetition_window: int | None = drawing("How many symbols back the penalty looks.", default=64, range=COUNT)
    temperature: float = drawing(
        "Temperature: low is safe and repetitive, high surprising and wrong; 0 is greedy.",
        default=0.8, flags=("--temp", "--temperature"), range=Range(at_least=0),
    )  # fmt: skip
    top_k: int | None = drawing("Top-k: only the k likeliest symbols.", says="off", range=COUNT)
    top_p: float | None = drawing(
        "Top-p (nucleus): only the likeliest symbols that make up this probability.", says="off", range=PROBABILITY
    )
    min_p: float | None = drawing(
        "Min-p: only symbols at least this share as likely as the likeliest.", says="off", range=PROBABILITY
    )
    length: int = text(
        "Length in characters, the prompt not counted.", default=500, flags=("--length", "-l"), range=COUNT
    )
    stop: tuple[str, ...] = text(
        "Stop string: end before this text; repeatable.", says="none", default=(), parse=several
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require(all(self.stop), "a `stop` string must not be empty")
