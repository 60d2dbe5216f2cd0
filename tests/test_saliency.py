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
from charrnn.analysis.saliency import saliency
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
                assert found.weights[t, s] == pytest.approx(math.hypot(*slopes), rel=1e-4, abs=1e-9)
    np.testing.assert_allclose(found.probabilities, np.exp(-token_nll(model, tokens)), rtol=1e-5)
    rows = found.to_json()["weights"]
    assert [len(row) for row in rows] == [1, 2, 3, 4, 5]


def test_a_text_to_look_at_must_be_there_and_known() -> None:
    with pytest.raises(ConfigError, match="name a text"):
        saliency(network(), text(0), [])
    with pytest.raises(ConfigError, match="lacks"):
        saliency(network(), np.array([8], np.uint8), ["?"])
    with pytest.raises(CorpusError):
        memory_curve(network(), text(0))
    with pytest.raises(CorpusError):
        activations(network(), text(0))
