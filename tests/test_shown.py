"""The pages show commands that exist, with options that exist, and link to what is there."""

import json
import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import typer

from charrnn.cli.app import app
from charrnn.cli.flags import commands
from charrnn.errors import CharrnnError

ROOT = Path(__file__).parents[1]
shown = runpy.run_path(str(ROOT / "docs/shown.py"))
APP: Any = typer.main.get_command(app)


def parse(words: list[str]) -> None:
    """Read a command line as the program does, and do nothing. Raises what it raises."""
    if "--install-completion" in words:  # would be done as it is read
        return
    command, context = APP, None
    while True:
        context = command.make_context(command.name, words, parent=context)
        words = [*context._protected_args, *context.args] if hasattr(command, "commands") else []
        if not words:
            return
        _, command, words = command.resolve_command(context, words)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A place where no word of a command line is the name of a file."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("folder")
def test_every_command_that_a_page_shows_can_be_read() -> None:
    seen = 0
    for page in shown["pages"]():
        text = page.read_text("utf-8")
        pieces = [(b.line, shown["script"](b)) for b in shown["blocks"](text) if b.kind in shown["SHELL"]]
        inline = re.finditer(r"`(charrnn [^`]+)`", text)
        pieces += [(text.count("\n", 0, m.start()) + 1, m[1].replace("TIME", "10m")) for m in inline]
        for line, shell in pieces:
            for words in shown["command_lines"](shell):
                seen += 1
                try:
                    parse(words)
                except (typer.Exit, SystemExit):  # --version and the like, which are done as they are read
                    pass
                except (typer.TyperException, CharrnnError) as problem:
                    pytest.fail(f"{page.relative_to(ROOT)}, line {line}: charrnn {' '.join(words)}: {problem}")
    assert seen > 150


@pytest.mark.usefixtures("folder")
def test_every_example_of_the_help_can_be_read() -> None:
    endings = [(command.epilog or "").partition("Examples:")[2] for _, command in commands(app)]
    examples = [line.strip() for ending in endings for line in ending.splitlines() if "charrnn " in line]
    assert len(examples) > 40
    for example in examples:
        found = list(shown["command_lines"](example))
        assert found, example
        for words in found:
            parse(words)


def test_a_command_line_is_found_wherever_the_shell_runs_one() -> None:
    shell = """
        # charrnn is a word of this remark
        ppl=$(charrnn eval -q "a b.txt" | head -n 1)  # and here
        charrnn score -q < in.txt > out.txt 2>&1 && echo charrnn; for f in *; do charrnn compress "$f"; done
        echo "$(charrnn runs)"
        torchrun -m charrnn train \\
            x.txt
    """
    assert list(shown["command_lines"](shell)) == [
        ["eval", "-q", "a b.txt"], ["score", "-q"], ["compress", "$f"], ["runs"], ["train", "x.txt"]
    ]  # fmt: skip
    with pytest.raises(typer.TyperException):
        parse(["sample", "--temprature", "1"])
    with pytest.raises(typer.TyperException):
        parse(["smaple"])


def test_what_a_comment_says_to_the_check_stands_before_its_block() -> None:
    text = "<!-- stand-in: a b -> c -->\n<!-- not run: so\nslow -->\n```sh\nx\n```\n```console\n$ y \\\n> z\nout\n```\n"
    found = shown["blocks"](text)
    assert [block.kind for block in found] == ["stand-in", "not run", "sh", "console"]
    assert [found[0].text, found[2].line, shown["script"](found[3])] == ["a b -> c", 4, "y \\\nz\n"]


def test_tutorials_fit_a_terminal() -> None:
    for page in (ROOT / "docs/tutorials").iterdir():
        lines = [line for block in shown["blocks"](page.read_text("utf-8")) for line in block.text.splitlines()]
        assert all(len(line) <= 80 for line in lines), (page.name, max(lines, key=len))


def anchors(page: Path) -> set[str]:
    """What may be linked to in a page, as its headings are called in links."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"(?ms)^```.*?^```$", "", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_every_link_between_pages_leads_somewhere() -> None:
    written = [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *ROOT.glob("*/README.md"),
        ROOT / "benchmarks/RESULTS.md",
    ]
    for page in written:
        text = re.sub(r"(?ms)^ *```.*?^ *```$|`[^`\n]*`", "", page.read_text("utf-8"))
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if "://" not in target:
                path, _, anchor = target.partition("#")
                file = (page.parent / path).resolve() if path else page
                assert file.exists(), f"{page.relative_to(ROOT)} links to {target}"
                assert not anchor or anchor in anchors(file), f"{page.relative_to(ROOT)} links to {target}"


def test_every_page_is_in_the_contents_of_the_site() -> None:
    contents = set(re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text("utf-8")))
    assert contents == {page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md")}


def test_notebooks_are_kept_without_what_they_print() -> None:
    notebooks = sorted((ROOT / "docs/notebooks").glob("*.ipynb"))
    assert [notebook.name for notebook in notebooks] == ["a_look_inside.ipynb", "first_run.ipynb"]
    for notebook in notebooks:
        for cell in json.loads(notebook.read_text("utf-8"))["cells"]:
            assert cell["cell_type"] == "markdown" or (cell["outputs"] == [] and cell["execution_count"] is None)
