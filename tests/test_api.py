"""The front door: what Python users call, what it takes, what it says when something is wrong."""

import contextlib
import dataclasses
import runpy
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import charrnn
from charrnn import api
from charrnn.api.arguments import sample_config, train_options
from charrnn.config.durations import format_duration, parse_duration
from charrnn.errors import ConfigError
from charrnn.generation.config import SampleConfig
from charrnn.training.events import Event, Note, Report, Stopped

ROOT = Path(__file__).parents[1]
TINY: dict[str, Any] = {
    "hidden": 8, "embedding": 4, "layers": 1, "batch_size": 4, "bptt": 16, "threads": 1, "seed": 1, "precision": "fp32",
    "eval_every": 10,
}  # fmt: skip


# ---- paths and times


def test_paths_are_str_or_path_one_or_several(tmp_path: Path, corpus: Path, prose: str) -> None:
    other = tmp_path / "other.txt"
    other.write_text(prose[:3000], encoding="utf-8")
    folder = tmp_path / "runs"
    of_paths = charrnn.train([corpus, str(other)], checkpoints=folder, name="paths", valid=other, steps=2, **TINY)
    of_texts = charrnn.train(
        (str(corpus), other), checkpoints=str(folder), name="texts", valid=str(other), steps=2, **TINY
    )
    assert of_paths == of_texts
    run = folder / "paths"
    for named in ("paths", run, str(run), run / "model.safetensors", str(run / "model.safetensors")):
        for checkpoints in (folder, str(folder)):
            assert charrnn.load(named, checkpoints=checkpoints) == of_paths, (named, checkpoints)
    went_on = charrnn.train(corpus, checkpoints=folder, start_from=run, steps=2, **{
        name: value for name, value in TINY.items() if name not in ("hidden", "embedding", "layers")
    })  # fmt: skip
    assert went_on.config == of_paths.config


def test_a_text_in_a_file_is_scored_as_the_text_itself(trained: Path, tmp_path: Path, prose: str) -> None:
    model = charrnn.load("small", checkpoints=trained)
    (tmp_path / "text.txt").write_text(prose[:400], encoding="utf-8")
    assert model.score(tmp_path / "text.txt") == model.score(prose[:400])


def test_a_time_is_written_as_on_the_command_line_or_in_seconds() -> None:
    for text, seconds in (("30s", 30), ("1h30m", 5400), ("0.5m", 30), (45, 45), (1.5, 1.5)):
        assert parse_duration(text) == seconds
        assert train_options("fables", {"seconds": text}).seconds == seconds
    for wrong in ("30", "", "s", "3x", "-3s", "0s", 0, -1, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match="90s"):
            train_options("fables", {"seconds": wrong})
    for seconds in (1, 59, 60, 3600, 5425):
        assert parse_duration(format_duration(seconds)) == seconds


def test_more_time_for_a_run_is_written_so_too(trained: Path) -> None:
    with pytest.raises(ConfigError, match="90s"):
        charrnn.resume("small", checkpoints=trained, seconds="3")


# ---- options


def test_an_unknown_option_is_told_with_the_nearest(trained: Path, corpus: Path) -> None:
    model = charrnn.load("small", checkpoints=trained)
    verbs: list[tuple[Callable[..., object], tuple[object, ...], str, str]] = [
        (model.sample, (), "temp", "the nearest is `temperature`"),
        (model.sample, (), "n", "the nearest is `rows`"),
        (model.sample, (), "topk", "the nearest is `top_k`"),
        (model.stream, (), "max_tokens", "the nearest is `length`"),
        (model.score, ("a",), "batchsize", "the nearest is `batch_size`"),
        (model.fill, ("a", "b"), "candidate", "the nearest is `candidates`"),
        (charrnn.load, (), "checkpoint", "the nearest is `checkpoints`"),
        (charrnn.load, (), "xyz", "there are model, checkpoints, device"),
        (charrnn.train, (corpus,), "foo", "there are corpus, checkpoints"),
        (charrnn.train, (corpus,), "learning_rate", "the nearest is `lr`"),
        (charrnn.train, (corpus,), "epoch", "the nearest is `epochs`"),
        (charrnn.Training.start, (corpus,), "drop_out", "the nearest is `dropout`"),
        (charrnn.Training.resume, (), "step", "the nearest is `steps`"),
        (charrnn.resume, (), "hidden", "there are name, checkpoints"),
    ]
    for verb, arguments, wrong, words in verbs:
        with pytest.raises(ConfigError) as told:
            verb(*arguments, **{wrong: 1})
        assert f"there is no option `{wrong}`; " in str(told.value) and words in str(told.value), told.value


def test_options_change_a_configuration_that_is_given() -> None:
    config = SampleConfig(temperature=0.5, top_k=3)
    assert sample_config(config, {}) == config
    assert sample_config(config, {"top_k": None, "length": 7}) == SampleConfig(temperature=0.5, length=7)
    assert sample_config(None, {"stop": "The"}).stop == ("The",)
    assert sample_config(None, {"stop": ["a", "b"]}).stop == ("a", "b")


def test_a_value_out_of_range_names_its_field(trained: Path) -> None:
    model = charrnn.load("small", checkpoints=trained)
    wrong: list[tuple[Callable[[], object], str]] = [
        (lambda: model.sample(rows=0), "`rows`"),
        (lambda: model.sample(precision="bf16"), "`precision` must be one of"),
        (lambda: model.score("a", batch_size=0), "`batch_size`"),
        (lambda: model.score("a", reset_every=0), "`reset_every`"),
        (lambda: model.score("a", reset_every=3, adapt=True), "leave out `reset_every` or `adapt`"),
    ]
    for call, words in wrong:
        with pytest.raises(ConfigError, match=words) as told:
            call()
        assert "--" not in str(told.value), told.value


def test_sample_is_stream_put_together(trained: Path) -> None:
    model = charrnn.load("small", checkpoints=trained)
    one = model.sample("The", seed=3, length=20)
    assert isinstance(one, str) and len(one) == 20
    assert one == "".join(chunk.text for chunk in model.stream("The", seed=3, length=20))
    assert model.sample("The", seed=3, length=20, echo=True) == "The" + one
    several = model.sample("The", rows=2, seed=3, length=20)
    assert several == [one, model.sample("The", seed=4, length=20)]


# ---- what is shown, what is equal


def test_a_model_and_a_score_are_shown_in_a_line(trained: Path, tmp_path: Path, prose: str) -> None:
    model, lines = (charrnn.load(name, checkpoints=trained) for name in ("small", "lines"))
    loss = model.header.summary["loss"]
    symbols = len(set(prose[: round(len(prose) * 0.95)]))
    assert repr(model) == f"<Model small: lstm 1 x 16, {symbols} characters, {loss / np.log(2):.3f} bpc>"
    assert repr(lines).startswith("<Model lines: lstm 1 x 16, ") and repr(lines).endswith(" bits per token>")
    copied = tmp_path / "copied.safetensors"
    copied.write_bytes((trained / "small/model.safetensors").read_bytes())
    assert repr(charrnn.load(copied)).startswith("<Model copied: ")
    score = model.score(prose[:2000])
    assert repr(score) == f"<Score 2,000 tokens, {score.bpc:.3f} bpc>"


def test_a_model_of_bytes_speaks_of_tokens(tmp_path: Path, corpus: Path) -> None:
    model = charrnn.train(corpus, checkpoints=tmp_path, tokenizer="byte", steps=2, **TINY)
    assert " 256 bytes, " in repr(model) and repr(model).endswith(" bits per token>")


def test_models_are_equal_when_configuration_tokenizer_and_weights_are(trained: Path) -> None:
    model, again, other = (charrnn.load(name, checkpoints=trained) for name in ("small", "small", "lines"))
    assert model == again and hash(model) == hash(again) and len({model, again}) == 1
    assert model != other and model != "small"
    name = next(iter(model.weights))
    changed = {**model.weights, name: model.weights[name] + np.float32(1e-3)}
    assert model != dataclasses.replace(model, weights=changed)
    symbols = model.tokenizer.decode(range(model.tokenizer.size))
    moved = type(model.tokenizer)(symbols[1:] + chr(ord(max(symbols)) + 1))  # type: ignore[call-arg]
    assert moved.size == model.tokenizer.size and model != dataclasses.replace(model, tokenizer=moved)


def test_scores_are_equal_when_their_numbers_are(trained: Path, prose: str) -> None:
    model = charrnn.load("small", checkpoints=trained)
    score, again = model.score(prose[:300]), model.score(prose[:300])
    assert score == again and hash(score) == hash(again) and len({score, again}) == 1
    assert score != model.score(prose[:299]) and score != 1.0
    assert score != model.score(prose[:300], fit_temperature=True)
    adapted = [model.score(prose[:300], adapt=True) for _ in range(2)]
    assert adapted[0] == adapted[1] != score
    nudged = score.token_nll.copy()
    nudged[7] += 1e-12
    assert score != dataclasses.replace(score, token_nll=nudged)


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
    assert list(training) == [Stopped("interrupted")]
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


# ---- progress


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


# ---- the page


def test_the_api_page_is_what_the_code_says_and_names_all_that_is_public() -> None:
    page = runpy.run_path(str(ROOT / "docs/make_api.py"))
    assert (ROOT / "docs/api.md").read_text("utf-8") == page["render"](), "run: make docs"
    assert sorted(name for names in page["CHAPTERS"].values() for name in names) == charrnn.__all__
    for name in charrnn.__all__:
        assert f"### {name}\n" in page["render"]() or f"- `{name}`" in page["render"](), name


def test_the_package_door_and_the_room_are_the_same() -> None:
    assert {name: getattr(api, name) for name in ("Model", "Training", "load", "resume", "train")} == {
        name: getattr(charrnn, name) for name in ("Model", "Training", "load", "resume", "train")
    }
