"""What is exported: a model, and what its file says of it, in words and figures for those who have no charrnn."""

import math
import re
from collections.abc import Mapping
from typing import Any, Protocol

from charrnn.config import ModelConfig
from charrnn.models.counts.kept import KeptCounts
from charrnn.schema import to_json_text
from charrnn.storage.checkpoint import Header, Weights
from charrnn.text.tokenizers import Tokenizer


class Trained(Protocol):
    """A model that was read."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def config(self) -> ModelConfig:
        """Its network."""
        ...

    @property
    def header(self) -> Header:
        """What its file says of it."""
        ...

    @property
    def weights(self) -> Weights:
        """Under the names of its file."""
        ...

    @property
    def tokenizer(self) -> Tokenizer:
        """Text to ids and back."""
        ...

    @property
    def counts(self) -> KeptCounts | None:
        """What stands beside its network."""
        ...


def plain_names(weights: Mapping[str, Any]) -> dict[str, Any]:
    """Weights under names that say what they are: 'layers.0.weight_ih', 'head', 'models.1.backwards.bias'.

    What stands above a layer is among its weights: 'layers.1.gain'.
    """
    return {_plain(name): weight for name, weight in weights.items()}


def _plain(name: str) -> str:
    name = re.sub(r"^(models\.\d+\.)?forwards\.", lambda found: found[1] or "", name)
    name = name.replace("embedding.weight", "embedding").replace("connections.", "layers.").replace(".rnn.", ".")
    return name.removesuffix("_l0")


def tokenizer_json(tokenizer: Tokenizer, config: ModelConfig) -> bytes:
    """What each id stands for, its text or the byte that it is, and the ids that are no text."""
    start = config.start_id
    told = {
        "kind": tokenizer.kind,
        "start": start,
        "end": start if config.documents else None,
        "pieces": tokenizer.plain(),
    }
    return (to_json_text(told) + "\n").encode()


def config_json(model: Trained) -> bytes:
    """The network in numbers and names."""
    told = {
        "model_type": "charrnn",
        **model.config.to_json(),
        "states": states_of(model.config),
        "tokenizer": model.tokenizer.kind,
        "charrnn_version": model.header.written_by,
    }
    return (to_json_text(told) + "\n").encode()


def states_of(config: ModelConfig) -> list[str]:
    """The names of a step's states in their order: 'layers.0.h', of several networks 'models.1.layers.0.h'."""
    from charrnn.models.cells import CELLS

    prefixes = [""] if config.ensemble == 1 else [f"models.{number}." for number in range(config.ensemble)]
    parts = CELLS[config.cell].state_names
    return [f"{prefix}layers.{layer}.{part}" for prefix in prefixes for layer in range(config.layers) for part in parts]


def per(model: Trained) -> str:
    """What its figures are of: characters where nothing else is predicted, else tokens."""
    alone = model.tokenizer.unit == "characters" and not model.config.documents
    return "bits per character" if alone else "bits per token"


def figures(model: Trained) -> dict[str, float]:
    """Bits per character or token as they were measured: by the 'network', and by it and its 'counts' together."""
    kept, loss = model.header.counts, model.header.summary.get("loss")
    if model.counts is not None and kept is not None and kept.alone is not None and kept.loss is not None:
        return {"network": kept.alone / math.log(2), "counts": kept.loss / math.log(2)}
    return {} if loss is None else {"network": loss / math.log(2)}


def measured_on(model: Trained) -> str:
    """The text of its figures."""
    return "held-out text" if model.header.summary.get("validated") else "the training text"


def left_out(model: Trained) -> list[str]:
    """What a network that reads forwards alone has not, a line each, and its figure by itself."""
    told = []
    if model.config.bidirectional:
        told.append("the direction that reads forwards alone: nothing is written backwards")
    if model.counts is not None:
        known = figures(model)
        figure = f": {known['network']:.3f} {per(model)}" if "network" in known else ""
        beside = f", {known['counts']:.3f} with them, on {measured_on(model)}" if "counts" in known else ""
        told.append(f"the network alone, without the counts of its training text{figure}{beside}")
    return told
