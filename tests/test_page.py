"""A page with the model inside: whole, with the weights of int8. What it writes: tests/extras/test_pages.py."""

import base64
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from charrnn import api
from charrnn.config import ModelConfig
from charrnn.errors import ConfigError
from charrnn.export import page as export
from charrnn.export.page import live_page
from charrnn.models.weights import weight_shapes
from charrnn.text.tokenizers import Tokenizer
from charrnn.text.tokenizers.byte import ByteTokenizer
from charrnn.text.tokenizers.char import CharTokenizer

from .cases import each
from .conftest import CommandLine


def made(tokenizer: Tokenizer | None = None, **network: Any) -> str:
    """The page of a small network."""
    tokenizer = tokenizer or CharTokenizer("abc </")
    sizes = {"hidden": 5, "embedding": 3, "layers": 2} | network
    config = ModelConfig(vocab_size=tokenizer.size, start_id=tokenizer.size, **sizes)
    generator = np.random.default_rng(1)
    weights = {name: generator.standard_normal(shape, np.float32) for name, shape in weight_shapes(config).items()}
    return live_page(config, weights, tokenizer, "a <name>")


def record_in(page: str) -> dict[str, Any]:
    """What the script reads."""
    found = re.search(r'<script type="application/json" id="model">(.*?)</script>', page, re.DOTALL)
    assert found
    record: dict[str, Any] = json.loads(found[1])
    return record


def array(text: str, dtype: str) -> Any:
    return np.frombuffer(base64.b64decode(text), dtype)


def test_the_file_is_whole_by_itself() -> None:
    page = made()
    assert "<title>a &lt;name&gt; writes</title>" in page and "{{" not in page.split("<script>")[0]
    assert not re.search(r"""(src|href)=|url\(|@import|https?:|\bfetch\(|XMLHttpRequest|WebSocket""", page)
    assert "default-src 'none'" in page
    assert page.count("</script>") == 2, "the model's name and symbols end no script"


@pytest.mark.slow
def test_the_weights_are_those_of_the_checkpoint_in_8_bits(trained: Path, charrnn: CommandLine) -> None:
    done = charrnn("page", str(trained / "small"), "-o", "x.html")
    assert done.code == 0 and re.search(r"written: x\.html, [\d.]+ kB", done.err), done.err
    page, model = Path("x.html").read_text("utf-8"), api.load(trained / "small")
    record, config = record_in(page), model.config
    assert record["tokenizer"] == model.tokenizer.spec() and record["name"] == "small"
    assert (model.counts is not None) == ("without the counts" in page)
    shares = 4 * config.hidden
    for number, own in enumerate(record["networks"]):
        prefix = f"models.{number}." if config.ensemble > 1 else ""
        weights = {name.removeprefix(prefix): weight for name, weight in model.weights.items()}
        (layer,) = own["layers"]
        scale = 127 * array(layer["scale"], "<f4")  # outputs come in levels of 1/127
        held = array(layer["weight"], "i1").reshape(len(scale), -1) * scale[:, None]
        recurrent = weights["forwards.layers.0.rnn.weight_hh_l0"]
        head = weights["embedding.weight"][: config.vocab_size] if config.tie else weights["forwards.head"]
        meant = np.vstack([recurrent, head])
        assert (np.abs(held - meant) <= 0.501 * scale[:, None]).all(), "half a level, no more"
        assert np.array_equal(array(layer["bias"], "<f4"), weights["forwards.bias"])
        biases = sum(weights[f"forwards.layers.0.rnn.bias_{kind}_l0"] for kind in ("ih", "hh"))
        inputs = weights["embedding.weight"] @ weights["forwards.layers.0.rnn.weight_ih_l0"].T + biases
        np.testing.assert_allclose(array(own["table"], "<f4").reshape(-1, shares), inputs, atol=1e-4)


@each(
    "network, words",
    [
        ({"bidirectional": True}, "cannot hold a bidirectional model"),
        ({"cell": "indrnn"}, "not indrnn"),
        ({"skip": "residual"}, "residual"),
        ({"norm": True}, "layer norm"),
    ],
)
def test_what_a_page_has_no_step_for_is_refused(network: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        made(**network)


def test_subwords_and_large_models_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = ByteTokenizer()
    monkeypatch.setattr(type(tokenizer), "kind", "subword")
    monkeypatch.setattr(type(tokenizer), "unit", "subwords")
    with pytest.raises(ConfigError, match="characters or bytes, not of subwords"):
        made(tokenizer)
    monkeypatch.setattr(export, "MOST_BYTES", 10_000)
    with pytest.raises(ConfigError, match="the page would have"):
        made()


def test_each_network_of_an_ensemble_is_in_it() -> None:
    tables = {own["table"] for own in record_in(made(cell="gru", ensemble=3))["networks"]}
    assert len(tables) == 3
