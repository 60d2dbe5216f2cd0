"""Many short texts, each begun from no memory: the log-probability of each whole. Shapes: D texts, T tokens of one."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from charrnn.models.ensemble import Predictor
from charrnn.scoring.figures import Nats
from charrnn.scoring.token_nll import token_nll
from charrnn.text.token_files import Tokens
from charrnn.text.tokenizers import Ids, Tokenizer

# Rows of a short text side by side: few steps, so many rows.
TEXTS_AT_ONCE = 128


def log_probabilities(model: Predictor, texts: Sequence[Ids], batch_size: int = TEXTS_AT_ONCE) -> Nats:
    """log p of each text (D,) in nats, of the ids (T,) that it has; texts of like length are read side by side."""
    tokens, starts = joined(texts)
    nats = token_nll(model, tokens, starts, batch_size=batch_size)
    return np.array([-float(part.sum()) for part in np.split(nats, starts[1:])]) if len(texts) else np.empty(0)


def joined(texts: Sequence[Ids]) -> tuple[Tokens, npt.NDArray[np.int64]]:
    """The tokens of all texts, one after another, and where each begins (D,)."""
    starts = np.cumsum([0, *(text.size for text in texts[:-1])], dtype=np.int64)[: len(texts)]
    return np.concatenate([*texts, np.empty(0, np.int32)]).astype(np.uint32), starts


def ends_of(tokenizer: Tokenizer, documents: str) -> Ids:
    """What a sentence ends in, ids: the end of a document, or its line end where the model has met any.

    Without it, what is cut off would be likelier than what it was cut from: "the cat sleep" than "the cat sleeps".
    """
    if documents != "stream":
        return np.array([tokenizer.size], np.int32)
    line_end = tokenizer.encode("\n", unknown=True)
    return line_end[line_end < tokenizer.size]
