"""The number formats of an engine by name: what multiplies, what formulas compute with, how several are averaged."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from charrnn.config.verbs import PRECISIONS
from charrnn.inference.integer import IntegerOperations, Wide8, integer_mixture
from charrnn.inference.operations import NumpyOperations, ensemble_logits
from charrnn.inference.products import Exact8, Floats, Plain

# Logits (B, V) of several networks -> what is made of them (B, V).
Together = Callable[[Sequence[Floats]], Floats]


class Format(NamedTuple):
    """One number format."""

    matrix: type[Plain] | type[Exact8]
    operations: type[NumpyOperations]
    mixture: Together


# What text is written in (PRECISIONS), of which 8 bits are the same on every machine; and `wide`, which is too, where
# what is multiplied has no bounds.
INT8, FP32, WIDE = *PRECISIONS, "wide"
FORMATS = {
    INT8: Format(Exact8, IntegerOperations, integer_mixture),
    FP32: Format(Plain, NumpyOperations, ensemble_logits),
    WIDE: Format(Wide8, IntegerOperations, integer_mixture),
}
