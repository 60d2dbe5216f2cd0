"""charrnn train"""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn.cli import options as opt
from charrnn.cli.completion import complete_text
from charrnn.cli.config_file import as_defaults, settled
from charrnn.cli.exit_codes import FAILED, INTERRUPTED
from charrnn.cli.standard_input import or_standard_input
from charrnn.config import ResumeOptions, TrainOptions, launch
from charrnn.config.verbs import VerbArguments
from charrnn.console import Talk, megabytes, say
from charrnn.errors import DivergedError

if TYPE_CHECKING:
    from charrnn.api import Training

EXAMPLES = """Examples:

    charrnn train

    charrnn train corpus.txt --for 10m

    charrnn train names.txt --documents lines --for 2m

    charrnn train letters.txt --from novels --for 2m

    zcat big.txt.gz | charrnn train - --name big --for 1h

    charrnn train --config run.toml --seed 2

    charrnn train --resume --name big

    charrnn train --resume --more 10m
"""


@opt.with_fields(TrainOptions)
def train(
    context: typer.Context,
    corpus: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CORPUS",
            help="Text files (.gz, .xz, .bz2, .zst too), folders, a bundled corpus's name, or - for stdin.",
            show_default="what is piped in; else fables",
            autocompletion=complete_text,
        ),
    ] = None,
    *,
    resume: Annotated[
        bool,
        opt.option(
            "Training",
            "Go on exactly where the run stopped (--name, or the last); CORPUS: where its text is now.",
            "--resume",
        ),
    ] = False,
    config: Annotated[
        Path | None,
        opt.option(
            "Training",
            "Options from a file, as `charrnn inspect --config` writes it; what is typed comes first.",
            "--config",
            default="none",
            metavar="TOML",
            check=as_defaults,
            is_eager=True,
        ),
    ] = None,
    log: Annotated[str | None, opt.from_field(VerbArguments, "log")] = None,
    more: Annotated[str | None, opt.from_field(ResumeOptions, "more")] = None,
    checkpoints: opt.Checkpoints = None,
    as_json: Annotated[bool, opt.option("Output", "One event a line on stdout.", "--json")] = False,
    quiet: opt.Quiet = False,
    **fields: Any,
) -> None:
    """Train a model on a text and keep the best of it.

    Needs no option: every hyperparameter of the network, its regularisation and the schedule is chosen from the text
    and the time. Ctrl-C saves and says how to go on. -q prints the best bits per character alone.
    """
    fields = settled(context, config, fields)
    if launch.rank():
        Talk.quiet, as_json = True, False
    elif not resume:
        corpus = or_standard_input(corpus) or list(TrainOptions().corpus)
    if launch.rank() == 0:
        say(_reading_run(fields["name"], checkpoints) if resume else _reading(corpus or []))
    # torch is loaded behind that line, and takes longer than the text.
    from charrnn.api.logs import require_installed, tensorboard_folder
    from charrnn.cli.follow import farewell, follow
    from charrnn.training.distributed import Elsewhere

    require_installed(log)
    try:
        training = _begun(resume, corpus, checkpoints, more, fields)
        for note in training.notes:
            say(note)
        if log == "tensorboard":
            say("drawn by:", f"tensorboard --logdir {shlex.quote(str(tensorboard_folder(training)))}")
        reason = follow(training, json_lines=as_json, log=log)
    except (Elsewhere, DivergedError) as problem:  # which the first process says
        if launch.rank() == 0:
            raise
        raise typer.Exit(FAILED) from problem
    if launch.rank() == 0:
        farewell(training, reason, checkpoints, bare=quiet and not as_json)
    # A launcher takes any other code for a failure, and begins its processes again.
    if reason == "interrupted" and not launch.launched():
        raise typer.Exit(INTERRUPTED)


def _begun(
    resume: bool, corpus: list[str] | None, checkpoints: Path | None, more: str | None, fields: Any
) -> "Training":
    from charrnn.api import Training

    if resume:
        changes = {name: fields[name] for name in ResumeOptions.__dataclass_fields__ if name in fields}
        return Training.resume(fields["name"], corpus=corpus or None, checkpoints=checkpoints, more=more, **changes)
    return Training.start(corpus, checkpoints=checkpoints, **fields)


def _reading(corpus: Sequence[str]) -> str:
    """What is read, and how much: 'reading corpus.txt, 1.1 MB'. Raises CorpusError when it is not there."""
    from charrnn.text.sources import called, find, listed

    paths = [find(name) for name in listed(corpus)]
    size = sum(path.stat().st_size for path in paths if path and path.is_file())
    what = called(corpus[0]) if len(paths) == 1 else f"{len(paths):,} texts"
    return f"reading {what}" + (f", {megabytes(size)}" if size else "")


def _reading_run(name: str | None, checkpoints: Path | None) -> str:
    from charrnn.storage import runs

    folder = runs.checkpoints_folder(checkpoints)
    run = runs.latest(folder) if name is None else runs.find(folder, name)
    size = f", {megabytes(run.resume.stat().st_size)}" if run.resume.is_file() else ""
    return f"reading the run {run.name}{size}"
