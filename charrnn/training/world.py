"""The processes that train one network together, each on its own rows of every window, or with models of its own.

All of them come to the same decisions, for what they go by is added up over all rows and models, and the time and the
wish to stop are agreed on. How many rows a window has belongs to the run: rank r of W takes rows r, r + W, ...
"""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import wraps
from typing import ParamSpec, TypeVar

import numpy as np
import torch
from torch import Tensor

from charrnn.config import launch
from charrnn.errors import RunError

P = ParamSpec("P")
R = TypeVar("R")
# One process reads a large text while the others wait; one that dies is noticed at once.
PATIENCE = timedelta(days=7)


class World:
    """One process alone, which agrees with itself."""

    rank, size = 0, 1

    def now(self) -> float:
        """The time of one clock, in seconds."""
        return time.monotonic()

    def any(self, flag: bool) -> bool:
        """Whether it holds for any process."""
        return flag

    def sum(self, tensors: Sequence[Tensor]) -> None:
        """Add up each over all processes, in place."""

    @property
    def own(self) -> slice:
        """Of all rows, or all models, this process's."""
        return slice(self.rank, None, self.size)

    def whole(self, part: Tensor, rows: int) -> Tensor:
        """Of this process's rows, all B."""
        return part

    def union(self, own: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What all processes have, by name."""
        return dict(own)

    def told(self, text: str) -> str:
        """What the first process says."""
        return text

    def leave(self) -> None:
        """Behind the last thing that is done together."""


ALONE = World()


def _together(method: Callable[P, R]) -> Callable[P, R]:
    """What all processes do at once. Raises RunError where one of them has gone."""

    @wraps(method)
    def call(*args: P.args, **options: P.kwargs) -> R:
        try:
            return method(*args, **options)
        except torch.OutOfMemoryError:  # one of those too
            raise
        except RuntimeError as problem:
            words = " ".join(str(problem).split())
            raise RunError(f"another process of this training has gone: `resume` goes on ({words[:120]})") from problem

    return call


class Joined(World):
    """This process among others, by torch.distributed: gloo between processors, NCCL between GPUs.

    What is agreed on at every step goes between the processors: no GPU is waited for.
    """

    def __init__(self, device: torch.device) -> None:
        """Meet the others, where the environment says (as torchrun sets it)."""
        from torch import distributed
        from torch.distributed.rendezvous import rendezvous

        self._distributed, self._device = distributed, device
        store, self.rank, self.size = next(iter(rendezvous("env://", timeout=PATIENCE)))
        # A launcher that begins its processes again may keep the store, in which stands where the dead ones were.
        ours = distributed.PrefixStore(f"attempt {launch.attempt()}", store)  # type: ignore[attr-defined]
        kind = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        _together(distributed.init_process_group)(
            kind, store=ours, rank=self.rank, world_size=self.size, timeout=PATIENCE
        )

    @_together
    def now(self) -> float:
        """That of the first process's clock."""
        clock = torch.tensor([time.monotonic()], dtype=torch.float64)
        self._distributed.broadcast(clock, 0)
        return float(clock.item())

    @_together
    def any(self, flag: bool) -> bool:
        raised = torch.tensor([float(flag)])
        self._distributed.all_reduce(raised)
        return bool(raised.item())

    @_together
    def sum(self, tensors: Sequence[Tensor]) -> None:
        # One call for all: between processes each call takes its time.
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        self._distributed.all_reduce(flat)
        for tensor, part in zip(tensors, torch.split(flat, [one.numel() for one in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))

    @_together
    def whole(self, part: Tensor, rows: int) -> Tensor:
        # Sums of one number and zeros are exact.
        whole = torch.zeros((rows, *part.shape[1:]), device=part.device)
        whole[self.own] = part.float()
        self._distributed.all_reduce(whole)
        return whole.to(part.dtype)

    @_together
    def union(self, own: Mapping[str, Tensor]) -> dict[str, Tensor]:
        parts: list[dict[str, Tensor]] = [{} for _ in range(self.size)]
        self._distributed.all_gather_object(parts, {name: tensor.detach().cpu() for name, tensor in own.items()})
        return {name: tensor for part in parts for name, tensor in part.items()}

    @_together
    def told(self, text: str) -> str:
        data = torch.from_numpy(np.frombuffer(text.encode(), np.uint8).copy()).to(self._device)
        size = torch.tensor([data.numel()], device=self._device)
        self._distributed.broadcast(size, 0)
        data = data if self.rank == 0 else torch.empty(int(size.item()), dtype=torch.uint8, device=self._device)
        self._distributed.broadcast(data, 0)
        return bytes(data.cpu().numpy()).decode()

    def leave(self) -> None:
        self._distributed.destroy_process_group()
