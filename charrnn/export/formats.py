"""The forms that a model is exported in, each as the files of one folder."""

import io
from collections.abc import Callable
from pathlib import PurePath
from typing import Any

import numpy as np

from charrnn.export.card import model_card
from charrnn.export.examples import numpy_example, onnx_example
from charrnn.export.formulas import formulas
from charrnn.export.network import record_step
from charrnn.export.onnx import onnx_model
from charrnn.export.trained import Trained, config_json, plain_names, states_of, tokenizer_json
from charrnn.schema import to_json_text
from charrnn.storage.checkpoint import packed

# Each file by its name.
Files = dict[str, bytes]

MODEL, CARD, WEIGHTS = "model.onnx", "README.md", "weights.npz"


def onnx(model: Trained, folder: str) -> Files:
    """A step model in ONNX. Raises ConfigError where it would be too large."""
    weights = model.weights
    about = {"config": to_json_text(model.config.to_json()), "states": to_json_text(states_of(model.config))}
    names = plain_names(weights)
    return {
        MODEL: onnx_model(record_step(model.config, weights), names, about),
        "tokenizer.json": tokenizer_json(model.tokenizer, model.config),
        "example.py": onnx_example(model.name, model.tokenizer).encode(),
    }


def hf(model: Trained, folder: str) -> Files:
    """A folder as Hugging Face has it, which charrnn loads as well."""
    return {
        CARD: model_card(model, folder).encode(),
        "model.safetensors": packed(_published(model), model.weights, model.counts),
        "config.json": config_json(model),
        "tokenizer.json": tokenizer_json(model.tokenizer, model.config),
    }


def npz(model: Trained, folder: str) -> Files:
    """Weights under plain names, what they mean, and a program in NumPy."""
    kept = io.BytesIO()
    np.savez(kept, **plain_names(model.weights))
    return {
        CARD: formulas(model).encode(),
        WEIGHTS: kept.getvalue(),
        "config.json": config_json(model),
        "tokenizer.json": tokenizer_json(model.tokenizer, model.config),
        "example.py": numpy_example(model.name, model.tokenizer, model.config).encode(),
    }


FORMATS: dict[str, Callable[[Trained, str], Files]] = {"onnx": onnx, "hf": hf, "npz": npz}


def _published(model: Trained) -> dict[str, Any]:
    """What a file says of itself, without where its texts lie on somebody's machine."""
    record = {name: value for name, value in model.header.metadata.items() if name != "resume"}
    training = {name: value for name, value in model.header.summary.items() if name != "counts" or model.counts}
    if "corpus" in training:
        training["corpus"] = _names(training["corpus"])
    if split := training.get("split"):
        texts = {name: _names([split[name]])[0] for name in ("valid_file", "test_file") if split.get(name)}
        training["split"] = {**split, "sources": _names(split["sources"]), **texts}
    return {**record, "training": training}


def _names(paths: list[str]) -> list[str]:
    return [PurePath(path).name for path in paths]
