"""Several networks side by side: each trained as if it were alone, their probabilities averaged."""

import math
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
from torch import Tensor

from charrnn import api
from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import ConfigError
from charrnn.generation.propose import propose
from charrnn.inference.operations import ensemble_logits as numpy_ensemble_logits
from charrnn.machine import Machine
from charrnn.models.ensemble import Ensemble, Network, backwards_of, build, ensemble_logits
from charrnn.models.language_model import LanguageModel
from charrnn.models.states import state_parts
from charrnn.scoring.adaptation import adapted_token_nll
from charrnn.scoring.token_nll import token_nll
from charrnn.text.part import Part
from charrnn.training.events import Report
from charrnn.training.int8_check import arrays
from charrnn.training.loop import Trainer
from charrnn.training.resume import resume
from charrnn.training.run import start

from .cases import each
from .conftest import SMALL, CommandLine
from .test_bidirectional import LETTERS, Given, text
from .test_run import assert_same, finish, stop_dead
from .test_run import options as small_options

Model = TypeVar("Model", LanguageModel, Ensemble)


def ensemble(**fields: Any) -> Ensemble:
    chosen: dict[str, Any] = {"vocab_size": 7, "start_id": 7, "embedding": 5, "hidden": 6, "layers": 2, "ensemble": 3}
    model = build(ModelConfig(**(chosen | fields))).eval()
    assert isinstance(model, Ensemble)
    model.initialise(torch.Generator().manual_seed(4))
    return model


def by_itself(model: Ensemble, number: int) -> LanguageModel:
    """A model of its own with the weights of one of the ensemble's, counted from 0."""
    alone = LanguageModel(model.config.single).eval()
    alone.load_state_dict({name: model.state_dict()[f"models.{number}.{name}"].clone() for name in alone.state_dict()})
    return alone


def some_tokens() -> Tensor:
    return torch.from_numpy(text(36).reshape(3, 12).astype(np.int64))


# -- the model -------------------------------------------------------------------------------------------------------


@each("fields", [{}, {"cell": "gru", "layers": 1}, {"cell": "lstm-nested", "skip": "dense"}])
def test_probabilities_are_the_mean_of_the_members(fields: dict[str, Any]) -> None:
    model = ensemble(**fields).double()
    alone, tokens = [by_itself(model, n).double() for n in range(3)], some_tokens()
    logits, states = model(tokens, model.initial_states(3))
    found = [one(tokens, one.initial_states(3)) for one in alone]
    mean = sum(one.softmax(-1) for one, _ in found) / 3
    torch.testing.assert_close(logits.exp(), mean, rtol=1e-12, atol=0)
    assert all(map(torch.equal, state_parts(states), state_parts(tuple(own for _, own in found))))
    assert len(states) == 3 and [type(state) for state in states[2]] == [type(state) for state in found[2][1]]


def test_one_pass_equals_any_chunks() -> None:
    model, tokens = ensemble().double(), some_tokens()
    whole, _ = model(tokens, model.initial_states(3))
    states, parts = model.initial_states(3), []
    for begin, end in ((0, 1), (1, 6), (6, 12)):
        logits, states = model(tokens[:, begin:end], states)
        parts.append(logits)
    torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=0, atol=1e-10)


def test_members_begin_differently_and_the_first_as_if_it_were_alone() -> None:
    model = ensemble()
    alone = LanguageModel(model.config.single)
    alone.initialise(torch.Generator().manual_seed(4))
    weights = model.state_dict()
    for name, weight in alone.state_dict().items():
        assert torch.equal(weight, weights[f"models.0.{name}"])
        if "bias" not in name:
            assert not torch.isclose(weights[f"models.1.{name}"], weights[f"models.2.{name}"]).any()


def test_an_ensemble_holds_models_and_is_none() -> None:
    model = ensemble(bidirectional=True)
    assert not isinstance(model, LanguageModel) and not hasattr(model, "embedding")
    assert len(model.models) == 3 and model.first_member is model.models[0]
    assert all(type(one) is LanguageModel and one.config == model.config.single for one in model.models)
    assert len(list(model.parameters())) == 3 * len(list(model.first_member.parameters()))
    # The view of what reads backwards owns nothing: its weights are the models'.
    backwards = backwards_of(model)
    mine = {id(weight) for one in model.models for weight in one.backwards.parameters()}  # type: ignore[union-attr]
    assert {id(weight) for weight in backwards.parameters()} == mine and backwards.config == model.config
    for training in (True, False):
        model.train(training)
        token_nll(backwards_of(model), text(20))
        assert {module.training for module in model.modules()} == {training}


def test_a_model_by_itself_answers_as_an_ensemble_of_one_does() -> None:
    config = ensemble(bidirectional=True).config.single
    single: Network = build(config)
    assert isinstance(single, LanguageModel) and single.models == [single] and single.first_member is single
    assert backwards_of(single) is single.backwards
    single.initialise(torch.Generator().manual_seed(4))
    tokens = some_tokens()
    logits, states = single(tokens, single.initial_states(3))
    mean, (own,) = Ensemble([single])(tokens, (single.initial_states(3),))
    torch.testing.assert_close(mean, logits.log_softmax(-1))
    assert all(map(torch.equal, state_parts(own), state_parts(states)))


def test_wrong_counts_are_refused() -> None:
    with pytest.raises(ConfigError, match="`ensemble` must be"):
        ensemble(ensemble=0)
    with pytest.raises(ConfigError, match="one model is no ensemble of 3"):
        LanguageModel(ensemble().config)
    with pytest.raises(ConfigError, match="forwards alone: train one with `bidirectional`"):
        backwards_of(ensemble())
    with pytest.raises(ValueError, match="zip"):
        ensemble()(some_tokens(), ensemble().initial_states(3)[:2])


def test_means_of_probabilities_that_float32_cannot_hold() -> None:
    logits = np.array([[[0.0, -200.0, 3.0]], [[1000.0, 800.0, -1000.0]]], np.float32)
    doubles = logits.astype(np.float64)
    log_p = doubles - np.log(np.exp(doubles - doubles.max(2, keepdims=True)).sum(2, keepdims=True))
    log_p -= doubles.max(2, keepdims=True)
    expected = np.logaddexp(log_p[0], log_p[1]) - math.log(2)
    assert np.allclose(numpy_ensemble_logits(list(logits)), expected, rtol=1e-6)
    assert np.allclose(ensemble_logits(list(torch.from_numpy(logits))).numpy(), expected, rtol=1e-6)


# -- training --------------------------------------------------------------------------------------------------------


def trained(model: Model, **fields: Any) -> tuple[Model, list[Report]]:
    config = TrainConfig(**({"seed": 0, "steps": 12, "lr": 0.05, "weight_decay": 0.1, "report_every": 1} | fields))
    reverse = Given(2) if model.config.bidirectional else None
    trainer = Trainer(
        model, Given(1), config, Machine(torch.device("cpu"), config.precision, 1), validate=None,
        save=lambda *_: None, reverse=reverse,
    )  # fmt: skip
    return model, [event for event in trainer.run() if isinstance(event, Report)]


@pytest.mark.slow
@each(
    "fields, bidirectional",
    [
        ({}, True),
        ({"optimizer": "adamw", "clip": 0.05}, False),
        ({"precision": "bf16"}, False),
        ({"optimizer": "sgd", "average": 0.5}, True),
    ],
)
def test_each_member_learns_what_it_would_learn_alone(fields: dict[str, Any], bidirectional: bool) -> None:
    begun = [by_itself(ensemble(bidirectional=bidirectional), number) for number in range(3)]
    model, together = trained(ensemble(bidirectional=bidirectional), **fields)
    of_each = []
    for number, alone in enumerate(begun):
        _, reports = trained(alone, **fields)
        of_each.append(reports)
        same = by_itself(model, number).state_dict()
        assert all(torch.equal(weight, same[name]) for name, weight in alone.state_dict().items())
    for together_, *alone_ in zip(together, *of_each, strict=True):
        assert together_.tokens == alone_[0].tokens
        assert together_.loss == pytest.approx(np.mean([one.loss for one in alone_]), rel=1e-6)
        assert together_.grad_norm == pytest.approx(np.mean([one.grad_norm for one in alone_]), rel=1e-5)
        assert together_.clipped == pytest.approx(np.mean([one.clipped for one in alone_]), rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("more", [{"bidirectional": True}, {"documents": "lines", "cell": "gru"}])
def test_a_run_goes_on_as_if_it_had_never_stopped(tmp_path: Path, corpus: Path, more: dict[str, Any]) -> None:
    asked = small_options(corpus, ensemble=2, steps=40, save_every=10, **more)
    whole = finish(start(asked, checkpoints=tmp_path / "whole"))
    assert any(name.startswith("state.1.0.") for name in whole)
    stop_dead(start(asked, checkpoints=tmp_path / "killed"), step=25)
    torch.manual_seed(99)
    assert_same(whole, finish(resume("run", checkpoints=tmp_path / "killed")))


@pytest.mark.slow
def test_the_same_text_continues_at_the_same_loss(tmp_path: Path, corpus: Path) -> None:
    more = {"ensemble": 2, "bidirectional": True}
    finish(start(small_options(corpus, steps=30, average=0, **more), checkpoints=tmp_path))
    source = api.load("run", checkpoints=tmp_path)
    asked = small_options(corpus, steps=1, start_from="run", name="on", lr=1e-9, hidden=None, embedding=None)
    finish(start(asked, checkpoints=tmp_path))
    went_on = api.load("on", checkpoints=tmp_path)
    assert went_on.header.config.ensemble == 2
    line = "the fox and the crow\n"
    assert went_on.score(line).loss == pytest.approx(source.score(line).loss, rel=1e-5)
    with pytest.raises(ConfigError, match="ensemble 2, which stays"):
        start(small_options(corpus, start_from="run", ensemble=3), checkpoints=tmp_path)


# -- scoring and generation ------------------------------------------------------------------------------------------


def test_scores_are_those_of_the_mean(tmp_path: Path) -> None:
    model, tokens = ensemble(bidirectional=True).double(), text(90)
    alone = [by_itself(model, n).double() for n in range(3)]
    for reader, singles in ((model, alone), (backwards_of(model), [backwards_of(one) for one in alone])):
        found = np.stack([-token_nll(one, tokens) for one in singles])
        assert np.allclose(-token_nll(reader, tokens), np.log(np.exp(found).mean(0)), rtol=0, atol=1e-6)


def test_what_does_not_adapt_scores_the_plain_figures_and_what_does_leaves_the_model() -> None:
    model, part = ensemble(bidirectional=True), Part(text(100), 100)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    plain = -token_nll(model, part.tokens)
    assert np.allclose(-adapted_token_nll(model, part, rate=0.0), plain, rtol=0, atol=1e-5)
    assert not np.allclose(-adapted_token_nll(model, part, rate=0.01), plain, rtol=0, atol=1e-3)
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())


def test_words_are_proposed_by_all_members_of_both_halves() -> None:
    model = ensemble(bidirectional=True)
    weights = arrays(model)
    found = propose(model.config, weights, LETTERS, "a", "b", drawn=8, seed=0)
    for name in ("models.2.forwards.bias", "models.2.backwards.bias"):
        other = {**weights, name: np.where(np.arange(7) == 2, 50, 0).astype(np.float32)}
        assert propose(model.config, other, LETTERS, "a", "b", drawn=8, seed=0) != found


# -- the command line ------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_an_ensemble_from_the_command_line(charrnn: CommandLine, corpus: Path) -> None:
    asked = ["--ensemble", "2", "--bidirectional", "--steps", "20", "--seed", "1", *SMALL]
    assert "both directions, 2 such networks averaged" in charrnn("train", str(corpus), *asked).err
    assert "2 such networks averaged" in charrnn("inspect").out
    assert "backward_bpc\t" in charrnn("eval").out
    assert charrnn("sample", "--length", "40").code == 0
    assert "the first of 2" in charrnn("inspect", "gradients", "--reach", "5").out
    assert "2 of them" in charrnn("inspect", "memory", "--compare-with", "corpus").out
    assert charrnn("inspect", "memory", "--saliency", "the fox").code == 0
    assert charrnn("inspect", "neurons").code == 0
