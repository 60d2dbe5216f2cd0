"""The benchmarks of grammar, names and others' tables: what they are made of is right, what they lack is one line."""

import math
import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

Module = Callable[[str], Any]


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Module:
    monkeypatch.syspath_prepend(Path(__file__).parent.parent / "benchmarks")
    return import_module


def numbers(sentence: str, nouns: tuple[str, ...]) -> tuple[str, list[bool], str]:
    """Read back by pattern alone: the subject, which of the nouns are plural, the verb."""
    found = re.findall(rf"\bthe ({'|'.join(nouns)})(s?)\b", sentence)
    verb = re.findall(r"([a-z]+) (?:again|at night|here|no more)\.$", sentence)[0]
    return found[0][0], [bool(plural) for _, plural in found], verb


def test_made_pairs_differ_in_the_verb_whose_subject_the_attractors_contradict(module: Module) -> None:
    made = module("sentences")
    couples = set()
    for sentence in made.text(2000, seed=3):
        subject, plural, verb = numbers(sentence, made.NOUNS)
        assert verb.endswith("s") != plural[0] and len(plural) <= 1 + made.FARTHEST
        couples.add((subject, verb.removesuffix("s")))
    pairs = list(made.pairs(40, seed=3))
    assert [pair.groups["attractors"] for pair in pairs] == [
        str(n) for n in range(made.FARTHEST + 1) for _ in range(40)
    ]
    for pair in pairs:
        subject, plural, verb = numbers(pair.good, made.NOUNS)
        assert verb.endswith("s") != plural[0] and numbers(pair.bad, made.NOUNS)[2].endswith("s") == plural[0]
        assert plural[1:] == [not plural[0]] * int(pair.groups["attractors"])
        assert (subject, verb.removesuffix("s")) not in couples
    assert sum(numbers(pair.good, made.NOUNS)[1][0] for pair in pairs) == len(pairs) / 2
    assert made.text(50, seed=3) != made.text(50, seed=4) and made.text(50, seed=3) == made.text(50, seed=3)


def test_the_ngram_knows_words_that_came_twice_and_ties_on_all_others(module: Module) -> None:
    ngrams, pairs = module("ngrams"), module("charrnn.text.pairs")
    text = [
        "the owl sleeps.",
        "the owls sleep.",
        "the hen sleeps.",
        "the hens sleep.",
        "the owl sings.",
        "the owls sing.",
    ]
    model = ngrams.WordGrams(text * 2)
    scores = model.pairs(
        [pairs.Pair("the hen sleeps.", "the hen sleep."), pairs.Pair("the cat wakes.", "the cat wake.")]
    )
    assert scores.right.tolist() == [True, False] and scores.ties == 1
    # A sentence is worth the same whatever stands beside it, and all that may follow a beginning adds up to one.
    both = model.log_p(["the hen sings.", "owls"])
    assert both.tolist() == [*model.log_p(["the hen sings."]), *model.log_p(["owls"])]
    ids = np.arange(model._end + 1)
    after_the = [model.model.nll(np.array([model.ids["the"], each]), np.zeros(1, np.int64))[1] for each in ids]
    assert math.fsum(np.exp(-np.array(after_the))) == pytest.approx(1)


def test_accuracy_has_the_error_of_pairs_and_of_seeds(module: Module) -> None:
    grammar = module("grammar")
    right = [[True, True, False, True], [True, False, False, True]]
    scores = [SimpleNamespace(right=np.array(each)) for each in right]
    # By hand: means of pairs 1, 1/2, 0, 1 and of seeds 3/4, 1/2.
    pairs, seeds = ((0.375**2) * 2 + 0.125**2 + 0.625**2) / 4 / 4, 0.125**2 * 2 / 1 / 2
    assert grammar.accuracy(scores) == (0.625, pytest.approx(math.sqrt(pairs + seeds)))
    assert grammar.accuracy(scores[:1]) == (0.75, pytest.approx(math.sqrt(0.75 * 0.25 / 4)))


def test_names_are_parted_once_and_spaced_symbols_joined(module: Module) -> None:
    names, peers = module("names"), module("peers")
    given = [f"name{number}" for number in range(250)]
    learned, tested = names.parted(given)
    assert len(tested) == 25 and sorted(learned + tested) == sorted(given) and names.parted(given) == (learned, tested)
    assert peers.joined("t h e _ < u n k > \n i t _ i s\n") == "the <unk>\nit is\n"


@pytest.mark.parametrize(
    "line",
    ["grammar", "grammar --made text.txt", "grammar text.txt", "grammar none.txt pairs.tsv", "names none.txt", "peers",
     "peers --nanogpt .", "peers --shakespeare none.txt", "peers --ptb none"],
)  # fmt: skip
def test_what_is_lacking_is_one_line(
    module: Module, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, line: str
) -> None:
    monkeypatch.chdir(tmp_path)
    name, *given = line.split()
    monkeypatch.setattr("sys.argv", [name, *given])
    with pytest.raises(SystemExit) as ended:
        module(name).main()
    assert isinstance(ended.value.code, str) and "\n" not in ended.value.code and len(ended.value.code) < 160
