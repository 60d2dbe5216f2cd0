"""What is known of each token beside its nats, against sums over the probabilities one by one."""

import math

import numpy as np
import pytest

from charrnn.scoring.predict import predict
from charrnn.scoring.predictions import NATS_ALONE, NO_RANK, Asked, Predictions, predictions_of
from charrnn.scoring.token_nll import token_nll

from .cases import each
from .test_token_nll import LACKING, START, documents_of, draw, make_model

BOUNDARIES = np.array([True, False, False, True, False, True])  # the last: the end of a document
EVERYTHING = Asked(BOUNDARIES, rank=True, entropy=True, top=3)


def probabilities(row: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]") -> list[float]:
    weights = [math.exp(float(logit) - float(row.max())) for logit in row]
    return [weight / math.fsum(weights) for weight in weights]


@each("documents", [False, True])
def test_every_column_is_a_sum_over_the_probabilities(documents: bool) -> None:
    symbols = 6 if documents else 5
    logits = np.random.default_rng(0).normal(0, 3, (40, symbols)).astype(np.float32)
    tokens = np.random.default_rng(1).integers(0, symbols, 40)
    found = predictions_of(logits, tokens, START, EVERYTHING)
    assert found.boundary is not None and found.rank is not None and found.entropy is not None
    assert found.top is not None and found.top_nll is not None
    for at, (row, token) in enumerate(zip(logits, tokens, strict=True)):
        p = probabilities(row)
        assert found.nll[at] == pytest.approx(-math.log(p[token]))
        assert found.boundary[at] == pytest.approx(-math.log(sum(p[i] for i in range(symbols) if BOUNDARIES[i])))
        assert found.rank[at] == sorted(p, reverse=True).index(p[token]) + 1
        assert found.entropy[at] == pytest.approx(-sum(one * math.log(one) for one in p))
        assert [*found.top[at]] == sorted(range(symbols), key=lambda i: -p[i])[:3]
        assert found.top_nll[at] == pytest.approx([-math.log(p[i]) for i in found.top[at]])


def test_what_the_network_cannot_predict_has_no_rank() -> None:
    logits = np.zeros((2, 5), np.float32)
    found = predictions_of(logits, np.array([LACKING, START]), START, Asked(rank=True))
    assert found.rank is not None
    assert [*found.rank] == [NO_RANK, NO_RANK]
    assert [*found.nll] == [pytest.approx(math.log(5)), math.inf]


def test_a_boundary_that_is_nearly_certain_keeps_its_digits() -> None:
    logits = np.array([[40.0, 0.0, -100.0, -100.0, -100.0]], np.float32)
    found = predictions_of(logits, np.array([0]), START, Asked(np.array([True, False, False, False, False])))
    assert found.boundary is not None
    # 1e-17 less than 1 is 1 in floating point.
    assert found.boundary[0] == pytest.approx(math.exp(-40), rel=1e-9)
    certain = predictions_of(np.full((1, 5), -1e30, np.float32), np.array([0]), START, Asked(np.ones(5, bool)))
    assert certain.boundary is not None and math.copysign(1, certain.boundary[0]) == 1 and certain.boundary[0] == 0


@each("documents", [False, True])
def test_the_nats_of_a_text_are_those_of_eval_to_the_bit(documents: bool) -> None:
    model = make_model(documents=documents)
    tokens, starts = documents_of([5, 1, 30, 8]) if documents else (draw(300), None)
    found = predict(model, tokens, starts, asked=EVERYTHING)
    assert np.array_equal(found.nll, token_nll(model, tokens, starts))
    assert np.array_equal(found.tokens, tokens)
    alone = predict(model, tokens, starts)
    assert alone.rank is None and alone.boundary is None and np.array_equal(alone.nll, found.nll)


def test_a_text_without_tokens_has_columns_without_rows() -> None:
    found = predict(make_model(), draw(0), asked=EVERYTHING)
    assert len(found) == 0 and found.top is not None and found.top.shape == (0, 3)


def test_parts_make_the_whole() -> None:
    whole = predict(make_model(), draw(50), asked=EVERYTHING)
    again = Predictions.concatenate([whole[:20], whole[20:21], whole[21:]])
    for name in ("tokens", "nll", "boundary", "rank", "entropy", "top", "top_nll"):
        assert np.array_equal(getattr(again, name), getattr(whole, name))
    assert whole[3:5].rank is not None and NATS_ALONE.nothing and not EVERYTHING.nothing
