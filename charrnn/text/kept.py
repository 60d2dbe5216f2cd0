"""A text that several readers want, from a source that may be read once."""

from charrnn.text.corpus import Corpus


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
