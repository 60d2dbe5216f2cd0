"""Self-contained files: tensors and one JSON header, in the safetensors format; never a pickle.

`model.safetensors` is enough to sample and to score anywhere. `resume.safetensors` holds the same sections and, beside
them, all that training needs to go on. The header is read, and every size checked against the file and against the
configuration, before anything is allocated. A model is read without torch, whose import takes longer than most texts.
"""

import contextlib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from charrnn.config import ModelConfig
from charrnn.errors import CharrnnError, CheckpointError
from charrnn.models.weights import weight_shapes
from charrnn.schema import to_json_text
from charrnn.storage import formats
from charrnn.storage.atomic import write_atomically
from charrnn.storage.formats import FORMAT
from charrnn.text.tokenizers import Tokenizer, from_spec

if TYPE_CHECKING:
    from torch import Tensor

    from charrnn.models.ensemble import Network

Weights = dict[str, npt.NDArray[np.float32]]

KEY = "charrnn"
MODEL_PREFIX = "model."
PICKLES = (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
LONGEST_HEADER = 100 << 20


@dataclass(frozen=True)
class Header:
    """What a file says of itself, read without its tensors; all in today's terms, whatever its format.

    `metadata` is the JSON; `shapes` and `bytes` describe the tensors; `differences` are those in which an older run
    goes on otherwise than it would have then.
    """

    path: Path
    metadata: dict[str, Any]
    shapes: dict[str, tuple[str, tuple[int, ...]]]
    bytes: int
    differences: tuple[str, ...] = ()

    @property
    def config(self) -> ModelConfig:
        """The network's configuration."""
        return ModelConfig.from_json(self.metadata.get("model"), written_by=self.written_by)

    @property
    def written_by(self) -> str | None:
        """The version of charrnn that wrote the file, where it says so."""
        versions = self.metadata.get("versions")
        version = versions.get("charrnn") if isinstance(versions, dict) else None
        return version if isinstance(version, str) else None

    @property
    def summary(self) -> dict[str, Any]:
        """How it was trained: corpus, steps, losses, seed."""
        return dict(self.metadata.get("training") or {})

    @property
    def documents(self) -> str:
        """How its training text was told apart: stream, lines or paragraphs."""
        return str(self.summary.get("documents", "stream"))

    @property
    def parameters(self) -> int:
        """How many numbers the network's weights are."""
        return sum(math.prod(shape) for name, (_, shape) in self.shapes.items() if name.startswith(MODEL_PREFIX))


def write(path: Path, tensors: "Mapping[str, Tensor]", record: dict[str, Any]) -> None:
    """Save atomically: a temporary file beside `path`, fsync, rename. What stood there survives any failure.

    Raises CheckpointError when the disk is full or the folder cannot be written.
    """
    from safetensors.torch import save

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = to_json_text({**record, "format": FORMAT})
    write_atomically(path, save(plain, metadata={KEY: text}))


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
    header = _in_todays_terms(Header(path, record, shapes, size))
    _check_model(header)
    return header


def _in_todays_terms(header: Header) -> Header:
    """The header as today's charrnn would have written it."""
    written = header.metadata
    renamed = _renaming(formats.today(written))
    return replace(
        header,
        metadata=formats.today(written),
        shapes={renamed(name): shape for name, shape in header.shapes.items()},
        differences=tuple(formats.differences(written)),
    )


def _renaming(metadata: dict[str, Any]) -> Callable[[str], str]:
    """From a tensor's name in the file to its name today."""
    model = metadata.get("model")
    networks = model.get("ensemble", 1) if isinstance(model, dict) else 1
    return formats.today_name(metadata["format"], ensemble=networks != 1)


def _check_model(header: Header) -> None:
    """The model's tensors must be the ones that its configuration calls for, before any is allocated."""
    try:
        layers = header.config.layers * header.config.ensemble
        if layers > len(header.shapes):
            raise CheckpointError(f"{layers} layers in {len(header.shapes)} tensors")
        expected = {MODEL_PREFIX + name: shape for name, shape in weight_shapes(header.config).items()}
    except (CharrnnError, OverflowError, TypeError) as error:
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


def read(path: Path) -> "tuple[Header, dict[str, Tensor]]":
    """The header and all tensors. Raises CheckpointError as `read_header` does, and on damaged tensors."""
    from safetensors.torch import load

    header = read_header(path)
    renamed = _renaming(header.metadata)
    with _damage_told(path):
        tensors = {renamed(name): tensor for name, tensor in load(path.read_bytes()).items()}
    _refuse_infinite(path, {name: t.numpy() for name, t in tensors.items() if name.startswith(MODEL_PREFIX)})
    return header, tensors


def read_model(path: Path) -> tuple[Header, Weights, Tokenizer]:
    """A model, without torch: its header, its weights under the names of `weight_shapes`, its tokenizer.

    Raises CheckpointError as `read` does, and when network and tokenizer do not belong together.
    """
    from safetensors import safe_open

    header = read_header(path)
    renamed = _renaming(header.metadata)
    with _damage_told(path), safe_open(path, framework="numpy") as file:
        names = [name for name in file.keys() if name.startswith(MODEL_PREFIX)]  # noqa: SIM118
        weights = {renamed(name).removeprefix(MODEL_PREFIX): file.get_tensor(name) for name in names}
    _refuse_infinite(path, weights)
    return header, weights, tokenizer_of(header)


def _refuse_infinite(path: Path, weights: Weights) -> None:
    """A network with a weight that is no finite number says nothing at all."""
    for name, weight in weights.items():
        if not np.isfinite(weight).all():
            raise CheckpointError(
                f"{path} cannot be used: {name.removeprefix(MODEL_PREFIX)} holds weights that are not finite numbers, "
                "as a training that diverged leaves; train again, with a lower `lr`"
            )


def build_model(header: Header, tensors: "Mapping[str, Tensor]") -> "tuple[Network, Tokenizer]":
    """The network and the tokenizer of a file. Raises CheckpointError when they do not belong together."""
    weights = {name.removeprefix(MODEL_PREFIX): t for name, t in tensors.items() if name.startswith(MODEL_PREFIX)}
    return build_network(header, weights), tokenizer_of(header)


def build_network(header: Header, weights: "Mapping[str, Tensor]") -> "Network":
    """The network around these weights, without a copy."""
    import torch

    from charrnn.models.ensemble import build

    with torch.device("meta"):
        model = build(header.config)
    model.load_state_dict(weights, strict=True, assign=True)
    return model.eval()


def tokenizer_of(header: Header) -> Tokenizer:
    """The tokenizer of a file. Raises CheckpointError when it does not belong to the network."""
    tokenizer = from_spec(header.metadata.get("tokenizer"))
    if tokenizer.size != header.config.start_id:
        raise CheckpointError(
            f"{header.path} is damaged: its vocabulary has {tokenizer.size} symbols, "
            f"its network {header.config.start_id}"
        )
    return tokenizer


@contextlib.contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    """What safetensors says of a damaged file, as one of our errors."""
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path} is damaged: {error}") from None
    except Exception as error:  # safetensors' own error type derives from Exception alone
        if type(error).__name__ != "SafetensorError":
            raise
        raise CheckpointError(f"{path} is damaged: {error}") from None
