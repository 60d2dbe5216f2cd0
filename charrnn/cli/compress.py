"""charrnn compress, charrnn decompress"""

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn.cli import options as opt
from charrnn.cli.standard_input import holds_text
from charrnn.config import require
from charrnn.config.verbs import VerbArguments, by_counts
from charrnn.console import megabytes, say, working, write, write_bytes
from charrnn.errors import CharrnnError
from charrnn.schema import finite, to_json_text

if TYPE_CHECKING:
    from charrnn.compression.compress import Compressed

COMPRESS_EXAMPLES = """Examples:

    charrnn compress letters.txt

    charrnn compress -m fables --blocks 64 letters.txt -o letters.crnn

    charrnn compress -m fables --adapt counts letters.txt

    tar c letters | charrnn compress > letters.tar.crnn
"""
DECOMPRESS_EXAMPLES = """Examples:

    charrnn decompress letters.txt.crnn

    charrnn decompress -m fables letters.txt.crnn -o copy.txt

    charrnn decompress < letters.tar.crnn | tar x
"""

STANDARD, SUFFIX = "-", ".crnn"

File = Annotated[
    str | None,
    typer.Argument(metavar="FILE", help="The file, or - for stdin.", show_default="what is piped in"),
]
Force = Annotated[bool, opt.option("Output", "Write over a file that is there.", "--force")]


def compress(
    file: File = None,
    output: Annotated[
        str | None,
        opt.option(
            "Output", "The compressed file, or - for stdout.", "--output", "-o", default="FILE.crnn; stdout, from stdin"
        ),
    ] = None,
    force: Force = False,
    blocks: Annotated[
        int | None, opt.from_field(VerbArguments, "blocks", default="one for each 8,192 tokens, to 64")
    ] = None,
    adapt: Annotated[
        str | None,
        opt.option(
            "Compression",
            "Counts learn as it is read: smaller, slower, by the training text.",
            "--adapt",
            metavar="counts",
            default="off",
        ),
    ] = None,
    model: opt.Model = None,
    counts: opt.Counts = True,
    checkpoints: opt.Checkpoints = None,
    threads: opt.Threads = None,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Compress a file with a model: arithmetic coding, so that it takes about as many bits as eval tells.

    Any file goes: what the vocabulary lacks is kept beside the rest, and what the model would make longer is stored as
    it is. The same model decompresses it, on any machine, to the byte; the file names the model, and has a checksum.
    FILE stays. With `--adapt counts`, context mixing beside the network, the training text must be where it was, then
    and for decompress.
    """
    out = _target(output, file, lambda name: name + SUFFIX)
    _refuse(out, force, as_json)
    working("reading the model")
    from charrnn import api

    learns = by_counts(adapt)
    loaded = api.load(model, checkpoints=checkpoints, counts=counts, threads=threads)
    say(f"model: {loaded.header.path}")
    content = _read(file)
    working(f"compressing {megabytes(len(content))}")
    began = time.monotonic()
    made = loaded.compressor.compress(content, blocks, learning=learns)
    seconds = time.monotonic() - began
    _save(out, made.data)
    say(_told(made, seconds))
    if as_json:
        record = {"model": str(loaded.header.path), "file": file or STANDARD, "output": out}
        write(to_json_text(finite(record | _figures(made) | {"seconds": seconds})) + "\n")


def decompress(
    file: File = None,
    output: Annotated[
        str | None,
        opt.option(
            "Output", "The file as it was, or - for stdout.", "--output", "-o",
            default="FILE without .crnn; stdout, from stdin",
        ),
    ] = None,
    force: Force = False,
    model: opt.Model = None,
    counts: opt.Counts = True,
    checkpoints: opt.Checkpoints = None,
    threads: opt.Threads = None,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:  # fmt: skip
    """Turn a compressed file back into what it was, with the model that compressed it.

    Another model, and a file that is damaged or cut off, are refused, and nothing is written. FILE stays.
    """
    out = _target(output, file, _without_suffix)
    _refuse(out, force, as_json)
    working("reading the model")
    from charrnn import api

    loaded = api.load(model, checkpoints=checkpoints, counts=counts, threads=threads)
    say(f"model: {loaded.header.path}")
    data = _read(file)
    working(f"decompressing {megabytes(len(data))}")
    began = time.monotonic()
    content = loaded.decompress(data)
    seconds = time.monotonic() - began
    _save(out, content)
    say(f"{len(data):,} bytes -> {len(content):,} bytes, {len(content) / max(seconds, 1e-9) / 1e3:,.1f} KB/s")
    if as_json:
        record: dict[str, Any] = {"model": str(loaded.header.path), "file": file or STANDARD, "output": out}
        sizes = {"bytes": len(content), "compressed_bytes": len(data), "seconds": seconds}
        write(to_json_text(finite(record | sizes)) + "\n")


def _without_suffix(name: str) -> str:
    require(
        name.endswith(SUFFIX) and Path(name).name != SUFFIX,
        f"{name} does not end in {SUFFIX}: say with `output` where it is to go",
    )
    return name.removesuffix(SUFFIX)


def _target(output: str | None, file: str | None, named: Any) -> str:
    """Where the product goes: what was said, else what the file's name makes of it, else stdout."""
    if output is not None:
        return output
    return STANDARD if file in (None, STANDARD) else str(named(file))


def _refuse(out: str, force: bool, as_json: bool) -> None:
    """What can be told before anything is done. Raises ConfigError or CharrnnError."""
    if out == STANDARD:
        require(
            not sys.stdout.isatty(), "stdout is a terminal, and this is for a file: name one with `output`, or use >"
        )
        require(not as_json, "`as_json` goes to stdout, as the product does: name a file with `output`")
    elif os.path.isfile(out) and not force:
        raise CharrnnError(f"{out} is there already: `force` writes over it, `output` names another")


def _read(file: str | None) -> bytes:
    """The file, or standard input. Raises ConfigError where neither is there, OSError where it cannot be read."""
    if file not in (None, STANDARD):
        return Path(str(file)).read_bytes()
    require(file == STANDARD or holds_text(empty=True), "no file is named, and nothing is piped in: name a FILE")
    return b"" if sys.stdin is None else sys.stdin.buffer.read()


def _save(out: str, data: bytes) -> None:
    """Whole or not at all; what is no plain file, such as a pipe, gets it as it is."""
    if out == STANDARD:
        write_bytes(data)
        return
    from charrnn.storage.atomic import write_atomically

    path = Path(os.path.realpath(out))
    if path.exists() and not path.is_file():
        path.write_bytes(data)
    else:
        write_atomically(path, data)


def _figures(made: "Compressed") -> dict[str, Any]:
    return {
        "bytes": made.length,
        "compressed_bytes": len(made.data),
        "bpb": len(made.data) * 8 / made.length if made.length else None,
        "tokens": made.symbols,
        "model_bits": made.bits,
        "blocks": made.blocks,
        "stored": made.blocks == 0,
        "escapes": made.escaped,
    }


def _told(made: "Compressed", seconds: float) -> str:
    """A line on what came of it."""
    size = f"{made.length:,} bytes -> {len(made.data):,} bytes"
    if made.blocks == 0:
        return f"{size}: stored as it is, for the model would make it longer"
    from charrnn.compression.compress import BYTES_OF_A_CUT

    parts = [size, f"{len(made.data) * 8 / made.length:.3f} bits per byte", f"{made.length / seconds / 1e3:,.1f} KB/s"]
    if made.blocks > 1:
        parts.append(f"{made.blocks} blocks, about {BYTES_OF_A_CUT * (made.blocks - 1):,} bytes for cutting")
    if made.escaped:
        parts.append(f"{made.escaped:,} runs of bytes that the vocabulary lacks")
    return ", ".join(parts)
