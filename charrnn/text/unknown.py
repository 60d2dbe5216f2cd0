"""Characters that a vocabulary lacks, told by their place in the whole text, however it is cut into documents."""

import numpy as np

from charrnn.errors import VocabularyError
from charrnn.text.documents import document_spans
from charrnn.text.tokenizers import Tokenizer
from charrnn.text.tokenizers.char import CharTokenizer


def refuse_unknown(tokenizer: Tokenizer, text: str, documents: str) -> None:
    """Raise VocabularyError, unless every character of every document is in the vocabulary.

    The line ends around documents need not be: they are no characters of any.
    """
    unknown = tokenizer.encode(text, unknown=True) > tokenizer.size
    if not unknown.any():
        return
    # Only characters can be unknown, each of which is one token.
    inside = np.zeros(len(text), bool)
    for first, end in document_spans(text, documents):
        inside[first:end] = True
    if (unknown & inside).any():
        raise VocabularyError(CharTokenizer.complaint(text, np.flatnonzero(unknown & inside)))
