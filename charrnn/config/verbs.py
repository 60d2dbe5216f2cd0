"""What the verbs of the Python API take beside the options of a training and of a sampling: each name once."""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from charrnn.config.fields import Config, Range, again, option, require, several, shown, text_of
from charrnn.config.options import COUNT, ResumeOptions, TrainOptions
from charrnn.errors import ConfigError

# The number formats of generation; `inference/products.py` has a matrix for each.
PRECISIONS = ("int8", "fp32")
# What a text is cut into, and whose white space is: `scoring/units.py` and `text/spans.py` know how.
UNITS = ("line", "word", "char", "token")
SPACES = ("after", "before", "none")
POOLS = ("mean", "last")
# What learns from a text as it is read: `api/adapting.py` knows how.
ADAPTED = ("gradient", "counts", "both")
TEMPERATURES = (0.5, 0.8, 1.0)
# Where the events of a training are drawn: `api/logs.py` knows how.
LOGS = ("tensorboard", "wandb")
# What a model is exported as: `export/formats.py` knows how.
EXPORTED = ("onnx", "hf", "npz")
POSITIVE = Range(above=0, at_most=1e6)


def text_or_file(text: Any) -> Any:
    """A text, the Path of a file, or a corpus, which can be read."""
    readable = isinstance(text, str | os.PathLike) or hasattr(text, "read")
    require(readable, f"`text` must be a text, or the Path of a file, not {shown(text)}")
    return text


def model_or_name(argument: str) -> Callable[[Any], Any]:
    """A parser of this argument: a loaded model, which can score, or what one is loaded by."""

    def parse(model: Any) -> Any:
        known = isinstance(model, str | os.PathLike) or hasattr(model, "score")
        require(known, f"`{argument}` must be a loaded model, a run's name, its folder or a file, not {shown(model)}")
        return model

    return parse


def shares(value: Any) -> Any:
    """Models and their shares: {"a": 0.7, "b": 0.3}, or a text, a:0.7,b:0.3."""
    if isinstance(value, str):
        pairs = [weighed(each) for each in value.split(",")]
        value = dict(pairs)
        require(len(value) == len(pairs), "`shares` names a model twice")
    require(isinstance(value, Mapping) and bool(value), f"`shares` must be models and their shares, not {shown(value)}")
    parse = model_or_name("shares")
    return {parse(model): _positive("shares", share) for model, share in value.items()}


def against(value: Any) -> Any:
    """A model and its weight: b:0.3."""
    name, weight = weighed(value)
    return name, _positive("against", weight)


def weighed(text: str) -> tuple[str, Any]:
    """'a:0.7' -> ('a', 0.7). Raises ConfigError on anything else."""
    name, _, number = text.strip().rpartition(":")
    try:
        require(bool(name), "")
        return name, float(number)
    except (ValueError, ConfigError):
        raise ConfigError(f"{shown(text)} must be a model and a number, as in fables:0.7") from None


def _positive(name: str, value: Any) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    require(number and value in POSITIVE, f"`{name}` must give numbers {POSITIVE}, not {shown(value)}")
    return float(value)


def texts_or_file(texts: Any) -> Any:
    """As `text_or_file`, or several texts, which may come one by one."""
    readable = hasattr(texts, "read") or (isinstance(texts, os.PathLike | Iterable) and not isinstance(texts, bytes))
    require(readable, f"`texts` must be strings, a text, or the Path of a file, not {shown(texts)}")
    return texts


def state_or_file(state: Any) -> Any:
    """What a model has read, or the path of a file that keeps it."""
    known = isinstance(state, str | os.PathLike) or hasattr(state, "reading")
    require(known, f"`state` must be what `read` gave, or the path of a file that keeps it, not {shown(state)}")
    return state


def layer_or_all(layer: Any) -> Any:
    """A number, as which a command line has text, or all."""
    if isinstance(layer, str) and layer.isdecimal():
        return int(layer)
    known = layer == "all" or (isinstance(layer, int) and not isinstance(layer, bool))
    require(known, f"`layer` must be a number, 1 the first, or all, not {shown(layer)}")
    return layer


def numbers(temperatures: Any) -> Any:
    """A temperature, or several, of 0 or more, as a tuple."""
    try:
        found = tuple(map(float, temperatures if isinstance(temperatures, Iterable) else [temperatures]))
    except (TypeError, ValueError):
        found = ()
    known = bool(found) and all(one in Range(at_least=0) for one in found)
    require(known, f"`temperatures` must be numbers, at least 0, not {shown(temperatures)}")
    return found


def way_of_adapting(way: Any) -> Any:
    """True is by gradient, False is none."""
    return (ADAPTED[0] if way else None) if isinstance(way, bool) else way


def by_counts(adapt: str | None) -> bool:
    """Whether counts are to learn, where nothing else can."""
    require(adapt in (None, ADAPTED[1]), f"`adapt` is by counts here, not by {adapt}: say {ADAPTED[1]}")
    return adapt is not None


def callback(function: Any) -> Any:
    """Something that can be called."""
    require(callable(function), f"`on_event` must be a function, not {shown(function)}")
    return function


def content(data: Any) -> bytes:
    """Bytes, of whatever type holds them."""
    require(isinstance(data, bytes | bytearray | memoryview), f"`data` must be bytes, not {shown(data)}")
    return bytes(data)


@dataclass(frozen=True, kw_only=True)
class VerbArguments(Config):
    """A name means the same in every verb. Ranges and choices stand here; defaults stand at the verbs."""

    model: str | None = option("A run's name, its folder, or a model file.", "Model", parse=text_of)
    a: object = option("A model, or what one is loaded by.", "Model", parse=model_or_name("a"))
    b: object = option("The other model.", "Model", parse=model_or_name("b"))
    shares: object = option(
        "Several models read as one: the mean of their probabilities by these shares.", "Model", "none", parse=shares,
        flags=("--mix",), metavar="A:0.7,B:0.3",
    )  # fmt: skip
    against: object = option(
        "Another model that is taken away: log p - 0.3 log p of it.", "Model", "none", parse=against,
        flags=("--contrast",), metavar="B:0.3",
    )  # fmt: skip
    weight: float = option(
        "How much of the other model's log-probability is taken away.", "Model", range=POSITIVE, default=0.3
    )
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
    state: object = option(
        "What was read before: a `State`, or the path of one that was saved.", "Text", parse=state_or_file
    )
    unique: bool = option("No text twice.", "New texts", default=False, flags=("--unique",))
    novel: bool = option(
        "No text with a line of the text that was learned from.", "New texts", default=False, flags=("--novel",)
    )
    exclude: tuple[str, ...] | None = option("No text with one of these lines.", "New texts", parse=several)
    ignore_case: bool = option(
        "For these, upper and lower case are one.", "New texts", default=False, flags=("--ignore-case",)
    )
    best: int | None = option(
        "So many of the samples alone: the likeliest, by the mean over their tokens.", "Text", "all", metavar="K",
        range=Range(at_least=1, at_most=100_000),
    )  # fmt: skip
    sort: bool = option(
        "The likeliest sample first, by the mean over its tokens.", "Text", default=False, flags=("--sort",)
    )
    echo: bool = option("The prompt in front.", "Output", default=False)
    logprobs: bool = option("How likely the model held its tokens.", "Output", default=False)
    precision: str | None = option("Number format of the weights.", "Machine", choices=PRECISIONS)

    text: object = option("A text, or a file given as a Path.", "Text", parse=text_or_file)
    lines: bool = option("Score each line alone.", "Scoring", default=False)
    reset_every: int | None = option("Reset the state every so many tokens.", "Scoring", range=COUNT)
    unknown: bool = option("Score characters that the vocabulary lacks.", "Scoring", default=False)
    batch_size: int | None = again(TrainOptions, "batch_size")
    adapt: str | None = option("What learns as it reads.", "Scoring", choices=ADAPTED, parse=way_of_adapting)
    fit_temperature: bool = option("Temperature scaling as well.", "Scoring", default=False)
    baselines: bool = option("Compressors and an n-gram model as well.", "Scoring", default=False)
    counts: bool = again(TrainOptions, "counts")

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

    end: bool = option("Score sentences with their end.", "Pairs", default=True)

    left: str = option("The text in front of a gap.", "Filling", default="")
    right: str = option("The text behind it.", "Filling", default="")
    candidates: tuple[str, ...] | None = option("What may stand in the gap.", "Filling", parse=several)
    drawn: int = option(
        "Words that each direction of the model proposes.", "Filling", default=64, range=Range(at_least=1, at_most=4096)
    )

    texts: object = option("A text, a file given as a Path, or several texts.", "Text", parse=texts_or_file)
    layer: int | str | None = option(
        "Whose states: a layer by its number, 1 the first, or all.", "Features", "the last", parse=layer_or_all,
        metavar="N|all",
    )  # fmt: skip
    pool: str = option(
        "Over a line or word: the mean of the states, or the last of each direction.", "Features", default="mean",
        choices=POOLS,
    )  # fmt: skip

    temperatures: object = option("Temperatures to sample at.", "Analysis", default=TEMPERATURES, parse=numbers)
    chars: int = option(
        "Characters of each text.", "Analysis", default=20_000, flags=("--length", "-l"),
        range=Range(at_least=1, at_most=10**9),
    )  # fmt: skip
    longest: int = option(
        "N-grams of up to so many characters.", "Analysis", default=50, range=Range(at_least=1, at_most=1000)
    )

    data: object = option("Any bytes.", "Text", parse=content)
    blocks: int | None = option(
        "Blocks that are compressed side by side, which is faster and costs some 9 bytes each.", "Compression",
        default=None, range=Range(at_least=1, at_most=4096),
    )  # fmt: skip

    output: str | None = option("A folder to write into.", "Output", parse=text_of)
    format: str = option(
        "A step model in ONNX, a folder for Hugging Face, or weights with their formulas.", "Output", default="onnx",
        choices=EXPORTED,
    )  # fmt: skip
    force: bool = option("Replace files that are there.", "Output", default=False, flags=("--force",))

    progress: bool | None = option("Show the progress.", "Output")
    log: str | None = option(
        "Events for others to draw as well (an extra of that name).", "Output", "none", choices=LOGS
    )  # fmt: skip
    on_event: object = option("Called with every event.", "Output", parse=callback)
