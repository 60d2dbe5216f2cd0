"""What a prediction rests on, against finite differences."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from charrnn.analysis.context import memory_curve
from charrnn.analysis.neurons import (
    activations,
)  # fmt: skip
from charrnn.analysis.saliency import MOST, TARGETS, saliency
from charrnn.analysis.steps import embed, step
from charrnn.errors import ConfigError, CorpusError
from charrnn.scoring.token_nll import token_nll

from .test_steps import every_cell, network, text


@pytest.mark.slow
@every_cell
def test_what_a_prediction_rests_on_is_what_finite_differences_find(cell: str) -> None:
    model, tokens, nudge = network(cell), text(5), 1e-5
    found = saliency(model, tokens, list("abcde"))
    inputs = [model.config.start_id, *tokens.tolist()[:-1]]
    vectors = [embed(model, torch.tensor([token])).detach() for token in inputs]

    def logit(t: int, changed: int, by: Tensor) -> float:
        states = model.initial_states(1)
        for place in range(t + 1):
            vector = vectors[place] + (by if place == changed else 0)
            logits, states = step(model, vector, states)
        return float(logits[0, int(tokens[t])])

    with torch.no_grad():
        for t in range(5):
            for s in range(5):
                slopes = []
                for part in range(4):
                    one = torch.zeros(1, 4, dtype=torch.float64)
                    one[0, part] = nudge
                    slopes.append((logit(t, s, one) - logit(t, s, -one)) / (2 * nudge))
                weight = found.weights[t][s] if s <= t else 0.0
                assert weight == pytest.approx(math.hypot(*slopes), rel=1e-4, abs=1e-9)
    np.testing.assert_allclose(found.probabilities, np.exp(-token_nll(model, tokens)), rtol=1e-5)
    rows = found.to_json()["weights"]
    assert [len(row) for row in rows] == [1, 2, 3, 4, 5]


def test_a_long_text_is_gone_back_piece_by_piece_as_far_as_the_reach() -> None:
    model, tokens = network(), text(TARGETS + 9)
    whole = saliency(model, tokens, ["x"] * tokens.size)
    assert [row.size for row in whole.weights] == list(range(1, tokens.size + 1))
    vectors = [embed(model, torch.tensor([t])).detach().requires_grad_() for t in [7, *tokens.tolist()[:-1]]]
    states = model.initial_states(1)
    for vector in vectors:
        logits, states = step(model, vector, states)
    found = torch.autograd.grad(logits[0, int(tokens[-1])], vectors)
    np.testing.assert_allclose(whole.weights[-1], [float(one.norm()) for one in found], rtol=1e-5)
    some = saliency(model, tokens, ["x"] * tokens.size, reach=6)
    for t, (row, all_of_it) in enumerate(zip(some.weights, whole.weights, strict=True)):
        np.testing.assert_allclose(row, all_of_it[-6:], rtol=1e-5)
        assert row.size == min(t + 1, 6)
    np.testing.assert_allclose(some.probabilities, whole.probabilities, rtol=1e-10)
    assert max(map(max, whole.shown()["weights"])) == 100


def test_a_text_to_look_at_must_be_there_and_known() -> None:
    with pytest.raises(ConfigError, match="name a text"):
        saliency(network(), text(0), [])
    with pytest.raises(ConfigError, match="lacks"):
        saliency(network(), np.array([8], np.uint8), ["?"])
    with pytest.raises(ConfigError, match="at most 20,000 tokens"):
        saliency(network(), text(MOST + 1), ["?"] * (MOST + 1))
    with pytest.raises(CorpusError):
        memory_curve(network(), text(0))
    with pytest.raises(CorpusError):
        activations(network(), text(0))
