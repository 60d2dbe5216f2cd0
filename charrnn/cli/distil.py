"""charrnn distil"""

from typing import Annotated, Any

import typer

from charrnn.cli import options as opt
from charrnn.cli.exit_codes import INTERRUPTED
from charrnn.config import TrainOptions, require
from charrnn.console import say

EXAMPLES = """Examples:

    charrnn distil

    charrnn distil fables --for 10m --name small

    charrnn distil fables --for 10m --hidden 256
"""


def distil(
    model: opt.Named = None,
    seconds: Annotated[str | None, opt.from_field(TrainOptions, "seconds", default="what the model had")] = None,
    steps: Annotated[int | None, opt.from_field(TrainOptions, "steps")] = None,
    name: Annotated[str | None, opt.from_field(TrainOptions, "name", default="the model's, and -student")] = None,
    hidden: Annotated[int | None, opt.from_field(TrainOptions, "hidden", default="as each of the model's")] = None,
    seed: Annotated[int | None, opt.from_field(TrainOptions, "seed")] = None,
    checkpoints: opt.Checkpoints = None,
    threads: opt.Threads = None,
    as_json: Annotated[bool, opt.option("Output", "One event a line on stdout.", "--json")] = False,
    quiet: opt.Quiet = False,
) -> None:
    """Train one network to write as several, averaged, do: as fast as one, and better than one trained alone.

    The student reads the text of the model, and learns from what the model holds likely at each place as much as from
    what stands there (Hinton, Vinyals & Dean 2015). It is a run as any other: `charrnn train --resume` goes on with it,
    counts of the text stand beside it where they help. `charrnn train --teacher MODEL` does the same with every option.
    """
    require(seconds is None or steps is None, "a time and steps are two budgets: leave out `seconds` or `steps`")
    from charrnn.api import Training
    from charrnn.cli.follow import farewell, follow
    from charrnn.storage import checkpoint, runs
    from charrnn.training.repeating import text_of

    path = runs.model_file(runs.checkpoints_folder(checkpoints), model)
    told = text_of(checkpoint.read_header(path))
    corpus = told.pop("corpus")
    given: dict[str, Any] = {"seconds": seconds, "steps": steps, "hidden": hidden, "seed": seed, "threads": threads}
    if steps is not None:
        told.pop("seconds", None)
    fields = told | {option: value for option, value in given.items() if value is not None}
    say(f"model: {path}")
    name = name or f"{path.parent.name}-student"
    training = Training.start(corpus, teacher=str(path), name=name, checkpoints=checkpoints, **fields)
    for note in training.notes:
        say(note)
    reason = follow(training, json_lines=as_json)
    farewell(training, reason, checkpoints, bare=quiet and not as_json)
    if reason == "interrupted":
        raise typer.Exit(INTERRUPTED)
