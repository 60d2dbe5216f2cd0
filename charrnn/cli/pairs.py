"""charrnn eval --pairs: the accuracy on minimal pairs, with a table for each kind of group that the files have."""

import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from charrnn.cli.fields import option
from charrnn.cli.gates import Gate
from charrnn.cli.lacking import advised
from charrnn.cli.tables import print_table, shortened
from charrnn.console import say, warn, working, write
from charrnn.errors import VocabularyError
from charrnn.schema import finite, to_json_text
from charrnn.text.characters import lacking

if TYPE_CHECKING:
    from charrnn.api import Model
    from charrnn.scoring.pairs import PairScores
    from charrnn.text.pairs import Pair

GROUP = "Minimal pairs"
Pairs = Annotated[
    list[str] | None,
    option(
        GROUP,
        "The accuracy on minimal pairs instead, of this file and every TEXT; repeatable.",
        "--pairs",
        metavar="FILE",
        default="off",
    ),
]
End = Annotated[
    bool,
    option(GROUP, "Score sentences with what ends them: the line end, or the document's end.", "--end/--no-end"),
]

FORMATS = """Minimal pairs (--pairs FILE...), told by their content:

- JSON Lines: sentence_good, sentence_bad; tables by UID, linguistics_term, field (BLiMP as published).
- TSV: good, bad and, if you like, a group; or a first line that names the columns, good and bad (or sentence_good,
sentence_bad; grammatical, ungrammatical) among them: tables by all others.
- TSV of case, type, good, bad (Marvin & Linzen); of attractors, sentence, sentence with \\*\\*\\*mask\\*\\*\\*, right
verb, wrong verb (Goldberg, after Linzen).
- NAME.gold beside NAME.text, line by line (Gulordava, and their Linzen set): the word's place from 0, right form, wrong
form, attractors; or pattern, construction, sentence, place, part of speech, morphology, right form, wrong form.

A pair is right when the whole good sentence has the higher log-probability, from a fresh state; a tie is wrong. The
sentence's end counts, or "the cat sleep" would beat "the cat sleeps". Its interval is Wilson's, 95%; that of the mean
difference is bootstrapped. With --fail-below, --fail-above and --baseline the accuracy is the figure.

"""

# Columns of the terminal: as many where it says nothing, those of the figures of one model, those of names.
NARROW, NUMBERS = 80, 44
SHORTEST_NAME, SHORTEST_HEADING, LONGEST_HEADING = 12, 5, 16
INDENT = "  "


def evaluate_pairs(
    models: "Sequence[Model]",
    files: list[str],
    gate: Gate,
    *,
    end: bool,
    unknown: bool,
    batch_size: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """All pairs of these files by each model, an object, a value or a block of tables for each."""
    from charrnn.text.pairs import read_pairs

    pairs = read_pairs(files)
    text = files[0] if len(files) == 1 else f"{files[0]} and {len(files) - 1} more"
    found = []
    for model in models:
        working(f"scoring {len(pairs):,} pairs")
        started = time.monotonic()
        scores = _scored(model, pairs, end=end, unknown=unknown, batch_size=batch_size)
        record = {"model": str(model.header.path), "text": text, **scores.figures()}
        found.append(({**record, "seconds": time.monotonic() - started}, scores))
    if as_json:
        write("".join(to_json_text(finite(record)) + "\n" for record, _ in found))
    elif quiet:
        write("".join(f"{scores.accuracy!r}\n" for _, scores in found))
    elif sys.stdout.isatty():
        _print_for_people([(model.name, scores) for model, (_, scores) in zip(models, found, strict=True)])
    else:
        print_table([["model", *HEADINGS], *(row for record, scores in found for row in _rows(record, scores))])
    gate.judge(record for record, _ in found)


def _scored(model: "Model", pairs: "Sequence[Pair]", **conditions: Any) -> "PairScores":
    try:
        scores = model.pairs(pairs, **conditions)
    except VocabularyError as problem:
        raise advised(str(problem)) from None
    if scores.oov:
        warn(f"{lacking(scores.oov)}: each counts as one in its size")
    return scores


HEADINGS = ("by", "group", "pairs", "accuracy", "low", "high", "ties", "mean_difference")


def _rows(record: dict[str, Any], scores: "PairScores") -> Iterator[list[Any]]:
    """For programs: a row for all, then one for each group of each kind."""
    for by, group, some in _groups(scores):
        yield [record["model"], by, group, some.pairs, some.accuracy, *some.interval, some.ties, some.mean_difference]


def _groups(scores: "PairScores") -> "Iterator[tuple[str, str, PairScores]]":
    yield "all", "all", scores
    for kind, groups in scores.by.items():
        for group, some in groups.items():
            yield kind, group, some


def _print_for_people(found: "Sequence[tuple[str, PairScores]]") -> None:
    """All that is known of each group by one model; by several, the accuracies side by side."""
    names = [shortened(name, LONGEST_HEADING) for name, _ in found]
    headings = ["accuracy", "95%", "ties", "bits"] if len(found) == 1 else names
    numbers = NUMBERS if len(found) == 1 else sum(max(SHORTEST_HEADING, len(name)) + 2 for name in ["pairs", *names])
    width = max(SHORTEST_NAME, shutil.get_terminal_size((NARROW, 24)).columns - numbers - len(INDENT))
    rows, kind = [["", "pairs", *headings]], "all"
    for groups in zip(*(_groups(scores) for _, scores in found), strict=True):
        by, group, first = groups[0]
        if by != kind:
            rows += [[""] * len(rows[0]), [by, *[""] * (len(rows[0]) - 1)]]
        kind = by
        figures = _figures(first) if len(found) == 1 else [f"{some.accuracy:.3f}" for _, _, some in groups]
        rows.append([group if by == "all" else INDENT + shortened(group, width), f"{first.pairs}", *figures])
    print_table(rows)
    if len(found) == 1:
        low, high = found[0][1].mean_difference_interval
        say(f"bits: by how much good sentences are likelier; of all, {low:+.2f} to {high:+.2f} (95%)")


def _figures(scores: "PairScores") -> list[str]:
    low, high = scores.interval
    return [f"{scores.accuracy:.3f}", f"{low:.3f}-{high:.3f}", f"{scores.ties}", f"{scores.mean_difference:+.2f}"]
