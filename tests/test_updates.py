"""How far a step moves the weights, against counting by hand, and where a run reports it."""

import pytest
import torch
from torch import nn

from charrnn.config import TrainConfig
from charrnn.training.updates import Updates, part
from tests.test_loop import make, reports, weights


def test_a_part_is_a_layer_or_the_first_name() -> None:
    names = ("layers.0.rnn.weight_hh_l0", "connections.1.gain", "head", "bias")
    assert [part(f"forwards.{name}") for name in names] == ["layers.0", "connections.1", "head", "bias"]
    assert part("embedding.weight") == "embedding"
    assert part("backwards.layers.0.rnn.weight_hh_l0") == "backwards" and part("models.1.forwards.head") == "models.1"


def test_the_ratio_is_the_length_of_the_move_over_the_length_of_the_weights() -> None:
    network = nn.Linear(2, 1).double()
    with torch.no_grad():
        network.weight.copy_(torch.tensor([[3.0, 4.0]]))
        network.bias.zero_()
    updates = Updates(network)
    assert updates.take() is None
    with updates.measured(True), torch.no_grad():
        network.weight.add_(torch.tensor([[0.0, 0.5]]))
        network.bias.add_(1)
    with updates.measured(False), torch.no_grad():
        network.weight.add_(1)
    found = updates.take()
    assert found is not None and list(found) == ["weight"]  # the bias had no length
    assert found["weight"] == pytest.approx(0.1)
    assert updates.take() is None


def test_a_run_reports_it_at_one_report_of_ten() -> None:
    trainer = make(TrainConfig(seed=0, steps=60, report_every=3, lr=1e-2, warmup=0, evaluations=1))
    step, seen = trainer._step, {}

    def watched() -> None:
        before = weights(trainer)
        step()
        seen[trainer.position.step] = before, weights(trainer)

    trainer._step = watched  # type: ignore[method-assign]
    found = {report.step: report.updates for report in reports(list(trainer.run()))}
    assert [at for at, updates in found.items() if updates] == [30, 60]
    updates = found[30]
    assert updates is not None and set(updates) == {"embedding", "layers.0", "layers.1", "head", "bias"}
    before, after = seen[30]
    for name in ("head", "bias"):
        old, new = before[f"forwards.{name}"], after[f"forwards.{name}"]
        expected = float((new - old).norm() / old.norm())
        assert updates[name] == pytest.approx(expected, rel=1e-5)
