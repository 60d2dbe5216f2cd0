"""Vectors in files that other programs read: NumPy's, safetensors, Parquet; written as they come, in bounded memory.

A file is whole or it is not there. Shapes: N vectors, D features of each.
"""

import json
import os
import struct
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
import numpy.typing as npt

from charrnn.config import require
from charrnn.errors import CharrnnError


@dataclass(frozen=True, eq=False)
class Rows:
    """N vectors, and the piece of a text that each stands for."""

    vectors: npt.NDArray[np.float32]
    """(N, D)"""
    lines: npt.NDArray[np.int64]
    """(N,) the line that it stands in, from 1."""
    begins: npt.NDArray[np.int64]
    """(N,) its first character in the line, from 0."""
    ends: npt.NDArray[np.int64]
    """(N,) the character behind its last."""
    texts: list[str]
    """(N) the piece itself."""


class Writer(Protocol):
    """Takes rows as they come."""

    def write(self, rows: Rows) -> None:
        """Some more of them."""
        ...

    def finish(self) -> None:
        """There are no more."""
        ...


class NpyWriter:
    """NumPy's format: the vectors alone, float32 (N, D)."""

    def __init__(self, file: IO[bytes], features: int, about: dict[str, str]) -> None:
        self._file, self._shape = file, (0, features)
        self._write_header()

    def _write_header(self) -> None:
        # NumPy leaves room in a header for its first axis to grow, so it can be written again in its place.
        header = {"descr": "<f4", "fortran_order": False, "shape": self._shape}
        np.lib.format.write_array_header_1_0(self._file, header)

    def write(self, rows: Rows) -> None:
        self._shape = (self._shape[0] + len(rows.vectors), self._shape[1])
        self._file.write(np.ascontiguousarray(rows.vectors, "<f4").data)

    def finish(self) -> None:
        self._file.seek(0)
        self._write_header()


class SafetensorsWriter:
    """Tensors `vectors` (N, D) float32, and `line`, `start`, `end` (N,) int32; what they are of in the metadata."""

    # Of a header whose numbers are not known yet.
    room = 1 << 10

    def __init__(self, file: IO[bytes], features: int, about: dict[str, str]) -> None:
        self._file, self._features, self._about = file, features, about
        self._index: dict[str, list[npt.NDArray[np.int32]]] = {"line": [], "start": [], "end": []}
        self.room += -(-len(json.dumps(about)) // 8) * 8
        file.write(bytes(8 + self.room))

    def write(self, rows: Rows) -> None:
        self._file.write(np.ascontiguousarray(rows.vectors, "<f4").data)
        for column, values in zip(self._index.values(), (rows.lines, rows.begins, rows.ends), strict=True):
            column.append(values.astype("<i4"))

    def finish(self) -> None:
        count = sum(map(len, self._index["line"]))
        at = 4 * count * self._features
        header: dict[str, Any] = {
            "__metadata__": self._about,
            "vectors": {"dtype": "F32", "shape": [count, self._features], "data_offsets": [0, at]},
        }
        for name, parts in self._index.items():
            self._file.writelines(part.tobytes() for part in parts)
            header[name] = {"dtype": "I32", "shape": [count], "data_offsets": [at, at + 4 * count]}
            at += 4 * count
        self._file.seek(0)
        self._file.write(struct.pack("<Q", self.room) + json.dumps(header).encode("ascii").ljust(self.room))


class ParquetWriter:
    """Columns line, start, end, text, and vector: a list of D float32."""

    def __init__(self, file: IO[bytes], features: int, about: dict[str, str]) -> None:
        arrow: Any = import_module("pyarrow")
        numbers = [(name, arrow.int64()) for name in ("line", "start", "end")]
        columns = [*numbers, ("text", arrow.string()), ("vector", arrow.list_(arrow.float32(), features))]
        self._schema = arrow.schema(columns, metadata=about)
        self._arrow, self._features = arrow, features
        self._writer = import_module("pyarrow.parquet").ParquetWriter(file, self._schema)

    def write(self, rows: Rows) -> None:
        vectors = self._arrow.FixedSizeListArray.from_arrays(self._arrow.array(rows.vectors.ravel()), self._features)
        # A byte that was no UTF-8 can stand in no text of Arrow's.
        texts = [text.encode("utf-8", "replace").decode("utf-8") for text in rows.texts]
        columns = [rows.lines, rows.begins, rows.ends, texts, vectors]
        self._writer.write_table(self._arrow.table(columns, schema=self._schema))

    def finish(self) -> None:
        self._writer.close()


# By the end of a file's name.
FORMATS: dict[str, Callable[[IO[bytes], int, dict[str, str]], Writer]] = {
    ".npy": NpyWriter,
    ".safetensors": SafetensorsWriter,
    ".parquet": ParquetWriter,
}


def check_format(name: str) -> None:
    """Raise ConfigError on a file's name that says no format, CharrnnError where what writes it is not installed."""
    suffix = Path(name).suffix.lower()
    require(suffix in FORMATS, f"`output` must end in {', '.join(FORMATS)}, not {suffix or name!r}")
    if suffix == ".parquet":
        try:
            import_module("pyarrow.parquet")
        except ImportError:
            raise CharrnnError(
                f"{name}: Parquet is written by pyarrow, which is not installed: pip install pyarrow, or write .npy or "
                ".safetensors"
            ) from None


@contextmanager
def vectors_file(path: Path, features: int, about: dict[str, str]) -> Iterator[Writer]:
    """A file of vectors, in the format that its name says, that takes its place when all is written."""
    with replacing(path) as file:
        writer = FORMATS[path.suffix.lower()](file, features, about)
        yield writer
        writer.finish()


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A new file in the place of `path` at the end, where nothing went wrong: what stood there stays until then."""
    mask = os.umask(0)
    os.umask(mask)
    file = tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False)  # noqa: SIM115
    try:
        with file:
            yield file
        os.chmod(file.name, 0o666 & ~mask)
        os.replace(file.name, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(file.name)
        raise
