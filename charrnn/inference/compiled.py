"""A network of 8-bit weights laid out for the compiled step, and texts that it reads.

The memory of a row is one block of numbers, layer by layer: h, c where the cell has one, and the products of the last
output. Between two calls it is a `StepState` as NumPy's is, whose parts are views of that block; one that came from
elsewhere is put together first. Shapes: B rows, T steps, V vocabulary, H hidden, G gates x H, N products, S a row's
block.
"""

import ctypes
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from charrnn.config import ModelConfig
from charrnn.inference import tables
from charrnn.inference.base import Ids, StepState
from charrnn.inference.layers import Layer, biases_above
from charrnn.inference.products import LEVELS, Exact8, Floats
from charrnn.native import (
    FunctionRecord,
    LayerRecord,
    Library,
    NetworkRecord,
    library,
)  # fmt: skip

Doubles = npt.NDArray[np.float64]

# Outputs and inputs stand together by so many (network.h).
BLOCK, QUAD = 16, 4
CELLS_BY_NUMBER = {"rnn": 0, "lstm": 1, "gru": 2}


class BlockState(StepState):
    """A state whose parts are views of one block (B, S), which is what the compiled step reads."""

    block: Floats


class Span(NamedTuple):
    """Where a part stands in a row's block, and how much room it has."""

    first: int
    size: int
    room: int

    @property
    def place(self) -> slice:
        """The part."""
        return slice(self.first, self.first + self.size)


class CompiledNetwork:
    """One network at hand for the library: arrays that it holds, and a record of where they are."""

    def __init__(self, library: Library, cell: str, layers: Sequence[Layer], table: Floats, bias: Floats) -> None:
        """Plain layers of one of `CELLS_BY_NUMBER` with 8-bit matrices; table (tokens, G), the head's bias (1, V)."""
        self.library, self._kept = library, [np.ascontiguousarray(table)]
        hidden = len(layers[0].cell.weights.b_ih[0]) // layers[0].cell.gates
        self._state_type, self._parts = layers[0].cell.state_type, len(layers[0].cell.state_names)
        self._spans: list[list[Span]] = []
        records, end = [], 0
        for layer, beyond in zip(layers, biases_above(layers, bias), strict=True):
            reader = layer.reader
            assert isinstance(reader, Exact8)
            outputs = len(reader.weight)
            sizes = [*[hidden] * self._parts, outputs]
            rooms = [*[hidden] * self._parts, up(outputs, BLOCK)]
            starts = [end + sum(rooms[:number]) for number in range(len(rooms))]
            self._spans.append([Span(*each) for each in zip(starts, sizes, rooms, strict=True)])
            end += sum(rooms)
            records.append(self._layer_record(layer, reader, starts, beyond))
        self.stride, self.hidden, self.symbols = end, hidden, bias.shape[1]
        self.products = hidden * sum(own[-1].size for own in self._spans)
        self._records = (LayerRecord * len(records))(*records)
        self.record = NetworkRecord(
            CELLS_BY_NUMBER[cell], layers[0].cell.gates, len(layers), hidden, self.symbols, len(table), self.stride,
            address_of(self._kept[0]), self._records, function_record(tables.sigmoid()), function_record(tables.tanh()),
        )  # fmt: skip
        self.address = ctypes.addressof(self.record)

    def _hold(self, array: npt.NDArray[Any], dtype: Any) -> int:
        held = np.ascontiguousarray(array, dtype)
        self._kept.append(held)
        return address_of(held)

    def _layer_record(self, layer: Layer, reader: Exact8, starts: Sequence[int], beyond: Floats) -> LayerRecord:
        outputs, inputs = reader.weight.shape
        padded = np.zeros((up(outputs, BLOCK), up(inputs, QUAD)), np.float32)
        padded[:outputs, :inputs] = reader.weight
        blocks = padded.reshape(-1, BLOCK, padded.shape[1] // QUAD, QUAD).swapaxes(1, 2)
        scales = np.zeros(len(padded), np.float32)
        scales[:outputs] = reader.scale[0]
        own = layer.cell.recurrent_bias
        return LayerRecord(
            outputs,
            self._hold(blocks, np.int8),
            self._hold(scales, np.float32),
            self._hold(-(LEVELS + 1) * padded.sum(axis=1, dtype=np.float64), np.int32),
            self._hold(beyond[0], np.float32),
            None if own is None else self._hold(own[0], np.float32),
            starts[0],
            starts[self._parts - 1],
            starts[-1],
        )

    # -- the memory ---------------------------------------------------------------------------------------------------

    def block_of(self, state: StepState) -> Floats:
        """The memory (B, S) of a state."""
        if isinstance(state, BlockState) and hasattr(state, "block"):
            return state.block
        block = np.zeros((len(state.products[0]), self.stride), np.float32)
        for spans, layer, products in zip(self._spans, *state, strict=True):
            for span, part in zip(spans, [*layer, products], strict=True):
                block[:, span.place] = part
        return block

    def state_of(self, block: Floats) -> StepState:
        """The state whose memory this is; it is not to be changed any more."""
        parts = [[block[:, span.place] for span in spans] for spans in self._spans]
        state = BlockState(tuple(self._state_type(*own[:-1]) for own in parts), tuple(own[-1] for own in parts))
        state.block = block
        return state

    def step(self, tokens: Ids, state: StepState) -> tuple[Floats, StepState]:
        """tokens (B,), state -> logits (B, V), state. Raises IndexError on a token that it does not know."""
        logits, state = self.read(tokens[None], state)
        return logits[0], state

    def read(self, tokens: Ids, state: StepState) -> tuple[Floats, StepState]:
        """The same for a text of each row: tokens (T, B), state -> logits (T, B, V), state."""
        block, ids = self.block_of(state).copy(), np.ascontiguousarray(tokens, np.int64)
        require_fitting(ids.ndim == 2 and block.shape == (ids.shape[1], self.stride))
        logits = np.empty((*ids.shape, self.symbols), np.float32)
        self.library.call(
            "charrnn_read", self.address, ids.shape[1], len(ids), address_of(ids), address_of(block), address_of(logits)
        )
        return logits, self.state_of(block)


def has_step(config: ModelConfig) -> bool:
    """Whether the library, where it is there, has a step for such networks of 8-bit weights."""
    return config.cell in CELLS_BY_NUMBER and config.skip is None and not config.norm


def compiled(config: ModelConfig, layers: Sequence[Layer], table: Floats, bias: Floats) -> CompiledNetwork | None:
    """A network of 8-bit weights for the library; None where that is not to be used, or has no step for it."""
    found = library() if has_step(config) else None
    return None if found is None else CompiledNetwork(found, config.cell, layers, table, bias)


def function_record(table: tables.Table) -> FunctionRecord:
    """A function's table, which is kept as long as the program runs, as the library takes it."""
    return FunctionRecord(address_of(table.values), float(table.scale), float(table.shift))


def require_fitting(condition: bool) -> None:
    """What the library is handed is as large as it takes it to be."""
    if not condition:
        raise ValueError("rows, states and logits are not of the same shape")


def up(number: int, unit: int) -> int:
    """A number rounded up to whole units."""
    return -(-number // unit) * unit


def address_of(array: npt.NDArray[Any]) -> int:
    """Where its numbers begin; whoever hands that on holds the array."""
    address: int = array.__array_interface__["data"][0]
    return address
