"""The tokens of a large text, kept in files: made once, mapped by every process and whenever a run goes on.

A file of tokens is one of a split and a tokenizer, which its name has the hash of. Beside it stands what else there is
to know, written last: where that is there, the tokens are whole.
"""

import json
import os
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.errors import CorpusError
from charrnn.text import token_files
from charrnn.text.part import Part
from charrnn.text.split import Split
from charrnn.text.token_files import Tokens, TokenWriter, smallest_dtype
from charrnn.text.tokenizers import Tokenizer

# Parts are made in this order: the last one tells that all are there.
PARTS = ("train", "valid")


class KeptTokens:
    """The token files of one split and tokenizer in a folder; without one nothing is kept.

    Runs may share a folder: what belongs to a text, and no run, makes a file's name.
    """

    def __init__(self, folder: Path | None, split: Split, tokenizer: Tokenizer) -> None:
        told = json.dumps([{**split.to_json(), "sources": None}, tokenizer.spec()], sort_keys=True, default=str)
        self._folder, self._key = folder or Path(), sha256(told.encode()).hexdigest()[:16]
        self._split, self._ids = split, tokenizer.size + 2
        size = split.chars * smallest_dtype(self._ids).itemsize
        self.large = folder is not None and size > token_files.IN_MEMORY_BYTES

    def part(self, name: str, make: Callable[[TokenWriter], Part]) -> Part:
        """A part of a large text from its file, or made and kept; of a small one made anew each time.

        Raises CorpusError where it cannot be kept.
        """
        if not self.large:
            return make(TokenWriter(self._ids))
        if (found := self._read(name)) is not None:
            return found
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            part = make(TokenWriter(self._ids, self._folder, keep=self._file(name, "tokens")))
            told = {"size": part.tokens.size, "chars": part.chars, "unknown": part.unknown, "state": self._state()}
            if part.starts is not None:
                part.starts.tofile(self._file(name, "starts"))
                told["documents"] = len(part.starts)
            waiting = self._file(name, f"{os.getpid()}")
            waiting.write_text(json.dumps(told), encoding="utf-8")
            waiting.replace(self._file(name, "json"))
        except OSError as problem:
            raise CorpusError(f"the tokens cannot be kept in {self._folder}: {problem.strerror or problem}") from None
        return part

    def fresh(self, sources: Sequence[str]) -> bool:
        """Whether all parts are there, made of files that have kept their sizes and times: then none need be read."""
        return self.large and all((self._told(name) or {}).get("state") == _state_of(sources) for name in PARTS)

    def _read(self, name: str) -> Part | None:
        told = self._told(name)
        if told is None:
            return None
        tokens: Tokens = np.empty(0, smallest_dtype(self._ids))
        if told["size"]:
            tokens = np.memmap(self._file(name, "tokens"), dtype=tokens.dtype, mode="r", shape=(told["size"],))
        starts: Any = None
        if documents := told.get("documents"):
            starts = np.memmap(self._file(name, "starts"), dtype=np.int64, mode="r", shape=(documents,))
        return Part(tokens, told["chars"], starts, told["unknown"])

    def _told(self, name: str) -> dict[str, Any] | None:
        """What is known of a part that is kept whole; an empty one has no file of tokens."""
        try:
            told: dict[str, Any] = json.loads(self._file(name, "json").read_text(encoding="utf-8"))
            size = self._file(name, "tokens").stat().st_size if told["size"] else 0
        except (OSError, ValueError, KeyError):
            return None
        return told if size == told["size"] * smallest_dtype(self._ids).itemsize else None

    def _file(self, name: str, kind: str) -> Path:
        return self._folder / f"{name}-{self._key}.{kind}"

    def _state(self) -> list[list[int]] | None:
        return _state_of(self._split.sources)


def _state_of(sources: Sequence[str]) -> list[list[int]] | None:
    """Sizes and times of files; None where one is none."""
    try:
        return [[stat.st_size, stat.st_mtime_ns] for stat in map(os.stat, sources)]
    except (OSError, ValueError):
        return None
