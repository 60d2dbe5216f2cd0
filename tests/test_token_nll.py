"""token_nll against a slow loop, token by token in float64; what a score says of it. Figures: laws/test_figures.py."""

import copy
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from charrnn.api import Model
from charrnn.config import ModelConfig
from charrnn.errors import CharrnnError
from charrnn.models.cells import Weights
from charrnn.models.language_model import LanguageModel
from charrnn.scoring import token_nll as scoring
from charrnn.scoring.figures import Nats
from charrnn.scoring.score import score
from charrnn.scoring.token_nll import Positions, inputs_and_targets, target_nll, token_nll
from charrnn.storage.checkpoint import Header
from charrnn.storage.formats import FORMAT
from charrnn.text.part import Part
from charrnn.text.survey import TextStatistics
from charrnn.text.token_files import Tokens, smallest_dtype
from charrnn.text.tokenizers.char import CharTokenizer
from charrnn.training.int8_check import arrays

from .cases import each

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
) -> Nats:
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
            found.append(-float((logits[0, 0] / temperature).log_softmax(0)[token]) if known else math.log(vocabulary))
            previous = token
    return np.array(found)


def agree(found: Nats, expected: Nats) -> None:
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


# ---- token_nll


@each("cell", CELLS)
def test_one_stream_equals_a_slow_loop_in_float64(cell: str) -> None:
    model, tokens = make_model(cell), draw(60)
    agree(token_nll(model, tokens), one_at_a_time(model, tokens))


@each("cell", CELLS)
@each("reset_every", [1, 2, 7, 60, 61])
def test_reset_every_equals_a_slow_loop_in_float64(cell: str, reset_every: int) -> None:
    model, tokens = make_model(cell), draw(60)
    found = token_nll(model, tokens, reset_every=reset_every)
    agree(found, one_at_a_time(model, tokens, reset_every=reset_every))


@each("cell", CELLS)
def test_documents_equal_a_slow_loop_in_float64(cell: str) -> None:
    model = make_model(cell, documents=True)
    tokens, starts = documents_of([3, 1, 20, 2, 1, 9])
    agree(token_nll(model, tokens, starts), one_at_a_time(model, tokens, starts))


@each("cell", CELLS)
def test_lines_of_one_stream_each_follow_the_start_and_not_the_line_before(cell: str) -> None:
    model, tokens = make_model(cell), draw(40)
    starts = np.array([0, 1, 9, 30], np.int64)
    agree(token_nll(model, tokens, starts), one_at_a_time(model, tokens, starts))


def test_a_document_is_scored_as_if_it_stood_alone() -> None:
    model = make_model(documents=True)
    tokens, starts = documents_of([4, 7, 2])
    together = token_nll(model, tokens, starts)
    for first, end in [(0, 4), (4, 11), (11, 13)]:
        agree(together[first:end], token_nll(model, tokens[first:end], np.array([0])))


@each("count", [1, 2, 3, 16, 17, 18, 50, 51, 52, 1025])
def test_the_first_token_and_the_tail_are_scored(count: int) -> None:
    """Counts that fall short of a cut between windows, on it, and beyond it."""
    model, tokens = make_model("gru", layers=1), draw(count)
    found = token_nll(model, tokens, window=17)
    expected = one_at_a_time(model, tokens)
    agree(found, expected)
    assert found[0] == pytest.approx(expected[0], rel=1e-5)
    assert found[-1] == pytest.approx(expected[-1], rel=1e-4)


@each("symbols", [1, 2, 10, 300])
def test_a_network_of_zeros_costs_log2_v_bits_per_token(symbols: int) -> None:
    model = make_model(symbols=symbols)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    scored = score(model, Part(draw(1500, symbols), 1500), TextStatistics(chars=1500, bytes=1500, words=1))
    np.testing.assert_allclose(scored.surprisal, math.log2(symbols), rtol=1e-7, atol=0)
    assert scored.bpt == pytest.approx(math.log2(symbols), rel=1e-7)
    assert scored.ppl == pytest.approx(symbols, rel=1e-6)


@each("form", ["reset", "documents"])
@each("batch_size, window", [(1, 17), (2, 256), (7, 3), (32, 1), (64, 17), (64, 256)])
def test_batch_size_and_window_change_no_figure(form: str, batch_size: int, window: int) -> None:
    tokens, documents = documents_of([30, 1, 7, 90, 3, 2, 40, 60, 1, 1, 5, 9] + [4] * 60)
    model = make_model(documents=True, layers=1)
    starts = documents if form == "documents" else None
    every = 37 if form == "reset" else None
    found = token_nll(model, tokens, starts, reset_every=every, batch_size=batch_size, window=window)
    agree(found, token_nll(model, tokens, starts, reset_every=every, batch_size=1, window=10_000))


@each("batch_size, window", [(1, 17), (2, 256), (7, 17), (64, 256)])
def test_batch_size_and_window_change_no_figure_of_a_long_stream(batch_size: int, window: int) -> None:
    model, tokens = make_model(layers=1), draw(2 * 1024 + 5)
    agree(token_nll(model, tokens, batch_size=batch_size, window=window), token_nll(model, tokens))


def test_a_window_of_one_token_changes_no_figure_of_a_stream() -> None:
    model, tokens = make_model(), draw(1100)
    agree(token_nll(model, tokens, window=1), token_nll(model, tokens))


def test_a_large_vocabulary_narrows_the_window_and_changes_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokens = make_model(symbols=300), draw(300, 300)
    whole = token_nll(model, tokens)
    shapes = rows_read(model)
    monkeypatch.setattr(scoring, "LOGITS_AT_ONCE", 2100)
    agree(token_nll(model, tokens), whole)
    assert max(length for _, length in shapes) == 7


def test_the_window_is_never_narrower_than_one_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "LOGITS_AT_ONCE", 1)
    model, tokens = make_model(), draw(40)
    agree(token_nll(model, tokens, reset_every=5), one_at_a_time(model, tokens, reset_every=5))


# ---- temperature


@each("cell", CELLS)
@each("temperature", [0.2, 0.7, 1.0, 1.3, 5.0])
def test_a_temperature_equals_a_slow_loop_in_float64(cell: str, temperature: float) -> None:
    model, tokens = make_model(cell), draw(60)
    tokens[[7, 30]] = 6
    found = token_nll(model, tokens, window=17, temperature=temperature)
    agree(found, one_at_a_time(model, tokens, temperature=temperature))
    found = token_nll(model, tokens, reset_every=7, temperature=temperature)
    agree(found, one_at_a_time(model, tokens, reset_every=7, temperature=temperature))


@each("temperature", [0.2, 1.3])
def test_a_temperature_of_documents_equals_a_slow_loop_in_float64(temperature: float) -> None:
    model = make_model(documents=True)
    tokens, starts = documents_of([3, 1, 20, 2])
    found = token_nll(model, tokens, starts, temperature=temperature)
    agree(found, one_at_a_time(model, tokens, starts, temperature=temperature))


def test_without_a_temperature_it_is_one() -> None:
    model, tokens = make_model(), draw(60)
    found = token_nll(model, tokens)
    np.testing.assert_array_equal(found, token_nll(model, tokens, temperature=1.0))
    assert (abs(found - token_nll(model, tokens, temperature=1.3)) > 1e-4).all()


def test_a_great_heat_makes_all_symbols_equal_and_a_frost_leaves_one() -> None:
    model, tokens = make_model(), draw(60)
    np.testing.assert_allclose(token_nll(model, tokens, temperature=1e6), math.log(5), rtol=1e-5)
    cold = token_nll(model, tokens, temperature=1e-6)
    assert set(cold < 1e-6) == {True, False}
    assert cold[cold >= 1e-6].min() > 1000


def test_a_character_that_the_vocabulary_lacks_costs_ln_v_at_every_temperature() -> None:
    model, tokens = make_model(), draw(9)
    tokens[[0, 7]] = 6
    for temperature in (0.2, 1.0, 5.0):
        found = token_nll(model, tokens, temperature=temperature)
        np.testing.assert_allclose(found[[0, 7]], math.log(5), rtol=1e-12)


# ---- what is read, and what it costs


@each("documents", [True, False])
@each("first", [0, 1, 4])
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


@each("symbols", [5, 6])
def test_target_nll_equals_a_loop_in_float64(symbols: int) -> None:
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


def test_target_nll_leaves_logits_and_targets_as_they_are() -> None:
    logits, targets = torch.ones(1, 3, 5), torch.tensor([[0, 5, 6]])
    target_nll(logits, targets, START)
    assert torch.equal(logits, torch.ones(1, 3, 5)) and targets.tolist() == [[0, 5, 6]]


# ---- what may come next


def distribution(model: LanguageModel, tokens: Sequence[int]) -> float:
    """The probabilities of these ids as a first token, added up; an id that is refused has none."""
    total = 0.0
    for token in tokens:
        try:
            total += math.exp(-token_nll(model, np.array([token], np.uint8), np.array([0]))[0])
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
        totals.append(model_of(network, symbols).score("ab\nba\n", lines=True).nats)
    assert totals[0] == pytest.approx(totals[1], rel=1e-6)


def test_an_unknown_character_costs_ln_v_and_is_read_as_the_start() -> None:
    model, tokens = make_model(), draw(40)
    tokens[[0, 7, 8, 39]] = 6
    found = token_nll(model, tokens)
    agree(found, one_at_a_time(model, tokens))
    np.testing.assert_allclose(found[[0, 7, 8, 39]], math.log(5), rtol=1e-12)


def test_an_unknown_character_in_a_document_costs_ln_v() -> None:
    model = make_model(documents=True)
    tokens, starts = documents_of([5, 6])
    tokens[6] = 6
    found = token_nll(model, tokens, starts)
    agree(found, one_at_a_time(model, tokens, starts))
    assert found[6] == pytest.approx(math.log(6), rel=1e-12)


# ---- the model is left as it was


@each("training", [True, False])
def test_the_training_flag_comes_back(training: bool) -> None:
    model = make_model().train(training)
    token_nll(model, draw(5))
    assert model.training is training
    assert all(module.training is training for module in model.modules())


@each("training", [True, False])
def test_the_training_flag_comes_back_after_a_failure(training: bool) -> None:
    model = make_model().train(training)

    def fail(*_: object) -> None:
        raise RuntimeError("no memory")

    model.register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="no memory"):
        token_nll(model, draw(5))
    assert model.training is training


def test_nothing_is_dropped_while_scoring() -> None:
    model = make_model(dropout=0.5).train()
    agree(token_nll(model, draw(50)), one_at_a_time(model, draw(50)))


def test_scoring_leaves_no_gradient_and_no_changed_weight() -> None:
    model = make_model()
    before = copy.deepcopy(model.state_dict())
    token_nll(model, draw(50))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


@each("kind", ["stream", "documents", "resets"])
@each("size", [2, 3, 9])
def test_what_several_score_of_a_text_is_each_token_once(kind: str, size: int) -> None:
    """Shares of chunks, of documents and of pieces between resets, and the tail of a stream."""
    model = make_model(documents=kind == "documents")
    tokens = np.random.default_rng(1).integers(0, 5, 256 * 5 + 3).astype(np.uint8)
    starts = np.arange(0, tokens.size, 90) if kind == "documents" else None
    more: dict[str, Any] = {"reset_every": 100} if kind == "resets" else {}
    whole = token_nll(model, tokens, starts, chunks=5, **more)
    shares = [token_nll(model, tokens, starts, chunks=5, own=slice(rank, None, size), **more) for rank in range(size)]
    assert (np.sum([share > 0 for share in shares], axis=0) == 1).all()
    np.testing.assert_allclose(np.sum(shares, axis=0), whole, rtol=1e-5)
