"""A page with the model inside: whole, with the weights of int8. What it writes: tests/extras/test_pages.py."""

import base64
import json
import math
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from charrnn import api
from charrnn.config import ModelConfig
from charrnn.errors import ConfigError
from charrnn.export import page as export
from charrnn.export.packed import KINDS
from charrnn.export.page import LivePage, live_page
from charrnn.models.counts.experts import Experts
from charrnn.models.counts.kept import ALL, KeptCounts
from charrnn.models.counts.mixture import Gate
from charrnn.models.weights import weight_shapes
from charrnn.storage.header import CountsSummary
from charrnn.text.tokenizers import Tokenizer
from charrnn.text.tokenizers.byte import ByteTokenizer
from charrnn.text.tokenizers.char import CharTokenizer

from .cases import each
from .conftest import CommandLine


def made(tokenizer: Tokenizer | None = None, beside: Experts | None = None, **network: Any) -> LivePage:
    """The page of a small network, with counts beside it or without."""
    tokenizer = tokenizer or CharTokenizer("abc </")
    sizes = {"hidden": 5, "embedding": 3, "layers": 2} | network
    config = ModelConfig(vocab_size=tokenizer.size, start_id=tokenizer.size, **sizes)
    generator = np.random.default_rng(1)
    weights = {name: generator.standard_normal(shape, np.float32) for name, shape in weight_shapes(config).items()}
    counts = None if beside is None else KeptCounts(beside, {ALL: Gate.constant([1.0] + [0.5] * len(beside.each))})
    summary = CountsSummary(tokens=3, bytes=4, alone=2 * math.log(2), loss=math.log(2))
    header = SimpleNamespace(counts=summary if counts else None, summary={})
    model: Any = SimpleNamespace(
        config=config, weights=weights, tokenizer=tokenizer, name="a <name>", counts=counts, header=header
    )
    return live_page(model)


def record_in(page: str) -> dict[str, Any]:
    """What the script reads."""
    found = re.search(r'<script type="application/json" id="model">(.*?)</script>', page, re.DOTALL)
    assert found
    record: dict[str, Any] = json.loads(found[1])
    return record


def arrays_in(page: str) -> Callable[[list[Any]], Any]:
    """What gives an array of the page by its place."""
    found = re.search(r'<script type="text/plain" id="arrays">(.*?)</script>', page, re.DOTALL)
    assert found
    bytes_ = zlib.decompress(base64.b85decode(found[1].replace("/", "<"))[: record_in(page)["bytes"]])

    def array(place: list[Any]) -> Any:
        kind, first, size, apart = place
        dtype = {number: dtype for dtype, number in KINDS.items()}[kind]
        own, width = np.frombuffer(bytes_, np.uint8, size, first), np.dtype(dtype).itemsize
        return np.frombuffer((own.reshape(width, -1).T if apart else own).tobytes(), np.dtype(dtype).newbyteorder("<"))

    return array


def test_the_file_is_whole_by_itself() -> None:
    page = made().html
    assert "<title>a &lt;name&gt; writes</title>" in page and "{{" not in page.split("<script>")[0]
    assert not re.search(r"""(src|href)=|url\(|@import|https?:|\bfetch\(|XMLHttpRequest|WebSocket""", page)
    assert "default-src 'none'" in page
    assert page.count("</script>") == 3, "the model's name and symbols end no script"


@pytest.mark.slow
def test_the_weights_are_those_of_the_checkpoint_in_8_bits(trained: Path, charrnn: CommandLine) -> None:
    done = charrnn("page", str(trained / "small"), "-o", "x.html")
    assert done.code == 0 and re.search(
        r"beside the counts of its training text: .*\nwritten: x\.html, [\d.]+ MB", done.err
    ), done.err
    page, model = Path("x.html").read_text("utf-8"), api.load(trained / "small")
    record, config, array = record_in(page), model.config, arrays_in(page)
    assert record["tokenizer"] == model.tokenizer.spec() and record["name"] == "small"
    assert (model.counts is not None) == (record["counts"] is not None) and not record["alone"]
    shares = 4 * config.hidden
    for number, own in enumerate(record["networks"]):
        prefix = f"models.{number}." if config.ensemble > 1 else ""
        weights = {name.removeprefix(prefix): weight for name, weight in model.weights.items()}
        (layer,) = own["layers"]
        scale = 127 * array(layer["scale"])  # outputs come in levels of 1/127
        held = array(layer["weight"]).reshape(len(scale), -1) * scale[:, None]
        recurrent = weights["forwards.layers.0.rnn.weight_hh_l0"]
        head = weights["embedding.weight"][: config.vocab_size] if config.tie else weights["forwards.head"]
        meant = np.vstack([recurrent, head])
        assert (np.abs(held - meant) <= 0.501 * scale[:, None]).all(), "half a level, no more"
        assert np.array_equal(array(layer["bias"]), weights["forwards.bias"])
        biases = sum(weights[f"forwards.layers.0.rnn.bias_{kind}_l0"] for kind in ("ih", "hh"))
        inputs = weights["embedding.weight"] @ weights["forwards.layers.0.rnn.weight_ih_l0"].T + biases
        np.testing.assert_allclose(array(own["table"]).reshape(-1, shares), inputs, atol=1e-4)


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
    page = made(cell="gru", ensemble=3).html
    tables = {arrays_in(page)(own["table"]).tobytes() for own in record_in(page)["networks"]}
    assert len(tables) == 3


def test_counts_are_in_it_bit_by_bit_where_they_fit_and_else_a_line_says_what_writes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tokens = np.random.default_rng(2).integers(0, 6, 500).astype(np.uint8)
    experts = Experts.count(tokens, 6, letters=np.array([0, 1, 2, -1, -1, -1]))
    page = made(beside=experts)
    assert page.told.endswith("beside the counts of its training text: 1.000 bits a token; 2.000 by the network alone.")
    counts, array = record_in(page.html)["counts"], arrays_in(page.html)
    for expert, own in zip(experts.each, counts["experts"], strict=True):
        assert own["contexts"] == list(expert.contexts)
        for number, level in zip(own["levels"], expert.levels, strict=True):
            held = counts["levels"][number]
            assert np.array_equal(np.cumsum(array(held["lengths"])), level.firsts[1:])
            for name in ("symbols", "shares", "rests"):
                assert array(held[name]).tobytes() == getattr(level, name).tobytes()
    assert [array(hashes).tobytes() for hashes in counts["words"]] == [word.hashes.tobytes() for word in experts.words]
    assert array(counts["base"]).tobytes() == experts.base.tobytes() and array(counts["letters"])[3] == -1
    monkeypatch.setattr(export, "MOST_BYTES", len(page.html) - 1)
    alone = made(beside=experts)
    assert "its network writes alone: 2.000 bits a token; 1.000 with them." in alone.told and alone.told in alone.html
    assert record_in(alone.html)["counts"] is None and record_in(alone.html)["alone"]


def test_a_page_has_less_than_one_and_a_half_times_its_weights_of_8_bits() -> None:
    page = made(hidden=256, embedding=96)
    scripts = len(made().html)
    count = sum(
        math.prod(shape)
        for shape in weight_shapes(ModelConfig(vocab_size=6, start_id=6, hidden=256, embedding=96, layers=2)).values()
    )
    assert len(page.html) - scripts < 1.3 * count
