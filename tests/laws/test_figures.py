"""What holds of every figure: it is its slow twin, it is told, listed and asked for by its name alone."""

import dataclasses
import json
import math
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.scoring.figures import FIGURES, Score

from ..cases import each
from .twins import figures as twins
from .twins.figures import Scored

COUNTS = ["tokens", "chars", "bytes", "words", "oov"]
METRICS = [name for name, figure in FIGURES.items() if figure.metric]

Twin = Callable[[Scored], float | None]


def twin_of(name: str) -> Twin:
    assert hasattr(twins, name), f"the figure {name} has no slow twin in tests/laws/twins/figures.py"
    twin: Twin = getattr(twins, name)
    return twin


def score_of(text: Scored) -> Score:
    return Score(
        token_nll=-np.log(text.probabilities),
        chars=text.chars,
        bytes=text.bytes,
        words=text.words,
        state="carried",
        unknown=~np.array(text.known),
    )


def some(unknown: Sequence[int] = (), words: int = 3, probabilities: Sequence[float] = (0.5, 0.25, 0.1, 0.9)) -> Scored:
    return Scored(probabilities, [place not in unknown for place in range(len(probabilities))], 7, 11, words)


@st.composite
def texts(draw: st.DrawFn) -> Scored:
    probabilities = draw(st.lists(st.floats(0.01, 0.99), min_size=1, max_size=20))
    known = draw(st.lists(st.booleans() | st.just(True), min_size=len(probabilities), max_size=len(probabilities)))
    chars, more, words = draw(st.integers(1, 60)), draw(st.integers(0, 60)), draw(st.integers(0, 9))
    return Scored(probabilities, known, chars, chars + more, words)


# ---- laws


@settings(deadline=None, max_examples=100)
@given(text=texts())
def test_every_figure_equals_its_twin(text: Scored) -> None:
    score = score_of(text)
    for name in FIGURES:
        found, expected = getattr(score, name), twin_of(name)(text)
        assert (found is None) == (expected is None), name
        assert expected is None or (isinstance(found, float) and found == pytest.approx(expected, rel=1e-9)), name


def test_no_twin_is_left_without_its_figure() -> None:
    named = {name for name, value in vars(twins).items() if getattr(value, "__module__", "") == twins.__name__}
    assert named - {"Scored", "bits"} == set(FIGURES)


@settings(deadline=None, max_examples=50)
@given(text=texts(), place=st.integers(0, 19))
def test_a_token_that_costs_more_makes_every_metric_worse(text: Scored, place: int) -> None:
    dearer = list(text.probabilities)
    dearer[place % len(dearer)] /= 2
    before, after = (score_of(one).metrics() for one in (text, replace(text, probabilities=dearer)))
    for name, value in before.items():
        other = after[name]
        assert (value is None) == (other is None), name
        assert value is None or other is None or value < other, name


def test_every_figure_is_told_and_found_under_its_own_name() -> None:
    score = score_of(some())
    for name, figure in FIGURES.items():
        assert figure.name == name and getattr(Score, name) is figure
        assert figure.help.strip() and figure.__doc__ == figure.help, name
        assert getattr(score, name) == figure.compute(score), name


@each("unknown", [(), (1,), (0, 1, 2, 3)])
def test_figures_stand_in_the_order_of_their_table_between_the_counts_and_the_state(unknown: tuple[int, ...]) -> None:
    score = score_of(some(unknown))
    figures = score.figures()
    listed = [name for name, figure in FIGURES.items() if unknown or not figure.of_oov]
    assert list(figures) == [*COUNTS, *listed, "state"]
    assert figures == {name: getattr(score, name) for name in figures}
    assert score.metrics() == {name: figures[name] for name in METRICS}
    assert json.loads(json.dumps(figures)) == figures


def test_figures_can_be_listed_without_numpy_or_torch() -> None:
    listing = "import sys; from charrnn.scoring.figures import FIGURES; print(*FIGURES, "
    code = listing + "*({'numpy', 'torch'} & {*sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == list(FIGURES)


def test_a_figure_cannot_be_set() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        score_of(some()).ppl = 1.0


# ---- what single figures promise


def test_users_rely_on_these_names_in_this_order() -> None:
    plain = ["nats", "loss", "ppl", "ppl_se", "ppl_known", "bpt", "bpc", "bpb", "word_ppl"]
    assert [name for name in FIGURES if name in plain] == plain
    assert {"ppl", "bpc", "bpb", "bpt", "loss", "word_ppl"} <= set(METRICS)
    assert not {"ppl_se", "ppl_known"} & set(METRICS)


def test_surprisals_are_bits_and_add_up_to_the_total() -> None:
    score = score_of(some())
    np.testing.assert_allclose(score.surprisal, [-math.log2(p) for p in some().probabilities], rtol=1e-12)
    assert math.fsum(score.surprisal) * math.log(2) == pytest.approx(score.nats, rel=1e-12)


def test_the_total_is_added_up_in_float64() -> None:
    nats = np.full(100_000, 0.1)
    nats[0] = 1e9
    assert Score(nats, 1, 1, 1, "carried", np.zeros(100_000, bool)).nats == pytest.approx(1e9 + 9999.9, abs=1e-6)


def test_characters_out_of_vocabulary_are_counted_and_leave_no_code_length() -> None:
    score = score_of(some(unknown=[1, 3]))
    assert (score.oov, score.bpb, score.figures()["bpb"]) == (2, None, None)
    assert score.ppl == score_of(some()).ppl
    assert score_of(some()).bpb is not None
    assert score_of(some(unknown=range(4))).ppl_known is None


def test_what_is_not_defined_is_none_and_what_is_beyond_all_numbers_infinite() -> None:
    assert score_of(some(words=0)).word_ppl is None
    assert score_of(some(probabilities=[0.5])).ppl_se is None
    score = Score(np.array([800.0, 800.0]), 2, 2, 1, "carried", np.array([False, True]))
    assert (score.ppl, score.ppl_known, score.word_ppl) == (math.inf, math.inf, math.inf)
    assert score.bpt == pytest.approx(800 / math.log(2))


# ---- scores beside the plain one


def test_other_scores_stand_beside_the_plain_one_and_change_none_of_its_figures() -> None:
    other = replace(score_of(some([1], probabilities=(0.4, 0.3, 0.2, 0.8))), temperature=1.25)
    plain = score_of(some()).figures()
    assert plain.keys().isdisjoint({"backward", "adapted", "fitted", "network"})
    beside = replace(score_of(some()), backward=other, adapted=other, fitted=other, network=other)
    assert beside.figures() == {
        **plain,
        "backward": other.metrics(),
        "adapted": other.metrics(),
        "fitted": {"temperature": 1.25, **other.metrics()},
        "network": other.metrics(),
    }
    assert list(beside.figures()) == [*plain, "backward", "adapted", "fitted", "network"]
    assert list(beside.figures()["fitted"]) == ["temperature", *METRICS]
    assert beside.metrics() == score_of(some()).metrics()
    assert list(replace(score_of(some()), backward=other).figures()) == [*plain, "backward"]
    assert list(replace(score_of(some()), adapted=other).figures()) == [*plain, "adapted"]
    assert list(replace(score_of(some()), fitted=other).figures()) == [*plain, "fitted"]
    assert json.loads(json.dumps(beside.figures()))["adapted"]["bpb"] is None
