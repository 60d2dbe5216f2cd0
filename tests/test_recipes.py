"""Every recipe of docs/recipes.md runs as it is written, on small models and small files."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from charrnn.cli.app import run

from .conftest import SMALL

PAGE = (Path(__file__).parents[1] / "docs/recipes.md").read_text("utf-8")
BLOCKS = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
ENGLISH = ["The heron stood in the shallows below the ferry.", "She was sorry all the way to the weir."]
RUSSIAN = ["На реке Талице стоял старый паром.", "Мельник вышел на берег и долго смотрел на воду."]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, program: Path) -> Path:
    """Two models of bytes that know one language each, and the files of the recipes."""
    folder = tmp_path_factory.mktemp("recipes")
    for name in ("fables", "river"):
        asked = ["--name", name, "--checkpoints", str(folder / "checkpoints"), "--seed", "1", "-q", *SMALL]
        assert run(["train", name, "--tokenizer", "byte", "--steps", "150", "--lr", "0.02", *asked]) == 0
    usual = [f"The {who} came to the {where}." for who in ("heron", "miller") for where in ("ferry", "mill", "weir")]
    files = {
        "test.txt": "\n".join(ENGLISH) + "\n",
        "app.log": "\n".join([*usual, "#%@! 0x7F&&^~ |||| QZXJ", *usual]) + "\n",
        "mixed.txt": "\n".join([ENGLISH[0], *RUSSIAN, ENGLISH[1]]) + "\n",
        "pairs.jsonl": json.dumps({"sentence_good": "The cats sleep.", "sentence_bad": "Zq#cats xsleep.", "UID": "a"}),
        "pairs.tsv": "The mill stood there.\tMill the there stood #@.\n",
        "items.txt": "\n".join(ENGLISH) + "\n",
        "new/a.txt": "\n".join(ENGLISH * 8),
        "new/b.txt": "\n".join(ENGLISH * 8),
        "new/c.txt": "\n".join(f"#{number * 7919 % 1000}@QX{number}Z^" for number in range(60)),
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "bin").symlink_to(program.parent)
    return folder


def ran(folder: Path, title: str) -> list[str]:
    """The lines that the blocks of a recipe write; a command that fails fails them."""
    written = []
    for block in re.findall(r"^```sh\n(.*?)^```", BLOCKS[title], re.MULTILINE | re.DOTALL):
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block], cwd=folder, capture_output=True, encoding="utf-8", timeout=120,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
        assert done.returncode == 0, (block, done.stderr)
        written += done.stdout.splitlines()
    return written


@pytest.mark.slow
def test_a_gate(folder: Path) -> None:
    first, second, words, third = ran(folder, "A gate in CI")
    assert words == "worse than the gate" and first == second == third and 0.1 < float(first) < 8


@pytest.mark.slow
def test_odd_lines(folder: Path) -> None:
    odd, *others = ran(folder, "The oddest lines of a log")
    assert odd.endswith("\t#%@! 0x7F&&^~ |||| QZXJ") and len(others) == 2
    assert all(float(odd.split("\t")[0]) > float(line.split("\t")[0]) for line in others)


@pytest.mark.slow
def test_languages(folder: Path) -> None:
    rows = [line.split("\t") for line in ran(folder, "Which language a line is in")]
    assert [row[0] for row in rows] == ["English", "Russian", "Russian", "English"]
    assert [row[2] for row in rows] == [ENGLISH[0], *RUSSIAN, ENGLISH[1]]
    assert [float(row[1]) > 0 for row in rows] == [True, False, False, True]


@pytest.mark.slow
def test_pairs(folder: Path) -> None:
    *table, figure = ran(folder, "Minimal pairs from files")
    header, whole, uid = (line.split("\t") for line in table)
    assert header[3:5] == ["pairs", "accuracy"] and whole[3:5] == uid[3:5] == ["1", "1.0"] and float(figure) == 1


@pytest.mark.slow
def test_reading_times(folder: Path) -> None:
    header, first, second, *sums = ran(folder, "A table for reading times")
    assert header == "line\ttext\tstart\tend" and first == "1\tThe\t0\t3" and second == "1\theron\t4\t9"
    assert [line.split("\t")[0] for line in sums] == ["1", "2"] and all(float(one.split("\t")[1]) > 0 for one in sums)


@pytest.mark.slow
def test_counts(folder: Path) -> None:
    together, alone = (line.split("\t") for line in ran(folder, "What a table of counts adds"))
    assert (together[0], alone[0]) == ("bpb", "network_bpb") and float(together[1]) < float(alone[1])


@pytest.mark.slow
def test_duplicates(folder: Path) -> None:
    *ranked, ratio = ran(folder, "Duplicates by compression")
    assert [line.split("\t")[1] for line in ranked] == ["new/a.txt", "new/b.txt", "new/c.txt"]
    assert 0 < float(ratio) < 1


def test_every_recipe_has_its_test() -> None:
    tests = Path(__file__).read_text("utf-8")
    assert len(BLOCKS) == 7 and all(f'"{title}"' in tests for title in BLOCKS)
    assert PAGE.count("```sh") >= len(BLOCKS)
