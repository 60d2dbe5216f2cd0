"""Layers for the laws: of every cell in the registry, float64, and read in every way that there is."""

import torch
from torch import Tensor

from charrnn.models.cells import CELLS, Cell, State
from charrnn.models.layers import Recurrent

NAMES = list(CELLS)
INPUTS, HIDDEN = 5, 7
EXACT = 1e-10


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def fresh(name: str, inputs: int = INPUTS, hidden: int = HIDDEN, seed: int = 0) -> Recurrent:
    """A layer as `initialise` leaves it, float64."""
    layer = Recurrent(CELLS[name], inputs, hidden).double()
    layer.initialise(generator(seed))
    return layer


def trained(name: str, inputs: int = INPUTS, hidden: int = HIDDEN) -> Recurrent:
    """A layer none of whose weights is special: no bias is zero, no two gates are alike."""
    layer = Recurrent(CELLS[name], inputs, hidden).double()
    with torch.no_grad():
        for number, parameter in enumerate(layer.parameters()):
            parameter.copy_(0.6 * normal(*parameter.shape, seed=number + 10))
    return layer


def some_state(layer: Recurrent, batch: int) -> State:
    """Any numbers; but what is divided by, the n of the sLSTM, is a sum of what is positive."""
    names = layer.formula.state_names
    numbers = [normal(batch, layer.hidden, seed=number + 50) for number in range(len(names))]
    state: State = layer.formula.state_type(
        *(part.exp() if name == "n" else part for name, part in zip(names, numbers, strict=True))
    )
    return state


def read_in_chunks(layer: Recurrent, x: Tensor, state: State, lengths: list[int]) -> tuple[Tensor, State]:
    outputs = []
    for chunk in torch.split(x, lengths, dim=1):
        y, state = layer(chunk, state)
        outputs.append(y)
    return torch.cat(outputs, dim=1), state


def read_by_formula(cell: Cell, x: Tensor, state: State) -> tuple[Tensor, State]:
    outputs = []
    for t in range(x.shape[1]):
        state = cell.step(cell.project(x[:, t]), cell.recur(state[0]), state)
        outputs.append(state[0])
    return torch.stack(outputs, dim=1), state


def assert_same(left: tuple[Tensor, State], right: tuple[Tensor, State], tolerance: float = EXACT) -> None:
    assert len(left[1]) == len(right[1])
    for one, other in zip((left[0], *left[1]), (right[0], *right[1]), strict=True):
        assert one.shape == other.shape
        assert (one - other).abs().max() <= tolerance
