"""A linear recurrence over a whole window at once: h' = a h + b, in log2 T rounds instead of T steps.

Shapes: T time, B batch, H hidden.
"""

import torch
from torch import Tensor

from charrnn.models.cells import LinearCell, State


def run(cell: LinearCell, projected: Tensor, state: State) -> tuple[Tensor, State]:
    """projected (T, B, G), state (B, H) -> outputs (T, B, H), state."""
    kept, taken = cell.coefficients(projected)
    h = scan(kept, taken, state[0])
    return h, cell.state_type(h[-1])


def scan(a: Tensor, b: Tensor, h: Tensor) -> Tensor:
    """Every h_t = a_t h_{t-1} + b_t (T, B, H), h_{-1} = h (B, H), by doubling (Hillis & Steele 1986).

    After a round, a_t and b_t say what twice as many steps up to t do to the state before them.
    """
    b = torch.cat([torch.addcmul(b[:1], a[:1], h), b[1:]])
    reach = 1
    while reach < len(b):
        b = torch.cat([b[:reach], torch.addcmul(b[reach:], a[reach:], b[:-reach])])
        a = torch.cat([a[:reach], a[reach:] * a[:-reach]])
        reach *= 2
    return b
