"""The number formats of an engine by name: what multiplies, what formulas compute with, how several are averaged."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from charrnn.inference.integer import Integer8, IntegerOperations, Wide8, integer_mixture
from charrnn.inference.operations import NumpyOperations, ensemble_logits
from charrnn.inference.products import MATRICES, Exact8, Floats, Plain


class Format(NamedTuple):
    """One number format."""

    matrix: type[Plain] | type[Exact8]
    operations: type[NumpyOperations]
    mixture: Callable[[Sequence[Floats]], Floats]


# Those that text is written in, and those whose numbers are the same on every machine: `integer-wide` where what is
# multiplied has no bounds.
INTEGER, INTEGER_WIDE = "integer", "integer-wide"
FORMATS = {name: Format(matrix, NumpyOperations, ensemble_logits) for name, matrix in MATRICES.items()} | {
    INTEGER: Format(Integer8, IntegerOperations, integer_mixture),
    INTEGER_WIDE: Format(Wide8, IntegerOperations, integer_mixture),
}
