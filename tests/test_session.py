"""Runs on disk: exact resume after a kill, a loadable checkpoint at every moment, files that say what they are."""

import multiprocessing
import random
import signal
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from charrnn import api
from charrnn.checkpoint import read_header
from charrnn.config import TrainOptions
from charrnn.errors import CorpusError, RunError
from charrnn.models.layers import LAYERS
from charrnn.runs import Run
from charrnn.training.events import Report
from charrnn.training.session import Training, resume, start

SMALL = {"hidden": 12, "embedding": 8, "layers": 2, "batch_size": 4, "bptt": 16, "dropout": 0.2, "threads": 1}


def options(corpus: Path, **more: object) -> TrainOptions:
    return TrainOptions(**{"corpus": (str(corpus),), "seed": 11, "name": "run", **SMALL, **more})  # type: ignore[arg-type]


def finish(training: Training) -> dict[str, Tensor]:
    """Train to the end and return all that stands in the file to resume from."""
    for _ in training.events():
        pass
    return load_file(training.run.resume)


def stop_dead(training: Training, step: int) -> None:
    """Leave the loop as a kill does: nothing more is written."""
    for event in training.events():
        if isinstance(event, Report) and event.step >= step:
            return


def assert_same(some: dict[str, Tensor], others: dict[str, Tensor]) -> None:
    assert some.keys() == others.keys()
    assert any(name.startswith("optimizer.") for name in some)
    for name in some:
        assert torch.equal(some[name], others[name]), name


COMBINATIONS = [
    *[("char", cell, "stream") for cell in LAYERS],
    ("byte", "lstm", "stream"),
    ("subword", "gru", "stream"),
    ("char", "rnn", "lines"),
    ("subword", "lstm", "blank"),
]


@pytest.mark.parametrize(("tokenizer", "cell", "documents"), COMBINATIONS)
def test_two_hundred_steps_equal_a_hundred_a_kill_and_a_hundred_more(
    tmp_path: Path, corpus: Path, tokenizer: str, cell: str, documents: str
) -> None:
    asked = options(
        corpus, tokenizer=tokenizer, vocab_size=400, cell=cell, documents=documents, steps=200, save_every=50
    )
    whole = finish(start(asked, checkpoints=tmp_path / "whole"))

    stop_dead(start(asked, checkpoints=tmp_path / "killed"), step=120)
    torch.manual_seed(1234)  # another process begins with another generator
    again = resume("run", checkpoints=tmp_path / "killed")
    assert 100 <= again.trainer.progress.step <= 120
    assert_same(whole, finish(again))

    before, after = (list(Run(tmp_path / name / "run").read_metrics()) for name in ("whole", "killed"))
    assert len(before) > 20
    for name in ("step", "loss", "grad_norm", "valid_loss", "sample"):
        assert [event.get(name) for event in before] == [event.get(name) for event in after]


def train_for_ever(corpus: Path, checkpoints: Path) -> None:
    """In a process of its own: a run that saves at every step."""
    torch.set_num_threads(1)
    for _ in start(options(corpus, steps=100_000, save_every=1), checkpoints=checkpoints).events():
        pass


def test_a_kill_at_twenty_random_moments_always_leaves_a_checkpoint_that_loads(tmp_path: Path, corpus: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["charrnn.training.session"])
    draw = random.Random(20)
    for number in range(20):
        folder = tmp_path / str(number)
        process = context.Process(target=train_for_ever, args=(corpus, folder))
        process.start()
        deadline = time.monotonic() + 60
        while not (folder / "run/resume.safetensors").exists():
            assert process.is_alive() and time.monotonic() < deadline
            time.sleep(0.005)
        time.sleep(draw.uniform(0, 0.15))
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        assert api.load(folder / "run").sample(length=5, seed=1)
        resumed = resume("run", checkpoints=folder)
        assert resumed.trainer.progress.step >= 0
        assert not list((folder / "run").glob(".*"))
        stop_dead(resumed, resumed.trainer.progress.step + 10)


def test_a_model_file_alone_is_enough(tmp_path: Path, corpus: Path, prose: str) -> None:
    training = start(options(corpus, steps=30), checkpoints=tmp_path / "a")
    finish(training)
    before = api.load(training.run.folder)
    elsewhere = tmp_path / "elsewhere.safetensors"
    elsewhere.write_bytes(training.run.model.read_bytes())
    corpus.unlink()
    after = api.load(elsewhere)
    assert after.score(prose[:500]).nll == before.score(prose[:500]).nll
    assert after.sample("The ", seed=4, length=50) == before.sample("The ", seed=4, length=50)


def test_the_last_weights_are_kept_apart_from_the_best(tmp_path: Path, corpus: Path) -> None:
    training = start(options(corpus, steps=60, lr=0.01), checkpoints=tmp_path)
    losses = iter([2.0, 1.0, 3.0, *[3.0] * 99])
    training.trainer._validate = lambda: next(losses)
    last = finish(training)
    best = load_file(training.run.model)
    assert read_header(training.run.model).summary["step"] == training.trainer.progress.best_step == 8
    assert not torch.equal(best["model.bias"], last["model.bias"])


def test_the_header_tells_how_the_model_was_made(tmp_path: Path, corpus: Path, prose: str) -> None:
    training = start(options(corpus, steps=20, valid=0.25), checkpoints=tmp_path)
    finish(training)
    summary = read_header(training.run.model).summary
    assert summary["corpus"] == [str(corpus)]
    assert summary["config"]["seed"] == 11
    assert summary["split"]["train_end"] == int(len(prose) * 0.75)
    held_out = api.held_out(api.load(training.run.folder))
    assert held_out.read() == prose[int(len(prose) * 0.75) :]


def test_validation_while_training_is_what_eval_says(tmp_path: Path, corpus: Path) -> None:
    training = start(options(corpus, steps=30, valid=0.5), checkpoints=tmp_path)
    finish(training)
    model = api.load(training.run.folder)
    assert model.score(api.held_out(model), unknown=True).loss == pytest.approx(
        training.trainer.progress.best, rel=1e-3
    )


def test_a_run_is_resumed_from_another_folder(
    tmp_path: Path, corpus: Path, prose: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "valid.txt").write_text(prose[:600], encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    stop_dead(start(options(Path(corpus.name), steps=100, valid="valid.txt"), checkpoints=tmp_path / "c"), 20)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    again = resume("run", checkpoints=tmp_path / "c")
    assert again.data.valid is not None and again.data.valid.chars == 600
    finish(again)


def test_a_changed_corpus_cannot_be_resumed(tmp_path: Path, corpus: Path) -> None:
    stop_dead(start(options(corpus, steps=100), checkpoints=tmp_path), 20)
    corpus.write_text(corpus.read_text(encoding="utf-8").replace("e", "a", 1), encoding="utf-8")
    with pytest.raises(CorpusError, match="changed"):
        resume("run", checkpoints=tmp_path)


def test_a_complete_run_goes_on_only_with_a_new_budget(tmp_path: Path, corpus: Path) -> None:
    finish(start(options(corpus, steps=10), checkpoints=tmp_path))
    with pytest.raises(RunError, match="complete after 10 steps"):
        resume("run", checkpoints=tmp_path)
    more = resume("run", checkpoints=tmp_path, steps=15)
    finish(more)
    assert more.trainer.progress.step == 15


def test_a_run_that_cannot_begin_leaves_its_name_free(tmp_path: Path, corpus: Path) -> None:
    with pytest.raises(Exception, match="vocab-size"):
        start(options(corpus, tokenizer="subword", vocab_size=260), checkpoints=tmp_path)
    start(options(corpus), checkpoints=tmp_path)


def test_a_corpus_shorter_than_one_batch_of_windows_trains_on_smaller_ones(tmp_path: Path) -> None:
    text = tmp_path / "tiny.txt"
    text.write_text("to be or not to be", encoding="utf-8")
    training = start(
        TrainOptions(corpus=(str(text),), seed=1, steps=150, hidden=16, threads=1, lr=0.02), checkpoints=tmp_path / "c"
    )
    assert any("shorter" in note for note in training.notes)
    finish(training)
    assert api.load(training.run.folder).score("to be or not to be").bpc < 2


def test_a_short_text_is_learned_by_heart(tmp_path: Path, prose: str) -> None:
    text = tmp_path / "short.txt"
    text.write_text(prose[:200], encoding="utf-8")
    model = api.train(
        text,
        name="heart",
        steps=800,
        hidden=64,
        embedding=16,
        layers=1,
        dropout=0,
        lr=0.02,
        seed=1,
        threads=1,
        batch_size=4,
        bptt=50,
        checkpoints=tmp_path / "c",
    )
    assert model.score(prose[:200]).bpc < 0.1
