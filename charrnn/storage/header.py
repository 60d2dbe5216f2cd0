"""What a file of ours says of itself: one JSON header, read and checked before any tensor is.

Every size is held against the file and against the configuration, every field that is read against its type. What
does not hold is told in one line: the file, what is wrong with it, and whether a newer charrnn wrote it.
"""

import json
import math
import reprlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from charrnn.config import ModelConfig
from charrnn.errors import CharrnnError, CheckpointError
from charrnn.models.weights import weight_shapes
from charrnn.schema import Schema, fits, newer
from charrnn.storage import formats
from charrnn.storage.formats import FORMAT
from charrnn.text.split import Split

KEY = "charrnn"
MODEL_PREFIX = "model."
PICKLES = (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
LONGEST_HEADER = 100 << 20

# What is said of a training: each field may be left out, and newer versions may say more.
SUMMARY: dict[str, Any] = {
    "corpus": tuple[str, ...],
    "sha256": str,
    "documents": str,
    "split": dict,
    "config": dict,
    "train_tokens": int,
    "step": int,
    "tokens": int,
    "epoch": float,
    "seconds": float,
    "loss": float | None,
    "int8_bpc": float | None,
    "counts": dict,
    "validated": bool,
}

Record = TypeVar("Record", bound=Schema)


@dataclass(frozen=True, kw_only=True)
class CountsSummary(Schema):
    """What is said of counts: of how many tokens, their bytes, nats a held-out token by the network alone, by both."""

    tokens: int
    bytes: int
    alone: float | None = None
    loss: float | None = None


@dataclass(frozen=True)
class Header:
    """What a file says of itself, read without its tensors; all in today's terms, whatever its format.

    `metadata` is the JSON; `shapes`, `bytes` and `offsets`, where each begins, describe the tensors; `differences` are
    those in which an older run goes on otherwise than it would have then.
    """

    path: Path
    metadata: dict[str, Any]
    shapes: dict[str, tuple[str, tuple[int, ...]]]
    bytes: int
    offsets: dict[str, int] = field(default_factory=dict)
    differences: tuple[str, ...] = ()

    @property
    def config(self) -> ModelConfig:
        """The network's configuration."""
        return self.record(ModelConfig, self.metadata.get("model"))

    @property
    def split(self) -> Split:
        """Where its corpus was cut. Raises CheckpointError where the file does not say it."""
        if (told := self.summary.get("split")) is None:
            raise CheckpointError(f"{self.path} does not say what it was trained on")
        return self.record(Split, told)

    @property
    def versions(self) -> dict[str, Any]:
        """Of charrnn, torch and Python, that wrote the file."""
        versions = self.metadata.get("versions")
        return versions if isinstance(versions, dict) else {}

    @property
    def written_by(self) -> str | None:
        """The version of charrnn that wrote the file, where it says so."""
        version = self.versions.get("charrnn")
        return version if isinstance(version, str) else None

    @property
    def summary(self) -> dict[str, Any]:
        """How it was trained: corpus, steps, losses, seed."""
        return dict(self.metadata.get("training") or {})

    @property
    def counts(self) -> CountsSummary | None:
        """What is said of the counts beside its network, where it has such."""
        told = self.summary.get("counts")
        return None if told is None else self.record(CountsSummary, told)

    @property
    def documents(self) -> str:
        """How its training text was told apart: stream, lines or paragraphs."""
        return str(self.summary.get("documents", "stream"))

    @property
    def parameters(self) -> int:
        """How many numbers the network's weights are."""
        return sum(math.prod(shape) for name, (_, shape) in self.shapes.items() if name.startswith(MODEL_PREFIX))

    def record(self, kind: type[Record], value: object) -> Record:
        """One record of the header. Raises CheckpointError where it is none of this kind."""
        with self.told():
            return kind.from_json(value)

    @contextmanager
    def told(self, what: str = "is damaged:") -> Iterator[None]:
        """Whatever is wrong within is wrong with this file, in one line; no wrong usage, whatever found it."""
        try:
            yield
        except (CharrnnError, OverflowError, TypeError) as error:
            if isinstance(error, CheckpointError) and str(self.path) in str(error):
                raise
            reason = (str(error).splitlines() or [""])[0].replace("`", "")
            hint = newer(self.written_by)
            what = "cannot be read:" if hint and what == "is damaged:" else what
            raise CheckpointError(f"{self.path} {what} {reason}{hint}") from None


def read_header(path: Path) -> Header:
    """Read and check what a file says of itself. Raises CheckpointError on anything that is no checkpoint of ours."""
    header = read_plain_header(path)
    _check_summary(path, header.metadata.get("training", {}))
    header = _in_todays_terms(header)
    _check_model(header)
    return header


def read_plain_header(path: Path) -> Header:
    """What a file of any kind of ours says of itself, as it stands there, its sizes held against the file.

    Raises CheckpointError on anything else.
    """
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
        offsets = {name: 8 + length + int(entry["data_offsets"][0]) for name, entry in entries.items()}
        record = json.loads(metadata[KEY]) if KEY in metadata else None
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError, RecursionError):
        raise CheckpointError(f"{path} is no charrnn checkpoint: its header cannot be read") from None
    if not isinstance(record, dict) or not fits(record.get("format"), int):
        raise CheckpointError(f"{path} is a safetensors file, but not one of charrnn's")
    if record["format"] > FORMAT:
        raise CheckpointError(f"{path} has format {record['format']}, newer than this charrnn reads: upgrade charrnn")
    expected = 8 + length + max(ends, default=0)
    if size != expected:
        raise CheckpointError(f"{path} is damaged: it has {size:,} bytes where its header promises {expected:,}")
    return Header(path, record, shapes, size, offsets)


def renaming(metadata: dict[str, Any]) -> Callable[[str], str]:
    """From a tensor's name in the file to its name today."""
    model = metadata.get("model")
    networks = model.get("ensemble", 1) if isinstance(model, dict) else 1
    return formats.today_name(metadata["format"], ensemble=networks != 1)


def _in_todays_terms(header: Header) -> Header:
    """The header as today's charrnn would have written it."""
    written = header.metadata
    renamed = renaming(formats.today(written))
    return replace(
        header,
        metadata=formats.today(written),
        shapes={renamed(name): shape for name, shape in header.shapes.items()},
        differences=tuple(formats.differences(written)),
    )


def _check_summary(path: Path, summary: object) -> None:
    """What is said of the training must be of its type, for whoever shows it."""
    if not isinstance(summary, dict):
        raise CheckpointError(f"{path} is damaged: its training summary is no object")
    for name, annotation in SUMMARY.items():
        if name in summary and not fits(summary[name], annotation):
            raise CheckpointError(f"{path} is damaged: training.{name} cannot be {reprlib.repr(summary[name])}")


def _check_model(header: Header) -> None:
    """The model's tensors must be the ones that its configuration calls for, before any is allocated."""
    with header.told("holds no usable model configuration:"):
        config = ModelConfig.from_json(header.metadata.get("model"))
        layers = config.layers * config.ensemble
        if layers > len(header.shapes):
            raise CheckpointError(f"{layers} layers in {len(header.shapes)} tensors")
        expected = {MODEL_PREFIX + name: shape for name, shape in weight_shapes(config).items()}
    found = {name: shape for name, (_, shape) in header.shapes.items() if name.startswith(MODEL_PREFIX)}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise CheckpointError(
                f"{header.path} is damaged: {_brief(name)} is {_brief(found.get(name))} where its configuration says "
                f"{_brief(expected.get(name))}"
            )
        if header.shapes[name][0] != "F32":
            raise CheckpointError(f"{header.path} is damaged: {name} is {_brief(header.shapes[name][0])}, not F32")


def _brief(value: object, most: int = 80) -> str:
    """What stands in a file, in so many characters at most."""
    text = str(value)
    return text if len(text) <= most else f"{text[:most]}…"
