"""The part of a model's own corpus that was held out of its training."""

from charrnn.api.model import Model
from charrnn.errors import CharrnnError, CheckpointError, CorpusError
from charrnn.text.corpus import Corpus, in_memory
from charrnn.text.split import Split


def held_out(model: Model, part: str = "valid") -> Corpus:
    """The held-out part of the corpus that a model was trained on. Raises CorpusError when it is gone or changed."""
    try:
        split = Split.from_json(model.header.summary.get("split"))
    except CharrnnError:
        raise CheckpointError(f"{model.header.path} does not say what it was trained on: name a text") from None
    return HeldOut(split, part, any_bytes=model.tokenizer.any_bytes)


class HeldOut(Corpus):
    """One part of a corpus, read as a text of its own."""

    def __init__(self, split: Split, part: str, *, any_bytes: bool) -> None:
        super().__init__(list(split.sources), any_bytes=any_bytes)
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
