"""The text that a model has learned from, where it is now."""

from typing import TYPE_CHECKING

from charrnn.storage.texts import at_hand
from charrnn.text.kept import OncePassed
from charrnn.text.split import Split

if TYPE_CHECKING:
    from charrnn.api.opened import Opened


def split_at_hand(model: "Opened") -> Split:
    """How its corpus was split, and where the files are. Raises CheckpointError when the model does not say it."""
    return at_hand(model.header.split, model.header.path.parent)


def corpus_at_hand(model: "Opened") -> tuple[Split, OncePassed]:
    """The same, and the corpus to be read once. Raises CharrnnError when that is not known, or gone.

    Whoever has read what it wants calls `corpus.finish(split)`, which raises CorpusError on a changed one.
    """
    split = split_at_hand(model)
    return split, OncePassed(list(split.sources), any_bytes=model.tokenizer.any_bytes)


def training_text(model: "Opened") -> str:
    """What a model has learned from. Raises CharrnnError when that is not known, gone or changed."""
    split, corpus = corpus_at_hand(model)
    text = "".join(split.part("train", corpus))
    corpus.finish(split)
    return text
