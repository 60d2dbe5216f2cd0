"""Words, experts and the gate that mixes them, against what is slow and obvious."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.errors import ConfigError
from charrnn.inference.counting import Counting
from charrnn.models.counts import Experts, KneserNey, functions
from charrnn.models.counts.fitting import Examples, fit, fit_constants, gradient
from charrnn.models.counts.hashes import shared
from charrnn.models.counts.kept import KeptCounts
from charrnn.models.counts.mixture import Gate, Mixture, Rows, features, mixed
from charrnn.models.counts.table import distributions, estimate_discounts
from charrnn.models.counts.trie import Symbols
from charrnn.models.counts.words import NO_LETTER

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
            if sum(seen.values()) > (0 if followers is self.followers[0] else 1):
                d, total = (0.0, *discounts), sum(seen.values())
                p *= sum(d[min(count, 3)] for count in seen.values()) / total
                for token, count in seen.items():
                    p[token] += (count - d[min(count, 3)]) / total
        return p


def probabilities(experts: Experts, given: Symbols) -> Floats:
    """What each expert holds likely in the place of each token (K, N, V)."""
    contexts, _ = experts.read(given.ids, given.firsts, experts.nothing_read(given.firsts.size))
    return np.asarray(experts.log_p(contexts[np.flatnonzero(given.predicted) - 1])[0], np.float64)


@each("in_documents", [False, True])
def test_words_cost_what_the_formula_says(in_documents: bool) -> None:
    counted, scored = text(400), text(150, seed=1)
    documents, others, starts, begins = [counted.tolist()], [scored.tolist()], None, None
    if in_documents:
        documents, counted, starts = documents_of(counted, [5, 1, 30, 9, 60, 90, 40])
        others, scored, begins = documents_of(scored, [9, 1, 1, 40, 50])
    experts = Experts.count(counted, START, starts, LETTERS)
    high, found, low = probabilities(experts, Symbols.of(scored, START, begins))
    grams = {order: KneserNey.count(counted, START, order, starts, cut=6) for order in (9, 5, 4)}
    for own, order in ((high, 9), (low, 4)):
        np.testing.assert_allclose(own, np.exp(grams[order].log_p(scored, begins)), rtol=3e-6, atol=1e-9)
    slow, rows = SlowWords(documents), np.exp(grams[5].log_p(scored, begins))
    expected = [
        slow.p(slow_contexts([START, *document[:at]], cut=False), rows[first + at])
        for document, first in zip(others, [0] if begins is None else begins, strict=True)
        for at in range(len(document))
    ]
    np.testing.assert_allclose(found, expected, rtol=3e-6, atol=1e-9)


def test_of_a_text_in_pieces_no_expert_knows_more_than_the_token_before() -> None:
    counted, scored, every = text(400), text(100, seed=1), 7
    scored[30] = START + 1  # what the vocabulary lacks
    experts, slow = Experts.count(counted, START, None, LETTERS), SlowWords([counted.tolist()])
    found, below = probabilities(experts, Symbols.pieces(scored, START, every)), KneserNey.count(counted, START, 5)
    for first in range(0, 100, every):
        before = START if first == 0 else int(scored[first - 1])
        ids = np.array([before, *scored[first : first + every]])
        alone = Symbols(ids, np.zeros(1, np.int64))
        np.testing.assert_array_equal(found[:, first : first + every], probabilities(experts, alone))
        rows = distributions(below.tables, below.contexts(alone), VOCAB)
        for at in range(ids.size - 1):
            expected = slow.p(slow_contexts(ids[: at + 1].tolist(), cut=before != START), rows[at])
            np.testing.assert_allclose(found[1, first + at], expected, rtol=3e-6, atol=1e-9)


@each("letters", [LETTERS, None])
@each("documents", [False, True])
@each("networks", [1, 3])
def test_the_mixture_is_a_distribution_the_same_for_any_split_rows_and_reader(
    letters: Tokens | None, documents: bool, networks: int
) -> None:
    """Rows end and begin words where they like; a gate that is all but constant; against float64 arithmetic."""
    counted, starts = text(300), None
    if documents:
        _, counted, starts = documents_of(counted, [9] * 20)
    experts = Experts.count(counted, START, starts, letters)
    random, count = np.random.default_rng(0), networks + len(experts.each)
    shapes = ((count,), (3 * count - 1,), (3 * count - 1,), (3 * count - 1, 5), (5,), (5, count))
    gate = Gate(*(random.normal(size=shape) for shape in shapes))
    gate = replace(gate, scale=np.exp(gate.scale))
    mixture, symbols = Mixture(experts, gate), VOCAB + documents
    assert mixture.networks == networks
    tokens = np.stack([text(40, seed) for seed in range(3)], axis=1)
    tokens[0], tokens[7, 1], tokens[3, 0] = [START, 2, START], START, START + 1
    logits = random.normal(size=(120, networks * symbols)).astype(np.float32)
    whole, memory = mixture.read(tokens, logits, mixture.nothing_read(3))

    contexts = np.array([experts.read(row, np.zeros(1, np.int64), experts.nothing_read(1))[0] for row in tokens.T])
    log_p = np.log(np.asarray(experts.log_p(contexts.swapaxes(0, 1).reshape(120, -1))[0], np.float64))
    each_own = logits.astype(np.float64).reshape(120, networks, symbols).swapaxes(0, 1)
    own = each_own - np.log(np.exp(each_own).sum(axis=2, keepdims=True))
    together = np.concatenate([own, log_p])
    expected = mixed(together, gate.weights(together))
    found = whole - np.log(np.exp(whole.astype(np.float64)).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(found, expected, atol=5e-5)

    for reader in (mixture, Counting(mixture)):
        parts, state = [], mixture.nothing_read(3)
        for first, end in ((0, 1), (1, 2), (2, 19), (19, 40)):
            part, state = reader.read(tokens[first:end], logits[3 * first : 3 * end], state)
            parts.append(part)
        assert np.concatenate(parts).tobytes() == whole.tobytes()
        assert all((one == other).all() for one, other in zip(state, memory, strict=True))
        alone, _ = reader.read(tokens[:, 1:2], logits[1::3], mixture.nothing_read(1))
        assert alone.tobytes() == whole[1::3].tobytes()


@each("letters", [LETTERS, None])
@each("documents", [False, True])
def test_beginnings_are_what_every_expert_holds_likely_where_no_longer_context_is_known(
    letters: Tokens | None, documents: bool
) -> None:
    counted, starts = text(300), None
    if documents:
        _, counted, starts = documents_of(counted, [9] * 20)
    experts = Experts.count(counted, START, starts, letters)
    begun = experts.beginnings(1 << 30)
    assert len(begun) == (1 if letters is None else 3)
    contexts, _ = experts.read(text(200, seed=1), np.array([0, 50]), experts.nothing_read(2))
    for length, rows in enumerate(begun):
        known = contexts[contexts[:, length - 1] >= 0] if length else contexts.copy()
        places = known[:, length - 1].copy() if length else np.zeros(len(known), np.int64)
        known[:, length:] = -1
        for own in experts.log_p(known)[0]:
            assert own.tobytes() == rows[places, : experts.vocab_size].tobytes()
        assert len(known) > 100 and len(experts.beginnings(rows.size - 1)) == max(1, length)


def test_counts_come_back_from_arrays_and_what_does_not_fit_together_is_refused() -> None:
    experts = Experts.count(text(300), START, None, LETTERS)
    gate = some_gate()
    kept = KeptCounts(experts, {"all": Gate.constant([1.0, 0, 0, 0])})
    arrays = kept.arrays()
    again = KeptCounts.from_arrays(arrays, VOCAB, START, 1).arrays()
    assert arrays.keys() == again.keys() and all(arrays[name].tobytes() == again[name].tobytes() for name in arrays)
    # Of an ensemble each network has a weight, or their mean one, as in files written before.
    apart = KeptCounts(experts, {"all": Gate.constant([0.5, 0.5, 0, 0, 0])}).arrays()
    assert [KeptCounts.from_arrays(one, VOCAB, START, 2).mixture.networks for one in (apart, arrays)] == [2, 1]
    with pytest.raises(ConfigError, match="its counts"):
        KeptCounts.from_arrays(apart, VOCAB, START, 3)
    first = arrays["experts.grams.3.firsts"]
    damaged = {
        "experts.grams.3.firsts": np.where(np.arange(first.size) == 2, first.max(), first),
        "experts.grams.2.symbols": np.full_like(arrays["experts.grams.2.symbols"], START + 1),
        "experts.words.1.hashes": arrays["experts.words.1.hashes"][1:],
        "experts.longest.5.rests": arrays["experts.longest.5.rests"][1:],
        "experts.letters": arrays["experts.letters"].astype(np.int32),
        "gate.all.constants": gate.constants,
        "experts.grams.9.shares": None,
    }
    for name, array in damaged.items():
        wrong = {**arrays, name: array} if array is not None else {k: v for k, v in arrays.items() if k != name}
        with pytest.raises(ConfigError, match="its counts"):
            KeptCounts.from_arrays(wrong, VOCAB, START, 1)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-87, 0, width=32), min_size=1))
def test_logarithm_and_exponential_are_right_to_a_few_units_of_float32(values: list[float]) -> None:
    x = np.array(values, np.float32)
    np.testing.assert_allclose(functions.exp(x), np.exp(x.astype(np.float64)), rtol=3e-7)
    p = np.exp(np.maximum(x, -69)).astype(np.float32)
    np.testing.assert_allclose(functions.log(p), np.log(p.astype(np.float64)), rtol=3e-7, atol=1e-7)
    tenth = (x / np.float32(10)).astype(np.float32)
    np.testing.assert_allclose(functions.tanh(tenth), np.tanh(tenth.astype(np.float64)), rtol=3e-6, atol=1e-7)


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
