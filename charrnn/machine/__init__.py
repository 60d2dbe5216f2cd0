"""The one file that knows the processor: device, number format, threads, allocator and matrix library, chosen once."""

import ctypes
import math
import os
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from charrnn.config import launch, require

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Machine:
    """Where and in what numbers to compute; `settings` says what `tuned` changed to compute faster.

    `adaptive`: training may use fewer than these threads while other programs are at work.
    """

    device: torch.device
    precision: str
    threads: int
    tuned: bool = True
    settings: tuple[str, ...] = ()
    adaptive: bool = False

    def __str__(self) -> str:
        parts = [str(self.device)]
        if self.device.type == "cpu":
            parts.append(f"{self.threads} thread{'s' if self.threads > 1 else ''}")
        parts.append(self.precision if self.precision == "fp32" else f"{self.precision} beside fp32 master weights")
        return ", ".join([*parts, *self.settings])


def pick_device(device: str | None = None) -> torch.device:
    """The device named, else a GPU when there is one, set up. Raises ConfigError when the machine lacks it.

    Of processes that a launcher started, each takes the GPU of its own number, where none is named by number.
    """
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and launch.launched():
        device = f"cuda:{launch.local_rank()}"
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    kind, _, number = device.partition(":")
    there = available.get(kind, False) and (not number or (number.isascii() and number.isdigit()))
    there = there and (kind != "cuda" or int(number or 0) < torch.cuda.device_count())
    require(there, f"there is no device {device} here: `device` cpu always works")
    if kind == "cuda":
        set_up_gpu(torch.device(device))
    return torch.device(device)


def set_up_gpu(device: torch.device) -> None:
    """fp32 is fp32, not TF32, so that figures agree with a processor's; the same sums in the same order, each time.

    Without a workspace of its own for each stream cuBLAS, and so cuDNN's layers, may add up in another order when a run
    goes on. Weights that are dropped anew in each window lie apart, of which torch would warn.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when the first product is asked for
    torch.backends.cuda.matmul.fp32_precision = "ieee"
    torch.backends.cudnn.rnn.fp32_precision = "ieee"  # type: ignore[attr-defined]
    warnings.filterwarnings("ignore", message="RNN module weights are not part of single contiguous chunk")
    if device.index is not None:
        torch.cuda.set_device(device)


def choose(
    device: str | None = None,
    precision: str | None = None,
    threads: int | None = None,
    *,
    tune: bool = True,
    adaptive: bool | None = None,
) -> Machine:
    """Decide what was left open: a GPU when there is one, fp16 on it, bf16 where a processor has it, all cores.

    cuDNN's fastest kernels, which keep the recurrent weights on the chip for a whole window, compute in fp16 alone.
    With `tune`, settings of the C library and of torch that make a CPU train faster. With `adaptive`, which is so
    where `threads` is left open, training uses fewer threads in company. Raises ConfigError when the machine lacks
    what was asked for.
    """
    where = pick_device(device)
    require(precision is None or precision in PRECISIONS, f"`precision` must be fp32, bf16 or fp16, not {precision!r}")
    require(precision != "fp16" or where.type == "cuda", "fp16 trains on a GPU; on a CPU take bf16 or fp32")
    require(threads is None or threads >= 1, f"`threads` must be at least 1, not {threads}")
    settings = []
    if tune and where.type == "cpu":
        if keep_freed_memory():
            settings.append("freed memory kept")
        if products_by_onednn():
            settings.append("products by oneDNN")
    if precision is None:
        fast = "bf16" if where.type == "cpu" and torch.cpu._is_avx512_bf16_supported() else "fp32"
        precision = "fp16" if where.type == "cuda" else fast
    if where.type == "cuda" and precision == "bf16":
        # Else torch has cuDNN compute layers in bf16 without matrix units, as it does in fp32.
        torch.backends.cudnn.rnn.fp32_precision = "tf32"  # type: ignore[attr-defined]
    adaptive = threads is None if adaptive is None else adaptive
    threads = threads or cores()
    torch.set_num_threads(threads)
    return Machine(where, precision, threads, tune, tuple(settings), adaptive and where.type == "cpu")


def cores() -> int:
    """Processors for this program: those that it may run on, or fewer where its control group has a quota of time."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(allowed, math.ceil(min(_quotas(), default=allowed))))


def readers(threads: int | None) -> int:
    """Processes that read a large text side by side: as many as `threads` (None: all) that have processors."""
    return min(cores(), threads or cores())


def _quotas(groups: Path = Path("/proc/self/cgroup"), mounted: Path = Path("/sys/fs/cgroup")) -> Iterator[float]:
    """Every limit that Linux sets this program's time, in processors: of its control group, and of those around it.

    Version 2 has `cpu.max`, "quota period" in microseconds, or "max"; version 1 two files, where -1 is no limit. In a
    container the group's path may be the host's, and its files at the top: what is not there limits nothing.
    """
    for line in _read(groups).splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not path or (controllers and "cpu" not in controllers.split(",")):
            continue
        inside = Path(path.lstrip("/"))
        for top in (mounted / controllers, mounted / "cpu") if controllers else (mounted,):
            for group in {top / part for part in (inside, *inside.parents)}:
                files = [_read(group / name) for name in ("cpu.max", "cpu.cfs_quota_us", "cpu.cfs_period_us")]
                match " ".join(files).split():
                    case [quota, period] if quota.isdecimal() and int(quota) and int(period):
                        yield int(quota) / int(period)


def _read(path: Path) -> str:
    """A file of the system, empty where there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def keep_freed_memory() -> bool:
    """Tell glibc to keep large freed blocks for the next step instead of giving them back and faulting them in again.

    A training step frees and asks for the same tens of megabytes: this makes it 1.3 to 1.9 times as fast. False
    where there is no glibc to tell (musl, macOS, Windows).
    """
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    trim_threshold, mmap_max = -1, -4  # M_TRIM_THRESHOLD, M_MMAP_MAX of malloc.h
    return bool(mallopt(trim_threshold, 2**31 - 1)) and bool(mallopt(mmap_max, 0))


def products_by_onednn() -> bool:
    """Send fp32 products to oneDNN on AMD, where the library that torch takes for them is half as fast.

    The setting allows bf16 inside. A processor without AMX computes fp32 all the same; that is checked, and False
    where it does not hold or where the processor is another.
    """
    if not _is_amd() or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    matmul = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before = matmul.fp32_precision
    matmul.fp32_precision = "bf16"
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 256, 256, generator=generator)
    exact = a.double() @ b.double()
    if float((a @ b - exact).abs().max() / exact.abs().max()) < 1e-5:
        return True
    matmul.fp32_precision = before
    return False


def _is_amd() -> bool:
    return "AuthenticAMD" in _read(Path("/proc/cpuinfo"))
