"""Regular expressions, against what Python's `re` matches: every text of a small alphabet."""

import itertools
import re
import warnings
from functools import cache

import pytest

from charrnn.errors import ConfigError
from charrnn.generation.constraints import automaton as module
from charrnn.generation.constraints.automaton import NEVER, Automaton, automaton_of, distances
from charrnn.generation.constraints.utf8 import alphabet_of

from .cases import each

LETTERS = "abA\n"
TEXTS = ["".join(text) for n in range(7) for text in itertools.product(LETTERS, repeat=n)]
SIGNS = "a_ 7.é"
SHORT = ["".join(text) for n in range(5) for text in itertools.product(SIGNS, repeat=n)]

PATTERNS = [
    "", "a", "ab", "a|b", "a*", "a+b?", "a??b*?a+?", "(a|b)*", "(a|)(b|)", "(?:ab){2}", "(?:ab|a){1,3}", "a{0}b",
    "a{,2}",
    "(?:a{1,2}b){1,2}", "(?:a*b)*", "(?:a?b?){2,4}", "((a|b){1,2}\\n){1,2}", "(?:(?:a|b){2}|A){2,}",
    # characters
    ".", ".*", "(?s).*", "(?s:.)a.", "[^a]+", "[ab]+", "[^\\n]{2,3}", "[a-b]A?", r"\w+", r"\W", r"\s+a", r"\S{2}\D",
    # flags
    "(?i)ab+", "(?i)[a]+", "(?i:a)b", "(?i:[^a])+", "(?-i:a)(?i:A)", "(?i:[A-Z])+", "(?x) a  b # and no more",
    "(?a:\\w)+",
    # ends
    "a$", "a$\\n", "a\\n$", "^a|^b", r"\Aab\Z", "(a|$)b*", "(?m)(?:a$\\n?)+", "(?m:a$).*(?s:.)*", "(?:(?:a|b$)*\\n)*",
    r"a\Z|b$",
    # look-ahead
    "(?=.*b)a.*", "(?!aa)(?!.*b).+", "(?:(?!b).)*", "(?:(?!ab).)*", "(?:(?!b).){1,3}b?", "(?:a|b(?=a))*",
    "(?:(?=a|b)[ab\\n])*",
    "(?:(?=(?:ab)*A).|a|b)*", "(?:(?:(?!ab)[ab]){2}A)*", "(?=a(?!b))[abA]{2,}", "(?!)", "a(?!)|b", "(?=^a).b",
    "(?!(?!a)).*",
    "(?=.*a)(?=.*b)(?=.*A)(?!.*\\n).{3,5}", "(?:a(?=b)|b(?!b))*a?", "(?:(?=a)|b)(?:a|b)", "(?:(?!a$).)+",
    "(?=(?s:.){4}$)(?:a|b)*",
    "(?:(?:(?!bb)[ab])+\\n)+(?!a)", "(?=[ab]+(?P<x>A))(?:ab?A?){2}",
    # what stands before
    r".*\bab\b.*", r"\b", r"\B", r"\B.*", r"a\Bb|a\bb", r"(?:\b[ab]+\b\n?)+", r"(?:a|\n)*\bA{0,2}\b(?s:.)?",
    r"(?:a\B)*b?\b", "a^b", "(?m)(?:^a.?$\n?)+", "(?m)(?s:.)*^b", r"a*\Ab", "(?:^a|b)*", "(?=^a|^b)..",
    r"(?!.*\bb)[ab\n]*", r"(?:\b.){2,4}",
    r"(?:(?!\bA)(?s:.))*b", r"(?a:\b)a(?:\B|\b)b*",
    # and further back
    ".*(?<=a)b", ".*(?<!a)b", "(?:a|b(?<=ab))*", "(?:(?<!ab)[abA])*", "(?<!a)b*", "(?<=a)b*", "[ab]*(?<=ab|ba)A",
    "(?:a|b)*(?<=a.b)(?!a).*", "(?:(?<!a)a|(?<=a)b|(?<!b)A){2,4}", "(?:(?<=(?i:a))b|a|A)*", "(?s)(?i:.(?<=a))+.",
    "(?=a(?<=a)b).+(?<!b)", "[ab]{3}(?<=a[ab])A?", "(?:a(?<!aa)|b(?<=abb|bab))+", "(?s:.)*(?<=\n)b.*",
    "(?:ab)+(?<=(?:ab){2})A",
    # where a text or a line begins, and what stands before what stands before
    "(?:a|b(?<!^b))*", r".*(?<=\Aa)b.*", "(?m)(?:[ab\n](?<=^.))+", "(?:.(?<=(?<!a)[ab])A?)*", r"(?:(?<!(?<!\A)a)[ab])+",
    r".*(?<=\bab)b*\n?", r"(?:[ab\n](?<!\n\Ba)(?<!\b\Bb))+", r"(?:[ab\n](?<!a\bb)(?<!a\b\n))+",
    "(?<=(?<=^)a)b|a(?<=(?<=^)a)b", "(?<!^)a|b", "(?s)(?:.(?<=(?<=b)a|(?<!b)b)){3}", r"\b.*(?<=a)\b\n?(?<!\n)\Bb?",
    "(?<=)a(?<!)",
]  # fmt: skip


@cache
def classes_of(automaton: Automaton) -> dict[str, int]:
    return dict(zip(automaton.alphabet, automaton.classes.tolist(), strict=True))


def accepts(automaton: Automaton, text: str) -> bool:
    state, classes = 0, classes_of(automaton)
    for character in text:
        state = automaton.table[state, classes[character]]
    return bool(automaton.accepting[state])


@each("pattern", PATTERNS)
def test_it_is_what_python_matches(pattern: str) -> None:
    matches = re.compile(pattern).fullmatch
    automaton = automaton_of((pattern,), 0, LETTERS)
    assert [text for text in TEXTS if accepts(automaton, text) != bool(matches(text))] == []


@each(
    "pattern",
    [r"\w+", r"(?a)\w+", r"\d[^\d]", r"[\w.]+ \W?", r"(?i)É+", r"[\s\S]", "[^7-]+", "(?ai:É|A)+", r"[\d_-]*", "a||b"],
)
def test_signs_are_what_python_takes_them_for(pattern: str) -> None:
    automaton = automaton_of((pattern,), 0, SIGNS)
    assert [text for text in SHORT if accepts(automaton, text) != bool(re.fullmatch(pattern, text))] == []


@each("pattern", [r"\w", r"(?a)\W", "(?i)[à-þ]", "(?s).", r"\s|[^\0-\U000e0000]", "k|(?i:s)"])
def test_classes_of_all_characters_are_what_python_takes_them_for(pattern: str) -> None:
    alphabet = alphabet_of(bytes([byte]) for byte in range(256))
    automaton = automaton_of((pattern,), 0, alphabet)
    matches, accepted = re.compile(pattern).fullmatch, automaton.accepting[automaton.table[0, automaton.classes]]
    some = {*range(0x3000), *range(0, len(alphabet), 97)}
    assert [alphabet[at] for at in some if accepted[at] != bool(matches(alphabet[at]))] == []
    assert len(automaton.table[0]) < 20


def test_several_patterns_a_least_length_and_a_prompt() -> None:
    patterns = ("(?:a|b)*", ".*ab.*")
    automaton = automaton_of(patterns, 3, "ab", "bXa"[::2])
    for text in ("".join(letters) for n in range(7) for letters in itertools.product("ab", repeat=n)):
        wanted = len(text) >= 3 and all(re.fullmatch(one, "ba" + text) for one in patterns)
        assert accepts(automaton, text) == wanted, text
    # What stands before may be the prompt's.
    for pattern in (".*(?<=ba)b*", "(?:(?<!ba)b|a)*", r".*(?<=\Ab.)[ab]"):
        automaton = automaton_of((pattern,), 0, "ab", "ba")
        for text in (text for text in TEXTS if {*text} <= {*"ab"}):
            assert accepts(automaton, text) == bool(re.fullmatch(pattern, "ba" + text)), (pattern, text)
    # What the model cannot write may stand in the prompt.
    assert accepts(automaton_of(("é.",), 0, "ab", "é"), "a")
    assert automaton_of(("é.",), 0, "ab", "é").alphabet == "ab"


@each("pattern", ["(?:a|b)*abb", "a{3}|b", "(?=.*b.*b)[ab]{4,}", "(?:(?!ab).)*b"])
def test_the_distance_is_that_of_the_shortest_text(pattern: str) -> None:
    automaton = automaton_of((pattern,), 0, "ab")
    texts = [text for text in TEXTS if set(text) <= {"a", "b"}]
    for begun in (text for text in texts if len(text) < 3):
        state = 0
        for character in begun:
            state = automaton.table[state, classes_of(automaton)[character]]
        lengths = [len(text) - len(begun) for text in texts if text.startswith(begun) and re.fullmatch(pattern, text)]
        assert automaton.distance[state] == min(lengths, default=NEVER), begun
    assert automaton.distance[automaton.dead] == NEVER
    assert distances(automaton.table, automaton.accepting).tolist() == automaton.distance.tolist()


@each(
    "pattern, fault",
    [
        ("(a", "is no regular expression: missing )"),
        ("a{2,1}", "is no regular expression: min repeat greater than max repeat"),
        ("*", "is no regular expression: nothing to repeat"),
        (r"(a)\1", r"`match` '(a)\1': a back-reference cannot be kept to"),
        ("(?P<x>a)(?P=x)", "a back-reference cannot"),
        ("(a)?(?(1)b|c)", "a back-reference cannot"),
        ("(?<=a+)b", "is no regular expression: look-behind requires fixed-width pattern"),
        ("a(?<=a(?=b))b", "look-behind that looks ahead of where it ends cannot"),
        (r"(?<!a\b)b", "look-behind that looks ahead of where it ends cannot"),
        ("(?<=a$)b", "look-behind that looks ahead of where it ends cannot"),
        (".*(?<=a.{10})b", "look-behind that tells more than 1,000 beginnings apart cannot"),
        ("(?>a|ab)c", "an atomic group cannot"),
        ("a*+a", "a possessive repeat cannot"),
        ("(?:(?!b)a){1,10001}", "more than 10,000 rounds of what looks around itself cannot"),
        ("(?:a?(?!b))*", "an endless repeat of what may be empty and looks around itself cannot"),
        ("(?:" * 600 + "a" + ")?" * 600, "nested too deeply"),
    ],
)
def test_what_no_automaton_does_is_refused(pattern: str, fault: str) -> None:
    with pytest.raises(ConfigError) as told:
        automaton_of((pattern,), 0, "ab")
    assert fault in str(told.value) and "\n" not in str(told.value)


def test_states_are_few_and_too_many_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    letters = "abcdefghijklmnopqrstuvwxyz \n"
    for pattern, states in ((r"([^\n]{20,60}\n){14}", 857), (r"[^\n]{1,1000}", 1003), (r"(?:(?!e).)+", 4)):
        assert len(automaton_of((pattern,), 0, letters).table) == states
    monkeypatch.setattr(module, "MOST_STATES", 1000)
    with pytest.raises(ConfigError, match=r"`match` is too complicated: .* more than 1,000 states"):
        automaton_of((".*a.{10}",), 0, letters)


def test_a_pattern_that_may_change_its_meaning_is_read_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert accepts(automaton_of(("[[a]b",), 0, "ab["), "[b")
