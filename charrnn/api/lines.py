"""Lines and a model become the score of each: what `Model.score_lines` does."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from os import PathLike, fspath
from typing import TYPE_CHECKING

from charrnn.api.adapting import learning_of
from charrnn.config import require
from charrnn.config.fields import shown
from charrnn.inference.formats import FP32
from charrnn.scoring.figures import exp
from charrnn.scoring.lines import LineReader, Piece
from charrnn.text.documents import line_chars
from charrnn.text.lines import lines, lines_of, normalised

if TYPE_CHECKING:
    from charrnn.api.opened import Opened


@dataclass(frozen=True, repr=False)
class LineScore:
    """A scored line. `text` is as it was read, with LF where it has a line end.

    `chars` (code points) and `tokens` are those that were scored: the line end with the line, the end of a document
    with a document. A line that is no document, for it is empty, has none.
    """

    text: str
    nats: float
    """Total surprisal (negative log-likelihood) in nats."""
    chars: int
    tokens: int

    def __repr__(self) -> str:
        """<LineScore 'The heron', 21.35 bits>"""
        return f"<LineScore {self.text!r}, {self.bits:.2f} bits>"

    @property
    def bits(self) -> float:
        """Total surprisal in bits: nats / ln 2."""
        return self.nats / math.log(2)

    @property
    def bpc(self) -> float | None:
        """Bits per character; none where there is no character."""
        return self.bits / self.chars if self.chars else None

    @property
    def ppl(self) -> float | None:
        """Perplexity per token; none where there is no token."""
        return exp(self.nats / self.tokens) if self.tokens else None


def texts_of(texts: "str | PathLike[str] | Iterable[str | None]", *, any_bytes: bool) -> Iterator[str | None]:
    """The lines of a text, of a file given as a Path, or strings, each as one; None where a pipe pauses.

    Raises ConfigError on what is neither, once it is come to.
    """
    if isinstance(texts, PathLike):
        for together in lines([fspath(texts)], any_bytes=any_bytes):
            yield from (line.text for line in together) if together else (None,)
    elif isinstance(texts, str):
        yield from (line.text for line in lines_of(texts))
    else:
        several = isinstance(texts, Iterable) and not isinstance(texts, bytes)
        require(several, f"`texts` must be strings, a text, or the Path of a file, not {shown(texts)}")
        for text in texts:
            require(text is None or isinstance(text, str), f"`texts` must hold strings, not {shown(text)}")
            yield None if text is None else normalised(text)


def scored_lines(
    reader: LineReader, come: Iterable[str | None], documents: str, unbuffered: bool
) -> Iterator[LineScore]:
    """The score of each line in order."""
    pieces: list[Piece] = []
    for piece in reader.read(come, unbuffered=unbuffered):
        pieces.append(piece)
        if piece.ends_line:
            text = "".join(each.text for each in pieces) if len(pieces) > 1 else piece.text
            nats = math.fsum(math.fsum(each.predictions.nll) for each in pieces)
            tokens = sum(len(each.predictions) for each in pieces)
            yield LineScore(text, nats, line_chars(text, documents) if tokens else 0, tokens)
            pieces = []


def score_lines(
    model: "Opened",
    texts: "str | PathLike[str] | Iterable[str | None]",
    *,
    context: str,
    carry: bool,
    unknown: bool,
    unbuffered: bool,
    precision: str | None,
    learns: bool,
) -> Iterator[LineScore]:
    """See `Model.score_lines`."""
    reader = LineReader(
        model, context=context, carry=carry, unknown=unknown, precision=precision or FP32,
        learning=learning_of(model) if learns else None,
    )  # fmt: skip
    come = texts_of(texts, any_bytes=model.tokenizer.any_bytes)
    return scored_lines(reader, come, model.documents, unbuffered)
