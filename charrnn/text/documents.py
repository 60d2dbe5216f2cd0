"""How the documents of a text are told apart."""

from collections.abc import Iterable, Iterator

# What stands between two documents; None: the text is one stream.
SEPARATORS: dict[str, str | None] = {"stream": None, "lines": "\n", "paragraphs": "\n\n"}


def split_documents(chunks: Iterable[str], documents: str) -> Iterable[str]:
    """The documents of a text without the line ends around them; its chunks as they are where it is one stream.

    Empty documents are none.
    """
    separator = SEPARATORS[documents]
    return chunks if separator is None else _split(chunks, separator)


def _split(chunks: Iterable[str], separator: str) -> Iterator[str]:
    held = ""
    for chunk in chunks:
        *whole, held = (held + chunk).split(separator)
        yield from filter(None, (document.strip("\n") for document in whole))
    if held := held.strip("\n"):
        yield held


def around_documents(text: str, documents: str) -> Iterator[tuple[int, int]]:
    """Where what stands around the documents of a whole text begins and ends: no character of any document."""
    position = 0
    for document in split_documents([text], documents):
        first = text.index(document, position)
        yield position, first
        position = first + len(document)
    yield position, len(text)


def missing_ends(text: str, documents: str) -> int:
    """How many line ends the last document of a whole text lacks; 0 where it is one stream, or holds no document."""
    wanted, written = len(SEPARATORS[documents] or ""), text[len(text.rstrip()) :].count("\n")
    return max(0, wanted - written) if text.strip() else 0


def after_separator(chunks: Iterable[str], at: int, separator: str) -> int:
    """The position behind the first separator that ends at `at` or later; the text's end where there is none."""
    position, held = 0, ""
    for chunk in chunks:
        text = held + chunk
        found = text.find(separator, max(0, at - len(separator) - position))
        if found >= 0:
            return position + found + len(separator)
        held = text[-(len(separator) - 1) :] if len(separator) > 1 else ""
        position += len(text) - len(held)
    return position + len(held)
