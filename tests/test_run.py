"""Runs on disk: exact resume after a kill, a loadable checkpoint at every moment, files that say what they are."""

import dataclasses
import math
import multiprocessing
import random
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from charrnn import api
from charrnn.config import ModelConfig, TrainOptions
from charrnn.errors import CharrnnError, ConfigError, CorpusError, RunError
from charrnn.inference.base import Engine
from charrnn.inference.engine import open_engine
from charrnn.models.cells import CELLS
from charrnn.models.language_model import LanguageModel
from charrnn.storage.checkpoint import build_model, read, read_header, write
from charrnn.storage.runs import Run
from charrnn.text.dataset import encode_part
from charrnn.text.token_files import Tokens
from charrnn.training import loop, recording, world
from charrnn.training import run as session
from charrnn.training.events import Report
from charrnn.training.int8_check import arrays, int8_cost
from charrnn.training.recording import Training
from charrnn.training.resume import resume
from charrnn.training.run import start

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


def assert_halves_equal_the_whole(
    folder: Path, corpus: Path, steps: int, tokenizer: str, cell: str, documents: str, **more: object
) -> None:
    """A run to its end against one that is killed on its way and gone on with."""
    asked = options(
        corpus, tokenizer=tokenizer, vocab_size=400, cell=cell, documents=documents,
        steps=steps, save_every=steps // 4, eval_every=steps // 5, **more,
    )  # fmt: skip
    whole = finish(start(asked, checkpoints=folder / "whole"))

    stop_dead(start(asked, checkpoints=folder / "killed"), step=steps * 6 // 10)
    torch.manual_seed(1234)  # another process begins with another generator
    again = resume("run", checkpoints=folder / "killed")
    assert steps // 2 <= again.trainer.position.step <= steps * 6 // 10
    assert_same(whole, finish(again))

    before, after = (list(Run(folder / name / "run").read_metrics()) for name in ("whole", "killed"))
    assert len(before) >= steps // 10
    for name in ("step", "loss", "grad_norm", "valid_loss", "sample"):
        assert [event.get(name) for event in before] == [event.get(name) for event in after], (cell, name)


# Bases are turned at the fiftieth step.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("steps", "tokenizer", "cell", "documents"),
    [
        (200, "char", "lstm", "stream"),
        (60, "byte", "gru", "stream"),
        (60, "char", "rnn", "lines"),
        (60, "subword", "lstm", "paragraphs"),
    ],
)
def test_a_run_equals_half_of_it_a_kill_and_the_other_half(
    tmp_path: Path, corpus: Path, steps: int, tokenizer: str, cell: str, documents: str
) -> None:
    assert_halves_equal_the_whole(tmp_path, corpus, steps, tokenizer, cell, documents)


@pytest.mark.slow
def test_a_run_of_every_cell_equals_half_of_it_a_kill_and_the_other_half(
    tmp_path: Path, corpus: Path, prose: str
) -> None:
    corpus.write_text(prose[:2000], encoding="utf-8")
    for cell in CELLS:
        assert_halves_equal_the_whole(tmp_path / cell, corpus, 20, "char", cell, "stream", layers=1, bptt=6)


def train_for_ever(corpus: Path, checkpoints: Path) -> None:
    """In a process of its own: a run that saves at every step."""
    torch.set_num_threads(1)
    for _ in start(options(corpus, steps=100_000, save_every=1), checkpoints=checkpoints).events():
        pass


@pytest.mark.slow
def test_a_kill_at_five_random_moments_always_leaves_a_checkpoint_that_loads(tmp_path: Path, corpus: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["charrnn.training.run"])
    draw = random.Random(20)
    for number in range(5):
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
        assert resumed.trainer.position.step >= 0
        assert not list((folder / "run").glob(".*.safetensors.*"))
        stop_dead(resumed, resumed.trainer.position.step + 10)


def test_a_model_file_alone_is_enough(tmp_path: Path, corpus: Path, prose: str) -> None:
    training = start(options(corpus, steps=30), checkpoints=tmp_path / "a")
    finish(training)
    before = api.load(training.run.folder)
    elsewhere = tmp_path / "elsewhere.safetensors"
    elsewhere.write_bytes(training.run.model.read_bytes())
    corpus.unlink()
    after = api.load(elsewhere)
    assert after.score(prose[:500]).nats == before.score(prose[:500]).nats
    assert after.sample("The ", seed=4, length=50) == before.sample("The ", seed=4, length=50)


def test_the_last_weights_are_kept_apart_from_the_best(tmp_path: Path, corpus: Path) -> None:
    training = start(options(corpus, steps=60, lr=0.01, eval_every=4, counts=False), checkpoints=tmp_path)
    losses = iter([2.0, 1.0, 3.0, *[3.0] * 99])
    training.trainer._validate = lambda: next(losses)
    last = finish(training)
    best = load_file(training.run.model)
    assert read_header(training.run.model).summary["step"] == training.trainer.best.step == 8
    assert not torch.equal(best["model.forwards.bias"], last["model.forwards.bias"])


def nats_of(logits: npt.NDArray[np.float32], target: int) -> float:
    """Surprisal of one symbol."""
    values: list[float] = logits.astype(np.float64).tolist()
    return math.log(math.fsum(math.exp(value - max(values)) for value in values)) + max(values) - values[target]


def int8_cost_by_hand(model: LanguageModel, tokens: list[int], rows: int) -> float:
    """One row and one symbol at a time; what the vocabulary lacks is read as the start, and not asked for."""
    start, known = model.config.start_id, set(range(model.config.vocab_size))
    length = max(1, len(tokens) // rows)
    lost = []
    for row in range(len(tokens) // length):
        own = tokens[row * length : (row + 1) * length]
        engine = open_engine(model.config, arrays(model), "int8")
        states, memory, token = model.initial_states(1), engine.initial_state(1), start
        for target in own:
            with torch.no_grad():
                exact, states = model(torch.tensor([[token]]), states)
            rounded, memory = engine.step(np.array([token]), memory)
            if target in known:
                lost.append(nats_of(rounded[0], target) - nats_of(exact[0, 0].numpy(), target))
            token = target if target < start else start
    return math.fsum(lost) / len(lost)


SHAPES = [(203, 4), (5, 64), (200, 4), (1, 64)]


@pytest.mark.slow
def test_what_8_bits_cost_is_the_mean_of_what_each_symbol_loses() -> None:
    """Every cell that they can hold; each shape with one stream and with documents."""
    bounded = [cell for cell in CELLS if CELLS[cell].bounded]
    for number, cell in enumerate(bounded):
        assert_costs_what_each_symbol_loses(cell, bool(number % 2), *SHAPES[number // 2 % len(SHAPES)])
    for count, rows in SHAPES:
        assert_costs_what_each_symbol_loses("lstm", True, count, rows)


def assert_costs_what_each_symbol_loses(cell: str, documents: bool, count: int, rows: int) -> None:
    config = ModelConfig(vocab_size=9 + documents, start_id=9, cell=cell, embedding=6, hidden=10, layers=2)
    model = LanguageModel(config)
    model.initialise(torch.Generator().manual_seed(3))
    # 9 is the end of a document, 10 a character that the vocabulary lacks.
    symbols = [*range(9), 10, *([9] if documents else [])]
    drawn = torch.randint(len(symbols), (count,), generator=torch.Generator().manual_seed(4)).tolist()
    tokens = [5, *(symbols[number] for number in drawn[1:])]
    found = int8_cost(model.eval(), np.array(tokens, np.int32), rows)
    assert found == pytest.approx(int8_cost_by_hand(model, tokens, rows), rel=1e-3, abs=2e-6), (cell, count)
    assert found != 0, (cell, count)


def test_what_8_bits_cannot_hold_is_not_measured_in_them_nor_generated(tmp_path: Path, corpus: Path) -> None:
    networks: list[dict[str, Any]] = [{"cell": "mingru"}, {"skip": "residual"}, {"norm": True}]
    for number, network in enumerate(networks):
        training = start(options(corpus, steps=5, **network), checkpoints=tmp_path / str(number))
        finish(training)
        assert read_header(training.run.model).summary["int8_bpc"] is None, network
        model = api.load("run", checkpoints=tmp_path / str(number))
        assert model.precision == "fp32", network
        with pytest.raises(ConfigError, match="8 bits"):
            model.sample(length=5, precision="int8")
        assert len(str(model.sample(length=5))) == 5, network


def test_a_text_of_unknown_characters_alone_costs_nothing() -> None:
    model = LanguageModel(ModelConfig(vocab_size=9, start_id=9, embedding=6, hidden=10))
    model.initialise(torch.Generator().manual_seed(3))
    assert int8_cost(model.eval(), np.full(20, 10, np.int32)) == 0


@pytest.mark.parametrize(("ending", "valid"), [("finished", 0.1), ("stopped", None)])
def test_the_end_of_training_measures_what_8_bits_cost_the_best_model(
    tmp_path: Path, corpus: Path, prose: str, ending: str, valid: float | None
) -> None:
    if valid is None:
        corpus.write_text(prose[:2000], encoding="utf-8")
    training = start(options(corpus, steps=40, valid=valid), checkpoints=tmp_path / "c")
    for event in training.events():
        if ending == "stopped" and isinstance(event, Report) and event.step >= 20:
            training.stop()
    assert training.trainer.progress.finished == (ending == "finished")

    header, tensors = read(training.run.model)
    best, _ = build_model(header, tensors)
    held = training.data.valid if valid else training.data.train
    assert held is not None
    cost = int8_cost(best, held.tokens) * training.trainer.bits
    assert header.summary["int8_bpc"] == pytest.approx(cost, rel=1e-9)
    assert header.summary["step"] == training.trainer.best.step or valid is None
    assert "int8_bpc" not in read_header(training.run.resume).summary


def test_measuring_changes_no_weight_and_nothing_else_that_the_header_says(
    tmp_path: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = start(options(corpus, steps=20, counts=False), checkpoints=tmp_path / "c")
    before: dict[str, Tensor] = {}
    records = []

    def watched(model: LanguageModel, tokens: Tokens) -> float:
        before.update(load_file(training.run.model))
        records.append(read_header(training.run.model).metadata)
        return 0.25

    monkeypatch.setattr(recording, "int8_cost", watched)
    finish(training)
    after, (record,) = load_file(training.run.model), records
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], tensor) for name, tensor in after.items())
    bits = training.trainer.bits
    expected = {**record, "training": {**record["training"], "int8_bpc": 0.25 * bits}}
    assert read_header(training.run.model).metadata == expected


def test_a_cost_that_is_no_number_is_written_as_none(
    tmp_path: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "int8_cost", lambda model, tokens: math.nan)
    training = start(options(corpus, steps=5), checkpoints=tmp_path / "c")
    finish(training)
    assert read_header(training.run.model).summary["int8_bpc"] is None
    assert api.load(training.run.folder).precision == "fp32"


MEASURED: list[tuple[dict[str, object] | None, str]] = [
    ({"int8_bpc": 0.0}, "int8"),
    ({"int8_bpc": -0.01}, "int8"),
    ({"int8_bpc": 0.00299}, "int8"),
    ({"int8_bpc": 0.003}, "fp32"),
    ({"int8_bpc": 0.2}, "fp32"),
    ({"int8_bpc": None}, "fp32"),
    ({"int8_bpc": "0.001"}, "fp32"),
    ({}, "fp32"),
    (None, "fp32"),
]


def test_a_model_generates_in_8_bits_only_where_it_was_measured_that_little_is_lost(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = []

    def watched(config: Any, weights: Any, precision: str) -> Engine:
        used.append(precision)
        return open_engine(config, weights, precision)

    monkeypatch.setattr("charrnn.api.opened.open_engine", watched)
    loaded = api.load("small", checkpoints=trained)
    for training, precision in MEASURED:
        record = {key: value for key, value in loaded.header.metadata.items() if key != "training"}
        if training is not None:
            record["training"] = training
        model = dataclasses.replace(loaded, header=dataclasses.replace(loaded.header, metadata=record))
        assert model.precision == precision, training
        used.clear()
        model.sample(length=3, seed=1)
        model.sample(length=3, seed=1, precision="fp32")
        model.sample(length=3, seed=1, precision="int8")
        assert used == [precision, "fp32", "int8"], training


def test_a_number_format_that_there_is_not_is_an_error_that_names_those_that_are(trained: Path) -> None:
    with pytest.raises(ConfigError, match=r"int8 or fp32, not 'bf16'"):
        api.load("small", checkpoints=trained).sample(length=3, precision="bf16")


def test_the_network_of_a_loaded_model_has_its_weights_and_is_made_once(trained: Path) -> None:
    model = api.load("small", checkpoints=trained)
    network = model.network
    assert model.network is network and not network.training
    assert {name: tensor.numpy().tolist() for name, tensor in network.state_dict().items()} == {
        name: weight.tolist() for name, weight in model.weights.items()
    }


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
    model = api.load(training.run.folder, counts=False)
    assert model.score(api.held_out(model), unknown=True).loss == pytest.approx(training.trainer.best.loss, rel=1e-3)


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
    assert more.trainer.position.step == 15


@pytest.mark.parametrize("budget", [{"steps": 15}, {"epochs": 0.4}, {"seconds": 60.0}])
def test_a_budget_that_is_spent_is_refused_and_nothing_is_lost(
    tmp_path: Path, corpus: Path, budget: dict[str, Any]
) -> None:
    training = start(options(corpus, **budget), checkpoints=tmp_path)
    for event in training.events():
        if isinstance(event, Report) and event.step >= 10:
            training.stop()
    assert training.trainer.position.step == 10
    before = (tmp_path / "run/resume.safetensors").read_bytes()
    spent: list[tuple[dict[str, Any], str]] = [
        ({"steps": 10}, "10 steps of the run run are behind already: `steps` counts from its beginning"),
        ({"epochs": 0.001}, "epochs of the run run are behind"),
        ({"seconds": 1e-6}, "s of the run run are behind"),
    ]
    for less, said in spent:
        with pytest.raises(RunError, match=said):
            resume("run", checkpoints=tmp_path, **less)
    assert (tmp_path / "run/resume.safetensors").read_bytes() == before
    with pytest.raises(ConfigError, match="give one of"):
        resume("run", checkpoints=tmp_path, more=1.0, steps=20)
    assert resume("run", checkpoints=tmp_path, steps=11).trainer.config.steps == 11


def test_more_time_comes_on_top_of_what_is_spent(tmp_path: Path, corpus: Path) -> None:
    stop_dead(start(options(corpus, steps=20, save_every=10), checkpoints=tmp_path), 10)
    again = resume("run", checkpoints=tmp_path, more=600.0)
    assert again.trainer.config.steps is None
    assert again.trainer.config.seconds == again.trainer.time.spent.seconds + 600
    assert 0 < again.trainer.time.spent.seconds < 600


@pytest.mark.parametrize("part", ["valid", "test"])
def test_a_held_out_file_without_text_is_refused(tmp_path: Path, corpus: Path, part: str) -> None:
    for number, text in enumerate(["", "\n \n"]):
        file = tmp_path / f"{number}.txt"
        file.write_text(text)
        with pytest.raises(CorpusError, match=rf"{number}\.txt holds no text"):
            start(options(corpus, steps=2, **{part: str(file)}), checkpoints=tmp_path / "c")
    assert not list((tmp_path / "c").iterdir())


def test_eval_reads_the_documents_that_were_drawn(tmp_path: Path, corpus: Path) -> None:
    training = start(options(corpus, steps=2, documents="paragraphs", valid=0.3), checkpoints=tmp_path)
    finish(training)
    model = api.load(training.run.folder)
    assert training.data.valid is not None and training.data.split.drawn is not None
    held_out = encode_part(model.tokenizer, [api.held_out(model).read()], "paragraphs")
    assert held_out.tokens.tolist() == training.data.valid.tokens.tolist()
    again = resume("run", checkpoints=tmp_path, steps=3)
    assert again.data.train.tokens.tolist() == training.data.train.tokens.tolist()


def test_a_list_read_as_a_stream_is_remarked_on(tmp_path: Path, corpus: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("".join(f"Name {number}\n" for number in range(60)))
    for file, documents, remarks in [(names, None, 1), (names, "stream", 0), (names, "lines", 0), (corpus, None, 0)]:
        training = start(options(file, steps=2, documents=documents, name=None), checkpoints=tmp_path / "c")
        assert sum("`documents='lines'`" in note for note in training.notes) == remarks


class Ticking:
    """Stands in for `time`: each look at the clock takes a hundredth of a second."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 0.01
        return self.now


@pytest.mark.slow
def test_a_run_against_the_clock_goes_on_by_its_plan_and_when_it_is_complete_for_more_time(
    tmp_path: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticking = Ticking()
    for module in (loop, world, session):
        monkeypatch.setattr(module, "time", ticking)
    stop_dead(start(options(corpus, seconds=6.0, save_every=10), checkpoints=tmp_path), 35)
    again = resume("run", checkpoints=tmp_path)
    pace = again.trainer.time.spent.plan
    assert 30 <= again.trainer.position.step <= 40 and pace.total is not None
    finish(again)
    assert again.trainer.time.spent.plan.total == again.trainer.position.step == pytest.approx(pace.total, rel=0.2)
    assert again.trainer.time.spent.seconds == pytest.approx(6.0, rel=0.05)

    more = resume("run", checkpoints=tmp_path, seconds=12.0)
    finish(more)
    assert more.trainer.time.spent.seconds == pytest.approx(12.0, rel=0.05)
    assert more.trainer.position.step > 1.7 * again.trainer.position.step


def test_a_run_goes_on_with_the_settings_of_the_machine_that_it_began_with(tmp_path: Path, corpus: Path) -> None:
    for tune in (True, False):
        folder = tmp_path / str(tune)
        training = start(options(corpus, steps=100, tune=tune), checkpoints=folder)
        assert training.machine.tuned is tune
        stop_dead(training, 20)
        assert resume("run", checkpoints=folder).machine.tuned is tune


def test_a_run_of_a_newer_charrnn_is_refused_by_its_name(tmp_path: Path, corpus: Path) -> None:
    training = start(options(corpus, steps=100), checkpoints=tmp_path)
    stop_dead(training, 20)
    header, tensors = read(training.run.resume)
    saved = header.metadata["resume"]
    for part in ("train", "progress", "split"):
        newer = {**saved, part: {**saved[part], "tide": 1}}
        write(training.run.resume, tensors, {**header.metadata, "versions": {"charrnn": "9.1"}, "resume": newer})
        with pytest.raises(
            CharrnnError, match=r"unknown field 'tide': the file was written by charrnn 9.1, newer than"
        ):
            resume("run", checkpoints=tmp_path)


def test_a_run_that_cannot_begin_leaves_its_name_free(tmp_path: Path, corpus: Path) -> None:
    with pytest.raises(Exception, match="`vocab_size`"):
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


@pytest.mark.slow
def test_a_short_text_is_learned_by_heart(tmp_path: Path, prose: str) -> None:
    text = tmp_path / "short.txt"
    text.write_text(prose[:200], encoding="utf-8")
    model = api.train(
        text,
        name="heart",
        steps=300,
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
