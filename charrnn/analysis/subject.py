"""What is looked at: a network and a text for it, of a trained model, or fresh. N tokens."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from charrnn.config import ModelConfig, require
from charrnn.models.cells import CELLS
from charrnn.models.ensemble import Network, build
from charrnn.text.token_files import Tokens
from charrnn.text.tokenizers import Tokenizer
from charrnn.text.tokenizers.char import CharTokenizer


@dataclass(frozen=True, eq=False)
class Subject:
    """A network and a text for it, token by token: N ids, and what each stands for."""

    name: str
    network: Network
    tokenizer: Tokenizer
    tokens: Tokens
    chars: int

    @classmethod
    def from_model(
        cls,
        network: Network,
        tokenizer: Tokenizer,
        text: str,
        *,
        name: str,
        first_member: bool = False,
        unknown: bool = False,
    ) -> "Subject":
        """A trained network with a text.

        What looks at single units or gradients looks at one network: the `first_member` of an ensemble. Raises
        VocabularyError on a character that the vocabulary lacks, unless `unknown` is set.
        """
        config = network.config
        name = config.titled(name)
        if config.ensemble > 1:
            name += f", the first of {config.ensemble}" if first_member else f", {config.ensemble} of them"
        ids = tokenizer.encode(text, unknown=unknown)
        return cls(name, network.first_member if first_member else network, tokenizer, ids.astype(np.uint32), len(text))

    @property
    def symbols(self) -> list[str]:
        """The text of every token; a character that the vocabulary lacks is a question mark."""
        size = self.tokenizer.size
        return [self.tokenizer.symbol(token) if token < size else "?" for token in self.tokens.tolist()]

    def beginning(self, length: int) -> "Subject":
        """The first tokens alone."""
        chars = round(self.chars * min(length, self.tokens.size) / max(1, self.tokens.size))
        return replace(self, tokens=self.tokens[:length], chars=chars)


def fresh(
    configs: Sequence[ModelConfig], text: str, *, seed: int, radii: Sequence[float | None] = (None,)
) -> list[Subject]:
    """Untrained networks of these configurations, their vocabulary the characters of the text.

    One network of each for every spectral radius that its recurrent matrices are to have; None: its cell's own.
    Raises ConfigError on an empty text.
    """
    require(bool(text), "there is no text to look at: it is empty")
    tokenizer = CharTokenizer.train([text])
    tokens, found = tokenizer.encode(text).astype(np.uint32), []
    for config, radius in itertools.product(configs, radii):
        network = build(replace(config, vocab_size=tokenizer.size, start_id=tokenizer.size))
        network.initialise(torch.Generator().manual_seed(seed), radius)
        name = config.size + ("" if radius in (None, CELLS[config.cell].spectral_radius) else f", radius {radius:g}")
        found.append(Subject(name, network.eval(), tokenizer, tokens, len(text)))
    return found
