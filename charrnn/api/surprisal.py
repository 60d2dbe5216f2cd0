"""What each unit of a text costs, as a table: `Model.surprisal`."""

import math
from importlib import import_module
from itertools import pairwise
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from charrnn.api.scoring import encoded
from charrnn.config import require
from charrnn.errors import CharrnnError, CorpusError
from charrnn.markup import shaded
from charrnn.scoring.predictions import Asked, Predictions
from charrnn.scoring.rows import Row
from charrnn.scoring.units import symbol, units
from charrnn.text.alignment import Alignment
from charrnn.text.corpus import Corpus
from charrnn.text.documents import document_spans
from charrnn.text.lines import Line, lines, lines_of
from charrnn.text.tokenizers import Tokenizer

if TYPE_CHECKING:
    from charrnn.api.opened import Opened


class Surprisal(np.ndarray[tuple[int], np.dtype[np.void]]):
    """A structured array, one row a unit, in the order of the text. Its fields are those of `charrnn score`:

    line (from 1), text, start and end in characters, byte in bytes of UTF-8, surprisal in bits; with alternatives
    rank (0: none), entropy in bits (NaN: none), top1, top1_surprisal, top2 and so on. `text[start:end]` is the unit.
    """

    def to_pandas(self) -> Any:
        """The same as a pandas DataFrame. Raises CharrnnError where pandas is not installed."""
        try:
            pandas = import_module("pandas")
        except ImportError:
            raise CharrnnError("pandas is not installed: pip install pandas") from None
        return pandas.DataFrame({name: np.asarray(self[name]) for name in self.dtype.names or ()})

    def _repr_html_(self) -> str | None:
        """For a notebook: the text, each unit on a ground by its bits; None, as of any array, without its fields."""
        if not {"line", "text", "start", "end", "surprisal"} <= set(self.dtype.names or ()) or self.ndim != 1:
            return None
        rows = [(int(row["line"]), str(row["text"]), int(row["start"]), float(row["surprisal"])) for row in self]
        spans: list[tuple[str, float | None]] = []
        line, end = (rows[0][0], rows[0][2]) if rows else (1, 0)
        for number, text, start, bits in rows:
            if number > line and not (spans and spans[-1][0].endswith("\n")):
                spans.append(("\n", None))
            elif start > end:  # words do not own what stands between them
                spans.append((" ", None))
            spans.append((text, bits))
            line, end = number, start + len(text)
        return shaded(spans, f"{len(rows):,} units, {math.fsum(row[3] for row in rows):,.1f} bits")


def surprisal(
    model: "Opened",
    text: "str | PathLike[str] | Corpus",
    *,
    per: str,
    space: str,
    top: int,
    context: str,
    unknown: bool,
) -> Surprisal:
    """The rows of a text, or of what stands in a file or a corpus, read as `Model.score` reads it."""
    require(per == "word" or space == "after", "`space` means nothing without `per='word'`: leave it out")
    made = units(per, model.tokenizer, space)
    told = list(lines_of(_written(model, text)))
    plain = "".join(line.text for line in told)
    predictions, documents = _predicted(model, plain, made.asked(top), context, unknown)
    align, starts = Alignment(model.tokenizer), np.cumsum([0, *(len(line.text) for line in told)])
    found: list[tuple[Any, ...]] = []
    for document in documents:
        tokens = predictions[document.tokens]
        number, after = np.searchsorted(starts, [document.first, document.end])
        begins = align(plain[document.first : document.end], tokens.tokens).begins
        cuts = np.searchsorted(begins, starts[number + 1 : after] - document.first).tolist()
        for line, (begin, end) in zip(range(number, after), pairwise([0, *cuts, len(tokens)]), strict=True):
            if begin < end:
                for row in [*made.push(told[line].text, tokens[begin:end]), *made.finish()]:
                    found.append(_record(line, told[line], row, model.tokenizer, top))
    return np.array(found, dtype=_fields(top)).view(Surprisal)


class _Document(NamedTuple):
    """A document, or the one stream, with what stands behind it up to the next; its tokens among all."""

    first: int
    end: int
    tokens: slice


def _written(model: "Opened", text: "str | PathLike[str] | Corpus") -> str:
    """What a user names, line ends as they are."""
    if isinstance(text, PathLike):
        come = lines([fspath(text)], any_bytes=model.tokenizer.any_bytes)
        return "".join(line.raw for together in come for line in together)
    return text if isinstance(text, str) else text.read()


def _predicted(
    model: "Opened", text: str, asked: Asked, context: str, unknown: bool
) -> tuple[Predictions, list[_Document]]:
    """What was predicted in a text, and its documents. Raises CorpusError where there is nothing in it."""
    from charrnn.scoring.predict import predict

    part = encoded(model, text, unknown=unknown)
    if not part.tokens.size:
        raise CorpusError("there is no text to score: it is empty")
    before = model.tokenizer.encode(context)
    begins = [0] if part.starts is None else part.starts.tolist()
    texts = np.split(np.asarray(part.tokens, np.int64), begins[1:])
    tokens = np.concatenate([ids for one in texts for ids in (before, one)])
    starts = np.cumsum([0, *(before.size + one.size for one in texts)])
    found = predict(model.predictor, tokens, None if part.starts is None else starts[:-1], asked=asked)
    firsts = [0]
    if part.starts is not None:
        firsts = [first for first, _ in document_spans(text, model.documents)]
    return found, [
        _Document(first, end, slice(start + before.size, stop))
        for (first, end), (start, stop) in zip(pairwise([*firsts, len(text)]), pairwise(starts.tolist()), strict=True)
    ]


def _fields(top: int) -> list[tuple[str, type]]:
    """The names and types of a row's fields."""
    found = [("line", int), ("text", object), ("start", int), ("end", int), ("byte", int), ("surprisal", float)]
    if top:
        found += [("rank", int), ("entropy", float)]
    for place in range(1, top + 1):
        found += [(f"top{place}", object), (f"top{place}_surprisal", float)]
    return found


def _record(number: int, line: Line, row: Row, tokenizer: Tokenizer, top: int) -> tuple[Any, ...]:
    """A row in bits, told by its place in the whole text."""
    text, start = line.written(row.start, row.end), line.start + row.start
    record = [number + 1, text, start, start + len(text), line.byte + row.byte, row.nats / math.log(2)]
    if top:
        record += [row.rank or 0, math.nan if row.entropy is None else row.entropy / math.log(2)]
        for token, nats in zip(row.top, row.top_nats, strict=True):
            record += [symbol(tokenizer, token), nats / math.log(2)]
        record += [None, math.nan] * (top - len(row.top))
    return tuple(record)
