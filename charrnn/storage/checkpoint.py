"""Self-contained files: tensors and one JSON header, in the safetensors format; never a pickle.

`model.safetensors` is enough to sample and to score anywhere. `resume.safetensors` holds the same sections and, beside
them, all that training needs to go on. The header is read and checked (`header.py`) before anything is allocated. A
model is read without torch, whose import takes longer than most texts.
"""

import contextlib
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from charrnn.errors import CheckpointError
from charrnn.models.counts.kept import KeptCounts
from charrnn.schema import to_json_text
from charrnn.storage.atomic import write_atomically
from charrnn.storage.formats import FORMAT
from charrnn.storage.header import KEY, MODEL_PREFIX, Header, read_header, renaming
from charrnn.text.tokenizers import Tokenizer, from_spec

if TYPE_CHECKING:
    from torch import Tensor

    from charrnn.models.ensemble import Network

__all__ = [
    "COUNTS_PREFIX", "KEY", "MODEL_PREFIX", "Header", "Weights", "build_model", "build_network", "packed", "read",
    "read_counts", "read_header", "read_model", "tokenizer_of", "write",
]  # fmt: skip

# Counts of the training text beside the network, in files of models alone.
COUNTS_PREFIX = "counts."
KINDS = {"U16": np.uint16, "U32": np.uint32, "U64": np.uint64, "I64": np.int64, "F32": np.float32}

Weights = dict[str, npt.NDArray[np.float32]]


def write(
    path: Path, tensors: "Mapping[str, Tensor]", record: dict[str, Any], counts: KeptCounts | None = None
) -> None:
    """Save atomically: a temporary file beside `path`, fsync, rename. What stood there survives any failure.

    Raises CheckpointError when the disk is full or the folder cannot be written.
    """
    import torch
    from safetensors.torch import save

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    for name, array in counts.arrays().items() if counts else ():
        plain[COUNTS_PREFIX + name] = torch.from_numpy(np.ascontiguousarray(array))
    text = to_json_text({**record, "format": FORMAT})
    write_atomically(path, save(plain, metadata={KEY: text}))


def packed(record: dict[str, Any], weights: Weights, counts: KeptCounts | None = None) -> bytes:
    """A model as its file has it, without torch: what it says of itself, its weights, and counts beside them."""
    from safetensors.numpy import save

    arrays = {MODEL_PREFIX + name: weight for name, weight in weights.items()}
    arrays |= {
        COUNTS_PREFIX + name: np.ascontiguousarray(array) for name, array in (counts.arrays() if counts else {}).items()
    }
    return save(arrays, {KEY: to_json_text({**record, "format": FORMAT})})


def read(path: Path) -> "tuple[Header, dict[str, Tensor]]":
    """The header and all tensors. Raises CheckpointError as `read_header` does, and on damaged tensors."""
    from safetensors.torch import load

    header = read_header(path)
    renamed = renaming(header.metadata)
    with damage_told(path):
        tensors = {renamed(name): tensor for name, tensor in load(path.read_bytes()).items()}
    _refuse_infinite(path, {name: t.numpy() for name, t in tensors.items() if name.startswith(MODEL_PREFIX)})
    return header, tensors


def read_model(path: Path) -> tuple[Header, Weights, Tokenizer]:
    """A model, without torch: its header, its weights under the names of `weight_shapes`, its tokenizer.

    Raises CheckpointError as `read` does, and when network and tokenizer do not belong together.
    """
    from safetensors import safe_open

    header = read_header(path)
    renamed = renaming(header.metadata)
    with damage_told(path), safe_open(path, framework="numpy") as file:
        names = [name for name in file.keys() if name.startswith(MODEL_PREFIX)]  # noqa: SIM118
        weights = {renamed(name).removeprefix(MODEL_PREFIX): file.get_tensor(name) for name in names}
    _refuse_infinite(path, weights)
    return header, weights, tokenizer_of(header)


def read_counts(header: Header) -> KeptCounts | None:
    """The counts beside a model's network, which stay in their file until they are looked at; None where it has none.

    Raises CheckpointError on damaged ones.
    """
    names = [name for name in header.shapes if name.startswith(COUNTS_PREFIX)]
    if not names:
        return None
    found: dict[str, npt.NDArray[Any]] = {}
    with damage_told(header.path):
        for name in names:
            kind, shape = header.shapes[name]
            if kind not in KINDS:
                raise CheckpointError(f"{header.path} is damaged: {name} holds {kind}")
            found[name.removeprefix(COUNTS_PREFIX)] = (
                np.memmap(header.path, KINDS[kind], "r", header.offsets[name], shape)
                if math.prod(shape)
                else np.empty(shape, KINDS[kind])
            )
    with header.told():
        return KeptCounts.from_arrays(found, header.config.vocab_size, header.config.start_id, header.config.ensemble)


def _refuse_infinite(path: Path, weights: Weights) -> None:
    """A network with a weight that is no finite number says nothing at all."""
    for name, weight in weights.items():
        if not np.isfinite(weight).all():
            raise CheckpointError(
                f"{path} is damaged: {name.removeprefix(MODEL_PREFIX)} holds weights that are not finite; train again"
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
    with header.told():
        tokenizer = from_spec(header.metadata.get("tokenizer"))
    if tokenizer.size != header.config.start_id:
        raise CheckpointError(
            f"{header.path} is damaged: its vocabulary has {tokenizer.size} symbols, "
            f"its network {header.config.start_id}"
        )
    return tokenizer


@contextlib.contextmanager
def damage_told(path: Path) -> Iterator[None]:
    """What safetensors says of a damaged file, as one of our errors."""
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path} is damaged: {error}") from None
    except Exception as error:  # safetensors' own error type derives from Exception alone
        if type(error).__name__ != "SafetensorError":
            raise
        raise CheckpointError(f"{path} is damaged: {error}") from None
