"""What stands between a layer and what reads it, written as formulas for torch and for NumPy alike.

Shapes: H hidden size. y (..., H) is a layer's output, x (..., H) its input. The first layer's input has another size:
nothing is added to what it gives.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from charrnn.models.cells.base import Operations, Weight
from charrnn.models.states import Array

NORM = {"gain": Weight(("H",), "ones"), "shift": Weight(("H",), "zeros")}


class Connection(ABC):
    """From a layer's output and input to the input of the layer above."""

    extra_weights: ClassVar[dict[str, Weight]] = {}
    # Whether what is handed on stays in [-1, 1] when outputs and inputs do.
    bounded: ClassVar[bool] = True
    # Whether the output is handed on as it is.
    plain: ClassVar[bool] = False

    def __init__(self, weights: Mapping[str, Any], operations: Operations) -> None:
        self.weights = weights
        self.op = operations

    @classmethod
    def table(cls, norm: bool) -> dict[str, Weight]:
        """Its weights; `norm` adds those of layer normalisation."""
        return (NORM if norm else {}) | cls.extra_weights

    def __call__(self, y: Array, x: Array) -> Array:
        """The output, normalised if so asked (Ba et al. 2016), joined to the input."""
        if "gain" in self.weights:
            y = self.op.normalise(y, self.weights["gain"], self.weights["shift"])
        return self.join(y, x)

    @abstractmethod
    def join(self, y: Array, x: Array) -> Array:
        """What the layer above reads (..., H)."""


class Stacked(Connection):
    """Plain stacking: y."""

    plain = True

    def join(self, y: Array, x: Array) -> Array:
        return y


class Residual(Connection):
    """Residual connection (He et al. 2016): y + x."""

    bounded = False

    def join(self, y: Array, x: Array) -> Array:
        return y + x


class Highway(Connection):
    """Highway connection with a carry gate (Srivastava et al. 2015): t y + (1 - t) x, t = sigmoid(W x + b)."""

    extra_weights: ClassVar[dict[str, Weight]] = {
        "carry_weight": Weight(("H", "H"), "glorot"),
        "carry_bias": Weight(("H",), "carry"),
    }

    def join(self, y: Array, x: Array) -> Array:
        t = self.op.sigmoid(self.op.linear(x, self.weights["carry_weight"], self.weights["carry_bias"]))
        return x + t * (y - x)


# By the names of `--skip`. With "dense" layers are stacked, and the head reads all of them (Graves 2013).
CONNECTIONS: dict[str | None, type[Connection]] = {
    None: Stacked,
    "residual": Residual,
    "highway": Highway,
    "dense": Stacked,
}
DENSE = "dense"


def connection(skip: str | None, layer: int) -> type[Connection]:
    """What stands above this layer, counted from 0."""
    return CONNECTIONS[skip] if layer else Stacked
