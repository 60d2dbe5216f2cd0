"""A student learns half from the text and half from what its teacher expects; a stop changes nothing of it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from charrnn import api
from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import ConfigError
from charrnn.machine import choose
from charrnn.models.ensemble import build
from charrnn.training.batches import FRESH, Batch
from charrnn.training.teacher import Teacher, taught
from charrnn.training.train_step import TrainStep

from .conftest import CommandLine
from .test_bad_input import refused

TEXT = "a cab, a bead\nfeed a bee\nno end, a deed\n" * 40
SMALL: dict[str, Any] = {
    "hidden": 10,
    "embedding": 6,
    "layers": 1,
    "batch_size": 4,
    "bptt": 16,
    "threads": 1,
    "seed": 3,
}
V, B, T = 7, 3, 5


def a_network(ensemble: int, seed: int) -> Any:
    network = build(ModelConfig(vocab_size=V, start_id=V, hidden=8, embedding=6, layers=1, ensemble=ensemble))
    network.initialise(torch.Generator().manual_seed(seed))
    return network


def a_window(seed: int, state_rows: torch.Tensor | None = None) -> Batch:
    inputs, targets = torch.randint(V, (2, B, T), generator=torch.Generator().manual_seed(seed))
    return Batch(inputs, targets, state_rows)


def test_its_loss_is_half_the_texts_and_half_its_teachers() -> None:
    """Over windows whose rows go on with others', against each place by itself: sums of p log q, in float64."""
    teacher, student, twin = a_network(2, seed=1), a_network(1, seed=2), a_network(1, seed=2)
    machine = choose("cpu", "fp32", 1)
    config = TrainConfig(seed=0, steps=9, batch_size=B, bptt=T, optimizer="sgd", clip=None, weight_decay=0.0)
    step = TrainStep(student, config, machine, B, teacher=Teacher(teacher, "fp32"))
    asked, own = teacher.eval().initial_states(B), twin.initial_states(B)
    fresh = torch.tensor([FRESH, 1, 2])
    for number, window in enumerate((a_window(3), a_window(4), a_window(5, fresh))):
        if window.state_rows is not None:
            asked = tuple(
                tuple(tuple(part * torch.tensor([[0], [1], [1]]) for part in layer) for layer in one) for one in asked
            )
            own = tuple(tuple(part * torch.tensor([[0], [1], [1]]) for part in layer) for layer in own)
        loss, *_ = step.learn([window], B * T, lr=0.1, number=number)
        with torch.no_grad():
            log_p, asked = teacher(window.inputs, asked)
        logits, own = twin(window.inputs, own)
        own = tuple(tuple(part.detach() for part in layer) for layer in own)
        p, log_q = log_p.double().exp(), logits.double().log_softmax(-1)
        costs = []
        for row in range(B):
            for place in range(T):
                told = -log_q[row, place, window.targets[row, place]]
                expected = -sum(p[row, place, v] * log_q[row, place, v] for v in range(V))
                costs.append((told + expected) / 2)
        wanted = torch.stack(costs).mean()
        assert loss.item() == pytest.approx(wanted.item(), rel=1e-5)
        twin.zero_grad()
        torch.autograd.backward(wanted)
        with torch.no_grad():
            for weight in twin.parameters():
                weight -= 0.1 * weight.grad
        for weight, by_hand in zip(student.parameters(), twin.parameters(), strict=True):
            torch.testing.assert_close(weight, by_hand, rtol=1e-4, atol=1e-6)


def test_padding_costs_nothing() -> None:
    logits, p = torch.randn(1, 2, V), torch.full((1, 2, V), 1 / V)
    costs = taught(torch.tensor([[0.0, 1.0]]), logits, torch.tensor([[-100, 2]]), p)
    assert costs[0, 0] == 0 and costs[0, 1] > 0.5


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    """The folder of a run `two` of two networks, whose text is beside it."""
    (tmp_path / "c.txt").write_text(TEXT)
    api.train(tmp_path / "c.txt", checkpoints=tmp_path / "ck", name="two", ensemble=2, steps=40, valid=0.1, **SMALL)
    return tmp_path


def test_a_stop_changes_nothing(teacher: Path) -> None:
    """The memory of the teacher is saved as well."""
    given = {**SMALL, "checkpoints": teacher / "ck", "teacher": "two", "valid": 0.1}
    whole = api.Training.start(teacher / "c.txt", name="whole", steps=20, **given)
    list(whole)
    half = api.Training.start(teacher / "c.txt", name="half", steps=20, save_every=5, **given)
    for event in half:
        if getattr(event, "step", 0) >= 10:
            half.stop()
    list(api.Training.resume("half", checkpoints=teacher / "ck", threads=1))
    ends = [load_file(teacher / "ck" / name / "resume.safetensors") for name in ("whole", "half")]
    assert ends[0].keys() == ends[1].keys() and any(name.startswith("state.2") for name in ends[0])
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_distil_makes_one_network_of_the_teachers_kind(teacher: Path, charrnn: CommandLine) -> None:
    done = charrnn("distil", "two", "--checkpoints", "ck", "--steps", "30", "--threads", "1", "--seed", "1")
    assert done.code == 0 and "count as much as the text" in done.err, done
    one = api.load("two-student", checkpoints=teacher / "ck")
    assert (one.config.ensemble, one.config.hidden, one.config.layers) == (1, 10, 1)
    assert (
        one.documents == "stream" and api.held_out(one).read() == api.held_out(api.load("two", checkpoints="ck")).read()
    )
    (teacher / "ck" / "two" / "model.safetensors").rename(teacher / "gone")
    again = charrnn("train", "--resume", "--name", "two-student", "--checkpoints", "ck", "--steps", "40")
    assert again.code == 1 and "two" in again.err


def test_what_a_teacher_cannot_teach_is_told(teacher: Path, charrnn: CommandLine) -> None:
    of = ["train", "--checkpoints", "ck", "--steps", "3", "--threads", "1", "--teacher", "two"]
    (teacher / "d.txt").write_text(TEXT + "q?" * 50)
    refused(charrnn(*of, "d.txt"), 2, "has 2 symbols that", "lacks")
    refused(charrnn(*of, "c.txt", "--tokenizer", "byte"), 2, "has tokenizer char, which stays")
    refused(charrnn(*of, "c.txt", "--from", "two"), 2, "leave out --from, or --teacher")
    refused(charrnn(*of, "c.txt", "--bidirectional"), 2, "reads forwards alone")
    with pytest.raises(ConfigError, match="reads its text more than once"):
        api.train(teacher / "c.txt", checkpoints=teacher / "ck", teacher="two", stream=True, steps=2)
    refused(
        charrnn("distil", "two", "--checkpoints", "ck", "--for", "5s", "--steps", "3"), 2, "leave out --for or --steps"
    )
