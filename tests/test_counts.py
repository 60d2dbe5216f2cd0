"""Tables of counts and the n-gram model: against its formula written out, nltk, and a source whose truth is known."""

import math
from collections import Counter, defaultdict
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
from nltk.lm import KneserNeyInterpolated  # type: ignore[import-untyped]
from nltk.util import everygrams  # type: ignore[import-untyped]

from charrnn.errors import ConfigError
from charrnn.models.counts import Grams, KneserNey
from charrnn.models.counts.table import FALLBACK, Discounts, estimate_discounts

from .cases import each

Tokens = npt.NDArray[np.int64]
Gram = tuple[int, ...]

VOCAB = 7
START = VOCAB


def source(size: int, vocab: int = VOCAB, seed: int = 0) -> tuple[Tokens, npt.NDArray[np.float64]]:
    """A text of a Markov source of order 2, and the probability of each of its tokens."""
    random = np.random.default_rng(seed)
    table = random.dirichlet(np.full(vocab, 0.3), (vocab + 1, vocab + 1))
    tokens, p, before = np.empty(size, np.int64), np.empty(size), (vocab, vocab)
    draws = random.random(size)
    for position in range(size):
        row = table[before]
        tokens[position] = min(int(np.searchsorted(np.cumsum(row), draws[position])), vocab - 1)
        p[position] = row[tokens[position]]
        before = (before[1], int(tokens[position]))
    return tokens, p


class SlowKneserNey:
    """The formula, gram by gram, from lists and dictionaries."""

    def __init__(self, documents: list[list[int]], order: int, vocab_size: int) -> None:
        self.order, self.vocab_size = order, vocab_size
        self.counts: list[Counter[Gram]] = [Counter() for _ in range(order + 1)]
        for document in documents:
            symbols = (START, *document)
            for end in range(2, len(symbols) + 1):
                for length in range(1, min(order, end) + 1):
                    self.counts[length][symbols[end - length : end]] += 1
        lefts: dict[Gram, set[int]] = defaultdict(set)
        for counts in self.counts[2:]:
            for gram in counts:
                lefts[gram[1:]].add(gram[0])
        for length in range(1, order):
            for gram in self.counts[length]:
                if length == 1 or gram[0] != START:
                    self.counts[length][gram] = len(lefts[gram])
        self.discounts = [estimate_discounts(np.array([*counts.values()])) for counts in self.counts[1:]]
        self.followers: dict[Gram, list[int]] = defaultdict(list)
        for counts in self.counts[1:]:
            for gram, count in counts.items():
                self.followers[gram[:-1]].append(count)
        self.p = cache(self._p)

    def _p(self, context: Gram, token: int | None) -> float:
        """p(token | context); token None is what is below the single symbols."""
        if token is None:
            return 1 / self.vocab_size
        d = (0.0, *self.discounts[len(context)])
        lower = self.p(context[1:], token) if context else self.p((), None)
        followers = self.followers.get(context, [])
        if not followers:
            return lower
        count = self.counts[len(context) + 1].get((*context, token), 0)
        rest = sum(d[min(each, 3)] for each in followers) / sum(followers)
        return (count - d[min(count, 3)]) / sum(followers) + rest * lower

    def nll(self, document: list[int]) -> list[float]:
        symbols = (START, *document)
        return [
            -math.log(self.p(symbols[max(0, at - self.order + 1) : at], symbols[at])) for at in range(1, len(symbols))
        ]


def documents_of(tokens: Tokens, lengths: list[int]) -> tuple[list[list[int]], Tokens, Tokens]:
    """The first tokens as documents, each with its end; all of them in a row, and where they start."""
    ends = np.cumsum(lengths)
    documents = [[*part.tolist(), START] for part in np.split(tokens[: ends[-1]], ends[:-1])]
    starts = np.cumsum([0, *(len(document) for document in documents[:-1])])
    return documents, np.concatenate(documents), starts


@each("order", [1, 2, 3, 6])
def test_a_stream_costs_what_the_formula_says(order: int) -> None:
    counted, scored = source(400)[0], source(120, seed=1)[0]
    model = KneserNey.count(counted, START, order)
    slow = SlowKneserNey([counted.tolist()], order, VOCAB)
    np.testing.assert_allclose(model.nll(scored), slow.nll(scored.tolist()), rtol=1e-12)
    assert [size.size for size in model.trie.keys[1:]] == [len(counts) for counts in slow.counts[2:]]


@each("order", [1, 2, 3, 6])
def test_documents_begin_anew_and_their_end_is_predicted(order: int) -> None:
    documents, tokens, starts = documents_of(source(400)[0], [5, 1, 30, 9, 2, 60, 9, 4, 4, 7])
    slow = SlowKneserNey(documents, order, VOCAB + 1)
    model = KneserNey.count(tokens, START, order, starts)
    others, scored, others_start = documents_of(source(90, seed=1)[0], [9, 1, 1, 40, 3])
    expected = [nats for document in others for nats in slow.nll(document)]
    np.testing.assert_allclose(model.nll(scored, others_start), expected, rtol=1e-12)


@each("order, cut", [(1, None), (5, None), (5, 1), (5, 3)])
@each("in_documents", [False, True])
def test_distributions_sum_to_one_and_hold_what_the_targets_cost(
    order: int, cut: int | None, in_documents: bool
) -> None:
    counted, scored, starts, others = source(300)[0], source(150, seed=1)[0], None, None
    if in_documents:
        (_, counted, starts), (_, scored, others) = documents_of(counted, [9] * 20), documents_of(scored, [3] * 30)
    model = KneserNey.count(counted, START, order, starts, cut=cut)
    log_p = model.log_p(scored, others)
    assert log_p.shape == (scored.size, VOCAB + in_documents)
    np.testing.assert_allclose(np.exp(log_p).sum(axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(-log_p[np.arange(scored.size), scored], model.nll(scored, others), rtol=1e-12)
    parts = list(model.log_p_in_parts(scored, others, rows=7))
    np.testing.assert_array_equal(np.concatenate(parts), log_p)


def test_it_agrees_with_nltk() -> None:
    """Which has one discount, none for single symbols, and no word of how a text begins."""
    counted, scored = source(500)[0], source(200, seed=1)[0]
    order, discount = 4, 0.7
    other = KneserNeyInterpolated(order, discount)
    grams = list(everygrams(["start", *map(str, counted)], max_len=order))
    other.fit([grams], [str(token) for token in range(VOCAB)])
    discounts: list[Discounts] = [(0, 0, 0), *[(discount, discount, discount)] * (order - 1)]
    model = KneserNey.of(Grams.count(counted, START, order), VOCAB, discounts=discounts)
    text = [str(token) for token in scored]
    expected = [-math.log(other.score(text[at], text[at - order + 1 : at])) for at in range(order, len(text))]
    np.testing.assert_allclose(model.nll(scored)[order:], expected, rtol=1e-9)


def test_a_known_source_is_learned_and_no_model_beats_it() -> None:
    (scored, p), excess = source(4000), []
    truth = -np.log(p).mean()
    for size in (300, 3000, 30_000):
        everything, _ = source(4000 + size)
        model = KneserNey.count(everything[4000:], START, 3)
        excess.append(model.nll(scored).mean() - truth)
    assert excess[0] > excess[1] > excess[2] > -0.001
    assert excess[2] < 0.005 and excess[0] > 0.05


def test_a_model_of_nothing_is_uniform() -> None:
    model = KneserNey.count(np.empty(0, np.int64), START, 3)
    assert model.nll(np.array([0, 3, 3])).tolist() == pytest.approx([math.log(VOCAB)] * 3)
    one = KneserNey.count(np.array([2]), START, 8)
    np.testing.assert_allclose(np.exp(one.log_p(np.array([2, 2, 5]))).sum(axis=1), 1)
    assert one.nll(np.empty(0, np.int64)).shape == (0,)


def test_what_the_vocabulary_lacks_costs_its_size_and_breaks_no_sums() -> None:
    model = KneserNey.count(source(300)[0], START, 4)
    scored = source(50, seed=1)[0]
    scored[10] = START + 1
    nll = model.nll(scored)
    assert nll[10] == math.log(VOCAB)
    assert nll[:10] == pytest.approx(model.nll(scored[:10]))
    np.testing.assert_allclose(np.exp(model.log_p(scored)).sum(axis=1), 1)


def test_one_table_makes_models_of_every_lower_order() -> None:
    counted, scored = source(300)[0], source(100, seed=1)[0]
    grams = Grams.count(counted, START, 6)
    for order in range(1, 7):
        alone = KneserNey.count(counted, START, order)
        np.testing.assert_array_equal(KneserNey.of(grams, VOCAB, order).nll(scored), alone.nll(scored))


def test_rare_grams_are_cut_above_an_order_and_the_table_says_how_large_it_is() -> None:
    counted = source(2000)[0]
    whole, cut = KneserNey.count(counted, START, 6), KneserNey.count(counted, START, 6, cut=3)
    often = Counter(tuple(counted[at : at + 5].tolist()) for at in range(counted.size - 4))
    assert cut.trie.keys[4].size == sum(count > 1 for count in often.values())
    assert [keys.size for keys in cut.trie.keys[:3]] == [keys.size for keys in whole.trie.keys[:3]]
    assert cut.size < whole.size and cut.nbytes < whole.nbytes
    assert whole.nbytes == 16 * whole.size + 8 * sum(table.rests.size for table in whole.tables)


def test_keys_are_exact_for_any_alphabet() -> None:
    """Packed side by side, eight ids of twenty bits would be no 64-bit number any more."""
    large = 1_000_000
    tokens = np.random.default_rng(0).integers(0, large, 200)
    model = KneserNey.count(np.concatenate([tokens, tokens]), large, 8)
    assert model.nll(tokens)[8:].max() < 1
    assert model.nll(tokens[::-1].copy()).min() > 5


def test_discounts_are_those_of_the_paper_or_safe_ones() -> None:
    counts = np.repeat([1, 2, 3, 4, 9], [60, 20, 10, 6, 3])
    assert estimate_discounts(counts) == pytest.approx((0.6, 2 - 3 * 0.6 * 10 / 20, 3 - 4 * 0.6 * 6 / 10))
    assert estimate_discounts(np.array([7, 9, 300])) == FALLBACK
    assert estimate_discounts(np.repeat([1, 2, 3, 4], [5, 5, 50, 1])) == FALLBACK, "D2 would be negative"


def test_orders_and_ids_that_make_no_sense_are_refused() -> None:
    grams = Grams.count(np.array([1, 2, 1]), START, 3)
    for call in (
        lambda: Grams.count(np.array([1]), START, 0),
        lambda: Grams.count(np.array([START + 1]), START, 2),
        lambda: KneserNey.of(grams, VOCAB, 4),
        lambda: KneserNey.of(grams, VOCAB, cut=0),
    ):
        with pytest.raises(ConfigError):
            call()
