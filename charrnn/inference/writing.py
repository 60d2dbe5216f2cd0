"""Many tokens at once, drawn and read by the compiled step; rows are shared among threads.

A single row is left to one thread: two that compute each step together wait for each other in every layer, which was
never found to pay (docs/experiments.md). None of this changes a text. Shapes: B rows, T steps, V vocabulary.
"""

import ctypes
import itertools
import os
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from charrnn.inference import tables
from charrnn.inference.base import Drawing, Drawn, Draws, StepState
from charrnn.inference.compiled import CompiledNetwork, address_of, function_record, require_fitting
from charrnn.inference.products import Floats
from charrnn.native import Address, DrawRecord

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

Doubles = npt.NDArray[np.float64]

# Products below which a thread costs more than it brings, of all that it is to write.
WORTH_A_THREAD = 1 << 20


def write(
    networks: Sequence[CompiledNetwork],
    states: Sequence[StepState],
    logits: Floats,
    draws: Draws,
) -> Drawn:
    """Draw, read what was drawn, T times: logits (B, V) and states of what is known.

    All rows are drawn alike, or each by its own. The networks' probabilities are averaged, where there are several;
    beside counts, logits are those of the mixture.
    """
    drawing, used, beside = draws.drawing, draws.used, draws.beside
    blocks = [network.block_of(state).copy() for network, state in zip(networks, states, strict=True)]
    logits, uniforms = np.array(logits, np.float32, order="C"), np.ascontiguousarray(draws.uniforms, np.float64)
    rows, steps = uniforms.shape
    require_fitting(all(block.shape == (rows, one.stride) for one, block in zip(networks, blocks, strict=True)))
    require_fitting(logits.shape == (rows, networks[0].symbols))
    memory = None if beside is None else beside.counts.writable(beside.memory)
    require_fitting(memory is None or len(memory.places) == rows)
    ids, shares = np.empty((rows, steps), np.int64), np.empty((rows, steps, 2)) if draws.told else None
    of_rows = [drawing] * rows if isinstance(drawing, Drawing) else drawing
    require_fitting(len(of_rows) == rows)
    masks = [None if own.kept is None else np.ascontiguousarray(own.kept, np.bool_) for own in of_rows]
    drawn_by = (DrawRecord * rows)(*map(_record, of_rows, masks))
    looks_back = any(own.looks_back for own in of_rows)
    per_row = [logits, uniforms, ids, shares, *((used if looks_back else None) or (None, None))]
    require_fitting(all(mask is None or len(mask) >= logits.shape[1] for mask in masks))
    if looks_back:
        require_fitting(used is not None and _as_taken(used.counts, np.float64, logits.shape))
        require_fitting(used is not None and _as_taken(used.leaving, np.int64, uniforms.shape))
    records = (Address * len(networks))(*[network.address for network in networks])

    def write_rows(chosen: slice) -> None:
        memories = (Address * len(networks))(*[address_of(block[chosen]) for block in blocks])
        networks[0].library.call(
            "charrnn_write", len(networks), records, memories, None if beside is None else beside.counts.address,
            *([None] * 2 if memory is None else [address_of(part[chosen]) for part in memory]),
            ctypes.byref(drawn_by[chosen.start]), len(ids[chosen]), steps,
            *(None if array is None else address_of(array[chosen]) for array in per_row),
        )  # fmt: skip

    products = sum(network.products for network in networks)
    parts = _parts(rows, max(1, min(threads(), rows * steps * products // WORTH_A_THREAD)))
    if len(parts) == 1:
        write_rows(parts[0])
    else:
        list(_pool().map(write_rows, parts))
    logprobs = None if shares is None else shares[..., 0] - np.log(shares[..., 1])
    after = tuple(network.state_of(block) for network, block in zip(networks, blocks, strict=True))
    return Drawn(ids, logprobs, logits, after, memory)


def _as_taken(array: npt.NDArray[Any], dtype: Any, shape: tuple[int, ...]) -> bool:
    """Whether an array may be handed to the library as it is."""
    return array.dtype == dtype and array.shape == shape and array.flags.c_contiguous


def _record(drawing: Drawing, kept: npt.NDArray[np.bool_] | None) -> DrawRecord:
    """A drawing as the library takes it; whoever asks holds `kept`."""
    return DrawRecord(
        None if kept is None else address_of(kept), drawing.repetition_penalty, drawing.frequency_penalty,
        drawing.presence_penalty, drawing.window or 0, drawing.temperature, drawing.top_k or 0, drawing.top_p or 0,
        drawing.min_p or 0, drawing.typical_p or 0, drawing.eta or 0, float(np.log(drawing.eta or 1)) / 2,
        address_of(tables.powers()), function_record(tables.exp()), function_record(tables.log_of_half_to_one()),
    )  # fmt: skip


def _parts(rows: int, parts: int) -> list[slice]:
    """Rows in so many parts of nearly the same size, none of them empty."""
    borders = [rows * number // parts for number in range(parts + 1)]
    return [slice(*pair) for pair in itertools.pairwise(borders) if pair[0] < pair[1]]


def threads() -> int:
    """How many threads may write: as many as were asked for, or as the program may run on."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isdecimal() and int(asked):
        return int(asked)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def _pool() -> "ThreadPoolExecutor":
    from concurrent.futures import ThreadPoolExecutor  # which takes milliseconds to be had

    return ThreadPoolExecutor(threads(), "charrnn-write")
