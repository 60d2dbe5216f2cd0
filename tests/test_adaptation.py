"""adapted_token_nll against a slow loop, token by token in float64, and what must never happen while it learns."""

import copy
import math
from collections.abc import Callable
from itertools import cycle

import numpy as np
import pytest
import torch
from torch import Tensor

from charrnn.config import ModelConfig
from charrnn.errors import ConfigError
from charrnn.models.cells import CELLS
from charrnn.models.language_model import LanguageModel
from charrnn.scoring import adaptation
from charrnn.scoring.adaptation import adapted, adapted_token_nll
from charrnn.scoring.figures import Nats
from charrnn.scoring.score import score
from charrnn.scoring.token_nll import token_nll
from charrnn.text.part import Part
from charrnn.text.survey import TextStatistics

from .cases import each
from .test_token_nll import agree, documents_of, draw, make_model

START, LACKING = 5, 6


def part_of(count: int, *, lacking: list[int] | None = None) -> Part:
    """One stream, with characters that the vocabulary lacks at these places."""
    tokens = draw(count)
    tokens[lacking or []] = LACKING
    return Part(tokens, count)


def parts_of(lengths: list[int], *, ends: bool = True) -> Part:
    """Documents of these lengths, with their ends or, as lines of a model of one stream, without."""
    tokens, starts = documents_of(lengths)
    return Part(tokens if ends else draw(tokens.size), tokens.size, starts)


def learning_slowly(model: LanguageModel, part: Part, *, rate: float, pull: float, segment: int) -> Nats:
    """The slow twin: one token, one call; a segment's losses are kept, and learned from when it is over."""
    network = copy.deepcopy(model).double().eval()
    vocabulary = model.config.vocab_size
    weights = list(network.parameters())
    trained = [weight.detach().clone() for weight in weights]
    squares = [torch.zeros_like(weight) for weight in weights]
    begins = [0] if part.starts is None else part.starts.tolist()
    found: list[float] = []
    losses: list[Tensor] = []
    previous, states, since, segments = START, network.initial_states(1), 0, 0
    for place, token in enumerate(part.tokens.tolist()):
        if place in begins:
            previous, states, since = START, network.initial_states(1), 0
        logits, states = network(torch.tensor([[min(previous, START)]]), states)
        logprobs = logits[0, 0].log_softmax(0)
        if token < vocabulary:
            losses.append(-logprobs[token])
            found.append(-float(logprobs[token].detach()))
        else:
            losses.append(0 * logprobs[0])
            found.append(math.log(vocabulary) if token == LACKING else math.inf)
        previous, since = token, since + 1
        over = since % segment == 0 or place + 1 == part.tokens.size or place + 1 in begins
        if over:
            segments += 1
            gradients = torch.autograd.grad(torch.stack(losses).mean(), weights)
            for weight, origin, square, gradient in zip(weights, trained, squares, gradients, strict=True):
                square += gradient * gradient
                rms = torch.maximum((square / segments).sqrt(), torch.tensor(1e-5))
                weight.data = weight.data - rate * gradient / rms + pull * (origin - weight.data)
            losses = []
            states = tuple(tuple(memory.detach() for memory in state) for state in states)
    return np.array(found)


def check(model: LanguageModel, part: Part, *, rate: float = 0.02, pull: float = 0.1, segment: int = 7) -> Nats:
    found = adapted_token_nll(model, part, rate=rate, pull=pull, segment=segment)
    expected = learning_slowly(model, part, rate=rate, pull=pull, segment=segment)
    assert found.dtype == np.float64
    agree(found, expected)
    return found


# ---- against the twin


@pytest.mark.slow
@each("cell, layers", zip(CELLS, cycle([1, 2])))
def test_every_cell_equals_a_slow_loop_in_float64(cell: str, layers: int) -> None:
    # What is not bounded runs away at a rate that others bear.
    check(make_model(cell, layers=layers), part_of(40), rate=0.02 if CELLS[cell].bounded else 0.001)


def test_a_tied_head_equals_a_slow_loop_in_float64() -> None:
    model = LanguageModel(ModelConfig(vocab_size=5, start_id=5, embedding=8, hidden=8, layers=1, tie=True))
    model.initialise(torch.Generator().manual_seed(3))
    check(model, part_of(40))


@each(
    "rate, pull, segment",
    [(0.0, 0.0, 1), (0.0, 0.6, 8), (1e-4, 0.001, 1), (1e-4, 0.0, 40), (0.05, 0.6, 1), (0.05, 0.0, 40)],
)
def test_every_rate_pull_and_segment_equals_a_slow_loop_in_float64(rate: float, pull: float, segment: int) -> None:
    check(make_model(layers=1), part_of(40), rate=rate, pull=pull, segment=segment)


@each("count", [1, 2, 6, 7, 8, 14, 15])
def test_the_first_token_and_the_tail_are_scored(count: int) -> None:
    """Counts that fall short of a cut between segments, on it, and beyond it."""
    assert check(make_model(), part_of(count)).size == count


def test_a_text_without_tokens_has_no_tokens() -> None:
    assert adapted_token_nll(make_model(), part_of(0)).shape == (0,)


@each("cell", ["lstm", "gru"])
def test_documents_equal_a_slow_loop_in_float64(cell: str) -> None:
    check(make_model(cell, documents=True), parts_of([3, 1, 20, 7, 2, 14]))


def test_lines_of_a_model_of_one_stream_equal_a_slow_loop_in_float64() -> None:
    check(make_model(), parts_of([3, 1, 20, 7, 2, 14], ends=False))


def test_unknown_characters_equal_a_slow_loop_in_float64() -> None:
    """Alone within a segment, first and last in one, and a whole segment of nothing else."""
    part = part_of(40, lacking=[0, 3, 6, 7, *range(14, 21), 39])
    found = check(make_model(), part)
    np.testing.assert_allclose(found[part.tokens == LACKING], math.log(5), rtol=1e-12)


def test_unknown_characters_in_documents_equal_a_slow_loop_in_float64() -> None:
    part = parts_of([5, 9, 11])
    part.tokens[[0, 6, 20]] = LACKING
    found = check(make_model(documents=True), part)
    np.testing.assert_allclose(found[[0, 6, 20]], math.log(6), rtol=1e-12)


def test_an_end_that_the_model_does_not_know_costs_infinity_and_is_not_learned() -> None:
    found = check(make_model(), parts_of([3, 9, 11]))
    assert np.flatnonzero(np.isinf(found)).tolist() == [2, 11, 22]


# ---- scored before it is learned from


@each("place", [0, 5, 6, 7, 8, 20, 29])
def test_another_token_changes_no_token_before_it(place: int) -> None:
    model, part = make_model(), part_of(30)
    before = adapted_token_nll(model, part, rate=0.05, segment=7)
    part.tokens[place] = (part.tokens[place] + 1) % 5
    after = adapted_token_nll(model, part, rate=0.05, segment=7)
    np.testing.assert_array_equal(after[:place], before[:place])
    assert (after[place:] != before[place:]).all()


def test_a_longer_text_changes_no_token_of_its_beginning() -> None:
    model, part = make_model(), part_of(30)
    longer = adapted_token_nll(model, part, rate=0.05, segment=7)
    shorter = adapted_token_nll(model, part.beginning(24), rate=0.05, segment=7)
    np.testing.assert_allclose(shorter, longer[:24], rtol=1e-5)


def test_nothing_is_learned_within_the_first_segment_and_something_after_it() -> None:
    model, part = make_model(), part_of(30)
    plain = token_nll(model, part.tokens)
    found = adapted_token_nll(model, part, rate=0.05, segment=20)
    agree(found[:20], plain[:20])
    assert (abs(found[20:] - plain[20:]) > 1e-3).all()
    agree(adapted_token_nll(model, part, rate=0.05, segment=30), plain)


# ---- what is plain again


@each("cell, pull", zip(CELLS, cycle([0.0, 0.3])))
def test_without_a_rate_the_figures_are_the_plain_ones(cell: str, pull: float) -> None:
    model, part = make_model(cell), part_of(60, lacking=[4, 30])
    agree(adapted_token_nll(model, part, rate=0, pull=pull, segment=7), token_nll(model, part.tokens))


@each("documents", [True, False])
def test_without_a_rate_documents_have_the_plain_figures(documents: bool) -> None:
    model, part = make_model(documents=documents), parts_of([3, 1, 20, 7, 2, 14], ends=documents)
    found = adapted_token_nll(model, part, rate=0, pull=0, segment=7)
    agree(found, token_nll(model, part.tokens, part.starts))


# ---- what is learned


def test_a_text_that_repeats_itself_becomes_cheap() -> None:
    model = make_model(layers=1)
    tokens = np.tile(draw(6), 60)
    part = Part(tokens, tokens.size)
    found = adapted_token_nll(model, part, rate=0.01, segment=12)
    assert found[-60:].mean() < found[:60].mean() - 1
    assert found[-60:].mean() < token_nll(model, tokens)[-60:].mean() - 1


def test_a_document_that_comes_again_is_cheaper_though_the_state_began_anew() -> None:
    model = make_model(documents=True)
    one, _ = documents_of([12])
    tokens, starts = np.concatenate([one, one]), np.array([0, 12], np.int64)
    plain = token_nll(model, tokens, starts)
    agree(plain[12:], plain[:12])
    found = adapted_token_nll(model, Part(tokens, 24, starts), rate=0.01, segment=12)
    agree(found[:12], plain[:12])
    assert found[12:].sum() < found[:12].sum() - 1


def test_a_document_begins_from_the_initial_state_with_the_weights_of_the_one_before() -> None:
    """Where nothing can be learned from the first document, the second is scored as if it stood alone."""
    model = make_model(documents=True)
    tokens, starts = documents_of([9, 12])
    tokens[:9] = LACKING
    found = adapted_token_nll(model, Part(tokens, 21, starts), rate=0.05, segment=9)
    alone = Part(tokens[9:], 12, np.array([0], np.int64))
    agree(found[9:18], token_nll(model, alone.tokens, alone.starts)[:9])


def test_from_characters_that_the_vocabulary_lacks_nothing_is_learned() -> None:
    model, part = make_model(), part_of(35, lacking=list(range(21)))
    found = adapted_token_nll(model, part, rate=0.05, pull=0, segment=7)
    plain = token_nll(model, part.tokens)
    np.testing.assert_allclose(found[:21], math.log(5), rtol=1e-12)
    agree(found[21:28], plain[21:28])
    assert (abs(found[28:] - plain[28:]) > 1e-3).all()


def test_the_pull_leads_back_to_the_trained_weights() -> None:
    """A first segment is learned, and then come 40 from which nothing is: the share (1 - pull)^40 of it is left."""
    model, part = make_model(), part_of(7 * 42, lacking=list(range(7, 7 * 41)))
    plain = token_nll(model, part.tokens)[-7:]
    kept = adapted_token_nll(model, part, rate=0.05, pull=0, segment=7)[-7:]
    assert (abs(kept - plain) > 1e-3).all()
    agree(adapted_token_nll(model, part, rate=0.05, pull=0.5, segment=7)[-7:], plain)


# ---- the model is left as it was


@each("training", [True, False])
def test_the_model_is_left_as_it_is(training: bool) -> None:
    model, part = make_model().train(training), part_of(40)
    before = copy.deepcopy(model.state_dict())
    first = adapted_token_nll(model, part, rate=0.05)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
    assert all(module.training is training for module in model.modules())
    np.testing.assert_array_equal(adapted_token_nll(model, part, rate=0.05), first)


def test_nothing_is_dropped_while_it_learns() -> None:
    config = make_model().config
    dropping = LanguageModel(ModelConfig(**{**config.to_json(), "dropout": 0.5, "weight_drop": 0.5}))
    dropping.load_state_dict(make_model().state_dict())
    part = part_of(40)
    found = adapted_token_nll(dropping.train(), part, rate=0.02, segment=7)
    agree(found, adapted_token_nll(make_model(), part, rate=0.02, segment=7))


def test_the_text_is_left_as_it_is() -> None:
    part = parts_of([5, 9, 11])
    assert part.starts is not None
    tokens, starts = part.tokens.copy(), part.starts.copy()
    adapted_token_nll(make_model(documents=True), part)
    np.testing.assert_array_equal(part.tokens, tokens)
    np.testing.assert_array_equal(part.starts, starts)


# ---- arguments


@each(
    "call",
    [
        lambda model, part: adapted_token_nll(model, part, rate=-1e-9),
        lambda model, part: adapted_token_nll(model, part, rate=math.nan),
        lambda model, part: adapted_token_nll(model, part, pull=-0.1),
        lambda model, part: adapted_token_nll(model, part, pull=1.0),
        lambda model, part: adapted_token_nll(model, part, pull=math.nan),
        lambda model, part: adapted_token_nll(model, part, segment=0),
    ],
)
def test_a_value_out_of_range_is_refused(call: Callable[[LanguageModel, Part], Nats]) -> None:
    with pytest.raises(ConfigError, match="a `rate` from 0, a `pull` in"):
        call(make_model(), part_of(5))


# ---- the score


def test_the_adapted_score_is_that_of_the_usual_rate_and_says_what_it_is() -> None:
    model, part = make_model(), part_of(100, lacking=[50])
    plain = score(model, part, TextStatistics(chars=101, bytes=103, words=7))
    found = adapted(model, part, plain)
    usual = learning_slowly(model, part, rate=adaptation.RATE, pull=adaptation.PULL, segment=adaptation.SEGMENT)
    agree(found.token_nll, usual)
    assert abs(found.token_nll - plain.token_nll).max() > 1e-3
    assert found.state == "carried, weights adapted"
    assert (found.tokens, found.chars, found.bytes, found.words, found.oov) == (100, 100, 102, 7, 1)
    assert (found.temperature, found.adapted, found.fitted) == (1.0, None, None)


def test_the_plain_score_is_left_as_it_is() -> None:
    model, part = make_model(), part_of(100)
    plain = score(model, part, TextStatistics(chars=100, bytes=100, words=7))
    before = plain.token_nll.copy()
    adapted(model, part, plain)
    np.testing.assert_array_equal(plain.token_nll, before)
    assert plain.state == "carried" and plain.adapted is None


def test_the_adapted_score_of_documents_says_both() -> None:
    model, part = make_model(documents=True), parts_of([5, 40])
    plain = score(model, part, TextStatistics(chars=45, bytes=45, words=7))
    assert adapted(model, part, plain).state == "reset at each line or document, weights adapted"
