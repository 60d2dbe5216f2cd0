"""Shared by all tests: one thread, small texts, and a command line that runs in this process."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import torch
import typer

from charrnn import machine, native
from charrnn.cli.app import run
from charrnn.console import Talk

from .forks import forking

# Small, fast, and with every option that would otherwise be chosen by the clock.
SMALL = ["--hidden", "16", "--embedding", "8", "--layers", "1", "--batch-size", "4", "--bptt", "16", "--threads", "1"]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    torch.set_num_threads(1)
    yield
    Talk.quiet = False


@pytest.fixture
def compiled_library() -> None:
    """A machine with a compiler has the library: only one without may leave the tests out that ask for this."""
    if native.library() is None:
        assert not shutil.which("cc"), "run: python hatch_build.py"
        pytest.skip("no C compiler")


@dataclass
class Result:
    """What a command line did."""

    code: int
    out: str
    err: str


CommandLine = Callable[..., Result]
# Commands and their options, made of their signatures once for all tests and not for each line.
built = cache(typer.main.get_command)


@pytest.fixture
def charrnn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> CommandLine:
    """Run a command line in an empty folder, in this process, on one thread: tests run beside each other."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(machine, "cores", lambda: 1)
    monkeypatch.setattr(typer.main, "get_command", built)
    monkeypatch.delenv("CHARRNN_CHECKPOINTS", raising=False)

    def call(*arguments: str) -> Result:
        capfd.readouterr()
        code = run(list(arguments))
        out, err = capfd.readouterr()
        return Result(code, out, err)

    return call


def command(*arguments: str, cwd: Path, **environment: str) -> "subprocess.Popen[bytes]":
    """Start a command line as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "charrnn", *arguments],
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The command line as a program of its own that starts at once."""
    path = tmp_path_factory.mktemp("program") / "charrnn"
    with forking(path):
        yield path


@pytest.fixture(scope="session")
def prose() -> str:
    """A few thousand characters of English with some structure."""
    from charrnn.text.sources import bundled

    path = bundled("fables")
    assert path is not None
    return path.read_text(encoding="utf-8")[1000:13_000]


@pytest.fixture
def corpus(tmp_path: Path, prose: str) -> Path:
    """The same as a file."""
    path = tmp_path / "corpus.txt"
    path.write_text(prose, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, prose: str) -> Path:
    """A checkpoints folder with one run, `small`, of characters, and one of documents, `lines`."""
    folder = tmp_path_factory.mktemp("trained")
    text = folder / "corpus.txt"
    text.write_text(prose, encoding="utf-8")
    checkpoints = ["--checkpoints", str(folder / "checkpoints"), "--seed", "1", "--quiet"]
    assert (
        run(["train", str(text), "--steps", "60", "--name", "lines", "--documents", "lines", *SMALL, *checkpoints]) == 0
    )
    assert run(["train", str(text), "--steps", "60", "--name", "small", *SMALL, *checkpoints]) == 0
    return folder / "checkpoints"
