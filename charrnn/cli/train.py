"""charrnn train"""

from enum import Enum
from typing import Annotated, Any

import typer

from charrnn.cli import options as opt
from charrnn.cli.names import CellName, DocumentsName, OptimizerName, PrecisionName, SkipName, TokenizerName
from charrnn.config import TrainOptions
from charrnn.console import say
from charrnn.errors import ConfigError

INTERRUPTED = 130
INFINITY = float("inf")

EXAMPLES = """Examples:

    charrnn train

    charrnn train corpus.txt --for 10m

    charrnn train names.txt --documents lines --for 2m

    charrnn train letters.txt --from novels --for 2m

    zcat big.txt.gz | charrnn train - --name big --for 1h

    charrnn train --resume --name big
"""

# What may be said beside --resume; all else is part of the run that goes on.
RESUMABLE = {"resume", "name", "steps", "epochs", "budget", "checkpoints", "device", "threads", "json_lines", "quiet"}

TEXT, NETWORK, REGULAR, TRAINING, MACHINE = "Text", "Network", "Regularisation", "Training", "Machine"


def train(
    context: typer.Context,
    corpus: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CORPUS",
            help="Text files (.gz, .xz, .bz2, .zst too), a bundled corpus's name, or - for stdin.",
            show_default="fables",
        ),
    ] = None,
    budget: Annotated[
        float | None,
        opt.option(
            TRAINING, "Time to train: 90s, 10m, 2h.", "--for", default="10m", parser=opt.seconds, metavar="TIME"
        ),
    ] = None,
    steps: Annotated[
        int | None, opt.option(TRAINING, "Steps to train, instead.", check=opt.number("steps", 1, 10**12))
    ] = None,
    epochs: Annotated[
        float | None,
        opt.option(TRAINING, "Passes over the text, instead.", check=opt.number("epochs", 0, 1e9, open_at_least=True)),
    ] = None,
    name: Annotated[str | None, opt.option("Model", "The run's name.", default="from the corpus")] = None,
    resume: Annotated[
        bool, opt.option(TRAINING, "Go on exactly where the run stopped (--name, or the last).", "--resume")
    ] = False,
    start_from: Annotated[
        str | None,
        opt.option(
            TRAINING,
            "Go on from a trained model, on another text: its symbols keep what they have learned, new ones are added.",
            "--from",
            default="fresh weights",
            metavar="MODEL",
        ),
    ] = None,
    tokenizer: Annotated[
        TokenizerName | None, opt.option(TEXT, "Characters, UTF-8 bytes, or sentencepiece pieces.", default="char")
    ] = None,
    vocab_size: Annotated[
        int | None,
        opt.option(TEXT, "Subword pieces.", default="1000", check=opt.number("a vocabulary", 259, 1_000_000)),
    ] = None,
    documents: Annotated[
        DocumentsName | None,
        opt.option(
            TEXT,
            "One stream; or one document a line, or a paragraph, each with its own beginning and end.",
            default="stream",
        ),
    ] = None,
    valid: Annotated[
        str | None,
        opt.option(
            TEXT, "Held out to choose the best model.", default="0.05", parser=opt.share_or_file, metavar="FILE|SHARE"
        ),
    ] = None,
    test: Annotated[
        str | None,
        opt.option(
            TEXT, "Held out and never subject at.", default="none", parser=opt.share_or_file, metavar="FILE|SHARE"
        ),
    ] = None,
    cell: Annotated[CellName | None, opt.option(NETWORK, "The recurrent cell.", default="lstm")] = None,
    layers: Annotated[
        int | None, opt.option(NETWORK, "Recurrent layers.", default="2", check=opt.number("layers", 1, 64))
    ] = None,
    hidden: Annotated[
        int | None,
        opt.option(NETWORK, "Units in a layer.", default="from text and time", check=opt.number("hidden", 1, 16384)),
    ] = None,
    embedding: Annotated[
        int | None,
        opt.option(
            NETWORK,
            "Size of a symbol's vector.",
            default="128, or hidden where tied",
            check=opt.number("embedding", 1, 16384),
        ),
    ] = None,
    skip: Annotated[
        SkipName | None,
        opt.option(
            NETWORK,
            "Ways around layers: inputs added to outputs, blended by a gate, or every layer read by the head.",
            default="none",
        ),
    ] = None,
    norm: Annotated[
        bool | None, opt.option(NETWORK, "Layer normalisation above each layer.", "--norm/--no-norm", default="no")
    ] = None,
    bidirectional: Annotated[
        bool | None,
        opt.option(
            NETWORK,
            "A second half that reads from the end, over the same embedding: for `charrnn fill`.",
            "--bidirectional/--no-bidirectional",
            default="no",
        ),
    ] = None,
    ensemble: Annotated[
        int | None,
        opt.option(
            NETWORK,
            "Networks trained side by side, their predictions averaged: better than one that learns its text by heart.",
            default="from text and time",
            check=opt.number("ensemble", 1, 64),
        ),
    ] = None,
    spectral_radius: Annotated[
        float | None,
        opt.option(
            NETWORK,
            "Spectral radius that recurrent matrices begin with; above 1, gradients may explode.",
            default=opt.OWN_RADIUS,
            check=opt.number("spectral-radius", 0, 1000),
        ),
    ] = None,
    tie: Annotated[
        bool | None,
        opt.option(NETWORK, "One matrix for input and output symbols.", "--tie/--no-tie", default="above 512 symbols"),
    ] = None,
    dropout: Annotated[
        float | None,
        opt.option(
            REGULAR,
            "Share of units dropped, held over time; 0 for none.",
            default="from text and time",
            check=opt.number("dropout", 0, 0.95),
        ),
    ] = None,
    weight_drop: Annotated[
        float | None,
        opt.option(
            REGULAR,
            "Share of recurrent weights dropped, anew for each window.",
            default="none",
            check=opt.number("weight-drop", 0, 0.95),
        ),
    ] = None,
    weight_decay: Annotated[
        float | None,
        opt.option(
            REGULAR,
            "Decay of the weight matrices.",
            default="from text and time",
            check=opt.number("weight-decay", 0, 0.99),
        ),
    ] = None,
    patience: Annotated[
        int,
        opt.option(
            REGULAR, "Validations without a new best before it stops early.", check=opt.number("patience", 1, 10**9)
        ),
    ] = 5,
    bptt: Annotated[
        int | None,
        opt.option(
            TRAINING,
            "Window of truncated back-propagation through time.",
            default="64",
            check=opt.number("bptt", 1, 65536),
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        opt.option(
            TRAINING, "Streams side by side.", default="from text and time", check=opt.number("a batch", 1, 65536)
        ),
    ] = None,
    lr: Annotated[
        float | None,
        opt.option(
            TRAINING,
            "Highest learning rate.",
            default="4.4 / hidden, at most 0.017, for 4,096 tokens a step",
            check=opt.number("lr", 0, INFINITY, open_at_least=True),
        ),
    ] = None,
    optimizer: Annotated[
        OptimizerName | None,
        opt.option(
            TRAINING,
            "SOAP; AdamW: less memory, less learned a step; plain descent, for subjects at gradients.",
            default="soap",
        ),
    ] = None,
    average: Annotated[
        float | None,
        opt.option(
            REGULAR,
            "Share of the run, at its end, whose weights are averaged; 0 for none.",
            default="0.3",
            check=opt.number("average", 0, 0.99),
        ),
    ] = None,
    clip: Annotated[
        float, opt.option(TRAINING, "Largest gradient norm; 0 for none.", check=opt.number("clip", 0, INFINITY))
    ] = 1.0,
    clip_value: Annotated[
        float | None,
        opt.option(
            TRAINING,
            "Largest gradient element as well.",
            default="none",
            check=opt.number("clip-value", 0, INFINITY, open_at_least=True),
        ),
    ] = None,
    eval_every: Annotated[
        int | None,
        opt.option(
            TRAINING,
            "Steps between validations.",
            default="15 times, evenly",
            check=opt.number("eval-every", 1, 10**12),
        ),
    ] = None,
    save_every: Annotated[
        int | None,
        opt.option(
            TRAINING,
            "Steps between saves.",
            default="every minute, and at validations",
            check=opt.number("save-every", 1, 10**12),
        ),
    ] = None,
    checkpoints: opt.Checkpoints = None,
    precision: Annotated[
        PrecisionName | None,
        opt.option(MACHINE, "Numbers of the training step; weights are kept in fp32.", default="bf16 where it is fast"),
    ] = None,
    device: opt.Device = None,
    threads: opt.Threads = None,
    tune: Annotated[bool, opt.option(MACHINE, "Settings of C library and torch that speed up a CPU.")] = True,
    seed: opt.Seed = None,
    json_lines: Annotated[bool, opt.option("Output", "One event a line on stdout.", "--json")] = False,
    quiet: opt.Quiet = False,
) -> None:
    """Train a model on a text and keep the best of it.

    Needs no option: the network, its regularisation and the schedule are chosen from the text and the time. Ctrl-C
    saves and says how to go on.
    """
    from charrnn.api import Training
    from charrnn.cli.follow import farewell, follow

    if resume:
        _refuse_beside_resume(context)
        training = Training.resume(
            name,
            checkpoints=checkpoints,
            device=device,
            threads=threads,
            steps=steps,
            epochs=epochs,
            seconds=budget,
        )
    else:
        asked: dict[str, Any] = {
            **{field: value for field, value in context.params.items() if field in TrainOptions.__dataclass_fields__},
            "skip": None if skip is SkipName.none else skip,
            "corpus": tuple(corpus or TrainOptions.corpus),
            "seconds": budget,
        }
        plain = {field: value.value if isinstance(value, Enum) else value for field, value in asked.items()}
        training = Training.start(checkpoints=checkpoints, **plain)
    for note in training.notes:
        say(note)
    reason = follow(training, json_lines=json_lines)
    farewell(training, reason, checkpoints)
    if reason == "interrupted":
        raise typer.Exit(INTERRUPTED)


def _refuse_beside_resume(context: typer.Context) -> None:
    """A run goes on as it began: say so, where an option asks for something else."""
    for parameter in context.command.params:
        if parameter.name not in RESUMABLE and opt.typed(context, parameter.name or ""):
            raise ConfigError(
                f"--resume goes on as the run began: leave out {parameter.opts[0]}, or start a new run without --resume"
            )
