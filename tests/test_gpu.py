"""What a GPU asks of training, as far as it shows without one.

A tensor on torch's `meta` device has a shape and no numbers: what would wait for a GPU to have one fails there.
"""

import dataclasses
import warnings
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch

from charrnn.cli.app import run
from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import ConfigError, DeviceMemoryError, RunError
from charrnn.machine import Machine, choose, pick_device
from charrnn.machine.memory import told_when_short
from charrnn.machine.threads import AdaptiveThreads
from charrnn.models.ensemble import build
from charrnn.models.layers import Recurrent
from charrnn.storage.checkpoint import read, write
from charrnn.training.loop import Trainer
from charrnn.training.measure import Measurement
from charrnn.training.optim.soap import TURN_EVERY
from charrnn.training.randomness import Randomness
from charrnn.training.reading import Reading
from charrnn.training.resume import resume
from charrnn.training.run import start
from charrnn.training.train_step import TrainStep
from charrnn.training.world import _together
from tests.cases import each
from tests.test_loop import MODEL, Cycle
from tests.test_run import options

CPU = torch.device("cpu")


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine that says that it has two GPUs; torch's settings are put back."""
    products, layers = torch.backends.cuda.matmul, torch.backends.cudnn.rnn
    before = products.fp32_precision, layers.fp32_precision  # type: ignore[attr-defined]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    with warnings.catch_warnings():
        yield
    products.fp32_precision, layers.fp32_precision = before  # type: ignore[attr-defined]


@pytest.mark.usefixtures("card")
def test_a_gpu_is_chosen_where_there_is_one_and_computes_in_fp16_and_fp32_is_fp32() -> None:
    machine = choose(threads=1)
    assert (machine.device, machine.precision, machine.adaptive) == (torch.device("cuda"), "fp16", False)
    assert torch.backends.cuda.matmul.fp32_precision == "ieee"
    assert torch.backends.cudnn.rnn.fp32_precision == "ieee"  # type: ignore[attr-defined]
    assert (choose("cuda", "bf16", 1).precision, choose("cpu", "fp32", 1).device) == ("bf16", CPU)
    assert torch.backends.cudnn.rnn.fp32_precision == "tf32"  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match="no device cuda:2 here"):
        choose("cuda:2")


@pytest.mark.usefixtures("card")
def test_processes_that_were_launched_together_take_a_gpu_each(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert pick_device() == pick_device("cuda") == torch.device("cuda:1")
    assert pick_device("cuda:0") == torch.device("cuda:0")
    assert [device.index for device in taken] == [1, 1, 0]


def on_meta(precision: str, **network: Any) -> Trainer:
    """A trainer whose device tells nothing."""
    config = TrainConfig(
        seed=0, steps=100, warmup=0, average=0.6, clip_value=0.5, report_every=5, precision=precision,
        optimizer=network.pop("optimizer", "soap"),
    )  # fmt: skip
    model = build(dataclasses.replace(MODEL, **network)).to("meta")
    machine = Machine(torch.device("meta"), precision, 1)
    return Trainer(model, Cycle(bptt=2), config, machine, validate=None, save=lambda *_: None)


@each("precision, network", [
    ("fp16", {"cell": "lstm", "dropout": 0.3, "weight_drop": 0.2, "ensemble": 2}),
    ("bf16", {"cell": "lstm-layernorm", "optimizer": "adamw"}),
])  # fmt: skip
def test_a_step_on_a_device_reads_nothing_back(precision: str, network: dict[str, Any]) -> None:
    trainer = on_meta(precision, **network)
    # The first, one that looks at its gradients, one that turns its bases, and two that are averaged, one measured.
    for step in (0, 5, TURN_EVERY - 1, 70, 99):
        trainer.position = dataclasses.replace(trainer.position, step=step)
        trainer._step()
    assert trainer._sums.device.type == "meta" and trainer.progress.averaged == 3
    with pytest.raises(RuntimeError, match="meta tensor"):
        trainer._settle()  # which is what waits


def test_a_gradient_beyond_fp16_moves_no_weight_and_the_loss_is_scaled_less() -> None:
    """Everything but the kernels is as on a GPU."""
    network = build(MODEL)
    network.initialise(torch.Generator().manual_seed(0))
    step = TrainStep(network, TrainConfig(seed=0, steps=9, precision="fp16"), Machine(CPU, "fp16", 1), 2)
    scaler, window = step.state.scaler, Cycle().window(0, 0)
    losses = [float(step.learn([window], 8, lr=0.01, number=number)[0]) for number in range(20)]
    assert losses[-1] < losses[0] - 0.1 and scaler.get_scale() == 2.0**16
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    scaler.load_state_dict({**scaler.state_dict(), "scale": 2.0**40})
    _, norm, _ = step.learn([window], 8, lr=0.01, number=20)
    assert norm == 0 and scaler.get_scale() == 2.0**39
    assert all(torch.equal(weight, before[name]) for name, weight in network.state_dict().items())


def test_layers_with_a_kernel_of_torchs_own_use_it_on_a_gpu() -> None:
    x = torch.zeros(2, 3, 4, device="meta")
    for cell, fused in (("lstm", True), ("gru", True), ("rnn", True), ("lstm-peephole", False)):
        layer = build(dataclasses.replace(MODEL, cell=cell)).models[0].forwards.layers[0]
        assert isinstance(layer, Recurrent) and layer._kernel_is_best(x) is fused, cell


def test_a_run_begun_in_fp16_goes_on_without_a_gpu_and_says_so(tmp_path: Path, prose: str) -> None:
    (tmp_path / "text.txt").write_text(prose[:2000], encoding="utf-8")
    training = start(options(tmp_path / "text.txt", steps=9), checkpoints=tmp_path)
    with training.lock:
        training.save()
    header, tensors = read(training.run.resume)
    record = {**header.metadata["resume"], "train": {**header.metadata["resume"]["train"], "precision": "fp16"}}
    scaler = {"scaler.scale": torch.tensor(2.0), "random.cuda": torch.zeros(16, dtype=torch.uint8)}
    write(training.run.resume, tensors | scaler, {**header.metadata, "resume": record})
    again = resume("run", checkpoints=tmp_path, device="cpu")
    here = choose("cpu").precision
    assert f"begun in fp16, which needs a GPU: from here on {here}" in again.notes
    assert again.trainer.config.precision == here
    for _ in again.events():
        pass
    assert again.trainer.position.step == 9


def test_the_benchmark_says_what_differs_and_what_it_has_no_time_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One cell of `benchmarks/gpu.py --dry --only check`."""
    monkeypatch.syspath_prepend(Path(__file__).parent.parent / "benchmarks")
    gpu: Any = import_module("gpu")
    small = dataclasses.replace(gpu.DRY, checked=("gru",))
    told, right = gpu.check(small)
    assert right and "gru" in told[1] and "WRONG" not in told[1]
    # A trainer that goes on at the right step with weights of its own is found out, in both formats.
    monkeypatch.setattr(Trainer, "restore", lambda self, snapshot: self._stand_at(snapshot.progress))
    told, right = gpu.check(small)
    assert not right and told[1].count("WRONG") == 2
    assert not gpu.Budget(10).allows("a year", 1e7) and "left out: a year" in capsys.readouterr().out


def test_a_run_begun_on_a_processor_goes_on_on_a_gpu_whose_generator_no_file_knows() -> None:
    random = Randomness(1, CPU)
    saved, own = torch.zeros_like(random.states["random"]), torch.ones(16, dtype=torch.uint8)
    random.states["random.cuda"] = own
    random.restore({"random": saved})
    assert torch.equal(random.states["random"], saved) and torch.equal(random.states["random.cuda"], own)


# -- memory ----------------------------------------------------------------------------------------------------------

FULL = (
    "CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 79.10 GiB of which 1.20 GiB is free."
)


def test_a_gpu_without_memory_is_told_with_advice_and_nothing_else_is_taken_for_it() -> None:
    with (
        pytest.raises(
            DeviceMemoryError, match=r"2.50 GiB more were asked for.*`batch_size`, `bptt` or `hidden` needs less; so$"
        ),
        told_when_short("; so"),
    ):
        raise torch.OutOfMemoryError(FULL)
    for other in (RuntimeError(FULL), RuntimeError("sizes do not match"), MemoryError()):
        with pytest.raises(type(other)) as caught, told_when_short():
            raise other
        assert caught.value is other


def test_memory_that_is_short_in_a_sum_over_processes_is_no_process_that_has_gone() -> None:
    def fail(problem: Exception) -> None:
        raise problem

    for problem, seen in ((torch.OutOfMemoryError(FULL), torch.OutOfMemoryError), (RuntimeError("reset"), RunError)):
        with pytest.raises(seen):
            _together(fail)(problem)


def test_a_training_that_runs_out_of_a_gpus_memory_stays_as_it_was_saved(
    tmp_path: Path, prose: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.txt").write_text(prose[:2000], encoding="utf-8")
    learn = TrainStep.learn

    def short(self: TrainStep, *arguments: Any, number: int, **more: Any) -> Any:
        if number == 5:
            raise torch.OutOfMemoryError(FULL)
        return learn(self, *arguments, number=number, **more)

    monkeypatch.setattr(TrainStep, "learn", short)
    line = [
        "train",
        str(tmp_path / "text.txt"),
        "--name",
        "full",
        "--hidden",
        "8",
        "--ensemble",
        "1",
        "--steps",
        "9",
        "--save-every",
        "3",
    ]
    assert run([*line, "--device", "cpu", "--checkpoints", str(tmp_path)]) == 1
    (last,) = capsys.readouterr().err.strip().splitlines()[-1:]
    assert "2.50 GiB" in last and "--batch-size, --bptt or --hidden" in last and "--resume" in last
    monkeypatch.undo()
    assert read(tmp_path / "full/resume.safetensors")[0].summary["step"] == 3
    again = resume("full", checkpoints=tmp_path)
    for _ in again.events():
        pass
    assert again.trainer.position.step == 9


def test_what_is_measured_without_memory_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError(FULL)

    monkeypatch.setattr(TrainStep, "learn", full)
    machine = Machine(CPU, "fp32", 1)
    reading = Reading(1000, 4, 8, 8.0, 32.0, 10.0, None, None)
    network = ModelConfig(vocab_size=4, start_id=4, embedding=3, hidden=8)
    with pytest.raises(DeviceMemoryError, match="no memory left"):
        Measurement(machine, AdaptiveThreads(machine))(network, reading)
