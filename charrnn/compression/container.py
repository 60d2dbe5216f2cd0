"""The compressed file: what is needed to decode it with the model that wrote it, and to know that it is whole.

    \\x89CRNN       5 bytes
    version         1 byte: of this format, and of the arithmetic by which probabilities are found; 2 where counts learn
    manner          1 byte: one bit for each of `Manner`
    model           the first 16 bytes of the model's digest (see storage/digest.py); where counts learn, of that digest
                    and the symbols with which they begin
    content         the first 8 bytes of the content's SHA-256
    numbers         how many bytes the content has, symbols, blocks; bytes of each block, and of what was escaped
    blocks          the coded symbols of each, one block behind the other; then what was escaped
    checksum        CRC-32 of all before it, 4 bytes, little-endian

Stored content, which the model would have made longer, stands alone behind its number of bytes.
"""

import hashlib
import struct
import zlib
from dataclasses import dataclass
from enum import IntFlag

from charrnn.compression.numbers import read_number, written_number
from charrnn.errors import CorpusError

MAGIC, VERSIONS = b"\x89CRNN", (1, 2)
HEAD = struct.Struct("<5sBB16s8s")
CHECKSUM = struct.Struct("<I")


class Manner(IntFlag):
    """How the content became symbols."""

    STORED = 1  # it did not: it stands in the file as it is
    CARRIAGE_RETURNS = 2  # every line end of the content has a carriage return, which was taken away
    LEARNING = 4  # counts that begin with the training text have learned from each: in one block


@dataclass(frozen=True, kw_only=True)
class Container:
    """A compressed file, taken apart."""

    manner: Manner
    model: bytes
    content: bytes
    length: int
    symbols: int = 0
    blocks: tuple[bytes, ...] = ()
    escaped: bytes = b""
    stored: bytes = b""

    def to_bytes(self) -> bytes:
        """The file."""
        version = VERSIONS[bool(self.manner & Manner.LEARNING)]
        parts = [HEAD.pack(MAGIC, version, self.manner, self.model, self.content), written_number(self.length)]
        if self.manner & Manner.STORED:
            parts.append(self.stored)
        else:
            sizes = map(len, (*self.blocks, self.escaped))
            parts += map(written_number, (self.symbols, len(self.blocks), *sizes))
            parts += [*self.blocks, self.escaped]
        body = b"".join(parts)
        return body + CHECKSUM.pack(zlib.crc32(body))


def content_check(content: bytes) -> bytes:
    """What a file says of its content, to know it by."""
    return hashlib.sha256(content).digest()[:8]


def model_mark(digest: str) -> bytes:
    """What a file says of its model, whose digest is given in hexadecimal."""
    return bytes.fromhex(digest)[:16]


def read_container(data: bytes) -> Container:
    """The parts of a file. Raises CorpusError when it is none, damaged, cut off, or of a later version."""
    if not data.startswith(MAGIC):
        raise CorpusError("this is no compressed file of charrnn: it begins otherwise")
    if len(data) < HEAD.size + CHECKSUM.size or zlib.crc32(data[:-4]) != CHECKSUM.unpack(data[-4:])[0]:
        raise CorpusError("the compressed file is damaged or cut off: its checksum does not hold")
    _, version, manner, model, content = HEAD.unpack_from(data)
    if version not in VERSIONS:
        raise CorpusError(
            f"the compressed file is of version {version}, and this charrnn reads up to {max(VERSIONS)}: upgrade it"
        )
    try:
        return _parts(memoryview(data)[HEAD.size : -CHECKSUM.size], Manner(manner), model, content)
    except ValueError:
        raise CorpusError("the compressed file is damaged: its lengths do not agree") from None


def _parts(rest: memoryview, manner: Manner, model: bytes, content: bytes) -> Container:
    length, rest = read_number(rest)
    if manner & Manner.STORED:
        return Container(manner=manner, model=model, content=content, length=length, stored=bytes(rest))
    symbols, rest = read_number(rest)
    count, rest = read_number(rest)
    if not 1 <= count <= min(symbols, len(rest)):
        raise ValueError
    sizes = []
    for _ in range(count + 1):
        size, rest = read_number(rest)
        sizes.append(size)
    if sum(sizes) != len(rest):
        raise ValueError
    parts = []
    for size in sizes:
        parts.append(bytes(rest[:size]))
        rest = rest[size:]
    *blocks, escaped = parts
    return Container(
        manner=manner, model=model, content=content, length=length, symbols=symbols, blocks=tuple(blocks),
        escaped=escaped,
    )  # fmt: skip
