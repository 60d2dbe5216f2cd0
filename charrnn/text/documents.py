"""How the documents of a text are told apart."""

import re
from collections.abc import Iterable, Iterator

# What stands between two documents; None: the text is one stream.
SEPARATORS: dict[str, str | None] = {"stream": None, "lines": "\n", "paragraphs": "\n\n"}

# The same as it may be met with: a line of white space is an empty line.
_BORDERS = {"lines": re.compile("\n"), "paragraphs": re.compile(r"\n(?:[^\S\n]*\n)+")}
_EMPTY_LINES_AROUND = re.compile(r"\A(?:[^\S\n]*\n)+|(?:\n[^\S\n]*)+\Z")

# Characters of documents that are handled at once.
BATCH_CHARS = 1 << 20

# What a list looks like: lines, so many of them, hardly any of them empty or long.
_LEAST_LINES, _SHORT_LINE, _LONG_LINE, _FEW = 30, 20, 40, 0.05


def looks_like_lines(text: str) -> bool:
    """Whether a text, or the beginning of one, is a list of short lines such as names."""
    lines = text.strip().split("\n")
    unlike = sum(1 for line in lines if not line.strip() or len(line) > _LONG_LINE)
    return len(lines) >= _LEAST_LINES and len(text) <= _SHORT_LINE * len(lines) and unlike <= _FEW * len(lines)


def split_documents(chunks: Iterable[str], documents: str) -> Iterable[str]:
    """The documents of a text without the empty lines around them; its chunks as they are where it is one stream.

    Documents of white space alone are none.
    """
    border = _BORDERS.get(documents)
    return chunks if border is None else _split(chunks, border)


def _split(chunks: Iterable[str], border: re.Pattern[str]) -> Iterator[str]:
    held = ""
    for chunk in chunks:
        *whole, held = border.split(held + chunk)
        yield from _written(whole)
    yield from _written([held])


def _written(documents: Iterable[str]) -> Iterator[str]:
    """Those that say something."""
    for document in documents:
        if document and not document.isspace():
            yield _EMPTY_LINES_AROUND.sub("", document) if "\n" in document else document


def join_documents(documents: Iterable[str], separator: str) -> Iterator[str]:
    """A text of these documents, in chunks of about BATCH_CHARS."""
    for some in batches(documents, separator):
        yield separator.join([*some, ""])


def batches(documents: Iterable[str], separator: str = "") -> Iterator[list[str]]:
    """Documents in lists that have, each with its separator, about BATCH_CHARS."""
    some: list[str] = []
    size = 0
    for document in documents:
        some.append(document)
        size += len(document) + len(separator)
        if size >= BATCH_CHARS:
            yield some
            some, size = [], 0
    if some:
        yield some


def as_documents(text: str, documents: str) -> str:
    """A whole text without the empty lines around its documents, each with its end; as it is where it is one stream."""
    separator = SEPARATORS[documents]
    return text if separator is None else "".join(join_documents(split_documents([text], documents), separator))


def document_spans(text: str, documents: str) -> Iterator[tuple[int, int]]:
    """Where each document of a whole text begins and ends, without the empty lines around it."""
    position = 0
    for document in split_documents([text], documents):
        first = text.index(document, position)
        position = first + len(document)
        yield first, position


def line_chars(text: str, documents: str) -> int:
    """The characters that a line, its end with it where it has one, is counted as.

    The end of a document counts as the line ends that it stands for, written or not.
    """
    separator = SEPARATORS[documents]
    return len(text) if separator is None else len(text.removesuffix("\n")) + len(separator)


def missing_ends(text: str, documents: str) -> int:
    """How many line ends the last document of a whole text lacks; 0 where it is one stream, or holds no document."""
    wanted, written = len(SEPARATORS[documents] or ""), text[len(text.rstrip()) :].count("\n")
    return max(0, wanted - written) if text.strip() else 0
