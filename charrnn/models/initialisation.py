"""Fresh weights, by the names of `INITIALIZERS`. Shapes: E input size, H hidden size."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from charrnn.models.cells.base import Weight


def initialise(
    tensor: Tensor, weight: Weight, forget: int | None, generator: torch.Generator, radius: float = 1.0
) -> None:
    """Fill a weight with what its table says it is at first; `forget` is which of its gates is the forget gate.

    What multiplies the state has all its eigenvalues on the circle of this `radius`.
    """
    # A matrix of several gates is as many matrices side by side.
    rows = weight.axes[0]
    blocks = tensor.chunk(int(rows[:-1] or 1)) if rows.endswith("H") else (tensor,)
    for gate, block in enumerate(blocks):
        FILL[weight.init](block, generator, gate == forget)
        if weight.recurrent:
            with torch.no_grad():
                block.mul_(radius)


# One gate's block, the generator, whether it is the forget gate's.
FILL: dict[str, Callable[[Tensor, torch.Generator, bool], Tensor]] = {
    "glorot": lambda block, generator, _: nn.init.xavier_uniform_(block, generator=generator),
    "orthogonal": lambda block, generator, _: nn.init.orthogonal_(block, generator=generator),
    "identity": lambda block, *_: nn.init.eye_(block),
    "unit": lambda block, generator, _: nn.init.uniform_(block, 0, 1, generator=generator),
    "carry": lambda block, *_: nn.init.constant_(block, -1),
    "zeros": lambda block, *_: nn.init.zeros_(block),
    "ones": lambda block, *_: nn.init.ones_(block),
    "forget": lambda block, _, forgets: nn.init.constant_(block, float(forgets)),
}
