"""charrnn train"""

import inspect
from typing import Annotated, Any

import typer

from charrnn.cli import options as opt
from charrnn.cli.standard_input import or_standard_input
from charrnn.config import TrainOptions, require
from charrnn.console import say

INTERRUPTED = 130

EXAMPLES = """Examples:

    charrnn train

    charrnn train corpus.txt --for 10m

    charrnn train names.txt --documents lines --for 2m

    charrnn train letters.txt --from novels --for 2m

    zcat big.txt.gz | charrnn train - --name big --for 1h

    charrnn train --resume --name big
"""


@opt.with_fields(TrainOptions)
def train(
    context: typer.Context,
    corpus: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CORPUS",
            help="Text files (.gz, .xz, .bz2, .zst too), a bundled corpus's name, or - for stdin.",
            show_default="what is piped in; else fables",
        ),
    ] = None,
    *,
    resume: Annotated[
        bool, opt.option("Training", "Go on exactly where the run stopped (--name, or the last).", "--resume")
    ] = False,
    checkpoints: opt.Checkpoints = None,
    as_json: Annotated[bool, opt.option("Output", "One event a line on stdout.", "--json")] = False,
    quiet: opt.Quiet = False,
    **fields: Any,
) -> None:
    """Train a model on a text and keep the best of it.

    Needs no option: every hyperparameter of the network, its regularisation and the schedule is chosen from the text
    and the time. Ctrl-C saves and says how to go on.
    """
    from charrnn.api import Training
    from charrnn.cli.follow import farewell, follow

    if resume:
        # What it takes may be said beside `resume`; all else is part of the run that goes on.
        changes = {name: fields[name] for name in inspect.signature(Training.resume).parameters if name in fields}
        _refuse_beside_resume(context, {*changes, "resume", "checkpoints", "as_json", "quiet"})
        training = Training.resume(**changes, checkpoints=checkpoints)
    else:
        training = Training.start(or_standard_input(corpus) or None, checkpoints=checkpoints, **fields)
    for note in training.notes:
        say(note)
    reason = follow(training, json_lines=as_json)
    farewell(training, reason, checkpoints)
    if reason == "interrupted":
        raise typer.Exit(INTERRUPTED)


def _refuse_beside_resume(context: typer.Context, allowed: set[str]) -> None:
    """A run goes on as it began: say so, where an option asks for something else."""
    for parameter in context.command.params:
        name = parameter.name or ""
        require(
            name in allowed or not opt.typed(context, name),
            f"`resume` goes on as the run began: leave out `{name}`, or start a new run without `resume`",
        )
