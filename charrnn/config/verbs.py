"""What the verbs of the Python API take beside the options of a training and of a sampling: each name once."""

import os
from dataclasses import dataclass
from typing import Any

from charrnn.config.fields import Config, Range, again, option, require, several, shown, text_of
from charrnn.config.options import COUNT, ResumeOptions, TrainOptions

# The number formats of generation; `inference/products.py` has a matrix for each.
PRECISIONS = ("int8", "fp32")
# What surprisal is told of, and whose white space is: `scoring/units.py` has a class or function for each.
UNITS = ("line", "word", "char", "token")
SPACES = ("after", "before", "none")


def text_or_file(text: Any) -> Any:
    """A text, the Path of a file, or a corpus, which can be read."""
    readable = isinstance(text, str | os.PathLike) or hasattr(text, "read")
    require(readable, f"`text` must be a text, or the Path of a file, not {shown(text)}")
    return text


def callback(function: Any) -> Any:
    """Something that can be called."""
    require(callable(function), f"`on_event` must be a function, not {shown(function)}")
    return function


@dataclass(frozen=True, kw_only=True)
class VerbArguments(Config):
    """A name means the same in every verb. Ranges and choices stand here; defaults stand at the verbs."""

    model: str | None = option("A run's name, its folder, or a model file.", "Model", parse=text_of)
    name: str | None = option("A run's name, or its folder.", "Model", parse=text_of)
    checkpoints: str | None = option("The folder that holds the runs.", "Model", parse=text_of)
    device: str | None = again(TrainOptions, "device")
    threads: int | None = again(ResumeOptions, "threads")
    seed: int | None = again(TrainOptions, "seed")

    prompt: str = option("Text to go on from.", "Text", default="")
    rows: int = option(
        "Samples; sample i has the seed plus i.", "Text", default=1, flags=("--num", "-n"),
        range=Range(at_least=1, at_most=100_000),
    )  # fmt: skip
    unique: bool = option("No text twice.", "New texts", default=False, flags=("--unique",))
    novel: bool = option(
        "No text with a line of the text that was learned from.", "New texts", default=False, flags=("--novel",)
    )
    exclude: tuple[str, ...] | None = option("No text with one of these lines.", "New texts", parse=several)
    ignore_case: bool = option(
        "For these, upper and lower case are one.", "New texts", default=False, flags=("--ignore-case",)
    )
    echo: bool = option("The prompt in front.", "Output", default=False)
    logprobs: bool = option("How likely the model held its tokens.", "Output", default=False)
    precision: str | None = option("Number format of the weights.", "Machine", choices=PRECISIONS)

    text: object = option("A text, or a file given as a Path.", "Text", parse=text_or_file)
    lines: bool = option("Score each line alone.", "Scoring", default=False)
    reset_every: int | None = option("Reset the state every so many tokens.", "Scoring", range=COUNT)
    unknown: bool = option("Score characters that the vocabulary lacks.", "Scoring", default=False)
    batch_size: int | None = again(TrainOptions, "batch_size")
    adapt: bool = option("Dynamic evaluation as well.", "Scoring", default=False)
    fit_temperature: bool = option("Temperature scaling as well.", "Scoring", default=False)

    per: str = option("What a row is.", "Output", default="line", choices=UNITS)
    space: str = option(
        "Which boundary a word owns: that after it, the white space before it, or none.", "Output",
        default="after", choices=SPACES,
    )  # fmt: skip
    top: int = option(
        "So many likeliest tokens beside each, with its rank and the entropy.", "Output", default=0, metavar="K",
        range=Range(at_least=0, at_most=1000),
    )  # fmt: skip
    context: str = option("A text that is read before and not scored.", "Scoring", default="")
    carry: bool = option("All lines are one running text.", "Scoring", default=False)
    unbuffered: bool = option("Each line is scored before the next is asked for.", "Machine", default=False)

    left: str = option("The text in front of a gap.", "Filling", default="")
    right: str = option("The text behind it.", "Filling", default="")
    candidates: tuple[str, ...] | None = option("What may stand in the gap.", "Filling", parse=several)
    drawn: int = option(
        "Words that each direction of the model proposes.", "Filling", default=64, range=Range(at_least=1, at_most=4096)
    )

    progress: bool | None = option("Show the progress.", "Output")
    on_event: object = option("Called with every event.", "Output", parse=callback)
