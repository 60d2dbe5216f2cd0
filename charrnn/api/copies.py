"""What of a model's text is copied from its corpus."""

from charrnn.api.model import Model
from charrnn.errors import CharrnnError
from charrnn.text.copies import LARGEST, TrainingLines
from charrnn.text.corpus import Corpus
from charrnn.text.split import Split


def training_lines(model: Model) -> TrainingLines | None:
    """The lines of the text that a model has learned from; None where that is gone, changed, unknown or too long."""
    try:
        split = Split.from_json(model.header.summary.get("split"))
        if split.chars > LARGEST or Corpus(list(split.sources)).survey().sha256 != split.sha256:
            return None
        return TrainingLines.of(split)
    except CharrnnError:
        return None
