"""Self-contained files: tensors and one JSON header, in the safetensors format; never a pickle.

`model.safetensors` is enough to sample and to score anywhere. `resume.safetensors` holds the same sections and, beside
them, all that training needs to go on. The header is read, and every size checked against the file and against the
configuration, before anything is allocated.
"""

import contextlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from charrnn.config import ModelConfig
from charrnn.errors import CharrnnError, CheckpointError
from charrnn.models.language_model import LanguageModel
from charrnn.text.tokenizers import Tokenizer, from_spec

FORMAT = 1
KEY = "charrnn"
MODEL_PREFIX = "model."
PICKLES = (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
LONGEST_HEADER = 100 << 20


@dataclass(frozen=True)
class Header:
    """What a file says of itself, read without its tensors.

    `record` is the JSON; `shapes` and `bytes` describe the tensors.
    """

    path: Path
    record: dict[str, Any]
    shapes: dict[str, tuple[str, tuple[int, ...]]]
    bytes: int

    @property
    def config(self) -> ModelConfig:
        """The network's configuration."""
        return ModelConfig.from_json(self.record.get("model"))

    @property
    def summary(self) -> dict[str, Any]:
        """How it was trained: corpus, steps, losses, seed."""
        return dict(self.record.get("training") or {})

    @property
    def parameters(self) -> int:
        """How many numbers the network's weights are."""
        return sum(
            torch.Size(shape).numel() for name, (_, shape) in self.shapes.items() if name.startswith(MODEL_PREFIX)
        )


def write(path: Path, tensors: Mapping[str, Tensor], record: dict[str, Any]) -> None:
    """Save atomically: a temporary file beside `path`, fsync, rename. What stood there survives any failure.

    Raises CheckpointError when the disk is full or the folder cannot be written.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps({"format": FORMAT, **record}, allow_nan=False)
    write_atomically(path, save_tensors(plain, metadata={KEY: text}))


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file's content whole or not at all. Raises CheckpointError when it cannot be written."""
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = file.name
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        before = "; the file that stood there is unharmed" if path.exists() else ""
        raise CheckpointError(f"{path} cannot be written: {error.strerror or error}{before}") from None
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make a renaming last. Some systems and file systems cannot; the file itself is safe already."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def read_header(path: Path) -> Header:
    """Read and check what a file says of itself. Raises CheckpointError on anything that is no checkpoint of ours."""
    try:
        size = path.stat().st_size
        with open(path, "rb") as file:
            head = file.read(8)
            length = int.from_bytes(head, "little")
            if len(head) < 8 or length > min(size - 8, LONGEST_HEADER):
                if head[:2] in PICKLES:
                    raise CheckpointError(
                        f"{path} is a pickle or an archive; charrnn reads safetensors only: left unread"
                    )
                raise CheckpointError(f"{path} is no charrnn checkpoint, or it is cut short")
            raw = file.read(length)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from None
    try:
        entries = json.loads(raw)
        metadata = entries.pop("__metadata__", {})
        shapes = {name: (entry["dtype"], tuple(map(int, entry["shape"]))) for name, entry in entries.items()}
        ends = [int(entry["data_offsets"][1]) for entry in entries.values()]
        record = json.loads(metadata[KEY]) if KEY in metadata else None
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError, RecursionError):
        raise CheckpointError(f"{path} is no charrnn checkpoint: its header cannot be read") from None
    if not isinstance(record, dict) or not isinstance(record.get("format"), int):
        raise CheckpointError(f"{path} is a safetensors file, but not one of charrnn's")
    if not isinstance(record.get("training", {}), dict):
        raise CheckpointError(f"{path} is damaged: its training summary is no object")
    if record["format"] > FORMAT:
        raise CheckpointError(f"{path} has format {record['format']}, newer than this charrnn reads: upgrade charrnn")
    expected = 8 + length + max(ends, default=0)
    if size != expected:
        raise CheckpointError(f"{path} is damaged: it has {size:,} bytes where its header promises {expected:,}")
    header = Header(path, record, shapes, size)
    _check_model(header)
    return header


def _check_model(header: Header) -> None:
    """The model's tensors must be the ones that its configuration calls for, before any is allocated."""
    try:
        if header.config.layers > len(header.shapes):
            raise CheckpointError(f"{header.config.layers} layers in {len(header.shapes)} tensors")
        with torch.device("meta"):
            expected = {MODEL_PREFIX + k: tuple(v.shape) for k, v in LanguageModel(header.config).state_dict().items()}
    except (CharrnnError, RuntimeError, OverflowError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{header.path} holds no usable model configuration: {reason}") from None
    found = {name: shape for name, (_, shape) in header.shapes.items() if name.startswith(MODEL_PREFIX)}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise CheckpointError(
                f"{header.path} is damaged: {name} is {found.get(name)} where its configuration says "
                f"{expected.get(name)}"
            )
        if header.shapes[name][0] != "F32":
            raise CheckpointError(f"{header.path} is damaged: {name} is {header.shapes[name][0]}, not F32")


def read(path: Path) -> tuple[Header, dict[str, Tensor]]:
    """The header and all tensors. Raises CheckpointError as `read_header` does, and on damaged tensors."""
    header = read_header(path)
    try:
        return header, load_tensors(path.read_bytes())
    except (OSError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path} is damaged: {error}") from None
    except Exception as error:  # safetensors' own error type derives from Exception alone
        if type(error).__name__ != "SafetensorError":
            raise
        raise CheckpointError(f"{path} is damaged: {error}") from None


def model_tensors(model: LanguageModel) -> dict[str, Tensor]:
    """The weights under the names they have in a file."""
    return {MODEL_PREFIX + name: tensor for name, tensor in model.state_dict().items()}


def build_model(header: Header, tensors: Mapping[str, Tensor]) -> tuple[LanguageModel, Tokenizer]:
    """The network and the tokenizer of a file. Raises CheckpointError when they do not belong together."""
    tokenizer = from_spec(header.record.get("tokenizer"))
    if tokenizer.size != header.config.start_id:
        raise CheckpointError(
            f"{header.path} is damaged: its vocabulary has {tokenizer.size} symbols, "
            f"its network {header.config.start_id}"
        )
    with torch.device("meta"):
        model = LanguageModel(header.config)
    weights = {name.removeprefix(MODEL_PREFIX): t for name, t in tensors.items() if name.startswith(MODEL_PREFIX)}
    model.load_state_dict(weights, strict=True, assign=True)
    return model.eval(), tokenizer
