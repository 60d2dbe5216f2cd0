"""Patterns walked byte by byte, against what decoding and Python's `re` say of every beginning."""

import itertools
import random
import re

import numpy as np

from charrnn.generation.constraints.automaton import automaton_of
from charrnn.generation.constraints.utf8 import Tree, alphabet_of, beyond_ascii, tree_of
from charrnn.generation.constraints.walk import Walk

from .cases import each

# One, two, three and four bytes; some begin alike.
TOY, LONGEST = "aéè€₭😀", 4
BYTES = [bytes([byte]) for byte in range(256)]


def reached(tree: Tree, encoded: bytes) -> tuple[list[int], int]:
    """The classes of the characters that some bytes complete, and the node behind them."""
    node, classes = 0, []
    for byte in encoded:
        if tree.classes[node, byte] < tree.ahead.shape[1]:
            classes.append(int(tree.classes[node, byte]))
        node = int(tree.nodes[node, byte])
    return classes, node


def test_a_tree_holds_the_characters_of_its_alphabet_and_no_other_bytes() -> None:
    alphabet, classes = TOY + "\ud83d", [0, 1, 2, 1, 2, 2, 3]
    tree = tree_of(alphabet, np.array(classes, np.int32), 4)
    encodings = {one.encode("utf-8", "surrogatepass"): number for one, number in zip(alphabet, classes, strict=True)}
    begun = {encoded[:n] for encoded in encodings for n in range(len(encoded) + 1)}
    tails: dict[int, dict[bytes, int]] = {}
    for some, byte in itertools.product(sorted(begun - {*encodings}), BYTES):
        found, node = reached(tree, some + byte)
        assert found == ([encodings[some + byte]] if some + byte in encodings else [])
        if node == 0:
            assert some + byte in encodings
        elif some + byte in begun:
            after = {one[len(some) + 1 :]: its for one, its in encodings.items() if one.startswith(some + byte)}
            assert np.flatnonzero(tree.ahead[node]).tolist() == sorted({*after.values()})
            # What goes on alike is one node.
            assert tails.setdefault(node, after) == after
        else:
            assert node == len(tree.nodes) - 1 and not tree.ahead[node].any()
    assert len(tails) == len({tuple(sorted(after.items())) for after in tails.values()}) == len(tree.nodes) - 2
    assert {*tree.nodes[-1].tolist()} == {len(tree.nodes) - 1}


def test_of_all_characters_a_tree_holds_what_can_be_decoded() -> None:
    alphabet = alphabet_of(BYTES)
    assert len(alphabet) == len({*alphabet}) == 0x110000 - 0x800 and alphabet[:128] == "".join(map(chr, range(128)))
    tree = tree_of(alphabet, np.arange(len(alphabet), dtype=np.int32) % 3, 3)
    rng = random.Random(1)
    some = [bytes(two) for two in itertools.product(range(0x70, 0x100), repeat=2)]
    leads = [0xE0, 0xE1, 0xED, 0xEF, 0xF0, 0xF3, 0xF4, 0xF5]
    some += [bytes([lead, *rng.choices(range(0x7E, 0xC2), k=rng.choice([2, 3]))]) for lead in leads * 1000]
    for encoded in some:
        found, node = reached(tree, encoded)
        try:
            text = encoded.decode()
        except UnicodeDecodeError:
            assert node > 0, encoded
        else:
            assert node == 0 and found == [alphabet.index(one) % 3 for one in text], encoded


def test_what_can_be_written_one_by_one() -> None:
    assert alphabet_of([b"a", "é".encode(), "éb".encode(), b"\xc3", "\ud800".encode("utf-8", "surrogatepass")]) == (
        "aé\ud800"
    )
    assert alphabet_of([*BYTES[128:], b"b", b"a", "é".encode()]) == "ab" + beyond_ascii()


@each(
    "pattern, prompt", [("[^a]+", ""), ("(?:a|é€?){1,3}", ""), (r"\w*[😀₭]a?", ""), ("aé[^é]*", "aé"), ("[è€]é", "x")]
)
@each("least", [0, 2])
def test_what_is_needed_is_that_of_the_shortest_text(pattern: str, prompt: str, least: int) -> None:
    pieces = sorted({bytes([byte]) for byte in TOY.encode()} | {one.encode() for one in ("é", "aé", "€a", "€€", "b")})
    pieces += [b"", b"\xac\xc3", b"\xff"]
    walk = Walk(automaton_of((pattern,), least, TOY, prompt), pieces)
    texts = ["".join(text) for n in range(least, LONGEST + 1) for text in itertools.product(TOY, repeat=n)]
    # The longest first.
    matching = [text for text in reversed(texts) if re.fullmatch(pattern, prompt + text)]
    ends = {text.encode() for text in matching}
    shortest = {text.encode()[:n]: len(text) for text in matching for n in range(len(text.encode()) + 1)}
    waiting, seen = [(b"", 0)], {b""}
    for encoded, place in waiting:
        assert walk.may_end(place) == (encoded in ends), encoded
        begun = sum(byte & 0xC0 != 0x80 for byte in encoded)
        for piece, needed, follows in zip(pieces, walk.needed(place), walk.follows(place), strict=True):
            longer = encoded + piece
            if piece and longer in shortest:
                assert begun + needed == shortest[longer], (encoded, piece)
                if longer not in seen:
                    seen.add(longer)
                    waiting.append((longer, int(follows)))
            else:
                assert begun + needed > LONGEST, (encoded, piece)
    assert seen == {*shortest} if prompt != "x" else seen == {b""}
