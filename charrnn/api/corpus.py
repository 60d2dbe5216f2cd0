"""A look at texts before anything is trained on them."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from charrnn.api.arguments import AnyPath, train_options

if TYPE_CHECKING:
    from charrnn.text.check import CorpusReport


def check_corpus(
    corpus: AnyPath | Iterable[AnyPath], *, documents: str | None = None, valid: float | AnyPath | None = None
) -> "CorpusReport":
    """What a training would find in a text: its size, alphabet, lines, duplicates, and what leaks from part to part.

    Raises CorpusError where it cannot be read, and ConfigError on a value that is none.
    """
    from charrnn.text.check import check
    from charrnn.text.corpus import Corpus
    from charrnn.text.split import split_corpus

    asked = train_options(corpus, {"documents": documents, "valid": valid})
    text = Corpus(list(asked.corpus))
    statistics = text.survey()
    documents = asked.documents or "stream"
    return check(text, split_corpus(text, statistics, documents=documents, valid=asked.valid, test=None, choose=True))
