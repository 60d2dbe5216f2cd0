"""What the processes that train together share: the models of an ensemble, or the rows of every window.

Models know nothing of each other. So where there is one for each process, or some times as many, process r of W trains
models r, r + W, ... on all rows, as it would alone, and no gradient leaves it; otherwise all train all models, each on
rows of its own. What one alone would learn is learned either way.
"""

from collections.abc import Mapping

from torch import Tensor

from charrnn.models.ensemble import Network
from charrnn.training.world import ALONE, World

# What is saved of a model has its number behind one of these.
NUMBERED = ("models.", "model.models.", "optimizer.models.", "average.models.", "state.")


def shared(models: int, precision: str, world: World) -> tuple[World, World]:
    """With whom this process shares some models, and with whom a window's rows: with itself alone one of the two.

    In fp16 the gradients of all models have one scale, which all must see.
    """
    apart = models % world.size == 0 and precision != "fp16"
    return (world, ALONE) if apart else (ALONE, world)


def gathered(tensors: Mapping[str, Tensor], models: int, world: World) -> dict[str, Tensor]:
    """Tensors by name, those of each of some models as the process has them that trains it."""
    others = set(range(models)) - set(range(models)[world.own])
    elsewhere = tuple(f"{kind}{place}." for place in others for kind in NUMBERED)
    return world.union({name: tensor for name, tensor in tensors.items() if not name.startswith(elsewhere)})


def exchange_weights(network: Network, world: World) -> None:
    """The models that other processes train get the weights that they have there."""
    if world.size > 1:
        network.load_state_dict(gathered(network.state_dict(), len(network.models), world))
