"""What a text costs, by where in the text: the common ground of models that cut it into different tokens.

Shapes: T tokens, S spans, C characters (code points) of the text.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from charrnn.errors import CorpusError
from charrnn.scoring.figures import Nats
from charrnn.text.alignment import Alignment
from charrnn.text.documents import SEPARATORS, document_spans
from charrnn.text.tokenizers import Tokenizer
from charrnn.text.tokenizers.char import code_points

Places = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Costs:
    """Nats (S,) of spans of a text in order: span i holds the characters from `begins[i]` up to `ends[i]`.

    A span is the least that the predictions of whoever is called `name` can be told apart by: a character, or a piece
    of several. Characters in no span cost nothing, for nobody was asked for them. `document_ends` are the places where
    it begins anew, None where it remembers all of the text.
    """

    name: str
    nats: Nats
    begins: Places
    ends: Places
    document_ends: Places | None = None

    @classmethod
    def of_characters(cls, name: str, nats: Nats) -> "Costs":
        """Of whatever predicts every character (C,) by itself."""
        places = np.arange(nats.size + 1)
        return cls(name, nats, places[:-1], places[1:])

    @classmethod
    def of_tokens(
        cls, name: str, nats: Nats, tokenizer: Tokenizer, text: str, documents: str, *, lines: bool = False
    ) -> "Costs":
        """Of a model that was asked for these tokens (T,) of a text, told apart as `documents`, or in `lines`.

        What ends a document stands for the line ends behind it, which the text is to hold.
        """
        begins, ends, document_ends = _places(tokenizer, text, documents)
        if lines and document_ends is None:  # what knows documents has lines of its own
            document_ends = np.flatnonzero(code_points(text) == ord("\n")) + 1
        if ends.size != nats.size:
            raise ValueError(f"{nats.size} costs of {ends.size} tokens")
        # Tokens that end in the same character, which its last byte completes, are one span.
        first = np.flatnonzero(np.append(True, ends[1:] != ends[:-1]))
        return cls(name, np.add.reduceat(nats, first), begins[first], ends[first], document_ends)

    @property
    def gaps(self) -> Places:
        """(2, G): where the characters that are in no span begin and end."""
        before = np.append(0, self.ends[:-1])
        at = before != self.begins
        return np.stack([before[at], self.begins[at]])

    def joined(self, ends: Places) -> "Costs":
        """The same by larger spans, which end where some of these do."""
        first = np.append(0, np.searchsorted(self.ends, ends[:-1], side="right"))
        return Costs(self.name, np.add.reduceat(self.nats, first), self.begins[first], ends, self.document_ends)


def aligned(a: Costs, b: Costs) -> tuple[Costs, Costs]:
    """Both by the least spans that both know. Raises CorpusError where they were not asked for the same characters."""
    if a.ends[-1] != b.ends[-1] or not np.array_equal(a.gaps, b.gaps):
        raise CorpusError(
            f"{a.name} and {b.name} are not asked for the same characters of this text, and cannot be compared"
        )
    common = np.intersect1d(a.ends, b.ends, assume_unique=True)
    return a.joined(common), b.joined(common)


def _places(tokenizer: Tokenizer, text: str, documents: str) -> tuple[Places, Places, Places | None]:
    """Where each token (T,) begins and ends in the text, by characters, and where each document ends."""
    align, separator = Alignment(tokenizer), SEPARATORS[documents]

    def token_ends(part: str) -> Places:
        return align(part, tokenizer.encode(part, unknown=True)).reached

    if separator is None:
        ends = token_ends(text)
        return np.append(0, ends[:-1]), ends, None
    begun: list[Places] = []
    ended: list[Places] = []
    document_ends = []
    for first, end in document_spans(text, documents):
        inner = first + token_ends(text[first:end])
        begun += [np.array([first]), inner]
        ended += [inner, np.array([end + len(separator)])]
        document_ends.append(end + len(separator))
    return np.concatenate(begun), np.concatenate(ended), np.array(document_ends)
