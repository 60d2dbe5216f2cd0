"""How much context is used, against counting by hand and single steps."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from charrnn.analysis.context import CONTEXT_LENGTHS, ContextCurve, context_curve, memory_curve
from charrnn.analysis.steps import embed, step
from charrnn.errors import CorpusError
from charrnn.scoring.token_nll import token_nll

from .cases import each
from .test_steps import network, text


def test_the_curve_is_what_scoring_says_at_each_reset() -> None:
    model, tokens = network(), text(120)
    curve = memory_curve(model, tokens, chars=240)
    assert curve.lengths == (1, 2, 5, 10, 20, 50, 100, None) and set(curve.lengths) <= set(CONTEXT_LENGTHS)
    for every, loss, bits in zip(curve.lengths, curve.losses, curve.bits, strict=True):
        expected = float(token_nll(model, tokens, reset_every=every).mean())
        assert loss == pytest.approx(expected, rel=1e-9)
        assert bits == pytest.approx(loss / math.log(2) / 2)
    assert [point["reset_every"] for point in curve.to_json()["curve"]][-2:] == [100, None]


@pytest.mark.slow
def test_the_exact_curve_is_what_single_steps_from_no_memory_say() -> None:
    model, tokens = network(), text(410)
    curve = context_curve(model, tokens, chars=820, positions=9)
    assert curve.lengths == (1, 2, 5, 10, 20, 50, 100, 200, None)
    targets = sorted({int(place) for place in np.linspace(200, 409, 9)})
    for reach, loss, bits in zip(curve.lengths, curve.losses, curve.bits, strict=True):
        losses = []
        for target in targets:
            states = model.initial_states(1)
            # The state carried from end to end begins with the start id.
            whole = [model.config.start_id, *tokens[:target].tolist()]
            for token in whole if reach is None else whole[-reach:]:
                logits, states = step(model, embed(model, torch.tensor([int(token)])), states)
            losses.append(-float(logits[0].log_softmax(0)[int(tokens[target])].detach()))
        assert loss == pytest.approx(np.mean(losses), rel=1e-6)
        assert bits == pytest.approx(loss / math.log(2) / 2)
    assert [point["context"] for point in curve.to_json()["curve"]][-2:] == [200, None]


@each("curve_of", [memory_curve, context_curve])
def test_a_network_without_memory_has_a_flat_curve(curve_of: Callable[..., ContextCurve]) -> None:
    model = network("rnn", layers=1)
    with torch.no_grad():
        model.get_parameter("forwards.layers.0.rnn.weight_hh_l0").zero_()
    losses = curve_of(model, text(120)).losses
    assert max(losses) - min(losses) < 1e-9


@each("size", [0, 1, 2])
def test_an_exact_curve_needs_something_to_read(size: int) -> None:
    with pytest.raises(CorpusError, match="fewer than three"):
        context_curve(network(), text(size))
    assert context_curve(network(), text(3)).lengths == (1, None)
