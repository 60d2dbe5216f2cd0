"""Many short texts read side by side: those of like length together, so that hardly any place is left empty.

Shapes: T time, B rows, N tokens, V vocabulary.
"""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import fields
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from charrnn.config import ModelConfig
from charrnn.models.cells import CELLS
from charrnn.models.states import NetworkState, map_state
from charrnn.scoring.predictions import Asked, Ids, Predictions, predictions_of
from charrnn.scoring.readers import IntegerReader, NumpyReader, Reader, Readers

# At most so many numbers for the gates or the logits of a window, and so many places for a batch.
NUMBERS, PLACES = 1 << 22, 1 << 20
# Rows enough for whole products in a window of so many steps, and more where texts are shorter than that.
WINDOW, LEAST_ROWS, MOST_ROWS = 64, 32, 256
# Rows that have ended are left out of what follows, though not more often than every so many steps.
LEAST_STEPS = 8


class Memory(NamedTuple):
    """What is known behind a text, when the next token comes: the states of one row, and the last token."""

    states: NetworkState
    last: int


class SideBySide:
    """Texts as token ids -> what was predicted in them."""

    def __init__(self, config: ModelConfig, readers: Readers | IntegerReader | NumpyReader, asked: Asked) -> None:
        self._start_id, self._readers, self._asked = config.start_id, readers, asked
        widest = max(CELLS[config.cell].gates * config.hidden, config.vocab_size)
        self._places = max(1, NUMBERS // widest)
        self._rows = min(max(self._places // WINDOW, LEAST_ROWS), MOST_ROWS)
        empty = np.empty((0, config.vocab_size), np.float32)
        self._nothing = predictions_of(empty, np.empty(0, np.int64), config.start_id, asked)

    def each(self, texts: Sequence[Ids], memory: Memory) -> list[Predictions]:
        """What is predicted in each text (N,), each behind the same memory; in equal ones it is predicted once."""
        found = [self._nothing] * len(texts)
        seen: dict[bytes, int] = {}
        first = [seen.setdefault(text.tobytes(), n) for n, text in enumerate(texts)]
        # The longest first: those that have ended stand behind those that go on.
        order = sorted((n for n in seen.values() if texts[n].size), key=lambda n: -texts[n].size)
        batches = []
        while order:
            longest = texts[order[0]].size
            count = min(max(self._places // longest, self._rows), max(1, PLACES // longest))
            some, order = order[:count], order[count:]
            batches.append((some, self._begun([texts[n] for n in some], memory)))
        for some, batch in batches:
            for number, one in zip(some, batch.result()[0], strict=True):
                found[number] = one
        return [found[n] for n in first]

    def go_on(self, text: Ids, memory: Memory) -> tuple[Predictions, Memory]:
        """What is predicted in one text (N,) behind a memory, and the memory behind it."""
        if not text.size:
            return self._nothing, memory
        (predictions,), states = self._begun([text], memory).result()
        return predictions, Memory(states, int(text[-1]))

    def _begun(self, texts: Sequence[Ids], memory: Memory) -> "Future[tuple[list[Predictions], NetworkState]]":
        reader = self._readers.next(texts[0].size, len(texts))
        return reader.workers.submit(self._batch, reader, texts, memory)

    def _batch(self, reader: Reader, texts: Sequence[Ids], memory: Memory) -> tuple[list[Predictions], NetworkState]:
        """Texts in falling order of length; the states are right where there is but one."""
        lengths = np.array([text.size for text in texts])
        longest, rows = int(lengths[0]), len(texts)
        inside = np.arange(longest) < lengths[:, None]
        targets = np.zeros((rows, longest), np.int64)
        targets[inside] = np.concatenate(texts)
        inputs = np.empty_like(targets)
        inputs[:, 0] = memory.last
        inputs[:, 1:] = targets[:, :-1]
        # A character that the vocabulary lacks is read as the start id.
        np.minimum(inputs, self._start_id, out=inputs)
        targets, inputs = np.ascontiguousarray(targets.T), np.ascontiguousarray(inputs.T)
        states = map_state(lambda part: np.repeat(part, rows, 0), memory.states)

        columns = _Columns(longest, rows)
        begin = 0
        while begin < longest:
            active = int((lengths > begin).sum())
            shortest = int(lengths[active - 1]) - begin
            steps = min(max(shortest, LEAST_STEPS), longest - begin, max(1, self._places // active))
            states = map_state(lambda part: part[:active], states)  # noqa: B023
            window = slice(begin, begin + steps), slice(active)
            predictions, states = reader(inputs[window], targets[window], states, self._asked)
            columns.keep(begin, steps, active, predictions)
            begin += steps
        return columns.of_rows(lengths), states


class _Columns:
    """The predictions of windows, put together as those of rows."""

    def __init__(self, longest: int, rows: int) -> None:
        self._shape = rows, longest
        self._columns: dict[str, Any] = {}

    def keep(self, begin: int, steps: int, rows: int, predictions: Predictions) -> None:
        """Those of a window (T x B), time-major."""
        for each in fields(predictions):
            column = getattr(predictions, each.name)
            if column is None:
                self._columns[each.name] = None
                continue
            if each.name not in self._columns:
                self._columns[each.name] = np.empty((*self._shape, *column.shape[1:]), column.dtype)
            block = column.reshape(steps, rows, *column.shape[1:]).swapaxes(0, 1)
            self._columns[each.name][:rows, begin : begin + steps] = block

    def of_rows(self, lengths: npt.NDArray[np.int64]) -> list[Predictions]:
        """Those of each row."""

        def of_row(row: int, length: int) -> dict[str, Any]:
            return {name: None if column is None else column[row, :length] for name, column in self._columns.items()}

        return [Predictions(**of_row(row, length)) for row, length in enumerate(lengths.tolist())]
