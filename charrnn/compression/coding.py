"""Symbols through model and coder, block by block side by side, in both directions.

A text is cut into B blocks of equal length, to within one symbol, the longer ones first. Each begins as a text does,
from the start id and the initial state, and is coded as if it were alone: what a row of the engine gives does not
depend on the others. Shapes: N symbols, B blocks, T the longest block, A symbols of the coder.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from charrnn.compression.frequencies import cumulative_frequencies
from charrnn.compression.range_coder import Numbers, RangeDecoder, RangeEncoder
from charrnn.compression.symbols import Alphabet, Ids
from charrnn.inference.backends import Serving
from charrnn.inference.base import Engine, EngineState
from charrnn.models.states import map_state, state_parts

# Cumulative frequencies (B, A) of the symbols at one place of each block, and the place -> these symbols (B,).
Code = Callable[[Numbers, int], Ids]


@dataclass(frozen=True)
class Coded:
    """The blocks of a text, coded."""

    blocks: tuple[bytes, ...]
    bits: float  # what the symbols cost by their frequencies, before they were written in bytes


def lengths_of(symbols: int, blocks: int) -> list[int]:
    """How many symbols each block has."""
    return [symbols // blocks + (number < symbols % blocks) for number in range(blocks)]


def encode(engine: Engine, alphabet: Alphabet, symbols: Ids, blocks: int) -> Coded:
    """Symbols (N,) -> their blocks, no more of these than symbols."""
    lengths = lengths_of(symbols.size, blocks)
    firsts = np.cumsum([0, *lengths[:-1]], dtype=np.int64)
    encoder, bits = RangeEncoder(blocks), 0.0

    def code(cumulative: Numbers, place: int) -> Ids:
        nonlocal bits
        rows = np.arange(len(cumulative))
        chosen, total = symbols[firsts[: len(rows)] + place], cumulative[:, -1]
        before = np.where(chosen > 0, cumulative[rows, chosen - 1], 0)
        frequency = cumulative[rows, chosen] - before
        encoder.encode(before, frequency, total)
        bits -= float(np.log2(frequency / total).sum())
        return chosen

    _side_by_side(engine, alphabet, lengths, code)
    return Coded(tuple(encoder.finish()), bits)


def decode(engine: Engine, alphabet: Alphabet, blocks: tuple[bytes, ...], symbols: int) -> Ids:
    """The symbols (N,) of blocks."""
    lengths = lengths_of(symbols, len(blocks))
    firsts = np.cumsum([0, *lengths[:-1]], dtype=np.int64)
    decoder, found = RangeDecoder(blocks), np.empty(symbols, np.int64)

    def code(cumulative: Numbers, place: int) -> Ids:
        chosen = decoder.decode(cumulative)
        found[firsts[: len(chosen)] + place] = chosen
        return chosen

    _side_by_side(engine, alphabet, lengths, code)
    return found


def _side_by_side(engine: Engine, alphabet: Alphabet, lengths: list[int], code: Code) -> None:
    """Give `code` the frequencies at every place of blocks of these lengths, and read what it answers."""
    rows, longest = len(lengths), max(lengths)
    start = engine.config.start_id
    with Serving(engine, rows, longest) as serving:
        state, tokens = engine.initial_state(rows), np.full(rows, start)
        for place in range(longest):
            if lengths[rows - 1] == place:  # the shorter ones, which stand last, are at their end
                rows = sum(length > place for length in lengths)
                state, tokens = engine.select_rows(state, range(rows)), tokens[:rows]
            logits, state = serving.step(tokens, state)
            symbols = code(cumulative_frequencies(logits, alphabet.size), place)
            # An escape is read as the start id; behind the end of a document, that id begins another.
            tokens = np.minimum(symbols, start)
            if alphabet.end is not None and (ended := symbols == alphabet.end).any():
                state = _begun_anew(engine, state, ended)


def _begun_anew(engine: Engine, state: EngineState, rows: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> EngineState:
    """The state in which these rows (B,) are at the beginning."""
    fresh = state_parts(engine.initial_state(len(rows)))
    return map_state(lambda part: np.where(rows[:, None], next(fresh), part), state)
