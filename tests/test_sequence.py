"""One row of a text under way: its copies go on by themselves, and its processors need no other hook.

The processors here are such as may come: a constraint, a limit on copying, mirostat; and particles that are resampled.
"""

import math
from collections.abc import Sequence
from itertools import product
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pytest

from charrnn.config import ModelConfig
from charrnn.generation import loop
from charrnn.generation.config import SampleConfig
from charrnn.generation.drawing import draw
from charrnn.generation.loop import generate
from charrnn.generation.processors import DROPPED, Processor, Temperature
from charrnn.generation.sequence import UNIFORMS_AT_ONCE, TextSequence, Uniforms
from charrnn.inference.engine import open_engine
from charrnn.models.weights import weight_shapes
from charrnn.text.tokenizers.byte import ByteTokenizer
from charrnn.text.tokenizers.char import CharTokenizer

Logits = npt.NDArray[np.float64]
LETTERS = CharTokenizer("abcd")
LOOSE = SampleConfig(length=10**6)


@pytest.mark.parametrize("window", [1, 3, 8, None])
def test_counts_are_those_of_the_last_ids_whenever_they_are_asked_for(window: int | None) -> None:
    draws = np.random.default_rng(0)
    rows = [TextSequence(0, [5], LETTERS, LOOSE)]
    for _ in range(200):
        one = rows[draws.integers(len(rows))]
        if draws.random() < 0.1:
            rows.append(one.copy())
        for row in rows[:: draws.integers(1, 4)]:
            last = row.ids if window is None else row.ids[-window:]
            assert row.counts(window).tolist() == [last.count(symbol) for symbol in range(6)]
        one.push(int(draws.integers(4)))


class Pattern(Processor):
    """A constraint: only what a deterministic automaton has an edge for. (ab|c)*, as one."""

    options = ()
    EDGES: ClassVar[dict[int, dict[int, int]]] = {0: {0: 1, 2: 0}, 1: {1: 0}}

    def __init__(self) -> None:
        pass

    def start(self, prompt: Sequence[int]) -> int:
        state = 0
        for token in prompt:
            state = self.EDGES[state][token]
        return state

    def advance(self, state: int, token: int, logprob: float | None) -> int:
        return self.EDGES[state][token]

    def __call__(self, logits: Logits, sequences: Sequence[TextSequence]) -> Logits:
        result = np.full_like(logits, DROPPED)
        for row, sequence in enumerate(sequences):
            edges = list(self.EDGES[sequence.states[self]])
            result[row, edges] = logits[row, edges]
        return result


class NoLongCopies(Processor):
    """At most `longest` symbols in a row as they stand in a text: it needs nothing but the ids."""

    options = ()

    def __init__(self, text: list[int], longest: int) -> None:
        spans = range(len(text) - longest)
        self.longest = longest
        self.spans = {tuple(text[start : start + longest]): text[start + longest] for start in spans}

    def __call__(self, logits: Logits, sequences: Sequence[TextSequence]) -> Logits:
        result = logits.copy()
        for row, sequence in enumerate(sequences):
            if (copied := self.spans.get(tuple(sequence.ids[-self.longest :]))) is not None:
                result[row, copied] = DROPPED
        return result


class Mirostat(Processor):
    """The surprisal of what is drawn is led to a target (Basu et al. 2021): the state is mu, in nats."""

    options = ()
    uses_logprob = True

    def __init__(self, target: float, rate: float) -> None:
        self.target, self.rate = target, rate

    def start(self, prompt: Sequence[int]) -> float:
        return 2 * self.target

    def advance(self, state: float, token: int, logprob: float | None) -> float:
        assert logprob is not None
        return state - self.rate * (-logprob - self.target)

    def __call__(self, logits: Logits, sequences: Sequence[TextSequence]) -> Logits:
        log_p = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
        most = np.array([sequence.states[self] for sequence in sequences])[:, None]
        return np.where((-log_p <= most) | (log_p == log_p.max(axis=1, keepdims=True)), logits, DROPPED)


def a_model(ensemble: int = 1, size: int = 4) -> tuple[ModelConfig, dict[str, npt.NDArray[np.float32]]]:
    config = ModelConfig(vocab_size=size, start_id=size, embedding=4, hidden=8, layers=1, ensemble=ensemble)
    rng = np.random.default_rng(0)
    return config, {
        name: rng.standard_normal(shape).astype(np.float32) for name, shape in weight_shapes(config).items()
    }


def write(
    processors: list[Processor], monkeypatch: pytest.MonkeyPatch, *, rows: int = 3, prompt: str = ""
) -> list[str]:
    """What the loop writes with just these processors."""
    monkeypatch.setattr(loop, "compose", lambda *_: processors)
    texts = [""] * rows
    for chunk in generate(open_engine(*a_model()), LETTERS, SampleConfig(length=60), rows=rows, prompt=prompt):
        texts[chunk.row] += chunk.text
    return texts


def test_a_constraint_needs_no_more_than_a_state_that_advances(monkeypatch: pytest.MonkeyPatch) -> None:
    for prompt in ("", "ca"):
        texts = write([Pattern(), Temperature(1.0)], monkeypatch, prompt=prompt)
        assert len(set(texts)) > 1
        assert all(set((prompt + text + "b" * text.endswith("a")).replace("ab", "")) <= {"c"} for text in texts), texts


def test_a_limit_on_copying_needs_no_more_than_the_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    source, longest = write([Temperature(1.0)], monkeypatch, rows=1)[0], 3
    copies = {source[start : start + longest + 1] for start in range(len(source) - longest)}
    (text,) = write([NoLongCopies(LETTERS.encode(source).tolist(), longest)], monkeypatch, rows=1)
    # Where two continuations stand in the source, the last is known: the twin looks for those alone.
    spans = {span[:longest]: span for start in range(len(source) - longest) for span in [source[start:][: longest + 1]]}
    assert copies and not any(span in text for span in spans.values())


def test_mirostat_needs_no_more_than_the_log_probability(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, letters = open_engine(*a_model(size=26)), CharTokenizer("abcdefghijklmnopqrstuvwxyz")
    for target in (1.6, 2.0):
        chain = [Mirostat(target, 0.3)]
        monkeypatch.setattr(loop, "compose", lambda *_, chain=chain: chain)
        chunks = list(generate(engine, letters, SampleConfig(length=400)))
        surprisals = [-chunk.logprob for chunk in chunks if chunk.logprob is not None]
        assert len(surprisals) == 400
        assert math.fsum(surprisals) / 400 == pytest.approx(target, abs=0.03)


@pytest.mark.parametrize("ensemble", [1, 2])
def test_particles_are_resampled_by_copies_of_sequences_and_rows_of_the_state(ensemble: int) -> None:
    engine, pattern = open_engine(*a_model(ensemble)), Pattern()
    particles = [TextSequence(row, [], LETTERS, LOOSE, [pattern], seed=row) for row in range(6)]
    logits, state = engine.prime(np.array([4]))
    logits, state = logits.repeat(6, axis=0), engine.select_rows(state, [0] * 6)
    rng = np.random.default_rng(1)
    for step in range(12):
        left = pattern(logits.astype(np.float64), particles)
        weights = np.exp(np.logaddexp.reduce(left, axis=1) - np.logaddexp.reduce(logits.astype(np.float64), axis=1))
        parents = rng.choice(6, 6, p=weights / weights.sum()).tolist()
        particles = [particles[parent].copy(seed=100 * step + row) for row, parent in enumerate(parents)]
        state = engine.select_rows(state, parents)
        tokens = draw(left[parents], np.array([particle.uniforms.next() for particle in particles]))
        for particle, token in zip(particles, tokens.tolist(), strict=True):
            particle.push(token)
        logits, state = engine.step(tokens, state)
    for row, particle in enumerate(particles):
        assert particle.text == LETTERS.decode(particle.ids) and len(particle.ids) == 12
        # Its row of the state is that of its own text.
        own, _ = engine.prime(np.array([4, *particle.ids]))
        assert np.array_equal(own[0], logits[row])


# -- copies ----------------------------------------------------------------------------------------------------------


def everything(sequence: TextSequence) -> Any:
    return sequence.ids.copy(), sequence.text, sequence.finished, list(sequence.states.values())


def test_a_copy_goes_on_alike_and_neither_touches_the_other() -> None:
    tokenizer = ByteTokenizer()
    config = SampleConfig(length=50, stop=("é!", "stop"))
    one = TextSequence(3, [1, 2], tokenizer, config, [Mirostat(1.0, 0.1)], seed=5)
    for token in "aé".encode()[:2]:  # in the middle of a character
        one.push(token, -0.5)
    one.uniforms.next()
    twin, before = one.copy(), everything(one)
    rest = "aé".encode()[2:] + b"?st"
    chunks = [twin.push(token, -0.25) for token in rest]
    assert everything(one) == before
    assert [one.push(token, -0.25) for token in rest] == chunks
    assert everything(one) == everything(twin) and one.text == "aé?"
    assert one.row == twin.row == 3
    assert [one.uniforms.next() for _ in range(600)] == [twin.uniforms.next() for _ in range(600)]
    one.push(ord("o"), -0.25)
    ended = one.push(ord("p"), -0.25)
    assert ended is not None and ended.finished == one.finished == "stop"
    assert twin.finished is None and twin.text == "aé?"


def test_a_copy_with_a_seed_draws_that_seeds_numbers() -> None:
    one = TextSequence(0, [], LETTERS, LOOSE, seed=1)
    one.uniforms.next()
    assert one.copy(seed=7).uniforms.next() == Uniforms(7).next() != one.uniforms.next()


def test_uniforms_are_the_generators_numbers_in_order() -> None:
    for seed in (0, 7, 2**32 + 5):
        uniforms = Uniforms(seed)
        expected = np.random.Generator(np.random.PCG64(seed)).random(3 * UNIFORMS_AT_ONCE)
        assert [uniforms.next() for _ in range(3 * UNIFORMS_AT_ONCE)] == expected.tolist()
        uniforms, found = Uniforms(seed), []
        for numbers in (1, 3, UNIFORMS_AT_ONCE, 7):  # some at a time, within what is there and beyond it
            found += [uniforms.next(), *uniforms.take(numbers)]
        assert found == expected[: len(found)].tolist()


def test_what_leaves_a_window_is_what_was_first_in_it() -> None:
    for length, window, steps in product((0, 1, 4, 9), (None, 1, 3, 4, 5, 20), (1, 3, 12)):
        sequence = TextSequence(0, range(length), LETTERS, LOOSE)
        expected = [-1] * steps
        for step in range(steps):
            first = length + step - (window or 100)
            if 0 <= first < length:
                expected[step] = first
        assert sequence.leaving(window, steps) == expected, (length, window, steps)


def test_a_processor_without_a_state_keeps_none() -> None:
    sequence = TextSequence(0, [1], LETTERS, LOOSE, [Temperature(1.0), Pattern()][:1])
    sequence.push(2)
    assert sequence.states == {} and sequence.ids == [1, 2]


@pytest.mark.parametrize("stop", [(), ("cd",), ("bcd", "dd")])
@pytest.mark.parametrize("most", [1, 2, 5, 9])
def test_a_limit_of_tokens_ends_a_text_with_what_was_held_back(stop: tuple[str, ...], most: int) -> None:
    """Pushed one by one or many at a time; what would be drawn behind the limit is none of it."""
    drawn = [0, 1, 2, 0, 1, 2, 2, 0, 2, 3, 3]
    config = SampleConfig(length=10**6, stop=stop)
    for spell in (1, 2, 3, 11):
        sequence = TextSequence(0, [1, 1], LETTERS, config, most=most)
        assert sequence.room == most
        ids: list[int] = []
        while sequence.finished is None:
            chunk = sequence.extend(drawn[len(ids) : len(ids) + spell])
            ids = sequence.ids[2:]
        assert chunk is not None and chunk.finished == "length"
        assert ids == drawn[:most] and sequence.text == LETTERS.decode(drawn[:most])
