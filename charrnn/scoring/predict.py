"""The predictions of a text, by the reader of `token_nll`: the same nats to the bit, and whatever else is asked for.

Shapes: N tokens, V predicted symbols.
"""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
from torch import Tensor

from charrnn.models.ensemble import Predictor
from charrnn.scoring.predictions import NATS_ALONE, Asked, Predictions, predictions_of
from charrnn.scoring.token_nll import BATCH, Inside, Positions, Take, read, target_nll
from charrnn.text.token_files import Tokens


def predict(
    model: Predictor,
    tokens: Tokens,
    starts: Positions | None = None,
    *,
    asked: Asked = NATS_ALONE,
    reset_every: int | None = None,
    batch_size: int = BATCH,
    through: Callable[[Take], Take] = lambda take: take,
) -> Predictions:
    """What is predicted in the place of every token (N,), read as `token_nll` reads it.

    `through` may choose among logits before they are looked at (see `by_place`).
    """
    start_id = model.config.start_id
    none = predictions_of(np.empty((0, model.config.vocab_size), np.float32), np.empty(0, np.int64), start_id, asked)
    columns: dict[str, Any] = {}
    for each in fields(none):
        column = getattr(none, each.name)
        columns[each.name] = None if column is None else np.empty((tokens.size, *column.shape[1:]), column.dtype)

    def keep(positions: Positions, inside: Inside, logits: Tensor, targets: Tensor) -> None:
        nll = target_nll(logits, targets, start_id)[inside]
        ids = targets.cpu().numpy()[inside]
        found = predictions_of(logits.float().cpu().numpy()[inside], ids, start_id, asked, nll)
        for name, column in columns.items():
            if column is not None:
                column[positions[inside]] = getattr(found, name)

    read(model, tokens, starts, through(keep), reset_every=reset_every, batch_size=batch_size)
    return Predictions(**columns)
