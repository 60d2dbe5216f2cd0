"""charrnn runs"""

import shutil
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn.cli import options as opt
from charrnn.cli.completion import complete_run
from charrnn.cli.tables import print_table
from charrnn.cli.together import Command, Group
from charrnn.config import require
from charrnn.console import clock, say, write
from charrnn.errors import RunError
from charrnn.schema import to_json_text
from charrnn.storage.lock import Lock
from charrnn.storage.runs import checkpoints_folder, find

if TYPE_CHECKING:
    from charrnn.api.runs import RunSummary

EXAMPLES = """Examples:

    charrnn runs

    charrnn runs --sort best

    charrnn runs compare fables fables-2

    charrnn runs rm fables-2
"""

# What runs are listed by, the first one in front.
ORDERS: "dict[str, Callable[[RunSummary], Any]]" = {
    "age": lambda run: -run.saved.timestamp(),
    "name": lambda run: run.name,
    "best": lambda run: (run.bpc is None, run.bpc or 0.0),
    "size": lambda run: -(run.parameters or 0),
}
HEADINGS = ("name", "corpus", "network", "weights", "bpc", "steps", "time", "age", "state")
# Which columns go first where a terminal is too narrow for all.
SPARE = ("weights", "time", "corpus", "steps")
SECONDS = {"d": 86400, "h": 3600, "min": 60, "s": 1}

Names = Annotated[
    list[str], typer.Argument(metavar="NAME", help="Runs, by name or folder.", autocompletion=complete_run)
]


def runs(
    context: typer.Context,
    sort: Annotated[str, opt.choice("Output", "What they are listed by.", tuple(ORDERS))] = "age",
    checkpoints: opt.Checkpoints = None,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """The runs there are: what each learned from, how large it is, the best figure, and whether it can go on.

    The figure is in bits per character: of the held-out part, or, with (train) behind it, of the training text.
    """
    if context.invoked_subcommand is not None:
        require(
            not any(opt.typed(context, name) for name in context.params),
            f"options stand behind the command: charrnn runs {context.invoked_subcommand} …",
        )
        return
    from charrnn.api.runs import runs as all_runs

    found = sorted(all_runs(checkpoints), key=ORDERS[sort])
    if as_json:
        write("".join(to_json_text(run.to_json()) + "\n" for run in found))
    elif quiet:
        write("".join(f"{run.name}\n" for run in found))
    elif found:
        print_table(_narrowed([HEADINGS, *map(_row, found)]))
    else:
        say(f"no run in {checkpoints_folder(checkpoints)} yet: charrnn train makes one")


def remove(
    names: Names,
    yes: Annotated[bool, opt.option("Output", "Do not ask.", "--yes", "-y")] = False,
    checkpoints: opt.Checkpoints = None,
    quiet: opt.Quiet = False,
) -> None:
    """Remove runs with all that they wrote: models, metrics, pictures. Other files in their folders stay."""
    folder = checkpoints_folder(checkpoints)
    found = list({run.folder.resolve(): run for run in (find(folder, name) for name in names)}.values())
    locks = [Lock(run.folder) for run in found]
    try:
        if not yes:
            if not sys.stdin.isatty():
                raise RunError("nobody is there to ask: `yes` removes without asking")
            typer.confirm(f"remove {', '.join(_shown(run.name) for run in found)}?", abort=True, err=True)
        for run in found:
            kept = run.remove()
            say(
                f"removed {_shown(str(run.folder))}" + f", but for {', '.join(path.name for path in kept)}" * bool(kept)
            )
    finally:
        for lock in locks:
            lock.release()


def compare(
    names: Names,
    checkpoints: opt.Checkpoints = None,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Runs side by side: their figures, and the options in which they differ."""
    from charrnn.api.runs import summarise

    require(len(names) > 1, "two runs at least can be compared: name another")
    found = [summarise(find(checkpoints_folder(checkpoints), name)) for name in names]
    for run in found:
        if run.problem is not None:
            raise RunError(run.problem)
    options = [run.options or {} for run in found]
    known = dict.fromkeys(name for told in options for name in told)
    differences = {name: values for name in known if not _alike(values := [told.get(name) for told in options])}
    if as_json:
        write(to_json_text({"runs": [run.to_json() for run in found], "differences": differences}) + "\n")
        return
    figures = [dict(zip(HEADINGS, _row(run), strict=True)) for run in found]
    shown = {name: [row[name] for row in figures] for name in HEADINGS}
    shown |= {name: ["none" if value is None else str(value) for value in told] for name, told in differences.items()}
    shown["loss"] = ["" if run.loss is None else f"{run.loss:.4f}" for run in found]
    print_table([[name, *map(_shown, values)] for name, values in shown.items()])


runs_app = typer.Typer(
    cls=Group, invoke_without_command=True, callback=runs, epilog=EXAMPLES, rich_markup_mode="markdown"
)
runs_app.command("rm", cls=Command, epilog="Examples:\n\n    charrnn runs rm fables-2 fables-3 --yes\n")(remove)
runs_app.command("compare", cls=Command, epilog="Examples:\n\n    charrnn runs compare fables fables-2\n")(compare)


def _row(run: "RunSummary") -> list[str]:
    """One run under the headings."""
    bpc = "" if run.bpc is None else f"{run.bpc:.3f}{'' if run.validated else ' (train)'}"
    corpus = " ".join(source.rstrip("/").rsplit("/", 1)[-1] for source in run.corpus)
    values = [
        run.name, corpus, run.network or "", "" if run.parameters is None else f"{run.parameters:,}", bpc,
        "" if run.steps is None else f"{run.steps:,}", "" if run.seconds is None else clock(run.seconds),
        _age(run.saved), run.state,
    ]  # fmt: skip
    return [_shown(value) for value in values]


def _age(saved: datetime) -> str:
    """'3 h', since then."""
    passed = max(0.0, (datetime.now(UTC) - saved).total_seconds())
    unit = next((name for name, seconds in SECONDS.items() if passed >= seconds), "s")
    return f"{passed // SECONDS[unit]:.0f} {unit}"


def _alike(values: Sequence[Any]) -> bool:
    return all(value == values[0] for value in values)


def _shown(text: str) -> str:
    """A name on one line, whatever is in it."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def _narrowed(rows: Sequence[Sequence[str]]) -> Sequence[Sequence[str]]:
    """The rows as a terminal has room for them: without weights, time, corpus, steps, as far as it must be."""
    names = list(HEADINGS)
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
        for spare in SPARE:
            if sum(max(len(row[HEADINGS.index(name)]) + 2 for row in rows) for name in names) - 2 <= width:
                break
            names.remove(spare)
    return [[row[HEADINGS.index(name)] for name in names] for row in rows]
