"""Matrix products for one token after another.

`Exact8` keeps weights in 8 bits, one scale for each output, and reads a layer's output in 8 bits as well. Every product
and every sum is then a small integer, which float32 and int32 hold exactly: whichever library computes it, in
whichever order, for one row or for many, the result is the same to the bit. So a row of a batch is what it is alone,
and a text that NumPy began torch may go on with. Shapes: B rows, K inputs, N outputs.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

LEVELS = 127
_LEVELS = np.array(LEVELS, np.float32)
# Integers up to here are exact in float32.
EXACT = 2**24
# Rounding may add to a sum that was made to fit.
LITTLE_MORE = 1.01
# Levels of what is added up once, when a model is opened.
FINE = np.float64(1 << 18)
# torch multiplies 8-bit integers well for one row and for many, not for a few.
FEW = range(2, 8)
# Below so many weights, calling torch costs more than it saves a single row.
WORTH_A_CALL = 1 << 17


class Matrix(ABC):
    """x (B, K) -> x weight^T (B, N), float32, every row for itself."""

    # Whether its sums are exact, so that it does not matter who computes them.
    exact: ClassVar[bool] = False

    @staticmethod
    @abstractmethod
    def read(h: Floats) -> Floats:
        """A layer's output as a product takes it."""

    @abstractmethod
    def __call__(self, x: Floats) -> Floats:
        """The product of what `read` gave."""

    @staticmethod
    def table(inputs: Floats, weight: Floats) -> Floats:
        """The products (V, N) of an embedding (V, E) and a weight (N, E), computed once and looked up."""
        products: Floats = inputs @ weight.T
        return products

    def use_torch(self, wanted: bool) -> None:  # noqa: B027
        """Let torch compute the sums, or NumPy again; without effect where torch's would not be the same."""


def whole(x: Floats) -> tuple[Doubles, Doubles]:
    """Rows (B, K) as whole numbers up to 2^18 in float64, and what one of them is worth in each row (B, 1).

    Sums of 2^17 products of two of them are still exact.
    """
    largest = np.abs(x).max(axis=-1, keepdims=True, initial=0).astype(np.float64)
    largest[largest == 0] = 1
    return np.rint(x / largest * FINE), largest / FINE


class Plain(Matrix):
    """float32 as it is. A library adds up in another order for many rows than for one, so it is given one at a time."""

    def __init__(self, weight: Floats) -> None:
        self.weight = np.ascontiguousarray(weight)

    @staticmethod
    def read(h: Floats) -> Floats:
        return h

    def __call__(self, x: Floats) -> Floats:
        # A copy of a row begins at an address of its own: the order of adding up depends on that too.
        return np.stack([np.dot(self.weight, row.copy()) for row in x])


class Exact8(Matrix):
    """8-bit weights and 8-bit inputs in [-1, 1], their sums exact."""

    exact = True

    def __init__(self, weight: Floats) -> None:
        scale = self.scale_of(weight)
        self.weight = np.rint(weight / scale[:, None]).clip(-LEVELS, LEVELS)
        self.scale = (scale / LEVELS).astype(np.float32)[None]
        self._by_torch = False
        self._torch: TorchProduct | None = None  # once it was wanted, and is right
        self._tried = False

    @staticmethod
    def scale_of(weight: Floats) -> Floats:
        """What one level of each output's weights (N,) is worth: the largest weight becomes 127.

        Where a whole row might add up beyond what is exact, less. Nothing but whole numbers is added up.
        """
        scale: Floats = np.abs(weight).max(axis=1) / np.float32(LEVELS)
        scale[scale == 0] = 1
        while weight.shape[1] * LEVELS**2 > EXACT:
            sums = np.abs(np.rint(weight / scale[:, None])).astype(np.int64).sum(axis=1)
            if (fits := sums * LEVELS <= EXACT).all():
                break
            scale[~fits] *= (sums[~fits] * LEVELS * LITTLE_MORE / EXACT).astype(np.float32)
        return scale

    @staticmethod
    def table(inputs: Floats, weight: Floats) -> Floats:
        x, x_scale = whole(inputs)
        w, w_scale = whole(weight)
        return (x @ w.T * x_scale * w_scale.T).astype(np.float32)

    @staticmethod
    def read(h: Floats) -> Floats:
        x = np.multiply(h, _LEVELS)
        return np.rint(x, x)

    def __call__(self, x: Floats) -> Floats:
        if self._by_torch and self._torch is not None and (len(x) > 1 or self.weight.size >= WORTH_A_CALL):
            sums: Floats = self._torch(x)
        elif len(x) == 1:
            sums = np.dot(self.weight, x[0])[None]
        else:
            sums = x @ self.weight.T
        sums *= self.scale
        return sums

    def use_torch(self, wanted: bool) -> None:
        self._by_torch = wanted
        if wanted and not self._tried:
            self._tried = True
            product = TorchProduct(self.weight)
            self._torch = product if self._is_right(product) else None

    def _is_right(self, product: "TorchProduct") -> bool:
        """Processors without the instruction for it may saturate: whether the largest sums come out right, for one
        row and for many.
        """
        x = LEVELS * np.sign(self.weight[np.arange(FEW.stop) % len(self.weight)])
        expected = x @ self.weight.T
        return np.array_equal(product(x), expected) and np.array_equal(product(x[:1]), expected[:1])


class TorchProduct:
    """The same sums by torch's product of 8-bit integers."""

    def __init__(self, weight: Floats) -> None:
        import torch

        self._torch: Any = torch
        self._weight = torch.from_numpy(weight.astype(np.int8)).t()
        self._shape = weight.shape
        self._prepare(1)

    def _prepare(self, rows: int) -> None:
        outputs, inputs = self._shape
        self._x, self._sums = np.empty((rows, inputs), np.int8), np.empty((rows, outputs), np.int32)
        x, sums = self._torch.from_numpy(self._x), self._torch.from_numpy(self._sums)
        groups = [slice(row, row + 1) for row in range(rows)] if rows in FEW else [slice(rows)]
        self._parts = [(x[group], sums[group]) for group in groups]

    def __call__(self, x: Floats) -> Floats:
        if len(x) != len(self._x):
            self._prepare(len(x))
        np.copyto(self._x, x, casting="unsafe")
        for part, sums in self._parts:
            self._torch._int_mm(part, self._weight, out=sums)
        return self._sums.astype(np.float32)
