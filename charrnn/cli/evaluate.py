"""charrnn eval"""

import math
import sys
import time
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from charrnn.cli import options as opt
from charrnn.config import TrainOptions
from charrnn.config.verbs import VerbArguments
from charrnn.console import say, warn, write
from charrnn.errors import CharrnnError, VocabularyError
from charrnn.schema import finite, to_json_text
from charrnn.scoring.figures import FIGURES

GATE_FAILED = 3

EXAMPLES = """Examples:

    charrnn eval

    ppl=$(charrnn eval -q test.txt)

    charrnn eval --json --reset-every 256 test.txt

    charrnn eval -q --metric bpb --fail-above 2.1 test.txt || echo "worse than the gate"

    charrnn eval --adapt --fit-temperature test.txt
"""


# Figures that `-q` can print alone.
METRICS = tuple(name for name, one in FIGURES.items() if one.metric)
DEFINITIONS = "Figures:\n\n" + "".join(f"- {name}: {one.help}\n" for name, one in FIGURES.items()) + "\n"
DIGITS_TO_READ = 6


def evaluate(
    texts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TEXT",
            help="Files, or - for stdin.",
            show_default="the validation part of the run's own corpus",
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
    model: opt.Model = None,
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
    --lines or --reset-every says otherwise; batch size and threads do not change the figures.
    """
    if fail_above is not None and math.isnan(fail_above):
        raise typer.BadParameter("nan is no limit", param_hint="--fail-above")

    from charrnn import api
    from charrnn.machine import choose
    from charrnn.scoring.token_nll import BATCH
    from charrnn.text.corpus import Corpus

    choose(device, "fp32", threads)
    loaded = api.load(model, checkpoints=checkpoints, device=device)
    say(f"model: {loaded.header.path}")
    failed = False
    part = "test" if test else "valid"
    wanted: list[str | None] = [*texts] if texts else [None]
    for text in wanted:
        started = time.monotonic()
        corpus = api.held_out(loaded, part) if text is None else Corpus([text])
        try:
            # A run's own held-out part may hold characters that its training part lacks; training has said so.
            score = loaded.score(
                corpus,
                lines=lines,
                reset_every=reset_every,
                unknown=unknown or text is None,
                batch_size=batch_size or BATCH,
                adapt=adapt,
                fit_temperature=fit_temperature,
            )
        except VocabularyError as problem:
            raise VocabularyError(f"{problem}; --unk counts each as one in the vocabulary's size") from None
        if score.oov:
            warn(f"{score.oov} characters are not in the vocabulary: bpb is no code length and left out")
        for note in corpus.statistics.notes:
            say(note)
        figures = {
            "model": str(loaded.header.path),
            "text": text or f"{part} part of {' '.join(corpus.sources)}",
            **score.figures(),
            "seconds": time.monotonic() - started,
        }
        value = figures[metric]
        if value is None and (quiet or fail_above is not None):
            raise CharrnnError(f"{metric} is not defined for this text: choose another --metric")
        _print(figures, value, as_json=as_json, quiet=quiet)
        failed |= fail_above is not None and not value <= fail_above
    if failed:
        say(f"{metric} is above {fail_above:g}")
        raise typer.Exit(GATE_FAILED)


def _print(figures: dict[str, Any], value: float, *, as_json: bool, quiet: bool) -> None:
    if as_json:
        write(to_json_text(finite(figures)) + "\n")
    elif quiet:
        write(f"{value!r}\n")
    else:
        shown = _rounded if sys.stdout.isatty() else str
        write("".join(f"{name}\t{'-' if value is None else shown(value)}\n" for name, value in _flat(figures)))


def _rounded(value: Any) -> str:
    """For people; a script that reads a pipe gets every digit."""
    return f"{value:.{DIGITS_TO_READ}g}" if isinstance(value, float) else str(value)


def _flat(figures: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Figures within figures under joined names: adapted_bpc."""
    for name, value in figures.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{name}_")
        else:
            yield prefix + name, value
