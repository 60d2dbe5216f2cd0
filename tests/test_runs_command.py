"""`charrnn runs` and `charrnn.runs`: listed, compared, removed; one writer at a time; texts that move; completion."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import charrnn as library
from charrnn.cli import runs as runs_command
from charrnn.cli.app import app
from charrnn.cli.flags import commands
from charrnn.errors import CorpusError, RunError
from charrnn.storage.checkpoint import read, read_header, write
from charrnn.storage.lock import Lock
from charrnn.storage.runs import Run
from tests.conftest import SMALL, CommandLine
from tests.test_bad_input import refused


@pytest.fixture
def here(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the folder with the runs `lines` and `small`, the last saved last, where the command line looks."""
    folder = Path(shutil.copytree(trained, tmp_path / "checkpoints"))
    for time, name in enumerate(("lines", "small"), start=10):
        for path in (folder / name).iterdir():
            os.utime(path, (time, time))
    return folder


def rows(text: str) -> list[list[str]]:
    return [line.split("\t") for line in text.splitlines()]


# ---- listed


def test_runs_are_listed_the_last_in_front_or_as_asked(charrnn: CommandLine, here: Path) -> None:
    (here / "empty").mkdir()
    (here / "README.md").write_text("")
    listed = rows(charrnn("runs").out)
    assert listed[0] == ["name", "corpus", "network", "weights", "bpc", "steps", "time", "age", "state"]
    assert [row[0] for row in listed[1:]] == ["small", "lines"]
    name, corpus, network, weights, bpc, steps, _, _, state = listed[1]
    header = read_header(here / "small/model.safetensors")
    assert (name, corpus, network, steps, state) == ("small", "corpus.txt", "lstm 1 x 16", "60", "complete")
    assert int(weights.replace(",", "")) == header.parameters
    assert float(bpc) == pytest.approx(header.summary["loss"] / 0.693147, abs=2e-3)
    assert charrnn("runs", "-q", "--sort", "name").out == "lines\nsmall\n"
    best = sorted(library.runs(here), key=lambda run: run.bpc or 0.0)
    assert charrnn("runs", "-q", "--sort", "best").out.split() == [run.name for run in best]
    found = [json.loads(line) for line in charrnn("runs", "--json").out.splitlines()]
    assert [one["name"] for one in found] == ["small", "lines"]
    assert found[1]["options"]["documents"] == "lines" and found[0]["loss"] == header.summary["loss"]


def test_where_there_is_no_run_nothing_is_listed(charrnn: CommandLine) -> None:
    result = charrnn("runs")
    assert result.code == 0 and result.out == "" and "charrnn train makes one" in result.err
    assert library.runs("nowhere") == []


def test_the_state_of_a_run_says_what_can_be_done_with_it(here: Path) -> None:
    def state(name: str) -> tuple[str, bool]:
        (found,) = [run for run in library.runs(here) if run.name == name]
        return found.state, found.problem is not None

    assert state("small") == ("complete", False)
    with Lock(here / "small"):
        assert state("small") == ("training", False)
    header, tensors = read(here / "small/resume.safetensors")
    saved = header.metadata["resume"]
    going = {**saved, "progress": {**saved["progress"], "finished": False}}
    write(here / "small/resume.safetensors", tensors, {**header.metadata, "resume": going})
    assert state("small") == ("resumable", False)
    (here / "small/resume.safetensors").unlink()
    assert state("small") == ("model only", False)
    (here / "lines/model.safetensors").write_bytes(b"x")
    assert state("lines") == ("damaged", True)


def test_a_name_is_one_field_whatever_is_in_it(charrnn: CommandLine, here: Path) -> None:
    (here / "small").rename(here / "a\tb\n\x1b[31m")
    listed = rows(charrnn("runs", "--sort", "name").out)
    assert [row[0] for row in listed[1:]] == ["a\\tb\\n\\x1b[31m", "lines"]


# ---- compared


def test_runs_are_compared_by_figures_and_by_the_options_in_which_they_differ(charrnn: CommandLine, here: Path) -> None:
    found = {row[0]: row[1:] for row in rows(charrnn("runs", "compare", "small", "lines").out)}
    assert found["name"] == ["small", "lines"] and found["documents"] == ["stream", "lines"]
    assert found["network"][0] == found["network"][1] == "lstm 1 x 16"
    assert "hidden" not in found and "seed" not in found
    both = json.loads(charrnn("runs", "compare", "small", "lines", "--json").out)
    assert both["differences"]["documents"] == ["stream", "lines"]
    refused(charrnn("runs", "compare", "small"), 2, "two runs")
    refused(charrnn("runs", "compare", "small", "none"), 1, "no run none")


# ---- removed


def test_a_run_is_removed_when_that_is_meant(charrnn: CommandLine, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused(charrnn("runs", "rm", "small"), 1, "--yes")
    refused(charrnn("runs", "rm", "small", "none", "--yes"), 1, "no run none")
    with Lock(here / "small"):
        refused(charrnn("runs", "rm", "lines", "small", "--yes"), 1, "small is being trained")
    assert (here / "small").exists() and (here / "lines").exists()
    (here / "lines/notes.md").write_text("mine")
    result = charrnn("runs", "rm", "small", "lines", "small", "--yes")
    assert result.code == 0 and result.out == "" and "notes.md" in result.err
    assert not (here / "small").exists() and os.listdir(here / "lines") == ["notes.md"]


def test_somebody_who_is_there_is_asked(charrnn: CommandLine, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    for answer, gone in ((False, False), (True, True)):
        asked: list[str] = []

        def confirm(text: str, abort: bool, err: bool, answer: bool = answer, asked: list[str] = asked) -> None:
            asked.append(text)
            if not answer:
                raise KeyboardInterrupt

        monkeypatch.setattr("typer.confirm", confirm)
        charrnn("runs", "rm", "small")
        assert asked == ["remove small?"] and (here / "small").exists() == (not gone)


# ---- one writer


@pytest.mark.slow
def test_a_run_is_trained_once_at_a_time(charrnn: CommandLine, here: Path, corpus: Path) -> None:
    with Lock(here / "small"):
        refused(charrnn("train", "--resume", "--name", "small", "--steps", "70"), 1, "small is being trained")
        with pytest.raises(RunError, match="being trained at this moment"):
            library.resume("small", checkpoints=here, steps=70)
    training = library.Training.start(corpus, name="one", steps=5, checkpoints=here, hidden=4, layers=1, threads=1)
    with pytest.raises(RunError, match="being trained at this moment"):
        library.Training.start(corpus, name="one", steps=5, checkpoints=here)
    training.close()
    assert list(training) == []
    # Nothing was saved: the name is free.
    assert library.train(corpus, name="one", steps=5, checkpoints=here, hidden=4, layers=1, threads=1).name == "one"
    assert not (here / "one/.lock").exists()


def test_a_run_that_cannot_go_on_is_let_go(here: Path) -> None:
    for _ in range(2):
        with pytest.raises(RunError, match="complete"):
            library.resume("small", checkpoints=here)


# ---- texts that move


@pytest.mark.slow
def test_a_text_that_has_moved_is_named_and_the_hash_decides(
    charrnn: CommandLine, corpus: Path, tmp_path: Path
) -> None:
    assert charrnn("train", str(corpus), "--name", "one", "--steps", "4", *SMALL).code == 0
    before = charrnn("eval", "-m", "one", "-q").out
    moved = tmp_path / "far" / "text.txt"
    moved.parent.mkdir()
    corpus.rename(moved)
    refused(charrnn("train", "--resume", "--name", "one", "--steps", "6"), 1, "corpus.txt", "CORPUS beside --resume")
    refused(charrnn("eval", "-m", "one"), 1, "corpus.txt", "name a text", "CORPUS beside --resume")
    other = tmp_path / "other.txt"
    other.write_text("another text", encoding="utf-8")
    refused(charrnn("train", str(other), "--resume", "--name", "one", "--steps", "6"), 1, "other.txt is not the text")
    refused(charrnn("train", "-", "--resume", "--name", "one", "--steps", "6"), 2, "standard input")
    refused(charrnn("train", "--resume", "one", "--steps", "6"), 1, "one is a run: it is named by --name")
    # A complete run learns where its text is, too.
    refused(charrnn("train", str(moved), "--resume", "--name", "one"), 1, "complete", "is remembered")
    assert charrnn("eval", "-m", "one", "-q").out == before
    assert charrnn("train", "--resume", "--name", "one", "--steps", "6").code == 0
    header = read_header(Run(tmp_path / "checkpoints/one").resume)
    assert header.split.sources == (str(moved),) and header.summary["corpus"] == [str(moved)]
    with pytest.raises(CorpusError, match=r"other\.txt is not the text that the run one began with"):
        library.resume("one", corpus=other, checkpoints="checkpoints", steps=7)


# ---- a digest


@pytest.mark.slow
def test_the_same_seed_gives_the_same_digest_whenever_it_is_saved(charrnn: CommandLine, corpus: Path) -> None:
    found = {}
    for name, seed in (("one", "5"), ("two", "5"), ("three", "6")):
        assert charrnn("train", str(corpus), "--name", name, "--seed", seed, "--steps", "4", *SMALL).code == 0
        found[name] = charrnn("inspect", "-m", name, "--digest").out
        assert json.loads(charrnn("inspect", "-m", name, "--json").out)["digest"] + "\n" == found[name]
        assert len(found[name]) == 65 and int(found[name], 16)
    assert found["one"] == found["two"] != found["three"]
    header, tensors = read(Path("checkpoints/one/model.safetensors"))
    write(Path("later.safetensors"), tensors, {**header.metadata, "saved": "later", "training": {}})
    assert charrnn("inspect", "-m", "later.safetensors", "--digest").out == found["one"]
    changes = {"model.forwards.bias": tensors["model.forwards.bias"] + torch.tensor(1e-3)}
    write(Path("other.safetensors"), {**tensors, **changes}, header.metadata)
    config = {**header.metadata, "model": {**header.metadata["model"], "dropout": 0.125}}
    write(Path("config.safetensors"), tensors, config)
    for name in ("other", "config"):
        assert charrnn("inspect", "-m", f"{name}.safetensors", "--digest").out != found["one"], name


# ---- completion


def completed(line: str, folder: Path) -> list[str]:
    """What bash is offered at the end of this line."""
    words = line.split(" ")
    environment = {
        **os.environ, "_CHARRNN_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1),
    }  # fmt: skip
    script = (
        "import sys; from charrnn.cli.app import run; code = run([])\n"
        "heavy = {'torch', 'numpy'} & set(sys.modules); print(*heavy, file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stderr.strip() == "", done.stderr
    return done.stdout.split()


@pytest.mark.slow
def test_a_shell_completes_runs_models_and_texts_and_loads_nothing_for_it(here: Path, tmp_path: Path) -> None:
    (tmp_path / "lyrics.txt").write_text("la")
    (tmp_path / "lost.safetensors").write_text("")
    assert set(completed("charrnn sample -m l", tmp_path)) == {"lines", "lost.safetensors"}
    assert completed("charrnn train --from sm", tmp_path) == ["small"]
    assert completed("charrnn train --resume --name s", tmp_path) == ["small"]
    assert completed("charrnn train --name s", tmp_path) == []
    assert completed("charrnn train fab", tmp_path) == ["fables"]
    assert completed("charrnn train ly", tmp_path) == ["lyrics.txt"]
    assert completed("charrnn runs rm sm", tmp_path) == ["small"]
    assert completed("charrnn sample -m ch", tmp_path) == ["checkpoints/"]


def test_every_option_that_takes_a_model_completes_its_name() -> None:
    for name, command in commands(app):
        for parameter in command.params:
            if parameter.name in ("model", "start_from"):
                assert parameter._custom_shell_complete is not None, (name, parameter.name)


@pytest.mark.parametrize(("columns", "gone"), [(200, 0), (80, 2), (60, 4), (20, 4)])
def test_a_narrow_terminal_has_fewer_columns(columns: int, gone: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("charrnn.cli.runs.shutil.get_terminal_size", lambda: os.terminal_size((columns, 24)))
    row = ("xlstm-layernorm", "fables", "lstm-layernorm 2 x 64", "77,450", "1.946", "549", "0:20", "43 min", "complete")
    table = [runs_command.HEADINGS, row]
    monkeypatch.setattr("charrnn.cli.runs.sys.stdout", SimpleNamespace(isatty=lambda: True))
    left = [name for name in runs_command.HEADINGS if name not in runs_command.SPARE[:gone]]
    narrowed = runs_command._narrowed(table)
    assert list(narrowed[0]) == left and list(narrowed[1]) == [row[runs_command.HEADINGS.index(name)] for name in left]
    monkeypatch.setattr("charrnn.cli.runs.sys.stdout", SimpleNamespace(isatty=lambda: False))
    assert len(runs_command._narrowed(table)[0]) == len(row)
