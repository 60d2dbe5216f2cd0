"""Which lines of a text stand word for word in the text that a model has learned from."""

from collections.abc import Iterable
from dataclasses import dataclass

from charrnn.text.corpus import Corpus
from charrnn.text.documents import split_documents
from charrnn.text.split import Split

# A longer text, in code points, is not looked through: one of that length takes about half a second.
LARGEST = 1 << 22


@dataclass(frozen=True)
class TrainingLines:
    """The lines of a training part as their hashes; white space around a line is no part of it."""

    hashes: frozenset[int]

    @classmethod
    def of(cls, split: Split, corpus: Corpus) -> "TrainingLines | None":
        """Those of a corpus; None of one that is too long. Raises CorpusError when it cannot be read."""
        if split.chars > LARGEST:
            return None
        part = split.part("train", corpus)
        return cls(frozenset(hash(line.strip()) for line in split_documents(part, "lines")))

    def copied(self, lines: Iterable[str]) -> int:
        """How many of these lines are among them."""
        return sum(hash(line.strip()) in self.hashes for line in lines)


def whole_lines(text: str, *, prompt: str = "", cut: bool) -> list[str]:
    """The lines of a sample, each with what the prompt has of it; without those that it did not write and empty ones.

    The last line of a sample that was `cut` at its length is none.
    """
    if not text:
        return []
    lines = (prompt[prompt.rfind("\n") + 1 :] + text).split("\n")
    return [line for line in (lines[:-1] if cut else lines) if line.strip()]


def verdict(copied: int, lines: int) -> str:
    """How many lines are copies, in words."""
    return f"{copied:,} of {lines:,} lines stand word for word in the training text"
