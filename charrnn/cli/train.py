"""charrnn train"""

from enum import Enum
from typing import Annotated, Any

import typer

from charrnn.cli import options as opt
from charrnn.cli.console import say
from charrnn.cli.names import CellName, DocumentsName, OptimizerName, PrecisionName, SkipName, TokenizerName
from charrnn.config import TrainOptions
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
        typer.Option(
            "--for",
            parser=opt.seconds,
            metavar="TIME",
            help="Time to train: 90s, 10m, 2h.",
            show_default="10m",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            help="Steps to train, instead.", callback=opt.number("steps", 1, 10**12), rich_help_panel=TRAINING
        ),
    ] = None,
    epochs: Annotated[
        float | None,
        typer.Option(
            help="Passes over the text, instead.",
            callback=opt.number("epochs", 0, 1e9, open_at_least=True),
            rich_help_panel=TRAINING,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="The run's name.", show_default="from the corpus", rich_help_panel="Model"),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on exactly where the run stopped (--name, or the last).", rich_help_panel=TRAINING
        ),
    ] = False,
    start_from: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="MODEL",
            help="Go on from a trained model, on another text: its symbols keep what they have learned, new ones are "
            "added.",
            show_default="fresh weights",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    tokenizer: Annotated[
        TokenizerName | None,
        typer.Option(
            help="Characters, UTF-8 bytes, or sentencepiece pieces.", show_default="char", rich_help_panel=TEXT
        ),
    ] = None,
    vocab_size: Annotated[
        int | None,
        typer.Option(
            help="Subword pieces.",
            show_default="1000",
            callback=opt.number("a vocabulary", 259, 1_000_000),
            rich_help_panel=TEXT,
        ),
    ] = None,
    documents: Annotated[
        DocumentsName | None,
        typer.Option(
            help="One stream; or one document a line, or a paragraph, each with its own beginning and end.",
            show_default="stream",
            rich_help_panel=TEXT,
        ),
    ] = None,
    valid: Annotated[
        str | None,
        typer.Option(
            parser=opt.share_or_file,
            metavar="FILE|SHARE",
            help="Held out to choose the best model.",
            show_default="0.05",
            rich_help_panel=TEXT,
        ),
    ] = None,
    test: Annotated[
        str | None,
        typer.Option(
            parser=opt.share_or_file,
            metavar="FILE|SHARE",
            help="Held out and never looked at.",
            show_default="none",
            rich_help_panel=TEXT,
        ),
    ] = None,
    cell: Annotated[
        CellName | None, typer.Option(help="The recurrent cell.", show_default="lstm", rich_help_panel=NETWORK)
    ] = None,
    layers: Annotated[
        int | None,
        typer.Option(
            help="Recurrent layers.", show_default="2", callback=opt.number("layers", 1, 64), rich_help_panel=NETWORK
        ),
    ] = None,
    hidden: Annotated[
        int | None,
        typer.Option(
            help="Units in a layer.",
            show_default="from text and time",
            callback=opt.number("hidden", 1, 16384),
            rich_help_panel=NETWORK,
        ),
    ] = None,
    embedding: Annotated[
        int | None,
        typer.Option(
            help="Size of a symbol's vector.",
            show_default="128, or hidden where tied",
            callback=opt.number("embedding", 1, 16384),
            rich_help_panel=NETWORK,
        ),
    ] = None,
    skip: Annotated[
        SkipName | None,
        typer.Option(
            help="Ways around layers: inputs added to outputs, blended by a gate, or every layer read by the head.",
            show_default="none",
            rich_help_panel=NETWORK,
        ),
    ] = None,
    norm: Annotated[
        bool | None,
        typer.Option(
            "--norm/--no-norm", help="Layer normalisation above each layer.", show_default="no", rich_help_panel=NETWORK
        ),
    ] = None,
    bidirectional: Annotated[
        bool | None,
        typer.Option(
            "--bidirectional/--no-bidirectional",
            help="A second half that reads from the end, over the same embedding: for `charrnn fill`.",
            show_default="no",
            rich_help_panel=NETWORK,
        ),
    ] = None,
    radius: Annotated[
        float | None,
        typer.Option(
            help="Spectral radius that recurrent matrices begin with; above 1, gradients may explode.",
            show_default="1",
            callback=opt.number("radius", 0, 1000),
            rich_help_panel=NETWORK,
        ),
    ] = None,
    tie: Annotated[
        bool | None,
        typer.Option(
            "--tie/--no-tie",
            help="One matrix for input and output symbols.",
            show_default="above 512 symbols",
            rich_help_panel=NETWORK,
        ),
    ] = None,
    dropout: Annotated[
        float | None,
        typer.Option(
            help="Share of units dropped, held over time; 0 for none.",
            show_default="from text and time",
            callback=opt.number("dropout", 0, 0.95),
            rich_help_panel=REGULAR,
        ),
    ] = None,
    weight_drop: Annotated[
        float | None,
        typer.Option(
            help="Share of recurrent weights dropped, anew for each window.",
            show_default="none",
            callback=opt.number("weight-drop", 0, 0.95),
            rich_help_panel=REGULAR,
        ),
    ] = None,
    weight_decay: Annotated[
        float | None,
        typer.Option(
            help="Decay of the weight matrices.",
            show_default="from text and time",
            callback=opt.number("weight-decay", 0, 0.99),
            rich_help_panel=REGULAR,
        ),
    ] = None,
    patience: Annotated[
        int,
        typer.Option(
            help="Validations without a new best before it stops early.",
            callback=opt.number("patience", 1, 10**9),
            rich_help_panel=REGULAR,
        ),
    ] = 5,
    bptt: Annotated[
        int | None,
        typer.Option(
            help="Window of truncated back-propagation through time.",
            show_default="64",
            callback=opt.number("bptt", 1, 65536),
            rich_help_panel=TRAINING,
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            help="Streams side by side.",
            show_default="from text and time",
            callback=opt.number("a batch", 1, 65536),
            rich_help_panel=TRAINING,
        ),
    ] = None,
    lr: Annotated[
        float | None,
        typer.Option(
            help="Highest learning rate.",
            show_default="4.4 / hidden, at most 0.017, for 4,096 tokens a step",
            callback=opt.number("lr", 0, INFINITY, open_at_least=True),
            rich_help_panel=TRAINING,
        ),
    ] = None,
    optimizer: Annotated[
        OptimizerName | None,
        typer.Option(
            help="SOAP; AdamW: less memory, less learned a step; plain descent, for looking at gradients.",
            show_default="soap",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    average: Annotated[
        float | None,
        typer.Option(
            help="Share of the run, at its end, whose weights are averaged; 0 for none.",
            show_default="0.3",
            callback=opt.number("average", 0, 0.99),
            rich_help_panel=REGULAR,
        ),
    ] = None,
    clip: Annotated[
        float,
        typer.Option(
            help="Largest gradient norm; 0 for none.",
            callback=opt.number("clip", 0, INFINITY),
            rich_help_panel=TRAINING,
        ),
    ] = 1.0,
    clip_value: Annotated[
        float | None,
        typer.Option(
            help="Largest gradient element as well.",
            show_default="none",
            callback=opt.number("clip-value", 0, INFINITY, open_at_least=True),
            rich_help_panel=TRAINING,
        ),
    ] = None,
    eval_every: Annotated[
        int | None,
        typer.Option(
            help="Steps between validations.",
            show_default="15 times, evenly",
            callback=opt.number("eval-every", 1, 10**12),
            rich_help_panel=TRAINING,
        ),
    ] = None,
    save_every: Annotated[
        int | None,
        typer.Option(
            help="Steps between saves.",
            show_default="every minute, and at validations",
            callback=opt.number("save-every", 1, 10**12),
            rich_help_panel=TRAINING,
        ),
    ] = None,
    checkpoints: opt.Checkpoints = None,
    precision: Annotated[
        PrecisionName | None,
        typer.Option(
            help="Numbers of the training step; weights are kept in fp32.",
            show_default="bf16 where it is fast",
            rich_help_panel=MACHINE,
        ),
    ] = None,
    device: opt.Device = None,
    threads: opt.Threads = None,
    tune: Annotated[
        bool,
        typer.Option(help="Settings of C library and torch that speed up a CPU.", rich_help_panel=MACHINE),
    ] = True,
    seed: opt.Seed = None,
    json_lines: Annotated[
        bool, typer.Option("--json", help="One event a line on stdout.", rich_help_panel="Output")
    ] = False,
    quiet: opt.Quiet = False,
) -> None:
    """Train a model on a text and keep the best of it.

    Needs no option: the network, its regularisation and the schedule are chosen from the text and the time. Ctrl-C
    saves and says how to go on.
    """
    from charrnn.cli.follow import farewell, follow
    from charrnn.training import session

    if resume:
        _refuse_beside_resume(context)
        training = session.resume(
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
        training = session.start(TrainOptions(**plain), checkpoints=checkpoints)
    for note in training.notes:
        say(note)
    reason = follow(training, json_lines=json_lines)
    farewell(training, reason, checkpoints)
    if reason == "interrupted":
        raise typer.Exit(INTERRUPTED)


def _refuse_beside_resume(context: typer.Context) -> None:
    """A run goes on as it began: say so, where an option asks for something else."""
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.name not in RESUMABLE and source is not None and source.name == "COMMANDLINE":
            raise ConfigError(
                f"--resume goes on as the run began: leave out {parameter.opts[0]}, or start a new run without --resume"
            )
