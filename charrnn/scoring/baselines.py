"""What a text costs others than the model: compressors, and an n-gram model of the text that the model has learned.

Each is told alone and after the training text, as far as it can use that: a network has seen it, so the second figure
is the one to compare with. Every size is that of what the program writes, its headers included.
"""

import bz2
import gzip
import lzma
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from charrnn.models.counts import KneserNey
from charrnn.text.part import Part
from charrnn.text.sources import zstd

ORDER = 8
PPMD_ORDER, PPMD_BYTES_A_BYTE, PPMD_LEAST, PPMD_MOST = 6, 32, 1 << 24, 1 << 30
GZIP_WINDOW = 1 << 15
NGRAM = "ngram"
NO_PPMD = "PPMd is left out, for pyppmd is not installed: pip install 'charrnn[baselines]'"


@dataclass(frozen=True)
class Compressor:
    """A program: `size` of what it makes of a text, and `size_after` a training text (training, text), in bytes.

    Raises ImportError where its library is not installed.
    """

    how: str
    size: Callable[[bytes], int]
    size_after: Callable[[bytes, bytes], int]


@dataclass(frozen=True)
class Baseline:
    """Bits per byte of a text by something else than the model; None: not to be had."""

    bpb: float | None
    trained_bpb: float | None


@dataclass(frozen=True)
class Training:
    """A training text as bytes and as tokens; the same text as both."""

    data: bytes
    part: Part


@dataclass(frozen=True)
class Baselines:
    """Those of one text by name: the compressors, and `ngram`, which knows the training text alone."""

    gzip: Baseline
    bz2: Baseline
    xz: Baseline
    zstd: Baseline
    ppmd: Baseline
    ngram: Baseline

    def figures(self) -> dict[str, dict[str, float | None]]:
        """Bits per byte: alone (`bpb`) and after the training text (`trained_bpb`)."""
        return {name: {**vars(baseline)} for name, baseline in vars(self).items()}


def baselines(data: bytes, part: Part, start_id: int, training: Training | None) -> Baselines:
    """All of them, of a text as its bytes (not empty) and as tokens, both of what the model's own figure counts.

    Without a training text only what a text costs alone. The n-gram model has none where the text holds characters
    that the vocabulary lacks: it is no code for them.
    """
    found = {name: _compressed(each, data, training) for name, each in COMPRESSORS.items()}
    ngram = None
    if training is not None and not part.unknown and not training.part.unknown:
        ngram = _ngram_nats(part, start_id, training.part) / (len(data) * math.log(2))
    return Baselines(**found, ngram=Baseline(None, ngram))


def _compressed(compressor: Compressor, data: bytes, training: Training | None) -> Baseline:
    try:
        alone = compressor.size(data)
        after = None if training is None else compressor.size_after(training.data, data)
    except ImportError:
        return Baseline(None, None)
    return Baseline(8 * alone / len(data), None if after is None else 8 * after / len(data))


def _ngram_nats(part: Part, start_id: int, training: Part) -> float:
    model = KneserNey.count(training.tokens, start_id, ORDER, training.starts)
    return math.fsum(model.nll(part.tokens, part.starts))


def _grown(size: Callable[[bytes], int]) -> Callable[[bytes, bytes], int]:
    """How much larger the training text becomes by a text behind it."""
    return lambda training, data: size(training + data) - size(training)


def _gzip_size(data: bytes) -> int:
    return len(gzip.compress(data, 9, mtime=0))


def _zlib_size_after(training: bytes, data: bytes) -> int:
    packer = zlib.compressobj(9, zdict=training[-GZIP_WINDOW:])
    return len(packer.compress(data)) + len(packer.flush())


def _bz2_size(data: bytes) -> int:
    return len(bz2.compress(data, 9))


def _xz_size(data: bytes) -> int:
    return len(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME))


def _zstd_size(data: bytes) -> int:
    return len(zstd.compress(data, 22))


def _zstd_size_after(training: bytes, data: bytes) -> int:
    return len(zstd.compress(data, 22, zstd_dict=zstd.ZstdDict(training, is_raw=True).as_prefix))


def _ppmd_size(data: bytes, room: int | None = None) -> int:
    pyppmd = import_module("pyppmd")
    memory = min(max(PPMD_BYTES_A_BYTE * (room or len(data)), PPMD_LEAST), PPMD_MOST)
    return len(pyppmd.compress(data, max_order=PPMD_ORDER, mem_size=memory, variant="H"))


def _ppmd_size_after(training: bytes, data: bytes) -> int:
    """With the same memory for both, so that neither forgets what the other keeps."""
    both = training + data
    return _ppmd_size(both, len(both)) - _ppmd_size(training, len(both))


# How each was done: alone; and after the training text, which `both` begins with.
GROWTH = "size of both less the first"
COMPRESSORS = {
    "gzip": Compressor("-9; zlib, last 32 kB as dictionary", _gzip_size, _zlib_size_after),
    "bz2": Compressor(f"-9; {GROWTH}", _bz2_size, _grown(_bz2_size)),
    "xz": Compressor(f"-9e; {GROWTH}", _xz_size, _grown(_xz_size)),
    "zstd": Compressor("-22 (ultra); all of it as dictionary", _zstd_size, _zstd_size_after),
    "ppmd": Compressor(f"H, order {PPMD_ORDER}; {GROWTH}", _ppmd_size, _ppmd_size_after),
}
NGRAM_HOW = f"interpolated Kneser-Ney, order {ORDER}"
