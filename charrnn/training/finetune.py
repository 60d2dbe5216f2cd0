"""Fine-tuning: what a trained network has learned, carried over to one whose vocabulary has grown, symbol by symbol."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from charrnn.config import ModelConfig, TrainOptions, require
from charrnn.models.ensemble import Network
from charrnn.models.weights import own_name
from charrnn.storage import checkpoint
from charrnn.storage.checkpoint import Weights
from charrnn.text.tokenizers import Tokenizer

# What a model brings with it, and where an option may not ask for something else.
KEPT = ("cell", "layers", "hidden", "embedding", "skip", "norm", "bidirectional", "ensemble", "tie")


@dataclass(frozen=True)
class Source:
    """A trained model to go on from."""

    path: Path
    config: ModelConfig
    tokenizer: Tokenizer
    documents: str
    weights: Weights

    @classmethod
    def read(cls, path: Path) -> "Source":
        """Raises CheckpointError when the file is no model."""
        header, weights, tokenizer = checkpoint.read_model(path)
        return cls(path, header.config, tokenizer, header.documents, weights)

    def check(self, options: TrainOptions) -> None:
        """Raises ConfigError when the options ask for another network or tokenizer than the model's."""
        own = {**{name: getattr(self.config, name) for name in KEPT}, "tokenizer": self.tokenizer.kind}
        for name, value in own.items():
            asked = getattr(options, name)
            require(
                asked is None or asked == value,
                f"{self.path} has {name} {value}, which stays: leave out `{name}`, or train anew without `start_from`",
            )
        for name in ("vocab_size", "spectral_radius"):
            require(
                getattr(options, name) is None,
                f"{self.path} brings its symbols and weights: leave out `{name}`, or `start_from`",
            )

    def knows(self, tokenizer: Tokenizer) -> None:
        """Raises ConfigError when it lacks symbols of a vocabulary that began with its own."""
        require(
            tokenizer.size == self.tokenizer.size,
            f"the text has {tokenizer.size - self.tokenizer.size} symbols that {self.path} lacks: a student learns "
            "from its teacher's text, or one of the same alphabet",
        )

    def give(self, network: Network, tokenizer: Tokenizer) -> str:
        """Put the weights into a freshly initialised network whose vocabulary holds this one's, symbol by symbol.

        A new symbol keeps its fresh embedding; its bias is the least of the old ones and its row of the head zero,
        which makes it improbable (where embeddings are tied, that row is the embedding). No old logit changes. Says
        whose weights they were.
        """
        there, ids = network.config, self.tokenizer.ids_in(tokenizer)
        inputs = np.append(ids, there.start_id)
        outputs = inputs if self.config.documents and there.documents else ids
        with torch.no_grad():
            for name, weight in network.state_dict().items():
                old = torch.from_numpy(self.weights[name])
                match own_name(name):
                    case "embedding.weight":
                        weight[inputs] = old
                    case "head":
                        weight.zero_()
                        weight[outputs] = old[: len(outputs)]
                    case "bias":
                        weight.fill_(float(old.min()))
                        weight[outputs] = old[: len(outputs)]
                    case _:
                        weight.copy_(old)
        return f"goes on from {self.path}"
