"""token_nll: the state is carried from cut to cut, and chunks side by side are warmed up."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from charrnn.models.language_model import LanguageModel
from charrnn.scoring import token_nll as scoring
from charrnn.scoring.token_nll import token_nll

from .cases import each
from .test_token_nll import CELLS, agree, documents_of, draw, make_model, one_at_a_time, rows_read, weights_of

# ---- networks that do not forget


def latch() -> LanguageModel:
    """One unit that keeps the sign of the first input it saw: 0 says plus, 1 says minus, 2 and the start nothing."""
    model = make_model("rnn", symbols=3, hidden=1, layers=1)
    weights = weights_of(model)
    with torch.no_grad():
        model.embedding.weight.copy_(torch.tensor([[1.0], [-1.0], [0.0], [0.0]]))
        weights.w_ih.fill_(1.0)
        weights.w_hh.fill_(3.0)
        assert model.forwards.head is not None
        model.forwards.head.copy_(torch.tensor([[1.0], [2.0], [-2.0]]))
        model.forwards.bias.zero_()
    return model


def hoarder() -> LanguageModel:
    """An LSTM whose forget gates stand open: its cells add up all that they ever read."""
    model = make_model("lstm", layers=1)
    weights = weights_of(model)
    with torch.no_grad():
        weights.b_ih.chunk(4)[1].fill_(20.0)
        weights.w_ih.mul_(0.05)
        weights.w_hh.mul_(0.05)
        weights.b_ih.chunk(4)[0].fill_(-3.0)
    return model


def keeper() -> LanguageModel:
    """An RNN whose recurrent weights are the identity."""
    model = make_model("rnn", layers=1)
    weights = weights_of(model)
    with torch.no_grad():
        weights.w_hh.copy_(torch.eye(8))
        weights.w_ih.mul_(0.02)
    return model


@each("make", [latch, hoarder, keeper])
def test_a_network_that_does_not_forget_scores_as_in_one_sequence(make: Callable[[], LanguageModel]) -> None:
    """Long enough to be cut, so that a cut that lost the memory would show; the latch is set by the first token."""
    tokens = draw(2 * 1024 + 9, 2) + np.uint8(1)
    tokens[0] = 0
    model = make()
    expected = one_at_a_time(model, tokens)
    for batch_size in (1, 7, 32):
        agree(token_nll(model, tokens, batch_size=batch_size), expected)


# ---- chunks: an estimate


@each("make", [latch, make_model])
@each("chunks, count", [(2, 100), (3, 100), (5, 123), (4, 4 * 24)])
def test_each_chunk_begins_in_the_state_that_the_tokens_before_it_lead_to(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[], LanguageModel], chunks: int, count: int
) -> None:
    monkeypatch.setattr(scoring, "SHORTEST_CHUNK", 24)
    monkeypatch.setattr(scoring, "WARM_UP", 10)
    model, tokens = make(), draw(count, 3)
    length = count // chunks
    expected = one_at_a_time(model, tokens)
    for first in range(length, chunks * length, length):
        expected[first:] = one_at_a_time(model, tokens, resets=[first - 10])[first:]
    agree(token_nll(model, tokens, chunks=chunks, window=17), expected)


@each("cell", CELLS)
@each("chunks", [2, 8, 128])
def test_chunks_change_no_figure_of_a_network_that_forgets(cell: str, chunks: int) -> None:
    model, tokens = make_model(cell, layers=1), draw(9 * 1024 + 5)
    with torch.no_grad():
        weights_of(model).w_hh.mul_(0.1)
    agree(token_nll(model, tokens, chunks=chunks), token_nll(model, tokens))


@each("count, rows", [(255, 1), (511, 1), (512, 2), (1024, 4), (9000, 4)])
def test_a_chunk_is_never_shorter_than_it_says(count: int, rows: int) -> None:
    model = make_model(layers=1)
    shapes = rows_read(model)
    token_nll(model, draw(count), chunks=4)
    assert max(shape[0] for shape in shapes) == rows


def test_without_chunks_a_stream_is_read_once_in_one_row() -> None:
    model = make_model(layers=1)
    shapes = rows_read(model)
    token_nll(model, draw(3 * 1024 + 1), batch_size=32)
    assert {rows for rows, _ in shapes} == {1}
    assert sum(length for _, length in shapes) == 3 * 1024 + 1


@each("cell", CELLS)
def test_weights_that_are_not_numbers_give_nan_and_an_end(cell: str) -> None:
    model = make_model(cell, layers=1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(math.nan)
    tokens, starts = documents_of([5, 1, 2000])
    assert np.isnan(token_nll(model, tokens)).all()
    assert np.isnan(token_nll(model, tokens, reset_every=100)).all()
    assert np.isnan(token_nll(model, tokens, starts)).all()
    assert np.isnan(token_nll(model, draw(4 * 1024 + 1), chunks=4)).all()
