"""Networks and the text that they are subject at with: a trained model and its text, or fresh networks and any text."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from charrnn import api
from charrnn.config import ModelConfig, require
from charrnn.models.cells import CELLS
from charrnn.text.corpus import Corpus
from charrnn.text.dataset import Tokens
from charrnn.text.tokenizers import CharTokenizer, Tokenizer

if TYPE_CHECKING:
    from charrnn.models.ensemble import Network

BUNDLED = "fables"


@dataclass(frozen=True)
class Subject:
    """A network and a text for it, token by token: N ids, and what each stands for."""

    name: str
    network: "Network"
    tokenizer: Tokenizer
    tokens: Tokens
    chars: int

    @property
    def symbols(self) -> list[str]:
        """The text of every token; a character that the vocabulary lacks is a question mark."""
        size = self.tokenizer.size
        return [self.tokenizer.symbol(token) if token < size else "?" for token in self.tokens.tolist()]

    def beginning(self, length: int) -> "Subject":
        """The first tokens alone."""
        chars = round(self.chars * min(length, self.tokens.size) / max(1, self.tokens.size))
        return replace(self, tokens=self.tokens[:length], chars=chars)


def trained(
    model: str | None,
    texts: list[str] | None,
    *,
    checkpoints: Path | None,
    text: str | None = None,
    alone: bool = False,
) -> Subject:
    """A model with these texts, this text, or the held-out part of its own corpus.

    What looks at single units or gradients looks at one network `alone`, the first of an ensemble. Raises RunError,
    CheckpointError, CorpusError, VocabularyError (of a text that is named).
    """
    loaded = api.load(model, checkpoints=checkpoints)
    if text is None:
        text = Corpus(texts).read() if texts else api.held_out(loaded).read()
    ids = loaded.tokenizer.encode(text, unknown=not texts)
    config = loaded.header.config
    name = f"{loaded.header.path.parent.name}: {config.size}"
    if config.ensemble > 1:
        name += f", the first of {config.ensemble}" if alone else f", {config.ensemble} of them"
    network = loaded.network.first_member if alone else loaded.network
    return Subject(name, network, loaded.tokenizer, ids.astype(np.uint32), len(text))


def untrained(
    configs: list[ModelConfig], texts: list[str] | None, *, seed: int, radii: Sequence[float | None] = (None,)
) -> list[Subject]:
    """Fresh networks of these configurations, their vocabulary that of the texts, or of the bundled corpus.

    One network of each for every spectral radius that its recurrent matrices are to have; None: its cell's own.
    """
    import torch

    from charrnn.models.ensemble import build

    text = Corpus(texts or [BUNDLED]).read()
    require(bool(text), "there is no text to look at: it is empty")
    tokenizer = CharTokenizer("".join(sorted(set(text))))
    tokens, found = tokenizer.encode(text).astype(np.uint32), []
    for config, radius in itertools.product(configs, radii):
        network = build(replace(config, vocab_size=tokenizer.size, start_id=tokenizer.size))
        network.initialise(torch.Generator().manual_seed(seed), radius)
        name = config.size + ("" if radius in (None, CELLS[config.cell].spectral_radius) else f", radius {radius:g}")
        found.append(Subject(name, network.eval(), tokenizer, tokens, len(text)))
    return found
