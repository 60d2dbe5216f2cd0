"""What is drawn through the filters, against exact distributions; ramps, target surprisal, masks of characters."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from charrnn.errors import ConfigError
from charrnn.generation.config import SampleConfig
from charrnn.generation.drawing import draw
from charrnn.generation.loop import generate
from charrnn.generation.processors import Ban, Processor, Surprise, Temperature, compose
from charrnn.generation.processors.temperature import Ramp, temperature
from charrnn.models.language_model import LanguageModel
from charrnn.text.tokenizers.byte import ByteTokenizer
from charrnn.text.tokenizers.char import CharTokenizer
from charrnn.text.tokenizers.subword import SubwordTokenizer
from tests.cases import each
from tests.laws.test_processors import LETTERS, OF_ANY_ALPHABET, built, chained, kept_of, name_of, sequences, table
from tests.laws.twins import processors as twins

from .test_generation_loop import engine_of, network

DRAWS = 200_000
# One setting of each that does something to the logits below.
TYPICAL: dict[str, Any] = {
    "allow": ("abdfgh",), "ban": ("c",), "match": ("accf[^beg].*",), "repetition_penalty": 1.5,
    "frequency_penalty": 0.4, "presence_penalty": 0.9, "temperature": 0.6, "top_k": 5, "top_p": 0.8, "min_p": 0.12,
    "typical_p": 0.7, "eta": 0.1, "surprise": 1.5,
}  # fmt: skip
LOGITS = [
    [0.0] * 8,  # all equal
    [2.0, 2.0, 1.0, 1.0, 0.0, 0.0, -1.0, 3.0],  # ties
    [9.0, -9.0, -9.0, -9.0, -9.0, -9.0, -9.0, -9.0],  # one that is nearly certain
    [0.3, -1.2, 2.5, 0.9, -0.4, 1.7, 0.1, -2.2],
]
IDS = [0, 2, 2, 5]


def twin_of(name: str, logits: list[float]) -> list[float]:
    values = [TYPICAL[name], 64] if name == "repetition_penalty" else [TYPICAL[name]]
    twin: Callable[..., list[float]] = getattr(twins, name)
    return twin(logits, IDS, *values)


def chi_square_bound(freedom: int) -> float:
    """What a chi-square of so many degrees of freedom exceeds once in a million (Wilson & Hilferty 1931)."""
    return freedom * (1 - 2 / (9 * freedom) + 4.7534 * math.sqrt(2 / (9 * freedom))) ** 3


@pytest.mark.slow
@each("name, logits", [*itertools.product(TYPICAL, LOGITS)])
def test_what_is_drawn_through_a_filter_has_its_exact_distribution(name: str, logits: list[float]) -> None:
    left = twin_of(name, logits)
    share = np.array([math.exp(one - max(left)) for one in left])
    share /= share.sum()
    options: dict[str, Any] = {**dict.fromkeys(TYPICAL), name: TYPICAL[name]}
    processed = chained(SampleConfig(**options), table(logits), [IDS])
    uniforms = np.random.default_rng(7).random(DRAWS)
    counts = np.bincount(draw(processed.repeat(DRAWS, axis=0), uniforms), minlength=len(logits))
    possible = share > 0
    assert counts[~possible].sum() == 0
    expected = DRAWS * share[possible]
    off = ((counts[possible] - expected) ** 2 / expected).sum()
    assert off <= chi_square_bound(max(1, int(possible.sum()) - 1)), (counts, expected)


@each("first, second", [*itertools.combinations(OF_ANY_ALPHABET, 2)])
def test_each_filter_composed_with_each_other_is_one_twin_after_the_other(
    first: type[Processor], second: type[Processor]
) -> None:
    names = [name_of(first), name_of(second)]
    options: dict[str, Any] = {**dict.fromkeys(TYPICAL), **{name: TYPICAL[name] for name in names}}
    for logits in LOGITS[1:]:
        expected = logits
        for name in names:
            kept = kept_of(expected)
            if len(kept) < len(logits) and name != "temperature":
                break  # the plain twins know nothing of what is dropped already
            expected = twin_of(name, expected)
        else:
            (found,) = chained(SampleConfig(**options), table(logits), [IDS]).tolist()
            assert found == pytest.approx(expected)
            continue
        dropped = np.array([one == -math.inf for one in expected])
        (found,) = chained(SampleConfig(**options), table(logits), [IDS]).tolist()
        # Of what is left, the second keeps what it would keep of a vocabulary without the rest.
        inner = [one for one, gone in zip(expected, dropped, strict=True) if not gone]
        assert set(kept_of(found)) <= set(kept_of(expected)) and max(found) > -math.inf
        if names[1] in ("top_k", "top_p", "min_p", "typical_p", "eta", "surprise"):
            places = np.flatnonzero(~dropped)
            assert kept_of(found) == [int(places[i]) for i in kept_of(twin_of(names[1], inner))]


# -- ramps -----------------------------------------------------------------------------------------------------------


@each(
    "written, value",
    [(0.7, 0.7), ("0.7", 0.7), ("0.5:1.2", Ramp(0.5, 1.2)), ((0.5, 1.2), Ramp(0.5, 1.2)), ("0:1", Ramp(0, 1))],
)
def test_a_temperature_is_one_number_or_two(written: Any, value: Any) -> None:
    assert temperature(written) == value and SampleConfig.of(temperature=written).temperature == value


@each("written", ["a", "0.5:", "1:2:3", (1.0,), "-1:1", "nan:1", [0.5, "x"]])
def test_what_is_no_temperature_is_refused(written: Any) -> None:
    with pytest.raises(ConfigError, match="`temperature` must be") as refused:
        SampleConfig.of(temperature=written)
    assert repr(written) in str(refused.value)


def test_a_ramp_goes_from_the_first_to_the_last_temperature_over_the_length() -> None:
    (one,) = compose(SampleConfig(temperature=Ramp(0.5, 2.0), length=4), LETTERS)
    rows = sequences(one, [[], [], [], [], []])
    for row, written in zip(rows, (0, 1, 2, 3, 9), strict=True):
        row.written = written
    left = one(table(*[[1.0, -2.0]] * 5), rows)
    assert left[:, 0] == pytest.approx([1 / 0.5, 1 / 1.0, 1 / 1.5, 1 / 2.0, 1 / 2.0])
    mixed = Temperature(Ramp(0, 2), 3)(table([1.0, 2.0], [1.0, 2.0]), rows[:3:2])
    assert mixed.tolist() == [[-math.inf, 0.0], [0.5, 1.0]]
    assert Temperature(Ramp(0, 0), 4)(table([1.0, 2.0]), rows[:1]).tolist() == [[-math.inf, 0.0]]


# -- target surprisal ------------------------------------------------------------------------------------------------


@pytest.mark.slow
@each("target", [1.3, 1.6, 1.9])
def test_a_text_comes_to_the_surprisal_that_was_asked_for(target: float) -> None:
    model = network(LETTERS_AND_MORE)
    assert isinstance(model, LanguageModel) and model.forwards.head is not None
    with torch.no_grad():
        model.forwards.head.mul_(6)  # the likeliest symbol then costs less than the target
    engine = engine_of(model)
    config = SampleConfig(temperature=1.0, surprise=target, length=1500)
    chunks = list(generate(engine, LETTERS_AND_MORE, config, rows=2, seed=3, logprobs=True))
    bits = -sum(chunk.logprob or 0.0 for chunk in chunks) / math.log(2) / 3000
    assert bits == pytest.approx(target, rel=0.1)


LETTERS_AND_MORE = CharTokenizer("abcdefghijklmnopqrstuvwxyz \n")


def test_a_bound_of_surprisal_does_not_run_away() -> None:
    one = Surprise(2.0)
    state = one.start([])
    for _ in range(10_000):
        state = one.advance(state, 0, 0.0)
    assert state <= 60
    for _ in range(10_000):
        state = one.advance(state, 0, -30.0)
    assert state == 0
    (left,) = one(table([1.0, 5.0, 2.0]), with_state(one, state)).tolist()
    assert kept_of(left) == [1], "the likeliest always stays"


def with_state(one: Surprise, state: float) -> Any:
    (row,) = sequences(one, [[]])
    row.states[one] = state
    return [row]


# -- characters ------------------------------------------------------------------------------------------------------


def text_of(tokenizer: Any, *, documents: bool = False, **options: Any) -> str:
    engine = engine_of(network(tokenizer, documents=documents))
    chunks = generate(engine, tokenizer, SampleConfig(temperature=1.0, length=200, **options), seed=1)
    return "".join(chunk.text for chunk in chunks)


def test_a_text_is_written_in_what_is_allowed_and_nothing_that_is_banned() -> None:
    pieces = SubwordTokenizer.train(["the heron stood in the shallows, été, the heron stood\n" * 20], 300)
    for tokenizer in (LETTERS_AND_MORE, ByteTokenizer(), pieces):
        assert set(text_of(tokenizer, allow=("ae", "h"))) == set("aeh")
        assert not set(text_of(tokenizer, ban=("aeh\n",))) & set("aeh\n")
    assert "é" not in text_of(pieces, ban=("é",)), "nor its bytes, one after the other"
    assert text_of(LETTERS_AND_MORE, allow=("ab",), ban=("b",)) == "a" * 200


def test_a_document_may_end_whatever_is_allowed() -> None:
    (one,) = compose(SampleConfig(temperature=None, allow=("a",)), LETTERS)
    (left,) = one(table([0.0] * 17), sequences(one, [[]])).tolist()
    assert kept_of(left) == [0, 16]
    assert kept_of(Ban(np.array([False, True]))(table([1.0, 1.0]), []).tolist()[0]) == [1]


def test_characters_that_cannot_be_written_are_refused() -> None:
    for options, words in (
        ({"allow": ("aß",)}, "'ß', which no single symbol"),
        ({"ban": ("abcdefghijklmnop",)}, "leaves nothing to write"),
        ({"allow": ("ab",), "ban": ("abc",)}, "`ban` leaves nothing of `allow` to write"),
    ):
        with pytest.raises(ConfigError, match=words):
            compose(SampleConfig(**options), LETTERS)
    with pytest.raises(ConfigError, match="'é', which no single symbol"):
        compose(SampleConfig(allow=("é",)), ByteTokenizer())
    assert compose(SampleConfig(temperature=None, ban=("ß",)), LETTERS), "what cannot come is banned with ease"


def test_a_filter_is_built_of_the_option_that_turns_it_on() -> None:
    assert [name_of(one) for one in OF_ANY_ALPHABET] == list(TYPICAL)
    assert built(Temperature, (0.5,)).t == 0.5  # type: ignore[attr-defined]
