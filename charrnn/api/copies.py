"""What of a model's text is copied from its corpus."""

from charrnn.api.model import Model
from charrnn.errors import CharrnnError
from charrnn.storage.texts import at_hand
from charrnn.text.copies import LARGEST, TrainingLines
from charrnn.text.corpus import Corpus


def training_lines(model: Model) -> TrainingLines | None:
    """The lines of the text that a model has learned from; None where that is gone, changed, unknown or too long."""
    try:
        split, any_bytes = at_hand(model.header.split, model.header.path.parent), model.tokenizer.any_bytes
        if split.chars > LARGEST or Corpus(list(split.sources), any_bytes=any_bytes).survey().sha256 != split.sha256:
            return None
        return TrainingLines.of(split, any_bytes=any_bytes)
    except CharrnnError:
        return None
