"""One page of HTML with a model inside that writes, in the numbers of int8: the text of a seed is `sample`'s.

The page holds what the compiled step is given (see inference/network.py), each array in base64; its script computes the
same whole numbers, looks up the same tables and draws by the same uniforms.
Shapes: H hidden, G gates x H, N a layer's products, V symbols of the vocabulary.
"""

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from charrnn.config import ModelConfig, require
from charrnn.inference.compiled import has_step
from charrnn.inference.formats import INT8
from charrnn.inference.layers import lay_out
from charrnn.inference.products import Exact8, Floats
from charrnn.models.cells.base import W_IH
from charrnn.models.weights import direction_weights, split_models
from charrnn.plotting.page import filled
from charrnn.plotting.shading import STEPS, legend, safe
from charrnn.schema import to_json_text
from charrnn.text.tokenizers import Tokenizer

# A file that opens at once, and that can be sent.
MOST_BYTES = 20_000_000
TOKENIZERS = ("char", "byte")


def live_page(
    config: ModelConfig, weights: Mapping[str, Floats], tokenizer: Tokenizer, name: str, *, beside: str = ""
) -> str:
    """The page of a network, its weights under the names of a model's file; `beside` says what it leaves out.

    Raises ConfigError on a network or a tokenizer that a page has no step for, and where it would be too large.
    """
    require(not config.bidirectional, "a page writes forwards: it cannot hold a bidirectional model")
    require(
        has_step(config),
        f"a page holds plain layers of lstm, gru or rnn, not {config.cell}{config.manner}: "
        "`charrnn serve` shows any model",
    )
    require(
        tokenizer.kind in TOKENIZERS,
        f"a page holds models of characters or bytes, not of {tokenizer.unit}: `charrnn serve` shows any model",
    )
    record = {
        "cell": config.cell,
        "hidden": config.hidden,
        "symbols": config.vocab_size,
        "start": config.start_id,
        "tokenizer": tokenizer.spec(),
        "name": name,
        "steps": STEPS,
        "networks": [_network(config.single, direction_weights(own)) for own in split_models(config, weights)],
    }
    count = sum(weight.size for weight in weights.values())
    about = f"{config.size}{config.manner}, {tokenizer.size:,} {tokenizer.unit}, {count:,} weights."
    # A script element ends at the first "</", whatever stands around it.
    data = to_json_text(record).replace("<", "\\u003c")
    parts = {"title": safe(name), "about": safe(about), "beside": safe(beside), "legend": legend(), "model": data}
    page = filled("page", parts, "charrnn.export")
    size = len(page.encode())
    require(
        size <= MOST_BYTES,
        f"the page would have {size / 1e6:.0f} MB, more than {MOST_BYTES / 1e6:.0f}: `charrnn serve` shows a model of "
        "any size, and one of a smaller `hidden` fits",
    )
    return page


def _network(config: ModelConfig, weights: Mapping[str, Floats]) -> dict[str, Any]:
    """One network: the table of its first layer (tokens, G), and of each layer what its output meets."""
    layers = lay_out(config, weights, INT8)
    inputs = weights["embedding.weight"]
    table = layers[0].cell.project(Exact8.table(inputs, weights[f"layers.0.rnn.{W_IH}"]))
    records = []
    for layer, above in zip(layers, [*layers[1:], None], strict=True):
        reader, own = layer.reader, layer.cell.recurrent_bias
        assert isinstance(reader, Exact8)
        bias = (
            weights["bias"][None]
            if above is None
            else above.cell.project(np.zeros((1, len(reader.weight)), np.float32))
        )
        records.append(
            {
                "weight": _base64(reader.weight, np.int8),
                "scale": _base64(reader.scale, np.float32),
                "bias": _base64(bias, np.float32),
                "recurrent": None if own is None else _base64(own, np.float32),
            }
        )
    return {"table": _base64(table, np.float32), "layers": records}


def _base64(array: npt.NDArray[Any], dtype: Any) -> str:
    little: npt.NDArray[Any] = np.ascontiguousarray(array, np.dtype(dtype).newbyteorder("<"))
    return base64.b64encode(little.tobytes()).decode("ascii")
