"""Minimal pairs: files as they are published, a toy grammar with accuracies known by hand, intervals, the command."""

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from charrnn.api import Model, load
from charrnn.config import ModelConfig
from charrnn.errors import ConfigError, CorpusError, VocabularyError
from charrnn.models.language_model import LanguageModel
from charrnn.scoring.pairs import PairScores
from charrnn.scoring.texts import log_probabilities
from charrnn.text.pairs import Pair, read_pairs
from tests.cases import each
from tests.conftest import CommandLine
from tests.test_token_nll import make_model, model_of, one_at_a_time

# A grammar of one noun and one verb: a, A the nouns, s, S their verbs; x is a verb without a number.
SYMBOLS = "\nASasx"
AFTER = {
    "a": {"s": 0.6, "S": 0.2, "x": 0.2}, "A": {"S": 0.3, "s": 0.3, "x": 0.4}, "s": {"\n": 0.5, "x": 0.5},
    "S": {"\n": 0.25, "x": 0.75}, "x": {"\n": 1.0}, "\n": {"a": 1.0}, "": {"a": 0.5, "A": 0.5},
}  # fmt: skip


def markov(after: dict[str, dict[str, float]], symbols: str, *, documents: bool = False) -> Model:
    """A network that is a known source: its state is the symbol before, one unit for each, and nothing else."""
    rows = len(symbols) + 1
    network = LanguageModel(
        ModelConfig(
            vocab_size=rows - (not documents), start_id=rows - 1, cell="rnn", embedding=rows, hidden=rows, layers=1
        )
    )
    weights = {name: torch.zeros_like(tensor) for name, tensor in network.state_dict().items()}
    weights["embedding.weight"] = torch.eye(rows)
    weights["forwards.layers.0.rnn.weight_ih_l0"] = 20 * torch.eye(rows)  # whose tanh is 1
    ids = {symbol: number for number, symbol in enumerate(symbols)} | {"": rows - 1}
    head = torch.full((network.config.vocab_size, rows), -40.0)
    for before, ways in after.items():
        for symbol, probability in ways.items():
            head[ids[symbol], ids[before]] = math.log(probability)
    network.load_state_dict({**weights, "forwards.head": head})
    return model_of(network.eval(), symbols)


def toy() -> Model:
    return markov(AFTER, SYMBOLS)


# ---- a grammar with known answers


def test_a_toy_grammar_gives_the_accuracies_computed_by_hand() -> None:
    pairs = [
        Pair("as", "aS", {"number": "singular"}),  # 0.6 x 0.5 against 0.2 x 0.25: log2(6) bits
        Pair("AS", "As", {"number": "plural"}),  # 0.3 x 0.25 against 0.3 x 0.5: wrong by a bit
        Pair("ax", "aS", {"number": "singular"}),  # 0.2 against 0.2 x 0.25: 2 bits
        Pair("asx", "as", {"number": "singular"}),  # 0.5 x 1 against 0.5: a tie
        Pair("Ax", "Ax", {"number": "plural"}),  # the same twice: a tie
        Pair("sx", "as", {}),  # what cannot be said
    ]
    scores = toy().pairs(pairs)
    assert scores.good[:5] == pytest.approx(np.log([0.15, 0.0375, 0.1, 0.15, 0.2]), rel=1e-6)
    assert (scores.pairs, scores.ties, scores.accuracy) == (6, 2, 2 / 6)
    assert scores.differences[:5] == pytest.approx([math.log2(6), -1, 2, 0, 0], abs=1e-5)
    by = scores.by["number"]
    assert list(by) == ["plural", "singular"], "the pair without a group is in none"
    assert (by["singular"].accuracy, by["singular"].ties, by["plural"].accuracy, by["plural"].ties) == (2 / 3, 1, 0, 1)
    assert by["singular"].mean_difference == pytest.approx((math.log2(6) + 2) / 3, rel=1e-5)
    assert by["plural"].mean_difference == pytest.approx(-0.5, rel=1e-5)


def test_the_end_of_a_sentence_is_part_of_what_is_compared_unless_it_is_left_out() -> None:
    """What is cut off is likelier than what it was cut from, as long as nothing says that it ends there."""
    pair = [("asx", "aS")]  # 0.6 x 0.5 x 1 against 0.2 x 0.25; without an end 0.3 against 0.2
    assert toy().pairs(pair).differences == pytest.approx([math.log2(6)], rel=1e-5)
    assert toy().pairs(pair, end=False).differences == pytest.approx([math.log2(1.5)], rel=1e-5)
    shorter = [("Sx", "S")]
    assert toy().pairs(shorter).accuracy == 1 and toy().pairs(shorter, end=False).accuracy == 0


def test_a_document_ends_in_its_end_and_a_model_without_line_ends_in_nothing() -> None:
    after = {"": {"a": 1.0}, "a": {"b": 0.5, "": 0.5}, "b": {"": 0.25, "a": 0.75}}
    of_lines = markov(after, "ab", documents=True)
    assert of_lines.documents == "lines"
    assert of_lines.pairs([("a", "ab")]).differences == pytest.approx([2], rel=1e-5)  # 0.5 against 0.5 x 0.25
    without = markov({"": {"a": 1.0}, "a": {"b": 0.5, "a": 0.5}, "b": {"a": 1.0}}, "ab")
    assert without.pairs([("a", "ab")]).differences == pytest.approx([1], rel=1e-5)


def test_sentences_cost_what_a_slow_loop_says_and_no_batch_changes_it() -> None:
    network = make_model()
    model, random = model_of(network, "abc d"), np.random.default_rng(5)
    pairs = [tuple("".join(random.choice(list("abc d"), random.integers(1, 30))) for _ in "gb") for _ in range(20)]
    scores = model.pairs(pairs, batch_size=7)  # type: ignore[arg-type]
    for pair, good, bad in zip(pairs, scores.good, scores.bad, strict=True):
        for text, found in zip(pair, (good, bad), strict=True):
            assert found == pytest.approx(
                -one_at_a_time(network, model.tokenizer.encode(text).astype(np.uint32)).sum(), rel=1e-5
            )
    for batch_size in (1, 64):
        again = model.pairs(pairs, batch_size=batch_size)  # type: ignore[arg-type]
        assert again.good == pytest.approx(scores.good, rel=1e-6) and again.accuracy == scores.accuracy


def test_rounding_decides_no_pair() -> None:
    nats = np.array([-100.0, -100.0, -100.0])
    scores = PairScores([Pair("a", "b")] * 3, nats, nats - np.array([5e-5, -5e-5, 5e-4]))
    assert (scores.ties, scores.accuracy) == (2, 1 / 3)


# ---- intervals


def of_differences(bits: Sequence[float]) -> PairScores:
    nats = np.array(bits) * math.log(2)
    return PairScores([Pair("a", "b")] * len(bits), nats - 50, np.full(len(bits), -50.0))


@each("right, pairs", [(0, 5), (5, 5), (1, 2), (37, 50), (698, 1000), (1, 1)])
def test_the_interval_holds_the_shares_that_the_accuracy_is_no_surprise_for(right: int, pairs: int) -> None:
    """Its slow twin: walk to the share p at which what was found is 1.96 standard errors of p away."""
    low, high = of_differences([1.0] * right + [-1.0] * (pairs - right)).interval
    for bound, outward in ((low, -1), (high, 1)):
        share, step = right / pairs, 1e-4
        while 0 < (beyond := share + outward * step) < 1:
            if abs(right / pairs - beyond) > 1.96 * math.sqrt(beyond * (1 - beyond) / pairs):
                break
            share = beyond
        assert bound == pytest.approx(share, abs=3e-4)


def test_the_mean_differences_interval_is_that_of_samples_drawn_one_by_one() -> None:
    bits = np.random.default_rng(3).normal(0.4, 2.0, 300)
    random = np.random.default_rng(9)
    means = sorted(sum(random.choice(bits, len(bits))) / len(bits) for _ in range(2000))
    scores = of_differences(bits.tolist())
    assert scores.mean_difference_interval == pytest.approx((means[50], means[1949]), abs=0.03)
    assert scores.mean_difference_interval == of_differences(bits.tolist()).mean_difference_interval
    assert scores.mean_difference == pytest.approx(bits.mean())


# ---- files


def written(folder: Path, name: str, *lines: str) -> str:
    (folder / name).write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return str(folder / name)


def blimp(good: str, bad: str, uid: str, **more: object) -> str:
    """A line as BLiMP has them."""
    return json.dumps(
        {"sentence_good": good, "sentence_bad": bad, "field": "syntax", "linguistics_term": "agreement", "UID": uid,
         "simple_LM_method": True, "one_prefix_method": False, "lexically_identical": False, "pairID": "0", **more}
    )  # fmt: skip


def told(pairs: Sequence[Pair]) -> list[tuple[str, str, dict[str, str]]]:
    return [(pair.good, pair.bad, dict(pair.groups)) for pair in pairs]


def test_line_ends_in_sentences_of_json_are_read_as_those_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "pairs.jsonl"
    file.write_text('{"good": "a\\r\\nb", "bad": "a\\rb"}\n')
    (pair,) = read_pairs([str(file)])
    assert (pair.good, pair.bad) == ("a\nb", "a\nb")


def test_blimp_is_read_as_it_is_published(tmp_path: Path) -> None:
    file = written(tmp_path, "b.jsonl", blimp("Cats sleep.", "Cats sleeps.", "one"), "", blimp("A.", "B.", "two"))
    groups = {"field": "syntax", "linguistics_term": "agreement", "UID": "one"}
    first, second = read_pairs([file])
    assert (first.good, first.bad, first.groups, first.line) == ("Cats sleep.", "Cats sleeps.", groups, 1)
    assert (second.groups["UID"], second.place) == ("two", f"{file}, line 3")


@each(
    "lines, groups",
    [
        (["The cat\tThe cats"], {}),
        (["The cat\tThe cats\tnouns"], {"group": "nouns"}),
        (["bad\tgood", "The cats\tThe cat"], {}),
        (["ID\tGrammatical\tUngrammatical\tKind\tn_attr", "7\tThe cat\tThe cats\tnouns\t2"],
         {"kind": "nouns", "attractors": "2"}),
        (["test case\tgrammatical\tungrammatical", "prep_anim--sing\tThe cat\tThe cats"], {"test case": "prep_anim"}),
        (["prep_anim\tsing_MS\tThe cat\tThe cats"], {"case": "prep_anim", "type": "sing_MS"}),
        (["2\tThe cat\tThe ***mask***\tcat\tcats"], {"attractors": "2"}),
    ],
)  # fmt: skip
def test_tables_are_told_by_their_columns(tmp_path: Path, lines: list[str], groups: dict[str, str]) -> None:
    assert told(read_pairs([written(tmp_path, "t.tsv", *lines)])) == [("The cat", "The cats", groups)]


SHORT = ["3\tis\tare\t0", "1\tare\tis\t2"]
LONG = [
    "L!NOUN_VERB!Number=Sing\t3\t0\t3\tVERB\tNumber=Sing\tis\tare\tbe\t0\tNOUN\tthe",
    "R!ADJ_NOUN!Number=Plur\t4\t7\t1\tVERB\tNumber=Plur\tare\tis\tbe\t0\tNOUN\tthe",
]
SENTENCES = ["the cat there is old . <eos>", "They were here . <eos>"]
READ = [("the cat there is old .", "the cat there are old ."), ("They are here .", "They is here .")]


def test_agreement_sets_in_several_files_are_read_whichever_is_named(tmp_path: Path) -> None:
    gold = written(tmp_path, "g.gold", *SHORT)
    text, index = written(tmp_path, "g.text", *SENTENCES), written(tmp_path, "g.eval", "3", "1")
    found = read_pairs([text, gold, index])
    assert told(found) == [(*pair, {"attractors": n}) for pair, n in zip(READ, "02", strict=True)]
    assert found[1].place == f"{gold}, line 2"
    written(tmp_path, "g.gold", *LONG)
    groups = [{"pattern": "L__NOUN_VERB", "type": "original"}, {"pattern": "R__ADJ_NOUN", "type": "generated"}]
    assert told(read_pairs([text])) == [(*pair, group) for pair, group in zip(READ, groups, strict=True)]
    written(tmp_path, "g.tab", "pattern\tconstr_id\tsent_id\tform\tn_attr", "L__NOUN_VERB\t3\t0\tis\t0",
            "L__NOUN_VERB\t3\t0\tare\t0", "R__ADJ_NOUN\t4\t7\tare\t3")  # fmt: skip
    assert [pair.groups["attractors"] for pair in read_pairs([str(tmp_path / "g.tab")])] == ["0", "3"]


def test_pairs_without_groups_go_by_their_file_where_there_are_several(tmp_path: Path) -> None:
    one, two = written(tmp_path, "1.tsv", "a\tb"), written(tmp_path, "2.tsv", "c\td\tverbs")
    assert told(read_pairs([one, two])) == [("a", "b", {"file": one}), ("c", "d", {"file": two, "group": "verbs"})]
    assert told(read_pairs([one, one])) == [("a", "b", {})], "named twice is read once"


@each(
    "lines, complaint",
    [
        ([], "no pairs in it"),
        (["good\tbad"], "no pairs in it"),
        (["a\tb", "a"], "line 2, has 1 column where there are 2: good, bad"),
        (["one sentence"], "line 1, has 1 column: give good<TAB>bad"),
        (["a\t "], "line 1, has no bad: a sentence must stand there"),
        (["good\tbad\tkind", "a\tb"], "line 2, has 2 columns where there are 3: good, bad, kind"),
        (["0\tA b\tA b\tc\td"], "line 1, has no ***mask*** in its column `masked`"),
        (["sentence\torig_sentence\tverb\tverb_index", "a\ta\ta\t1"], "no wrong form of any"),
        ([blimp("a", "b", "u"), "{"], "line 2, is no JSON object"),
        ([blimp("a", "b", "u"), "[1]"], "line 2, is no JSON object"),
        (['{"sentence_good": "a"}'], "line 1, has no sentence_bad"),
        (['{"sentence_good": "a", "sentence_bad": 3}'], "line 1, has no sentence_bad: a sentence must stand there"),
        ([blimp("a", "b", "u", linguistics_term=["x"])], "line 1, has a group that is no text"),
    ],
)
def test_a_wrong_line_is_one_error_with_its_file_and_number(tmp_path: Path, lines: list[str], complaint: str) -> None:
    file = written(tmp_path, "wrong.txt", *lines)
    with pytest.raises(CorpusError) as raised:
        read_pairs([file])
    assert complaint in str(raised.value) and file in str(raised.value) and "\n" not in str(raised.value)


@each(
    "gold, complaint",
    [
        (["3\tis\tare\t0"], "has 1 lines and"),
        (["3\tis\tare\t0", "4\tare\tis\t2"], "line 2, gives the word's place as '4', in a sentence of 4 words"),
        (["x\tis\tare\t0", "1\tare\tis\t2"], "line 1, gives the word's place as 'x'"),
        (["3\tis\tare", "1\tare\tis\t2"], "line 1, has 3 columns, not 4 or at least 8"),
    ],
)
def test_a_wrong_line_of_an_agreement_set_too(tmp_path: Path, gold: list[str], complaint: str) -> None:
    written(tmp_path, "g.text", *SENTENCES)
    with pytest.raises(CorpusError) as raised:
        read_pairs([written(tmp_path, "g.gold", *gold)])
    assert complaint in str(raised.value)


def test_the_pairs_of_the_guide_are_read() -> None:
    pairs = read_pairs([str(Path(__file__).parents[1] / "docs/pairs/sentences.jsonl")])
    assert len(pairs) == 10 and all(set(pair.groups) == {"linguistics_term", "UID"} for pair in pairs)


# ---- Python


def test_what_is_no_pair_is_refused() -> None:
    for wrong in ([], [("a",)], [("a", 3)], [3], [("a", "b"), "file"]):
        with pytest.raises(ConfigError, match="`pairs`"):
            toy().pairs(wrong)  # type: ignore[arg-type]


def test_characters_that_the_vocabulary_lacks_are_refused_with_their_place(tmp_path: Path) -> None:
    file = written(tmp_path, "p.tsv", "as\taS", "as\taé", "aé\tas")
    with pytest.raises(VocabularyError) as raised:
        toy().pairs(file)
    assert f"no 'é' (in 2 of 3 pairs, the first in {file}, line 2)" in str(raised.value)
    scores = toy().pairs(Path(file), unknown=True)
    assert scores.oov == 2
    # ln V for the character; what follows it is predicted as a beginning is.
    ends = scores.bad[1] - (math.log(0.5) - math.log(len(SYMBOLS)))
    assert ends == pytest.approx(log_probabilities(toy().network, [toy().tokenizer.encode("\n")])[0], rel=1e-5)


# ---- the command


def test_the_command_tells_what_python_tells(charrnn: CommandLine, trained: Path, tmp_path: Path) -> None:
    first = written(tmp_path, "1.jsonl", blimp("The heron stands.", "The heron stand.", "b"), blimp("A.", "B.", "a"))
    second = written(tmp_path, "2.jsonl", blimp("They stand.", "They stands.", "b"))
    model = ["-m", "small", "--checkpoints", str(trained)]
    scores = load(trained / "small").pairs([first, second])
    done = charrnn("eval", *model, "--json", "--pairs", first, second)
    record = json.loads(done.out)
    assert {"accuracy", "pairs", "ties", "mean_difference", "interval", "by", "model", "text"} <= record.keys()
    assert record["pairs"] == 3 and record["accuracy"] == scores.accuracy and record["text"] == f"{first} and 1 more"
    assert list(record["by"]) == ["field", "linguistics_term", "UID"] and list(record["by"]["UID"]) == ["a", "b"]
    assert record["by"]["UID"]["b"]["pairs"] == 2 and len(record["by"]["UID"]["b"]["interval"]) == 2
    assert charrnn("eval", *model, "-q", "--pairs", first, "--pairs", second).out == f"{scores.accuracy!r}\n"
    rows = [line.split("\t") for line in charrnn("eval", *model, "--pairs", first, second).out.splitlines()]
    assert [row[1:4] for row in rows[1:3]] == [["all", "all", "3"], ["field", "syntax", "3"]]
    assert {len(row) for row in rows} == {9} and float(rows[1][4]) == scores.accuracy
    odd = written(tmp_path, "odd.jsonl", blimp("A.", "B.", "a\tb\n"))
    assert r"a\tb\n" in charrnn("eval", *model, "--pairs", odd).out.splitlines()[-1].split("\t")
    ends = charrnn("eval", *model, "--json", "--no-end", "--pairs", first, second)
    assert (
        json.loads(ends.out)["mean_difference"]
        == load(trained / "small").pairs([first, second], end=False).mean_difference
    )


def test_the_accuracy_is_the_figure_of_the_gates(charrnn: CommandLine, trained: Path, tmp_path: Path) -> None:
    same = written(tmp_path, "same.tsv", "The heron\tThe heron")
    model = ["eval", "-q", "-m", "small", "--checkpoints", str(trained)]
    assert charrnn(*model, "--fail-below", "0", "--pairs", same).code == 0
    assert charrnn(*model, "--fail-below", "0.5", "--pairs", same).code == 3
    assert "accuracy" in charrnn("eval", *model[2:], "--fail-below", "0.5", "--pairs", same).err
    assert charrnn(*model, "--pairs", same, "--metric", "bpc").code == 2
    assert charrnn(*model, "--no-end").code == 2
    lacking = charrnn(*model, "--pairs", written(tmp_path, "x.tsv", "日\t本"))
    assert lacking.code == 1 and "--unk" in lacking.err and "x.tsv, line 1" in lacking.err
    assert charrnn(*model, "--unk", "--pairs", "x.tsv").code == 0
    assert charrnn(*model, "--pairs", "nowhere.tsv").code == 1


def test_a_table_for_people_fits_into_80_columns(
    charrnn: CommandLine, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [
        "coordinate_structure_constraint_complex_left_branch_1",
        "coordinate_structure_constraint_complex_left_branch_2",
    ]
    file = written(tmp_path, "b.jsonl", *(blimp("They stand.", "They stands.", name) for name in names))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setattr(os, "get_terminal_size", lambda *_: os.terminal_size((80, 24)))
    out = charrnn("eval", "-m", "small", "--checkpoints", str(trained), "--pairs", file).out
    lines = out.splitlines()
    assert max(map(len, lines)) <= 80 and "all" in lines[1] and "UID" in lines
    assert "branch_1" in out and "branch_2" in out and "…" in out
