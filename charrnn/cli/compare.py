"""charrnn compare"""

import sys
from itertools import zip_longest
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn.cli import options as opt
from charrnn.cli.company import give_way
from charrnn.cli.completion import complete_model
from charrnn.cli.gates import leave
from charrnn.cli.lacking import advised
from charrnn.cli.standard_input import or_standard_input
from charrnn.cli.tables import print_table, shortened
from charrnn.config import Range, TrainOptions, require
from charrnn.config.verbs import VerbArguments
from charrnn.console import say, visible, working, write
from charrnn.errors import VocabularyError
from charrnn.schema import finite, to_json_text

if TYPE_CHECKING:
    from charrnn.scoring.compare import Comparison, Item

EXAMPLES = """Examples:

    charrnn compare large small

    charrnn compare large small test.txt --per word | head

    charrnn compare small kn8

    charrnn compare -q large small test.txt

    charrnn compare --fail-unless-better new old test.txt || echo "keep the old one"
"""

UNITS = ("word", "char")
UNITS_SHOWN = ("nats", "bits", "nats_per_char", "bpc")
COLUMNS = ("count", "bits_a", "bits_b", "advantage")
LISTED = 5
# Columns of a terminal that a name may take, an item of the lists, and a list.
NAME, ITEM, COLUMN = 12, 14, 39
PIECES = "a model here predicts pieces of several characters"
SEEDS = (
    "a difference between two trained models: two seeds of one recipe differ too, often by 0.006 bits or more; to "
    "judge recipes, compare several seeds of each"
)


def compare(
    context: typer.Context,
    a: Annotated[
        str,
        typer.Argument(metavar="A", help="A run's name, its folder, or a model file.", autocompletion=complete_model),
    ],
    b: Annotated[
        str,
        typer.Argument(
            metavar="B",
            help="The other model; or kn1 to kn9, an n-gram of A's training text.",
            autocompletion=complete_model,
        ),
    ],
    texts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TEXT",
            help="Files, read as one text, or - for stdin.",
            show_default="what is piped in; else the validation part that both have held out",
        ),
    ] = None,
    fail_unless_better: Annotated[
        bool, opt.option("Output", "Exit with 3 unless A is better than B by more than chance.", "--fail-unless-better")
    ] = False,
    per: Annotated[
        str | None,
        opt.choice("Output", "Instead: all words or characters by what A saves on them.", UNITS, default="none"),
    ] = None,
    top: Annotated[
        int, opt.option("Output", "Words and characters listed of each model.", within=Range(at_least=0))
    ] = LISTED,
    test: Annotated[bool, opt.option("Scoring", "Score the test part that both have held out.", "--test")] = False,
    lines: Annotated[bool, opt.option("Scoring", "Score each line alone, from a fresh state.", "--lines")] = False,
    reset_every: Annotated[
        int | None,
        opt.from_field(
            VerbArguments, "reset_every", help="Reset the states every so many tokens of each model.", default="off"
        ),
    ] = None,
    unknown: Annotated[
        bool, opt.option("Scoring", "Score out-of-vocabulary characters at ln V nats each.", "--unk")
    ] = False,
    counts: opt.Counts = True,
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
    """Tell which of two models predicts a text better, and whether that is more than chance.

    The difference is paired, character by character, whatever the tokenizers; its 95% interval is of blocks of 500 to
    1,000 characters, for errors cluster. An advantage is A's: what B costs more, in bits a character with -q.
    Words have the white space in front of them.

    kn8 is an interpolated Kneser-Ney n-gram of eight tokens, a yardstick for what a network is worth.

    A difference is one between two trained models. Of two ways to train, compare several seeds of each.
    """
    working("reading the models")
    from charrnn import api
    from charrnn.text.kept import KeptText

    give_way(context, device, threads)
    named = texts if test else or_standard_input(texts)
    ngram = api.ngram_order(b) is not None
    models = [
        api.load(each, checkpoints=checkpoints, device=device, counts=counts) for each in ((a,) if ngram else (a, b))
    ]
    any_bytes = all(each.tokenizer.any_bytes for each in models)
    part = "test" if test else "valid"
    text = KeptText(named, any_bytes=any_bytes) if named else api.held_out_of_all(models, part)
    working(f"scoring {text.label}")
    try:
        found = api.compare(
            models[0],
            b if ngram else models[1],
            text,
            lines=lines,
            reset_every=reset_every,
            # What both have held out may hold characters that the training part lacks; training has said so.
            unknown=unknown or not named,
            batch_size=batch_size,
        )
    except VocabularyError as problem:
        raise advised(str(problem)) from None
    for note in found.notes:
        say(note)
    if per is not None:
        _write_items(_items(found, per), per, as_json=as_json)
    elif as_json:
        paths = {"a": str(models[0].header.path), "b": b if ngram else str(models[1].header.path), "text": text.label}
        write(to_json_text(finite({**paths, **_record(found, top)})) + "\n")
    elif quiet:
        write(f"{found.advantage!r}\n")
    else:
        _write_figures(found)
        if sys.stdout.isatty():
            _write_lists(found, top)
        say(found.sentence)
        if found.better and not ngram:
            say(SEEDS)
    if fail_unless_better and found.better != "a":
        leave([f"{found.a.name} is not better than {found.b.name} by more than chance"])


def _record(found: "Comparison", top: int) -> dict[str, Any]:
    """Every figure, and the words and characters on which each model saves most."""
    from charrnn.scoring.compare import best

    lists = {"words": found.words, "characters": found.characters}
    return {
        **found.figures(),
        **{
            name: items and {whose: [one.to_json() for one in best(items, whose)[:top]] for whose in ("a", "b")}
            for name, items in lists.items()
        },
    }


def _items(found: "Comparison", per: str) -> "list[Item]":
    if per == "word":
        return found.words
    require(found.characters is not None, f"`per='char'` means nothing here: {PIECES}")
    return found.characters or []


def _write_items(items: "list[Item]", per: str, *, as_json: bool) -> None:
    """An object or a row for each, what A saves most on first."""
    records = [finite(item.to_json()) for item in items]
    if as_json:
        write("".join(to_json_text(record) + "\n" for record in records))
        return
    write("\t".join([per, *COLUMNS]) + "\n")
    for record in records:
        write("\t".join([visible(record["text"]), *(str(record[name]) for name in COLUMNS)]) + "\n")


def _write_figures(found: "Comparison") -> None:
    """A row for each unit; rounded and aligned for people, with tabs and every digit in a pipe."""
    read_by_people = sys.stdout.isatty()
    figures = found.figures()
    names = [shortened(visible(each.name), NAME) for each in (found.a, found.b)] if read_by_people else ["a", "b"]
    rows: list[list[Any]] = [["figure", *names, "advantage", "low", "high"]]
    for unit in UNITS_SHOWN:
        rows.append([unit, *(_rounded(value) if read_by_people else value for value in figures[unit].values())])
    rows.append(["blocks_won", found.won, found.lost, None, None, None])
    print_table(rows, sides="<>>>>>")


def _rounded(value: float | None) -> str | None:
    """To four digits behind the point, which stand below each other."""
    if value is None:
        return None
    return f"{value:,.1f}" if abs(value) >= 1000 else f"{value:.4f}"


def _write_lists(found: "Comparison", top: int) -> None:
    """Side by side, what each model predicts better: words, then characters."""
    from charrnn.scoring.compare import best

    for title, items in (("words", found.words), ("characters", found.characters)):
        if items is None or not top:
            continue
        left, right = (best(items, whose)[:top] for whose in ("a", "b"))
        if not left and not right:
            continue
        heads = [f"{title} {shortened(visible(each.name), NAME)} predicts better" for each in (found.a, found.b)]
        write("\n" + "  ".join(head.ljust(COLUMN) for head in heads).rstrip() + "\n")
        for pair in zip_longest(left, right):
            write("  ".join((_row(item) if item else "").ljust(COLUMN) for item in pair).rstrip() + "\n")


def _row(item: "Item") -> str:
    """Bits saved, how often it occurs, the word or character."""
    shown = to_json_text(item.text) if item.text.isspace() or not item.text else visible(item.text)
    return f"{abs(item.advantage):9.1f} bits {item.count:6,} x {shortened(shown, ITEM)}"
