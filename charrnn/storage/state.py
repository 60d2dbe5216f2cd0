"""A text that a model has read, kept in a file: tensors and one JSON header, as a model's file; never a pickle.

A state goes on with the model that read it, in the numbers in which it was read, and with nothing else.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from charrnn import __version__
from charrnn.config.verbs import PRECISIONS
from charrnn.errors import CheckpointError
from charrnn.schema import to_json_text
from charrnn.storage.atomic import write_atomically
from charrnn.storage.checkpoint import damage_told
from charrnn.storage.formats import FORMAT
from charrnn.storage.header import KEY, Header, read_plain_header

IDS = "ids"

Arrays = dict[str, npt.NDArray[Any]]
# What the memory of a network is kept in, and that of counts.
KINDS = {"F32": np.float32, "I64": np.int64}


def write_state(
    path: Path, model: str, precision: str, ids: npt.NDArray[np.int32], parts: Mapping[str, npt.NDArray[Any]]
) -> None:
    """Save atomically what a model, told by its digest, has read.

    Raises CheckpointError where that cannot be written.
    """
    from safetensors.numpy import save

    record = {
        "format": FORMAT,
        "versions": {"charrnn": __version__},
        "state": {"model": model, "precision": precision},
    }
    tensors = {IDS: ids, **{name: np.ascontiguousarray(part) for name, part in parts.items()}}
    write_atomically(path, save(tensors, metadata={KEY: to_json_text(record)}))


def state_header(path: Path, model: str) -> Header:
    """What the file of a state says of itself.

    Raises CheckpointError on anything that is no state, and on the state of another model than that of this digest.
    """
    header = read_plain_header(path)
    about = header.metadata.get("state")
    if not isinstance(about, dict) or about.get("precision") not in PRECISIONS:
        raise CheckpointError(f"{path} is no state that was kept: it is another file of charrnn's")
    if about.get("model") != model:
        raise CheckpointError(f"{path} is the state of another model: only the model that read a text goes on from it")
    return header


def precision_of(header: Header) -> str:
    """In which numbers the text was read."""
    return str(header.metadata["state"]["precision"])


def read_state(header: Header, like: Mapping[str, npt.NDArray[Any]], symbols: int) -> tuple[list[int], Arrays]:
    """The ids, each less than `symbols`, and tensors of the kinds and shapes of these.

    Raises CheckpointError where the file holds anything else; nothing is allocated before that is known.
    """
    from safetensors import safe_open

    path, found = header.path, dict(header.shapes)
    kind, shape = found.pop(IDS, ("", ()))
    kinds = {np.dtype(kind): name for name, kind in KINDS.items()}
    if kind != "I32" or len(shape) != 1 or found != {name: (kinds[p.dtype], p.shape) for name, p in like.items()}:
        raise CheckpointError(f"{path} is damaged: it does not hold the state of its model")
    with damage_told(path), safe_open(path, framework="numpy") as file:
        ids = file.get_tensor(IDS)
        parts = {name: file.get_tensor(name) for name in like}
    if not all(np.isfinite(part).all() for part in parts.values()) or ((ids < 0) | (ids >= symbols)).any():
        raise CheckpointError(f"{path} is damaged: it holds numbers that no model has read")
    return ids.tolist(), parts
