"""Products over weights that were laid out for oneDNN once, against plain ones."""

import torch
import torch.nn.functional as F
from torch import Tensor

from charrnn.models.kernels.base import Packed
from tests.cases import each


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def relative(found: Tensor, expected: Tensor) -> float:
    return float((found.double() - expected.double()).norm() / expected.double().norm())


TOLERANCE = {torch.float64: 1e-14, torch.float32: 1e-6, torch.bfloat16: 8e-3}


@each("dtype", TOLERANCE)
@each("biased", [False, True])
@each("sizes", [(1, 1), (3, 3), (32, 32), (3, 32), (32, 1)])
def test_a_packed_product_is_a_linear_layer(dtype: torch.dtype, biased: bool, sizes: tuple[int, int]) -> None:
    batch, packed_for = sizes
    x, weight = normal(batch, 24, seed=0).to(dtype), normal(40, 24, seed=1).to(dtype)
    bias = normal(40, seed=2).to(dtype) if biased else None
    found = Packed(weight, packed_for)(x, bias)
    assert (found.dtype, found.shape) == (dtype, (batch, 40))
    exact = F.linear(x.double(), weight.double(), None if bias is None else bias.double())
    assert relative(found, exact) < TOLERANCE[dtype]
    assert relative(F.linear(x, weight, bias), exact) < TOLERANCE[dtype]


@each("dtype", TOLERANCE)
@each("batch", [1, 3, 32])
@each("layout", ["plain", "turned", "spread", "part"])
def test_a_packed_product_is_added_onto_another_tensor_which_stays(dtype: torch.dtype, batch: int, layout: str) -> None:
    x, weight = normal(batch, 24, seed=0).to(dtype), normal(40, 24, seed=1).to(dtype)
    other = {
        "plain": normal(batch, 40, seed=2).to(dtype),
        "turned": normal(40, batch, seed=2).to(dtype).t(),
        "spread": normal(1, 1, seed=2).to(dtype).expand(batch, 40),
        "part": normal(batch, 80, seed=2).to(dtype)[:, 20:60],
    }[layout]
    before = other.clone()
    found = Packed(weight, batch).onto(x, other)
    assert (found.dtype, found.shape) == (dtype, (batch, 40))
    assert relative(found, x.double() @ weight.double().t() + other.double()) < TOLERANCE[dtype]
    assert torch.equal(other, before)


@each("dtype", TOLERANCE)
def test_a_packed_product_takes_rows_that_lie_apart(dtype: torch.dtype) -> None:
    x, weight = normal(3, 60, seed=0).to(dtype)[:, 7:31], normal(40, 24, seed=1).to(dtype)
    assert relative(Packed(weight, 3)(x), x.double() @ weight.double().t()) < TOLERANCE[dtype]


def test_only_formats_that_one_dnn_multiplies_are_packed() -> None:
    here = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    packed = {dtype: Packed(torch.zeros(4, 4, dtype=dtype), 2).packs for dtype in TOLERANCE}
    assert packed == {torch.float64: False, torch.float32: here, torch.bfloat16: here}
