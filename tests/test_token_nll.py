"""token_logprobs against a slow loop, and Score against its formulas."""

import copy
import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from charrnn.api import Model
from charrnn.config import ModelConfig
from charrnn.errors import CharrnnError, ConfigError, CorpusError
from charrnn.models.cells import Weights
from charrnn.models.language_model import LanguageModel
from charrnn.scoring import token_nll as scoring
from charrnn.scoring.adaptation import adapted_logprobs
from charrnn.scoring.figures import Logprobs, Score
from charrnn.scoring.temperature import fit_temperature
from charrnn.scoring.token_nll import (
    Positions,
    inputs_and_targets,
    score,
    target_nll,
    token_logprobs,
)
from charrnn.storage.checkpoint import FORMAT, Header
from charrnn.text.corpus import Facts
from charrnn.text.dataset import Part, Tokens, smallest_dtype
from charrnn.text.tokenizers import CharTokenizer
from charrnn.training.int8_check import arrays

CELLS = ["rnn", "lstm", "gru"]
# With five symbols: the id of the start, and that of a character that the vocabulary lacks.
START, LACKING = 5, 6


def make_model(
    cell: str = "lstm",
    *,
    symbols: int = 5,
    documents: bool = False,
    dropout: float | None = None,
    hidden: int = 8,
    layers: int = 2,
) -> LanguageModel:
    """A network whose predictions are far from uniform and lean on its memory."""
    config = ModelConfig(
        vocab_size=symbols + documents,
        start_id=symbols,
        cell=cell,
        embedding=hidden,
        hidden=hidden,
        layers=layers,
        dropout=dropout,
    )
    model = LanguageModel(config)
    generator = torch.Generator().manual_seed(3)
    model.initialise(generator)
    with torch.no_grad():
        assert model.forwards.head is not None
        model.forwards.head.normal_(std=1.5, generator=generator)
        model.forwards.bias.normal_(std=0.5, generator=generator)
    return model.eval()


def weights_of(model: LanguageModel) -> Weights:
    return model.forwards.layers[0].cell().weights


def draw(count: int, symbols: int = 5, seed: int = 0) -> Tokens:
    ids = np.random.default_rng(seed).integers(0, symbols, count)
    return ids.astype(smallest_dtype(symbols + 2))


def documents_of(lengths: Sequence[int], symbols: int = 5) -> tuple[Tokens, Positions]:
    """Documents of these lengths, each with its end, id `symbols`."""
    tokens = draw(sum(lengths), symbols)
    ends = np.cumsum(lengths)
    tokens[ends - 1] = symbols
    return tokens, np.append(0, ends[:-1]).astype(np.int64)


def one_at_a_time(
    model: LanguageModel,
    tokens: Tokens,
    starts: Positions | None = None,
    *,
    reset_every: int | None = None,
    resets: Iterable[int] = (),
    temperature: float = 1.0,
) -> Logprobs:
    """The slow twin: one token, one call, float64 throughout."""
    slow = copy.deepcopy(model).double().eval()
    start, vocabulary = model.config.start_id, model.config.vocab_size
    begins = {0} if starts is None else set(starts.tolist())
    emptied = set(resets) | begins | set(range(0, tokens.size, reset_every or tokens.size))
    found, previous, states = [], start, slow.initial_states(1)
    with torch.no_grad():
        for position, token in enumerate(tokens.tolist()):
            if position in emptied:
                states = slow.initial_states(1)
            if position in begins or previous > start:
                previous = start
            logits, states = slow(torch.tensor([[previous]]), states)
            known = token < vocabulary
            found.append(float((logits[0, 0] / temperature).log_softmax(0)[token]) if known else -math.log(vocabulary))
            previous = token
    return np.array(found)


def agree(found: Logprobs, expected: Logprobs) -> None:
    assert found.shape == expected.shape
    assert math.fsum(found) == pytest.approx(math.fsum(expected), rel=1e-6)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-5)


def model_of(network: LanguageModel, symbols: str) -> Model:
    """The network as it is loaded from a file, with these characters."""
    documents = "lines" if network.config.documents else "stream"
    record = {"format": FORMAT, "model": network.config.to_json(), "training": {"documents": documents}}
    return Model(arrays(network), CharTokenizer(symbols), Header(Path("none"), record, {}, 0))


def rows_read(model: LanguageModel) -> list[tuple[int, int]]:
    """Fills with rows and length of every call."""
    shapes: list[tuple[int, int]] = []
    model.register_forward_pre_hook(lambda _, given: shapes.append(tuple(given[0].shape)))
    return shapes


# ---- token_logprobs


@pytest.mark.parametrize("cell", CELLS)
def test_one_stream_equals_a_slow_loop_in_float64(cell: str) -> None:
    model, tokens = make_model(cell), draw(60)
    agree(token_logprobs(model, tokens), one_at_a_time(model, tokens))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("reset_every", [1, 2, 7, 60, 61])
def test_reset_every_equals_a_slow_loop_in_float64(cell: str, reset_every: int) -> None:
    model, tokens = make_model(cell), draw(60)
    found = token_logprobs(model, tokens, reset_every=reset_every)
    agree(found, one_at_a_time(model, tokens, reset_every=reset_every))


@pytest.mark.parametrize("cell", CELLS)
def test_documents_equal_a_slow_loop_in_float64(cell: str) -> None:
    model = make_model(cell, documents=True)
    tokens, starts = documents_of([3, 1, 20, 2, 1, 9])
    agree(token_logprobs(model, tokens, starts), one_at_a_time(model, tokens, starts))


@pytest.mark.parametrize("cell", CELLS)
def test_lines_of_one_stream_each_follow_the_start_and_not_the_line_before(cell: str) -> None:
    model, tokens = make_model(cell), draw(40)
    starts = np.array([0, 1, 9, 30], np.int64)
    agree(token_logprobs(model, tokens, starts), one_at_a_time(model, tokens, starts))


def test_a_document_is_scored_as_if_it_stood_alone() -> None:
    model = make_model(documents=True)
    tokens, starts = documents_of([4, 7, 2])
    together = token_logprobs(model, tokens, starts)
    for first, end in [(0, 4), (4, 11), (11, 13)]:
        agree(together[first:end], token_logprobs(model, tokens[first:end], np.array([0])))


@pytest.mark.parametrize("count", [1, 2, 3, 16, 17, 18, 50, 51, 52, 1025])
def test_the_first_token_and_the_tail_are_scored(count: int) -> None:
    """Counts that fall short of a cut between windows, on it, and beyond it."""
    model, tokens = make_model("gru", layers=1), draw(count)
    found = token_logprobs(model, tokens, window=17)
    expected = one_at_a_time(model, tokens)
    agree(found, expected)
    assert found[0] == pytest.approx(expected[0], rel=1e-5)
    assert found[-1] == pytest.approx(expected[-1], rel=1e-4)


@pytest.mark.parametrize("symbols", [1, 2, 10, 300])
def test_a_network_of_zeros_costs_log2_v_bits_per_token(symbols: int) -> None:
    model = make_model(symbols=symbols)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    scored = score(model, Part(draw(1500, symbols), 1500), Facts(chars=1500, bytes=1500, words=1))
    np.testing.assert_allclose(scored.surprisal, math.log2(symbols), rtol=1e-7, atol=0)
    assert scored.bpt == pytest.approx(math.log2(symbols), rel=1e-7)
    assert scored.ppl == pytest.approx(symbols, rel=1e-6)


@pytest.mark.parametrize("batch_size", [1, 2, 7, 32, 64])
@pytest.mark.parametrize("window", [1, 3, 17, 256])
@pytest.mark.parametrize("form", ["reset", "documents"])
def test_batch_size_and_window_change_no_figure(form: str, batch_size: int, window: int) -> None:
    tokens, documents = documents_of([30, 1, 7, 90, 3, 2, 40, 60, 1, 1, 5, 9] + [4] * 60)
    model = make_model(documents=True, layers=1)
    starts = documents if form == "documents" else None
    every = 37 if form == "reset" else None
    found = token_logprobs(model, tokens, starts, reset_every=every, batch_size=batch_size, window=window)
    agree(found, token_logprobs(model, tokens, starts, reset_every=every, batch_size=1, window=10_000))


@pytest.mark.parametrize("batch_size", [1, 2, 7, 32, 64])
@pytest.mark.parametrize("window", [17, 256])
def test_batch_size_and_window_change_no_figure_of_a_long_stream(batch_size: int, window: int) -> None:
    model, tokens = make_model(layers=1), draw(2 * 1024 + 5)
    agree(token_logprobs(model, tokens, batch_size=batch_size, window=window), token_logprobs(model, tokens))


def test_a_window_of_one_token_changes_no_figure_of_a_stream() -> None:
    model, tokens = make_model(), draw(1100)
    agree(token_logprobs(model, tokens, window=1), token_logprobs(model, tokens))


def test_a_large_vocabulary_narrows_the_window_and_changes_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokens = make_model(symbols=300), draw(300, 300)
    whole = token_logprobs(model, tokens)
    shapes = rows_read(model)
    monkeypatch.setattr(scoring, "LOGITS_AT_ONCE", 2100)
    agree(token_logprobs(model, tokens), whole)
    assert max(length for _, length in shapes) == 7


def test_the_window_is_never_narrower_than_one_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "LOGITS_AT_ONCE", 1)
    model, tokens = make_model(), draw(40)
    agree(token_logprobs(model, tokens, reset_every=5), one_at_a_time(model, tokens, reset_every=5))


# ---- temperature


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("temperature", [0.2, 0.7, 1.0, 1.3, 5.0])
def test_a_temperature_equals_a_slow_loop_in_float64(cell: str, temperature: float) -> None:
    model, tokens = make_model(cell), draw(60)
    tokens[[7, 30]] = 6
    found = token_logprobs(model, tokens, window=17, temperature=temperature)
    agree(found, one_at_a_time(model, tokens, temperature=temperature))
    found = token_logprobs(model, tokens, reset_every=7, temperature=temperature)
    agree(found, one_at_a_time(model, tokens, reset_every=7, temperature=temperature))


@pytest.mark.parametrize("temperature", [0.2, 1.3])
def test_a_temperature_of_documents_equals_a_slow_loop_in_float64(temperature: float) -> None:
    model = make_model(documents=True)
    tokens, starts = documents_of([3, 1, 20, 2])
    found = token_logprobs(model, tokens, starts, temperature=temperature)
    agree(found, one_at_a_time(model, tokens, starts, temperature=temperature))


def test_without_a_temperature_it_is_one() -> None:
    model, tokens = make_model(), draw(60)
    found = token_logprobs(model, tokens)
    np.testing.assert_array_equal(found, token_logprobs(model, tokens, temperature=1.0))
    assert (abs(found - token_logprobs(model, tokens, temperature=1.3)) > 1e-4).all()


def test_a_great_heat_makes_all_symbols_equal_and_a_frost_leaves_one() -> None:
    model, tokens = make_model(), draw(60)
    np.testing.assert_allclose(token_logprobs(model, tokens, temperature=1e6), -math.log(5), rtol=1e-5)
    cold = token_logprobs(model, tokens, temperature=1e-6)
    assert set(cold > -1e-6) == {True, False}
    assert cold[cold <= -1e-6].max() < -1000


def test_a_character_that_the_vocabulary_lacks_costs_ln_v_at_every_temperature() -> None:
    model, tokens = make_model(), draw(9)
    tokens[[0, 7]] = 6
    for temperature in (0.2, 1.0, 5.0):
        found = token_logprobs(model, tokens, temperature=temperature)
        np.testing.assert_allclose(found[[0, 7]], -math.log(5), rtol=1e-12)


# ---- what is read, and what it costs


@pytest.mark.parametrize("documents", [True, False])
@pytest.mark.parametrize("first", [0, 1, 4])
def test_inputs_and_targets_equal_a_loop_over_places(documents: bool, first: int) -> None:
    model = make_model(documents=documents)
    tokens = np.array([2, 6, 0, 5, 4, 1, 6, 6, 3, 0], np.uint8)
    positions = np.arange(first, first + 8).reshape(2, 4)
    positions[1] += 2
    inside = positions < tokens.size
    inputs, targets = inputs_and_targets(model, tokens, positions, inside)
    for row, column in np.ndindex(positions.shape):
        position = int(positions[row, column])
        before = START if position == 0 or not inside[row, column] else int(tokens[position - 1])
        here = int(tokens[position]) if inside[row, column] else START
        assert int(inputs[row, column]) == min(before, START)
        assert int(targets[row, column]) == here
    assert inputs.shape == targets.shape == (2, 4)
    assert inputs.dtype == targets.dtype == torch.int64


def test_what_is_not_inside_is_not_read_from_the_text() -> None:
    """Rows that ended before their neighbours: both ids of such a position are the start."""
    positions, inside = np.array([[3, 4, 5]]), np.array([[True, False, False]])
    inputs, targets = inputs_and_targets(make_model(), np.array([0, 1, 2, 3, 4, 1], np.uint8), positions, inside)
    assert inputs.tolist() == [[2, START, START]]
    assert targets.tolist() == [[3, START, START]]


@pytest.mark.parametrize("symbols", [5, 6])
def test_prices_equal_a_loop_in_float64(symbols: int) -> None:
    """Of five logits, none is that of the end, id 5; of six, the last is."""
    logits = torch.randn(3, 4, symbols, generator=torch.Generator().manual_seed(1)) * 4
    targets = torch.tensor([[0, 1, 2, 3], [4, 5, 6, 0], [6, 5, 4, 4]])
    found = target_nll(logits, targets, START)
    assert found.dtype == np.float64 and found.shape == (3, 4)
    for row, column in np.ndindex(found.shape):
        target, scores = int(targets[row, column]), logits[row, column].tolist()
        expected = math.log(math.fsum(map(math.exp, scores))) - scores[min(target, symbols - 1)]
        if target == START and symbols == 5:
            expected = math.inf
        if target == LACKING:
            expected = math.log(symbols)
        assert found[row, column] == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_prices_leave_logits_and_targets_as_they_are() -> None:
    logits, targets = torch.ones(1, 3, 5), torch.tensor([[0, 5, 6]])
    target_nll(logits, targets, START)
    assert torch.equal(logits, torch.ones(1, 3, 5)) and targets.tolist() == [[0, 5, 6]]


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


@pytest.mark.parametrize("make", [latch, hoarder, keeper])
def test_a_network_that_does_not_forget_scores_as_in_one_sequence(make: Callable[[], LanguageModel]) -> None:
    """Long enough to be cut, so that a cut that lost the memory would show; the latch is set by the first token."""
    tokens = draw(2 * 1024 + 9, 2) + np.uint8(1)
    tokens[0] = 0
    model = make()
    expected = one_at_a_time(model, tokens)
    for batch_size in (1, 7, 32):
        agree(token_logprobs(model, tokens, batch_size=batch_size), expected)


# ---- chunks: an estimate


@pytest.mark.parametrize("make", [latch, make_model])
@pytest.mark.parametrize("chunks, count", [(2, 100), (3, 100), (5, 123), (4, 4 * 24)])
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
    agree(token_logprobs(model, tokens, chunks=chunks, window=17), expected)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("chunks", [2, 8, 128])
def test_chunks_change_no_figure_of_a_network_that_forgets(cell: str, chunks: int) -> None:
    model, tokens = make_model(cell, layers=1), draw(9 * 1024 + 5)
    with torch.no_grad():
        weights_of(model).w_hh.mul_(0.1)
    agree(token_logprobs(model, tokens, chunks=chunks), token_logprobs(model, tokens))


@pytest.mark.parametrize("count, rows", [(1023, 1), (2047, 1), (2048, 2), (4096, 4), (9000, 4)])
def test_a_chunk_is_never_shorter_than_it_says(count: int, rows: int) -> None:
    model = make_model(layers=1)
    shapes = rows_read(model)
    token_logprobs(model, draw(count), chunks=4)
    assert max(shape[0] for shape in shapes) == rows


def test_without_chunks_a_stream_is_read_once_in_one_row() -> None:
    model = make_model(layers=1)
    shapes = rows_read(model)
    token_logprobs(model, draw(3 * 1024 + 1), batch_size=32)
    assert {rows for rows, _ in shapes} == {1}
    assert sum(length for _, length in shapes) == 3 * 1024 + 1


@pytest.mark.parametrize("cell", CELLS)
def test_weights_that_are_not_numbers_give_nan_and_an_end(cell: str) -> None:
    model = make_model(cell, layers=1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(math.nan)
    tokens, starts = documents_of([5, 1, 2000])
    assert np.isnan(token_logprobs(model, tokens)).all()
    assert np.isnan(token_logprobs(model, tokens, reset_every=100)).all()
    assert np.isnan(token_logprobs(model, tokens, starts)).all()
    assert np.isnan(token_logprobs(model, draw(4 * 1024 + 1), chunks=4)).all()


# ---- what may come next


def distribution(model: LanguageModel, tokens: Sequence[int]) -> float:
    """The probabilities of these ids as a first token, added up; an id that is refused has none."""
    total = 0.0
    for token in tokens:
        try:
            total += math.exp(token_logprobs(model, np.array([token], np.uint8), np.array([0]))[0])
        except CharrnnError:
            continue
    return total


def test_all_that_may_come_next_has_probability_one() -> None:
    assert distribution(make_model(), range(5)) == pytest.approx(1, rel=1e-6)
    assert distribution(make_model(documents=True), range(6)) == pytest.approx(1, rel=1e-6)


def test_an_end_that_the_model_does_not_know_is_not_priced_as_another_symbol() -> None:
    """A model of one stream predicts no end of document: with it, the shares of all ids still add up to one."""
    assert distribution(make_model(), range(6)) == pytest.approx(1, rel=1e-6)


def test_lines_scored_by_a_model_of_one_stream_do_not_hang_on_the_order_of_its_symbols() -> None:
    """Which symbol happens to stand last in the vocabulary must have no part in the figure."""
    totals = []
    for symbols in ("ab\n", "a\nb"):
        network = make_model("rnn", symbols=3)
        assert network.forwards.head is not None
        with torch.no_grad():
            network.forwards.head.zero_()
            network.forwards.bias.copy_(torch.tensor([{"a": 2.0, "b": 1.0, "\n": 0.0}[symbol] for symbol in symbols]))
        totals.append(model_of(network, symbols).score("ab\nba\n", lines=True).nll)
    assert totals[0] == pytest.approx(totals[1], rel=1e-6)


def test_an_unknown_character_costs_ln_v_and_is_read_as_the_start() -> None:
    model, tokens = make_model(), draw(40)
    tokens[[0, 7, 8, 39]] = 6
    found = token_logprobs(model, tokens)
    agree(found, one_at_a_time(model, tokens))
    np.testing.assert_allclose(found[[0, 7, 8, 39]], -math.log(5), rtol=1e-12)


def test_an_unknown_character_in_a_document_costs_ln_v() -> None:
    model = make_model(documents=True)
    tokens, starts = documents_of([5, 6])
    tokens[6] = 6
    found = token_logprobs(model, tokens, starts)
    agree(found, one_at_a_time(model, tokens, starts))
    assert found[6] == pytest.approx(-math.log(6), rel=1e-12)


# ---- the model is left as it was


@pytest.mark.parametrize("training", [True, False])
def test_the_training_flag_comes_back(training: bool) -> None:
    model = make_model().train(training)
    token_logprobs(model, draw(5))
    assert model.training is training
    assert all(module.training is training for module in model.modules())


@pytest.mark.parametrize("training", [True, False])
def test_the_training_flag_comes_back_after_a_failure(training: bool) -> None:
    model = make_model().train(training)

    def fail(*_: object) -> None:
        raise RuntimeError("no memory")

    model.register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="no memory"):
        token_logprobs(model, draw(5))
    assert model.training is training


def test_nothing_is_dropped_while_scoring() -> None:
    model = make_model(dropout=0.5).train()
    agree(token_logprobs(model, draw(50)), one_at_a_time(model, draw(50)))


def test_scoring_leaves_no_gradient_and_no_changed_weight() -> None:
    model = make_model()
    before = copy.deepcopy(model.state_dict())
    token_logprobs(model, draw(50))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


# ---- Score

PROBABILITIES = [0.5, 0.25, 0.125, 0.9, 0.01]


def make_score(unknown: Sequence[int] = (), words: int = 3) -> Score:
    mask = np.zeros(5, dtype=bool)
    mask[list(unknown)] = True
    return Score(np.log(PROBABILITIES), chars=7, bytes=11, words=words, state="carried", unknown=mask)


def test_every_figure_equals_its_formula() -> None:
    nll = sum(-math.log(p) for p in PROBABILITIES)
    mean = nll / 5
    variance = sum((-math.log(p) - mean) ** 2 for p in PROBABILITIES) / 5
    ppl = math.exp(nll / 5)
    expected = {
        "tokens": 5,
        "chars": 7,
        "bytes": 11,
        "words": 3,
        "oov": 0,
        "nats": nll,
        "loss": nll / 5,
        "ppl": ppl,
        "ppl_se": ppl * math.sqrt(variance / 4),
        "bpt": nll / (5 * math.log(2)),
        "bpc": nll / (7 * math.log(2)),
        "bpb": nll / (11 * math.log(2)),
        "word_ppl": math.exp(nll / 3),
        "state": "carried",
    }
    figures = make_score().figures()
    assert list(figures) == list(expected)
    assert figures.pop("state") == expected.pop("state")
    assert figures == pytest.approx(expected, rel=1e-12)


def test_each_figure_is_the_attribute_of_its_name() -> None:
    scored = make_score(unknown=[1])
    figures = scored.figures()
    assert figures.pop("nats") == scored.nll
    assert {name: getattr(scored, name) for name in figures} == figures


def test_surprisals_are_bits_and_add_up_to_the_total() -> None:
    scored = make_score()
    np.testing.assert_allclose(scored.surprisal, [-math.log2(p) for p in PROBABILITIES], rtol=1e-12)
    assert math.fsum(scored.surprisal) * math.log(2) == pytest.approx(scored.nll, rel=1e-12)


def test_the_total_is_added_up_in_float64() -> None:
    logprobs = np.full(100_000, -0.1)
    logprobs[0] = -1e9
    scored = Score(logprobs, 1, 1, 1, "carried", np.zeros(100_000, dtype=bool))
    assert scored.nll == pytest.approx(1e9 + 9999.9, abs=1e-6)


def test_unknown_characters_are_counted_and_ppl_comes_without_them_too() -> None:
    scored = make_score(unknown=[1, 4])
    known = -math.log(0.5) - math.log(0.125) - math.log(0.9)
    assert scored.oov == 2
    assert scored.ppl_known == pytest.approx(math.exp(known / 3), rel=1e-12)
    assert scored.figures()["ppl_known"] == scored.ppl_known
    assert scored.ppl == make_score().ppl


def test_bpb_is_no_code_length_where_a_character_had_no_code() -> None:
    assert make_score().bpb is not None
    assert make_score(unknown=[0]).bpb is None
    assert make_score(unknown=[0]).figures()["bpb"] is None


def test_ppl_known_is_listed_only_beside_unknown_characters() -> None:
    assert "ppl_known" not in make_score().figures()
    assert make_score().ppl_known == pytest.approx(make_score().ppl, rel=1e-12)


def test_ppl_known_is_none_where_nothing_is_known() -> None:
    assert make_score(unknown=range(5)).ppl_known is None


def test_word_ppl_is_none_in_a_text_without_words() -> None:
    assert make_score(words=0).word_ppl is None


def test_a_single_token_has_no_standard_error() -> None:
    scored = Score(np.log([0.5]), 1, 1, 1, "carried", np.zeros(1, dtype=bool))
    assert scored.ppl_se is None
    assert scored.ppl == pytest.approx(2)


def test_a_perplexity_beyond_all_numbers_is_infinite() -> None:
    scored = Score(np.array([-800.0, -800.0]), 2, 2, 1, "carried", np.array([False, True]))
    assert (scored.ppl, scored.ppl_known, scored.word_ppl) == (math.inf, math.inf, math.inf)
    assert scored.bpt == pytest.approx(800 / math.log(2))


def test_figures_are_plain_json_values() -> None:
    assert json.loads(json.dumps(make_score(unknown=[1]).figures()))["oov"] == 1


# ---- Score: figures beside the plain ones

BRIEF = ["nats", "loss", "ppl", "bpt", "bpc", "bpb", "word_ppl"]


def make_other(unknown: Sequence[int] = (), temperature: float = 1.0) -> Score:
    return replace(make_score(unknown), logprobs=np.log([0.4, 0.3, 0.2, 0.8, 0.1]), temperature=temperature)


def test_brief_figures_are_the_means_of_their_formulas() -> None:
    nll = -sum(map(math.log, [0.4, 0.3, 0.2, 0.8, 0.1]))
    expected = {
        "nats": nll,
        "loss": nll / 5,
        "ppl": math.exp(nll / 5),
        "bpt": nll / 5 / math.log(2),
        "bpc": nll / 7 / math.log(2),
        "bpb": nll / 11 / math.log(2),
        "word_ppl": math.exp(nll / 3),
    }
    brief = make_other().brief()
    assert list(brief) == list(expected) == BRIEF
    assert brief == pytest.approx(expected, rel=1e-12)


def test_brief_figures_have_no_bpb_where_a_character_had_no_code() -> None:
    brief = make_other(unknown=[1]).brief()
    assert list(brief) == BRIEF
    assert brief["bpb"] is None


def test_brief_figures_hold_no_others() -> None:
    assert replace(make_score(), adapted=make_other(), fitted=make_other()).brief() == make_score().brief()


def test_other_figures_stand_beside_the_plain_ones_and_change_none() -> None:
    other, hot = make_other(), make_other(temperature=1.25)
    plain = make_score().figures()
    assert plain.keys().isdisjoint({"adapted", "fitted"})
    both = replace(make_score(), adapted=other, fitted=hot).figures()
    assert both == {**plain, "adapted": other.brief(), "fitted": {"temperature": 1.25, **hot.brief()}}
    assert list(both) == [*plain, "adapted", "fitted"]
    assert list(both["fitted"]) == ["temperature", *BRIEF]
    assert replace(make_score(), adapted=other).figures() == {**plain, "adapted": other.brief()}
    assert "adapted" not in replace(make_score(), fitted=hot).figures()


def test_nested_figures_are_plain_json_values() -> None:
    figures = replace(make_score(), adapted=make_other([1]), fitted=make_other(temperature=2.5)).figures()
    read = json.loads(json.dumps(figures))
    assert read["adapted"]["bpb"] is None
    assert read["fitted"]["temperature"] == 2.5


# ---- score

FACTS = Facts(chars=6, bytes=9, words=2)


def test_counts_are_those_of_the_original_text() -> None:
    scored = score(make_model(), Part(draw(4), 4), FACTS)
    assert (scored.tokens, scored.chars, scored.bytes, scored.words) == (4, 6, 9, 2)


def test_an_empty_text_is_an_error() -> None:
    with pytest.raises(CorpusError, match="empty"):
        score(make_model(), Part(draw(0), 0), Facts())
    with pytest.raises(CorpusError, match="empty"):
        score(make_model(documents=True), Part(draw(0), 0, np.empty(0, np.int64)), Facts(chars=2, bytes=2))


def test_one_character_is_enough() -> None:
    model = make_model()
    scored = score(model, Part(draw(1), 1), Facts(chars=1, bytes=1, words=1))
    agree(scored.logprobs, one_at_a_time(model, draw(1)))
    assert scored.nll > 0


def test_score_carries_the_state_and_says_so() -> None:
    model, tokens = make_model(), draw(20)
    scored = score(model, Part(tokens, 20), FACTS)
    agree(scored.logprobs, one_at_a_time(model, tokens))
    assert scored.state == "carried"


def test_score_resets_and_says_so() -> None:
    model, tokens = make_model(), draw(20)
    scored = score(model, Part(tokens, 20), FACTS, reset_every=6)
    agree(scored.logprobs, one_at_a_time(model, tokens, reset_every=6))
    assert scored.state == "reset every 6 tokens"


def test_score_resets_at_documents_and_says_so() -> None:
    model = make_model(documents=True)
    tokens, starts = documents_of([5, 9])
    scored = score(model, Part(tokens, 14, starts), FACTS)
    agree(scored.logprobs, one_at_a_time(model, tokens, starts))
    assert scored.state == "reset at each line or document"


def test_documents_are_not_reset_inside_as_well() -> None:
    model = make_model(documents=True)
    tokens, starts = documents_of([9, 12])
    with pytest.raises(ConfigError, match="leave out --reset-every"):
        score(model, Part(tokens, 21, starts), FACTS, reset_every=4)


def test_score_marks_the_characters_that_the_vocabulary_lacks() -> None:
    tokens = draw(6)
    tokens[[2, 5]] = 6
    scored = score(make_model(), Part(tokens, 6, unknown=2), FACTS)
    assert np.flatnonzero(scored.unknown).tolist() == [2, 5]
    assert scored.bpb is None


def test_the_end_of_a_document_is_no_unknown_character() -> None:
    tokens, starts = documents_of([5, 9])
    assert score(make_model(documents=True), Part(tokens, 14, starts), FACTS).oov == 0


@pytest.mark.parametrize("batch_size", [1, 3])
def test_score_hands_its_batch_size_on(batch_size: int) -> None:
    model = make_model()
    shapes = rows_read(model)
    score(model, Part(draw(12), 12), FACTS, reset_every=2, batch_size=batch_size)
    assert max(rows for rows, _ in shapes) == batch_size


def test_score_hands_its_temperature_on_and_keeps_it() -> None:
    model, tokens = make_model(), draw(20)
    assert score(model, Part(tokens, 20), FACTS).temperature == 1.0
    for reset_every in (None, 6):
        scored = score(model, Part(tokens, 20), FACTS, temperature=1.7, reset_every=reset_every)
        agree(scored.logprobs, one_at_a_time(model, tokens, reset_every=reset_every, temperature=1.7))
        assert scored.temperature == 1.7
        assert (scored.adapted, scored.fitted) == (None, None)


def test_score_of_documents_hands_its_temperature_on() -> None:
    model = make_model(documents=True)
    tokens, starts = documents_of([5, 9])
    scored = score(model, Part(tokens, 14, starts), FACTS, temperature=1.7)
    agree(scored.logprobs, one_at_a_time(model, tokens, starts, temperature=1.7))


# ---- Model.score: the same text under other conditions

TEXT = "abcdeedcbaabeda\ncab\n" * 5


def text_model(*, documents: bool = False) -> Model:
    return model_of(make_model(documents=documents, symbols=6, layers=1), "\nabcde")


def part_of(text: str) -> Part:
    return Part(np.array(["\nabcde".find(symbol) % 8 for symbol in text], np.uint8), len(text))


def test_without_being_asked_a_model_scores_the_plain_text_alone() -> None:
    scored = text_model().score(TEXT)
    assert (scored.adapted, scored.fitted, scored.temperature) == (None, None, 1.0)


def test_an_adapted_score_stands_beside_the_plain_one() -> None:
    model = text_model()
    plain, scored = model.score(TEXT), model.score(TEXT, adapt=True)
    np.testing.assert_array_equal(scored.logprobs, plain.logprobs)
    assert scored.state == plain.state == "carried"
    assert scored.fitted is None and scored.adapted is not None
    np.testing.assert_array_equal(scored.adapted.logprobs, adapted_logprobs(model.network, part_of(TEXT)))
    assert abs(scored.adapted.nll - plain.nll) > 1e-3
    assert (scored.adapted.chars, scored.adapted.state) == (len(TEXT), "carried, weights adapted")
    np.testing.assert_array_equal(model.score(TEXT).logprobs, plain.logprobs)


def test_an_adapted_score_of_documents_resets_the_state_at_each() -> None:
    model = text_model(documents=True)
    scored = model.score(TEXT, adapt=True)
    tokens = np.where(part_of(TEXT).tokens == 0, 6, part_of(TEXT).tokens).astype(np.uint8)
    starts = np.append(0, np.flatnonzero(tokens == 6)[:-1] + 1)
    assert scored.adapted is not None
    assert scored.adapted.tokens == scored.tokens == tokens.size
    np.testing.assert_array_equal(
        scored.adapted.logprobs, adapted_logprobs(model.network, Part(tokens, tokens.size, starts))
    )
    assert scored.adapted.state == "reset at each line or document, weights adapted"


def test_an_adapted_score_of_lines_resets_the_state_at_each() -> None:
    model, part = text_model(), part_of(TEXT)
    scored = model.score(TEXT, lines=True, adapt=True)
    starts = np.append(0, np.flatnonzero(part.tokens == 0)[:-1] + 1)
    assert scored.adapted is not None
    np.testing.assert_array_equal(
        scored.adapted.logprobs, adapted_logprobs(model.network, replace(part, starts=starts))
    )


def test_an_adapted_score_counts_the_characters_that_the_vocabulary_lacks() -> None:
    text = TEXT[:50] + "?" + TEXT[50:]
    scored = text_model().score(text, unknown=True, adapt=True, fit_temperature=True)
    for other in (scored.adapted, scored.fitted):
        assert other is not None
        assert (other.oov, other.bpb) == (1, None)
        assert other.logprobs[50] == pytest.approx(-math.log(6), rel=1e-12)


def test_an_adaptation_that_is_reset_is_refused() -> None:
    with pytest.raises(ConfigError, match="leave out --reset-every or --adapt"):
        text_model().score(TEXT, adapt=True, reset_every=5)


@pytest.mark.parametrize("form", ["stream", "reset", "lines"])
def test_a_fitted_score_stands_beside_the_plain_one(form: str) -> None:
    model, part = text_model(), part_of(TEXT)
    every = 7 if form == "reset" else None
    starts = np.append(0, np.flatnonzero(part.tokens == 0)[:-1] + 1) if form == "lines" else None
    plain = model.score(TEXT, lines=form == "lines", reset_every=every)
    scored = model.score(TEXT, lines=form == "lines", reset_every=every, fit_temperature=True)
    np.testing.assert_array_equal(scored.logprobs, plain.logprobs)
    assert scored.adapted is None and scored.temperature == 1.0
    fitted = scored.fitted
    assert fitted is not None

    def loss(temperature: float) -> float:
        logprobs = one_at_a_time(
            model.network.first_member, part.tokens, starts, reset_every=every, temperature=temperature
        )
        return -float(logprobs.mean())

    assert fitted.loss == pytest.approx(loss(fitted.temperature), rel=1e-5)
    assert fitted.temperature == pytest.approx(fit_temperature(loss), rel=1e-2)
    assert fitted.loss < plain.loss - 0.1, "the network of the tests is far too sure of itself"
    assert (fitted.state, fitted.chars, fitted.tokens) == (plain.state, plain.chars, plain.tokens)


def test_both_scores_stand_beside_the_plain_one_and_know_nothing_of_each_other() -> None:
    model = text_model()
    both = model.score(TEXT, adapt=True, fit_temperature=True)
    one, other = model.score(TEXT, adapt=True).adapted, model.score(TEXT, fit_temperature=True).fitted
    assert both.adapted is not None and one is not None and both.fitted is not None and other is not None
    np.testing.assert_array_equal(both.adapted.logprobs, one.logprobs)
    np.testing.assert_array_equal(both.fitted.logprobs, other.logprobs)
    assert both.fitted.temperature == other.temperature != 1.0
    assert both.adapted.temperature == 1.0


def test_an_empty_text_is_an_error_under_every_condition() -> None:
    with pytest.raises(CorpusError, match="empty"):
        text_model().score("", adapt=True, fit_temperature=True)
