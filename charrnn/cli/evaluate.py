"""charrnn eval"""

import time
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn.cli import gates
from charrnn.cli import options as opt
from charrnn.cli.baselines import print_with_baselines
from charrnn.cli.company import give_way
from charrnn.cli.lacking import advised
from charrnn.cli.pairs import FORMATS, End, Pairs, evaluate_pairs
from charrnn.cli.pictures import write_page
from charrnn.cli.standard_input import or_standard_input
from charrnn.config import TrainOptions, require
from charrnn.config.verbs import ADAPTED, VerbArguments
from charrnn.console import say, warn, working
from charrnn.errors import CharrnnError, VocabularyError
from charrnn.scoring.figures import FIGURES
from charrnn.text.characters import lacking

if TYPE_CHECKING:
    from charrnn.api import Model
    from charrnn.scoring.figures import Score
    from charrnn.text.kept import KeptText

# What stands for the run trained last, and for its held-out part.
NO_NAME: list[str | None] = [None]

EXAMPLES = """Examples:

    charrnn eval

    ppl=$(charrnn eval -q test.txt)

    charrnn eval --json --reset-every 256 test.txt

    charrnn eval -q --metric bpb --fail-above 2.1 test.txt || echo "worse than the gate"

    charrnn eval --metric bpc --baseline before.json --tolerance 1% test.txt

    charrnn eval --adapt --fit-temperature test.txt

    charrnn eval --adapt both test.txt

    charrnn eval --baselines test.txt

    charrnn eval --no-counts

    charrnn eval --html report.html test.txt

    zcat test.txt.gz | charrnn eval -m small -m large

    charrnn eval --pairs blimp/data/*.jsonl

    charrnn eval -q --fail-below 0.7 --pairs pairs.tsv
"""

# Figures that `-q` can print alone.
METRICS = tuple(name for name, one in FIGURES.items() if one.metric)
DEFINITIONS = "Figures:\n\n" + "".join(f"- {name}: {one.help}\n" for name, one in FIGURES.items()) + "\n" + FORMATS


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
    metric: Annotated[str, opt.choice("Output", "The figure for -q and gates.", METRICS, metavar="FIGURE")] = "ppl",
    fail_above: gates.FailAbove = None,
    fail_below: gates.FailBelow = None,
    baseline: gates.Baseline = None,
    tolerance: gates.ToleranceText = None,
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
        str | None,
        opt.choice(
            "Beside the plain figures",
            "What learns while it reads; alone, dynamic evaluation",
            ADAPTED,
            "--adapt",
            metavar="[WAY]",
            default="off",
        ),
    ] = None,
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
    pairs: Pairs = None,
    end: End = True,
    html: opt.Html = None,
    model: opt.Models = None,
    counts: opt.Counts = True,
    checkpoints: opt.Checkpoints = None,
    batch_size: Annotated[
        int | None,
        opt.from_field(
            TrainOptions,
            "batch_size",
            help="Batch size: rows side by side.",
            group="Machine",
            default="32; of pairs 128",
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

    Without a TEXT, a pipe or file on standard input is the text; where there is none, each run's own held-out part
    is.

    With --pairs, minimal pairs instead: two sentences that differ in one thing, of which the good one should be the
    likelier.
    """
    metric = "accuracy" if pairs else metric
    gate = gates.Gate(metric, fail_above, fail_below, baseline, tolerance, higher_is_better=bool(pairs))
    working("reading the model")
    from charrnn import api
    from charrnn.scoring.token_nll import BATCH
    from charrnn.text.kept import KeptText

    give_way(context, device, threads)
    named = texts if test or pairs else or_standard_input(texts)
    require(html is None or len(model or NO_NAME) == len(named or NO_NAME) == 1, "`html` is of one model on one text")
    models = [api.load(each, checkpoints=checkpoints, device=device, counts=counts) for each in model or NO_NAME]
    for each in models:
        say(f"model: {each.header.path}")
    if pairs:
        printed = {"as_json": as_json, "quiet": quiet}
        files = [*pairs, *(named or [])]
        evaluate_pairs(models, files, gate, end=end, unknown=unknown, batch_size=batch_size, **printed)
        gate.close()
        return
    reading: dict[str, Any] = {"lines": lines, "reset_every": reset_every, "batch_size": batch_size or BATCH}
    conditions = {
        **reading,
        "adapt": adapt,
        "fit_temperature": fit_temperature,
        "baselines": baselines,
    }
    part = "test" if test else "valid"
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
        scores = [_score(each, corpus, conditions, note) for each, corpus in zip(models, corpora, strict=True)]
        records = [record for _, record in scores]
        if quiet and any(record[metric] is None for record in records):
            raise CharrnnError(f"{metric} is not defined for this text: choose another --metric")
        print_with_baselines(records, metric, as_json=as_json, quiet=quiet)
        if html is not None:
            working(f"writing {html}")
            page = api.report(models[0], corpora[0].read(), scores[0][0], **reading)
            write_page(html, page.html(f"{models[0].name} on {corpora[0].label}", records[0]))
        gate.judge(records)
    gate.close()


def _score(
    model: "Model", corpus: "KeptText", conditions: dict[str, Any], note: Callable[[str], None]
) -> tuple["Score", dict[str, Any]]:
    """One model on one text: what each token cost, and the figures under their names, with what they are of."""
    started = time.monotonic()
    try:
        score = model.score(corpus, **conditions)
    except VocabularyError as problem:
        raise advised(str(problem)) from None
    if score.oov:
        warn(f"{lacking(score.oov)}: bpb is no code length and left out")
    for each in score.notes:
        note(each)
    seconds = time.monotonic() - started
    return score, {"model": str(model.header.path), "text": corpus.label, **score.figures(), "seconds": seconds}
