"""The index of a training text, in the folder of its run: written once, then mapped into memory and never read whole.

It holds the training text itself: whoever is given it can read that.
"""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from charrnn.errors import CheckpointError
from charrnn.storage.atomic import write_atomically
from charrnn.text.copy_index import WIDTHS, CopyIndex

SUFFIXES: "dict[str, np.dtype[Any]]" = {"I32": np.dtype("<i4"), "I64": np.dtype("<i8")}


def kept_index(path: Path, sha256: str) -> CopyIndex | None:
    """The index in this file; None where there is none, a damaged one, or that of a text of another hash."""
    try:
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(length, 1 << 16)))
        if header["__metadata__"]["sha256"] != sha256:
            return None
        alphabet = np.frombuffer(_mapped(path, 8 + length, header["alphabet"], np.dtype("<u1")), "<u4")
        width = next(width for width in WIDTHS if len(alphabet) <= 1 << (8 * width.itemsize))
        codes = _mapped(path, 8 + length, header["codes"], np.dtype("u1")).view(width)
        suffixes = _mapped(path, 8 + length, header["suffixes"], SUFFIXES[header["suffixes"]["dtype"]])
        return CopyIndex(alphabet, codes, suffixes) if len(codes) == len(suffixes) else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, StopIteration):
        return None


def keep_index(path: Path, sha256: str, index: CopyIndex) -> None:
    """Write it there, where that can be done."""
    tensors = {
        "suffixes": index.suffixes,
        "codes": np.ascontiguousarray(index.codes).view(np.uint8),
        "alphabet": index.alphabet.astype("<u4").view(np.uint8),
    }
    with suppress(CheckpointError):
        write_atomically(path, safetensors.numpy.save(tensors, {"sha256": sha256}))


def _mapped(path: Path, begin: int, entry: dict[str, Any], kind: "np.dtype[Any]") -> Any:
    """One tensor of the file, which must lie within it."""
    first, end = entry["data_offsets"]
    if first == end:
        return np.zeros(0, kind)
    return np.memmap(path, kind, "r", begin + first, ((end - first) // kind.itemsize,)).view(np.ndarray)
