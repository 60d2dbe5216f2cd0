"""A network as a step model in ONNX: ids (B) and states in, logits (B, V) and states out, in float32.

The file is protobuf, whose wire format is numbers and lengths: what is needed of it is here, so that no library is. It
is written from the recorded formulas, by operations that every runtime knows, rather than traced by torch: so each cell
comes out by its own formula, with the names of its weights, and as one step, not as a loop over a length.
Shapes: B rows, V vocabulary.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from charrnn import __version__
from charrnn.compression.numbers import written_number
from charrnn.config import require
from charrnn.export.formula import ROWS, Operand, Value
from charrnn.export.network import Step
from charrnn.inference.operations import EPSILON
from charrnn.inference.products import Floats

# Of 2022: runtimes of since then read it.
IR_VERSION, OPSET = 8, 17
FLOAT, INT64 = 1, 7
# A message of protobuf holds less than 2 GiB.
MOST_BYTES = 2**31 - 1
IDS, LOGITS, STATE, AFTER = "ids", "logits", "state_{}", "next_state_{}"


def onnx_model(step: Step, names: Mapping[str, Floats], about: Mapping[str, str]) -> bytes:
    """The file: weights under `names`, and what is said `about` it.

    Raises ConfigError where it would be too large for one file.
    """
    graph = _Graph(names)
    graph.give(step.ids, IDS)
    for number, state in enumerate(step.before):
        graph.give(state, STATE.format(number))
    graph.give(step.logits, LOGITS)
    for number, state in enumerate(step.after):
        graph.give(state, AFTER.format(number))
    for operation in step.recorder.operations:
        graph.add(operation.name, operation.inputs, operation.output, operation.attributes)
    inputs = [_described(graph.name(value), value.shape, INT64 if value is step.ids else FLOAT)
              for value in (step.ids, *step.before)]  # fmt: skip
    outputs = [_described(graph.name(value), value.shape, FLOAT) for value in (step.logits, *step.after)]
    body = _message(*((1, node) for node in graph.nodes), (2, "step"), *((5, each) for each in graph.tensors),
                    *((11, each) for each in inputs), *((12, each) for each in outputs))  # fmt: skip
    require(len(body) < MOST_BYTES, f"a file of ONNX holds 2 GB, and this network has {len(body) / 1e9:.1f}")
    return _message(
        (1, IR_VERSION), (2, "charrnn"), (3, __version__), (7, body), (8, _message((1, ""), (2, OPSET))),
        *((14, _message((1, key), (2, value))) for key, value in about.items()),
    )  # fmt: skip


class _Graph:
    """Nodes and tensors as they are written, and the names of both."""

    def __init__(self, names: Mapping[str, Floats]) -> None:
        self.nodes: list[bytes] = []
        self.tensors: list[bytes] = []
        self._names: dict[int, str] = {}
        # An array is known by its place in memory, so it has to stay there.
        self._kept: list[Any] = []
        self._weights = {id(weight): name for name, weight in names.items()}
        self._constants: dict[Any, str] = {}

    def give(self, value: Value, name: str) -> None:
        """A value its name."""
        self._names[id(value)] = name
        self._kept.append(value)

    def name(self, operand: Operand) -> str:
        """That of a value, of a weight or of a number, which are then among the tensors."""
        if id(operand) in self._names:
            return self._names[id(operand)]
        if isinstance(operand, int | float):
            return self.constant(np.array(operand, np.float32))
        if isinstance(operand, Value):
            name = f"value_{len(self._names)}"
        else:
            name = self._weights.get(id(operand), f"folded_{len(self._names)}")
            self.tensors.append(_tensor(name, np.asarray(operand, np.float32), FLOAT))
        self.give(operand, name)
        return name

    def constant(self, array: npt.NDArray[Any]) -> str:
        """The name of a number, or of a place; each is written once."""
        key = (array.dtype.str, array.tobytes())
        if key not in self._constants:
            self._constants[key] = name = f"constant_{len(self._constants)}"
            self.tensors.append(_tensor(name, array, FLOAT if array.dtype == np.float32 else INT64))
        return self._constants[key]

    def add(self, kind: str, inputs: tuple[Operand, ...], output: Value, attributes: Mapping[str, Any]) -> None:
        """One operation."""
        names = [self.name(each) for each in inputs]
        told: dict[str, float] = {}
        match kind:
            case "Slice":
                places = (attributes["start"], attributes["stop"], len(output.shape) - 1)
                names += [self.constant(np.array([place], np.int64)) for place in places]
            case "Gemm":
                told = {"transB": 1}
            case "LayerNormalization":
                told = {"axis": -1, "epsilon": float(EPSILON)}
            case "Concat" | "LogSoftmax":
                told = {"axis": -1}
        self.nodes.append(
            _message(*((1, name) for name in names), (2, self.name(output)), (4, kind),
                     *((5, _attribute(name, value)) for name, value in told.items()))
        )  # fmt: skip


def _described(name: str, shape: tuple[int, ...], kind: int) -> bytes:
    """What goes in or comes out: its name, its type, its axes; of rows there may be any number."""
    axes = [_message((2, "B") if size == ROWS else (1, size)) for size in shape]
    return _message((1, name), (2, _message((1, _message((1, kind), (2, _message(*((1, axis) for axis in axes))))))))


def _tensor(name: str, array: npt.NDArray[Any], kind: int) -> bytes:
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return _message(*((1, size) for size in array.shape), (2, kind), (8, name), (9, little.tobytes()))


def _attribute(name: str, value: float) -> bytes:
    """A number and its kind: 1 is a float, 2 is whole."""
    return _message((1, name), *([(2, value), (20, 1)] if isinstance(value, float) else [(3, value), (20, 2)]))


def _message(*fields: tuple[int, int | float | str | bytes]) -> bytes:
    """A message of protobuf: numbers of fields, and what stands in them."""
    parts = []
    for number, value in fields:
        if isinstance(value, float):
            parts += [_varint(number << 3 | 5), np.float32(value).astype("<f4").tobytes()]
        elif isinstance(value, int):
            parts += [_varint(number << 3), _varint(value)]
        else:
            data = value.encode() if isinstance(value, str) else value
            parts += [_varint(number << 3 | 2), _varint(len(data)), data]
    return b"".join(parts)


def _varint(value: int) -> bytes:
    """A whole number, a negative one as its complement of 64 bits."""
    return written_number(value & 2**64 - 1)
