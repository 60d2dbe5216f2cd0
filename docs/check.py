"""Run what the pages show: every block of shell and Python, in order, page by page, and the notebooks.

    python docs/check.py [--show] [--as-written] [PAGE]...     all pages, or these

Each page has a folder of its own, which looks like the repository, and one shell, so a later block finds what an
earlier one has made. A command that fails ends its page, and fails the check. `shown.py` tells what a page may say to
it in comments; `--as-written` keeps to what is shown, `--show` writes all commands and what they print.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from shown import ROOT, SHELL, Block, blocks, pages, script

BEGINNING = """set -euo pipefail
trap 'kill $(jobs -p) 2> /dev/null || true' EXIT
"""
LIMIT = 900


def instead_of(found: list[Block]) -> dict[str, str]:
    """What a page's stand-ins put in the place of what it shows."""
    pairs = [block.text.split(" -> ") for block in found if block.kind == "stand-in"]
    return {shown: run for shown, run in pairs}


def page_script(found: list[Block]) -> str:
    """All that is run of a page as one piece of shell, which says before each block in which line it stands."""
    parts, skipped = [BEGINNING], False
    for block in found:
        if block.kind == "before":
            parts.append(block.text)
        elif block.kind == "not run":
            skipped = True
        elif block.kind in SHELL or block.kind == "python":
            if not skipped:
                python = f"python - <<'PYTHON'\n{block.text}PYTHON\n"
                parts += [f"echo '--- line {block.line}' >&2", python if block.kind == "python" else script(block)]
            skipped = False
    return "\n".join(parts)


def replaced(text: str, instead: dict[str, str]) -> str:
    """A text with some of its words in the place of others."""
    for shown, run in instead.items():
        text = text.replace(shown, run)
    return text


def check_page(page: Path, folder: Path, as_written: bool, show: bool) -> str | None:
    """Run a page. None, or what it printed where it failed."""
    found = blocks(page.read_text("utf-8"))
    text = replaced(page_script(found), {} if as_written else instead_of(found))
    (folder / ".page.sh").write_text(text, encoding="utf-8")
    for name in ("docs", "corpora", "benchmarks", "charrnn", "Makefile"):
        (folder / name).symlink_to(ROOT / name)
    environment = {k: v for k, v in os.environ.items() if k not in ("CHARRNN_CHECKPOINTS", "FORCE_COLOR")}
    environment |= {"COLUMNS": "80", "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", *(["-v"] if show else []), ".page.sh"], cwd=folder, env=environment, timeout=LIMIT,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
    )  # fmt: skip
    if show:
        print(done.stdout)
    return done.stdout if done.returncode else None


def check_notebook(file: Path, folder: Path, as_written: bool) -> str | None:
    """Run a notebook. None, or what it failed with."""
    from nbclient import NotebookClient  # of the extra `docs`
    from nbclient.exceptions import CellExecutionError

    notebook: Any = import_module("nbformat").read(file, as_version=4)
    instead = instead_of(blocks("\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")))
    for cell in notebook.cells:
        cell.source = replaced(cell.source, {} if as_written else instead)
    try:
        NotebookClient(notebook, timeout=LIMIT, resources={"metadata": {"path": str(folder)}}).execute()
    except CellExecutionError as problem:
        return str(problem)
    return None


def main() -> int:
    """The number of pages that fail."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("page", type=Path, nargs="*")
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--as-written", action="store_true")
    asked = parser.parse_args()
    failed = 0
    for page in [page.resolve() for page in asked.page] or [
        *pages(),
        *sorted((ROOT / "docs/notebooks").glob("*.ipynb")),
    ]:
        begun = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            if page.suffix == ".ipynb":
                problem = check_notebook(page, Path(folder), asked.as_written)
            else:
                problem = check_page(page, Path(folder), asked.as_written, asked.show)
        failed += problem is not None
        told = "right" if problem is None else "FAILED"
        print(f"{page.relative_to(ROOT)}: {told}, {time.monotonic() - begun:.0f} s", flush=True)
        if problem is not None:
            print("\n".join(f"    {line}" for line in problem.splitlines()[-40:]), flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(min(main(), 1))
