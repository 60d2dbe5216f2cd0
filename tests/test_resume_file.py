"""Damaged files, well formed: each is loaded or refused in one line that names it, and nothing else ever happens."""

import copy
import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from charrnn import api
from charrnn.config import TrainOptions
from charrnn.errors import CharrnnError, CheckpointError
from charrnn.storage.checkpoint import KEY, read, read_header, tokenizer_of, write
from charrnn.storage.runs import Run
from charrnn.training.resume import resume
from charrnn.training.run import start
from tests.conftest import CommandLine

Json = Any


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A small run that has been stopped on its way, with its weights averaged from the first step on."""
    folder = tmp_path_factory.mktemp("stopped")
    corpus = folder / "corpus.txt"
    corpus.write_text("to be or not to be, that is the question\n" * 5, encoding="utf-8")
    options = TrainOptions(
        corpus=(str(corpus),), name="run", seed=1, steps=60, valid=0.2, hidden=4, embedding=4, layers=1, batch_size=2,
        bptt=8, dropout=0, threads=1, precision="fp32", average=0.9, save_every=5,
    )  # fmt: skip
    training = start(options, checkpoints=folder / "checkpoints")
    for event in training.events():
        if getattr(event, "step", 0) >= 20:
            break
    training.lock.release()
    assert "optimizer.forwards.head.basis" in read_header(training.run.resume).shapes
    assert "average.forwards.head" in read_header(training.run.resume).shapes
    return training.run


@pytest.fixture
def run(stopped: Run, tmp_path: Path) -> Run:
    """A copy of it."""
    return Run(Path(shutil.copytree(stopped.folder, tmp_path / "run")))


def refusal(run: Run) -> str:
    """What resuming says of a damaged file: one line that names the file, and no option."""
    with pytest.raises(CheckpointError) as caught:
        resume("run", checkpoints=run.folder.parent)
    message = str(caught.value)
    assert "\n" not in message and "`" not in message and len(message) < 400
    assert f"{run.resume} is damaged: " in message, message
    return message.partition("damaged: ")[2]


def put(record: Json, place: str, value: object) -> Json:
    """The record with this value at 'a.b.c'."""
    first, _, rest = place.partition(".")
    return {**record, first: put(record[first], rest, value) if rest else value}


WRONG: list[tuple[str, object, str]] = [
    ("threads", "two", "threads"),
    ("threads", 1.5, "threads"),
    ("threads", 10**12, "threads"),
    ("threads", 0, "threads"),
    ("threads", [], "threads"),
    ("tune", 3, "tune"),
    ("progress.position.index", 10**6, "index"),
    ("progress.position.index", -1, "index"),
    ("progress.position.epoch", -5, "epoch"),
    ("progress.position.epoch", 10**18, "epoch"),
    ("progress.position.step", 10**400, "step"),
    ("progress.time.seconds", 10**400, "seconds"),
    ("progress.time.seconds", 1e300, "seconds"),
    ("progress.time.plan.share", -1e308, "share"),
    ("progress.time.plan", {"total": 5, "step": 5, "share": 0.1}, "total"),
    ("progress.time.plan.step_seconds", 0.0, "step_seconds"),
    ("progress.rescue.lr_scale", 1e30, "lr_scale"),
    ("progress.rescue.rollbacks", 99, "rollbacks"),
    ("progress.averaged", 0.5, "averaged"),
    ("train.batch_size", 3, "batch_size"),
    ("train.batch_size", 65536, "batch_size"),
    ("train.optimizer", "zz", "optimizer"),
    ("train.optimizer", "adamw", "remembers"),
    ("train.lr", None, "lr"),
    ("train", None, "TrainConfig"),
    ("progress", [], "Progress"),
    ("split.documents", "zz", "documents"),
    ("split.train_end", 10**9, "overlap"),
    ("split.sources", "abc", "sources"),
]  # fmt: skip


def test_a_record_that_is_damaged_is_refused_as_such_and_not_as_wrong_usage(run: Run) -> None:
    header, tensors = read(run.resume)
    for place, value, word in WRONG:
        damaged = put(header.metadata, f"resume.{place}", value)
        write(run.resume, tensors, damaged)
        assert word in refusal(run), place
    write(run.resume, tensors, {**header.metadata, "resume": 3})
    assert "ResumeRecord" in refusal(run)


def test_tensors_that_are_damaged_are_refused_by_their_name(run: Run) -> None:
    header, tensors = read(run.resume)
    head, name = "optimizer.forwards.head", "forwards.head"

    def without(name: str, **more: Tensor) -> dict[str, Tensor]:
        return {**{each: tensor for each, tensor in tensors.items() if each != name}, **more}

    wrong: list[tuple[dict[str, Tensor], str]] = [
        (without("random"), "it lacks random"),
        (without(f"average.{name}"), f"it lacks average.{name}"),
        (without(f"{head}.exp_avg"), f"of {name}"),
        (without(f"{head}.basis"), f"of {name}"),
        (without(f"{head}.exp_avg", **{f"{head}.exp_avgg": tensors[f"{head}.exp_avg"]}), "exp_avgg"),
        ({**tensors, f"{head}.exp_avg": torch.zeros(3)}, f"{head}.exp_avg is (3,)"),
        ({**tensors, f"{head}.exp_avg_sq": tensors[f"{head}.exp_avg_sq"] * float("nan")}, "not finite"),
        ({**tensors, f"model.{name}": tensors[f"model.{name}"] * float("inf")}, "not finite"),
        ({**tensors, "state.0.0.0.0": torch.zeros(5, 4)}, "batch_size is 2"),
        ({**tensors, "state.0.0.0.1": torch.zeros(5, 4)}, "state.0.0.0.1 is (5, 4)"),
        (without("state.0.0.0.1"), "it lacks state.0.0.0.1"),
        ({**tensors, "random": torch.zeros(3, dtype=torch.uint8)}, "random is (3,)"),
    ]
    for damaged, words in wrong:
        write(run.resume, damaged, header.metadata)
        assert words in refusal(run), words


def test_what_only_a_newer_charrnn_knows_is_named_wherever_it_stands(run: Run) -> None:
    header, tensors = read(run.resume)
    newer = {**header.metadata, "versions": {"charrnn": "9.1"}}
    for place in ("resume.train.tide", "resume.progress.tide", "resume.progress.time.tide", "resume.split.tide"):
        write(run.resume, tensors, put(newer, place, 1))
        with pytest.raises(CheckpointError, match=r"unknown field 'tide': the file was written by charrnn 9\.1, newer"):
            resume("run", checkpoints=run.folder.parent)
    for place in ("training.split.tide", "training.split.documents"):
        write(run.model, tensors_of_model(tensors), put(newer, place, "zz"))
        with pytest.raises(CheckpointError, match=r"the file was written by charrnn 9\.1, newer"):
            api.held_out(api.load(run.folder))


def tensors_of_model(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in tensors.items() if name.startswith("model.")}


# ---- at random


VALUES: list[Json] = [
    None, True, False, 0, 1, -1, 7, 10**6, 10**12, 10**40, 0.0, -0.5, 1.5, 1e30, 1e300, "", "zz", "1", [], [1], ["x"],
    {}, {"x": 1},
]  # fmt: skip


def places(record: Json, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where there is a value, however deep."""
    if path:
        yield path
    items = record.items() if isinstance(record, dict) else enumerate(record) if isinstance(record, list) else ()
    for name, value in items:
        yield from places(value, (*path, name))


def mutated(record: Json, draw: random.Random) -> tuple[Json, str]:
    """One value replaced by another, left out, or joined by a field that is none; and what was done."""
    found = copy.deepcopy(record)
    *path, last = draw.choice(list(places(found)))
    owner = found
    for name in path:
        owner = owner[name]
    match draw.randrange(8):
        case 0:
            del owner[last]
            done = "left out"
        case 1 if isinstance(owner, dict):
            owner["tide"] = draw.choice(VALUES)
            done = "joined by tide"
        case _:
            owner[last] = draw.choice(VALUES)
            done = f"is {owner[last]!r}"
    return found, f"{'.'.join(map(str, [*path, last]))} {done}"


def rewrite(path: Path, whole: bytes, record: Json) -> None:
    """The file with another record; its tensors stay as they are."""
    length = int.from_bytes(whole[:8], "little")
    entries = json.loads(whole[8 : 8 + length])
    entries["__metadata__"] = {KEY: json.dumps(record)}
    header = json.dumps(entries).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + whole[8 + length :])


def loaded_or_refused(use: Callable[[], object], done: str) -> bool:
    try:
        use()
    except CharrnnError as error:
        assert "\n" not in str(error) and len(str(error)) < 500, done
        return False
    except Exception as error:
        error.add_note(done)
        raise
    return True


@pytest.mark.slow
def test_any_value_of_another_kind_is_loaded_or_refused(run: Run, charrnn: CommandLine) -> None:
    draw, outcomes = random.Random(17), set()
    whole, record = run.resume.read_bytes(), read_header(run.resume).metadata

    def go_on() -> None:
        training = resume("run", checkpoints=run.folder.parent, threads=1)
        training.trainer.stop = True
        list(training.trainer.run())

    for _ in range(30):
        changed, done = mutated(record, draw)
        rewrite(run.resume, whole, changed)
        outcomes.add(loaded_or_refused(go_on, done))
    assert outcomes == {True, False}
    rewrite(run.resume, whole, record)

    whole, record = run.model.read_bytes(), read_header(run.model).metadata

    def look() -> None:
        tokenizer_of(read_header(run.model))
        model = api.load(run.folder)
        model.sample(length=1, seed=1)
        api.held_out(model)
        repr(model)
        assert api.runs(run.folder.parent)[0].name == "run"

    for _ in range(40):
        changed, done = mutated(record, draw)
        rewrite(run.model, whole, changed)
        loaded_or_refused(look, done)
        for line in (["inspect", "-m", str(run.model)], ["inspect", "--json", "-m", str(run.model)]):
            result = charrnn(*line)
            assert result.code in (0, 1) and "Traceback" not in result.err, done
