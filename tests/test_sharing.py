"""Processes that share rows or models, as threads that wait for each other: against one that does all of it."""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from charrnn.config import ModelConfig, TrainConfig
from charrnn.machine import Machine
from charrnn.machine.threads import AdaptiveThreads, Spell
from charrnn.models.ensemble import build
from charrnn.training.batches import Batch
from charrnn.training.measure import LEFT_FOR_STEPS, Measurement
from charrnn.training.reading import Reading
from charrnn.training.sharing import exchange_weights, shared
from charrnn.training.sizing import OPERATIONS, weight_count
from charrnn.training.train_step import TrainStep
from charrnn.training.updates import Updates
from charrnn.training.world import ALONE, World
from tests.cases import each

ROWS, BPTT, STEPS = 5, 7, 4


class Beside(World):
    """One of some threads. `summed` are the number formats of what was added up."""

    def __init__(self, rank: int, size: int, barrier: threading.Barrier, held: dict[int, Any]) -> None:
        self.rank, self.size, self._barrier, self._held = rank, size, barrier, held
        self.summed: list[torch.dtype] = []

    def _all(self, own: Any) -> list[Any]:
        self._held[self.rank] = own
        self._barrier.wait()
        found = [self._held[rank] for rank in range(self.size)]
        self._barrier.wait()
        return found

    def any(self, flag: bool) -> bool:
        return any(self._all(flag))

    def sum(self, tensors: Sequence[Tensor]) -> None:
        self.summed += [tensor.dtype for tensor in tensors]
        for tensor, *parts in zip(tensors, *self._all([one.clone() for one in tensors]), strict=True):
            tensor.copy_(sum(parts[1:], parts[0]))

    def whole(self, part: Tensor, rows: int) -> Tensor:
        whole = part.new_zeros(rows, *part.shape[1:])
        for rank, rows_of in enumerate(self._all(part.clone())):
            whole[rank :: self.size] = rows_of
        return whole

    def union(self, own: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: tensor for part in self._all(dict(own)) for name, tensor in part.items()}

    def told(self, text: str) -> str:
        said: str = self._all(text)[0]
        return said


def side_by_side(size: int, work: Callable[[World], Any]) -> list[Any]:
    """What each of some threads comes to."""
    barrier, held = threading.Barrier(size, timeout=30), dict[int, Any]()

    def one(rank: int) -> Any:
        try:
            return work(Beside(rank, size, barrier, held))
        except BaseException:
            barrier.abort()
            raise

    with torch.random.fork_rng(), ThreadPoolExecutor(size) as threads:
        return list(threads.map(one, range(size)))


def trained(world: World, models: int, precision: str, **fields: Any) -> tuple[dict[str, Tensor], list[Tensor], Any]:
    """What a few steps leave, between which the state is read and restored: that state, and what each step says."""
    network = build(ModelConfig(vocab_size=9, start_id=9, embedding=6, hidden=8, layers=2, ensemble=models))
    network.initialise(torch.Generator().manual_seed(2))
    config = TrainConfig(seed=1, steps=STEPS, batch_size=ROWS, bptt=BPTT, precision=precision, clip=0.5, **fields)
    step = TrainStep(network, config, Machine(torch.device("cpu"), precision, 1), ROWS, world)
    tokens = torch.randint(9, (STEPS, ROWS, BPTT + 1), generator=torch.Generator().manual_seed(3))
    # In the third window each row goes on with the memory of the one before it.
    moved = {2: torch.arange(ROWS) - 1}
    told = []
    for n, window in enumerate(tokens):
        batch = Batch(window[:, :-1], window[:, 1:], moved.get(n))
        told.append(torch.stack(step.learn([batch], ROWS * BPTT, lr=0.01, number=n)))
        averaged = step.average_in(True)
        step.restore(step.state.tensors(), averaged)
    state = step.state.tensors()
    del state["random"]  # threads draw from one generator
    return state, told, world


def test_models_are_shared_where_there_is_one_for_each_process_and_else_the_rows() -> None:
    two = World()
    two.size = 2
    for models, with_whom in ((1, (ALONE, two)), (2, (two, ALONE)), (3, (ALONE, two)), (4, (two, ALONE))):
        assert shared(models, "bf16", two) == with_whom
    assert shared(2, "fp16", two) == (ALONE, two)
    assert shared(3, "fp16", ALONE) == (ALONE, ALONE)


@each("models, size", [(2, 2), (4, 2), (3, 3)])
def test_models_of_several_processes_learn_to_the_bit_what_one_process_teaches_them(models: int, size: int) -> None:
    expected, steps, _ = trained(ALONE, models, "bf16")
    for found, told, _ in side_by_side(size, lambda world: trained(world, models, "bf16")):
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert torch.equal(found[name], value), name
        assert all(map(torch.equal, told, steps))


@each("precision, size, tolerance", [("fp32", 2, 1e-6), ("fp32", 4, 1e-6), ("bf16", 2, 2e-2), ("bf16", 4, 2e-2)])
def test_rows_of_several_processes_teach_what_all_rows_teach_in_the_format_of_the_gradients(
    precision: str, size: int, tolerance: float
) -> None:
    wire = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    expected, steps, _ = trained(ALONE, 1, precision, optimizer="sgd")
    for found, told, world in side_by_side(size, lambda world: trained(world, 1, precision, optimizer="sgd")):
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, rtol=0, atol=tolerance, msg=name)
        torch.testing.assert_close(torch.stack(told), torch.stack(steps), rtol=tolerance, atol=0)
        gradients = len(world.summed) // STEPS - 1
        assert world.summed == STEPS * [torch.float32, *[wire] * gradients] and gradients > 9


def test_weights_are_exchanged_and_a_model_keeps_its_own() -> None:
    def work(world: World) -> list[float]:
        network = build(ModelConfig(vocab_size=3, start_id=3, embedding=2, hidden=2, layers=1, ensemble=4))
        for number, model in enumerate(network.models):
            torch.nn.init.constant_(model.embedding.weight, 10 * world.rank + number)
        exchange_weights(network, world)
        return [model.embedding.weight[0, 0].item() for model in network.models]

    assert side_by_side(2, work) == [[0, 11, 2, 13]] * 2


def test_how_far_each_model_has_moved_is_known_to_all() -> None:
    def work(world: World) -> dict[str, float] | None:
        models = [nn.Linear(3, 1), nn.Linear(2, 1)]
        network = nn.ModuleDict({"models": nn.ModuleList(models)})
        for weight in network.parameters():
            nn.init.ones_(weight)
        updates = Updates(network, world)
        with updates.measured(True), torch.no_grad():
            for weight in models[world.rank].parameters():
                weight.add_(0.1 * (world.rank + 1))
        return updates.take()

    assert side_by_side(2, work) == [pytest.approx({"models.0": 0.1, "models.1": 0.2})] * 2


@each("ensemble, models", [(1, 1), (2, 2), (3, 1), (4, 2)])
def test_processes_are_measured_at_work_together(ensemble: int, models: int) -> None:
    machine = Machine(torch.device("cpu"), "fp32", 1)
    network = ModelConfig(vocab_size=9, start_id=9, embedding=6, hidden=8, layers=1, ensemble=ensemble)
    reading = Reading(tokens=1000, batch_size=4, bptt=5, window=5, a_step=20, seconds=1.0, epochs=None, to_read=None)

    def work(world: World) -> float | None:
        def timed(step: Callable[[], None]) -> Spell:
            step()
            return Spell(0.5, 0.5, 0, 1)

        threads = AdaptiveThreads(machine, steps=timed, use=lambda count: None)
        measurement = Measurement(machine, threads, world)
        if world.rank:
            measurement.follow(*json.loads(world.told(""))["measure"])
            return None
        return measurement(network, reading)

    first, second = side_by_side(2, work)
    operations = OPERATIONS * models * weight_count(8, "lstm", 1) * 20 / 0.5
    assert first == pytest.approx(LEFT_FOR_STEPS * operations) and second is None
