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


def test_the_manual_is_made_of_the_same_help() -> None:
    pages = runpy.run_path(str(ROOT / "docs/make_man.py"))["render"]()
    assert pages == {file.name: file.read_text("utf-8") for file in (ROOT / "docs/man").glob("*.1")}, "run: make docs"
    assert (
        ".B charrnn sample\n[OPTIONS]" in pages["charrnn-sample.1"]
        and ".B \\-\\-match, \\-\\-regex <regex>" in pages["charrnn-sample.1"]
    )


def test_the_changelog_tops_with_the_package_version() -> None:
    versions = re.findall(r"^## \[([^\]]+)\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert next(version for version in versions if version != "Unreleased") == charrnn.__version__
    assert f"\nversion: {charrnn.__version__}\n" in (ROOT / "CITATION.cff").read_text("utf-8")


def test_the_corpora_are_the_ones_that_their_readme_describes() -> None:
    readme = (ROOT / "corpora/README.md").read_text("utf-8")
    for name, least in (("fables", 150_000), ("river", 60_000), ("names", 5_000)):
        text = (ROOT / f"corpora/{name}.txt").read_bytes()
        assert hashlib.sha256(text).hexdigest() in readme, name
        assert f"{len(text.decode('utf-8')):,} characters" in readme and len(text.decode("utf-8")) >= least, name


def test_every_option_that_the_readme_shows_exists() -> None:
    reference = (ROOT / "docs/cli.md").read_text("utf-8")
    shown = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", (ROOT / "README.md").read_text("utf-8")))
    assert shown and all(option in reference for option in shown), shown


def test_the_words_of_the_field_are_found_in_the_help() -> None:
    reference = " ".join((ROOT / "docs/cli.md").read_text("utf-8").replace("│", " ").lower().split())
    for word in (
        "hyperparameter", "overfit", "early stopping", "cross-entropy", "quantiz", "perplexity", "dropout", "ensemble",
        "learning rate", "gradient clipping", "layer normalisation", "tied embeddings", "weight decay", "epochs",
        "batch size", "truncated back-propagation through time", "nucleus", "dynamic evaluation", "fine-tune",
        "validation set", "test set",
    ):  # fmt: skip
        assert word in reference, word


def test_the_container_is_made_of_files_that_exist_by_the_line_that_the_readme_has() -> None:
    text = (ROOT / "Dockerfile").read_text("utf-8")
    copied = [name for line in re.findall(r"^COPY (?!--from)(.+)", text, re.MULTILINE) for name in line.split()[:-1]]
    assert {"charrnn", "corpora", "pyproject.toml", "constraints.txt"} <= set(copied)
    assert all((ROOT / name).exists() for name in copied), copied
    needed = set(re.findall(r'"(corpora|docs/man)[/"]', (ROOT / "pyproject.toml").read_text("utf-8"))) | {
        "README.md",
        "LICENSE",
        "hatch_build.py",
    }
    assert needed <= set(copied), "what pyproject.toml packs"
    wheel, _, install = re.findall(r"^RUN (.+)", text, re.MULTILINE)
    assert "pip wheel --no-deps" in wheel and wheel.endswith(" .")
    assert install.split()[:2] == ["pip", "install"] and install.endswith(".whl") and "constraints.txt" in install
    assert "`pip install .`" in (ROOT / "README.md").read_text("utf-8")
    assert "://" not in text, "no address of anybody's"
