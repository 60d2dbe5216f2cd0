"""A text that several readers want, from a source that may be read once, or is long enough to be read once only."""

from collections.abc import Iterator

from charrnn.errors import CorpusError
from charrnn.text.corpus import Corpus
from charrnn.text.split import Split


class KeptText(Corpus):
    """A corpus that is kept in memory once it is read whole."""

    _text: str | None = None

    @property
    def label(self) -> str:
        """What figures call it."""
        return " ".join(self.sources)

    def read(self) -> str:
        """The whole text, the same each time, and its statistics."""
        if self._text is None:
            self._text = super().read()
        return self._text


class OncePassed(Corpus):
    """A corpus that is read once, the whole of it by whoever takes a part and `finish`."""

    _passed: Iterator[str] | None = None

    def chunks(self, border: str = "") -> Iterator[str]:
        """The rest of the one pass, which the first call begins."""
        if self._passed is None:
            self._passed = super().chunks(border)
        return self._passed

    def finish(self, split: Split) -> None:
        """Read what is left. Raises CorpusError unless the whole is what this split is of."""
        self.survey()
        if not split.is_of(self):
            raise CorpusError(f"{' '.join(self.sources)} has changed since the model was trained: name a text")
