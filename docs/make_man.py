"""Write the manual, a page a command (docs/man/charrnn-sample.1), from what help is made of; a test holds them to it.

A wheel installs them into share/man/man1. Markup is man(7)'s.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from charrnn import __version__
from charrnn.cli.app import app
from charrnn.cli.flags import commands

FOLDER = Path(__file__).with_name("man")
EXIT = """.SH EXIT STATUS
0 done; 1 a failure, told in one line; 2 wrong usage; 3 a gate that did not hold; 130 interrupted, with everything
saved.
"""


def quoted(text: str) -> str:
    """Words that roff leaves as they are: no backslash, no leading dot or apostrophe that it would take for its own."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"(?m)^(?=[.'])", r"\\&", text)


def prose(markdown: str) -> Iterator[str]:
    """Paragraphs and lists; command lines, and what stands indented, as they are."""
    for paragraph in re.split(r"\n\s*\n", markdown.strip("\n")):
        if paragraph.startswith("- "):
            items = re.split(r"(?m)^- ", re.sub(r"\\([*_])", r"\1", paragraph))[1:]
            yield "".join(f".IP \\(bu 2\n{quoted(item.strip())}\n" for item in items)
        elif paragraph.startswith(" ") or "charrnn " in paragraph.split(":")[0]:
            yield f".PP\n.RS 4\n.nf\n{quoted(re.sub('(?m)^ +', '', paragraph))}\n.fi\n.RE\n"
        else:
            yield f".PP\n{quoted(paragraph.replace('`', ''))}\n"


def options(parameters: list[Any], context: Any) -> Iterator[str]:
    """Arguments, and options under the headings of the help."""
    headings: dict[str, list[str]] = {"": []}
    for parameter in parameters:
        if record := parameter.get_help_record(context):
            name, words = record
            if parameter.param_type_name == "argument":
                name = name.split()[0]
            panel = getattr(parameter, "rich_help_panel", None) or ""
            headings.setdefault(panel, []).append(f".TP\n.B {quoted(name)}\n{quoted(words)}\n")
    for heading, entries in headings.items():
        yield (f".SS {quoted(heading)}\n" if heading else "") + "".join(entries)


def manual(name: str, command: Any) -> str:
    """The manual page of a command."""
    whole = f"charrnn {name}".strip()
    context = typer.Context(command, info_name=whole, help_option_names=["-h", "--help"])
    title = whole.replace(" ", "-")
    brief, _, more = (command.help or "").partition("\n\n")
    below = [f"{title}-{each}" for each in getattr(command, "commands", {})]
    parts = [
        f'.TH {title.upper()} 1 "" "charrnn {__version__}" "charrnn"\n',
        f".SH NAME\n{quoted(title)} \\- {quoted(' '.join(brief.rstrip('.').split()))}\n",
        f".SH SYNOPSIS\n.B {quoted(whole)}\n{quoted(' '.join(command.collect_usage_pieces(context)))}\n",
        *([".SH DESCRIPTION\n", *prose(more)] if more else []),
        ".SH OPTIONS\n",
        *options(command.get_params(context), context),
        *([".SH EXAMPLES\n", *prose(command.epilog.removeprefix("Examples:\n\n"))] if command.epilog else []),
        EXIT,
        *([f".SH SEE ALSO\n{', '.join(f'{quoted(page)}(1)' for page in below)}\n"] if below else []),
    ]
    return "".join(parts)


def render() -> dict[str, str]:
    """Every page by the name of its file."""
    return {f"charrnn-{name}".strip("-").replace(" ", "-") + ".1": manual(name, each) for name, each in commands(app)}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.1"):
        old.unlink()
    for name, text in render().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
