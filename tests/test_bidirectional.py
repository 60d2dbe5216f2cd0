"""A model that reads from both ends: its directions against models of one, and the gaps that it fills."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from charrnn import api
from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import ConfigError, VocabularyError
from charrnn.generation.propose import propose
from charrnn.machine import Machine
from charrnn.models.ensemble import backwards_of
from charrnn.models.language_model import LanguageModel
from charrnn.models.loss import cross_entropy
from charrnn.models.states import state_parts
from charrnn.scoring.filling import fill
from charrnn.scoring.texts import log_probabilities
from charrnn.scoring.token_nll import token_nll
from charrnn.text.part import Part
from charrnn.text.tokenizers.char import CharTokenizer
from charrnn.training.batches import FRESH, Batch
from charrnn.training.events import Report
from charrnn.training.int8_check import arrays
from charrnn.training.loop import Trainer
from charrnn.training.resume import resume
from charrnn.training.run import start

from .cases import each
from .conftest import SMALL, CommandLine
from .test_run import assert_same, finish, stop_dead
from .test_run import options as small_options

LETTERS = CharTokenizer("abcdef ")


def network(**fields: object) -> LanguageModel:
    chosen: dict[str, object] = {"vocab_size": 7, "start_id": 7, "embedding": 5, "hidden": 6, "layers": 2}
    model = LanguageModel(ModelConfig(bidirectional=True, **(chosen | fields))).eval()  # type: ignore[arg-type]
    model.initialise(torch.Generator().manual_seed(4))
    return model


def one_way(model: LanguageModel, direction: str) -> LanguageModel:
    """A model of one direction with the weights of one of both."""
    alone = LanguageModel(dataclasses.replace(model.config, bidirectional=False)).eval()
    weights = model.state_dict()
    alone.load_state_dict({name: weights[name.replace("forwards", direction)] for name in alone.state_dict()})
    return alone


def text(count: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 7, count).astype(np.uint8)


# -- texts turned round ----------------------------------------------------------------------------------------------


def test_a_stream_is_turned_as_a_whole() -> None:
    part = Part(np.array([1, 2, 3], np.uint8), 3)
    assert part.reversed(7).tokens.tolist() == [3, 2, 1]


def test_documents_are_turned_one_by_one_and_end_where_they_ended() -> None:
    tokens = np.array([1, 2, 3, 7, 4, 7, 7, 5, 6], np.uint8)
    part = Part(tokens, 9, np.array([0, 4, 6, 7]))
    turned = part.reversed(7)
    assert turned.tokens.tolist() == [3, 2, 1, 7, 4, 7, 7, 6, 5]
    assert turned.starts is part.starts
    assert turned.reversed(7).tokens.tolist() == tokens.tolist()


# -- directions -----------------------------------------------------------------------------------------------------


@each("fields", [{}, {"tie": True, "embedding": 6}, {"vocab_size": 8}, {"skip": "dense"}])
def test_each_direction_is_a_model_of_its_own_over_one_embedding(fields: dict[str, object]) -> None:
    model, tokens = network(**fields), torch.from_numpy(text(24).reshape(2, 12).astype(np.int64))
    backwards = backwards_of(model)
    for reader, alone in ((model, one_way(model, "forwards")), (backwards, one_way(model, "backwards"))):
        logits, states = reader(tokens, reader.initial_states(2))
        expected, left = alone(tokens, alone.initial_states(2))
        assert torch.equal(logits, expected)
        assert all(map(torch.equal, state_parts(states), state_parts(left)))


def test_the_directions_begin_differently_and_the_forward_one_as_if_it_were_alone() -> None:
    both = network()
    alone = LanguageModel(dataclasses.replace(both.config, bidirectional=False))
    alone.initialise(torch.Generator().manual_seed(4))
    assert all(torch.equal(weight, both.state_dict()[name]) for name, weight in alone.state_dict().items())
    forwards, backwards = both.directions
    assert forwards.head is not None and backwards.head is not None
    assert not torch.isclose(forwards.head, backwards.head).any()


def test_a_model_of_one_direction_has_no_way_back() -> None:
    alone = one_way(network(), "forwards")
    with pytest.raises(ConfigError, match="forwards alone"):
        backwards_of(alone)
    with pytest.raises(ConfigError, match="forwards alone"):
        propose(alone.config, arrays(alone), LETTERS, "a", "b", drawn=2, seed=0)


# -- training --------------------------------------------------------------------------------------------------------


class Given:
    """One window, again and again."""

    batch_size, bptt, ended = 2, 6, False

    def __init__(self, seed: int) -> None:
        rows = torch.from_numpy(text(14, seed).reshape(2, 7).astype(np.int64))
        self.rows = rows

    def windows(self, epoch: int) -> int:
        return 1

    def window(self, epoch: int, index: int) -> Batch:
        return Batch(self.rows[:, :-1].clone(), self.rows[:, 1:].clone(), torch.full((2,), FRESH))


def test_a_step_learns_from_the_mean_of_both_directions() -> None:
    model, twin = network(), network()
    config = TrainConfig(seed=0, steps=1, lr=0.01, warmup=0, weight_decay=0, optimizer="adamw", clip=None)
    trainer = Trainer(
        model, Given(1), config, Machine(torch.device("cpu"), "fp32", 1), validate=None, save=lambda *_: None,
        reverse=Given(2),
    )  # fmt: skip
    reports = [event for event in trainer.run() if isinstance(event, Report)]
    losses = []
    for reader, rows in ((twin, Given(1).rows), (backwards_of(twin), Given(2).rows)):
        logits, _ = reader(rows[:, :-1], reader.initial_states(2))
        losses.append(cross_entropy(logits, rows[:, 1:]).mean())
    loss = (losses[0] + losses[1]) / 2
    assert reports[0].loss == pytest.approx(float(loss.detach()), rel=1e-6) and reports[0].tokens == 12
    torch.autograd.backward(loss)
    for (name, own), other in zip(model.named_parameters(), twin.parameters(), strict=True):
        # Adam's first step is the gradient's sign, a rate long.
        assert other.grad is not None
        large = other.grad.abs() > 1e-5
        assert large.any(), name
        moved = (own - other).detach()[large]
        torch.testing.assert_close(moved, -0.01 * other.grad[large].sign(), rtol=0.01, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("documents", ["stream", "lines"])
def test_a_run_goes_on_as_if_it_had_never_stopped(tmp_path: Path, corpus: Path, documents: str) -> None:
    asked = small_options(corpus, documents=documents, bidirectional=True, steps=40, save_every=10)
    whole = finish(start(asked, checkpoints=tmp_path / "whole"))
    assert any(name.startswith("state.0.1.") for name in whole)
    stop_dead(start(asked, checkpoints=tmp_path / "killed"), step=25)
    torch.manual_seed(99)
    assert_same(whole, finish(resume("run", checkpoints=tmp_path / "killed")))


def test_the_windows_of_both_directions_are_as_many(tmp_path: Path, corpus: Path) -> None:
    for documents in ("stream", "lines", "paragraphs"):
        asked = small_options(corpus, documents=documents, bidirectional=True, steps=2, name=documents)
        trainer = start(asked, checkpoints=tmp_path).trainer
        counts = [
            [streams.windows(epoch) for epoch in range(4)] for streams in (trainer.streams, trainer._reverse) if streams
        ]
        assert counts[0] == counts[1]


@pytest.mark.slow
def test_both_directions_learn(tmp_path: Path, corpus: Path) -> None:
    model = api.train(
        str(corpus),
        checkpoints=tmp_path,
        seed=1,
        steps=150,
        bidirectional=True,
        hidden=24,
        batch_size=16,
        bptt=32,
        threads=1,
    )
    score = model.score("the fox and the crow were sitting on a wall\n", unknown=True)
    assert score.backward is not None
    assert max(score.bpc, score.backward.bpc) < 4.5  # of 6 for symbols alone


# -- scoring ---------------------------------------------------------------------------------------------------------


def test_the_backward_score_is_that_of_the_text_turned_round(tmp_path: Path, corpus: Path, prose: str) -> None:
    asked: dict[str, Any] = {"seed": 1, "steps": 20, "hidden": 12, "batch_size": 4, "bptt": 16, "threads": 1}
    model = api.train(str(corpus), checkpoints=tmp_path, bidirectional=True, **asked)
    line = prose[:200]
    score = model.score(line)
    ids = model.tokenizer.encode(line)[::-1].astype(np.uint32)
    expected = -token_nll(one_way(model.network.first_member, "backwards"), ids)
    assert score.backward is not None
    np.testing.assert_allclose(-score.backward.token_nll, expected, rtol=1e-6)
    assert score.figures()["backward"]["bpc"] == pytest.approx(-expected.sum() / 200 / math.log(2))
    adapted = model.score(line, adapt=True).adapted
    assert adapted is not None and adapted.loss != score.loss


# -- gaps ------------------------------------------------------------------------------------------------------------


def test_candidates_are_ranked_by_the_whole_text_from_both_ends() -> None:
    model = network()
    found = fill(model, LETTERS, "ab ", " cd", ["fed", "a", "bead", "a"])
    assert sorted(one.text for one in found) == ["a", "bead", "fed"]
    assert [one.both for one in found] == sorted((one.both for one in found), reverse=True)
    for one in found:
        ids = LETTERS.encode(f"ab {one.text} cd")
        forward = -token_nll(one_way(model, "forwards"), ids.astype(np.uint32)).sum()
        backward = -token_nll(one_way(model, "backwards"), ids[::-1].astype(np.uint32)).sum()
        assert one.forward == pytest.approx(forward, rel=1e-6)
        assert one.backward == pytest.approx(backward, rel=1e-6)


def test_the_probabilities_of_all_texts_of_a_length_sum_to_one() -> None:
    model = network(vocab_size=7)
    texts = [np.array([a, b], np.int32) for a in range(7) for b in range(7)]
    for reader in (model, backwards_of(model)):
        assert sum(map(math.exp, log_probabilities(reader, texts))) == pytest.approx(1, rel=1e-5)


def test_a_gap_needs_candidates_that_the_model_can_read() -> None:
    with pytest.raises(ConfigError, match="name candidates"):
        fill(network(), LETTERS, "a", "b", [])
    with pytest.raises(VocabularyError):
        fill(network(), LETTERS, "a", "b", ["x"])


def test_words_are_proposed_by_both_directions_each_once() -> None:
    model = network()
    found = propose(model.config, arrays(model), LETTERS, "ab ", " cd", drawn=40, seed=1)
    assert found == propose(model.config, arrays(model), LETTERS, "ab ", " cd", drawn=40, seed=1)
    assert len(found) == len(set(found)) > 10 and all(set(word) <= set("abcdef") for word in found)
    # With a backward half that writes "a" for ever, its words are that.
    with torch.no_grad():
        model.directions[1].bias[0] = 100
    assert "a" * 24 in propose(model.config, arrays(model), LETTERS, "ab ", " cd", drawn=4, seed=1)


# -- commands --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_model_of_both_directions_from_the_command_line(charrnn: CommandLine, corpus: Path) -> None:
    assert charrnn("train", str(corpus), "--steps", "20", "--bidirectional", "--seed", "1", "-q", *SMALL).code == 0
    scored = charrnn("eval")
    assert "backward_bpc\t" in scored.out
    record = json.loads(charrnn("eval", "--json").out)
    assert record["backward"]["loss"] != record["loss"]
    assert "the direction that reads forwards" in charrnn("sample", "--length", "5").err
    done = charrnn("fill", "the [...] was here", "--candidate", "fox", "--candidate", "crow")
    rows = [line.split("\t") for line in done.out.splitlines()]
    assert sorted(row[0] for row in rows) == ["crow", "fox"] and float(rows[0][1]) <= float(rows[1][1])
    assert charrnn("fill", "the [...] was here", "-q", "-n", "3", "--seed", "2", "--drawn", "8").out.count("\n") == 3
    assert charrnn("inspect", "gradients", "--reach", "5", "--positions", "2").code == 0
    assert charrnn("train", "--resume", "--steps", "25", "-q").code == 0


@pytest.mark.parametrize("text", ["no gap", "two [...] gaps [...]"])
def test_a_text_without_one_gap_is_refused(charrnn: CommandLine, trained: Path, text: str) -> None:
    done = charrnn("fill", text, "-m", "small", "--checkpoints", str(trained))
    assert done.code == 2 and "one gap, written [...]" in done.err


def test_a_model_of_one_direction_cannot_fill(charrnn: CommandLine, trained: Path) -> None:
    for more in ([], ["--candidate", "fox"]):
        done = charrnn("fill", "the [...] was", "-m", "small", "--checkpoints", str(trained), *more)
        assert done.code == 2 and "the model reads forwards alone: train one with" in done.err
