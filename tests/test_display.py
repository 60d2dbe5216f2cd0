"""What a command shows and when: the first line, the end, a picture that fails, Ctrl-C while it loads."""

import atexit
import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import charrnn.__main__ as entry
from charrnn.analysis.context import context_curve, memory_curve
from charrnn.cli import app
from charrnn.config import ModelConfig
from charrnn.plotting import curve
from charrnn.storage.checkpoint import read_header
from charrnn.training import recording

from .cases import each
from .conftest import SMALL, CommandLine, command
from .test_steps import network, text


def first_line_of(*arguments: str, cwd: Path) -> tuple[str, bool]:
    """The first thing that a command says, and whether torch was loaded by then."""
    script = (
        "import sys, charrnn.console as console, charrnn.cli.app as app\n"
        "def told(text, *_):\n    print(text, 'torch' in sys.modules)\n    raise SystemExit\n"
        "console._print = told\n"
        f"app.run({[*arguments]})"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=cwd, capture_output=True, text=True, timeout=60)
    said, _, loaded = done.stdout.strip().rpartition(" ")
    return said, loaded == "True"


def test_training_says_what_it_reads_before_torch_is_loaded(tmp_path: Path, trained: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"x" * 1_100_000)
    (tmp_path / "b.txt").write_bytes(b"y" * 400_000)
    resume = ["--resume", "--checkpoints", str(trained), "--name", "small"]
    for arguments, said in (
        (["a.txt"], "reading a.txt, 1.1 MB"),
        (["a.txt", "b.txt"], "reading 2 texts, 1.5 MB"),
        ([], "reading fables, 0.3 MB"),
        (["-"], "reading standard input"),
        (["none.txt"], "charrnn: there is no file none.txt; bundled corpora are fables, names, river"),
        (resume, f"reading the run small, {(trained / 'small/resume.safetensors').stat().st_size / 1e3:,.1f} kB"),
    ):
        assert first_line_of("train", *arguments, cwd=tmp_path) == (said, False), arguments


def test_a_picture_that_cannot_be_drawn_is_one_line_and_no_failure(
    charrnn: CommandLine, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bytes:
        raise ValueError("no such font")

    monkeypatch.setattr(curve, "draw_curve", fail)
    done = charrnn("train", str(corpus), "--steps", "3", *SMALL)
    (line,) = [line for line in done.err.splitlines() if "no such font" in line]
    assert done.code == 0 and "curve.svg could not be drawn" in line and Path("checkpoints/corpus/model.safetensors")


def test_a_name_that_means_something_to_a_library_is_a_name(charrnn: CommandLine, corpus: Path) -> None:
    assert charrnn("train", str(corpus), "--steps", "3", "--name", "x$_^$<y>", *SMALL).code == 0
    assert "x$_^$&lt;y&gt;: lstm 1 x 16" in Path("checkpoints/x$_^$<y>/curve.svg").read_text(encoding="utf-8")


def test_quiet_training_prints_its_figure_alone(charrnn: CommandLine, corpus: Path) -> None:
    done = charrnn("train", str(corpus), "--steps", "5", "--quiet", *SMALL)
    loss = read_header(Path("checkpoints/corpus/model.safetensors")).summary["loss"]
    assert float(done.out) == pytest.approx(loss / np.log(2)) and done.out.count("\n") == 1 and done.err == ""
    events = charrnn("train", str(corpus), "--steps", "5", "--quiet", "--json", *SMALL).out.splitlines()
    assert events and all(line.startswith("{") for line in events)


def test_loss_and_history_of_a_checkpoint_are_in_one_unit(charrnn: CommandLine, trained: Path) -> None:
    lines = charrnn("inspect", "-m", "small", "--checkpoints", str(trained)).out.splitlines()
    told = {line.split()[0]: line for line in lines if line.startswith(("loss", "history"))}
    assert all("nats per token" in line for line in told.values()) and len(told) == 2
    assert told["history"].split(" nats")[0].split()[-1] == told["loss"].split()[1]


@each(
    "name, title",
    [
        ("fables", "fables: lstm 1 x 128"),
        ("lstm", "lstm 1 x 128"),
        ("LSTM", "lstm 1 x 128"),
        ("lstm 1 x 128", "lstm 1 x 128"),
        ("lstm-2", "lstm-2: lstm 1 x 128"),
    ],
)
def test_a_title_says_the_run_and_the_network_once(name: str, title: str) -> None:
    config = ModelConfig(vocab_size=5, start_id=5, cell="lstm", layers=1, hidden=128, embedding=8)
    assert config.titled(name) == title


def test_curves_of_memory_say_how_far_they_are() -> None:
    for curve_of in (memory_curve, context_curve):
        shares: list[float] = []
        watched = curve_of(network(), text(60), watcher=shares.append)
        assert shares == sorted(shares) and 0 < shares[0] < shares[-1] == pytest.approx(1.0), curve_of
        assert watched.losses == curve_of(network(), text(60)).losses


def test_8_bits_are_measured_on_fewer_tokens_of_a_larger_network(
    charrnn: CommandLine, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[int] = []

    def cost(model: object, tokens: list[int]) -> float:
        measured.append(len(tokens))
        return 0.0

    monkeypatch.setattr(recording, "int8_cost", cost)
    for products in (10**12, 1):
        monkeypatch.setattr(recording, "PRODUCTS_MEASURED", products)
        monkeypatch.setattr(recording, "LEAST_MEASURED", 7)
        monkeypatch.setattr(recording, "MOST_MEASURED", 11)
        assert charrnn("train", str(corpus), "--steps", "2", *SMALL).code == 0
    assert measured == [11, 7]


def test_ctrl_c_while_the_command_is_loaded_ends_it_without_a_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Interrupting:
        @staticmethod
        def find_spec(name: str, *_: object) -> None:
            if name == "charrnn.cli.app":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "charrnn.cli.app", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Interrupting, *sys.meta_path])
    with pytest.raises(SystemExit) as left:
        entry.main()
    assert left.value.code == 130 and capsys.readouterr() == ("", "")


@pytest.mark.slow
def test_what_libraries_have_to_say_is_not_said(trained: Path, tmp_path: Path) -> None:
    """A home that cannot be written and a name that no font can draw: matplotlib warns of both."""
    nowhere = {name: "/dev/null" for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")}
    line = ["inspect", "memory", "-m", str(trained / "small"), "--length", "50", "--svg", "m.svg", "--quiet"]
    child = command(*line, cwd=tmp_path, **nowhere)
    out, err = child.communicate(timeout=60)
    assert (child.returncode, err) == (0, b"") and out and (tmp_path / "m.svg").exists()


def test_figures_are_out_before_a_picture_is_drawn_that_may_fail(
    charrnn: CommandLine, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bytes:
        raise ValueError("no such font")

    monkeypatch.setattr("charrnn.plotting.analysis.draw_context_curves", fail)
    monkeypatch.setattr("charrnn.plotting.analysis.draw_flows", fail)
    where = ["-m", "small", "--checkpoints", str(trained), "--svg", "p.svg"]
    for command_line in (["memory", "--length", "50"], ["gradients", "--reach", "5", "--positions", "2"]):
        done = charrnn("inspect", *command_line, *where)
        assert done.code == 1 and done.out and not Path("p.svg").exists()
        assert "p.svg could not be drawn" in done.err.splitlines()[-1]


def test_the_way_out_writes_what_is_left_and_keeps_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[int] = []
    monkeypatch.setattr(os, "_exit", left.append)
    monkeypatch.setattr(atexit, "_run_exitfuncs", lambda: None)
    gone, full = io.StringIO(), io.StringIO()
    monkeypatch.setattr(gone, "flush", lambda: (_ for _ in ()).throw(BrokenPipeError), raising=False)
    monkeypatch.setattr(full, "flush", lambda: (_ for _ in ()).throw(OSError), raising=False)
    for stream, code in ((io.StringIO(), 0), (io.StringIO(), 3), (gone, 0), (full, 0), (full, 3), (None, 0)):
        monkeypatch.setattr(sys, "stdout", stream)
        app._leave(code)
    assert left == [0, 3, 0, 1, 3, 0]
