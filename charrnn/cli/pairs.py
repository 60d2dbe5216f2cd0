"""charrnn eval --pairs: the accuracy on minimal pairs, with a table for each kind of group that the files have."""

import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from charrnn.cli.fields import option
from charrnn.cli.gates import Gate
from charrnn.cli.tables import print_table
from charrnn.console import say, warn, working, write
from charrnn.errors import VocabularyError
from charrnn.schema import finite, to_json_text

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

# What a column of names may take, where the terminal says no more.
NARROW, NUMBERS = 80, 46
SHORTEST_NAME = 12


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
        _print_for_people(found)
    else:
        print_table([["model", *HEADINGS], *(row for record, scores in found for row in _rows(record, scores))])
    gate.judge(record for record, _ in found)


def _scored(model: "Model", pairs: "Sequence[Pair]", **conditions: Any) -> "PairScores":
    try:
        scores = model.pairs(pairs, **conditions)
    except VocabularyError as problem:
        raise VocabularyError(f"{problem}; --unk counts each as one in the vocabulary's size") from None
    if scores.oov:
        warn(f"{scores.oov} characters are not in the vocabulary: each counts as one in its size")
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


def _print_for_people(found: "Sequence[tuple[dict[str, Any], PairScores]]") -> None:
    width = shutil.get_terminal_size((NARROW, 24)).columns - NUMBERS
    for number, (record, scores) in enumerate(found):
        if len(found) > 1:
            write("\n" * bool(number) + f"{record['model']}\n")
        rows, kind = [["", "pairs", "accuracy", "95%", "ties", "bits"]], "all"
        for by, group, some in _groups(scores):
            if by != kind:
                rows += [[""] * 6, [by, *[""] * 5]]
            kind, (low, high) = by, some.interval
            name = group if by == "all" else "  " + _shortened(group, max(SHORTEST_NAME, width))
            figures = [f"{some.pairs}", f"{some.accuracy:.3f}", f"{low:.3f}-{high:.3f}", f"{some.ties}"]
            rows.append([name, *figures, f"{some.mean_difference:+.2f}"])
        print_table(rows)
        low, high = scores.mean_difference_interval
        say(f"bits: by how much the good sentences are likelier in the mean; of all, {low:+.2f} to {high:+.2f} (95%)")


def _shortened(name: str, width: int) -> str:
    """A name in its place: what tells it from its like stands at either end."""
    half = (width - 1) // 2
    return name if len(name) <= width else f"{name[: width - 1 - half]}…{name[len(name) - half :]}"
