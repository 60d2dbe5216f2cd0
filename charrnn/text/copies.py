"""Which lines of a text stand word for word in the text that a model has learned from."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from charrnn.text.corpus import Corpus
from charrnn.text.documents import split_documents
from charrnn.text.split import Split

# A longer text, in code points, is not looked through: one of that length takes about half a second.
LARGEST = 1 << 22


@dataclass(frozen=True)
class TrainingLines:
    """The lines of a training part as their hashes; white space around a line is no part of it, nor, on wish, case."""

    hashes: frozenset[int]
    ignore_case: bool = False

    @classmethod
    def of(cls, split: Split, corpus: Corpus) -> "TrainingLines | None":
        """Those of a corpus; None of one that is too long. Raises CorpusError when it cannot be read."""
        return None if split.chars > LARGEST else cls.in_text(split.part("train", corpus))

    @classmethod
    def in_text(cls, chunks: Iterable[str], *, ignore_case: bool = False) -> Self:
        """Those of a text."""
        lines = split_documents(chunks, "lines")
        return cls(frozenset(hash(plain(line, ignore_case)) for line in lines), ignore_case)

    @classmethod
    def of_several(cls, several: Sequence["TrainingLines"]) -> Self:
        """Those of several texts, taken alike."""
        return cls(frozenset().union(*(one.hashes for one in several)), several[0].ignore_case)

    def copied(self, lines: Iterable[str]) -> int:
        """How many of these lines are among them."""
        return sum(hash(plain(line, self.ignore_case)) in self.hashes for line in lines)


class Unlike:
    """Tells texts that are new: none of their lines is known or excluded; where texts are `unique`, none came before.

    As lines are known: but for white space around them and, on wish, case. A blank text is nothing new.
    """

    def __init__(
        self,
        *,
        unique: bool = False,
        known: TrainingLines | None = None,
        exclude: Iterable[str] = (),
        ignore_case: bool = False,
    ) -> None:
        self._unique, self._known, self._ignore_case = unique, known, ignore_case
        self._excluded = {plain(line, ignore_case) for line in exclude}
        self._seen: set[str] = set()

    def __call__(self, text: str, lines: Collection[str]) -> bool:
        """Whether a text, which these are the whole lines of, is new."""
        key = plain(text, self._ignore_case)
        if not key or (self._unique and key in self._seen):
            return False
        if self._known is not None and self._known.copied(lines):
            return False
        if any(plain(line, self._ignore_case) in self._excluded for line in lines):
            return False
        self._seen.add(key)
        return True


def plain(line: str, ignore_case: bool = False) -> str:
    """A line as it is compared: without white space around it, and on wish in one case."""
    return line.strip().casefold() if ignore_case else line.strip()


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
