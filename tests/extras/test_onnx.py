"""Step models in the real onnxruntime: `pytest tests/extras`, with the extra `onnx` and the package onnx installed."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from charrnn import api
from charrnn.config import ModelConfig
from charrnn.errors import CharrnnError
from charrnn.export import checking
from charrnn.export.checking import checked
from charrnn.export.formats import FORMATS
from charrnn.export.network import record_step
from charrnn.export.onnx import onnx_model
from charrnn.models.ensemble import build
from tests.cases import each
from tests.test_export import GOLDEN, MODELS

pytestmark = pytest.mark.filterwarnings("default")


@each("name", MODELS)
def test_every_network_is_valid_onnx_and_near_to_the_engine_for_a_thousand_steps(name: str) -> None:
    import onnx

    model = api.load(GOLDEN / name, counts=False)
    data = FORMATS["onnx"](model, "x")["model.onnx"]
    onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
    told = re.fullmatch(r"checked by onnxruntime [\d.]+: logits within (\S+) over 1,000 steps",
                        checked(data, model.config, model.weights))  # fmt: skip
    assert told and float(told[1]) <= 1e-5


def test_where_rounding_grows_each_step_is_near_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "STEPS", 300)
    config = ModelConfig(vocab_size=90, start_id=90, cell="lstm-layernorm", hidden=128, embedding=64, layers=2)
    network = build(config)
    network.initialise(torch.Generator().manual_seed(1))
    weights = {name: weight.numpy() for name, weight in network.state_dict().items()}
    data = onnx_model(record_step(config, weights), weights, {})
    told = re.search(r"logits within (\S+) at each step; .* rounding grows to (\S+) in", checked(data, config, weights))
    assert told and float(told[1]) <= 1e-5 < float(told[2])


def test_another_network_is_told_and_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, other = api.load(GOLDEN / "f4-cell-gru"), api.load(GOLDEN / "f4-cell-gru-update")
    monkeypatch.setitem(FORMATS, "onnx", lambda _, folder: {"model.onnx": right(other, folder)["model.onnx"]})
    with pytest.raises(CharrnnError, match="onnxruntime gives other logits, by"):
        model.export(tmp_path / "x")
    assert not (tmp_path / "x").exists()


right = FORMATS["onnx"]


def test_the_program_beside_it_writes(tmp_path: Path) -> None:
    for name in ("f4-run-lines", "f4-run-byte", "f4-run-subword"):
        model = api.load(GOLDEN / name, counts=False)
        notes = model.export(tmp_path / name).notes
        assert "checked by onnxruntime" in notes[-1]
        line = [sys.executable, str(tmp_path / name / "example.py"), "The ", "0", "30"]
        done = subprocess.run(line, capture_output=True, check=True)
        expected = model.sample("The ", temperature=0.0, length=30, precision="fp32", echo=True)
        assert isinstance(expected, str) and len(done.stdout.decode()) > 20
        # The program counts tokens; what is cut within a character ends in U+FFFD.
        shorter, longer = sorted((done.stdout.decode().rstrip("\n\ufffd"), expected.rstrip("\n\ufffd")), key=len)
        assert longer.startswith(shorter), done.stderr


def test_rows_do_not_touch_each_other() -> None:
    import onnxruntime

    model = api.load(GOLDEN / "f4-run-tied-residual-norm")
    session = onnxruntime.InferenceSession(FORMATS["onnx"](model, "x")["model.onnx"])

    def read(ids: Any) -> list[Any]:
        states = {each.name: np.zeros((ids.shape[1], each.shape[1]), np.float32) for each in session.get_inputs()[1:]}
        found = []
        for given in ids:
            logits, *after = session.run(None, {"ids": given, **states})
            states = dict(zip(states, after, strict=True))
            found.append(logits)
        return found

    ids = np.random.default_rng(0).integers(0, model.config.start_id, (20, 3))
    for whole, alone in zip(read(ids), read(ids[:, 1:2]), strict=True):
        np.testing.assert_allclose(whole[1:2], alone, atol=1e-5)
