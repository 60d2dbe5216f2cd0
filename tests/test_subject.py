"""What the analysis looks at: a network and its text, trained or fresh."""

from pathlib import Path

import numpy as np
import pytest
import torch

from charrnn import api
from charrnn.analysis.subject import Subject, fresh
from charrnn.config import ModelConfig
from charrnn.errors import ConfigError, VocabularyError
from charrnn.models.ensemble import Network, build
from charrnn.text.tokenizers.char import CharTokenizer


def network(ensemble: int = 1) -> Network:
    model = build(ModelConfig(vocab_size=3, start_id=3, embedding=4, hidden=4, layers=1, ensemble=ensemble))
    model.initialise(torch.Generator().manual_seed(1))
    return model.eval()


def test_a_trained_network_comes_with_the_ids_and_the_symbols_of_its_text() -> None:
    model = network()
    found = Subject.from_model(model, CharTokenizer("abc"), "cab?b", name="run", unknown=True)
    assert found.network is model and found.name == f"run: {model.config.size}"
    assert (found.tokens.tolist(), found.symbols, found.chars) == ([2, 0, 1, 4, 1], ["c", "a", "b", "?", "b"], 5)
    with pytest.raises(VocabularyError):
        Subject.from_model(model, CharTokenizer("abc"), "cab?b", name="run")


def test_of_an_ensemble_all_or_the_first_is_looked_at_and_said() -> None:
    model = network(ensemble=3)
    whole = Subject.from_model(model, CharTokenizer("abc"), "abc", name="run")
    first = Subject.from_model(model, CharTokenizer("abc"), "abc", name="run", first_member=True)
    assert whole.network is model and whole.name.endswith(", 3 of them")
    assert first.network.config.ensemble == 1 and first.name.endswith(", the first of 3")
    tokens = torch.tensor([[3, 0, 1]])
    expected, _ = network()(tokens, network().initial_states(1))
    found, _ = first.network(tokens, first.network.initial_states(1))
    assert torch.equal(found, expected), "the first member is the network that the same seed gives alone"


def test_the_beginning_has_its_share_of_the_characters() -> None:
    whole = Subject.from_model(network(), CharTokenizer("abc"), "abcabcabca", name="run")
    some = whole.beginning(4)
    assert (some.tokens.tolist(), some.chars) == ([0, 1, 2, 0], 4)
    assert whole.beginning(99).tokens.size == whole.beginning(99).chars == 10


def test_fresh_networks_are_of_every_configuration_and_radius_and_of_the_texts_own_characters() -> None:
    configs = [
        ModelConfig(vocab_size=1, start_id=1, cell=cell, embedding=4, hidden=6, layers=1) for cell in ("rnn", "gru")
    ]
    found = fresh(configs, "banana", seed=5, radii=[None, 2.0])
    assert [one.network.config.cell for one in found] == ["rnn", "rnn", "gru", "gru"]
    assert [one.name.endswith(", radius 2") for one in found] == [False, True, False, True]
    for one in found:
        assert (one.tokens.tolist(), one.network.config.vocab_size, one.chars) == ([1, 0, 2, 0, 2, 0], 3, 6)
        assert not one.network.training
    plain, stretched = (one.network.get_parameter("forwards.layers.0.rnn.weight_hh_l0").detach() for one in found[:2])
    assert float(torch.linalg.eigvals(stretched).abs().max()) == pytest.approx(2, rel=1e-4)
    assert not torch.equal(plain, stretched)
    again = fresh(configs, "banana", seed=5)[0]
    assert all(
        torch.equal(a, b) for a, b in zip(again.network.parameters(), found[0].network.parameters(), strict=True)
    )
    with pytest.raises(ConfigError, match="empty"):
        fresh(configs, "", seed=5)


def test_a_saved_model_is_looked_at_with_files_a_text_or_its_held_out_part(trained: Path, tmp_path: Path) -> None:
    own = api.subject("small", checkpoints=trained)
    model = api.load("small", checkpoints=trained)
    np.testing.assert_array_equal(own.tokens, model.tokenizer.encode(api.held_out(model).read(), unknown=True))
    assert own.name.startswith("small: ")
    (tmp_path / "heron.txt").write_text("The heron", encoding="utf-8")
    assert "".join(api.subject("small", [str(tmp_path / "heron.txt")], checkpoints=trained).symbols) == "The heron"
    assert api.subject("small", checkpoints=trained, text="The\u2603").symbols == ["T", "h", "e", "?"]
    (tmp_path / "snow.txt").write_text("\u2603", encoding="utf-8")
    with pytest.raises(VocabularyError):
        api.subject("small", [str(tmp_path / "snow.txt")], checkpoints=trained)
