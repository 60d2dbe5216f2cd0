"""Several processes that train together, under torch's own launcher: what one alone would have learned, said once."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from torch.distributed import TCPStore  # type: ignore[attr-defined]

from charrnn.config import TrainOptions, launch
from charrnn.errors import RunError
from charrnn.models.layers import LockedDropout
from charrnn.storage import checkpoint
from charrnn.training.distributed import begin
from charrnn.training.world import ALONE, World

from .conftest import CommandLine
from .forks import forked, told_to_files

# AdamW: SOAP's bases make more of the rounding of a sum in another order.
NETWORK = [
    "--hidden", "24", "--layers", "2", "--bptt", "24", "--batch-size", "21", "--dropout", "0.3", "--seed", "4",
    "--optimizer", "adamw", "--precision", "fp32", "--threads", "1", "--eval-every", "20",
]  # fmt: skip


def torchrun(ranks: int, *arguments: str, more: Sequence[str] = ()) -> "subprocess.Popen[str]":
    """Start `ranks` processes of a command line."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks), *more]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    return subprocess.Popen(
        [*launcher, "-m", "charrnn", *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class Launch:
    """As many processes of a command line as torchrun would start, told the same; but forked, which takes no time."""

    def __init__(self, ranks: int, *arguments: str, folder: Path) -> None:
        self.store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        self.told = [(folder / f"out-{rank}", folder / f"err-{rank}") for rank in range(ranks)]
        self.processes = [
            forked(told_to_files, *self.told[rank], self.environment(rank, ranks), *arguments) for rank in range(ranks)
        ]

    def environment(self, rank: int, ranks: int) -> dict[str, str]:
        return {
            "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(ranks), "LOCAL_WORLD_SIZE": str(ranks),
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(self.store.port), "TORCHELASTIC_USE_AGENT_STORE": "True",
            "TORCHELASTIC_RUN_ID": "job", "GLOO_SOCKET_IFNAME": "lo",
        }  # fmt: skip

    def poll(self) -> int | None:
        """None as long as nothing has ended; the exit code of one that failed, or else 0."""
        codes = [process.exitcode for process in self.processes if process.exitcode is not None]
        return max(codes, key=bool, default=None)

    def ended(self) -> tuple[int, str, str]:
        """The exit code of one that failed, which ends the others, and what all of them said."""
        deadline = time.monotonic() + 120
        while any(one.is_alive() for one in self.processes) and not self.poll() and time.monotonic() < deadline:
            wait([one.sentinel for one in self.processes if one.is_alive()], timeout=1)
        code = self.poll()
        for process in self.processes:
            process.kill()
            process.join()
        out, err = ("".join(file.read_text("utf-8") for file in files) for files in zip(*self.told, strict=True))
        return -1 if code is None else code, out, err


def ended(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def metrics(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def same(one: Path, other: Path, tolerance: float) -> None:
    """Two runs have come to the same place, to rounding."""
    a, b = (load_file(run / "resume.safetensors") for run in (one, other))
    assert a.keys() == b.keys()
    for name, value in a.items():
        np.testing.assert_allclose(b[name].astype(float), value.astype(float), atol=tolerance, err_msg=name)
    assert a["random"].tobytes() == b["random"].tobytes()
    first, second = metrics(one), metrics(other)
    assert [each["step"] for each in first] == [each["step"] for each in second]
    for name in ("loss", "grad_norm", "valid_loss"):
        told = [(each[name], twin[name]) for each, twin in zip(first, second, strict=True) if each.get(name)]
        assert told and all(x == pytest.approx(y, abs=tolerance) for x, y in told), name


# ---- without any other process


def test_a_process_alone_agrees_with_itself() -> None:
    part = torch.arange(6.0).view(3, 2)
    assert ALONE.any(True) and not ALONE.any(False) and ALONE.told("x") == "x"
    assert torch.equal(ALONE.whole(part, 3), part) and part[ALONE.own] is not None and len(part[ALONE.own]) == 3
    ALONE.sum([part])
    assert torch.equal(part, torch.arange(6.0).view(3, 2))


def test_a_variable_that_somebody_else_has_set_makes_no_launch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    monkeypatch.setenv("RANK", "3")
    assert not launch.launched() and launch.rank() == 0
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert launch.launched() and launch.rank() == 3


def test_rows_are_dropped_alike_however_many_processes_share_them() -> None:
    x = torch.ones(7, 4, 50)
    torch.manual_seed(3)
    whole, after = LockedDropout(0.5).train()(x), torch.rand(1)
    for size in (2, 3, 8):
        shared = torch.zeros_like(x)
        for rank in range(size):
            world, dropout = World(), LockedDropout(0.5).train()
            world.rank, world.size = rank, size
            dropout.rows, dropout.own = 7, world.own
            torch.manual_seed(3)
            shared[world.own] = dropout(x[world.own])
            assert torch.equal(torch.rand(1), after)
        assert torch.equal(shared, whole)


# ---- two and three of them


@pytest.mark.slow
def test_processes_learn_together_what_one_learns_alone_and_a_run_goes_on_in_a_world_of_another_size(
    charrnn: CommandLine, corpus: Path, tmp_path: Path
) -> None:
    """Rows that are not shared evenly, dropout, and epochs at whose start rows go on with their neighbours' memory."""
    line = ["train", str(corpus), *NETWORK, "--checkpoints", str(tmp_path)]
    code, out, err = ended(torchrun(2, *line, "--name", "together", "--steps", "40", "--json"))
    assert code == 0, err
    assert [json.loads(event)["step"] for event in out.splitlines()] == [10, 20, 30, 40], "said once"
    assert err.count("saved in") == 1 and err.count("2 processes train it together, 1 thread each") == 1
    assert err.count("machine: cpu, 1 thread,") == 1
    assert not (tmp_path / "together" / "launch.txt").exists() and not (tmp_path / "together" / ".lock").exists()
    assert charrnn(*line, "--name", "alone", "--steps", "40", "-q").code == 0
    assert metrics(tmp_path / "alone")[-1]["epoch"] > 1
    same(tmp_path / "alone", tmp_path / "together", 2e-5)
    more = ["train", "--resume", "--checkpoints", str(tmp_path), "--threads", "1", "-q", "--name"]
    for run in ("alone", "together"):
        assert charrnn(*more, run, "--steps", "60").code == 0
    assert charrnn(*more, "alone", "--steps", "90").code == 0
    code, out, err = Launch(3, *more, "together", "--steps", "90", folder=tmp_path).ended()
    assert code == 0 and re.fullmatch(r"[\d.]+\n", out), err
    same(tmp_path / "alone", tmp_path / "together", 1e-4)


@pytest.mark.slow
def test_networks_of_an_ensemble_that_are_shared_out_learn_what_one_process_teaches_them(
    charrnn: CommandLine, corpus: Path, tmp_path: Path
) -> None:
    """By SOAP too, for each is trained by one process, which has all rows."""
    network = ["soap" if word == "adamw" else word for word in NETWORK] + ["--average", "0.5", "--weight-drop", "0.2"]
    line = ["train", str(corpus), *network, "--ensemble", "2", "--checkpoints", str(tmp_path), "-q"]
    code, _, err = Launch(2, *line, "--name", "together", "--steps", "30", folder=tmp_path).ended()
    assert code == 0, err
    assert charrnn(*line, "--name", "alone", "--steps", "30").code == 0
    same(tmp_path / "alone", tmp_path / "together", 1e-7)
    assert charrnn("train", "--resume", "--checkpoints", str(tmp_path), "--name", "together", "--steps", "31").code == 0


@pytest.mark.slow
def test_a_world_whose_process_is_killed_begins_again_where_it_was_saved_and_ends_as_if_undisturbed(
    charrnn: CommandLine, corpus: Path, tmp_path: Path
) -> None:
    text, files = corpus.read_text(encoding="utf-8"), []
    for number in range(3):
        files.append(str(tmp_path / f"{number}.txt"))
        Path(files[-1]).write_text(text[number * 3000 : (number + 1) * 3000], encoding="utf-8")
    line = [
        "train",
        *files,
        "--shuffle",
        *NETWORK,
        "--checkpoints",
        str(tmp_path / "c"),
        "--save-every",
        "5",
        "--steps",
        "130",
    ]
    process = torchrun(2, *line, "--name", "killed", more=["--max-restarts", "3"])
    wait_until(lambda: (tmp_path / "c/killed/metrics.jsonl").exists() and metrics(tmp_path / "c/killed"), process)
    os.kill(workers(process)[1], signal.SIGKILL)
    code, _, err = ended(process)
    assert code == 0 and err.count("resumed: killed at step") == 1, err
    assert charrnn(*line, "--name", "quiet", "-q").code == 0
    same(tmp_path / "c/quiet", tmp_path / "c/killed", 2e-3)


def workers(launcher: "subprocess.Popen[str]") -> list[int]:
    """The processes that it has started, by their ranks."""
    found: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        try:
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            told = dict(each.split("=", 1) for each in (folder / "environ").read_text().split("\0") if "=" in each)
        except (OSError, ValueError, IndexError):
            continue
        if parent == launcher.pid and "RANK" in told:
            found[int(told["RANK"])] = int(folder.name)
    return [found[rank] for rank in sorted(found)]


def wait_until(holds: Any, started: "subprocess.Popen[str] | Launch") -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert started.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
def test_one_that_is_asked_to_stop_stops_all_with_everything_saved(
    charrnn: CommandLine, corpus: Path, tmp_path: Path
) -> None:
    line = ["train", str(corpus), *NETWORK, "--checkpoints", str(tmp_path), "--name", "asked", "--for", "1h"]
    launch = Launch(2, *line, folder=tmp_path)
    wait_until(lambda: (tmp_path / "asked" / "metrics.jsonl").exists() and metrics(tmp_path / "asked"), launch)
    os.kill(launch.processes[1].pid or 0, signal.SIGUSR1)
    code, _, err = launch.ended()
    assert code == 0 and err.count("and saved; to go on:") == 1, err
    step = metrics(tmp_path / "asked")[-1]["step"]
    assert charrnn("train", "--resume", "--checkpoints", str(tmp_path), "--steps", str(step + 30), "-q").code == 0


def test_a_run_whose_first_save_was_cut_short_is_begun_anew_by_its_own_launch_alone(
    tmp_path: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the model and what the run goes on from."""
    options = TrainOptions(corpus=(str(corpus),), name="r", steps=1, hidden=8, layers=1, precision="fp32")
    write = checkpoint.write

    def killed(path: Path, *given: Any) -> None:
        if path.name == "resume.safetensors":
            raise KeyboardInterrupt
        write(path, *given)

    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "job")
    with monkeypatch.context() as dying:
        dying.setattr(checkpoint, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            begin(options, checkpoints=tmp_path)
    assert (tmp_path / "r" / "model.safetensors").exists() and not (tmp_path / "r" / "resume.safetensors").exists()
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "another")
    with pytest.raises(RunError, match="there is a run named r"):
        begin(options, checkpoints=tmp_path)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "job")
    training = begin(options, checkpoints=tmp_path)
    list(training.events())
    assert metrics(tmp_path / "r")[-1]["step"] == 1 and not (tmp_path / "r" / "launch.txt").exists()


@pytest.mark.slow
def test_what_is_wrong_is_said_once(tmp_path: Path, corpus: Path) -> None:
    line = ["train", str(tmp_path / "none.txt"), "--checkpoints", str(tmp_path / "c")]
    code, out, err = ended(torchrun(2, *line))
    assert code != 0 and not out and err.count("charrnn: ") == 1 and "there is no file" in err
    assert "charrnn/" not in err, "no traceback of ours"
