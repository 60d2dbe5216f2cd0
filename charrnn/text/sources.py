"""Where a text comes from: files, compressed or not, bundled corpora, standard input; found, kept and opened."""

import bz2
import io
import lzma
import os
import re
import stat
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from glob import iglob
from pathlib import Path
from typing import BinaryIO, cast

from charrnn.errors import CorpusError

if sys.version_info >= (3, 14):
    from compression import zstd as zstd
else:
    from backports import zstd as zstd

STDIN = "-"
BLOCK = 1 << 20
LONGEST_NAME = 255
GLOB = re.compile(r"[*?[]")
# What reading a damaged file raises.
DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError, zstd.ZstdError)

_PACKAGE = Path(__file__).resolve().parents[1]
# In an installed wheel, and in a source tree.
_BUNDLED = (_PACKAGE / "bundled", _PACKAGE.parent / "corpora")


def bundled_names() -> list[str]:
    """The names of the corpora that come with charrnn."""
    return sorted({file.stem for folder in _BUNDLED for file in folder.glob("*.txt")})


def bundled(name: str) -> Path | None:
    """The file of a bundled corpus, in a source tree or in an installed wheel; None when there is no such corpus."""
    files = (folder / f"{name}.txt" for folder in _BUNDLED if name in bundled_names())
    return next((file for file in files if file.is_file()), None)


def called(source: str) -> str:
    """What messages call a source."""
    return "standard input" if source == STDIN else source


def find(source: str, *, corpora: bool = True) -> Path | None:
    """The file that a source names, None being standard input; a bundled corpus where `corpora` are meant.

    A folder of a bundled corpus's name does not hide it; a file does. Raises CorpusError when there is nothing.
    """
    if source == STDIN:
        return None
    if not source:
        raise CorpusError(f"an empty name names no text: name a file, or {STDIN} for standard input")
    if "\n" in source or len(os.fsencode(Path(source).name)) > LONGEST_NAME:
        begun = f"{source[:40]!r}" + (" …" if len(source) > 40 else "")
        raise CorpusError(f"{begun} is no file's name: name the file that holds the text, not the text itself")
    path = Path(source)
    try:
        folder, there = path.is_dir(), path.exists()
    except (OSError, ValueError) as error:
        raise CorpusError(f"{source} cannot be the name of a file: {error}") from None
    if there and not folder:
        return path
    if corpora and (file := bundled(source)) is not None:
        return file
    if folder:
        raise CorpusError(f"{source} is a folder: name the text files in it, for example {source}/*.txt")
    if " " in source and not path.suffix:
        raise CorpusError(f"there is no file {source!r}: a text itself is piped in")
    raise CorpusError(
        f"there is no file {source}" + (f"; bundled corpora are {', '.join(bundled_names())}" if corpora else "")
    )


def listed(sources: Iterable[str]) -> list[str]:
    """The files that sources name: those of a folder and below it, and of a pattern (*.zst), in their order by name.

    Hidden files are left out. Raises CorpusError where there is none.
    """
    found: list[str] = []
    for source in sources:
        path = Path(source) if source and "\n" not in source else None
        if path is None or source == STDIN or bundled(source) is not None:
            found.append(source)
        elif _is(path, Path.is_dir):
            found += _files(path.rglob("*"), f"the folder {source} holds no file")
        elif GLOB.search(source) and not _is(path, Path.exists):
            found += _files(map(Path, iglob(source, recursive=True)), f"no file is like {source}")
        else:
            found.append(source)
    return found


def _files(paths: Iterable[Path], otherwise: str) -> list[str]:
    found = sorted(str(path) for path in paths if path.is_file() and not path.name.startswith("."))
    if not found:
        raise CorpusError(otherwise)
    return found


def _is(path: Path, kind: Callable[[Path], bool]) -> bool:
    try:
        return kind(path)
    except (OSError, ValueError):  # what cannot be a file's name is told of where it is opened
        return False


def read_once(source: str) -> bool:
    """Whether what a source holds is gone once it has been read: standard input by any name, a pipe, a terminal."""
    if source == STDIN or source.startswith(("/dev/", "/proc/")):
        return True
    try:
        mode = os.stat(source).st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISSOCK(mode)


def keep(source: str, file: Path) -> None:
    """Copy a source that can be read once into a file, as it is. Raises CorpusError when it cannot be read."""
    with _opened(find(source), called(source)) as raw, open(file, "wb") as out:
        while block := raw.read(BLOCK):
            out.write(block)


def compressed(path: Path | None, name: str) -> bool:
    """Whether a source is, whatever its name."""
    with _opened(path, name) as raw:
        return raw.peek(8).startswith(tuple(_COMPRESSED))


@contextmanager
def unpacked(path: Path | None, name: str, note: Callable[[str], None]) -> Iterator[BinaryIO]:
    """The bytes of a source, unpacked where it is compressed, whatever its name; `note` hears what was left out."""
    with _opened(path, name) as raw:
        head = raw.peek(8)
        opener = next((opener for magic, opener in _COMPRESSED.items() if head.startswith(magic)), None)
        if opener is None:
            yield cast(BinaryIO, raw)
        else:
            with opener(cast(BinaryIO, raw), lambda text: note(f"{name}: {text}")) as inner:
                yield inner


def _opened(path: Path | None, name: str) -> io.BufferedReader:
    if path is None and sys.stdin is None:
        raise CorpusError(f"{name} is closed: there is nothing to read")
    try:
        # A duplicate, so that closing the text does not close standard input.
        return open(os.dup(sys.stdin.fileno()) if path is None else path, "rb")
    except OSError as error:
        raise CorpusError(f"{name} cannot be read: {error.strerror or error}") from None


class _Gzip(io.RawIOBase):
    """The members of a gzip file one after another, and what is no member behind them left out, as gzip itself does."""

    MAGIC = b"\x1f\x8b"

    def __init__(self, raw: BinaryIO, note: Callable[[str], None]) -> None:
        self._raw, self._note = raw, note
        self._member, self._packed = self._next_member(), b""
        self._ended = False

    @staticmethod
    def _next_member() -> "zlib._Decompress":
        return zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)  # with gzip's header, length and checksum

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        """Some bytes; none at the end. Raises EOFError when the file ends inside a member."""
        data = b""
        while not data and not self._ended:
            packed = self._packed or self._raw.read(BLOCK)
            if not packed:
                raise EOFError("it ends in the middle of what is compressed")
            data = self._member.decompress(packed, len(buffer))
            self._packed = self._member.unconsumed_tail
            if self._member.eof:
                self._begin_next()
        buffer[: len(data)] = data
        return len(data)

    def _begin_next(self) -> None:
        rest = self._member.unused_data
        rest += self._raw.read(BLOCK) if len(rest) < len(self.MAGIC) else b""
        self._ended = not rest.startswith(self.MAGIC)
        self._member, self._packed = self._next_member(), rest
        if rest.strip(b"\0") and self._ended:  # zeros are what tapes are padded with
            self._note("what follows the compressed text is none of it, and is left out")


def _xz(raw: BinaryIO, note: Callable[[str], None]) -> BinaryIO:
    return cast(BinaryIO, lzma.LZMAFile(raw))


def _gzip(raw: BinaryIO, note: Callable[[str], None]) -> BinaryIO:
    return cast(BinaryIO, io.BufferedReader(_Gzip(raw, note), BLOCK))


# What a compressed file begins with, and how it is opened.
_COMPRESSED: dict[bytes, Callable[[BinaryIO, Callable[[str], None]], BinaryIO]] = {
    _Gzip.MAGIC: _gzip,
    b"\xfd7zXZ\x00": _xz,
    b"BZh": lambda raw, note: cast(BinaryIO, bz2.BZ2File(raw)),
    b"\x28\xb5\x2f\xfd": lambda raw, note: cast(BinaryIO, zstd.ZstdFile(raw)),
}
