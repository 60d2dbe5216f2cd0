"""What a user asks of a training: every option's name, type, range, default, help and panel, in one line each."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from charrnn.config.durations import parse_duration
from charrnn.config.fields import Config, Range, again, option, require, several, text_of

# torch's generator takes 32 bits of a seed and ignores the rest.
SEEDS = 2**32

COUNT = Range(at_least=1, at_most=10**12)
POSITIVE = Range(above=0)
# Near the end of what fp32 holds.
LARGEST = 1e38
FRACTION = Range(at_least=0, below=1)

training = partial(option, group="Training")
text = partial(option, group="Text")
network = partial(option, group="Network")
regular = partial(option, group="Regularisation")
machine = partial(option, group="Machine")


def sources(corpus: Any) -> tuple[Any, ...]:
    """One source of text or several: files, bundled corpora, '-'."""
    return tuple(map(text_of, several(corpus)))


def share_or_file(part: Any) -> Any:
    """'0.1' -> 0.1, any other text is a file's name."""
    try:
        return float(part) if isinstance(part, str) else text_of(part)
    except ValueError:
        return part


def steps_or_time(value: Any) -> Any:
    """'200' -> 200 steps; '5m' stays a time. Raises ConfigError when it is neither."""
    if isinstance(value, str) and not value.isdecimal():
        parse_duration(value)
        return value
    value = int(value) if isinstance(value, str) else value
    require(not isinstance(value, int) or value in COUNT, f"`save_every` must be {COUNT} steps or a time, not {value}")
    return value


def none_is_off(name: Any) -> Any:
    """'none' -> None"""
    return None if name == "none" else name


@dataclass(frozen=True, kw_only=True)
class TrainOptions(Config):
    """What a user asked of a training. What is None is left open: corpus and time decide it (`training/plan.py`).

    `valid` and `test` are a share of the corpus or a file; `start_from` is a trained model to go on from, `teacher`
    one to learn from.
    """

    corpus: tuple[str, ...] = option(
        "Text files (.gz, .xz, .bz2, .zst too), folders, a bundled corpus's name, or - for stdin.", "Text", "fables",
        default=("fables",), parse=sources, metavar="CORPUS",
    )  # fmt: skip
    seconds: float | None = training(
        "Time budget, over which the learning rate anneals: 90s, 10m, 1h30m.", says="10m",
        flags=("--for",), metavar="TIME", range=POSITIVE, parse=parse_duration,
    )  # fmt: skip
    steps: int | None = training("Optimiser steps, instead of a time.", range=COUNT)
    epochs: float | None = training("Epochs: passes over the training text, instead of a time.", range=POSITIVE)
    start_from: str | None = training(
        "Fine-tune a trained model on this text; symbols that it lacks are added.", says="fresh weights",
        flags=("--from",), metavar="MODEL", parse=text_of,
    )  # fmt: skip
    teacher: str | None = training(
        "Distil: learn from a trained model's probabilities as well as from the text.", says="none", metavar="MODEL",
        parse=text_of,
    )  # fmt: skip
    name: str | None = option("The run's name: its folder among the checkpoints.", "Model", "from the corpus")

    tokenizer: str | None = text(
        "Tokens: Unicode characters, UTF-8 bytes, or subword pieces (sentencepiece).", says="char"
    )
    vocab_size: int | None = text(
        "Vocabulary size: how many subword pieces.", says="1000", range=Range(at_least=259, at_most=1_000_000)
    )
    documents: str | None = text(
        "One stream; or one document a line, or a paragraph, with a beginning and an end.", says="stream",
        choices=("stream", "lines", "paragraphs"),
    )  # fmt: skip
    valid: float | str | None = text(
        "Validation set, held out to choose the best model: a share of the text, or a file.",
        says="0.05; 0.1 of fewer than 2000 documents",
        metavar="FILE|SHARE", range=Range(above=0, below=1), parse=share_or_file,
    )  # fmt: skip
    test: float | str | None = text(
        "Test set, held out and never looked at: a share of the text, or a file.", says="none",
        metavar="FILE|SHARE", range=Range(above=0, below=1), parse=share_or_file,
    )  # fmt: skip

    stream: bool = text(
        "Read the text once and keep its first 16 MB alone: for vocabulary and validation set.", default=False
    )
    shuffle: bool = text(
        "Read the files in another order each epoch; the end of the text is held out all the same.", default=False
    )
    cache: str | None = text(
        "Folder for the tokens of a large text, shared by runs of the same text.", says="the run's own", parse=text_of,
        metavar="DIR",
    )  # fmt: skip

    cell: str | None = network("Recurrent cell.", says="lstm", metavar="CELL")
    layers: int | None = network(
        "Recurrent layers, one above the other.", says="2", range=Range(at_least=1, at_most=64)
    )
    hidden: int | None = network(
        "Hidden size: units in a layer.", says="from text and time", range=Range(at_least=1, at_most=16384)
    )
    embedding: int | None = network(
        "Embedding size: numbers that stand for a symbol.", says="128, or hidden where tied",
        range=Range(at_least=1, at_most=16384),
    )  # fmt: skip
    skip: str | None = network(
        "Skip connections (inputs added, blended by a gate, or all layers read by the head).", says="none",
        metavar="KIND", parse=none_is_off,
    )  # fmt: skip
    norm: bool | None = network("Layer normalisation above each layer.", says="no")
    bidirectional: bool | None = network(
        "Bidirectional: layers of their own read from the end as well; for `charrnn fill`.", says="no"
    )
    ensemble: int | None = network(
        "Ensemble: networks trained side by side, predictions averaged; overfits less.", says="from text and time",
        range=Range(at_least=1, at_most=64),
    )  # fmt: skip
    counts: bool = network(
        "Counts of the training text beside the network, where they help: n-grams and words.", default=True
    )
    spectral_radius: float | None = network(
        "Spectral radius that recurrent matrices begin with; above 1, gradients may explode.", says="the cell's own",
        range=Range(at_least=0, at_most=1000),
    )  # fmt: skip
    tie: bool | None = network("Tied embeddings: one matrix for input and output.", says="above 512 symbols")

    dropout: float | None = regular(
        "Dropout: share of units left out, the same ones over time; 0 for none.", says="from text and time",
        range=FRACTION,
    )  # fmt: skip
    weight_drop: float | None = regular(
        "DropConnect: share of recurrent weights left out, anew for each window; 0 for none.", says="none",
        range=FRACTION,
    )  # fmt: skip
    weight_decay: float | None = regular(
        "Weight decay: how fast weight matrices shrink; 0 for none.", says="from text and time", range=FRACTION
    )
    average: float | None = regular(
        "Weight averaging over this last share of the run; 0 for none.", says="0.3", range=FRACTION
    )
    patience: int | None = regular(
        "Early stopping: validations without a new best before the run ends.", default=5, range=COUNT
    )

    optimizer: str | None = training(
        "Optimiser: SOAP; AdamW (less memory); plain gradient descent (to study gradients).", says="soap",
        choices=("soap", "adamw", "sgd"),
    )  # fmt: skip
    lr: float | None = training(
        "Learning rate, at its highest.",
        says="4.4 / hidden, at most 0.017, for 4,096 tokens a step",
        range=Range(above=0, at_most=LARGEST),
    )
    bptt: int | None = training(
        "Truncated back-propagation through time: tokens in a window.", says="64",
        range=Range(at_least=1, at_most=65536),
    )  # fmt: skip
    batch_size: int | None = training(
        "Batch size: streams side by side.", says="from text and time", range=Range(at_least=1, at_most=65536)
    )
    clip: float | None = training(
        "Gradient clipping: the largest norm; 0 for none.", default=1.0, range=Range(at_least=0)
    )
    clip_value: float | None = training(
        "Gradient clipping: the largest element as well.", says="none", range=Range(above=0, at_most=LARGEST)
    )
    eval_every: int | None = training("Steps between validations.", says="15 times, evenly", range=COUNT)
    save_every: int | str | None = training(
        "Steps between checkpoints, or a time: 5m.", says="every minute, and at validations", metavar="N|TIME",
        parse=steps_or_time,
    )  # fmt: skip
    keep_every: int | None = training(
        "Steps between models that are kept for good, as step-N.safetensors beside the best one.", says="none",
        range=COUNT,
    )  # fmt: skip

    precision: str | None = machine(
        "Number format of the training step; weights are kept in fp32.", says="fp16 on a GPU, bf16 where a CPU has it",
        choices=("fp32", "bf16", "fp16"),
    )  # fmt: skip
    device: str | None = machine("Device: cpu, cuda or mps.", says="a GPU if there is one")
    threads: int | None = machine(
        "CPU threads.", says="all cores, fewer in company", range=Range(at_least=1, at_most=1024)
    )
    tune: bool = machine("Settings of C library and torch that speed up a CPU.", default=True)
    seed: int | None = machine(
        "Random seed: same seed, same result.", says="drawn and said", range=Range(at_least=0, below=SEEDS)
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        budgets = [budget for budget in (self.steps, self.epochs, self.seconds) if budget is not None]
        require(len(budgets) <= 1, ONE_BUDGET)
        for name in ("epochs", "shuffle", "bidirectional", "documents"):
            require(
                not self.stream or getattr(self, name) in (None, False, "stream"),
                f"a text that is read once (`stream`) has no {name}: leave out one of the two",
            )
        require(bool(self.corpus), "`corpus` must name a text: leave it out for the bundled one")


@dataclass(frozen=True, kw_only=True)
class ResumeOptions(Config):
    """What may be asked of a run that goes on: a new budget, another machine. All else is as it began."""

    steps: int | None = again(TrainOptions, "steps")
    epochs: float | None = again(TrainOptions, "epochs")
    seconds: float | None = again(TrainOptions, "seconds")
    more: float | None = training(
        "So much time on top of what is spent, for a run that goes on.",
        metavar="TIME",
        range=POSITIVE,
        parse=parse_duration,
    )
    device: str | None = again(TrainOptions, "device")
    threads: int | None = again(TrainOptions, "threads")

    def __post_init__(self) -> None:
        super().__post_init__()
        budgets = [self.steps, self.epochs, self.seconds, self.more]
        require(budgets.count(None) >= 3, "give one of `more`, `seconds`, `steps` and `epochs`")


ONE_BUDGET = "give one of `seconds`, `steps` and `epochs`"
