"""Going on from a trained model: a symbol keeps what was learned of it, and nothing is ever made worse."""

import itertools
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor

from charrnn import api
from charrnn.config import ModelConfig, TrainOptions
from charrnn.errors import CharrnnError, CheckpointError, ConfigError, RunError
from charrnn.models.cells import CELLS
from charrnn.models.ensemble import Network
from charrnn.models.language_model import LanguageModel
from charrnn.scoring.token_nll import token_nll
from charrnn.storage.checkpoint import read_header, write
from charrnn.text.tokenizers import Tokenizer
from charrnn.text.tokenizers.byte import ByteTokenizer
from charrnn.text.tokenizers.char import CharTokenizer
from charrnn.text.tokenizers.subword import SubwordTokenizer
from charrnn.training.events import Note
from charrnn.training.finetune import Source
from charrnn.training.recording import Training
from charrnn.training.resume import resume
from charrnn.training.run import start
from tests.saving import model_tensors

from .conftest import CommandLine

Logits = npt.NDArray[np.float64]

TEXT = "a cab, a bead\nfeed a bee\n" * 3
SMALL = {"hidden": 12, "embedding": 8, "layers": 1, "batch_size": 4, "bptt": 16, "threads": 1, "seed": 3}

# -- vocabularies ----------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=25)
@given(st.lists(st.characters(), min_size=1, max_size=12, unique=True), st.lists(st.text(max_size=8), max_size=4))
def test_a_vocabulary_of_characters_is_extended_in_code_point_order(symbols: list[str], pieces: list[str]) -> None:
    tokenizer = CharTokenizer("".join(symbols))
    larger = tokenizer.extended(iter(pieces))
    by_hand = []
    for point in sorted({ord(character) for character in [*symbols, *"".join(pieces)]}):
        by_hand.append(chr(point))
    assert isinstance(larger, CharTokenizer)
    assert list(larger.symbols) == by_hand and larger.size == len(by_hand)
    ids = tokenizer.ids_in(larger)
    assert ids.dtype == np.int64
    assert ids.tolist() == [by_hand.index(symbol) for symbol in symbols]
    text = "".join([*symbols, *pieces])
    assert larger.decode(larger.encode(text).tolist()) == text


@pytest.mark.parametrize("tokenizer", [ByteTokenizer(), SubwordTokenizer.train([TEXT], 275)], ids=["byte", "subword"])
def test_bytes_and_subwords_hold_every_text_as_they_are(tokenizer: Tokenizer) -> None:
    larger = tokenizer.extended(iter(["über \N{SNOWMAN}"]))
    assert larger is tokenizer
    assert tokenizer.ids_in(larger).tolist() == list(range(tokenizer.size))


# -- weights ---------------------------------------------------------------------------------------------------------


def network_of(tokenizer: Tokenizer, *, documents: bool = False, seed: int = 0, **fields: Any) -> LanguageModel:
    """A network none of whose weights is special."""
    chosen = {"embedding": 6, "hidden": 6, "layers": 2, **fields}
    network = LanguageModel(ModelConfig(vocab_size=tokenizer.size + documents, start_id=tokenizer.size, **chosen))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.6 * torch.randn(parameter.shape, generator=generator))
    return network.eval()


def saved(path: Path, network: LanguageModel, tokenizer: Tokenizer) -> Source:
    training = {"documents": "lines" if network.config.documents else "stream"}
    record = {"model": network.config.to_json(), "tokenizer": tokenizer.spec(), "training": training}
    write(path, model_tensors(network), record)
    return Source.read(path)


def read_text(network: Network, ids: npt.NDArray[Any]) -> Logits:
    """Logits (T, V) before each of these ids, in float64."""
    tokens = torch.tensor([[network.config.start_id, *ids[:-1].tolist()]])
    network.double().eval()
    with torch.no_grad():
        logits, _ = network(tokens, network.initial_states(1))
    found: Logits = logits[0].numpy()
    return found


every_shape = pytest.mark.parametrize(
    ("fields", "documents"),
    [
        ({}, True),
        ({"tie": True}, False),
        ({"tie": True}, True),
        ({"cell": "lstm-layernorm"}, False),
        ({"cell": "gru"}, True),
    ],
    ids=str,
)


@every_shape
def test_a_permuted_vocabulary_is_no_cipher(tmp_path: Path, fields: dict[str, Any], documents: bool) -> None:
    """No symbol is new, but all ids move: each text is worth what it was, to the last symbol."""
    tokenizer = CharTokenizer("\nfdb ace,")
    old = network_of(tokenizer, documents=documents, **fields)
    before = read_text(old, tokenizer.encode(TEXT))
    source = saved(tmp_path / "m", old.float(), tokenizer)
    larger = source.tokenizer.extended([TEXT])
    assert larger.encode("fdb").tolist() != tokenizer.encode("fdb").tolist()
    new = network_of(larger, documents=documents, seed=9, **fields)
    source.give(new, larger)

    after = read_text(new, larger.encode(TEXT))
    for token, symbol in enumerate(tokenizer.symbols):
        place = larger.encode(symbol)[0]
        np.testing.assert_allclose(after[:, place], before[:, token], rtol=0, atol=1e-12)
    if documents:
        np.testing.assert_allclose(after[:, -1], before[:, -1], rtol=0, atol=1e-12)


def nll(logits: Logits, ids: npt.NDArray[Any]) -> float:
    """One symbol after another."""
    total = 0.0
    for row, token in zip(logits, ids, strict=True):
        total += math.log(math.fsum(math.exp(value) for value in row)) - row[token]
    return total


@pytest.mark.parametrize("fields", [{}, {"tie": True}, {"cell": "gru"}], ids=str)
def test_a_text_without_new_symbols_scores_exactly_the_same(tmp_path: Path, fields: dict[str, Any]) -> None:
    tokenizer = CharTokenizer.train([TEXT])
    old = network_of(tokenizer, **fields)
    source = saved(tmp_path / "m", old, tokenizer)
    larger = source.tokenizer.extended(["a bee"])
    new = network_of(larger, seed=9, **fields)
    source.give(new, larger)
    assert all(torch.equal(tensor, old.state_dict()[name]) for name, tensor in new.state_dict().items())
    ids = tokenizer.encode(TEXT)
    tokens = ids.astype(np.uint8)
    assert np.array_equal(token_nll(old, tokens), token_nll(new, tokens))
    assert nll(read_text(old, ids), ids) == nll(read_text(new, ids), ids)


@every_shape
def test_new_symbols_change_no_logit_of_old_ones(tmp_path: Path, fields: dict[str, Any], documents: bool) -> None:
    tokenizer = CharTokenizer.train([TEXT])
    old = network_of(tokenizer, documents=documents, **fields)
    source = saved(tmp_path / "m", old, tokenizer)
    larger = source.tokenizer.extended(["Zebra!", "été"])
    added = [larger.symbol(token) for token in range(larger.size) if larger.symbol(token) not in tokenizer.symbols]
    assert {"Z", "r", "!", "é", "t"} <= set(added)
    new = network_of(larger, documents=documents, seed=9, **fields)
    fresh = new.embedding.weight.detach().clone()
    source.give(new, larger)

    before, after = read_text(old, tokenizer.encode(TEXT)), read_text(new, larger.encode(TEXT))
    places = [int(larger.encode(symbol)[0]) for symbol in tokenizer.symbols]
    np.testing.assert_allclose(after[:, places], before[:, : tokenizer.size], rtol=0, atol=1e-12)
    if documents:
        np.testing.assert_allclose(after[:, -1], before[:, -1], rtol=0, atol=1e-12)
    new_places = sorted(set(range(larger.size)) - set(places))
    assert torch.equal(new.embedding.weight[new_places].float(), fresh[new_places])
    if not fields.get("tie"):
        np.testing.assert_allclose(after[:, new_places], float(old.forwards.bias.detach().min()), rtol=0, atol=1e-12)
    # All that a symbol can lose is what the new ones take.
    loss, with_new = (nll(rows, t.encode(TEXT)) for rows, t in ((before, tokenizer), (after, larger)))
    assert loss < with_new


def test_a_stream_may_become_documents_and_documents_a_stream(tmp_path: Path) -> None:
    for tie, before, after in itertools.product((False, True), repeat=3):
        assert_documents_may_change(tmp_path, tie, before, after)


def assert_documents_may_change(tmp_path: Path, tie: bool, before: bool, after: bool) -> None:
    tokenizer = CharTokenizer.train([TEXT])
    old = network_of(tokenizer, documents=before, tie=tie)
    source = saved(tmp_path / "m", old, tokenizer)
    assert source.documents == ("lines" if before else "stream")
    larger = source.tokenizer.extended(["Z"])
    new = network_of(larger, documents=after, tie=tie, seed=9)
    source.give(new, larger)
    assert torch.equal(new.embedding.weight[larger.size], old.embedding.weight[tokenizer.size])

    rows, others = read_text(old, tokenizer.encode(TEXT)), read_text(new, larger.encode(TEXT))
    assert others.shape[1] == larger.size + after
    places = [int(larger.encode(symbol)[0]) for symbol in tokenizer.symbols]
    np.testing.assert_allclose(others[:, places], rows[:, : tokenizer.size], rtol=0, atol=1e-12)
    if after and before:
        np.testing.assert_allclose(others[:, -1], rows[:, -1], rtol=0, atol=1e-12)
    elif after and not tie:
        np.testing.assert_allclose(others[:, -1], float(old.forwards.bias.detach().min()), rtol=0, atol=1e-12)


def test_bytes_and_subwords_take_every_weight_as_it_is(tmp_path: Path) -> None:
    tokenizers: list[Tokenizer] = [ByteTokenizer(), SubwordTokenizer.train([TEXT], 275)]
    for number, cell in enumerate(CELLS):
        tokenizer = tokenizers[number % 2]
        old = network_of(tokenizer, cell=cell)
        source = saved(tmp_path / "m", old, tokenizer)
        larger = source.tokenizer.extended(["日本"])
        new = network_of(larger, cell=cell, seed=9)
        source.give(new, larger)
        assert all(torch.equal(tensor, old.state_dict()[name]) for name, tensor in new.state_dict().items()), cell


OTHERWISE = {"cell": "gru", "layers": 3, "hidden": 7, "embedding": 5, "tie": True, "tokenizer": "byte"}


def a_source(tmp_path: Path) -> Source:
    tokenizer = CharTokenizer.train([TEXT])
    return saved(tmp_path / "m", network_of(tokenizer), tokenizer)


def test_options_that_ask_for_another_network_or_tokenizer_are_refused(tmp_path: Path) -> None:
    source = a_source(tmp_path)
    for name, value in OTHERWISE.items():
        own = "char" if name == "tokenizer" else getattr(source.config, name)
        with pytest.raises(ConfigError) as caught:
            source.check(TrainOptions(**{name: value}))  # type: ignore[arg-type]
        assert str(caught.value) == (
            f"{tmp_path / 'm'} has {name} {own}, which stays: leave out `{name}`, or train anew without `start_from`"
        )
        source.check(TrainOptions(**{name: own}))  # type: ignore[arg-type]


def test_options_that_only_a_fresh_network_could_heed_are_refused(tmp_path: Path) -> None:
    options: dict[str, Any] = {"vocab_size": 500, "spectral_radius": 1.0}
    for name, value in options.items():
        with pytest.raises(ConfigError, match=f"leave out `{name}`, or `start_from`"):
            a_source(tmp_path).check(TrainOptions(**{name: value}))


def test_options_that_a_network_does_not_fix_may_be_chosen_anew(tmp_path: Path) -> None:
    a_source(tmp_path).check(
        TrainOptions(
            dropout=0.3, weight_drop=0.2, documents="paragraphs", batch_size=3, bptt=9, lr=1.0, weight_decay=0.1
        )
    )


def test_what_is_no_model_is_no_source(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(b"no model")
    with pytest.raises(CheckpointError):
        Source.read(tmp_path / "m")


# -- runs ------------------------------------------------------------------------------------------------------------


def options(corpus: Path, name: str, **more: object) -> TrainOptions:
    return TrainOptions(**{"corpus": (str(corpus),), "name": name, "seed": 3, "threads": 1, **more})  # type: ignore[arg-type]


def finish(training: Training) -> dict[str, Tensor]:
    """Train to the end; the weights of the best model."""
    for _ in training.events():
        pass
    return load_file(training.run.model)


def judged(training: Training) -> float:
    """The validation loss before the first step; nothing is trained."""
    first = next(iter(training.events()))
    best = training.trainer.best.loss
    assert best is not None and training.trainer.position.step == 0
    assert first == Note(f"before the first step: valid {best:.4f} nats per token")
    return best


@pytest.mark.slow
@pytest.mark.parametrize(
    "fields",
    [{}, {"documents": "lines"}, {"tokenizer": "byte", "cell": "gru"}, {"tokenizer": "subword", "vocab_size": 330}],
    ids=str,
)
def test_going_on_with_the_same_text_begins_exactly_where_the_model_ended(
    tmp_path: Path, corpus: Path, fields: dict[str, object]
) -> None:
    training = start(options(corpus, "a", steps=20, **{**SMALL, **fields}), checkpoints=tmp_path)
    finish(training)
    again = start(options(corpus, "b", steps=20, start_from="a"), checkpoints=tmp_path)
    assert again.notes[0] == f"goes on from {training.run.model}"
    assert again.data.split.documents == training.data.split.documents
    assert judged(again) == training.trainer.best.loss
    assert {**again.trainer.model.config.to_json(), "dropout": 0} == {
        **training.trainer.model.config.to_json(),
        "dropout": 0,
    }


def test_another_text_adds_its_symbols_and_the_old_one_is_worth_what_it_was(
    tmp_path: Path, corpus: Path, prose: str
) -> None:
    old = start(options(corpus, "a", steps=40, **SMALL), checkpoints=tmp_path)
    finish(old)
    other = tmp_path / "other.txt"
    other.write_text("¡Öl, Öde & Übel!\n" * 300, encoding="utf-8")
    training = start(options(other, "b", steps=10, start_from=str(old.run.model)), checkpoints=tmp_path)
    larger, tokenizer = training.data.tokenizer, old.data.tokenizer
    assert isinstance(larger, CharTokenizer) and isinstance(tokenizer, CharTokenizer)
    assert set(larger.symbols) == {*tokenizer.symbols, *"¡Öl, Öde & Übel!\n"}
    source = api.load("a", checkpoints=tmp_path).network
    text = prose[:2000]
    before = read_text(source, tokenizer.encode(text, unknown=True)[:1])
    after = read_text(training.trainer.model, larger.encode(text)[:1])
    places = tokenizer.ids_in(larger)
    np.testing.assert_allclose(after[:, places], before, rtol=0, atol=1e-12)


def test_new_symbols_are_improbable_at_first(tmp_path: Path, corpus: Path, prose: str) -> None:
    """Together they take less from a text than so many of the symbols that the model knows would by chance."""
    old = start(options(corpus, "a", steps=60, **{**SMALL, "lr": 0.04}), checkpoints=tmp_path)
    finish(old)
    other = tmp_path / "other.txt"
    other.write_text("¡ÖÜ" * 20 + prose, encoding="utf-8")
    training = start(options(other, "b", steps=10, start_from="a", valid=0.1), checkpoints=tmp_path)
    larger = training.data.tokenizer
    logits = read_text(training.trainer.model, larger.encode(prose[:1500], unknown=True))
    shares = np.exp(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).mean(axis=0)
    for symbol in "¡ÖÜ":
        assert shares[larger.encode(symbol)[0]] < 0.5 / larger.size


@pytest.mark.parametrize("rate", [30.0])
def test_a_model_is_never_made_worse(tmp_path: Path, corpus: Path, rate: float) -> None:
    """A rate at which everything is forgotten: what is kept is what was there, bit for bit."""
    best = finish(start(options(corpus, "a", steps=60, **{**SMALL, "lr": 0.02}), checkpoints=tmp_path))
    training = start(options(corpus, "b", steps=40, lr=rate, start_from="a"), checkpoints=tmp_path)
    kept = finish(training)
    assert kept.keys() == best.keys()
    assert all(torch.equal(kept[name], tensor) for name, tensor in best.items())
    assert read_header(training.run.model).summary["step"] == 0
    assert training.trainer.position.step > 0
    assert not all(torch.equal(kept[f"model.{n}"], t) for n, t in training.trainer.model.state_dict().items())


@pytest.mark.slow
def test_training_goes_on_and_makes_it_better(tmp_path: Path, corpus: Path) -> None:
    finish(start(options(corpus, "a", steps=40, **SMALL), checkpoints=tmp_path))
    training = start(options(corpus, "b", steps=60, lr=0.01, start_from="a", dropout=0), checkpoints=tmp_path)
    losses = [event["valid_loss"] for event in _metrics(training) if "valid_loss" in event]
    first = start(options(corpus, "c", steps=60, start_from="a"), checkpoints=tmp_path)
    assert training.trainer.best.loss == min(losses) < judged(first) - 0.05
    model = api.load("b", checkpoints=tmp_path, counts=False)
    assert model.score(api.held_out(model), unknown=True).loss == pytest.approx(min(losses), rel=1e-3)


def _metrics(training: Training) -> list[dict[str, Any]]:
    finish(training)
    return list(training.run.read_metrics())


@pytest.mark.slow
def test_a_run_that_goes_on_from_a_model_can_itself_be_resumed(tmp_path: Path, corpus: Path) -> None:
    finish(start(options(corpus, "a", steps=20, **SMALL), checkpoints=tmp_path))
    asked = options(corpus, "b", steps=60, start_from="a", save_every=20, dropout=0.2, weight_drop=0.3)
    whole = start(asked, checkpoints=tmp_path)
    finish(whole)
    first = start(TrainOptions.from_json({**asked.to_json(), "name": "c"}), checkpoints=tmp_path)
    for _ in first.events():
        if first.trainer.position.step >= 30:
            break
    again = resume("c", checkpoints=tmp_path)
    assert 20 <= again.trainer.position.step <= 30
    assert not any("before the first step" in event.text for event in again.events() if isinstance(event, Note))
    expected = whole.trainer.model.state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in again.trainer.model.state_dict().items())
    assert again.trainer.best.loss == whole.trainer.best.loss


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        ({"start_from": "a", "hidden": 64}, ConfigError, "has hidden 16, which stays"),
        ({"start_from": "a", "tokenizer": "byte"}, ConfigError, "has tokenizer char"),
        ({"start_from": "none"}, RunError, "there is no run none"),
    ],
)
def test_a_refusal_leaves_no_run_behind(
    trained: Path, tmp_path: Path, corpus: Path, asked: dict[str, object], error: type[CharrnnError], words: str
) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c/a").symlink_to(trained / "small")
    with pytest.raises(error, match=words):
        start(options(corpus, "b", steps=5, **asked), checkpoints=tmp_path / "c")
    assert not (tmp_path / "c/b").exists()


def test_the_command_line_goes_on_from_a_model(charrnn: CommandLine, trained: Path, corpus: Path) -> None:
    shutil.copytree(trained, corpus.parent / "checkpoints")
    done = charrnn("train", str(corpus), "--from", "small", "--steps", "3", "--name", "further", "--threads", "1")
    assert done.code == 0
    assert "goes on from" in done.err and "before the first step: valid" in done.err
    refused = charrnn("train", str(corpus), "--from", "small", "--cell", "gru", "--steps", "3")
    assert refused.code == 2 and refused.out == ""
    assert refused.err.strip().splitlines()[-1].startswith("charrnn: ") and "--cell" in refused.err
