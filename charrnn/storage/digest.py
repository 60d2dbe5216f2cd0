"""What a model is, in one number: equal for models that are the same, whenever and wherever they were saved."""

import hashlib
from collections.abc import Mapping

import numpy as np

from charrnn.config import ModelConfig
from charrnn.models.counts.kept import KeptCounts
from charrnn.schema import to_json_text
from charrnn.storage.checkpoint import Weights
from charrnn.text.tokenizers import Tokenizer


def digest(config: ModelConfig, tokenizer: Tokenizer, weights: Weights, counts: KeptCounts | None = None) -> str:
    """SHA-256 of configuration, tokenizer, every weight and count, in hexadecimal; nothing of how the training went.

    What a configuration need not say is left out, so that fields of later versions change no digest.
    """
    spec: Mapping[str, object] = tokenizer.spec()
    head = {"model": dict(sorted(config.told().items())), "tokenizer": dict(sorted(spec.items()))}
    found = hashlib.sha256(to_json_text(head).encode())
    for name, weight in sorted(weights.items()):
        found.update(to_json_text([name, list(weight.shape)]).encode())
        found.update(np.ascontiguousarray(weight, dtype="<f4").tobytes())
    for name, array in sorted(counts.arrays().items() if counts else ()):
        found.update(to_json_text([name, array.dtype.str.lstrip("<>=|"), list(array.shape)]).encode())
        found.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())
    return found.hexdigest()
