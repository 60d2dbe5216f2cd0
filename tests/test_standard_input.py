"""Standard input where no text is named: what is piped in is the text; cron, loops and callers come to no harm."""

import os
import pty
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from charrnn import api
from charrnn.cli import standard_input

from .cases import each
from .conftest import SMALL, CommandLine

ASK = """
from charrnn.cli import standard_input
from charrnn.errors import ConfigError
standard_input.SECONDS_UNTIL_SAID, standard_input.SECONDS_WAITED = {seconds}
try:
    print(standard_input.or_standard_input(None, empty={empty}))
except ConfigError as problem:
    print("refused:", problem)
"""
NONE, READ = "[]", "['-']"


def asked(stdin: int | None, *, seconds: tuple[float, float] = (20, 20), empty: bool = False) -> str:
    """What a process of its own makes of this standard input; None: it is closed."""
    code = [sys.executable, "-c", ASK.format(seconds=seconds, empty=empty)]
    if stdin is None:
        code = ["sh", "-c", 'exec "$@" <&-', "sh", *code]
    return subprocess.run(code, stdin=stdin, stdout=subprocess.PIPE, check=True, text=True).stdout.strip()


@contextmanager
def opened(*descriptors: int) -> Iterator[None]:
    try:
        yield
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def pair(kind: str) -> tuple[int, int]:
    """A reading and a writing end."""
    if kind == "pipe":
        return os.pipe()
    if kind == "terminal":
        master, slave = pty.openpty()
        return slave, master
    return tuple(end.detach() for end in socket.socketpair())  # type: ignore[return-value]


@each("kind", ["pipe", "socket"])
def test_what_comes_through_a_pipe_is_the_text_and_its_end_alone_is_refused(kind: str) -> None:
    for content, wanted in ((b"text", READ), (b"", "refused:")):
        reading, writing = pair(kind)
        os.write(writing, content)
        os.close(writing)
        with opened(reading):
            assert asked(reading).startswith(wanted)
            assert asked(reading, empty=True) == READ, "for a command without another text"


def test_who_writes_late_is_waited_for_and_who_never_does_is_not() -> None:
    reading, writing = pair("pipe")
    with opened(reading):
        late = threading.Timer(0.5, lambda: os.write(writing, b"text"))
        late.start()
        assert asked(reading) == READ
        late.join()
        os.close(writing)
    reading, writing = pair("pipe")
    with opened(reading, writing):
        told = asked(reading, seconds=(0, 0.1))
    assert told.startswith("refused:") and "nothing comes" in told and "< /dev/null" in told


def test_a_terminal_the_null_device_and_what_is_closed_hold_no_text() -> None:
    assert asked(subprocess.DEVNULL) == asked(subprocess.DEVNULL, empty=True) == NONE
    assert asked(None) == NONE
    terminal, other = pair("terminal")
    with opened(terminal, other):
        os.write(other, b"typed\n")
        assert asked(terminal) == NONE


def test_a_file_is_the_text_unless_somebody_reads_it_and_an_empty_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("text")
    (tmp_path / "empty").write_text("")
    for name, at, wanted in (("text", 0, READ), ("text", 4, NONE), ("empty", 0, "refused:"), ("text", 2, "refused:")):
        descriptor = os.open(tmp_path / name, os.O_RDONLY)
        with opened(descriptor):
            os.lseek(descriptor, at, os.SEEK_SET)
            told = asked(descriptor)
            assert told == wanted or (wanted == "refused:" and told.startswith(wanted) and "write -" in told), (
                name,
                at,
            )


def test_a_text_that_is_named_leaves_standard_input_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standard_input, "holds_text", lambda: 1 / 0)
    assert standard_input.or_standard_input(["a", "b"]) == ["a", "b"]


# ---- commands


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """Make a text this process's standard input."""
    with ExitStack() as files:

        def pipe(text: str) -> None:
            file = tmp_path / "piped"
            file.write_text(text, encoding="utf-8")
            monkeypatch.setattr("sys.stdin", files.enter_context(file.open(encoding="utf-8")))

        yield pipe


TAKES_A_TEXT = [
    ["eval", "-q", "--threads", "1"],
    ["inspect", "gradients", "-q", "--seed", "1", "--positions", "4", "--reach", "5"],
    ["inspect", "memory", "--compare-with", "lines", "--length", "150"],
    ["inspect", "neurons", "--property", "case", "--length", "150"],
]


def test_every_command_that_takes_a_text_takes_it_from_standard_input(
    charrnn: CommandLine, trained: Path, prose: str, piped: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = " ".join(prose[:700].split())
    Path("text.txt").write_text(text, encoding="utf-8")
    for command in TAKES_A_TEXT:
        line = [*command, "-m", "small", "--checkpoints", str(trained)]
        named = charrnn(*line, "text.txt")
        piped("")
        empty = charrnn(*line)
        assert empty.code == 2 and empty.out == "" and "standard input is empty" in empty.err
        with open(os.devnull) as nothing, monkeypatch.context() as patch:
            patch.setattr("sys.stdin", nothing)
            own = charrnn(*line)
        piped(text)
        result = charrnn(*line)
        assert (result.code, own.code) == (0, 0), result.err + own.err
        assert result.out == named.out != own.out, line
        assert "standard input is read" in result.err or "-q" in line
        piped(text)
        assert charrnn(*line, "-").out == named.out


def test_fill_takes_its_text_from_standard_input_without_the_last_line_end(
    charrnn: CommandLine, piped: Callable[[str], None]
) -> None:
    model = Path(__file__).parent / "golden/f4-run-bidirectional/model.safetensors"
    text, line = "The [...] stood in the shallows.", ["fill", "-m", str(model), "--candidate", "heron"]
    named = charrnn(*line, text)
    assert named.code == 0 and named.out.startswith("heron\t")
    for more in ([], ["-"]):
        piped(f"{text}\n")
        assert charrnn(*line, *more).out == named.out
    piped("")
    done = charrnn(*line)
    assert done.code == 2 and "standard input is empty" in done.err


def test_train_takes_its_corpus_from_standard_input(
    charrnn: CommandLine, prose: str, piped: Callable[[str], None]
) -> None:
    piped(prose)
    assert charrnn("train", "--steps", "2", "--seed", "1", *SMALL).code == 0
    assert Path("checkpoints/stdin/corpus.txt").read_text("utf-8") == prose


def test_sample_says_that_it_does_not_read_what_is_piped_in(
    charrnn: CommandLine, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = ["sample", "-m", "small", "--checkpoints", str(trained), "-l", "5", "--seed", "1"]
    reading, writing = os.pipe()
    with os.fdopen(reading) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        assert "standard input" not in charrnn(*line).err
        os.write(writing, b"The heron")
        assert "--prompt-file - takes the prompt from there" in charrnn(*line).err
        assert "standard input" not in charrnn(*line, "-p", "The").err
        os.close(writing)
        assert charrnn(*line, "--prompt-file", "-").out.startswith("The heron")


@pytest.mark.slow
def test_eval_scores_what_is_piped_in_and_else_the_runs_own_part(
    tmp_path: Path, trained: Path, prose: str, program: Path
) -> None:
    model = api.load("small", checkpoints=trained)
    text = tmp_path / "text.txt"
    text.write_text(prose[:300], encoding="utf-8")
    of_text, own = model.score(prose[:300]).ppl, model.score(api.held_out(model), unknown=True).ppl
    assert abs(of_text - own) > 0.01
    line = f"{program} eval -q --threads 1 -m small --checkpoints '{trained}'"
    for form, wanted in (
        (f"cat {text} | {line}", of_text),
        (f"{line} < {text}", of_text),
        (f"{line} < /dev/null", own),
    ):
        done = subprocess.run(["bash", "-c", form], capture_output=True, check=True, stdin=subprocess.DEVNULL)
        assert float(done.stdout) == pytest.approx(wanted, rel=1e-6), form
