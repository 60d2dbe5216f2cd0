"""charrnn train"""

from typing import Annotated, Any

import typer

from charrnn.cli import options as opt
from charrnn.config import ResumeOptions, TrainOptions
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
    corpus: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CORPUS",
            help="Text files (.gz, .xz, .bz2, .zst too), a bundled corpus's name, or - for stdin.",
            show_default="fables",
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
        changes = {name: fields[name] for name in ResumeOptions.__dataclass_fields__}
        training = Training.resume(fields["name"], checkpoints=checkpoints, **changes)
    else:
        training = Training.start(corpus or None, checkpoints=checkpoints, **fields)
    for note in training.notes:
        say(note)
    reason = follow(training, json_lines=as_json)
    farewell(training, reason, checkpoints)
    if reason == "interrupted":
        raise typer.Exit(INTERRUPTED)
