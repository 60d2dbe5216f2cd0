"""What the documents say is what the program does."""

import hashlib
import re
import runpy
from pathlib import Path

import pytest

import charrnn

ROOT = Path(__file__).parents[1]


def test_the_command_reference_is_what_help_prints() -> None:
    page = runpy.run_path(str(ROOT / "docs/make_cli.py"))
    assert (ROOT / "docs/cli.md").read_text("utf-8") == page["render"](), "run: make docs"


def test_the_changelog_tops_with_the_package_version() -> None:
    versions = re.findall(r"^## \[([^\]]+)\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert next(version for version in versions if version != "Unreleased") == charrnn.__version__


@pytest.mark.parametrize(("name", "least"), [("fables", 150_000), ("river", 60_000)])
def test_the_corpora_are_the_ones_that_their_readme_describes(name: str, least: int) -> None:
    text = (ROOT / f"corpora/{name}.txt").read_bytes()
    readme = (ROOT / "corpora/README.md").read_text("utf-8")
    assert hashlib.sha256(text).hexdigest() in readme
    assert f"{len(text.decode('utf-8')):,} characters" in readme and len(text.decode("utf-8")) >= least


def test_every_option_that_the_readme_shows_exists() -> None:
    reference = (ROOT / "docs/cli.md").read_text("utf-8")
    shown = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", (ROOT / "README.md").read_text("utf-8")))
    assert shown and all(option in reference for option in shown), shown
