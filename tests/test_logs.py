"""Events that others draw, told to stand-ins for what draws them; TensorBoard itself: tests/extras."""

import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import pytest

import charrnn
from charrnn.api import logs
from charrnn.config.verbs import LOGS
from charrnn.errors import CharrnnError
from charrnn.training.events import Event, Report

from .conftest import SMALL, CommandLine
from .test_api import TINY


class Drawn:
    """A stand-in for SummaryWriter, and for a run of wandb: what it is told, and whether it was closed."""

    def __init__(self, *where: str, **told: Any) -> None:
        self.where, self.told, self.closed = where, told, False
        self.numbers: dict[int, dict[str, Any]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.closed = True

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self.numbers.setdefault(step, {})[name] = value

    add_text = add_scalar

    def log(self, numbers: dict[str, Any], step: int) -> None:
        self.numbers[step] = numbers


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Drawn]:
    made: list[Drawn] = []

    def begin(*where: str, **told: Any) -> Drawn:
        made.append(Drawn(*where, **told))
        return made[-1]

    for name, verb in (("tensorboard", ""), ("torch.utils.tensorboard", "SummaryWriter"), ("wandb", "init")):
        module: Any = ModuleType(name)
        module.__spec__ = ModuleSpec(name, None)
        setattr(module, verb, begin)
        monkeypatch.setitem(sys.modules, name, module)
    return made


def test_every_report_is_drawn_by_whoever_is_asked(tmp_path: Path, corpus: Path, drawn: list[Drawn]) -> None:
    assert tuple(logs.LOGS) == LOGS
    for log in LOGS:
        heard: list[Event] = []
        charrnn.train(
            corpus, checkpoints=tmp_path, name=log, steps=10, log=log, counts=False, on_event=heard.append, **TINY
        )
        reports = [event for event in heard if isinstance(event, Report)]
        told = drawn[-1]
        assert told.closed and sorted(told.numbers) == [report.step for report in reports] and reports
        for report in reports:
            found = told.numbers[report.step]
            assert found["train/loss"] == report.loss and found["valid/bpc"] == report.valid_bpc
            assert (found["sample"] is None) == (report.sample is None)
    assert Path(*drawn[0].where) == tmp_path / "tensorboard/tensorboard" and drawn[0].told == {"purge_step": None}
    assert drawn[1].told["name"] == "wandb" and drawn[1].told["config"]["hidden"] == TINY["hidden"]
    assert drawn[1].told["config"]["optimizer"] == "soap"


def test_a_run_that_goes_on_is_drawn_from_where_it_stood(
    charrnn: CommandLine, corpus: Path, tmp_path: Path, drawn: list[Drawn]
) -> None:
    done = charrnn("train", str(corpus), "--no-counts", "--steps", "2", "--name", "a", "--log", "tensorboard", *SMALL)
    assert done.code == 0 and "drawn by: tensorboard --logdir checkpoints/tensorboard" in done.err, done.err
    assert charrnn("train", "--resume", "--steps", "4", "--log", "tensorboard").code == 0
    assert [each.told for each in drawn] == [{"purge_step": None}, {"purge_step": 2}] and drawn[1].closed
    assert charrnn("runs", "-q").out.split() == ["a"], "where drawings lie is no run"


def test_what_is_not_installed_is_told_before_anything_is_read(
    charrnn: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "find_spec", lambda name: None)
    done = charrnn("train", "fables", "--log", "wandb")
    assert done.code == 1 and "--log wandb is an extra: pip install 'charrnn[wandb]'" in done.err
    assert not Path("checkpoints").exists()
    with pytest.raises(CharrnnError, match="is an extra"):
        logs.require_installed("tensorboard")
    logs.require_installed(None)
