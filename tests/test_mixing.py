"""Context mixing: to the bit what a slow twin gives, a distribution at every place, nothing learned before its time."""

from itertools import pairwise
from types import SimpleNamespace
from typing import cast

import numpy as np
import numpy.typing as npt
import pytest

from charrnn.inference.mixing import Decoder, Encoder, Mixer, tables
from charrnn.inference.mixing.tree import tree
from charrnn.text.letters import Spelling
from charrnn.text.tokenizers import Tokenizer
from tests.mixing_twin import Twin

TEXT = (
    "FIRST:\nSo it was, and so it is.\nAnd so it was again, and so it was again, and so.\n\nSecond:\nWhat was it?\n\n"
    "FIRST:\nSo it was, and so it is.\nAnd what? So it was again, and so it was again\n"
)
ALPHABET = sorted(set(TEXT))
LETTERS = np.array(
    [ALPHABET.index(one.lower()) if one.lower() in ALPHABET and one.isalpha() else -1 for one in ALPHABET]
)
SYMBOLS, SPELLING = len(ALPHABET), Spelling(LETTERS, ALPHABET.index("\n"))
TOKENS = np.array([ALPHABET.index(one) for one in TEXT], np.uint8)


pytestmark = pytest.mark.usefixtures("compiled_library")


def a_mixer(most: int = 1 << 20) -> Mixer:
    return Mixer(TOKENS, SYMBOLS, SPELLING, most)


def begins(*places: int, size: int = TOKENS.size) -> npt.NDArray[np.bool_]:
    return np.isin(np.arange(size), places)


def shares(count: int, seed: int = 0) -> npt.NDArray[np.uint32]:
    """As of a network that now and then is sure."""
    random = np.random.default_rng(seed)
    p = random.dirichlet(np.full(SYMBOLS, 0.1), count)
    return (p * 2**24).astype(np.uint32) + np.uint32(1)


OPENS = Spelling(LETTERS, SPELLING.newline, np.equal(LETTERS, ALPHABET.index("s")), np.arange(SYMBOLS)[::-1])


@pytest.mark.parametrize("spelling", [SPELLING, OPENS], ids=["letters", "pieces"])
def test_compiled_and_slow_say_the_same_to_the_bit(spelling: Spelling, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second half with a network; an unknown character and a document's beginning in it."""
    tokens, network = np.concatenate([TOKENS, TOKENS[40:]]), shares(TOKENS.size - 40)
    tokens[TOKENS.size + 30] = SYMBOLS + 1
    starts = begins(0, 100, TOKENS.size, TOKENS.size + 60, size=tokens.size)
    monkeypatch.setattr("charrnn.inference.mixing.mixer.LATELY", 6)
    mixer = Mixer(TOKENS, SYMBOLS, spelling, 1 << 20)
    half = TOKENS.size
    found = [*mixer.read(tokens[:half], starts[:half]), *mixer.read(tokens[half:], starts[half:], network)]
    twin = Twin(tree(TOKENS, SYMBOLS, spelling.order), SYMBOLS, spelling, 6)
    expected = [
        twin.read(int(token), bool(start), network[place - half].tolist() if place >= half else None)
        for place, (token, start) in enumerate(zip(tokens, starts, strict=True))
    ]
    np.testing.assert_array_equal(found, expected)
    assert np.mean(found) > 3 / SYMBOLS


def test_probabilities_of_the_whole_alphabet_sum_to_one_everywhere() -> None:
    """Each symbol's in the place of the one that came, by as many mixers that have read the same."""
    network = shares(TOKENS.size)
    for place in (1, TOKENS.size - 1):
        total = 0.0
        for symbol in range(SYMBOLS):
            tokens = np.append(TOKENS[:place], symbol).astype(np.uint8)
            mixer = a_mixer(3 * TOKENS.size)
            mixer.read(TOKENS, begins(0))
            total += mixer.read(tokens, begins(0, size=tokens.size), network[: tokens.size])[-1]
        assert total == pytest.approx(1, abs=1e-12)


def test_nothing_is_learned_before_it_is_scored() -> None:
    """Whatever comes after a place, and however the text is cut, what stands before it costs the same."""
    network = shares(TOKENS.size)
    whole = a_mixer().read(TOKENS, begins(0), network)
    other = np.append(TOKENS[:-1], (TOKENS[-1] + 1) % SYMBOLS).astype(np.uint8)
    changed = a_mixer().read(other, begins(0), network)
    np.testing.assert_array_equal(changed[:-1], whole[:-1])
    assert changed[-1] != whole[-1]
    mixer, borders = a_mixer(), [0, 1, 50, 51, TOKENS.size]
    pieces = [mixer.read(TOKENS[i:j], begins(0)[i:j], network[i:j]) for i, j in pairwise(borders)]
    np.testing.assert_array_equal(np.concatenate(pieces), whole)


def test_the_coder_writes_what_reading_costs_and_finds_it_again() -> None:
    """Its bits are those of `Mixer.read`, its bytes little more; from zeros, and from others, some text comes."""
    network, starts = shares(TOKENS.size), begins(0, 100)
    encoder = Encoder(a_mixer())
    for place, token in enumerate(TOKENS.tolist()):
        encoder.write(token, bool(starts[place]), network[place])
    data, cost = encoder.finish(), -np.log2(a_mixer().read(TOKENS, starts, network))
    assert encoder.bits == pytest.approx(cost.sum(), rel=1e-12)
    assert cost.sum() / 8 <= len(data) <= cost.sum() / 8 * 1.001 + 5

    decoder = Decoder(a_mixer(), data)
    assert [decoder.read(bool(start), row) for start, row in zip(starts, network, strict=True)] == TOKENS.tolist()
    other = Decoder(a_mixer(), b"")
    assert all(0 <= other.read(False, row) < SYMBOLS for row in network)


def test_small_tables_lose_but_do_not_err() -> None:
    """Of twenty times what they were made for: what their size forgets costs something, and room is made for more."""
    text = np.tile(TOKENS, 20)
    starts = begins(0, size=text.size)
    small, large = (Mixer(TOKENS, SYMBOLS, SPELLING, size) for size in (TOKENS.size // 8, text.size))
    cost, least = (-np.log(mixer.read(text, starts)).mean() for mixer in (small, large))
    assert least < cost < 3 * least and np.isfinite(cost)


@pytest.mark.parametrize("symbols", [1, 2, 300])
def test_alphabets_of_any_size(symbols: int) -> None:
    tokens = (np.arange(600) % symbols).astype(np.uint16)
    mixer = Mixer(tokens, symbols, Spelling(np.full(symbols, -1), None), 1200)
    likely = mixer.read(tokens, begins(0, size=600))
    assert (likely > 0).all() and (likely <= 1).all() and likely[-50:].mean() > 0.5
    assert symbols > 1 or (likely == 1).all()


def test_tables_are_the_same_on_any_machine() -> None:
    """No entry stands so near to a half that another exponential would round it otherwise."""
    p = (np.arange(4096) + 0.5) / 4096
    x = np.arange(-tables.ODDS, tables.ODDS + 1) / 256
    for exact in (256 * np.log(p / (1 - p)), 65536 / (1 + np.exp(-x)), 256 * np.log(np.arange(4096, 8193))):
        assert (np.abs(exact % 1 - 0.5) > 1e-6).all()


def test_histories_lead_where_counting_leads() -> None:
    order, following = tables.histories()
    assert len(order) <= 256 and order[0] == (0, 0, "")
    for number, (zeros, ones, last) in enumerate(order):
        for bit in (0, 1):
            after = order[following[number, bit]]
            assert after[2][-1] == str(bit) and after[bit] >= 1
            if zeros + ones < tables.WHOLE:
                assert after == (zeros + (not bit), ones + bit, last + str(bit))
            else:
                assert after[bit] <= (zeros, ones)[bit] + 1 and after[1 - bit] <= (zeros, ones)[1 - bit]


def test_a_tree_halves_what_came_and_keeps_the_order() -> None:
    tokens = np.repeat([0, 1, 2, 3, 4], [40, 8, 8, 8, 16])
    assert tree(tokens, 5).tolist() == [[~0, 1], [2, 3], [~1, ~2], [~3, ~4]]
    assert tree(tokens[:0], 1).shape == (0, 2)
    assert tree(tokens, 5, np.array([3, 2, 1, 0])).tolist() == [[1, 3], [~3, 2], [~2, ~1], [~0, ~4]]


def test_pieces_spell_words_and_stand_in_the_order_of_what_they_stand_for() -> None:
    pieces = [b"\x80", b" ", b"\n", b"there", b" the", b" The", b"re", b".", b"'s", b" of", b"OF", "é".encode()]
    spelling = Spelling.of(cast(Tokenizer, SimpleNamespace(to_size=True, pieces=pieces)))
    assert spelling.letters.tolist() == [0, -1, -1, 3, 4, 4, 6, -1, 8, 9, 10, 11] and spelling.newline == 2
    assert spelling.opens is not None and np.flatnonzero(spelling.opens).tolist() == [4, 5, 9]
    assert spelling.order is not None and [pieces[one] for one in spelling.order[:5]] == [
        b"\n", b" ", b" The", b" of", b" the",
    ]  # fmt: skip
