"""charrnn eval"""

import math
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn.cli import options as opt
from charrnn.cli.baselines import baseline_table
from charrnn.cli.standard_input import or_standard_input
from charrnn.config import TrainOptions
from charrnn.config.verbs import VerbArguments
from charrnn.console import say, warn, working, write
from charrnn.errors import CharrnnError, VocabularyError
from charrnn.schema import finite, to_json_text
from charrnn.scoring.figures import FIGURES

if TYPE_CHECKING:
    from charrnn.api import Model
    from charrnn.text.kept import KeptText

GATE_FAILED = 3
# What stands for the run trained last, and for its held-out part.
NO_NAME: list[str | None] = [None]

EXAMPLES = """Examples:

    charrnn eval

    ppl=$(charrnn eval -q test.txt)

    charrnn eval --json --reset-every 256 test.txt

    charrnn eval -q --metric bpb --fail-above 2.1 test.txt || echo "worse than the gate"

    charrnn eval --adapt --fit-temperature test.txt

    charrnn eval --baselines test.txt

    zcat test.txt.gz | charrnn eval -m small -m large
"""

# Figures that `-q` can print alone.
METRICS = tuple(name for name, one in FIGURES.items() if one.metric)
DEFINITIONS = "Figures:\n\n" + "".join(f"- {name}: {one.help}\n" for name, one in FIGURES.items()) + "\n"
DIGITS_TO_READ = 6


def evaluate(
    context: typer.Context,
    texts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TEXT",
            help="Files, or - for stdin.",
            show_default="what is piped in; else the validation part of the run's own corpus",
        ),
    ] = None,
    metric: Annotated[
        str, opt.choice("Output", "The figure for -q and --fail-above.", METRICS, metavar="FIGURE")
    ] = "ppl",
    fail_above: Annotated[
        float | None, opt.option("Output", "Exit with 3 when the figure is greater.", default="off")
    ] = None,
    test: Annotated[bool, opt.option("Scoring", "Score the test part of the run's own corpus.", "--test")] = False,
    lines: Annotated[bool, opt.option("Scoring", "Score each line alone, from a fresh state.", "--lines")] = False,
    reset_every: Annotated[
        int | None,
        opt.from_field(
            VerbArguments,
            "reset_every",
            help="Reset the state every so many tokens, to see what context is worth.",
            default="off",
        ),
    ] = None,
    unknown: Annotated[
        bool,
        opt.option("Scoring", "Score out-of-vocabulary characters at ln V nats each, and count them.", "--unk"),
    ] = False,
    adapt: Annotated[
        bool,
        opt.option(
            "Beside the plain figures",
            "Dynamic evaluation as well: figures of a copy that learns as it reads.",
            "--adapt",
        ),
    ] = False,
    fit_temperature: Annotated[
        bool,
        opt.option(
            "Beside the plain figures",
            "Temperature scaling as well: figures at the temperature at which the text costs least.",
            "--fit-temperature",
        ),
    ] = False,
    baselines: Annotated[
        bool,
        opt.option(
            "Beside the plain figures",
            "Bits per byte by compressors and an n-gram model too, alone and after the training text.",
            "--baselines",
        ),
    ] = False,
    model: opt.Models = None,
    checkpoints: opt.Checkpoints = None,
    batch_size: Annotated[
        int | None,
        opt.from_field(
            TrainOptions, "batch_size", help="Batch size: rows side by side.", group="Machine", default="32"
        ),
    ] = None,
    device: Annotated[str, opt.from_field(TrainOptions, "device", default=None)] = "cpu",
    threads: opt.Threads = None,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Score a text: cross-entropy, perplexity, bits per character and per byte, and the counts they rest on.

    Every token is scored once, the first and the last included. The text is one stream with carried state, unless
    --lines or --reset-every says otherwise; batch size and threads do not change the figures. Several models are told
    side by side.

    Without a TEXT, a pipe or file on standard input is the text; where there is none, or nothing in it, each run's own
    held-out part is.
    """
    if fail_above is not None and math.isnan(fail_above):
        raise typer.BadParameter("nan is no limit", param_hint="--fail-above")

    working("reading the model")
    from charrnn import api
    from charrnn.machine import choose
    from charrnn.machine.threads import AdaptiveThreads, giving_way
    from charrnn.scoring.token_nll import BATCH
    from charrnn.text.kept import KeptText

    machine = choose(device, "fp32", threads)
    context.with_resource(giving_way(AdaptiveThreads(machine), say))
    named = texts if test else or_standard_input(texts)
    models = [api.load(each, checkpoints=checkpoints, device=device) for each in model or NO_NAME]
    for each in models:
        say(f"model: {each.header.path}")
    conditions: dict[str, Any] = {
        "lines": lines,
        "reset_every": reset_every,
        "batch_size": batch_size or BATCH,
        "adapt": adapt,
        "fit_temperature": fit_temperature,
        "baselines": baselines,
    }
    part = "test" if test else "valid"
    failed = False
    for text in named or NO_NAME:
        working(f"scoring {text or 'the held-out part'}")
        any_bytes = all(each.tokenizer.any_bytes for each in models)
        kept = None if text is None else KeptText([text], any_bytes=any_bytes)
        corpora = [kept or api.held_out(each, part) for each in models]
        if any(corpus.read() != corpora[0].read() for corpus in corpora):
            warn("each model has held out a text of its own: figures compare on one TEXT alone")
        # A run's own held-out part may hold characters that its training part lacks; training has said so.
        conditions["unknown"] = unknown or kept is None
        note = cache(say)  # what every model has to say of one text is said once
        records = [_record(each, corpus, conditions, note) for each, corpus in zip(models, corpora, strict=True)]
        values = [record[metric] for record in records]
        if None in values and (quiet or fail_above is not None):
            raise CharrnnError(f"{metric} is not defined for this text: choose another --metric")
        _print(records, values, as_json=as_json, quiet=quiet)
        failed |= fail_above is not None and not all(value <= fail_above for value in values)
    if failed:
        say(f"{metric} is above {fail_above:g}")
        raise typer.Exit(GATE_FAILED)


def _record(
    model: "Model", corpus: "KeptText", conditions: dict[str, Any], note: Callable[[str], None]
) -> dict[str, Any]:
    """The figures of one model on one text, and which those are."""
    started = time.monotonic()
    try:
        score = model.score(corpus, **conditions)
    except VocabularyError as problem:
        raise VocabularyError(f"{problem}; --unk counts each as one in the vocabulary's size") from None
    if score.oov:
        warn(f"{score.oov} characters are not in the vocabulary: bpb is no code length and left out")
    for each in score.notes:
        note(each)
    seconds = time.monotonic() - started
    return {"model": str(model.header.path), "text": corpus.label, **score.figures(), "seconds": seconds}


def _print(records: list[dict[str, Any]], values: list[float], *, as_json: bool, quiet: bool) -> None:
    """The figures of one text by each model: an object a line, a bare value a line, or a table with a column each."""
    if as_json:
        write("".join(to_json_text(finite(record)) + "\n" for record in records))
    elif quiet:
        write("".join(f"{value!r}\n" for value in values))
    else:
        _print_table(records)


def _print_table(records: list[dict[str, Any]]) -> None:
    """Rounded and aligned for people; a script that reads a pipe gets tabs and every digit."""
    read_by_people = sys.stdout.isatty()
    shown = _rounded if read_by_people else str
    apart = {"baselines"} if read_by_people else set()
    columns = [dict(_flat({name: record[name] for name in record if name not in apart})) for record in records]
    rows = [
        [name, *("-" if column.get(name) is None else shown(column[name]) for column in columns)]
        for name in dict.fromkeys(name for column in columns for name in column)
    ]
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)] if read_by_people else []
    for row in rows:
        line = "  ".join(map(str.ljust, row, widths)).rstrip() if read_by_people else "\t".join(row)
        write(f"{line}\n")
    if read_by_people:
        write("".join(f"{line}\n" for record in records for line in baseline_table(record)))


def _rounded(value: Any) -> str:
    return f"{value:.{DIGITS_TO_READ}g}" if isinstance(value, float) else str(value)


def _flat(figures: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Figures within figures under joined names: adapted_bpc."""
    for name, value in figures.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{name}_")
        else:
            yield prefix + name, value
