"""What a network computes for one step, written down as it is computed: the formulas of the cells, run on names.

The cells are formulas over the operations of whoever runs them (models/cells). Here an operation computes nothing: it
is recorded, under its name in ONNX, and gives a value that stands for its result. So whatever cell there is can be
written out, as a graph (onnx.py) or as lines of Python (source.py), and none has to be told twice.
Shapes: B rows, N numbers of a row; weights have their own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

# What an operation takes: a value, an array of weights, a number.
Operand = Any
ROWS = -1


class Value:
    """What one operation gives, known by its shape alone: (ROWS, N), or that of a weight."""

    # An array of weights on the left of an operator leaves it to the value.
    __array_ufunc__: ClassVar[None] = None

    def __init__(self, recorder: "Recorder", shape: tuple[int, ...]) -> None:
        self.recorder = recorder
        self.shape = shape

    def __add__(self, other: Operand) -> "Value":
        return self.recorder.elementwise("Add", self, other)

    def __radd__(self, other: Operand) -> "Value":
        return self.recorder.elementwise("Add", other, self)

    def __sub__(self, other: Operand) -> "Value":
        return self.recorder.elementwise("Sub", self, other)

    def __rsub__(self, other: Operand) -> "Value":
        return self.recorder.elementwise("Sub", other, self)

    def __mul__(self, other: Operand) -> "Value":
        return self.recorder.elementwise("Mul", self, other)

    def __rmul__(self, other: Operand) -> "Value":
        return self.recorder.elementwise("Mul", other, self)

    def __truediv__(self, other: Operand) -> "Value":
        return self.recorder.elementwise("Div", self, other)

    def __getitem__(self, place: Any) -> "Value":
        """A slice of the last axis, `x[..., a:b]`, which is all that formulas ask for."""
        *rest, last = place
        assert isinstance(last, slice) and all(each in (slice(None), ...) for each in rest), place
        start, stop, _ = last.indices(self.shape[-1])
        return self.recorder.record("Slice", (self,), (*self.shape[:-1], stop - start), start=start, stop=stop)


@dataclass(frozen=True, eq=False)
class Operation:
    """One operation: its name in ONNX, what it takes, what it gives."""

    name: str
    inputs: tuple[Operand, ...]
    output: Value
    attributes: Mapping[str, Any]


@dataclass
class Recorder:
    """The operations that a formula asks for, in the order in which it does (models/cells/base.py: Operations)."""

    operations: list[Operation] = field(default_factory=list)

    def record(self, name: str, inputs: Sequence[Operand], shape: tuple[int, ...], **attributes: Any) -> Value:
        """One more of them."""
        output = Value(self, shape)
        self.operations.append(Operation(name, tuple(inputs), output, attributes))
        return output

    def elementwise(self, name: str, *inputs: Operand) -> Value:
        """One whose result has the shape of the largest that it takes."""
        shapes = [each.shape for each in inputs if isinstance(each, Value | np.ndarray)]
        return self.record(name, inputs, max(shapes, key=lambda shape: (ROWS in shape, len(shape))))

    def linear(self, x: Value, weight: Operand, bias: Operand | None) -> Value:
        """x (B, K), weight (N, K), bias (N,) -> (B, N)"""
        return self.record("Gemm", (x, weight) if bias is None else (x, weight, bias), (ROWS, weight.shape[0]))

    def lookup(self, table: Operand, ids: Value) -> Value:
        """table (V, N), ids (B,) -> (B, N)"""
        return self.record("Gather", (table, ids), (ROWS, table.shape[1]))

    def sigmoid(self, x: Value) -> Value:
        """1 / (1 + exp(-x))"""
        return self.elementwise("Sigmoid", x)

    def log_sigmoid(self, x: Value) -> Value:
        """-log(1 + exp(-x))"""
        return self.elementwise("Neg", self.elementwise("Softplus", self.elementwise("Neg", x)))

    def tanh(self, x: Value) -> Value:
        """Hyperbolic tangent."""
        return self.elementwise("Tanh", x)

    def relu(self, x: Value) -> Value:
        """x where it is positive, else 0."""
        return self.elementwise("Relu", x)

    def exp(self, x: Value) -> Value:
        """e to the x."""
        return self.elementwise("Exp", x)

    def normalise(self, x: Value, gain: Operand, bias: Operand | None = None) -> Value:
        """Layer normalisation over the last axis."""
        return self.record("LayerNormalization", (x, gain) if bias is None else (x, gain, bias), x.shape)

    def split(self, x: Operand, parts: int) -> Sequence[Operand]:
        """The last axis in equal parts."""
        each = x.shape[-1] // parts
        return [x[..., part * each : (part + 1) * each] for part in range(parts)]

    def mixture(self, logits: Sequence[Value]) -> Value:
        """log of the mean of the probabilities that each of some logits (B, V) stands for."""
        log_p = [self.elementwise("LogSoftmax", each) for each in logits]
        likeliest = self.elementwise("Max", *log_p)
        shares = [self.exp(each - likeliest) for each in log_p]
        total = self.elementwise("Sum", *shares)
        return likeliest + self.elementwise("Log", total) - float(np.log(len(logits)))
