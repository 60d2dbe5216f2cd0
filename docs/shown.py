"""What the pages show: their blocks of commands, and the command lines of charrnn in them.

Comments of HTML, which no reader sees, say what a page that is checked (`docs/check.py`) does otherwise than it shows:

    <!-- before:                        shell that is run first: files that a reader has, and a check must make
    head -c 9999 … > corpus.txt
    -->
    <!-- stand-in: --for 10m -> --for 5s -->   everywhere in the page, these words are run as those
    <!-- not run: why -->                      the next block is only read
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
# Reports of what is past, and pages made from the code: what they show is not to be run again.
READ_ALONE = {"docs/experiments.md", "docs/cli.md", "docs/api.md", "docs/design.md"}
SHELL = {"sh", "bash", "console"}
FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
MARK = re.compile(r"<!-- (?P<kind>before|stand-in|not run):\s(?P<text>.*?)\s*-->", re.DOTALL)
# What ends a command, and words behind which another begins.
ENDS = set(";|&()\n")
BEFORE_A_COMMAND = {"do", "then", "else", "if", "while", "!", "-m"}


class Block(NamedTuple):
    """A block of a page. `kind`: its language; or before, stand-in, not run."""

    line: int
    kind: str
    text: str


def pages() -> list[Path]:
    """Every page whose commands are run: README.md, CONTRIBUTING.md and those in docs/."""
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [page for page in found if page.relative_to(ROOT).as_posix() not in READ_ALONE]


def blocks(text: str) -> list[Block]:
    """Blocks and marks, in the order in which they stand; a block that a quote or a list holds is moved to the left."""
    found = [(m.start(), m["language"], re.sub(f"(?m)^{m['indent']}", "", m["text"])) for m in FENCE.finditer(text)]
    found += [(m.start(), m["kind"], m["text"]) for m in MARK.finditer(text)]
    return [Block(text.count("\n", 0, start) + 1, kind, words) for start, kind, words in sorted(found)]


def script(block: Block) -> str:
    """The commands of a block without what they print: in a console they stand behind `$`, and `>` goes on."""
    if block.kind != "console":
        return block.text
    typed = re.findall(r"^(?:\$|>) (.*\n)", block.text, re.MULTILINE)
    return "".join(typed)


def command_lines(shell: str) -> Iterator[list[str]]:
    """The arguments of every `charrnn` in a piece of shell, those within `$(…)` too."""
    shell = re.sub(r"\\\n\s*| \d(?=>)", " ", shell)  # one line again, and `2>` as `>`
    lexer = shlex.shlex(re.sub(r"(?m)(^|\s)# .*$", r"\1", shell), posix=True, punctuation_chars=";()<>|&\n")
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t\r", True, ""
    words = list(lexer)
    for place, word in enumerate(words):
        for quoted in re.findall(r"\$\((.*)\)", word, re.DOTALL):
            yield from command_lines(quoted)
        before = words[place - 1] if place else ";"
        if word == "charrnn" and (set(before) <= ENDS or before in BEFORE_A_COMMAND or re.match(r"\w+=", before)):
            yield list(_arguments(words[place + 1 :]))


def _arguments(words: list[str]) -> Iterator[str]:
    """The words up to the end of the command, without what is read from and written to."""
    following = iter(words)
    for word in following:
        if set(word) <= ENDS:
            return
        if set(word) <= set("<>&"):
            next(following, None)
        else:
            yield word
