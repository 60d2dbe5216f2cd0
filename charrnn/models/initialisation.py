"""Fresh weights, by the names of `STARTS`. Shapes: E input size, H hidden size."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from charrnn.models.cells.base import Weight


def initialise(tensor: Tensor, weight: Weight, forget: int | None, generator: torch.Generator) -> None:
    """Fill a weight with what its table says it is at first; `forget` is which of its gates is the forget gate."""
    # A matrix of several gates is as many matrices side by side.
    rows = weight.axes[0]
    blocks = tensor.chunk(int(rows[:-1] or 1)) if rows.endswith("H") else (tensor,)
    FILL[weight.start](blocks, forget, generator)


def _glorot(blocks: tuple[Tensor, ...], forget: int | None, generator: torch.Generator) -> None:
    for block in blocks:
        nn.init.xavier_uniform_(block, generator=generator)


def _orthogonal(blocks: tuple[Tensor, ...], forget: int | None, generator: torch.Generator) -> None:
    for block in blocks:
        nn.init.orthogonal_(block, generator=generator)


def _identity(blocks: tuple[Tensor, ...], forget: int | None, generator: torch.Generator) -> None:
    for block in blocks:
        nn.init.eye_(block)


def _unit(blocks: tuple[Tensor, ...], forget: int | None, generator: torch.Generator) -> None:
    for block in blocks:
        nn.init.uniform_(block, 0, 1, generator=generator)


def _zeros(blocks: tuple[Tensor, ...], forget: int | None, generator: torch.Generator) -> None:
    for block in blocks:
        nn.init.zeros_(block)


def _ones(blocks: tuple[Tensor, ...], forget: int | None, generator: torch.Generator) -> None:
    for block in blocks:
        nn.init.ones_(block)


def _carry(blocks: tuple[Tensor, ...], forget: int | None, generator: torch.Generator) -> None:
    for block in blocks:
        nn.init.constant_(block, -1)


def _forget(blocks: tuple[Tensor, ...], forget: int | None, generator: torch.Generator) -> None:
    _zeros(blocks, forget, generator)
    assert forget is not None
    nn.init.ones_(blocks[forget])


FILL: dict[str, Callable[[tuple[Tensor, ...], int | None, torch.Generator], None]] = {
    "glorot": _glorot,
    "orthogonal": _orthogonal,
    "identity": _identity,
    "unit": _unit,
    "carry": _carry,
    "zeros": _zeros,
    "ones": _ones,
    "forget": _forget,
}
