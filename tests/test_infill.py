"""Text for a gap: drawn as often as enumeration says, whole in every alphabet, the same row by row."""

import itertools
import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from charrnn import api
from charrnn.errors import ConfigError, VocabularyError
from charrnn.generation.config import GAP_LENGTH, SampleConfig
from charrnn.generation.infill import Infilled, infill, logprobs
from charrnn.inference.base import Engine
from charrnn.inference.engine import open_engine
from charrnn.inference.reading import read
from charrnn.text.tokenizers.byte import ByteTokenizer
from charrnn.text.tokenizers.char import CharTokenizer
from charrnn.training.int8_check import arrays

from .cases import each
from .conftest import SMALL, CommandLine
from .test_generation_loop import engine_of, network

LETTERS = CharTokenizer("abc")


def log_softmax(logits: Any) -> Any:
    logits = logits.astype(np.float64)
    return logits - np.log(np.exp(logits - logits.max()).sum()) - logits.max()


def foretold(engine: Engine, ids: list[int], temperature: float = 1.0) -> list[float]:
    """log p of each of some ids, read one by one from the start: the slow twin."""
    logits, state = engine.step(np.array([engine.config.start_id]), engine.initial_state(1))
    found = []
    for token in ids:
        found.append(float(log_softmax(logits[0] / temperature)[token]))
        logits, state = engine.step(np.array([token]), state)
    return found


def test_rows_read_side_by_side_are_foretold_as_each_alone() -> None:
    engine = engine_of(network(LETTERS, documents=True))
    rows = [[0, 1, 3], [2], [], [1, 1, 0, 2, 3]]
    found = logprobs(engine, read(engine, [2, 0]), rows)
    for row, told in zip(rows, found, strict=True):
        np.testing.assert_allclose(told, foretold(engine, [2, 0, *row])[2:], rtol=1e-9)


@pytest.mark.slow
@each("kind", ["stream", "documents", "both ends"])
def test_gaps_are_as_frequent_as_enumeration_says(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In proportion to the chain's own probability of a gap, and to how likely the other side is with it."""
    monkeypatch.setattr("charrnn.generation.infill.LOOKED_AT", 600)  # each several times
    documents, both = kind != "stream", kind == "both ends"
    model = network(LETTERS, documents=documents, bidirectional=both)
    with torch.no_grad():  # so that what is on the right depends on the gap
        for parameter in model.parameters():
            parameter.mul_(2.5 if both else 3.5)
    engine = engine_of(model)
    backwards = open_engine(model.config, arrays(model), "fp32", "backwards") if both else None
    left, right, ends = "ab", "cab", [3] * documents
    config = SampleConfig(length=2, temperature=0.8)
    weights = {}
    for size in (1, 2):
        for gap in itertools.product(range(3), repeat=size):
            whole = [0, 1, *gap, 2, 0, 1]
            forwards = sum(foretold(engine, [*whole, *ends])[2:])
            own = sum(foretold(engine, whole)[2 : 2 + size])
            weight = sum(foretold(engine, whole, 0.8)[2 : 2 + size]) - own + forwards
            if backwards is not None:
                weight += (sum(foretold(backwards, [*whole[::-1], *ends])[3:]) - forwards) / 2
            weights["".join("abc"[token] for token in gap)] = math.exp(weight)
    exact = {gap: weight / sum(weights.values()) for gap, weight in weights.items()}
    rows = 80
    found = Counter(
        one.text for one in infill(engine, LETTERS, config, left, right, rows=rows, seed=7, backwards=backwards)
    )

    def distance(other: dict[str, float]) -> float:
        return sum(abs(found[gap] / rows - other[gap]) for gap in exact) / 2

    noise = 0.5 * sum(math.sqrt(2 * share * (1 - share) / (math.pi * rows)) for share in exact.values())
    assert distance(exact) < 1.5 * noise, distance(exact) / noise
    alone = {gap: math.exp(sum(foretold(engine, [0, 1, *map("abc".index, gap)], 0.8)[2:])) for gap in exact}
    assert distance({gap: share / sum(alone.values()) for gap, share in alone.items()}) > 3 * noise


def test_a_row_is_the_same_alone_and_the_log_probability_is_the_texts(trained: Path) -> None:
    model = api.load("small", checkpoints=trained)
    asked: dict[str, Any] = {"length": 12, "temperature": 1.0, "precision": "fp32"}
    rows = list(model.infill("The her", " stood in", rows=4, seed=3, **asked))
    assert [one.seed for one in rows] == [3, 4, 5, 6] and len({one.text for one in rows}) > 1
    (alone,) = model.infill("The her", " stood in", rows=1, seed=5, **asked)
    assert alone.text == rows[2].text
    for one in rows:
        assert 1 <= len(one.text) <= 12 and one.effective >= 1
        nats = model.surprisal(f"The her{one.text} stood in", per="char")["surprisal"][7:].sum() * math.log(2)
        assert one.logprob == pytest.approx(-nats, rel=1e-4)


def test_a_gap_of_bytes_is_whole_characters() -> None:
    tokenizer = ByteTokenizer()
    engine = engine_of(network(tokenizer))
    config = SampleConfig(length=3, temperature=1.5)
    for one in infill(engine, tokenizer, config, "x", "é", rows=5, seed=1):
        assert 1 <= len(one.text) <= 3 and one.text.count("\ufffd") <= len(one.text)


def test_no_copy_goes_on_into_the_right_side(trained: Path) -> None:
    """By brute force: every span of six characters that begins before the right side and ends in it."""
    model = api.load("small", checkpoints=trained)
    learned = index_text(model)

    def copies(**options: Any) -> int:
        found = 0
        for one in model.infill("He ", " the ", rows=8, seed=2, length=6, **options):
            whole, border = f"He {one.text} the ", 3 + len(one.text)
            spans = [whole[at : at + 6] for at in range(max(0, border - 5), min(border, len(whole) - 5))]
            assert spans
            found += any(span in learned for span in spans)
        return found

    assert copies() > 3 and copies(max_copy=5) == 0


def index_text(model: api.Model) -> str:
    """What the model has learned from."""
    index = model.copy_index
    return "".join(chr(index.alphabet[code]) for code in index.codes)


def test_a_target_surprisal_is_followed_in_a_gap(trained: Path) -> None:
    model = api.load("small", checkpoints=trained)
    assert len(list(model.infill("The ", " stood", rows=2, seed=1, surprise=3.0))) == 2


def test_what_cannot_be_filled_is_said() -> None:
    engine = engine_of(network(LETTERS))

    def filled(left: str, right: str, **options: Any) -> list[Infilled]:
        return list(infill(engine, LETTERS, SampleConfig(length=4, **options), left, right))

    with pytest.raises(ConfigError, match="nothing stands behind the gap"):
        filled("ab", "")
    with pytest.raises(VocabularyError):
        filled("a", "xyz")
    with pytest.raises(ConfigError, match="`length` of a gap must be at most 1,000"):
        list(infill(engine, LETTERS, SampleConfig(length=10**6), "a", "b"))
    for options in ({"match": ("a+",)}, {"stop": ("b",)}, {"min_length": 2}, {"lines": 2}):
        with pytest.raises(ConfigError, match="a gap ends where the right side fits"):
            filled("a", "b", **options)
    assert {one for filling in filled("a", "b", ban=("c",)) for one in filling.text} <= {"a", "b"}


def test_the_command_fills_a_gap(charrnn: CommandLine, trained: Path, tmp_path: Path, corpus: Path) -> None:
    line = ["sample", "-m", "small", "--checkpoints", str(trained), "--seed", "3", "-n", "2", "--infill"]
    told = charrnn(*line, "The [...] stood")
    model = api.load("small", checkpoints=trained)
    gaps = [one.text for one in model.infill("The ", " stood", rows=2, seed=3)]
    assert told.out == "".join(f"The {gap} stood\n" for gap in gaps) and max(map(len, gaps)) <= GAP_LENGTH
    assert charrnn(*line, "The [...] stood", "--no-echo").out == "".join(f"{gap}\n" for gap in gaps)
    records = [json.loads(record) for record in charrnn(*line, "The [...] stood", "--json").out.splitlines()]
    assert [(one["seed"], one["gap"], one["text"]) for one in records] == [
        (3 + row, gap, f"The {gap} stood") for row, gap in enumerate(gaps)
    ]
    short = charrnn(*line, "The [...] stood", "-l", "2", "--no-echo").out.splitlines()
    assert short and all(len(gap) <= 2 for gap in short)
    for more, words in {
        ("The stood",): "one gap, written [...], and here are 0",
        ("The [...] stood", "--lines", "2"): "means nothing beside --infill",
        ("The [...] stood", "-p", "x"): "means nothing beside --infill",
        ("The [...]",): "nothing stands behind the gap",
    }.items():
        refused = charrnn(*line, *more)
        assert refused.code == 2 and words in refused.err


@pytest.mark.slow
def test_a_model_of_both_ends_fills_too(charrnn: CommandLine, corpus: Path, tmp_path: Path) -> None:
    folder = ["--checkpoints", str(tmp_path / "c")]
    train = charrnn("train", str(corpus), "--bidirectional", "--steps", "20", "--seed", "1", "-q", *SMALL, *folder)
    assert train.code == 0, train.err
    told = charrnn("sample", *folder, "--infill", "The [...] stood", "--seed", "1", "-l", "5")
    assert told.out.startswith("The ") and told.out.endswith(" stood\n")
