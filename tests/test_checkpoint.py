"""A file brings back what was saved, bit for bit; whatever else it is given, it refuses in one line."""

import contextlib
import errno
import json
import math
import os
import pickle
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save as save_tensors
from torch import Tensor

from charrnn.config import ModelConfig
from charrnn.errors import CheckpointError
from charrnn.models.cells import CELLS
from charrnn.models.connections import CONNECTIONS
from charrnn.models.language_model import LanguageModel
from charrnn.storage.atomic import write_atomically
from charrnn.storage.checkpoint import build_model, build_network, read, read_header, read_model, write
from charrnn.storage.formats import FORMAT
from charrnn.text.tokenizers import Tokenizer
from charrnn.text.tokenizers.byte import ByteTokenizer
from charrnn.text.tokenizers.char import CharTokenizer
from charrnn.text.tokenizers.subword import SubwordTokenizer
from tests.saving import model_tensors, parameter_count

TEXT = "Once upon a time, über \N{SNOWMAN}\n" * 3


def make_tokenizer(kind: str) -> Tokenizer:
    if kind == "byte":
        return ByteTokenizer()
    return CharTokenizer.train([TEXT]) if kind == "char" else SubwordTokenizer.train([TEXT], 290)


def make_model(
    start_id: int, *, cell: str = "lstm", layers: int = 2, tie: bool = False, documents: bool = False
) -> LanguageModel:
    config = ModelConfig(
        vocab_size=start_id + documents, start_id=start_id, cell=cell, embedding=4, hidden=4, layers=layers, tie=tie
    )
    model = LanguageModel(config)
    model.initialise(torch.Generator().manual_seed(5))
    return model.eval()


def make_record(model: LanguageModel, tokenizer: Tokenizer) -> dict[str, Any]:
    return {
        "model": model.config.to_json(),
        "tokenizer": tokenizer.spec(),
        "training": {"corpus": ["fables"], "step": 12, "loss": 1.5},
    }


@pytest.fixture
def tokenizer() -> Tokenizer:
    return CharTokenizer("abc\n")


@pytest.fixture
def model() -> LanguageModel:
    return make_model(4)


@pytest.fixture
def record(model: LanguageModel, tokenizer: Tokenizer) -> dict[str, Any]:
    return make_record(model, tokenizer)


@pytest.fixture
def file(tmp_path: Path, model: LanguageModel, record: dict[str, Any]) -> Path:
    """A good checkpoint."""
    path = tmp_path / "model.safetensors"
    write(path, model_tensors(model), record)
    return path


@pytest.fixture
def small_file(tmp_path: Path) -> Path:
    """A good checkpoint with as few tensors as there can be."""
    path, model = tmp_path / "small.safetensors", make_model(4, cell="rnn", layers=1, tie=True)
    write(path, model_tensors(model), make_record(model, CharTokenizer("abc\n")))
    return path


def load(path: Path) -> tuple[LanguageModel, Tokenizer]:
    model, tokenizer = build_model(*read(path))
    return model.first_member, tokenizer


def refusal(path: Path, *read_its: Callable[[Path], object]) -> str:
    """The one line with which a file is refused: the same whether it is read with torch or without."""
    messages = set()
    for read_it in read_its or (load, read_model):
        with pytest.raises(CheckpointError) as caught:
            read_it(path)
        # The library says where it stumbled in other words, as it has two ways to read; of two tensors that lie in
        # one place it names either.
        message = str(caught.value).replace("deserializing header", "deserializing")
        messages.add(re.sub(r"offset for tensor `[\w.]+`", "offset for a tensor", message))
    assert len(messages) == 1, messages
    (message,) = messages
    assert "\n" not in message
    assert str(path) in message
    return message


def safetensors(header: object, data: bytes = b"") -> bytes:
    """A file of this header, written by hand."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(raw).to_bytes(8, "little") + raw + data


def with_record(path: Path, record: object, tensors: dict[str, Tensor]) -> Path:
    """A file like ours whose record is anything."""
    text = record if isinstance(record, str) else json.dumps(record)
    path.write_bytes(save_tensors(tensors, metadata={"charrnn": text}))
    return path


# ---- there and back


@pytest.mark.parametrize(
    ("kind", "tie", "documents"), [("char", False, True), ("byte", True, False), ("subword", True, True)]
)
def test_a_model_comes_back_bit_for_bit(tmp_path: Path, kind: str, tie: bool, documents: bool) -> None:
    tokenizer = make_tokenizer(kind)
    model = make_model(tokenizer.size, tie=tie, documents=documents)
    path = tmp_path / "model.safetensors"
    write(path, model_tensors(model), make_record(model, tokenizer))

    again, tokenizer_again = load(path)

    ids = tokenizer.encode(TEXT)
    tokens = torch.from_numpy(ids)[None, :].long()
    with torch.no_grad():
        expected, states = model(tokens, model.initial_states(1))
        found, states_found = again(tokens, again.initial_states(1))
    assert torch.equal(found, expected)
    assert all(torch.equal(a, b) for x, y in zip(states, states_found, strict=True) for a, b in zip(x, y, strict=True))
    assert again.config == model.config
    assert tokenizer_again.kind == kind
    assert tokenizer_again.spec() == tokenizer.spec()
    assert tokenizer_again.encode(TEXT).tolist() == ids.tolist()


def test_every_weight_of_every_cell_comes_back_with_torch_and_without(tmp_path: Path) -> None:
    for number, cell in enumerate(CELLS):
        model = make_model(256, cell=cell, tie=bool(number % 2))
        path = tmp_path / "model.safetensors"
        write(path, model_tensors(model), make_record(model, ByteTokenizer()))
        again = load(path)[0].state_dict()
        header, weights, tokenizer = read_model(path)
        expected = model.state_dict()
        assert again.keys() == weights.keys() == expected.keys(), cell
        for name, tensor in expected.items():
            assert torch.equal(again[name], tensor), (cell, name)
            assert weights[name].dtype == np.float32
            assert np.array_equal(weights[name], tensor.numpy()), (cell, name)
        assert header == read_header(path)
        assert tokenizer.spec() == ByteTokenizer().spec()
        network = build_network(header, {name: torch.from_numpy(weight) for name, weight in weights.items()})
        tokens = torch.tensor([[4, 0, 3, 1, 2, 2]])
        with torch.no_grad():
            found, wanted = (each(tokens, each.initial_states(1))[0] for each in (network, model))
        assert torch.equal(found, wanted), cell
        assert not network.training


def test_of_a_file_to_resume_from_the_model_alone_is_read(
    tmp_path: Path, model: LanguageModel, record: dict[str, Any]
) -> None:
    """What stands beside it may be in formats that NumPy lacks."""
    others = {"random": torch.arange(5, dtype=torch.uint8), "state.0.0": torch.ones(2, dtype=torch.bfloat16)}
    write(tmp_path / "resume", {**model_tensors(model), **others}, record)
    assert read_model(tmp_path / "resume")[1].keys() == model.state_dict().keys()


READ_WITHOUT_TORCH = """
import sys
from pathlib import Path
from charrnn.storage.checkpoint import read_model
_, weights, _ = read_model(Path(sys.argv[1]))
print(len(weights), "torch" in sys.modules)
"""


def test_a_model_is_read_without_torch(file: Path, model: LanguageModel) -> None:
    done = in_a_process(READ_WITHOUT_TORCH, file)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == [str(len(model.state_dict())), "False"]


def test_a_model_that_is_read_is_ready_to_be_used(file: Path) -> None:
    model = load(file)[0]
    assert not model.training
    assert all(parameter.device.type == "cpu" and parameter.requires_grad for parameter in model.parameters())


def test_the_header_says_what_the_file_holds(file: Path, model: LanguageModel, record: dict[str, Any]) -> None:
    header = read_header(file)
    assert header.path == file
    assert header.metadata == {"format": FORMAT, **record}
    assert header.config == model.config
    assert header.summary == record["training"]
    assert header.bytes == file.stat().st_size
    assert header.parameters == parameter_count(model)
    assert header.shapes["model.forwards.bias"] == ("F32", (4,))


def test_a_file_without_a_training_summary_has_an_empty_one(
    tmp_path: Path, model: LanguageModel, record: dict[str, Any]
) -> None:
    del record["training"]
    write(tmp_path / "m", model_tensors(model), record)
    assert read_header(tmp_path / "m").summary == {}


def test_what_else_a_resume_file_holds_comes_back_too(
    tmp_path: Path, model: LanguageModel, record: dict[str, Any]
) -> None:
    others = {
        "optimizer.step": torch.tensor(7),
        "rng": torch.arange(5, dtype=torch.uint8),
        "state.0.h": torch.randn(4, 3).t(),
        "nothing": torch.empty(0, 3),
    }
    write(tmp_path / "resume", {**model_tensors(model), **others}, {**record, "resume": {"step": 3}})
    header, tensors = read(tmp_path / "resume")
    assert header.metadata["resume"] == {"step": 3}
    assert header.parameters == parameter_count(model)
    assert tensors.keys() == model_tensors(model).keys() | others.keys()
    for name, tensor in others.items():
        assert tensors[name].dtype == tensor.dtype
        assert torch.equal(tensors[name], tensor)
    assert load(tmp_path / "resume")[0].config == model.config


def test_reading_a_header_reads_no_tensor(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("tensors were read")

    for reader in ("safetensors.torch.load", "safetensors.torch.load_file", "safetensors.safe_open"):
        monkeypatch.setattr(reader, never)
    monkeypatch.setattr(Path, "read_bytes", never)
    assert read_header(file).bytes == file.stat().st_size
    for read_it in (read, read_model):
        with pytest.raises(AssertionError, match="tensors were read"):
            read_it(file)


def test_a_header_of_any_length_is_read(tmp_path: Path) -> None:
    """The first bytes of these lengths look like the beginning of a pickle or a zip archive."""
    path = tmp_path / "model.safetensors"
    model = make_model(4, cell="rnn", tie=True, layers=1)
    record = make_record(model, CharTokenizer("abc\n"))
    for length in (1152, 1408, 0x4B50, 0x10280, 0x10380):
        room = length - write_and_measure(path, model, {**record, "padding": ""})
        assert write_and_measure(path, model, {**record, "padding": "x" * room}) == length
        assert load(path)[0].config == model.config, length


def write_and_measure(path: Path, model: LanguageModel, record: dict[str, Any]) -> int:
    write(path, model_tensors(model), record)
    return header_length(path)


def header_length(path: Path) -> int:
    return int.from_bytes(path.read_bytes()[:8], "little")


# ---- damage


def test_a_file_cut_short_anywhere_is_refused(small_file: Path) -> None:
    whole = small_file.read_bytes()
    for length in range(len(whole)):
        small_file.write_bytes(whole[:length])
        refusal(small_file, read_header)


def test_a_file_with_something_behind_it_is_refused(file: Path) -> None:
    whole = file.read_bytes()
    for tail in (b"\0", b"\0" * 8, b"more"):
        file.write_bytes(whole + tail)
        sizes = f"it has {len(whole) + len(tail):,} bytes where its header promises {len(whole):,}"
        assert sizes in refusal(file, load, read_model, read_header), tail


def test_the_sizes_of_a_damaged_file_are_named(file: Path) -> None:
    size = file.stat().st_size
    os.truncate(file, size - 3)
    assert f"{size - 3:,} bytes where its header promises {size:,}" in refusal(file)


def test_a_flipped_bit_in_the_length_of_the_header_is_refused(file: Path) -> None:
    whole = file.read_bytes()
    for place in range(8):
        for bit in (1, 0x80):
            data = bytearray(whole)
            data[place] ^= bit
            file.write_bytes(data)
            refusal(file)


def test_a_flipped_bit_in_the_header_is_refused_or_does_no_harm(small_file: Path) -> None:
    """Every byte of the header in turn; what is still read has the same weights."""
    whole, expected = small_file.read_bytes(), load(small_file)[0].state_dict()
    end = 8 + header_length(small_file)
    refused = 0
    for place in range(8, end):
        data = bytearray(whole)
        data[place] ^= (1, 2, 16)[place % 3]
        small_file.write_bytes(data)
        try:
            found = load(small_file)[0].state_dict()
        except CheckpointError as error:
            assert "\n" not in str(error)
            refused += 1
        else:
            assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    assert refused > end / 2


SENSELESS = [
    b"",
    b"\xff\xfe",
    b"not json",
    b"[]",
    b"3",
    b"null",
    b'"charrnn"',
    b"[" * 100_000,
    b'{"__metadata__": null}',
    b'{"__metadata__": "charrnn"}',
    b'{"__metadata__": {"charrnn": null}}',
    b'{"__metadata__": {"charrnn": "not json"}}',
    b'{"a": 1}',
    b'{"a": {"dtype": "F32"}}',
    b'{"a": {"dtype": "F32", "shape": 3, "data_offsets": [0, 4]}}',
    b'{"a": {"dtype": "F32", "shape": ["x"], "data_offsets": [0, 4]}}',
    b'{"a": {"dtype": "F32", "shape": [NaN], "data_offsets": [0, 4]}}',
    b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0]}}',
    b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": {}}}',
    b'{"a": {"dtype": "F32", "shape": [1e999], "data_offsets": [0, 4]}}',
    b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, Infinity]}}',
]


def test_a_header_that_makes_no_sense_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    for raw in SENSELESS:
        path.write_bytes(safetensors(raw, b"\0" * 4))
        refusal(path)


MISPLACED: list[Callable[[dict[str, Any]], None]] = [
    lambda entries: entries["model.forwards.bias"].update(data_offsets=entries["model.forwards.head"]["data_offsets"]),
    lambda entries: entries["model.forwards.bias"].update(data_offsets=[-16, 0]),
    lambda entries: entries["model.forwards.bias"].update(dtype="F99"),
    lambda entries: entries["model.forwards.bias"].update(dtype=[]),
    lambda entries: entries.update(extra={"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}),
]


def test_tensors_that_lie_where_they_cannot_are_refused(file: Path) -> None:
    whole = file.read_bytes()
    end = 8 + header_length(file)
    for number, change in enumerate(MISPLACED):
        entries = json.loads(whole[8:end])
        change(entries)
        file.write_bytes(safetensors(entries, whole[end:]))
        assert "is damaged" in refusal(file), number


# ---- not one of ours


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "none")
    assert "cannot be read" in refusal(tmp_path)


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other"
    for data in (b"", b"abc", b"a text file, longer than eight bytes\n" * 100, bytes(100)):
        path.write_bytes(data)
        assert "is no charrnn checkpoint" in refusal(path), data


def test_a_foreign_safetensors_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "foreign.safetensors"
    strange: list[dict[str, str] | None] = [None, {}, {"format": "pt"}]
    for metadata in strange:
        path.write_bytes(save_tensors({"weight": torch.zeros(3)}, metadata=metadata))
        assert "is a safetensors file, but not one of charrnn's" in refusal(path), metadata


def test_a_record_that_is_none_of_ours_is_refused(tmp_path: Path, model: LanguageModel) -> None:
    strange: list[object] = [[], 3, "x", None, {}, {"format": "1"}, {"format": None}]
    for record in strange:
        path = with_record(tmp_path / "m", json.dumps(record), model_tensors(model))
        assert "not one of charrnn's" in refusal(path), record


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
        return open, (str(self.mark), "w")


def test_a_raw_pickle_is_refused_unread(tmp_path: Path) -> None:
    path, mark = tmp_path / "model.pkl", tmp_path / "mark"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        path.write_bytes(pickle.dumps([Trap(mark), b"x" * 1000], protocol))
        message = refusal(path)
        assert not mark.exists(), protocol
        assert protocol < 2 or "pickle" in message, protocol


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_of_torch_save_is_refused_unread(tmp_path: Path, model: LanguageModel, zipped: bool) -> None:
    path, mark = tmp_path / "model.pt", tmp_path / "mark"
    torch.save({"trap": Trap(mark), **model.state_dict()}, path, _use_new_zipfile_serialization=zipped)
    assert "pickle or an archive" in refusal(path)
    assert not mark.exists()


def test_a_newer_format_is_refused_with_advice_whatever_else_the_file_holds(
    tmp_path: Path, model: LanguageModel, record: dict[str, Any]
) -> None:
    path = with_record(tmp_path / "m", {**record, "format": FORMAT + 1}, model_tensors(model))
    assert f"format {FORMAT + 1}, newer than this charrnn reads: upgrade" in refusal(path)
    path = with_record(tmp_path / "m", {"format": 10**6, "network": "anything"}, {"w": torch.zeros(1)})
    assert "newer" in refusal(path)


def test_a_field_that_a_newer_charrnn_knows_is_an_error_that_names_it(
    tmp_path: Path, model: LanguageModel, record: dict[str, Any]
) -> None:
    record["model"]["gills"] = 2
    path = with_record(tmp_path / "m", {"format": FORMAT, **record}, model_tensors(model))
    assert refusal(path).endswith("unknown field 'gills'")
    versions: list[object] = [{"charrnn": "9.1.0"}, {"charrnn": None}, [], None]
    for number, written_by in enumerate(versions):
        path = with_record(tmp_path / "m", {"format": FORMAT, **record, "versions": written_by}, model_tensors(model))
        told = "the file was written by charrnn 9.1.0, newer than this" in refusal(path)
        assert told == (number == 0), written_by


def test_a_field_that_a_file_lacks_has_its_default(
    tmp_path: Path, model: LanguageModel, record: dict[str, Any]
) -> None:
    del record["model"]["norm"], record["model"]["skip"]
    path = with_record(tmp_path / "m", {"format": FORMAT, **record}, model_tensors(model))
    assert load(path)[0].config == read_model(path)[0].config == model.config


def test_the_whole_configuration_comes_back(tmp_path: Path) -> None:
    for skip in CONNECTIONS:
        config = ModelConfig(vocab_size=4, start_id=4, embedding=4, hidden=4, weight_drop=0.25, skip=skip, norm=True)
        network = LanguageModel(config)
        network.initialise(torch.Generator().manual_seed(5))
        path = tmp_path / "m"
        write(path, model_tensors(network), make_record(network, CharTokenizer("abc\n")))
        assert read_header(path).config == load(path)[0].config == config


# ---- configuration against tensors


CONTRADICTIONS: list[dict[str, Any]] = [
    {"hidden": 5},
    {"embedding": 5},
    {"layers": 1},
    {"layers": 3},
    {"cell": "gru"},
    {"tie": True},
    {"vocab_size": 5},
    {"vocab_size": 5, "start_id": 5},
    {"vocab_size": 4, "start_id": 3},
]


def changed(path: Path, model: LanguageModel, record: dict[str, Any], change: dict[str, Any]) -> Path:
    """A file whose configuration says something else than its tensors."""
    other = {**record, "format": FORMAT, "model": {**record["model"], **change}}
    return with_record(path, other, model_tensors(model))


def test_shapes_that_contradict_the_configuration_are_refused(
    tmp_path: Path, model: LanguageModel, record: dict[str, Any]
) -> None:
    for change in CONTRADICTIONS:
        message = refusal(changed(tmp_path / "m", model, record, change))
        assert "is damaged: model." in message, change
        assert "where its configuration says" in message, change


IMPOSSIBLE: list[dict[str, Any]] = [
    {"cell": "transformer"},
    {"hidden": 0},
    {"layers": -1},
    {"start_id": 9},
    {"dropout": 2.0},
    {"hidden": "4"},
    {"surprise": 1},
]


def test_a_configuration_that_is_none_is_refused(tmp_path: Path, model: LanguageModel, record: dict[str, Any]) -> None:
    for change in IMPOSSIBLE:
        message = refusal(changed(tmp_path / "m", model, record, change))
        assert "holds no usable model configuration" in message, change


def test_a_file_without_a_configuration_is_refused_in_every_format(tmp_path: Path, model: LanguageModel) -> None:
    empty: list[dict[str, Any]] = [{}, {"model": None}, {"model": []}, {"model": 3}, {"model": {}}]
    for record in empty:
        for number in (1, FORMAT):
            path = with_record(tmp_path / "m", {"format": number, **record}, model_tensors(model))
            assert "no usable model configuration: ModelConfig: " in refusal(path), (record, number)


def test_a_missing_and_a_superfluous_tensor_are_named(
    tmp_path: Path, model: LanguageModel, record: dict[str, Any]
) -> None:
    tensors = model_tensors(model)
    write(tmp_path / "more", {**tensors, "model.extra": torch.zeros(2)}, record)
    assert "model.extra is (2,) where its configuration says None" in refusal(tmp_path / "more")
    del tensors["model.forwards.bias"]
    write(tmp_path / "less", tensors, record)
    assert "model.forwards.bias is None where its configuration says (4,)" in refusal(tmp_path / "less")


def test_weights_in_another_number_format_are_refused(
    tmp_path: Path, model: LanguageModel, record: dict[str, Any]
) -> None:
    for dtype, name in ((torch.float16, "F16"), (torch.float64, "F64"), (torch.int32, "I32")):
        tensors = model_tensors(model)
        tensors["model.forwards.bias"] = tensors["model.forwards.bias"].to(dtype)
        write(tmp_path / "m", tensors, record)
        assert f"model.forwards.bias is {name}, not F32" in refusal(tmp_path / "m")


def test_a_vocabulary_of_another_size_than_the_network_is_refused(
    tmp_path: Path, model: LanguageModel, record: dict[str, Any]
) -> None:
    for symbols in ("abc", "abc\nd"):
        write(tmp_path / "m", model_tensors(model), {**record, "tokenizer": CharTokenizer(symbols).spec()})
        assert f"its vocabulary has {len(symbols)} symbols, its network 4" in refusal(tmp_path / "m")


def test_a_tokenizer_that_is_none_is_refused(tmp_path: Path, model: LanguageModel, record: dict[str, Any]) -> None:
    strange: list[object] = [
        None, {}, {"kind": "morse"}, {"kind": "char"}, {"kind": "char", "symbols": "aabc"},
        {"kind": "subword", "model": "%"}, {"kind": "subword", "model": "AAAA"},
    ]  # fmt: skip
    for spec in strange:
        write(tmp_path / "m", model_tensors(model), {**record, "tokenizer": spec})
        for read_it in (load, read_model):
            with pytest.raises(CheckpointError) as caught:
                read_it(tmp_path / "m")
            assert "\n" not in str(caught.value), spec


# ---- absurd promises


def test_a_header_longer_than_the_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "m"
    for length in (2**20, 2**40, 2**63, 2**64 - 1):
        path.write_bytes(length.to_bytes(8, "little") + b"{}")
        assert "cut short" in refusal(path), length


def test_a_header_longer_than_any_of_ours_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "m"
    length = (100 << 20) + 1
    path.write_bytes(length.to_bytes(8, "little"))
    os.truncate(path, 8 + length)
    assert "is no charrnn checkpoint, or it is cut short" in refusal(path)


def test_a_promise_of_more_bytes_than_there_are_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m"
    record = json.dumps({"format": 1})
    entry = {"dtype": "F32", "shape": [2**60], "data_offsets": [0, 2**62]}
    path.write_bytes(safetensors({"__metadata__": {"charrnn": record}, "model.forwards.bias": entry}))
    assert f"promises {8 + header_length(path) + 2**62:,}" in refusal(path)


ABSURD: list[dict[str, Any]] = [
    {"hidden": 10**6},
    {"embedding": 10**12},
    {"hidden": 2**40},
    {"hidden": 2**62},
    {"hidden": 2**70},
    {"embedding": 2**70},
    {"vocab_size": 2**70, "start_id": 2**70},
    {"vocab_size": 10**11, "start_id": 10**11},
    {"layers": 10**12},
    {"layers": 10**30},
]


def test_an_absurdly_large_network_is_refused_unbuilt(
    tmp_path: Path, model: LanguageModel, record: dict[str, Any]
) -> None:
    for change in ABSURD:
        refusal(changed(tmp_path / "m", model, record, change))
    # Its recurrent weights alone would be four gigabytes.
    told = refusal(changed(tmp_path / "m", model, record, {"hidden": 16384}))
    assert "where its configuration says (4, 16384)" in told


def in_a_process(script: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)], capture_output=True, text=True, timeout=100
    )


IMPATIENT = """
import resource, sys
from pathlib import Path
from charrnn.storage.checkpoint import read_header
from charrnn.errors import CheckpointError
used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
resource.setrlimit(resource.RLIMIT_CPU, (int(used) + 2, int(used) + 9))
try:
    read_header(Path(sys.argv[1]))
except CheckpointError as error:
    print(error)
"""


@pytest.mark.parametrize(
    "promise", [{"layers": 10**6}, {"ensemble": 10**6}, {"layers": 10**9, "ensemble": 10**9}], ids=str
)
def test_a_promise_of_a_million_layers_is_refused_at_once(
    tmp_path: Path, model: LanguageModel, record: dict[str, Any], promise: dict[str, int]
) -> None:
    """More layers than the file has tensors: the kernel ends a reader that begins to build them one by one."""
    record["model"].update(promise)
    path = with_record(tmp_path / "m", {"format": FORMAT, **record}, model_tensors(model))
    done = in_a_process(IMPATIENT, path)
    assert (done.returncode, done.stderr) == (0, "")
    assert str(path) in done.stdout


# ---- writing


def test_a_file_is_written_beside_its_place_synced_and_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    done: list[str] = []
    fsync, replace = os.fsync, os.replace

    def watched_fsync(descriptor: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        if kind == "file":
            assert os.fstat(descriptor).st_size == 3000
            assert path.read_bytes() == b"old"
        done.append(f"fsync {kind}")
        fsync(descriptor)

    def watched_replace(source: str, target: Path) -> None:
        assert Path(source).parent == path.parent
        assert Path(source).read_bytes() == b"x" * 3000
        assert target == path
        done.append("replace")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(os, "replace", watched_replace)
    write_atomically(path, b"x" * 3000)

    assert done == ["fsync file", "replace", "fsync folder"]
    assert path.read_bytes() == b"x" * 3000
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_a_file_has_the_permissions_of_any_new_file(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        write_atomically(tmp_path / "file", b"x")
        assert os.umask(mask) == mask
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o666 & ~mask


def test_a_number_that_is_not_finite_is_null_in_a_file_and_never_a_weight(
    file: Path, model: LanguageModel, record: dict[str, Any]
) -> None:
    write(file, model_tensors(model), {**record, "training": {"loss": math.nan}})
    assert read_header(file).summary == {"loss": None}
    for number in (math.nan, math.inf, -math.inf):
        tensors = {name: tensor.clone() for name, tensor in model_tensors(model).items()}
        tensors["model.forwards.bias"][1] = number
        write(file, tensors, record)
        with pytest.raises(CheckpointError, match=r"forwards\.bias holds weights that are not finite"):
            read_model(file)


def test_a_value_that_only_a_newer_charrnn_knows_names_it_too(
    tmp_path: Path, model: LanguageModel, record: dict[str, Any]
) -> None:
    told = r": the file was written by charrnn 9\.1, newer than this [\d.]+: upgrade charrnn$"
    changes: list[dict[str, Any]] = [
        {"model": {**record["model"], "cell": "zz"}},
        {"model": {**record["model"], "skip": "zz"}},
        {"model": {**record["model"], "hidden": "wide"}},
        {"tokenizer": {"kind": "zz"}},
    ]
    for change in changes:
        for versions, newer in (({"charrnn": "9.1"}, True), ({"charrnn": "0.0.1"}, False), ({}, False)):
            path = with_record(
                tmp_path / "m", {"format": FORMAT, **record, **change, "versions": versions}, model_tensors(model)
            )
            with pytest.raises(CheckpointError) as caught:
                read_model(path)
            assert bool(re.search(told, str(caught.value))) == newer, (change, str(caught.value))
            assert "`" not in str(caught.value)


def test_what_is_said_of_the_training_is_of_its_type(
    tmp_path: Path, model: LanguageModel, record: dict[str, Any]
) -> None:
    """A newer version may say more of it; what is known is shown, so it must be what it should."""
    wrong: dict[str, object] = {
        "loss": "abc", "corpus": "abc", "step": None, "epoch": [], "seconds": "1", "split": 3, "config": [],
        "sha256": 1, "validated": 1, "tokens": 10**40, "train_tokens": {},
    }  # fmt: skip
    for name, value in wrong.items():
        path = with_record(
            tmp_path / "m", {"format": FORMAT, **record, "training": {name: value}}, model_tensors(model)
        )
        assert f"is damaged: training.{name} cannot be" in refusal(path), name
    more = {"loss": None, "tide": 3}
    path = with_record(tmp_path / "m", {"format": FORMAT, **record, "training": more}, model_tensors(model))
    assert read_header(path).summary == more


def test_a_second_file_replaces_the_first(file: Path, record: dict[str, Any]) -> None:
    other = make_model(4, cell="gru")
    write(file, model_tensors(other), {**record, "model": other.config.to_json()})
    assert load(file)[0].config.cell == "gru"
    assert os.listdir(file.parent) == [file.name]


def test_a_record_that_json_does_not_know_is_not_written(file: Path, model: LanguageModel) -> None:
    before = file.read_bytes()
    with pytest.raises(TypeError, match="JSON"):
        write(file, model_tensors(model), {"training": {"loss": {1.5}}})
    assert file.read_bytes() == before
    assert os.listdir(file.parent) == [file.name]


FULL = """
import os, resource, sys
from pathlib import Path
import torch
from charrnn.storage.checkpoint import write, write_atomically
from charrnn.errors import CheckpointError
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
for path in sys.argv[1:3]:
    try:
        write(Path(path), {"model.forwards.bias": torch.ones(100_000)}, {"model": {}})
    except CheckpointError as error:
        print(error)
os.chdir(sys.argv[3])
if os.geteuid() == 0:
    os.setegid(65534)
    os.seteuid(65534)
try:
    write_atomically(Path("file"), b"new")
except CheckpointError as error:
    print(error)
"""


@pytest.mark.slow
def test_a_full_disk_and_a_locked_folder_leave_the_old_file_and_nothing_else(file: Path, tmp_path: Path) -> None:
    """In a process of its own, whose files may not grow and which then steps down from root."""
    locked, new = tmp_path / "locked", file.with_name("new")
    locked.mkdir()
    (locked / "file").write_bytes(b"old")
    locked.chmod(0o555)
    before = file.read_bytes()
    done = in_a_process(FULL, file, new, locked)
    locked.chmod(0o755)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"{file} cannot be written: File too large; the file that stood there is unharmed",
        f"{new} cannot be written: File too large",
        "file cannot be written: Permission denied; the file that stood there is unharmed",
    ]
    assert file.read_bytes() == before
    assert (locked / "file").read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == sorted([file.name, "locked"])
    assert os.listdir(locked) == ["file"]


@pytest.mark.parametrize("step", ["fsync", "chmod", "replace"])
@pytest.mark.parametrize("failure", [OSError(errno.EIO, "Input/output error"), KeyboardInterrupt()])
def test_a_write_that_fails_at_any_step_leaves_the_old_file_and_nothing_else(
    file: Path, monkeypatch: pytest.MonkeyPatch, step: str, failure: BaseException
) -> None:
    before = file.read_bytes()

    def fail(*_: object) -> None:
        raise failure

    monkeypatch.setattr(os, step, fail)
    with pytest.raises((CheckpointError, KeyboardInterrupt)) as caught:
        write_atomically(file, b"new")
    assert isinstance(caught.value, KeyboardInterrupt) or "Input/output error" in str(caught.value)
    assert file.read_bytes() == before
    assert os.listdir(file.parent) == [file.name]


@pytest.mark.parametrize("call", ["open", "fsync"])
def test_a_folder_that_cannot_be_synced_does_not_turn_a_written_file_into_a_crash(
    file: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Some file systems refuse to sync a folder, and one that may be written need not be readable."""
    sync, opened = os.fsync, os.open

    def fail_on_folder(target: Any, *arguments: Any, **options: Any) -> Any:
        is_folder = stat.S_ISDIR(os.stat(target).st_mode) if os.path.exists(target) else False
        if is_folder:
            raise OSError(errno.EINVAL, "Invalid argument")
        return sync(target) if call == "fsync" else opened(target, *arguments, **options)

    monkeypatch.setattr(os, call, fail_on_folder)
    with contextlib.suppress(CheckpointError):
        write_atomically(file, b"new")
    assert file.read_bytes() == b"new"


def test_a_missing_folder_is_an_error_in_one_line(tmp_path: Path, model: LanguageModel, record: dict[str, Any]) -> None:
    path = tmp_path / "none" / "model.safetensors"
    assert "No such file" in refusal(path, lambda path: write(path, model_tensors(model), record))
    assert os.listdir(tmp_path) == []


def test_a_file_where_the_folder_should_be_is_an_error_in_one_line(file: Path) -> None:
    before = file.read_bytes()
    assert "Not a directory" in refusal(file / "model.safetensors", lambda path: write_atomically(path, b"x"))
    assert file.read_bytes() == before


def test_a_folder_where_the_file_should_be_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "taken"
    (path / "inside").mkdir(parents=True)
    assert "cannot be written" in refusal(path, lambda path: write_atomically(path, b"x"))
    assert os.listdir(tmp_path) == ["taken"]
    assert os.listdir(path) == ["inside"]
