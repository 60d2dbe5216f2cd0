"""How much context a network uses: its loss by how far it may look back (Khandelwal et al. 2018)."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from charrnn.errors import CorpusError
from charrnn.machine.threads import watched
from charrnn.models.ensemble import Predictor
from charrnn.scoring.token_nll import LOGITS_AT_ONCE, inputs_and_targets, target_nll, token_nll
from charrnn.text.token_files import Tokens

# For how many tokens a network is left its state, or how many it may read; None: all.
CONTEXT_LENGTHS: tuple[int | None, ...] = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, None)
BATCH, WINDOW, POSITIONS = 256, 128, 2000

# Is told how much of the work is done, from 0 to 1.
Watcher = Callable[[float], object]


def unwatched(share: float) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True)
class ContextCurve:
    """Nats per token by how far the network may look back; the last entry is the state carried from end to end.

    Either its state is reset every so many tokens, or, if `exact`, each token is scored with so many before it.
    """

    name: str
    lengths: tuple[int | None, ...]
    losses: tuple[float, ...]
    tokens_per_char: float
    exact: bool = False

    @property
    def bits(self) -> list[float]:
        """The same in bits per character."""
        return [loss * self.tokens_per_char / float(np.log(2)) for loss in self.losses]

    def to_json(self) -> dict[str, Any]:
        """`reset_every`, or `context` if exact, is null for the state carried from end to end."""
        key = "context" if self.exact else "reset_every"
        return {
            "network": self.name,
            "curve": [{key: length, "bpc": bits} for length, bits in zip(self.lengths, self.bits, strict=True)],
        }


def memory_curve(
    model: Predictor,
    tokens: Tokens,
    *,
    name: str = "",
    chars: int | None = None,
    batch_size: int = BATCH,
    watcher: Watcher = unwatched,
) -> ContextCurve:
    """Score the text with the state reset ever more seldom: where the curve is flat, nothing older is used.

    Every token is scored once at each; the input before the first token after a reset is still the token before it.
    Raises CorpusError on an empty text.
    """
    if not tokens.size:
        raise CorpusError("there is no text to remember: it is empty")
    resets = tuple(every for every in CONTEXT_LENGTHS if every is None or every < tokens.size)
    losses = []
    for every in resets:
        losses.append(float(token_nll(model, tokens, reset_every=every, batch_size=batch_size).mean()))
        watcher(len(losses) / len(resets))
    return ContextCurve(name, resets, tuple(losses), tokens.size / (chars or tokens.size))


@torch.inference_mode()
def context_curve(
    model: Predictor,
    tokens: Tokens,
    *,
    name: str = "",
    chars: int | None = None,
    positions: int = POSITIONS,
    watcher: Watcher = unwatched,
) -> ContextCurve:
    """Score the same tokens, evenly spread, with exactly 1, 2, 5, … tokens before each, from no memory.

    A reset costs its start as well, which is paid the more seldom the more seldom it comes; here nothing but what the
    network reads changes, so the curve is flat where it uses nothing older. Raises CorpusError on a text that is
    shorter than any length.
    """
    lengths = tuple(length for length in CONTEXT_LENGTHS if length is None or 2 * length < tokens.size)
    furthest = max((length for length in lengths if length is not None), default=0)
    if not furthest:
        raise CorpusError("there is no text to remember: it has fewer than three tokens")
    targets = np.unique(np.linspace(furthest, tokens.size - 1, positions).astype(np.int64))
    carried = token_nll(model, tokens)[targets]
    done, whole = 0, sum(length or 0 for length in lengths) * len(targets)

    def read(count: int) -> None:
        nonlocal done
        done += count
        watcher(done / whole)

    losses = [
        float(carried.mean() if length is None else _after(model, tokens, targets, length, read)) for length in lengths
    ]
    return ContextCurve(name, lengths, tuple(losses), tokens.size / (chars or tokens.size), exact=True)


def _after(
    model: Predictor, tokens: Tokens, targets: npt.NDArray[np.int64], length: int, read: Callable[[int], object]
) -> float:
    """Mean nats of the tokens at these positions, each read from no memory with so many before it.

    `read` is called with how many tokens were read, as they are.
    """
    total = 0.0
    for some in np.split(targets, range(BATCH, len(targets), BATCH)):
        states = model.initial_states(len(some))
        window = max(1, min(WINDOW, LOGITS_AT_ONCE // (len(some) * model.config.vocab_size)))
        for begin in range(0, length, window):
            positions = some[:, None] - length + 1 + np.arange(begin, min(begin + window, length))
            inputs, asked = inputs_and_targets(model, tokens, positions, np.ones_like(positions, bool))
            logits, states = watched(partial(model, inputs, states))
            read(positions.size)
        total += float(target_nll(logits[:, -1:], asked[:, -1:], model.config.start_id).sum())
    return total / len(targets)
