"""charrnn score"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from charrnn.cli import options as opt
from charrnn.cli.columns import columns
from charrnn.cli.lacking import advised
from charrnn.cli.pictures import write_page
from charrnn.cli.score_table import BASES, LineTable, Table, UnitTable
from charrnn.cli.standard_input import or_standard_input
from charrnn.config import require
from charrnn.config.fields import Range
from charrnn.config.verbs import VerbArguments, by_counts
from charrnn.console import say, warn, working, write
from charrnn.errors import CorpusError, VocabularyError
from charrnn.text.characters import lacking as told

if TYPE_CHECKING:
    from charrnn.api.model import Model
    from charrnn.plotting.report import Report
    from charrnn.scoring.lines import LineReader
    from charrnn.scoring.rows import Units
    from charrnn.text.lines import Line

EXAMPLES = """Examples:

    charrnn score notes.txt

    tail -f app.log | charrnn score -q

    charrnn score --per word --json notes.txt

    charrnn score --per char --top 3 notes.txt

    charrnn score --html notes.html notes.txt > notes.tsv

    charrnn score --field text reviews.jsonl | jq -s 'sort_by(.per_char)'

    charrnn score --adapt counts --per char notes.txt

    charrnn score --column 2 pairs.tsv | sort -g -t "$(printf '\\t')" -k 3
"""


def score(
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="FILE", help="Files, or - for stdin.", show_default="what is piped in"),
    ] = None,
    per: Annotated[str, opt.from_field(VerbArguments, "per")] = "line",
    space: Annotated[str, opt.from_field(VerbArguments, "space")] = "after",
    top: Annotated[int, opt.from_field(VerbArguments, "top", default="off")] = 0,
    log_base: Annotated[str, opt.choice("Output", "Surprisal in bits, nats or hartleys.", tuple(BASES))] = "2",
    column: Annotated[
        int | None,
        opt.option(
            "Text",
            "Score this column (from 1) of TSV without a header; rows of lines keep the rest.",
            metavar="N",
            default="the whole line",
            within=Range(at_least=1),
        ),
    ] = None,
    field: Annotated[
        str | None,
        opt.option(
            "Text",
            "Score this field of JSON Lines, or of TSV with a header; rows of lines keep the rest.",
            default="the whole line",
            check=opt.utf8,
        ),
    ] = None,
    prefix: Annotated[
        str, opt.option("Output", "Text in front of the names of the figures.", default="none", check=opt.utf8)
    ] = "",
    context: Annotated[
        str,
        opt.option(
            "Scoring",
            "A file, or a text, that is read before each line and not scored.",
            metavar="FILE|TEXT",
            default="none",
            check=opt.utf8,
        ),
    ] = "",
    carry: Annotated[
        bool, opt.option("Scoring", "One running text: carry the state from line to line.", "--carry")
    ] = False,
    unknown: Annotated[
        bool, opt.option("Scoring", "Score out-of-vocabulary characters at ln V nats each.", "--unk")
    ] = False,
    html: opt.Html = None,
    unbuffered: Annotated[
        bool, opt.option("Machine", "Score each line by itself as it comes, and wait for no other.", "--unbuffered")
    ] = False,
    model: opt.Model = None,
    counts: opt.Counts = True,
    checkpoints: opt.Checkpoints = None,
    precision: Annotated[
        str | None,
        opt.from_field(
            VerbArguments,
            "precision",
            help="32-bit floats, or the 8 bits of sampling: the same on every machine, and fast.",
            default="fp32",
        ),
    ] = None,
    adapt: Annotated[
        str | None,
        opt.option(
            "Scoring",
            "Counts learn from each line, beside the network, by the training text.",
            "--adapt",
            metavar="counts",
            default="off",
        ),
    ] = None,
    threads: opt.Threads = None,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Score lines of text as they come: one line out for each line in, or a table of their words, characters or tokens.

    Each line is read from a fresh state, its line end with it; to a model of documents it is one, and an empty one is
    none and costs 0. CR LF is read as LF. A last line without its end is scored without it, by a model of documents
    with the end of a document. Of several files one is read after another. The figures of a line are surprisal (its
    total), per_char (the mean over its characters, the line end among them) and ppl (perplexity per token); -q gives
    the total alone.

    Tables tell where each unit stands in all that was read, start and end in characters and byte in bytes of UTF-8; in
    a field, where one is scored. A token belongs to the character in which it begins. Words stand between white space,
    and by default a word owns the boundary behind it (Pimentel & Meister 2024): it costs its letters, that some
    boundary follows, and what stood between it and the word before, given that something did. With
    `--space before` it costs its tokens and the white space in front of it; with `none` white space has rows of its
    own. What is left at the end of a line is a row without a word. All rows add up to the lines' totals.

    TSV has a header and no quotes: tabs and line ends in a cell are written \\t, \\n and \\r, and a backslash twice. A
    quotation mark is one, and NA is a word: to pandas say quoting=3, keep_default_na=False, to R's read.delim quote="",
    na.strings="".
    """
    working("reading the model")
    from charrnn import api
    from charrnn.api.adapting import learning_of
    from charrnn.inference.formats import FP32
    from charrnn.scoring.lines import LineReader
    from charrnn.scoring.units import units
    from charrnn.text.lines import lines

    sources = or_standard_input(files, empty=True)
    require(bool(sources), "there is nothing to score: name a file, or pipe lines in")
    learns = by_counts(adapt)
    loaded = api.load(model, checkpoints=checkpoints, counts=counts, threads=threads)
    numbers = precision or FP32
    say(f"model: {loaded.header.path}" + (f", {numbers} {loaded.computed(numbers)}" if precision else ""))
    made = units(per, loaded.tokenizer, space)
    asked, page = made.asked(top), None
    require(
        not learns or (asked.nothing and html is None),
        "`adapt` tells what each token costs, and nothing of others: leave out `top` and `html`, and ask for words by "
        "`--space before`",
    )
    if html is not None:
        from charrnn.plotting.report import Report
        from charrnn.plotting.shading import TOP

        asked, page = replace(asked, rank=True, top=max(TOP, top)), Report(loaded.tokenizer)
    before = _context(context, loaded)
    if learns:
        working("counts read the training text")
    reader = LineReader(
        loaded, asked=asked, context=before, carry=carry, unknown=unknown, precision=numbers,
        learning=learning_of(loaded) if learns else None,
    )  # fmt: skip
    come = lines(sources, any_bytes=loaded.tokenizer.any_bytes, note=say)
    # Which columns there are, a header or the first object says.
    first = [] if field is None else next(come, [])
    layout = columns(column, field, *first[:1])
    form = "json" if as_json else "bare" if quiet else "tsv"
    table: Table
    if per == "line":
        table = LineTable(form, log_base, prefix, layout, documents=loaded.documents)
    else:
        table = UnitTable(form, log_base, prefix, layout, tokenizer=loaded.tokenizer, top=top)
    _write(chain([first], come), reader, made, table, unbuffered, page)
    if html is not None and page is not None:
        of = {"model": str(loaded.header.path), "text": " ".join(sources)}
        write_page(html, page.html(f"{loaded.name} on {of['text']}", {**of, **page.profile.totals()}))


def _write(
    come: Iterable[list["Line"]],
    reader: "LineReader",
    made: "Units",
    table: Table,
    unbuffered: bool,
    page: "Report | None",
) -> None:
    """The lines' rows, as they come; a page takes the lines as well."""
    waiting: deque[tuple[Line, int]] = deque()

    def texts() -> Iterator[str | None]:
        number = 0
        try:
            for together in come:
                for line in together:
                    number += 1
                    if (text := table.columns.pick(line, number)) is not None:
                        waiting.append((line, number))
                        yield text
                if not together:
                    yield None
        except CorpusError:
            # What has come before is scored first.
            yield None
            raise

    write(table.header())
    lacking = 0
    try:
        for piece in reader.read(texts(), unbuffered=unbuffered):
            rows = made.push(piece.text, piece.predictions)
            write(table.rows(*waiting[0], chain(rows, made.finish()) if piece.ends_line else rows))
            lacking += made.lacking(piece.predictions)
            if page is not None:
                page.push(piece.text, piece.predictions, ends_line=piece.ends_line)
            if piece.ends_line:
                waiting.popleft()
    except VocabularyError as problem:
        # The reader counts what it is given, which a header is not.
        words = str(problem).partition(": ")[2]
        raise advised(f"line {waiting[0][1]}: {words}") from None
    if lacking:
        warn(f"{told(lacking)}: each counts as one in the vocabulary's size")


def _context(context: str, model: "Model") -> str:
    """A text, or what stands in the file of that name, read as a corpus is."""
    from charrnn.text.corpus import Corpus

    try:
        named = bool(context) and Path(context).is_file()
    except (OSError, ValueError):  # a text that can be no name: it is too long, or holds a zero byte
        named = False
    if not named:
        return context
    text = Corpus([context], any_bytes=model.tokenizer.any_bytes, corpora=False).read()
    say(f"context: the {len(text):,} characters of {context}")
    return text
