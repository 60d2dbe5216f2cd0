"""The tokens of a large text, kept in files: made once, mapped by every process and whenever a run goes on.

A file of tokens is one of a split and a tokenizer, which its name has the hash of. Beside it stands what else there is
to know, written last: where that is there, the tokens are whole.
"""

import json
import os
from collections.abc import Callable
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.errors import CorpusError
from charrnn.schema import to_json_text
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
        self._folder, self._split, self._tokenizer = folder, split, tokenizer
        self._ids, self._dtype = tokenizer.size + 2, smallest_dtype(tokenizer.size + 2)
        self.large = folder is not None and split.chars * self._dtype.itemsize > token_files.IN_MEMORY_BYTES

    def part(self, name: str, make: Callable[[TokenWriter], Part]) -> Part:
        """A part of a large text from its file, or made and kept; of a small one made anew each time.

        Raises CorpusError where it cannot be kept.
        """
        if not self.large:
            return make(TokenWriter(self._ids, self._folder))
        told = self._told(name)
        # The hash of the sources has been asked for by whoever has a split; a file of its own is asked here.
        if told is not None and (self._split.file(name)[0] is None or told["state"] == self._state(name)):
            return self._mapped(name, told)
        try:
            self._file(name, "tokens").parent.mkdir(parents=True, exist_ok=True)
            writer = TokenWriter(self._ids, keep=self._file(name, "tokens"))
            try:
                part = make(writer)
            except BaseException:
                writer.drop()
                raise
            told = {"size": part.tokens.size, "chars": part.chars, "unknown": part.unknown, "files": part.files}
            told["state"] = self._state(name)
            if part.starts is not None:
                part.starts.tofile(self._file(name, "starts"))
                told["documents"] = len(part.starts)
            waiting = self._file(name, f"{os.getpid()}")
            waiting.write_text(json.dumps(told), encoding="utf-8")
            waiting.replace(self._file(name, "json"))
        except OSError as problem:
            raise CorpusError(f"the tokens cannot be kept in {self._folder}: {problem.strerror or problem}") from None
        return part

    @property
    def fresh(self) -> bool:
        """Whether all parts are there, made of files that have kept their sizes and times: then none need be read."""
        return self.large and all((self._told(name) or {}).get("state") == self._state(name) for name in PARTS)

    def _mapped(self, name: str, told: dict[str, Any]) -> Part:
        tokens: Tokens = np.empty(0, self._dtype)
        if told["size"]:
            tokens = np.memmap(self._file(name, "tokens"), dtype=self._dtype, mode="r", shape=(told["size"],))
        starts: Any = None
        if documents := told.get("documents"):
            starts = np.memmap(self._file(name, "starts"), dtype=np.int64, mode="r", shape=(documents,))
        return Part(tokens, told["chars"], starts, told["unknown"], tuple(told["files"]))

    def _told(self, name: str) -> dict[str, Any] | None:
        """What is known of a part that is kept whole; an empty one has no file of tokens."""
        try:
            told: dict[str, Any] = json.loads(self._file(name, "json").read_text(encoding="utf-8"))
            size = self._file(name, "tokens").stat().st_size if told["size"] else 0
        except (OSError, ValueError, KeyError):
            return None
        return told if "files" in told and size == told["size"] * self._dtype.itemsize else None

    def _state(self, name: str) -> list[list[int]] | None:
        """Sizes and times of the files that a part is made of; None where one is none."""
        own, _ = self._split.file(name)
        try:
            stats = [os.stat(file) for file in ([own] if own else self._split.sources)]
        except (OSError, ValueError):
            return None
        return [[stat.st_size, stat.st_mtime_ns] for stat in stats]

    @cached_property
    def _key(self) -> str:
        told = to_json_text([self._split.digest, self._tokenizer.spec()])
        return sha256(told.encode()).hexdigest()[:16]

    def _file(self, name: str, kind: str) -> Path:
        return (self._folder or Path()) / f"{name}-{self._key}.{kind}"
