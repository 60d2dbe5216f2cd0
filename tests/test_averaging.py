"""The mean of the weights against its slow twin, and what of a run has it."""

import pytest
import torch
from torch import Tensor, nn

from charrnn.config import TrainConfig
from charrnn.training.events import Note, Report
from charrnn.training.loop import Trainer
from charrnn.training.optim.averaging import Average
from charrnn.training.progress import Snapshot
from tests.test_loop import Saved, make, reports, weights


def watch(trainer: Trainer) -> list[dict[str, Tensor]]:
    """The weights after every step."""
    seen: list[dict[str, Tensor]] = []
    step = trainer._step

    def watched() -> None:
        step()
        seen.append(weights(trainer))

    trainer._step = watched  # type: ignore[method-assign]
    return seen


def test_the_mean_is_that_of_all_that_was_added() -> None:
    network = nn.Linear(3, 2).double()
    average, seen = Average(network), list[Tensor]()
    for number in range(7):
        with torch.no_grad():
            network.weight.normal_(generator=torch.Generator().manual_seed(number))
        average.add()
        seen.append(network.weight.detach().clone())
    last = network.weight.detach().clone()
    with average.in_place():
        torch.testing.assert_close(network.weight.detach(), torch.stack(seen).mean(0), rtol=1e-12, atol=1e-12)
    assert torch.equal(network.weight, last)


def test_the_weights_come_back_also_where_something_fails() -> None:
    network = nn.Linear(3, 2)
    average = Average(network)
    average.add()
    with torch.no_grad():
        network.weight.zero_()
    with pytest.raises(ZeroDivisionError), average.in_place():
        assert network.weight.any()
        raise ZeroDivisionError
    assert not network.weight.any()


def test_a_mean_that_was_restored_goes_on_alike_and_leaves_what_it_came_from() -> None:
    network = nn.Linear(3, 2)
    average, restored = Average(network), Average(network)
    average.add()
    kept = {name: mean.clone() for name, mean in average.tensors().items()}
    given = {name: mean.clone() for name, mean in kept.items()}
    restored.restore(given, 1)
    with torch.no_grad():
        network.weight.add_(1.0)
    for mean in (average, restored):
        mean.add()
    for name, tensor in average.tensors().items():
        assert torch.equal(restored.tensors()[name], tensor), name
        assert torch.equal(given[name], kept[name]), f"a snapshot's {name} moved"


def test_where_nothing_was_added_nothing_changes() -> None:
    network = nn.Linear(3, 2)
    kept = network.weight.detach().clone()
    with Average(network).in_place():
        assert torch.equal(network.weight, kept)
    assert not Average(network).tensors()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_last_share_of_a_run_is_averaged_and_kept_as_the_model(precision: str) -> None:
    saved, judged = Saved(), list[dict[str, Tensor]]()
    config = TrainConfig(seed=2, steps=20, average=0.25, evaluations=4, precision=precision)

    def judge() -> float:
        judged.append(weights(trainer))
        return 2.0

    trainer = make(config, save=saved, validate=judge)
    seen = watch(trainer)
    list(trainer.run())
    expected = {name: torch.stack([step[name] for step in seen[-5:]]).mean(0) for name in seen[-1]}
    model = saved.snapshots[-1].model()
    for name, mean in expected.items():
        torch.testing.assert_close(model[f"model.{name}"], mean, rtol=0, atol=1e-6)
        torch.testing.assert_close(judged[-2][name], mean, rtol=0, atol=1e-6)
        # What goes on, and is judged apart at the end, is the weights themselves.
        assert torch.equal(weights(trainer)[name], seen[-1][name])
        assert torch.equal(judged[-1][name], seen[-1][name])
    assert trainer.progress.averaged == 5


@pytest.mark.parametrize(("mean", "alone"), [(2.1, 2.15), (2.1, 2.05)])
def test_both_are_judged_at_the_end_and_the_better_is_kept(mean: float, alone: float) -> None:
    config = TrainConfig(seed=2, steps=20, average=0.5, evaluations=4)
    figures, saved = iter([3.0, 2.5, 2.2, mean, alone]), Saved()
    trainer = make(config, save=saved, validate=lambda: next(figures))
    events = list(trainer.run())
    last = reports(events)[-1]
    assert (last.valid_loss, last.unaveraged) == (min(mean, alone), alone)
    assert trainer.best.loss == min(mean, alone)
    assert [report.unaveraged for report in reports(events)[:-1]] == [None] * (len(reports(events)) - 1)
    (note,) = [event.text for event in events if isinstance(event, Note)]
    assert f"{mean:.4f} nats per token by the mean of the weights over 10 steps" in note
    assert ("the mean is kept" in note) is (mean < alone)
    model = saved.snapshots[-1].model()
    as_they_are = all(torch.equal(model[f"model.{name}"], weight) for name, weight in weights(trainer).items())
    assert as_they_are is (alone < mean)


def test_without_averaging_the_model_is_the_last_weights_and_nothing_is_said() -> None:
    saved = Saved()
    trainer = make(TrainConfig(seed=2, steps=20, evaluations=4), save=saved, validate=lambda: 2.0)
    events = list(trainer.run())
    snapshot: Snapshot = saved.snapshots[-1]
    assert all(torch.equal(snapshot.model()[f"model.{n}"], weight) for n, weight in weights(trainer).items())
    assert not any(isinstance(event, Note) for event in events)
    assert all(event.unaveraged is None for event in events if isinstance(event, Report))
