"""A text that several readers want, from a source that may be read once."""

from functools import cached_property

from charrnn.text.corpus import Corpus


class KeptText(Corpus):
    """A corpus that is kept in memory once it is read whole."""

    @cached_property
    def _text(self) -> str:
        return super().read()

    def read(self) -> str:
        """The whole text, the same each time, and its statistics."""
        return self._text
