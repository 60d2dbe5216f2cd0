"""One page of HTML with a model inside that writes, in the numbers of int8: the text of a seed is `sample`'s.

The page holds what the compiled step is given (see inference/network.py), and counts where the model has them; its
script computes the same whole numbers, looks up the same tables and draws by the same uniforms.
Shapes: H hidden, G gates x H, N a layer's products, V symbols of the vocabulary.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from charrnn.config import ModelConfig, require
from charrnn.export.counts import counts_record
from charrnn.export.packed import Packed
from charrnn.export.trained import Trained, figures
from charrnn.inference.compiled import has_step
from charrnn.inference.formats import INT8
from charrnn.inference.layers import biases_above, lay_out
from charrnn.inference.products import Exact8, Floats
from charrnn.models.cells.base import W_IH
from charrnn.models.counts.kept import KeptCounts
from charrnn.models.weights import direction_weights, split_models
from charrnn.plotting.page import filled
from charrnn.plotting.shading import STEPS, legend, safe
from charrnn.schema import to_json_text

# A file that opens at once, and that can be sent.
MOST_BYTES = 20_000_000
TOKENIZERS = ("char", "byte")


class LivePage(NamedTuple):
    """The text of a file, and a line on what stands beside the network in it; empty where nothing is to be said."""

    html: str
    told: str


def live_page(model: Trained) -> LivePage:
    """The page of a model, with its counts where they fit.

    Raises ConfigError on a network or a tokenizer that a page has no step for, and where the network alone is too
    large.
    """
    config, tokenizer = model.config, model.tokenizer
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
    told = ""
    if model.counts is not None:
        page = _written(model, model.counts, _told_of(model))
        if len(page.html) <= MOST_BYTES:
            return page
        told = f"With its counts the page would have {_megabytes(page.html)}: {_told_of(model, alone=True)}"
    page = _written(model, None, told)
    require(
        len(page.html) <= MOST_BYTES,
        f"the page would have {_megabytes(page.html)}: `charrnn serve` shows a model of any size, and one of a "
        "smaller `hidden` fits",
    )
    return page


def _megabytes(html: str) -> str:
    return f"{len(html) / 1e6:.0f} MB, more than {MOST_BYTES / 1e6:.0f}"


def _told_of(model: Trained, *, alone: bool = False) -> str:
    """What writes, and its figure on the text that was held out."""
    words = "its network writes alone" if alone else "Its network writes beside the counts of its training text"
    known = figures(model)
    if "counts" not in known:
        return f"{words}."
    by_both, by_one = known["counts"], known["network"]
    told = f"{by_one:.3f} bits a token; {by_both:.3f} with" if alone else f"{by_both:.3f} bits a token; {by_one:.3f}"
    return f"{words}: {told} {'them' if alone else 'by the network alone'}."


def _written(model: Trained, counts: KeptCounts | None, told: str) -> LivePage:
    config, packed = model.config, Packed()
    record = {
        "cell": config.cell,
        "hidden": config.hidden,
        "symbols": config.vocab_size,
        "start": config.start_id,
        "tokenizer": model.tokenizer.spec(),
        "name": model.name,
        "steps": STEPS,
        "networks": [
            _network(config.single, direction_weights(own), packed) for own in split_models(config, model.weights)
        ],
        "counts": None if counts is None else counts_record(counts.mixture, packed),
        # Whether the command line would write by more.
        "alone": counts is None and model.counts is not None,
    }
    arrays, record["bytes"] = packed.text()
    weights = sum(weight.size for weight in model.weights.values())
    about = f"{config.size}{config.manner}, {model.tokenizer.size:,} {model.tokenizer.unit}, {weights:,} weights."
    # A script element ends at the first "</", whatever stands around it.
    data = to_json_text(record).replace("<", "\\u003c")
    parts = {"title": safe(model.name), "about": safe(about), "beside": safe(told), "legend": legend()}
    return LivePage(filled("page", {**parts, "model": data, "arrays": arrays}, "charrnn.export"), told)


def _network(config: ModelConfig, weights: Mapping[str, Floats], packed: Packed) -> dict[str, Any]:
    """One network: the table of its first layer (tokens, G), and of each layer what its output meets."""
    layers = lay_out(config, weights, INT8)
    inputs = weights["embedding.weight"]
    table = layers[0].cell.project(Exact8.table(inputs, weights[f"layers.0.rnn.{W_IH}"]))
    records = []
    for layer, bias in zip(layers, biases_above(layers, weights["bias"][None]), strict=True):
        reader, own = layer.reader, layer.cell.recurrent_bias
        assert isinstance(reader, Exact8)
        records.append(
            {
                "weight": packed.add(reader.weight, np.int8),
                "scale": packed.add(reader.scale, np.float32),
                "bias": packed.add(bias, np.float32),
                "recurrent": None if own is None else packed.add(own, np.float32),
            }
        )
    return {"table": packed.add(table, np.float32), "layers": records}
