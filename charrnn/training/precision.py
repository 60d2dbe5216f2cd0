"""Device and number format, chosen once.

Training computes in bf16 where the machine multiplies bf16, beside fp32 master weights that the optimiser moves;
validation, sampling and checkpoints use the fp32 weights alone.
"""

import copy
import ctypes
import os
import sys
from dataclasses import dataclass

import torch
from torch import nn

from charrnn.config import require
from charrnn.models.language_model import LanguageModel

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Machine:
    """Where and in what numbers to compute."""

    device: torch.device
    precision: str
    threads: int

    def __str__(self) -> str:
        threads = f", {self.threads} threads" if self.device.type == "cpu" else ""
        return f"{self.device}{threads}, {self.precision}"


def pick_device(device: str | None = None) -> torch.device:
    """The device named, else a GPU when there is one. Raises ConfigError when the machine lacks it."""
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    require(available.get(device.split(":")[0], False), f"there is no device {device} here: --device cpu always works")
    return torch.device(device)


def choose(device: str | None = None, precision: str | None = None, threads: int | None = None) -> Machine:
    """Decide what was left open: a GPU when there is one, bf16 where the processor has it, all cores.

    Raises ConfigError when the machine lacks what was asked for.
    """
    where = pick_device(device)
    require(precision is None or precision in PRECISIONS, f"precision must be fp32 or bf16, not {precision!r}")
    require(threads is None or threads >= 1, f"threads must be at least 1, not {threads}")
    if precision is None:
        fast = torch.cpu._is_avx512_bf16_supported() if where.type == "cpu" else where.type == "cuda"
        precision = "bf16" if fast else "fp32"
    threads = threads or _cores()
    torch.set_num_threads(threads)
    return Machine(where, precision, threads)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def keep_freed_memory() -> None:
    """Tell glibc to keep large freed blocks for the next step instead of giving them back and faulting them in again.

    A training step frees and asks for the same tens of megabytes: this makes it 1.3 to 1.9 times as fast. Elsewhere
    (musl, macOS, Windows) it does nothing.
    """
    if sys.platform != "linux":
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    trim_threshold, mmap_max = -1, -4  # M_TRIM_THRESHOLD, M_MMAP_MAX of malloc.h
    mallopt(trim_threshold, 2**31 - 1)
    mallopt(mmap_max, 0)


class Shadow:
    """The network as a training step computes it: the master itself in fp32, else a copy in fewer bits."""

    def __init__(self, master: LanguageModel, precision: str) -> None:
        self.master = master
        self.model = master
        if precision != "fp32":
            self.model = copy.deepcopy(master).to(PRECISIONS[precision])
        self._pairs: list[tuple[nn.Parameter, nn.Parameter]] = list(
            zip(master.parameters(), self.model.parameters(), strict=True)
        )

    def refresh(self) -> None:
        """Copy the master's weights into the shadow."""
        if self.model is not self.master:
            with torch.no_grad():
                for master, shadow in self._pairs:
                    shadow.copy_(master)

    def hand_over_gradients(self) -> None:
        """Move the shadow's gradients to the master, in fp32."""
        if self.model is not self.master:
            for master, shadow in self._pairs:
                master.grad = None if shadow.grad is None else shadow.grad.to(master.dtype)
                shadow.grad = None
