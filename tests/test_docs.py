"""What the documents say is what the program does."""

import hashlib
import re
import runpy
from pathlib import Path

import charrnn

ROOT = Path(__file__).parents[1]


def test_the_command_reference_is_what_help_prints() -> None:
    page = runpy.run_path(str(ROOT / "docs/make_cli.py"))
    assert (ROOT / "docs/cli.md").read_text("utf-8") == page["render"](), "run: make docs"


def test_the_changelog_tops_with_the_package_version() -> None:
    versions = re.findall(r"^## \[([^\]]+)\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert next(version for version in versions if version != "Unreleased") == charrnn.__version__


def test_the_corpus_is_the_one_that_its_readme_describes() -> None:
    text = (ROOT / "corpora/fables.txt").read_bytes()
    readme = (ROOT / "corpora/README.md").read_text("utf-8")
    assert hashlib.sha256(text).hexdigest() in readme
    assert f"{len(text.decode('utf-8')):,} characters" in readme and len(text) >= 150_000


def test_every_option_that_the_readme_shows_exists() -> None:
    reference = (ROOT / "docs/cli.md").read_text("utf-8")
    shown = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", (ROOT / "README.md").read_text("utf-8")))
    assert shown and all(option in reference for option in shown), shown
