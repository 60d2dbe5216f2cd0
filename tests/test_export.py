"""Models exported: each kind of network there is, held against the engine; by onnxruntime itself: tests/extras."""

import json
import re
import runpy
import shlex
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from charrnn import api
from charrnn.config.verbs import EXPORTED
from charrnn.errors import CharrnnError, ConfigError
from charrnn.export import checking, onnx
from charrnn.export.formats import FORMATS
from charrnn.export.source import join_source
from charrnn.inference.engine import open_engine
from charrnn.models.connections import Connection

from .cases import each
from .conftest import CommandLine

GOLDEN = Path(__file__).with_name("golden")
# Every cell, every connection, tied, bidirectional, ensembles, characters, bytes and subwords, lines, counts.
KINDS = "bidirectional-members", "byte", "dense", "highway", "lines", "members", "subword", "tied-residual-norm"
MODELS = [
    *sorted(path.name for path in GOLDEN.glob("f4-cell-*")),
    *(f"f4-run-{kind}" for kind in KINDS),
    "f5-counts",
]
STEPS = 12


def expected_logits(model: api.Model, ids: Any) -> list[Any]:
    """What the engine makes of ids (T, B): logits (B, V) of each step."""
    engine = open_engine(model.config, model.weights)
    state, found = engine.initial_state(ids.shape[1]), []
    for given in ids:
        logits, state = engine.step(given, state)
        found.append(logits)
    return found


def some_ids(model: api.Model) -> Any:
    ids = np.random.default_rng(1).integers(0, model.config.start_id, (STEPS, 2))
    ids[0] = model.config.start_id
    return ids


# ---- a reader of ONNX, of what is written here and no more


def fields(data: bytes) -> list[tuple[int, Any]]:
    """The fields of one message of protobuf."""
    found, place = [], 0

    def varint() -> int:
        nonlocal place
        value = shift = 0
        while True:
            byte = data[place]
            place, value, shift = place + 1, value | (byte & 0x7F) << shift, shift + 7
            if byte < 0x80:
                return value - (1 << 64) if value >> 63 else value

    while place < len(data):
        key = varint()
        value: Any = varint() if key & 7 != 5 else None
        if key & 7 == 5:
            (value,) = struct.unpack("<f", data[place : place + 4])
            place += 4
        elif key & 7 == 2:
            place, value = place + value, data[place : place + value]
        found.append((key >> 3, value))
    return found


def all_of(message: list[tuple[int, Any]], number: int) -> list[Any]:
    return [value for each, value in message if each == number]


def tensor(data: bytes) -> tuple[str, Any]:
    message = fields(data)
    (kind,), (name,), raw = all_of(message, 2), all_of(message, 8), all_of(message, 9)
    return name.decode(), np.frombuffer(raw[0], {1: "<f4", 7: "<i8"}[kind]).reshape(all_of(message, 1))


def normalised(x: Any, gain: Any, bias: Any = 0, axis: int = 0, epsilon: float = 0.0) -> Any:
    x = x - x.mean(axis, keepdims=True)
    return gain * x / np.sqrt((x * x).mean(axis, keepdims=True) + epsilon) + bias


NODES: dict[str, Any] = {
    "Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide, "Neg": np.negative, "Tanh": np.tanh,
    "Exp": np.exp, "Log": np.log, "Relu": lambda x: np.maximum(x, 0), "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "Softplus": lambda x: np.logaddexp(0, x), "Gather": lambda table, ids: table[ids],
    "Gemm": lambda x, w, b=0, transB=0: x @ (w.T if transB else w) + b, "LayerNormalization": normalised,
    "LogSoftmax": lambda x, axis: x - np.logaddexp.reduce(x, axis, keepdims=True),
    "Concat": lambda *parts, axis: np.concatenate(parts, axis), "Sum": lambda *parts: sum(parts),
    "Max": lambda *parts: np.maximum.reduce(parts),
    "Slice": lambda x, start, stop, axis: np.take(x, range(start[0], stop[0]), axis[0]),
}  # fmt: skip


def run(graph: list[tuple[int, Any]], given: dict[str, Any]) -> list[Any]:
    """The outputs of a graph."""
    values = dict(map(tensor, all_of(graph, 5))) | given
    for data in all_of(graph, 1):
        node = fields(data)
        told = {}
        for attribute in map(fields, all_of(node, 5)):
            (name,), (kind,) = all_of(attribute, 1), all_of(attribute, 20)
            told[name.decode()] = all_of(attribute, {1: 2, 2: 3}[kind])[0]
        inputs = [values[name.decode()] for name in all_of(node, 1)]
        values[all_of(node, 2)[0].decode()] = NODES[all_of(node, 4)[0].decode()](*inputs, **told)
    return [values[fields(each)[0][1].decode()] for each in all_of(graph, 12)]


@each("name", MODELS)
def test_each_network_is_a_step_model_with_the_engines_logits(name: str) -> None:
    model = api.load(GOLDEN / name, counts=False)
    data = FORMATS["onnx"](model, "x")["model.onnx"]
    (graph,) = (fields(body) for body in all_of(fields(data), 7))
    inputs = [fields(each)[0][1].decode() for each in all_of(graph, 11)]
    assert inputs == ["ids", *(f"state_{number}" for number in range(len(inputs) - 1))]
    states = [np.zeros((2, model.config.hidden), np.float32) for _ in inputs[1:]]
    ids = some_ids(model)
    for given, logits in zip(ids, expected_logits(model, ids), strict=True):
        found, *states = run(graph, dict(zip(inputs, [given, *states], strict=True)))
        np.testing.assert_allclose(found, logits, rtol=1e-6, atol=1e-5)


class Session:
    """A stand-in for onnxruntime's, with the reader above."""

    def __init__(self, data: bytes, options: object) -> None:
        (self.graph,) = (fields(body) for body in all_of(fields(data), 7))

    def get_inputs(self) -> list[Any]:
        found = []
        for one in map(fields, all_of(self.graph, 11)):
            tensor_type = fields(fields(fields(one[1][1])[0][1])[1][1])
            found.append(
                SimpleNamespace(name=one[0][1].decode(), shape=[fields(axis)[0][1] for _, axis in tensor_type])
            )
        return found

    def run(self, outputs: None, given: dict[str, Any]) -> list[Any]:
        return run(self.graph, given)


def test_what_onnxruntime_gives_is_held_against_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = SimpleNamespace(InferenceSession=Session, SessionOptions=SimpleNamespace, __version__="1.2")
    monkeypatch.setitem(sys.modules, "onnxruntime", runtime)
    monkeypatch.setattr(checking, "STEPS", 5)
    gru, other, both = (api.load(GOLDEN / f"f4-{name}") for name in ("cell-gru", "cell-gru-update", "run-members"))
    for model in (gru, both):
        told = checking.checked(FORMATS["onnx"](model, "x")["model.onnx"], model.config, model.weights)
        assert re.fullmatch(r"checked by onnxruntime 1.2: logits within \d\.\de-0[67] over 5 steps", told), told
    data = FORMATS["onnx"](gru, "x")["model.onnx"]
    with pytest.raises(CharrnnError, match="gives other logits, by"):
        checking.checked(data, other.config, gru.weights)
    # What goes a way of its own, and is right at each step.
    apart = iter([(1.0, 1e-5), (1e-6, 1e-5)])
    monkeypatch.setattr(checking, "_apart", lambda *_, own_states: next(apart))
    assert "logits within 1.0e-06 at each step; over 5 steps rounding grows to 1.0e+00" in checking.checked(
        data, gru.config, gru.weights
    )


# ---- programs


@each("name", MODELS)
def test_the_program_in_numpy_has_the_engines_logits_and_the_tokenizers_ids(name: str, tmp_path: Path) -> None:
    model = api.load(GOLDEN / name, counts=False)
    files = FORMATS["npz"](model, "x")
    for file, data in files.items():
        (tmp_path / file).write_bytes(data)
    program = runpy.run_path(str(tmp_path / "example.py"))
    ids = some_ids(model)
    states = program["first_states"](2)
    assert len(states) == len(json.loads(files["config.json"])["states"])
    for given, logits in zip(ids, expected_logits(model, ids), strict=True):
        found, states = program["step"](given, states)
        np.testing.assert_allclose(found, logits, rtol=1e-6, atol=1e-5)
    # Characters have to be known; bytes and subwords hold whatever comes.
    text = "The heron and the "
    if model.tokenizer.kind != "char":
        text += "ünter▁▁  x\0\r\n\n the theatre" + (GOLDEN / "text.txt").read_text("utf-8")[:600]
    assert program["encode"](text) == model.tokenizer.encode(text).tolist()
    assert program["decode"](program["encode"](text)) == text


def test_a_program_writes_by_itself_what_the_likeliest_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = api.load(GOLDEN / "f4-run-lines", counts=False)
    model.export(tmp_path / "a", format="npz")
    monkeypatch.setattr(sys, "argv", ["example.py", "The ", "0", "30"])
    runpy.run_path(str(tmp_path / "a/example.py"), run_name="__main__")
    written = model.sample("The ", temperature=0.0, length=30, precision="fp32", echo=True)
    assert capsys.readouterr().out == f"{written}\n"
    program = runpy.run_path(str(tmp_path / "a/example.py"))
    ended = np.eye(len(program["PIECES"]) + 1)[[program["START"]]]
    program["write"].__globals__["step"] = lambda ids, states: (99 * ended, states)
    assert program["write"]() == "", "the end of a line is no text"


def test_brackets_stand_where_they_are_needed() -> None:
    class Odd(Connection):
        def join(self, y: Any, x: Any) -> Any:
            return y - (x - (y - 1)) / (x / (y / 3)) * (2 - x)

    lines: dict[str, Any] = {}
    exec(join_source(Odd, 4, norm=False), {}, lines)
    y, x = np.random.default_rng(0).standard_normal((2, 3, 4))
    np.testing.assert_allclose(lines["join"](y, x, {}), Odd({}, None).join(y, x))  # type: ignore[arg-type]


def test_what_ends_a_string_in_a_name_ends_no_program(tmp_path: Path) -> None:
    model = api.load(GOLDEN / "f4-cell-rnn")
    (tmp_path / 'a"""\n\\').mkdir()
    (tmp_path / 'a"""\n\\' / "model.safetensors").write_bytes(model.header.path.read_bytes())
    for form in ("npz", "onnx"):
        compile(FORMATS[form](api.load(tmp_path / 'a"""\n\\'), "x")["example.py"], "example.py", "exec")


# ---- folders


def test_a_folder_for_the_hub_is_the_model_itself_without_anybodys_paths(
    charrnn: CommandLine, trained: Path, tmp_path: Path
) -> None:
    model = api.load("small", checkpoints=trained)
    assert str(trained.parent) in str(model.header.metadata), "or there is nothing to leave out"
    done = charrnn("export", "small", "--checkpoints", str(trained), "--format", "hf", "-o", "a/b")
    assert done.code == 0 and "written: a/b/README.md" in done.err, done.err
    again = api.load("a/b")
    assert again == model and again.header.summary["corpus"] == ["corpus.txt"]
    for file in Path("a/b").iterdir():
        assert str(trained.parent).encode() not in file.read_bytes(), file
    card = Path("a/b/README.md").read_text("utf-8")
    _, front, text = card.split("---\n", 2)
    assert "license: unknown" in front and "# language:" in front
    told = model.header.counts
    figure = (told.alone if told and told.alone else model.header.summary["loss"]) / np.log(2)
    assert f"| network{' alone' if model.counts else ''} | {figure:.4f} |" in text
    assert 'charrnn.load("b")' in text and str(model.header.summary["sha256"]) in text
    (results,) = (json.loads(line.split(":", 1)[1]) for line in front.splitlines() if line.startswith("  results:"))
    assert results[0]["metrics"][-1]["value"] == pytest.approx(figure, abs=1e-4)


def test_counts_are_in_the_model_itself_alone_and_both_figures_are_told(tmp_path: Path) -> None:
    model = api.load(GOLDEN / "f5-counts")
    told = model.header.counts
    assert model.counts is not None and told is not None
    model.export(tmp_path / "hf", format="hf")
    assert api.load(tmp_path / "hf") == model
    api.load(GOLDEN / "f5-counts", counts=False).export(tmp_path / "alone", format="hf")
    alone = api.load(tmp_path / "alone")
    assert alone.counts is None and alone.header.counts is None
    (note,) = model.export(tmp_path / "npz", format="npz").notes
    assert note.startswith("the network alone, without the counts of its training text")
    if told.alone is not None and told.loss is not None:
        assert f": {told.alone / np.log(2):.3f} bits per character, {told.loss / np.log(2):.3f} with them" in note


def test_files_that_are_there_stay_unless_they_are_to_be_replaced(
    charrnn: CommandLine, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    line = ["export", "lines", "--checkpoints", str(trained)]
    done = charrnn(*line)
    assert done.code == 0 and "not checked: pip install 'charrnn[onnx]'" in done.err, done.err
    files = {file.name: file.read_bytes() for file in Path("lines-onnx").iterdir()}
    assert set(files) == {"model.onnx", "tokenizer.json", "example.py"}
    told = json.loads(files["tokenizer.json"])
    assert told["end"] == told["start"] == len(told["pieces"]), "of lines, which end"
    Path("lines-onnx/model.onnx").write_bytes(b"mine")
    refused = charrnn(*line)
    assert refused.code == 1 and re.search("lines-onnx has a model.onnx already: --force .* --output", refused.err)
    assert Path("lines-onnx/model.onnx").read_bytes() == b"mine"
    assert charrnn(*line, "--force").code == 0
    assert {file.name: file.read_bytes() for file in Path("lines-onnx").iterdir()} == files
    Path("file").touch()
    assert charrnn(*line, "-o", "file/x").code == 1


@pytest.mark.slow
def test_every_command_of_the_guide_runs(charrnn: CommandLine, trained: Path) -> None:
    shutil.copytree(trained / "small", "checkpoints/fables")
    guide = (GOLDEN.parents[1] / "docs/export.md").read_text("utf-8")
    for block in re.findall(r"```sh\n(.*?)```", guide, re.DOTALL):
        for line in map(shlex.split, block.splitlines()):
            if line[0] == "charrnn":
                done = charrnn(*line[1:])
                assert done.code == 0, (line, done.err)
            elif "npz" in line[1]:  # the other program needs onnxruntime
                subprocess.run([sys.executable, *line[1:]], check=True, stdout=subprocess.DEVNULL)
    for block in re.findall(r"```python\n(.*?)```", guide, re.DOTALL):
        exec(compile(block, "docs/export.md", "exec"), {})
    told = json.loads(Path("fables-npz/tokenizer.json").read_text("utf-8"))
    assert re.findall(r"^\| `(\w+)` \|", guide, re.MULTILINE) == ["kind", "pieces", "start", "end"]
    assert set(told) == {"kind", "pieces", "start", "end"}


def test_what_cannot_be_exported_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    model = api.load(GOLDEN / "f4-run-bidirectional")
    assert any("reads forwards alone" in note for note in model.export(tmp_path / "a", format="npz").notes)
    with pytest.raises(ConfigError, match="`format` must be onnx, hf or npz, not 'gguf'"):
        model.export(tmp_path, format="gguf")
    monkeypatch.setattr(onnx, "MOST_BYTES", 5000)
    with pytest.raises(CharrnnError, match="a file of ONNX holds 2 GB"):
        model.export(tmp_path, format="onnx")
    assert tuple(FORMATS) == EXPORTED
