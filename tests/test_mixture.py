"""Words, experts and the gate that mixes them, against what is slow and obvious."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np
import numpy.typing as npt
import pytest

from charrnn.models.counts import Experts, KneserNey
from charrnn.models.counts.fitting import Examples, fit, fit_constants, gradient
from charrnn.models.counts.hashes import shared
from charrnn.models.counts.mixture import Gate, Rows, features, mixed
from charrnn.models.counts.table import estimate_discounts
from charrnn.models.counts.trie import Symbols
from charrnn.models.counts.words import NO_LETTER, WordCounts

from .cases import each
from .test_counts import documents_of

Tokens = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Contexts = list[Hashable | None]

# a A b B c . and a blank
VOCAB = 7
START = VOCAB
LETTERS = np.array([0, 0, 2, 2, 4, NO_LETTER, NO_LETTER])


def text(size: int, seed: int = 0) -> Tokens:
    """Words of a small dictionary, of which some begin like others."""
    random = np.random.default_rng(seed)
    words = [[1, 2, 4, 6], [0, 2, 6], [0, 2, 4, 5, 6], [3, 6], [2, 0, 0, 5, 5, 6]]
    found: list[int] = []
    while len(found) < size:
        found += words[int(random.choice(5, p=[0.4, 0.3, 0.1, 0.1, 0.1]))]
    return np.array(found[:size])


# ---- words


def slow_contexts(before: Sequence[int], cut: bool) -> Contexts:
    """What is known after these symbols, of which the first opens a document, or a piece that was cut."""
    runs = [tuple(run) for _, run in groupby(before, key=lambda one: one < VOCAB and LETTERS[one] != NO_LETTER)]
    runs = runs[cut:]
    if not runs:
        return [None, None, None]
    words = [tuple(LETTERS[list(run)]) for run in runs[:-1] if run[0] < VOCAB and LETTERS[run[0]] != NO_LETTER]
    return [(runs[-1], *words[len(words) - count :]) if count <= len(words) else None for count in range(3)]


class SlowWords:
    """The formula, context by context, from dictionaries, over a table of an n-gram's probabilities."""

    def __init__(self, documents: list[list[int]]) -> None:
        grams: list[Counter[tuple[Hashable, int]]] = [Counter(), Counter(), Counter()]
        longer: dict[tuple[int, tuple[Hashable, int]], set[Hashable]] = defaultdict(set)
        for document in documents:
            symbols = [START, *document]
            for at in range(1, len(symbols)):
                found = slow_contexts(symbols[:at], cut=False)
                for level, context in enumerate(found):
                    if context is None:
                        continue
                    above = found[level + 1] if level < 2 else None
                    if above is None:
                        grams[level][context, symbols[at]] += 1
                    else:
                        longer[level, (context, symbols[at])].add(above)
        for (level, gram), others in longer.items():
            grams[level][gram] += len(others)
        self.discounts = [estimate_discounts(np.array([*counts.values()])) for counts in grams]
        self.followers: list[dict[Hashable, dict[int, int]]] = [defaultdict(dict) for _ in grams]
        for counts, followers in zip(grams, self.followers, strict=True):
            for (context, token), count in counts.items():
                followers[context][token] = count

    def p(self, contexts: Contexts, below: Floats) -> Floats:
        p = below.copy()
        for context, followers, discounts in zip(contexts, self.followers, self.discounts, strict=True):
            seen = {} if context is None else followers.get(context, {})
            if seen:
                d, total = (0.0, *discounts), sum(seen.values())
                p *= sum(d[min(count, 3)] for count in seen.values()) / total
                for token, count in seen.items():
                    p[token] += (count - d[min(count, 3)]) / total
        return p


@each("in_documents", [False, True])
def test_words_cost_what_the_formula_says(in_documents: bool) -> None:
    counted, scored = text(400), text(150, seed=1)
    documents, others, starts, begins = [counted.tolist()], [scored.tolist()], None, None
    if in_documents:
        documents, counted, starts = documents_of(counted, [5, 1, 30, 9, 60, 90, 40])
        others, scored, begins = documents_of(scored, [9, 1, 1, 40, 50])
    below = KneserNey.count(counted, START, 3, starts)
    words = WordCounts.count(counted, LETTERS, below, starts)
    experts = Experts({"words": words}, words.vocab_size)
    found = experts.read(Symbols.of(scored, START, begins)).log_p(np.arange(scored.size))[0]
    slow, rows = SlowWords(documents), np.exp(below.log_p(scored, begins))
    expected = [
        slow.p(slow_contexts([START, *document[:at]], cut=False), rows[first + at])
        for document, first in zip(others, [0] if begins is None else begins, strict=True)
        for at in range(len(document))
    ]
    np.testing.assert_allclose(np.exp(found), expected, rtol=1e-9)


def test_of_a_text_in_pieces_no_expert_knows_more_than_the_token_before() -> None:
    counted, scored, every = text(400), text(100, seed=1), 7
    scored[30] = START + 1  # what the vocabulary lacks
    experts = Experts.count(counted, START, None, LETTERS)
    found = experts.read(Symbols.pieces(scored, START, every)).log_p(np.arange(100))
    words = experts.named["words"]
    assert isinstance(words, WordCounts)
    slow = SlowWords([counted.tolist()])
    for first in range(0, 100, every):
        before = START if first == 0 else int(scored[first - 1])
        ids = np.array([before, *scored[first : first + every]])
        alone = experts.read(Symbols(ids, np.zeros(1, np.int64))).log_p(np.arange(ids.size - 1))
        np.testing.assert_array_equal(found[:, first : first + every], alone)
        below = Experts({"below": words.below}, VOCAB).read(Symbols(ids, np.zeros(1, np.int64)))
        rows = np.exp(below.log_p(np.arange(ids.size - 1))[0])
        for at in range(ids.size - 1):
            expected = slow.p(slow_contexts(ids[: at + 1].tolist(), cut=before != START), rows[at])
            np.testing.assert_allclose(np.exp(alone[1, at]), expected, rtol=1e-9)


@each("letters", [LETTERS, None])
@each("in_documents", [False, True])
def test_every_expert_gives_a_distribution_the_same_for_any_split(letters: Tokens | None, in_documents: bool) -> None:
    counted, scored, starts, begins = text(300), text(120, seed=1), None, None
    if in_documents:
        (_, counted, starts), (_, scored, begins) = documents_of(counted, [9] * 20), documents_of(scored, [3] * 30)
    reading = Experts.count(counted, START, starts, letters).read(Symbols.of(scored, START, begins))
    log_p = reading.log_p(np.arange(scored.size))
    assert log_p.shape == (2 if letters is None else 3, scored.size, VOCAB + in_documents)
    np.testing.assert_allclose(np.exp(log_p).sum(axis=2), 1, atol=1e-12)
    some = np.random.default_rng(0).permutation(scored.size)[:50]
    np.testing.assert_array_equal(reading.log_p(some), log_p[:, some])


def test_runs_that_two_texts_share_are_found() -> None:
    random = np.random.default_rng(0)
    ours, theirs = random.integers(0, 3, 200), random.integers(0, 3, 150)
    theirs[20:60] = ours[100:140]
    for length in (4, 9, 40, 50, 151, 201):
        known = {tuple(theirs[at : at + length]) for at in range(151 - length)}
        expected = np.zeros(200, bool)
        for at in range(201 - length):
            if tuple(ours[at : at + length]) in known:
                expected[at : at + length] = True
        np.testing.assert_array_equal(shared(ours, theirs, length), expected)
        assert expected.any() == (length <= 40)


# ---- the mixture and its gate


def some_examples(count: int = 400, experts: int = 3, seed: int = 0) -> Examples:
    """The tokens come from a mixture of the second and third expert, the first of which is taken away."""
    random = np.random.default_rng(seed)
    log_p = np.log(random.dirichlet(np.full(VOCAB, 0.7), (experts, count)))
    p = np.exp(mixed(log_p, np.tile([-0.3, 0.9, 0.5], (count, 1))))
    tokens = (p.cumsum(axis=1) < random.random((count, 1))).sum(axis=1)
    return Examples(log_p, np.minimum(tokens, VOCAB - 1))


def some_gate(seed: int = 0) -> Gate:
    random = np.random.default_rng(seed)
    return Gate(*(random.normal(size=shape) for shape in ((3,), (8,), (8,), (8, 4), (4,), (4, 3))))


def test_a_mixture_is_the_product_of_powers_made_to_sum_to_one() -> None:
    log_p, weights = some_examples().log_p, np.random.default_rng(1).normal(size=(400, 3))
    product = np.prod(np.exp(log_p) ** weights.T[:, :, None], axis=0)
    np.testing.assert_allclose(np.exp(mixed(log_p, weights)), product / product.sum(axis=1, keepdims=True), rtol=1e-9)
    np.testing.assert_allclose(mixed(log_p, np.tile([0, 1, 0], (400, 1))), log_p[1], atol=1e-12)
    as_read = log_p.astype(np.float32)
    assert np.abs(np.exp(mixed(as_read, weights)).sum(axis=1) - 1).max() < 1e-6


def test_a_gate_sees_entropy_certainty_and_divergence_and_each_place_alone() -> None:
    examples, gate = some_examples(), some_gate()
    p = np.exp(examples.log_p)
    for place, row in enumerate(features(examples.log_p)[:5]):
        entropy = [-sum(one * np.log(one) for one in p[k, place]) for k in range(3)]
        divergence = [sum(p[k, place] * np.log(p[k, place] / p[0, place])) for k in (1, 2)]
        np.testing.assert_allclose(row, [*entropy, *np.log(p[:, place].max(axis=1)), *divergence], rtol=1e-9)
    weights = gate.weights(examples.log_p)
    np.testing.assert_allclose(gate.weights(examples.log_p[:, 7:9]), weights[7:9], rtol=1e-12)
    np.testing.assert_array_equal(Gate.constant([0.5, 2, 1]).weights(examples.log_p), np.tile([0.5, 2, 1], (400, 1)))


def surprisal(gate: Gate, examples: Examples) -> float:
    found = mixed(examples.log_p, gate.weights(examples.log_p))
    return float(-found[np.arange(examples.tokens.size), examples.tokens].mean())


def test_the_gradient_is_that_of_the_surprisal() -> None:
    examples, gate = some_examples(20), replace(some_gate(), scale=np.ones(8), mean=np.zeros(8))
    found = gradient(gate, examples.log_p, features(examples.log_p), examples.own)
    for name, expected in found.items():
        value = getattr(gate, name)
        for place in np.ndindex(value.shape):
            step = np.zeros_like(value)
            step[place] = 1e-5
            up, down = (surprisal(replace(gate, **{name: value + sign * step}), examples) for sign in (1, -1))
            assert (up - down) / 2e-5 == pytest.approx(expected[place], abs=1e-8), (name, place)


def test_constants_are_found_where_they_are_known_and_held_where_little_is() -> None:
    held = np.array([1.0, 0.0, 0.0])
    many = some_examples(30_000)
    np.testing.assert_allclose(fit_constants(many, held, held_by=0), [-0.3, 0.9, 0.5], atol=0.05)
    np.testing.assert_allclose(fit_constants(some_examples(20), held), held, atol=0.02)
    some = some_examples(200)
    best = fit_constants(some, held, held_by=50)

    def cost(weights: Rows) -> float:
        return 200 * surprisal(Gate.constant(weights.tolist()), some) + 25 * float(((weights - held) ** 2).sum())

    for step in (*np.eye(3) / 1000, *-np.eye(3) / 1000):
        assert cost(best + step) > cost(best)
    assert fit_constants(Examples(np.empty((3, 0, VOCAB)), np.empty(0, np.int64)), held).tolist() == held.tolist()


def test_a_gate_is_fitted_where_examples_are_many_and_finds_where_to_trust_whom() -> None:
    """The second expert is right where it is certain, and misleads elsewhere; no constant can say that."""
    random, count = np.random.default_rng(0), 12_000
    sharp = random.random(count) < 0.5
    log_p = np.log(random.dirichlet(np.full(VOCAB, 0.7), (2, count)))
    log_p[1] = mixed(log_p[1:], np.where(sharp, 3.0, 0.3)[:, None])
    right = np.exp(log_p[np.where(sharp, 1, 0), np.arange(count)])
    tokens = np.minimum((right.cumsum(axis=1) < random.random((count, 1))).sum(axis=1), VOCAB - 1)
    known, start = Examples(log_p[:, :10_500], tokens[:10_500]), Gate.constant([0.5, 0.5])
    unseen = Examples(log_p[:, 10_500:], tokens[10_500:])
    gate = fit(known, start)
    constants = Gate.constant(fit_constants(known, start.constants).tolist())
    assert surprisal(gate, unseen) < surprisal(constants, unseen) - 0.1
    np.testing.assert_array_equal(fit(known, start).inward, gate.inward)
    few = fit(Examples(log_p[:, :500], tokens[:500]), start)
    assert few.outward.size == 0 and few.constants.tolist() != start.constants.tolist()
