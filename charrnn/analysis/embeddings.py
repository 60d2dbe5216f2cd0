"""The network's states as features: a vector for each line, word, character or token of a text.

Every text is read alone, from the start id and the initial state. What a piece of it gives is read off the hidden
states h behind its tokens: their mean, or the last one, with which all of the piece has been read. What reads backwards
begins at the text's end, so its last one stands behind the piece's first token: for words these are the contextual
string embeddings of Akbik et al. (2018), the forward state after the word's last character beside the backward state
before its first. A piece without tokens, an empty line, gives the state behind the start id.

Features stand in this order: direction (forwards, then backwards), model of an ensemble, layer, unit.
Shapes: B batch, T time, N pieces, D features.
"""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
import torch

from charrnn.config import ModelConfig, require
from charrnn.machine.threads import watched
from charrnn.models.direction import Direction
from charrnn.models.ensemble import Network
from charrnn.text.alignment import Positions
from charrnn.text.spans import Spans
from charrnn.text.tokenizers import Ids

Vectors = npt.NDArray[np.float32]

BATCH = 64
WINDOW = 256
FLOATS_AT_ONCE = 1 << 23
ALL = "all"


def chosen_layers(config: ModelConfig, layer: int | str | None) -> list[int]:
    """The layers, from 0, that a user names, from 1: one, `all`, or, unless told, the last. Raises ConfigError."""
    if layer == ALL:
        return list(range(config.layers))
    number = config.layers if layer is None else layer
    layers = "1" if config.layers == 1 else f"from 1 to {config.layers}"
    within = isinstance(number, int) and 1 <= number <= config.layers
    require(within, f"`layer` must be {layers}, or {ALL}, not {layer}")
    return [int(number) - 1]


def features(config: ModelConfig, layer: int | str | None = None) -> int:
    """How many numbers a vector has: D."""
    directions = 2 if config.bidirectional else 1
    return directions * config.ensemble * len(chosen_layers(config, layer)) * config.hidden


def embed(
    network: Network,
    texts: Sequence[Ids],
    pieces: Sequence[Spans],
    *,
    layer: int | str | None = None,
    pool: str = "mean",
    batch_size: int = BATCH,
    window: int = WINDOW,
) -> Vectors:
    """Vectors (N, D) of the pieces of each text, one text's after another's. `pool` is mean or last.

    Texts of like length are read side by side; batch and window change the time it takes, not the vectors (to about
    1e-6). An id beyond start_id, a character that the vocabulary lacks, is read as the start id.
    """
    kept = chosen_layers(network.config, layer)
    sizes = np.array([text.size for text in texts], np.int64)
    of_text = np.repeat(np.arange(len(texts)), [piece.begins.size for piece in pieces])
    firsts = np.concatenate([np.zeros(0, np.int64), *(piece.firsts for piece in pieces)])
    stops = np.concatenate([np.zeros(0, np.int64), *(piece.stops for piece in pieces)])
    columns = []
    was_training = network.training
    network.eval()
    try:
        for backwards in (False, True)[: 2 if network.config.bidirectional else 1]:
            # Behind which inputs a piece is read: input 0 is the start id, input 1 the first token read.
            begins = np.where(firsts < stops, sizes[of_text] - stops if backwards else firsts, -1) + 1
            last = np.where(firsts < stops, sizes[of_text] - firsts if backwards else stops, 0)
            readers = [model.directions[backwards] for model in network.models]
            ordered = [text[::-1] for text in texts] if backwards else texts
            reading = _Reading(readers, kept, window)
            columns.append(reading.pooled(ordered, of_text, begins, last, pool, batch_size))
    finally:
        network.train(was_training)
    return np.concatenate(columns, axis=1)


class _Reading:
    """One direction of the models, reading texts side by side."""

    def __init__(self, readers: Sequence[Direction], layers: Sequence[int], window: int) -> None:
        self.readers, self.layers, self.window = readers, layers, window
        self.features = len(readers) * len(layers) * readers[0].config.hidden

    def pooled(
        self, texts: Sequence[Ids], of_text: Positions, begins: Positions, last: Positions, pool: str, batch_size: int
    ) -> Vectors:
        """(N, D'): of each piece the states behind the inputs from `begins` to `last` (N,), pooled."""
        # Sums are of float64, for a text may be long.
        found = np.zeros((of_text.size, self.features), np.float64 if pool == "mean" else np.float32)
        if pool == "last":
            begins = last
        order = np.argsort([-text.size for text in texts], kind="stable")
        row_of = np.empty(len(texts), np.int64)
        for at in range(0, len(order), batch_size):
            some = order[at : at + batch_size]
            row_of[some] = np.arange(len(some))
            own = np.flatnonzero(np.isin(of_text, some))
            rows = row_of[of_text[own]]
            for first, states in self.windows([texts[text] for text in some]):
                # The part of each piece that lies in this window.
                low = np.maximum(begins[own], first) - first
                high = np.minimum(last[own] + 1, first + states.shape[1]) - first
                here = np.flatnonzero(low < high)
                if here.size:
                    found[own[here]] += sums(states, rows[here], low[here], high[here])
        if pool == "mean":
            found /= (last - begins + 1)[:, None]
        return found.astype(np.float32, copy=False)

    @torch.inference_mode()
    def windows(self, texts: Sequence[Ids]) -> Iterator[tuple[int, Vectors]]:
        """Of some texts the states (B, T, D') behind their inputs, window by window, and the first input of each."""
        start_id, device = self.readers[0].config.start_id, next(self.readers[0].parameters()).device
        longest = 1 + max(text.size for text in texts)
        window = max(1, min(self.window, FLOATS_AT_ONCE // (len(texts) * self.features)))
        memories = [reader.initial_states(len(texts)) for reader in self.readers]
        for first in range(0, longest, window):
            inputs = np.full((len(texts), min(window, longest - first)), start_id, np.int64)
            for row, text in enumerate(texts):
                given = text[max(0, first - 1) : first - 1 + inputs.shape[1]]
                inputs[row, first == 0 :][: given.size] = np.minimum(given, start_id)
            tokens, columns = torch.from_numpy(inputs).to(device), []
            for number, reader in enumerate(self.readers):
                outputs, _, memories[number] = watched(partial(reader.hidden_states, tokens, memories[number]))
                columns += [outputs[layer] for layer in self.layers]
            yield first, torch.cat(columns, dim=-1).float().cpu().numpy()


def sums(states: Vectors, rows: Positions, low: Positions, high: Positions) -> Vectors:
    """states (B, T, D) added up over times [low, high) of these rows (N,), each at least one time long -> (N, D)."""
    lengths = high - low
    starts = np.cumsum(lengths) - lengths
    times = np.arange(lengths.sum()) - np.repeat(starts - low, lengths)
    added: Vectors = np.add.reduceat(states[np.repeat(rows, lengths), times], starts, axis=0)
    return added
