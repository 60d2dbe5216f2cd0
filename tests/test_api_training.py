"""A training from Python: its events, how it is stopped, what is shown of it."""

import contextlib
import itertools
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import charrnn
from charrnn.training.events import Event, Note, Report, Stopped
from charrnn.training.train_step import TrainStep

TINY: dict[str, Any] = {
    "hidden": 8, "embedding": 4, "layers": 1, "batch_size": 4, "bptt": 16, "threads": 1, "seed": 1, "precision": "fp32",
    "eval_every": 10,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _interruptible() -> Iterator[None]:
    """As Python begins in a terminal: in the background a shell has it ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


# ---- a training as its events


def test_a_training_is_its_events_and_leaves_a_model_and_its_curve(tmp_path: Path, corpus: Path) -> None:
    training = charrnn.Training.start(corpus, checkpoints=str(tmp_path), name="run", steps=20, **TINY)
    assert training.notes and training.run.folder == tmp_path / "run" and training.validates
    assert repr(training) == "<Training run: lstm 1 x 8, 0 steps>"
    first = next(iter(training))  # a loop that is left goes on where it was
    assert isinstance(first, Report) and first.step == 10
    events = [first, *training]
    assert [event.step for event in events if isinstance(event, Report)] == [10, 20]
    assert events[-1] == Stopped("done") and list(training) == []
    assert training.progress.position.step == 20
    assert training.model == charrnn.load("run", checkpoints=tmp_path)
    curve = training.run.curve.read_text("utf-8")
    assert "run: lstm 1 x 8" in curve and "best" in curve


@pytest.mark.slow
def test_a_training_that_is_stopped_goes_on_to_the_same_model(tmp_path: Path, corpus: Path) -> None:
    whole = charrnn.train(corpus, checkpoints=tmp_path, name="whole", steps=20, **TINY)
    training = charrnn.Training.start(corpus, checkpoints=tmp_path, name="halves", steps=20, **TINY)
    for event in training:
        if isinstance(event, Report):
            training.stop()
    assert event == Stopped("interrupted") and training.progress.position.step == 10
    assert training.run.curve.exists()
    resumed = charrnn.Training.resume(tmp_path / "halves")
    assert resumed.progress.position.step == 10 and "resumed" in resumed.notes[0]
    assert list(resumed)[-1] == Stopped("done")
    assert resumed.model == whole
    longer = charrnn.resume("halves", checkpoints=str(tmp_path), steps=25)
    assert longer.header.path == tmp_path / "halves/model.safetensors"


def test_a_run_that_has_reported_nothing_has_no_curve(tmp_path: Path, corpus: Path) -> None:
    training = charrnn.Training.start(corpus, checkpoints=tmp_path, steps=20, **TINY)
    training.stop()
    assert [event for event in training if not isinstance(event, Note)] == [Stopped("interrupted")]
    assert training.run.resume.exists() and not training.run.curve.exists()


def test_every_event_is_heard(tmp_path: Path, corpus: Path) -> None:
    heard: list[Event] = []
    charrnn.train(corpus, checkpoints=tmp_path, steps=20, on_event=heard.append, **TINY)
    assert {type(event) for event in heard} == {Report, Note, Stopped}
    heard.clear()
    charrnn.resume(checkpoints=tmp_path, steps=30, on_event=heard.append)
    assert isinstance(heard[0], Report) and heard[0].step == 30 and heard[-1] == Stopped("done")


# ---- Ctrl-C


def test_ctrl_c_saves_before_it_is_raised_and_the_run_goes_on(tmp_path: Path, corpus: Path) -> None:
    def interrupt(event: Event) -> None:
        if isinstance(event, Report):
            signal.raise_signal(signal.SIGINT)

    whole = charrnn.train(corpus, checkpoints=tmp_path, name="whole", steps=20, **TINY)
    with pytest.raises(KeyboardInterrupt, match=r"stopped at step 10 and saved: charrnn.resume\('.*run'\) goes on"):
        charrnn.train(corpus, checkpoints=tmp_path, name="run", steps=20, on_event=interrupt, **TINY)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert charrnn.resume(tmp_path / "run") == whole


def test_a_second_ctrl_c_leaves_at_once(tmp_path: Path, corpus: Path) -> None:
    heard: list[Event] = []

    def insist(event: Event) -> None:
        heard.append(event)
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        charrnn.train(corpus, checkpoints=tmp_path, name="run", steps=20, on_event=insist, **TINY)
    assert len(heard) == 1 and signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_program_keeps_its_own_handler_and_another_thread_needs_none(tmp_path: Path, corpus: Path) -> None:
    came: list[int] = []

    def interrupt(event: Event) -> None:
        if isinstance(event, Report):
            signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    with contextlib.ExitStack() as after:
        after.callback(signal.signal, signal.SIGINT, before)
        charrnn.train(corpus, checkpoints=tmp_path, steps=20, on_event=interrupt, **TINY)
    assert len(came) == 2
    found: list[charrnn.Model] = []
    thread = threading.Thread(
        target=lambda: found.append(charrnn.train(corpus, checkpoints=tmp_path, name="thread", steps=2, **TINY))
    )
    thread.start()
    thread.join()
    assert found == [charrnn.load("thread", checkpoints=tmp_path)]


def test_ctrl_c_in_a_bare_loop_saves_and_then_ends_the_program(
    tmp_path: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = charrnn.train(corpus, checkpoints=tmp_path, name="whole", steps=20, **TINY)
    training = charrnn.Training.start(corpus, checkpoints=tmp_path, name="run", steps=20, **TINY)
    learn = TrainStep.learn

    def interrupted(self: TrainStep, *arguments: Any, **more: Any) -> Any:
        if more["number"] == 6:
            signal.raise_signal(signal.SIGINT)
        return learn(self, *arguments, **more)

    monkeypatch.setattr(TrainStep, "learn", interrupted)
    heard: list[Event] = []
    with pytest.raises(KeyboardInterrupt, match="stopped at step 7 and saved"):
        for event in training:
            heard.append(event)
    monkeypatch.undo()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    assert [event for event in heard if not isinstance(event, Note)] == [Stopped("interrupted")]
    assert charrnn.resume(tmp_path / "run") == whole


def test_a_training_has_no_model_before_it_has_saved_one(tmp_path: Path, corpus: Path) -> None:
    training = charrnn.Training.start(corpus, checkpoints=tmp_path, name="new", steps=2, **TINY)
    with pytest.raises(charrnn.RunError, match="the run new has saved no model yet"):
        _ = training.model


# ---- random numbers


def test_what_else_draws_changes_no_training_and_is_not_changed(tmp_path: Path, corpus: Path) -> None:
    options = {**TINY, "dropout": 0.3, "weight_drop": 0.2}
    alone = charrnn.train(corpus, checkpoints=tmp_path, name="alone", steps=20, **options)
    first = charrnn.Training.start(corpus, checkpoints=tmp_path, name="first", steps=20, **options)
    second = charrnn.Training.start(corpus, checkpoints=tmp_path, name="second", steps=20, **{**options, "seed": 2})
    torch.manual_seed(5)
    expected = torch.cat([torch.rand(3) for _ in range(3)])
    drawn = []
    torch.manual_seed(5)
    for _ in itertools.zip_longest(first, second):
        drawn.append(torch.rand(3))
    assert torch.equal(torch.cat(drawn[:3]), expected)
    assert first.model == alone != second.model


# ---- progress


@pytest.mark.slow
def test_progress_is_shown_where_somebody_watches_or_when_asked(
    tmp_path: Path, corpus: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def said(**options: Any) -> str:
        charrnn.train(corpus, checkpoints=tmp_path, steps=20, **TINY, **options)
        out, err = capfd.readouterr()
        assert not out
        return err

    assert said() == "" == said(progress=False)
    shown = said(progress=True)
    assert "text: " in shown and "valid" in shown and "weights averaged" in shown
    monkeypatch.setattr("charrnn.console.somebody_watches", lambda: True)
    assert "valid" in said() and said(progress=False) == ""
