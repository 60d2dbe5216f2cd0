"""Languages and their derivatives, against sets of texts written out."""

import gc
import itertools
from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.generation.constraints import languages
from charrnn.generation.constraints.languages import (
    EMPTY,
    EVERYTHING,
    NOTHING,
    Language,
    both,
    derivative,
    either,
    one_of,
    other_than,
    recursive,
    repeated,
    then,
)

SYMBOLS, LONGEST = 3, 4
TEXTS = [text for n in range(LONGEST + 1) for text in itertools.product(range(SYMBOLS), repeat=n)]
Text = tuple[int, ...]
# A language and, of all texts no longer than the longest, those that are in it, found without derivatives.
Known = tuple[Language, frozenset[Text]]


def texts_of(language: Language) -> Iterator[Text]:
    """What derivatives say is in it."""
    for text in TEXTS:
        left = language
        for symbol in text:
            left = derivative(left, symbol)
        if left.holds_empty:
            yield text


def sequence(one: frozenset[Text], other: frozenset[Text]) -> frozenset[Text]:
    return frozenset(a + b for a in one for b in other if len(a + b) <= LONGEST)


def powers(one: frozenset[Text], least: int, most: int | None) -> frozenset[Text]:
    """Beyond so many rounds as the longest text has symbols, none is new; of those before, an empty text fills up."""
    power: frozenset[Text] = frozenset([()])
    found: set[Text] = set()
    for number in range((least + LONGEST if most is None else most) + 1):
        if number >= least:
            found |= power
        power = sequence(power, one)
    return frozenset(found)


def bounds(pair: tuple[int, int | None]) -> bool:
    return pair[1] is None or pair[0] <= pair[1]


leaves = st.one_of(
    st.sampled_from([(NOTHING, frozenset()), (EMPTY, frozenset([()])), (EVERYTHING, frozenset(TEXTS))]),
    st.integers(0, 2**SYMBOLS - 1).map(
        lambda symbols: (one_of(symbols), frozenset((one,) for one in range(SYMBOLS) if symbols >> one & 1))
    ),
)


def larger(inner: st.SearchStrategy[Known]) -> st.SearchStrategy[Known]:
    counts = st.tuples(st.integers(0, 3), st.none() | st.integers(0, 3)).filter(bounds)
    return st.one_of(
        st.tuples(inner, inner).map(lambda two: (then(two[0][0], two[1][0]), sequence(two[0][1], two[1][1]))),
        st.tuples(inner, inner).map(lambda two: (either(two[0][0], two[1][0]), two[0][1] | two[1][1])),
        st.tuples(inner, inner).map(lambda two: (both(two[0][0], two[1][0]), two[0][1] & two[1][1])),
        inner.map(lambda one: (other_than(one[0]), frozenset(TEXTS) - one[1])),
        st.tuples(inner, counts).map(lambda one: (repeated(one[0][0], *one[1]), powers(one[0][1], *one[1]))),
    )


@settings(deadline=None, max_examples=150)
@given(known=st.recursive(leaves, larger, max_leaves=6))
def test_derivatives_find_the_texts_of_a_language(known: Known) -> None:
    language, texts = known
    assert set(texts_of(language)) == texts


def test_equal_expressions_are_one() -> None:
    a, b, c = (one_of(1 << symbol) for symbol in range(3))
    assert then(then(a, b), c) is then(a, then(b, c))
    assert either(a, then(b, c), a) is either(then(b, c), a) and either(a, b) is one_of(3)
    assert both(then(a, c), EVERYTHING, repeated(a, 0, None)) is both(repeated(a, 0, None), then(a, c))
    assert other_than(other_than(a)) is a and then(a, NOTHING) is NOTHING and repeated(a, 1, 1) is a
    assert either(then(a, b), both(then(a, b), repeated(a, 2, 3))) is then(a, b)
    assert both(then(a, b), either(then(a, b), repeated(a, 2, 3))) is then(a, b)


def test_a_recursive_language_is_what_it_says() -> None:
    # (ab)* c, each round before all that follows.
    a, b, c = (one_of(1 << symbol) for symbol in range(3))
    (language,) = recursive(lambda again: (either(c, then(a, then(b, again[0]))),), [False])
    assert set(texts_of(language)) == {(2,), (0, 1, 2)}
    # Texts of a and b in which no a follows an a, and those that may stand behind one.
    free, behind = recursive(
        lambda again: (either(EMPTY, then(a, again[1]), then(b, again[0])), either(EMPTY, then(b, again[0]))),
        [True] * 2,
    )
    some = {text for text in TEXTS if set(text) <= {0, 1} and (0, 0) not in itertools.pairwise(text)}
    assert set(texts_of(free)) == some and set(texts_of(behind)) == {text for text in some if text[:1] != (0,)}


def test_what_nobody_holds_is_forgotten() -> None:
    gc.collect()
    before = len(languages._made)
    language = then(repeated(one_of(5), 17, 19), one_of(2))
    list(texts_of(language))
    assert len(languages._made) > before
    del language
    gc.collect()
    assert len(languages._made) == before
