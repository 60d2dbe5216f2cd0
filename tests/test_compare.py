"""Two models on one text: the difference, how sure it is, and where it comes from."""

import json
import math
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

import charrnn as package
from charrnn.api.learned import training_text
from charrnn.cli.compare import _write_figures, _write_lists
from charrnn.errors import CorpusError, VocabularyError
from charrnn.models.counts import KneserNey
from charrnn.scoring.compare import Comparison, best, compare
from charrnn.scoring.costs import Costs
from charrnn.scoring.intervals import LEAST_BLOCKS, mean_interval, student_t
from charrnn.text.dataset import encode_part
from charrnn.text.tokenizers import Tokenizer, train_tokenizer

from .cases import each
from .conftest import SMALL, CommandLine

TEXT = "Die Öffnung, die über\n  Nacht — zu 東京 — «offen» blieb, blieb 𝄞 offen.\n\n" * 9


def two(nats_a: "np.ndarray", nats_b: "np.ndarray", text: str | None = None) -> Comparison:
    """Two that predict character by character."""
    return compare(Costs.of_characters("a", nats_a), Costs.of_characters("b", nats_b), text or "x" * nats_a.size)


# ---- the interval


def slow_t(freedom: int, confidence: float) -> float:
    """Student's t by the integral of its density, and halving."""

    def within(t: float) -> float:
        at = np.linspace(-t, t, 20_001)
        density = (1 + at**2 / freedom) ** (-(freedom + 1) / 2)
        norm = math.gamma((freedom + 1) / 2) / math.gamma(freedom / 2) / math.sqrt(freedom * math.pi)
        return float(np.trapezoid(density, at)) * norm

    low, high = 0.0, 50.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if within(middle) < confidence else (low, middle)
    return low


def slow_interval(total: list[float], size: list[int]) -> tuple[float, float]:
    """The same from the definition: all pairs of blocks, the weight of a covariance falling with their distance."""
    blocks = len(total)
    mean = sum(total) / sum(size)
    rest = [one - mean * chars for one, chars in zip(total, size, strict=True)]
    lags = min(math.floor(4 * (blocks / 100) ** (2 / 9)), blocks // 5)
    halves = []
    for reach, freedom in ((0, blocks - 1), (lags, max(4, blocks / (lags + 1) - 1))):
        variance = sum(
            max(0.0, 1 - abs(i - j) / (reach + 1)) * rest[i] * rest[j] for i in range(blocks) for j in range(blocks)
        )
        halves.append(student_t(freedom, 0.95) * math.sqrt(max(0.0, variance) * blocks / (blocks - 1)) / sum(size))
    return mean - max(halves), mean + max(halves)


@each("freedom", [4, 5, 9, 30, 120])
@each("confidence", [0.9, 0.95, 0.99])
def test_students_t_is_that_of_its_density(freedom: int, confidence: float) -> None:
    assert student_t(freedom, confidence) == pytest.approx(slow_t(freedom, confidence), rel=3e-3)


@each("blocks", [5, 9, 40, 150])
@each("clustered", [0.0, 0.9])
def test_an_interval_is_that_of_its_definition(blocks: int, clustered: float) -> None:
    random = np.random.default_rng(blocks)
    total = random.normal(3, 5, blocks)
    for at in range(1, blocks):
        total[at] += clustered * total[at - 1]
    size = random.integers(400, 700, blocks)
    found = mean_interval(total, size)
    assert found == pytest.approx(slow_interval(total.tolist(), size.tolist()), rel=1e-9)


def differences(random: np.random.Generator, repetitions: int, chars: int, reach: float) -> np.ndarray:
    """(R, C): nats whose mean is 0, a third of whose variance is shared by neighbours within some `reach`."""
    shared = np.empty((chars, repetitions))
    shared[0] = random.normal(size=repetitions)
    keep = math.exp(-1 / reach)
    for at in range(1, chars):
        shared[at] = keep * shared[at - 1] + math.sqrt(1 - keep**2) * random.normal(size=repetitions)
    alone = random.exponential(size=(repetitions, chars)) - 1
    return math.sqrt(1 / 3) * shared.T + math.sqrt(2 / 3) * alone


@pytest.mark.slow
@each("chars, reach", [(3000, 20), (20_000, 60)])
@each("truth", [0.0, -0.05])
def test_an_interval_covers_the_truth_as_often_as_it_says(chars: int, reach: float, truth: float) -> None:
    random = np.random.default_rng(3)
    nats = random.exponential(size=chars)
    covered = naive = decided = 0
    for difference in differences(random, 100, chars, reach):
        found = two(nats, nats + difference + truth)
        assert found.interval is not None
        covered += truth / math.log(2) in found.interval
        naive += abs(difference.mean()) < 1.96 * difference.std() / math.sqrt(chars)
        decided += found.better is not None
    assert 90 <= covered <= 99
    assert naive < 80, "the test is no test: these errors might as well be independent"
    assert truth or decided == 100 - covered


def scenes(random: np.random.Generator, texts: int, chars: int) -> tuple[np.ndarray, np.ndarray]:
    """(R, C) twice: what texts of a source of two kinds of scenes cost one who knows one kind, and one who knows none.

    Symbols follow each other by another table in each kind, and scenes are some eighty symbols long.
    """
    tables = random.dirichlet(np.ones(6), size=(2, 6))
    known = np.stack([0.9 * tables[0] + 0.1 * tables[1], tables.mean(axis=0)])
    scene, symbol = random.integers(0, 2, texts), random.integers(0, 6, texts)
    nats = np.empty((2, texts, chars))
    for at in range(chars):
        scene ^= random.random(texts) < 1 / 80
        following = (random.random(texts)[:, None] > tables[scene, symbol].cumsum(axis=1)).sum(axis=1).clip(max=5)
        nats[:, :, at] = -np.log(known[:, symbol, following])
        symbol = following
    return nats[0], nats[1]


@pytest.mark.slow
def test_an_interval_covers_the_difference_on_a_second_text() -> None:
    one, other = scenes(np.random.default_rng(5), 200, 6000)
    truth = (other[100:] - one[100:]).mean() / math.log(2)  # of a text a hundred times as long
    intervals = [two(nats_a, nats_b).interval for nats_a, nats_b in zip(one[:100], other[:100], strict=True)]
    assert 90 <= sum(interval is not None and truth in interval for interval in intervals) <= 99
    error = (other - one)[:100].std(axis=1) / math.sqrt(6000) / math.log(2)
    naive = abs((other - one)[:100].mean(axis=1) / math.log(2) - truth) < 1.96 * error
    assert naive.sum() < 80


# ---- blocks


def test_blocks_are_of_like_length_and_miss_nothing() -> None:
    random = np.random.default_rng(0)
    for chars in (1, 499, 2499, 2500, 9100, 30_000, 41_234):
        found = two(random.random(chars), random.random(chars))
        assert found.block_chars.sum() == chars
        assert found.block_advantage.sum() == pytest.approx((found.b.nats - found.a.nats).sum())
        size = 1000 if chars >= 30_000 else 500
        assert found.blocks == max(1, chars // size)
        assert all(size <= each < size * 2 for each in found.block_chars) or chars < size
        assert (found.interval is None) == (chars < 2500) == (found.blocks < LEAST_BLOCKS)


def test_blocks_are_of_whole_documents_where_these_are_short() -> None:
    nats = np.random.default_rng(0).random(6000)
    for length, whole in ((40, True), (700, True), (5000, False)):
        ends = np.arange(length, 6001, length)
        one, other = Costs.of_characters("a", nats), Costs.of_characters("b", nats * 2)
        found = compare(Costs(one.name, one.nats, one.begins, one.ends, ends), other, "x" * 6000)
        inner = found.block_ends[:-1]
        assert found.blocks >= 6 and found.block_chars.sum() == 6000
        assert whole == set(inner.tolist()).issubset(ends.tolist())


# ---- the same place in the text


def prefixes(tokenizer: Tokenizer, nats: np.ndarray, text: str) -> dict[int, float]:
    """What all tokens up to a place cost, for every place at which one ends."""
    ids = tokenizer.encode(text)
    found = {}
    for end in range(1, len(text) + 1):
        for tokens in range(1, len(ids) + 1):
            decoded = tokenizer.decode(ids[:tokens])
            if decoded == text[:end]:
                found[end] = float(nats[:tokens].sum())
    return found


def test_tokenizers_are_compared_at_the_places_that_both_know() -> None:
    text = TEXT[:75]
    kinds = {
        "char": train_tokenizer("char", [TEXT], 0),
        "byte": train_tokenizer("byte", [TEXT], 0),
        "subword": train_tokenizer("subword", [TEXT], 300),
    }
    random = np.random.default_rng(1)
    nats = {kind: random.random(tokenizer.encode(text).size) for kind, tokenizer in kinds.items()}
    assert nats["subword"].size < nats["char"].size < nats["byte"].size
    for a, b in (("char", "byte"), ("char", "subword"), ("subword", "byte"), ("byte", "byte")):
        one, other = (Costs.of_tokens(kind, nats[kind], kinds[kind], text, "stream") for kind in (a, b))
        found = compare(one, other, text)
        slow_a, slow_b = (prefixes(kinds[kind], nats[kind], text) for kind in (a, b))
        common = sorted(slow_a.keys() & slow_b.keys())
        assert found.a.ends.tolist() == found.b.ends.tolist() == common
        assert found.a.nats.cumsum() == pytest.approx([slow_a[end] for end in common])
        assert found.b.nats.cumsum() == pytest.approx([slow_b[end] for end in common])
        assert found.chars == len(text)
        assert (found.characters is None) == ("subword" in (a, b))
        assert sum(item.nats_a for item in found.words) == pytest.approx(nats[a].sum())


def test_words_and_characters_add_up_and_are_told_apart() -> None:
    random = np.random.default_rng(2)
    nats_a, nats_b = random.random(len(TEXT)), random.random(len(TEXT))
    found = two(nats_a, nats_b, TEXT)
    words: dict[str, list[float]] = defaultdict(list)
    letters, cost = "", 0.0
    for at, character in enumerate(TEXT):
        if character.isspace() and letters:
            words[letters].append(cost)
            letters, cost = "", 0.0
        letters += "" if character.isspace() else character
        cost += nats_b[at] - nats_a[at]
    words[letters].append(cost)
    assert {item.text: item.count for item in found.words} == {word: len(costs) for word, costs in words.items()}
    for item in found.words:
        assert item.advantage * math.log(2) == pytest.approx(sum(words[item.text]))
    assert found.characters is not None
    for item in found.characters:
        places = [at for at, character in enumerate(TEXT) if character == item.text]
        assert item.count == len(places)
        assert item.nats_a == pytest.approx(nats_a[places].sum())
    for items in (found.words, found.characters):
        advantages = [item.advantage for item in items]
        assert advantages == sorted(advantages, reverse=True)
        assert math.fsum(advantages) == pytest.approx(found.advantage * len(TEXT))


def test_what_reads_different_characters_is_not_compared() -> None:
    nats = np.ones(10)
    whole = Costs.of_characters("whole", nats)
    for begins, ends in (([0, *range(2, 10)], [1, *range(3, 11)]), ([*range(9)], [*range(1, 10)])):
        part = Costs("part", np.ones(9), np.array(begins), np.array(ends))
        assert compare(part, part, "x" * 10).chars == 9
        with pytest.raises(CorpusError, match="whole and part are not asked for the same characters"):
            compare(whole, part, "x" * 10)


# ---- what it says


def test_what_it_says_follows_from_the_interval() -> None:
    nats = np.random.default_rng(0).random(5000)
    noise = np.random.default_rng(1).normal(size=5000)
    assert two(nats, nats + 0.5).sentence.startswith("a is better than b by 0.721 bits a character, 95% interval 0.721")
    worse = two(nats + 0.5, nats)
    assert worse.sentence.endswith("it wins 10 of 10 blocks") and worse.sentence.startswith("b is better than a by 0.7")
    assert (worse.better, worse.won, worse.lost) == ("b", 0, 10)
    unsure = two(nats, nats + noise)
    assert unsure.better is None and unsure.sentence.startswith("undecided: ") and "which holds 0" in unsure.sentence
    short = two(nats[:2000], nats[:2000] + 0.5)
    assert short.better is None and "2,000 characters are too few: it needs 2,500" in short.sentence
    assert two(nats, nats).sentence == "no difference: a and b cost the same"
    with pytest.raises(CorpusError, match="impossible"):
        two(nats, np.append(nats[:-1], math.inf))


# ---- models


def test_a_model_compared_with_itself_is_no_better(trained: Path, prose: str) -> None:
    model = package.load("small", checkpoints=trained)
    for options in ({}, {"reset_every": 100}, {"lines": True}):
        found = package.compare(model, "small", prose[:8000], checkpoints=trained, **options)
        assert found.advantage == 0.0 and found.interval == (0.0, 0.0) and 0 in found.interval
        assert (found.won, found.lost, found.better) == (0, 0, None)
        assert not best(found.words, "a") and not best(found.words, "b")


def test_sums_are_those_of_a_score(trained: Path, prose: str) -> None:
    """Of a model of one stream beside one of documents, which predicts ends where the other predicts line ends."""
    text = "\n".join(line for line in prose[:8000].split("\n") if line.strip())
    small, lines = (package.load(name, checkpoints=trained) for name in ("small", "lines"))
    found = package.compare(small, lines, text)
    assert found.nats_a == pytest.approx(small.score(text + "\n").nats, rel=1e-12)
    assert found.nats_b == pytest.approx(lines.score(text).nats, rel=1e-12)
    assert found.chars == len(text) + 1
    assert any("small reads stream, lines reads lines" in note for note in found.notes)
    ends = {0, *(at + 1 for at, character in enumerate(text + "\n") if character == "\n")}
    assert {int(found.a.ends[end - 1]) for end in found.block_ends} <= ends
    with_empty_lines = package.compare(small, lines, prose[:8000])
    assert with_empty_lines.nats_a == found.nats_a and with_empty_lines.nats_b == found.nats_b
    assert any(note.startswith("compared on its lines, each with its end: ") for note in with_empty_lines.notes)
    with pytest.raises(VocabularyError, match=r"^small: "):
        package.compare(small, lines, "東京")
    assert any("ln " in note for note in package.compare(small, lines, "東京\n", unknown=True).notes)


@pytest.mark.slow
def test_the_command_tells_scripts_and_keeps_its_gate(
    charrnn: CommandLine, trained: Path, corpus: Path, prose: str
) -> None:
    assert charrnn("train", str(corpus), "--steps", "6", "--name", "worse", "-q", *SMALL).code == 0
    better = str(trained / "small")
    text = Path("text.txt")
    text.write_text(prose[:3000], encoding="utf-8")
    line = ["compare", better, "worse", str(text), "--no-counts"]
    found = json.loads(charrnn(*line, "--json", "--top", "3").out)
    model, other = package.load(better, counts=False), package.load("worse", checkpoints="checkpoints", counts=False)
    assert found["bpc"]["a"] == pytest.approx(model.score(text).bpc)
    assert found["bpc"]["b"] == pytest.approx(other.score(text).bpc)
    assert 0 < found["bpc"]["low"] < found["bpc"]["advantage"] < found["bpc"]["high"]
    assert found["better"] == "a" and len(found["words"]["a"]) == 3 and found["chars"] == 3000
    assert float(charrnn(*line, "-q").out) == found["bpc"]["advantage"]
    table = charrnn(*line)
    rows = {row.split("\t")[0]: row.split("\t")[1:] for row in table.out.splitlines()}
    assert rows["figure"] == ["a", "b", "advantage", "low", "high"]
    assert list(map(float, rows["bpc"])) == list(found["bpc"].values())
    assert found["sentence"] in table.err and "seeds" in table.err
    words = [row.split("\t") for row in charrnn(*line, "--per", "word").out.splitlines()]
    assert words[0] == ["word", "count", "bits_a", "bits_b", "advantage"]
    assert math.fsum(float(row[4]) for row in words[1:]) == pytest.approx(found["bits"]["advantage"])
    characters = [json.loads(row) for row in charrnn(*line, "--per", "char", "--json").out.splitlines()]
    assert {item["text"] for item in characters} == set(prose[:3000])
    assert charrnn(*line, "--fail-unless-better").code == 0
    turned = charrnn("compare", "worse", better, str(text), "--fail-unless-better", "--no-counts")
    assert turned.code == 3 and "is not better than" in turned.err
    same = charrnn("compare", better, better, str(text), "--fail-unless-better", "-q")
    assert (same.code, same.out) == (3, "0.0\n")
    text.write_text("東京", encoding="utf-8")
    assert "'東'" in (lacking := charrnn(*line)).err and "--unk counts each as one" in lacking.err and lacking.code == 1


def test_without_a_text_both_must_have_held_out_the_same(charrnn: CommandLine, trained: Path) -> None:
    same = json.loads(charrnn("compare", "small", "small", "--checkpoints", str(trained), "--json").out)
    assert same["text"].startswith("valid part of ") and same["chars"] > 500
    Path("unknown.txt").write_text("東京\n", encoding="utf-8")
    lacking = charrnn("compare", "small", "small", "unknown.txt", "--checkpoints", str(trained))
    assert lacking.code == 1 and "in the training text; --unk counts each" in lacking.err
    refused = charrnn("compare", "small", "lines", "--checkpoints", str(trained))
    assert refused.code == 1 and "name a text" in refused.err and len(refused.err.splitlines()) == 1


@pytest.mark.slow
def test_an_ngram_of_the_same_training_text_stands_in_for_a_model(
    charrnn: CommandLine, trained: Path, prose: str
) -> None:
    for run in ("small", "lines"):
        model = package.load(run, checkpoints=trained)
        learned = training_text(model)
        training = encode_part(model.tokenizer, [learned], model.documents)
        ngram = KneserNey.count(training.tokens, model.config.start_id, 4, training.starts)
        part = encode_part(model.tokenizer, [prose[-3000:]], model.documents)
        found = package.compare(model, "kn4", prose[-3000:], unknown=True)
        assert found.nats_b == pytest.approx(ngram.nll(part.tokens, part.starts).sum())
        assert found.better == "b" and found.b.name == "kn4"
    alone = package.compare(model := package.load("small", checkpoints=trained), "kn4", prose[:3000], lines=True)
    assert alone.nats_a == pytest.approx(model.score(prose[:3000], lines=True).nats)
    line = ["compare", "small", "kn4", "--checkpoints", str(trained)]
    held_out = charrnn(*line)
    assert held_out.code == 0 and "kn4 is better than small" in held_out.err and "seeds" not in held_out.err
    assert json.loads(charrnn(*line, "--json").out)["b"] == "kn4"
    refused = charrnn(*line, "--reset-every", "9")
    assert refused.code == 2 and "leave out --reset-every" in refused.err


def test_a_person_reads_it_in_eighty_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    text = ("incomprehensibilities\tand\n" * 3000)[:70_000]
    nats = np.random.default_rng(0).random((2, len(text)))
    one, other = (
        Costs.of_characters(name, each)
        for name, each in zip(("a-rather-long-name", "another-long-name"), nats, strict=True)
    )
    found = compare(one, other, text)
    _write_figures(found)
    _write_lists(found, 4)
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert lines[0].split() == ["figure", "a-rath…-name", "anothe…-name", "advantage", "low", "high"]
    assert [line.split()[0] for line in lines[1:6]] == ["nats", "bits", "nats_per_char", "bpc", "blocks_won"]
    (words, *best_words), (characters, *_) = (part.splitlines() for part in "\n".join(lines).split("\n\n")[1:])
    assert words == "words a-rath…-name predicts better       words anothe…-name predicts better"
    assert characters.startswith("characters a-rath…-name predicts better  characters anothe…-name")
    assert 1 <= len(best_words) <= 2 and "incompr…lities" in "".join(best_words)
