"""Texts that match a pattern: always, by each sampler, and with the probabilities that each is named for."""

import itertools
import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

from charrnn import api
from charrnn.errors import CharrnnError, ConfigError
from charrnn.generation import loop
from charrnn.generation.config import SampleConfig
from charrnn.generation.constraints import exact
from charrnn.generation.loop import generate
from charrnn.generation.processors import match
from charrnn.generation.samples import Sample, samples
from charrnn.generation.sequence import TextChunk
from charrnn.inference.base import Engine
from charrnn.text.tokenizers import Tokenizer
from charrnn.text.tokenizers.byte import ByteTokenizer
from charrnn.text.tokenizers.char import CharTokenizer
from charrnn.text.tokenizers.subword import SubwordTokenizer

from .cases import each
from .conftest import CommandLine
from .test_generation_loop import LETTERS, PROSE, engine_of, network

SEED = 5
AB = CharTokenizer("ab")
# The model of one stream and the one of documents, of two letters, and how long a text may be.
TOY, LONGEST = {documents: engine_of(network(AB, documents=documents, hidden=8)) for documents in (False, True)}, 5


def written(
    engine: Engine, tokenizer: Tokenizer, rows: int, *, prompt: str = "", seed: int = SEED, **options: Any
) -> list[Sample]:
    config = SampleConfig(**{"length": 60, "temperature": 1.0, **options})

    def stream(first: int, count: int) -> Iterator[TextChunk]:
        return generate(engine, tokenizer, config, prompt=prompt, rows=count, first=first, seed=seed, logprobs=True)

    return list(samples(stream, 0, rows, seed))


# -- always ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pieces() -> SubwordTokenizer:
    return SubwordTokenizer.train([PROSE], 330)


@pytest.mark.slow
@each("documents", [False, True])
def test_a_thousand_of_a_thousand_match(documents: bool, pieces: SubwordTokenizer) -> None:
    pattern = r"[a-z]{2,3}(?!e)[a-z]{0,6}"
    for tokenizer in (LETTERS, pieces, ByteTokenizer()):
        engine = engine_of(network(cast(Tokenizer, tokenizer), documents=documents), "int8")
        found = written(engine, cast(Tokenizer, tokenizer), 1000, match=(pattern,), temperature=1.3, top_p=0.9)
        assert [one.text for one in found if not re.fullmatch(pattern, one.text)] == []
        assert {one.finished for one in found} == {"end"} and len({one.text for one in found}) > 100
        assert all(one.kept is not None and one.kept <= 1e-9 for one in found)


@pytest.mark.slow
@each("sampler", ["masked", "smc"])
def test_a_sonnet_never_fails(sampler: str) -> None:
    sonnet, engine = r"([^\n]{20,60}\n){14}", engine_of(network(LETTERS), "int8")
    for length in (294, 500):
        for one in written(engine, LETTERS, 2, match=(sonnet,), length=length, sampler=sampler):
            assert re.fullmatch(sonnet, one.text) and len(one.text) <= length


@each("pattern, some", [("[а-я]{2,3} ?[а-я]+!", "абвг !"), ("[\u0980-\u09fe]{3,}", "অআই"), ("a+[😀-😎]\\n", "😀😁a\n")])
@each("sampler", ["masked", "exact", "smc"])
def test_bytes_make_whole_characters(pattern: str, some: str, sampler: str, pieces: SubwordTokenizer) -> None:
    for tokenizer in (ByteTokenizer(), pieces):
        model = network(cast(Tokenizer, tokenizer))
        if sampler != "masked":  # these write what the model would
            with torch.no_grad():
                model.get_parameter("forwards.bias")[tokenizer.encode(some).tolist()] += 6
        options: dict[str, Any] = {"match": (pattern, "(?s).{3,5}"), "length": 5, "sampler": sampler}
        found = written(engine_of(model, "int8"), cast(Tokenizer, tokenizer), 6, **options)
        for one in found:
            assert re.fullmatch(pattern, one.text) and 3 <= len(one.text) <= 5, one
        assert len({one.text for one in found}) > 3 or sampler != "masked"


def test_lengths_and_lines_are_those_of_characters_not_of_bytes(pieces: SubwordTokenizer) -> None:
    for tokenizer in (ByteTokenizer(), pieces):
        engine = engine_of(network(cast(Tokenizer, tokenizer)), "int8")
        found = written(engine, cast(Tokenizer, tokenizer), 30, lines=2, min_length=8, length=9)
        assert all(one.text.count("\n") == 1 and len(one.text) in (8, 9) for one in found)
        assert sum(not one.text.isascii() for one in found) > 20
        assert {len(one.text) for one in found} == {8, 9}
        # As many as the length allows, none of them in a single byte.
        (full,) = written(engine, cast(Tokenizer, tokenizer), 1, match=("[ж-щ]{5}😀+",), min_length=12, length=12)
        assert re.fullmatch("[ж-щ]{5}😀{7}", full.text)


def test_half_a_character_at_the_end_of_a_prompt_is_none() -> None:
    engine = engine_of(network(ByteTokenizer()), "int8")
    for one in written(engine, ByteTokenizer(), 9, prompt="a\udcd0", match=("a\ufffd[а-я]{2}",)):
        assert re.fullmatch("[а-я]{2}", one.text)
    for one in written(engine, ByteTokenizer(), 9, prompt="щ", match=("щ[а-я]{2}",)):
        assert re.fullmatch("[а-я]{2}", one.text)


def test_masks_of_characters_leave_no_bytes_of_others() -> None:
    russian = SubwordTokenizer.train([PROSE + "съешь ещё этих мягких булок\n" * 3], 360)
    for tokenizer in (ByteTokenizer(), russian):
        engine = engine_of(network(cast(Tokenizer, tokenizer)), "int8")
        banned: dict[str, Any] = {"ban": ("ж",), "min_length": 20}
        assert all("ж" not in one.text for one in written(engine, cast(Tokenizer, tokenizer), 9, **banned))
        with pytest.raises(ConfigError, match="no text that the model can write matches"):
            written(engine, cast(Tokenizer, tokenizer), 1, match=("[ф-я]+ж",), **banned)
        for one in written(engine, cast(Tokenizer, tokenizer), 9, allow=("abc",), match=("(?s).{5}",)):
            assert re.fullmatch("[abc]{5}", one.text)
    # Those of the vocabulary are written by themselves.
    engine = engine_of(network(cast(Tokenizer, russian)), "int8")
    for one in written(engine, cast(Tokenizer, russian), 9, allow=("гще",), match=("[^щ]+щ.{3}",)):
        assert re.fullmatch("[ге]+щ[гще]{3}", one.text)


def test_the_sign_for_no_character_is_one_where_it_is_in_the_vocabulary() -> None:
    signs = CharTokenizer("a\ufffd\ud83d")
    found = written(engine_of(network(signs)), signs, 9, match=("[^a]{3}a",))
    assert {one.text for one in found} <= {
        "".join(three) + "a" for three in itertools.product("\ufffd\ud83d", repeat=3)
    }
    assert len(found) == 9


# -- with what probability -------------------------------------------------------------------------------------------


class Truth(dict[str, float]):
    """Of each text that matches: the probability that the model writes it, and that the mask does, by enumeration.

    The model writes until it leaves the pattern, be it by a letter behind which nothing matches, by its own end, or at
    the length; the text is one that matches where it may end there.
    """

    def __init__(self, pattern: str, *, documents: bool, temperature: float = 1.0, top_k: int = 3) -> None:
        engine = TOY[documents]
        texts = ["".join(letters) for n in range(LONGEST + 1) for letters in itertools.product("ab", repeat=n)]
        matching = [text for text in texts if re.fullmatch(pattern, text)]
        begun = {text[:n] for text in matching for n in range(len(text) + 1)}
        self.masked: dict[str, float] = {}
        self.kept: dict[str, float] = {}
        for text in matching:
            probability, kept = 1.0, 0.0
            for place in range(len(text) + 1):
                so_far = text[:place]
                if place == LONGEST:
                    continue  # cut off, whatever would come
                p = self.next(engine, so_far, temperature, top_k)
                going_on = sum(p[letter] for letter in "ab" if so_far + letter in begun)
                leaving = sum(p[letter] for letter in "ab" if so_far + letter not in begun)
                ends = 0.0 if so_far not in matching else p["end"] if documents else leaving
                probability *= p[text[place]] if place < len(text) else ends
                kept += math.log(going_on + ends)
            self[text], self.kept[text], self.masked[text] = probability, kept, probability / math.exp(kept)
        self.mass = sum(self.values())
        self.update({text: probability / self.mass for text, probability in self.items()})

    @staticmethod
    def next(engine: Engine, text: str, temperature: float, top_k: int) -> dict[str, float]:
        logits, _ = engine.prime(np.array([AB.size, *AB.encode(text)]))
        p = np.exp(logits[0] / temperature)
        p[np.argsort(-p)[top_k:]] = 0
        return dict(zip(["a", "b", "end"], (p / p.sum()).tolist(), strict=False))


def variation(found: Counter[str], truth: dict[str, float]) -> float:
    """Total variation between what was found and what should be."""
    count = found.total()
    return sum(abs(found[text] / count - truth.get(text, 0.0)) for text in {*found, *truth}) / 2


def noise(truth: dict[str, float], count: int) -> float:
    """What the total variation of so many true draws stays below, but once in a thousand times."""
    texts, shares = list(truth), np.array(list(truth.values()))
    drawn = np.random.default_rng(0).multinomial(count, shares / shares.sum(), 1000)
    return max(variation(Counter(dict(zip(texts, row, strict=True))), truth) for row in drawn.tolist())


TOYS = [r"a{2}b*|b.*bb", r"(?=.*bb)[ab]*a(?!b)"]


@pytest.mark.slow
@each("pattern, documents", zip(TOYS, (False, True), strict=True))
def test_masked_renormalises_step_by_step_and_says_what_it_kept(pattern: str, documents: bool) -> None:
    truth = Truth(pattern, documents=documents)
    assert sum(truth.masked.values()) == pytest.approx(1)
    found = written(TOY[documents], AB, 4000, match=(pattern,), length=LONGEST)
    counts = Counter(one.text for one in found)
    assert variation(counts, truth.masked) < noise(truth.masked, 4000)
    assert variation(counts, truth) > 2 * noise(truth, 4000)
    for one in found[:200]:
        assert one.kept == pytest.approx(truth.kept[one.text], abs=1e-5)


@pytest.mark.slow
@each("pattern, documents", zip(TOYS, (True, False), strict=True))
def test_exact_is_the_model_given_the_pattern(pattern: str, documents: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    truth = Truth(pattern, documents=documents)
    for remembered in (4000, 4):
        monkeypatch.setattr(exact, "MOST_REMEMBERED", remembered)
        found = written(TOY[documents], AB, 800, match=(pattern,), length=LONGEST, sampler="exact")
        assert variation(Counter(one.text for one in found), truth) < noise(truth, 800)
    first = sum(one.tries == 1 for one in found) / len(found)
    assert abs(first - truth.mass) < 4 * math.sqrt(truth.mass * (1 - truth.mass) / len(found))


@pytest.mark.slow
@each("pattern, documents", zip(TOYS, (True, False), strict=True))
def test_particles_come_to_the_model_given_the_pattern(pattern: str, documents: bool) -> None:
    truth = Truth(pattern, documents=documents)
    found = written(TOY[documents], AB, 300, match=(pattern,), length=LONGEST, sampler="smc")
    assert variation(Counter(one.text for one in found), truth) < noise(truth, 300)


@pytest.mark.slow
@each("sampler", ["exact", "smc"])
def test_temperature_and_filters_come_before_the_pattern_where_it_conditions(sampler: str) -> None:
    options: dict[str, Any] = {"temperature": 1.3, "top_k": 2}
    truth = Truth(".*b|a+", documents=True, **options)
    found = written(TOY[True], AB, 250, match=(".*b|a+",), length=LONGEST, sampler=sampler, **options)
    assert len(truth) > sum(share > 0 for share in truth.values()) > 4
    assert variation(Counter(one.text for one in found), truth) < noise(truth, 250)


def test_a_failure_is_not_met_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[str, Any] = {"match": (r"b?a{4}",), "length": LONGEST, "sampler": "exact"}
    found = [one.tries for one in written(TOY[True], AB, 40, **options)]
    monkeypatch.setattr(exact, "MOST_REMEMBERED", 1)
    forgetful = [one.tries for one in written(TOY[True], AB, 40, **options)]
    # There are nine beginnings, and each can fail once.
    assert max(one for one in found if one) <= 10 < max(one for one in forgetful if one)


@pytest.mark.slow
def test_a_weight_brings_masked_samples_to_the_truth() -> None:
    truth = Truth(TOYS[1], documents=True)
    found = written(TOY[True], AB, 5000, match=(TOYS[1],), length=LONGEST)
    weights = Counter[str]()
    for one in found:
        assert one.kept is not None
        weights[one.text] += math.exp(one.kept)  # type: ignore[assignment]
    assert sum(weights.values()) / len(found) == pytest.approx(truth.mass, abs=0.02)
    assert variation(weights, truth) < noise(truth, 2000)


# -- rows, prompts, other options ------------------------------------------------------------------------------------


def soon_ending(*, documents: bool) -> Engine:
    """Documents are short."""
    model = network(LETTERS, documents=documents)
    with torch.no_grad():
        model.get_parameter("forwards.bias")[-1] += 4 * documents
    return engine_of(model, "int8")


@each("sampler", ["masked", "exact", "smc"])
@each("documents", [False, True])
def test_row_i_of_many_is_the_same_alone(sampler: str, documents: bool) -> None:
    engine = soon_ending(documents=documents)
    options: dict[str, Any] = {
        "match": (r"[a-m]*(?:xa?|[^a-m])?", r".{0,6}"), "length": 8, "temperature": 1.2, "top_k": 20, "ban": ("q",),
        "frequency_penalty": 0.5, "sampler": sampler,
    }  # fmt: skip
    many = written(engine, LETTERS, 6, seed=11, **options)
    for row, one in enumerate(many):
        (alone,) = written(engine, LETTERS, 1, seed=11 + row, **options)
        assert (alone.text, alone.kept, alone.tries, alone.logprob) == (one.text, one.kept, one.tries, one.logprob)
    assert len({one.text for one in many}) > 2


def test_the_pattern_is_of_the_whole_text_the_prompt_with_it(pieces: SubwordTokenizer) -> None:
    for tokenizer in (LETTERS, pieces):
        engine = engine_of(network(cast(Tokenizer, tokenizer)), "int8")
        for one in written(engine, cast(Tokenizer, tokenizer), 20, prompt="mar", match=(r"[a-z]{5,7}", ".*e.*")):
            assert re.fullmatch(r"mar(?=.*e)[a-z]{2,4}", "mar" + one.text)
    (whole,) = written(engine_of(network(LETTERS)), LETTERS, 1, prompt="abc", match=("abc",))
    assert (whole.text, whole.finished, whole.logprob, whole.kept) == ("", "end", 0.0, 0.0)


def test_every_option_that_drops_symbols_leaves_the_pattern_a_way() -> None:
    engine, pattern = engine_of(network(LETTERS), "int8"), r"(?!x{3})[a-z]{4}( [a-z]{4}){2}"
    some: list[dict[str, Any]] = [
        {"ban": ("aeiou",)}, {"allow": ("xyz ",)}, {"temperature": 0.0}, {"top_p": 0.01}, {"surprise": 0.1},
        {"temperature": None, "eta": 1.0, "repetition_penalty": 3.0},
    ]  # fmt: skip
    for options in some:
        for one in written(engine, LETTERS, 10, match=(pattern,), **options):
            assert re.fullmatch(pattern, one.text)
            assert "ban" not in options or not set(one.text) & set("aeiou")
            assert "allow" not in options or set(one.text) <= set("xyz ")


def test_lines_and_least_length() -> None:
    engine = engine_of(network(LETTERS), "int8")
    for one in written(engine, LETTERS, 30, lines=3, length=80):
        assert one.text.count("\n") == 2 and not one.text.endswith("\n")
    for one in written(engine, LETTERS, 30, prompt="ab\ncd", lines=3, min_length=20, length=30):
        assert one.text.count("\n") == 1 and 20 <= len(one.text) <= 30
    documents = soon_ending(documents=True)
    lengths = [len(one.text) for one in written(documents, LETTERS, 60, min_length=20, length=30)]
    assert min(lengths) == 20 and max(lengths) <= 30
    free = written(documents, LETTERS, 60, length=30)
    assert min(len(one.text) for one in free) < 20


@each("documents", [False, True])
def test_a_pattern_that_everything_matches_changes_nothing(documents: bool) -> None:
    engine = engine_of(network(LETTERS, documents=documents), "int8")
    free, matched = written(engine, LETTERS, 9), written(engine, LETTERS, 9, match=("(?s).*", "[^A]*"))
    assert [one.text for one in free] == [one.text for one in matched]
    assert [one.logprob for one in free] == [one.logprob for one in matched]
    assert all(one.kept is None for one in free) and all(one.kept == 0 for one in matched)


@each(
    "options, words",
    [
        (
            {"match": ("a(b",)},
            "`match` 'a(b' is no regular expression: missing ), unterminated",
        ),
        ({"match": (r"(a)\1",)}, "a back-reference cannot be kept to"),
        ({"match": ("[0-9]+",)}, "no text that the model can write matches `match` '[0-9]+'"),
        ({"match": ("a+", "b+")}, "no text that the model can write matches `match` 'a+' and `match` 'b+'"),
        ({"match": ("a+",), "ban": ("a",)}, "no text that the model can write matches"),
        ({"match": ("a{840}",)}, "the shortest text that matches `match` 'a{840}' has 840 characters: `length` is 60"),
        ({"match": ("a{3}",), "prompt": "b"}, "no text that begins with the prompt 'b' can match `match` 'a{3}'"),
        (
            {"match": ("a{99}",), "prompt": "a"},
            "shortest text behind the prompt that matches `match` 'a{99}' has 98",
        ),
        (
            {"match": ("a{3}",), "min_length": 4},
            "can write matches `match` 'a{3}' and `min_length` 4",
        ),
        ({"lines": 70}, "the shortest text that matches `lines` 70 has 70 characters"),
        ({"match": (r"(?=.*a.{10})(?=.*b.{10}).*",)}, "too complicated"),
        ({"match": ("a",), "stop": ("b",)}, "`stop` means nothing beside a pattern"),
    ],
)
def test_what_cannot_be_written_is_refused_before_the_first_character(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as told:
        written(engine_of(network(LETTERS)), LETTERS, 1, **options)
    assert words in str(told.value)


def test_every_sampler_has_a_name() -> None:
    assert {*loop.SAMPLERS} == {*match.SAMPLERS}


def test_what_is_too_rare_to_come_is_given_up_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact, "MOST_TRIES", 20)
    rare: dict[str, Any] = {"match": ("[ab]{30}",), "length": 30}
    engine = engine_of(network(LETTERS))
    with pytest.raises(CharrnnError, match="none of 20 texts matched, so rare is the pattern"):
        written(engine, LETTERS, 1, sampler="exact", **rare)
    with pytest.raises(CharrnnError, match="64 particles all left the pattern"):
        written(engine, LETTERS, 1, sampler="smc", top_k=2, **rare)
    assert len(written(engine, LETTERS, 1, **rare)[0].text) == 30


def test_the_command_line(trained: Path, charrnn: CommandLine) -> None:
    common = ["sample", "--checkpoints", str(trained), "--seed", "3"]
    names = charrnn(*common, "-m", "lines", "-n", "30", "--match", "[A-Z][a-z]{2,9}", "-q")
    assert names.code == 0 and all(re.fullmatch("[A-Z][a-z]{2,9}", line) for line in names.out.splitlines())
    assert len(names.out.splitlines()) == 30
    found = charrnn(*common, "-m", "small", "-n", "3", "--regex", "[a-z ]{2,9}", "--sampler", "exact")
    assert found.code == 0 and re.search(r"3 of [\d,]+ tries matched: ", found.err)
    records = [
        json.loads(line)
        for line in charrnn(*common, "-m", "small", "-n", "2", "--match", "[a-z]{3}", "--json").out.splitlines()
    ]
    model = api.load("small", checkpoints=trained)
    expected = [*model.samples(rows=2, seed=3, match="[a-z]{3}")]
    assert [(one["text"], one["kept"], one["tries"]) for one in records] == [
        (one.text, one.kept, None) for one in expected
    ]
    assert all(one.kept is not None and one.kept < 0 for one in expected)
    for line, words in (
        (["--match", "[a-z"], "charrnn: --match '[a-z' is no regular expression: unterminated character set"),
        (["--match", "a{501}"], "the shortest text that matches --match 'a{501}' has 501 characters: --length is 500"),
        (["--sampler", "smc"], "--sampler means nothing without --grammar or --match or --lines or --min-length"),
        (["--sampler", "best", "--match", "a"], "--sampler must be masked, exact or smc, not 'best'"),
    ):  # fmt: skip
        refused = charrnn(*common, "-m", "small", *line)
        assert refused.code == 2 and refused.out == "" and words in refused.err, refused
