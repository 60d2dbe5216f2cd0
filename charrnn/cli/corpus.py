"""charrnn corpus check | list"""

from inspect import cleandoc
from typing import Annotated

import typer

from charrnn.cli import options as opt
from charrnn.cli.completion import complete_text
from charrnn.cli.together import Command, Group
from charrnn.config import TrainOptions
from charrnn.console import answer, megabytes, show_record, visible, working, write
from charrnn.schema import to_json_text

CHECK = """Examples:

    charrnn corpus check corpus.txt

    charrnn corpus check 'shards/*.zst' --json

    charrnn corpus check names.txt --documents lines
"""
LIST = """Examples:

    charrnn corpus list
"""

corpus_app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    help="Look at a text before anything is trained on it.",
    epilog=cleandoc(CHECK) + cleandoc(LIST).removeprefix("Examples:"),
)


def check(
    corpus: Annotated[
        list[str],
        typer.Argument(metavar="CORPUS", help="Text files, folders, patterns of them.", autocompletion=complete_text),
    ],
    documents: Annotated[str | None, opt.from_field(TrainOptions, "documents")] = None,
    valid: Annotated[str | None, opt.from_field(TrainOptions, "valid")] = None,
    as_json: opt.Json = False,
) -> None:
    """What a training would find in a text: its size, alphabet, lines, duplicates, and what leaks from part to part."""
    working("reading")
    from charrnn.api.corpus import check_corpus

    report = check_corpus(corpus, documents=documents, valid=valid)
    if as_json:
        write(to_json_text(report.to_json()) + "\n")
        return
    share = (
        "{:.2%} of the lines" + f" of more than {report.counted_above} characters" * bool(report.counted_above)
    ).format
    rare = " ".join(map(visible, report.rare_characters))
    show_record(
        ", ".join(report.sources[:3]) + (f" and {len(report.sources) - 3:,} more" if len(report.sources) > 3 else ""),
        {
            "size": f"{megabytes(report.bytes)}, {report.chars:,} characters, {report.words:,} words, UTF-8",
            "alphabet": f"{report.alphabet:,} characters"
            + (f", {report.rare:,} of them fewer than 5 times: {rare}" if report.rare else ""),
            "lines": f"{report.lines:,}, {report.blank_lines:,} of them empty; the longest, line "
            f"{report.longest_line_number:,}, has {report.longest_line:,} characters",
            "stood before": "-" if report.duplicates is None else share(report.duplicates),
            "held out": f"{report.held_out:,} characters to validate"
            if report.held_out
            else "nothing: too little text",
            "leaked": "-"
            if report.leaked is None
            else f"{share(report.leaked)} held out stand in the training part too",
        },
    )
    for note in report.notes:
        answer(note)


def list_bundled(as_json: opt.Json = False) -> None:
    """The corpora that come with charrnn, by the names that `train` takes."""
    from charrnn.text.sources import bundled, bundled_names

    for name in bundled_names():
        file = bundled(name)
        size = file.stat().st_size if file else 0
        write((to_json_text({"name": name, "bytes": size}) if as_json else f"{name}\t{megabytes(size)}") + "\n")


corpus_app.command("check", cls=Command, epilog=CHECK)(check)
corpus_app.command("list", cls=Command, epilog=LIST)(list_bundled)
