"""Whole samples in order, and lists of new ones: what is accepted is what a loop over single rows would accept."""

import json
import math
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from charrnn import api
from charrnn.generation import samples as module
from charrnn.generation.config import SampleConfig
from charrnn.generation.drawing import draw
from charrnn.generation.loop import generate
from charrnn.generation.samples import Sample, chosen, likeliest, samples
from charrnn.generation.sequence import TextChunk, TextSequence
from charrnn.text.copies import TrainingLines, Unlike
from charrnn.text.tokenizers import Tokenizer
from charrnn.text.tokenizers.byte import ByteTokenizer
from charrnn.training.run import start

from .cases import each
from .conftest import CommandLine
from .test_generation_loop import LETTERS, engine_of, network
from .test_run import options


def written(texts: Callable[[int], str], order: int = 1) -> Callable[[int, int], Iterator[TextChunk]]:
    """Rows of known texts, letter by letter side by side; every row is seen to be asked for once."""
    asked: set[int] = set()

    def stream(first: int, rows: int) -> Iterator[TextChunk]:
        mine = range(first, first + rows)[::order]
        assert asked.isdisjoint(mine)
        asked.update(mine)
        for place in range(max(len(texts(row)) for row in mine) + 1):
            for row in mine:
                text = texts(row)
                if place < len(text):
                    yield TextChunk(row, text[place], None, (place,), (-1.0,))
                elif place == len(text):
                    yield TextChunk(row, "", "end", (9,), (-0.5,))

    return stream


@each("order", [1, -1])
def test_samples_come_whole_and_in_order_whichever_ends_first(order: int) -> None:
    texts = ["abc", "", "a", "abcdef"]
    found = list(samples(written(lambda row: texts[row], order), 0, 4, 2**32 - 2))
    assert [sample.text for sample in found] == texts
    assert [sample.row for sample in found] == [0, 1, 2, 3]
    assert [sample.seed for sample in found] == [2**32 - 2, 2**32 - 1, 0, 1]
    assert [sample.logprob for sample in found] == [-len(text) - 0.5 for text in texts]


@each("at_once", [1, 3, 8, 1000])
def test_what_is_chosen_does_not_depend_on_how_many_are_tried_at_once(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LEAST_AT_ONCE", at_once)
    found = list(chosen(written(lambda row: "x" * (row % 7)), 10, 5, lambda sample: len(sample.text) % 3 == 1))
    expected = [row for row in range(1000) if row % 7 % 3 == 1][:10]
    assert [(one.row, one.seed, len(one.text)) for one in found] == [
        (place, 5 + row, row % 7) for place, row in enumerate(expected)
    ]


def test_the_likeliest_come_first_token_for_token_and_equals_by_their_rows() -> None:
    told = [(-3.0,) * 3, (-1.0,) * 2, (-0.75,) * 40, (-1.0,) * 4, (-1.0,)]
    found = [Sample(row, row, "", "end", (0,) * len(each), each) for row, each in enumerate(told)]
    found.append(Sample(5, 5, "", "end", (0, 0)))
    assert [sample.row for sample in likeliest(found)] == [2, 1, 3, 4, 0, 5]
    assert [sample.row for sample in likeliest(found, 2)] == [2, 1]
    assert found[0].mean_surprisal == pytest.approx(3 / math.log(2)) and found[5].mean_surprisal is None


def test_the_best_are_those_that_scoring_holds_likeliest(trained: Path, charrnn: CommandLine) -> None:
    model = api.load("small", checkpoints=trained)
    drawn: dict[str, Any] = {"rows": 12, "seed": 3, "length": 20, "temperature": 1.5, "precision": "fp32"}
    texts = model.sample("The ", **drawn)
    bits = {text: model.surprisal("The " + text, per="char")["surprisal"][4:].mean() for text in texts}
    best = list(model.samples("The ", best=4, **drawn))
    assert [sample.text for sample in best] == sorted(texts, key=bits.__getitem__)[:4]
    assert all(model.sample("The ", **{**drawn, "rows": 1, "seed": one.seed}) == one.text for one in best)
    for one in best:
        assert one.tokens == 20 and one.mean_surprisal == pytest.approx(bits[one.text], rel=1e-4)
    assert [sample.text for sample in model.samples("The ", sort=True, **drawn)] == sorted(texts, key=bits.__getitem__)
    line = ["sample", "-m", "small", "--checkpoints", str(trained), "-n", "12", "--seed", "3", "-l", "20", "-p", "The "]
    line += ["--temp", "1.5", "--precision", "fp32"]
    told = [json.loads(record) for record in charrnn(*line, "--best", "4", "--json").out.splitlines()]
    assert [record["text"] for record in told] == ["The " + sample.text for sample in best]
    assert [(record["tokens"], record["mean_surprisal"]) for record in told] == [
        (sample.tokens, sample.mean_surprisal) for sample in best
    ]
    assert charrnn(*line, "--sort").out.startswith("The " + best[0].text)
    assert "--best is 13, and --num 12" in charrnn(*line, "--best", "13").err


@each("kind", ["char", "byte"])
def test_all_tokens_are_told_whatever_their_text_becomes(kind: str) -> None:
    tokenizer: Tokenizer = ByteTokenizer() if kind == "byte" else LETTERS
    engine = engine_of(network(tokenizer, documents=True))
    for stop in ((), ("e", "ab")):
        config = SampleConfig(length=12, temperature=1.0, stop=stop)
        for row in range(6):
            chunks = list(generate(engine, tokenizer, config, first=row, seed=2, logprobs=True))
            drawn = TextSequence(row, [], tokenizer, config, seed=2 + row)
            logits, state = engine.prime(np.array([tokenizer.size]))
            while not drawn.finished:
                (token,) = draw(logits.astype(np.float64), np.array([drawn.uniforms.next()])).tolist()
                drawn.push(token)
                logits, state = engine.step(np.array([min(token, tokenizer.size)]), state)
            assert [token for chunk in chunks for token in chunk.ids] == drawn.ids, (kind, stop, row)
            assert "".join(chunk.text for chunk in chunks) == drawn.text


def test_the_search_for_what_never_comes_ends() -> None:
    tried = count()
    assert list(chosen(written(lambda row: "a"), 3, 0, lambda sample: next(tried) < 2)) == [
        Sample(0, 0, "a", "end", (0, 9), (-1.0, -0.5)),
        Sample(1, 1, "a", "end", (0, 9), (-1.0, -0.5)),
    ]
    assert next(tried) == 3 * module.MOST_TRIED


@each(
    "options, new",
    [
        ({}, [True, True, True, True, True, False]),
        ({"unique": True}, [True, True, False, True, True, False]),
        ({"unique": True, "ignore_case": True}, [True, False, False, True, True, False]),
        ({"exclude": [" Ann", "cid "]}, [True, True, True, False, True, False]),
        ({"exclude": ["ANNA"], "ignore_case": True}, [False, False, False, True, True, False]),
    ],
)
def test_a_text_is_new_unless_it_or_a_line_of_it_was_there(options: dict[str, bool], new: list[bool]) -> None:
    is_new = Unlike(**options)  # type: ignore[arg-type]
    texts = ["Anna", "anna", "Anna ", "bob\ncid", "Straße", " \n"]
    assert [is_new(text, text.split("\n")) for text in texts] == new


def test_lines_of_the_training_text_are_not_new_whatever_their_case() -> None:
    hashes = frozenset(map(hash, ["anna"]))
    assert Unlike(known=TrainingLines(hashes))("Anna", ["Anna"])
    assert not Unlike(known=TrainingLines(hashes, ignore_case=True))("Anna", ["x", "Anna"])
    assert not Unlike(known=TrainingLines(hashes))("anna", [" anna"])


def test_a_list_of_new_texts_is_the_first_rows_that_are_new(tmp_path: Path, charrnn: CommandLine) -> None:
    learned = [f"{a}{b}" for a in "abcd" for b in ("eh", "if", "og")]
    file, checkpoints = tmp_path / "names.txt", tmp_path / "checkpoints"
    file.write_text("\n".join(learned * 6))
    for _ in start(options(file, documents="lines", steps=60, lr=0.02), checkpoints=checkpoints).events():
        pass
    model = api.load("run", checkpoints=checkpoints)
    expected: list[str] = []
    old = 0
    for seed in count(3):
        text = model.sample(seed=seed, length=12, temperature=1.0)
        assert isinstance(text, str)
        old += text in learned
        if text.strip() and text not in [*expected, *learned]:
            expected.append(text)
        if len(expected) == 5:
            break
    assert old, "a list of nothing but new ones would show nothing"
    found = list(model.samples(rows=5, seed=3, length=12, temperature=1.0, unique=True, novel=True))
    assert [sample.text for sample in found] == expected
    assert all(model.sample(seed=sample.seed, length=12, temperature=1.0) == sample.text for sample in found)
    arguments = ["sample", "--checkpoints", str(checkpoints), "-n", "5", "--seed", "3", "-l", "12", "--temp", "1"]
    assert charrnn(*arguments, "--unique", "--novel", "-q").out.splitlines() == expected
    records = [json.loads(line) for line in charrnn(*arguments, "--unique", "--novel", "--json").out.splitlines()]
    assert [record["text"] for record in records] == expected
    assert [record["seed"] for record in records] == [sample.seed for sample in found]
    assert all(math.isfinite(record["logprob"]) for record in records)


def test_where_nothing_new_comes_it_is_told_in_a_line(
    trained: Path, charrnn: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_TRIED", 2)
    greedy = ["sample", "-m", "lines", "--checkpoints", str(trained), "--temp", "0", "-n", "3", "-l", "9"]
    result = charrnn(*greedy, "--unique")
    assert result.code == 1 and len(result.out.splitlines()) == 1
    assert "1 of 3 texts were new in 2 times as many: a higher --temp brings more" in result.err
    file = tmp_path / "mine.txt"
    file.write_text(result.out.strip().upper() + "\n")
    excluded = charrnn(*greedy, "--exclude", str(file), "--ignore-case")
    assert excluded.code == 1 and excluded.out == "" and "0 of 3" in excluded.err
    assert charrnn(*greedy, "--ignore-case").code == 2
