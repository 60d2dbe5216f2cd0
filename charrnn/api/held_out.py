"""The part of a model's own corpus that was held out of its training."""

from charrnn.api.model import Model
from charrnn.errors import CheckpointError, CorpusError
from charrnn.storage.texts import at_hand
from charrnn.text.corpus import Corpus, in_memory
from charrnn.text.split import Split


def held_out(model: Model, part: str = "valid") -> Corpus:
    """The held-out part of the corpus that a model was trained on. Raises CorpusError when it is gone or changed."""
    header = model.header
    if "split" not in header.summary:
        raise CheckpointError(f"{header.path} does not say what it was trained on: name a text")
    return HeldOut(at_hand(header.split, header.path.parent), part, any_bytes=model.tokenizer.any_bytes)


class HeldOut(Corpus):
    """One part of a corpus, read as a text of its own."""

    def __init__(self, split: Split, part: str, *, any_bytes: bool) -> None:
        try:
            super().__init__(list(split.sources), any_bytes=any_bytes)
        except CorpusError as error:
            moved = "name a text, or where it is now: `corpus` beside `resume`"
            raise CorpusError(f"{error}, which the model was trained on: {moved}") from None
        if self.survey().sha256 != split.sha256:
            raise CorpusError(f"{' '.join(split.sources)} has changed since the model was trained: name a text")
        if not any(split.part(part, self)):
            raise CorpusError(f"the model was trained with no {part} part: name a text")
        self._split, self._part = split, part

    def read(self) -> str:
        """The part's text; statistics are of the part alone."""
        text, self.statistics = in_memory(
            "".join(self._split.part(self._part, Corpus(self.sources, any_bytes=self.any_bytes)))
        )
        return text
