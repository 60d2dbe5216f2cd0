"""Token ids in the smallest type that holds them: in memory while they are few, in a nameless file beyond that.

A file that is mapped can be larger than memory. Shapes: N tokens.
"""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt

Tokens = npt.NDArray[np.unsignedinteger[Any]]

IN_MEMORY_BYTES = 64 << 20


def smallest_dtype(ids: int) -> np.dtype[np.unsignedinteger[Any]]:
    """The smallest unsigned type that holds the ids 0 … ids - 1."""
    return np.min_scalar_type(ids - 1)


class TokenWriter:
    """Collects ids below `ids`; its files are made in `folder` (None: where temporary files are).

    With `keep` there is a file in any case, which has that name when all are written.
    """

    def __init__(self, ids: int, folder: Path | None = None, *, keep: Path | None = None) -> None:
        self.size = 0
        self._keep = keep
        self._dtype = smallest_dtype(ids)
        self._folder = folder
        self._blocks: list[Tokens] = []
        self._file: BinaryIO | None = None

    @property
    def keeps(self) -> bool:
        """Whether there is a file in any case."""
        return self._keep is not None

    def file_of(self, number: int) -> Path:
        """A name for a file of further ids, made elsewhere, that `append` is to take; of one that keeps."""
        assert self._keep is not None
        return self._keep.with_name(f"{self._unfinished.name}.{number}")

    def append(self, file: Path) -> None:
        """The ids in a file of the same type, which is removed; there is none where there are no ids."""
        if not file.exists():
            return
        self._file = self._file or self._opened()
        with open(file, "rb") as more:
            shutil.copyfileobj(more, self._file, 1 << 20)
        self.size += file.stat().st_size // self._dtype.itemsize
        file.unlink()

    def write(self, ids: npt.NDArray[np.int32]) -> None:
        """Append ids (any number of them)."""
        self._blocks.append(ids.astype(self._dtype))
        self.size += ids.size
        if self._keep is not None or self.size * self._dtype.itemsize > IN_MEMORY_BYTES:
            if self._file is None:
                self._file = self._opened()
            for block in self._blocks:
                self._file.write(block.tobytes())
            self._blocks.clear()

    def _opened(self) -> BinaryIO:
        """A nameless file, or the one to be kept, beside its name."""
        if self._keep is None:
            return cast(BinaryIO, tempfile.TemporaryFile(dir=self._folder))
        return open(self._unfinished, "w+b")

    @property
    def _unfinished(self) -> Path:
        assert self._keep is not None
        return self._keep.with_name(f".{self._keep.name.removeprefix('.')}.{os.getpid()}")

    def drop(self) -> None:
        """Nothing more comes, and what came is not wanted."""
        if self._file is not None:
            self._file.close()
        if self._keep is not None:
            for file in self._keep.parent.glob(f"{self._unfinished.name}*"):
                file.unlink()

    def finish(self) -> Tokens:
        """All ids (N,)."""
        if self._file is None:
            return np.concatenate([*self._blocks, np.empty(0, self._dtype)])
        self._file.flush()
        if self._keep is not None:
            os.replace(self._file.name, self._keep)
        # The map keeps the file alive after it is closed; nothing is left behind when the process ends.
        tokens: Tokens = np.memmap(self._file, dtype=self._dtype, mode="r", shape=(self.size,))
        self._file.close()
        return tokens
