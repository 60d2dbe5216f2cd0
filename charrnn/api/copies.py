"""What of a model's text is copied from its corpus."""

from charrnn.api.model import Model
from charrnn.errors import CharrnnError
from charrnn.storage.texts import at_hand
from charrnn.text.copies import TrainingLines
from charrnn.text.kept import OncePassed


def training_lines(model: Model) -> TrainingLines | None:
    """The lines of the text that a model has learned from; None where that is gone, changed, unknown or too long."""
    try:
        split = at_hand(model.header.split, model.header.path.parent)
        corpus = OncePassed(list(split.sources), any_bytes=model.tokenizer.any_bytes)
        if (found := TrainingLines.of(split, corpus)) is not None:
            corpus.finish(split.sha256)
        return found
    except CharrnnError:
        return None
