"""Molecules by a grammar: what may follow a beginning, against a parser that reads whole SMILES the obvious way."""

import random
from itertools import combinations, product
from typing import Any

import numpy as np
import pytest

from charrnn.errors import ConfigError
from charrnn.generation.config import SampleConfig
from charrnn.generation.grammars.atoms import ATOMS, BRACKETS, SECOND, Kind, Spelling
from charrnn.generation.grammars.kekule import covers
from charrnn.generation.grammars.smiles import ORDERS, Smiles
from charrnn.generation.processors import compose
from charrnn.generation.sequence import TextSequence
from charrnn.text.tokenizers.char import CharTokenizer

from .cases import each
from .test_generation_loop import engine_of, network
from .test_match import written

LETTERS = "BCFHNOS[]cnos()=#-123lr+@"
EMPTY = Smiles(Spelling(LETTERS))
MOLECULES = [
    "CC(=O)Nc1ccc(O)cc1", "Cn1c(=O)c2c(ncn2C)n(C)c1=O", "O=C(O)c1ccccc1OC(C)=O", "c1ccc2[nH]ccc2c1",
    "CS(=O)(=O)N1CCCC1", "C1CC2CCC1C2", "N#Cc1cnc2sccn12", "O=c1cc[nH]cc1-c1ccoc1", "CC[N+](C)(C)C",
    "C[C@@H](N)C(=O)[O-]", "[H]N=C(N)Cl", "FC(F)(F)c1ccc(Br)cc1", "O=C1c2ccccc2C(=O)N1c1nnco1", "c1ccc2c(c1)CCC2",
    "c1ccc2cccc-2cc1", "C12C3C1C23", "c1cc(=O)cn1",
]  # fmt: skip
REFUSED = {
    "C(": "a bracket that nothing is in", "C1CC": "an open ring", "CC11": "a ring of an atom with itself",
    "C1C1": "a second bond between two atoms", "C(C)(C)(C)(C)C": "five bonds of C", "CFC": "a second bond of F",
    "C=F": "a double bond of F", "N(C)(C)(C)C": "four bonds of N",
    "c1cccc1": "five c, of which one finds no double bond", "c1ccc2cccc2c1": "nine c",
    "Cc": "an aromatic atom in no ring", "C=#C": "two bonds", "[nH]1cc[nH]c1": "c between two [nH]",
    "C()C": "an empty bracket", "(C)C": "a branch of nothing", "=CC": "a bond of nothing",
    "C1CC=1C#1": "a ring's digit that nothing closes", "C=1CC#1": "two ends that differ", "C)C": "a bracket too many",
    "O=c1cccnc1": "six atoms, five of which are to pair", "C#": "a bond to nothing", "[NH5]": "no such atom",
    "[C": "half an atom",
}  # fmt: skip


def follow(text: str, beginning: Smiles = EMPTY) -> Smiles | None:
    after: Smiles | None = beginning
    for character in text:
        after = None if after is None else after.follow(character)
    return after


def is_whole(text: str) -> bool:
    after = follow(text)
    return after is not None and after.whole


@each("text", MOLECULES)
def test_molecules_are_written_and_end_nowhere_else(text: str) -> None:
    assert is_whole(text)
    for place in range(len(text) + 1):
        beginning = follow(text[:place])
        assert beginning is not None and (place == 0 or beginning.whole == by_hand(text[:place]))


@each("text", REFUSED)
def test_what_is_no_molecule(text: str) -> None:
    assert not is_whole(text)


# -- the obvious way: read all of it, then look -----------------------------------------------------------------------


def by_hand(text: str) -> bool:
    """Whether a text is a molecule: a recursive reader, rings by leaving a bond out, and all ways to pair."""
    try:
        atoms, bonds = read(text)
    except (ValueError, IndexError, KeyError):
        return False
    used = [sum(order for *pair, order, _ in bonds if place in pair) for place in range(len(atoms))]
    degree = [sum(place in pair for *pair, _, _ in bonds) for place in range(len(atoms))]
    double = {place for *pair, order, _ in bonds if order == 2 for place in pair}
    rings = [bond for bond in bonds if connected(bond[:2], [other for other in bonds if other is not bond])]
    for place, kind in enumerate(atoms):
        if used[place] > kind.valence or degree[place] > kind.degree:
            return False
        if kind.aromatic and not any(place in bond[:2] for bond in rings):
            return False
        if kind.aromatic and place in double and used[place] < kind.valence:
            return False
    owing = {
        place for place, kind in enumerate(atoms) if kind.owes and used[place] < kind.valence and place not in double
    }
    return any_matching(owing, [bond[:2] for bond in rings if bond[3]])


def read(text: str) -> tuple[list[Kind], list[tuple[int, int, int, bool]]]:
    """Atoms, and bonds: two atoms, order, and whether it is aromatic where both of them are."""
    atoms: list[Kind] = []
    bonds: list[tuple[int, int, int, bool]] = []
    opened: dict[str, tuple[int, str]] = {}

    def join(one: int, other: int, bond: str) -> None:
        if one == other or any({one, other} == {*pair} for *pair, _, _ in bonds):
            raise ValueError
        bonds.append((one, other, ORDERS[bond or "-"], not bond and atoms[one].aromatic and atoms[other].aromatic))

    def chain(place: int, before: int) -> int:
        begun = place
        while place < len(text) and text[place] != ")":
            if text[place] == "(":
                if before < 0 or place == begun:
                    raise ValueError
                place = chain(place + 1, before)
                if text[place - 1] == "(" or text[place] != ")":
                    raise ValueError
                place += 1
                continue
            bond = text[place] if text[place] in ORDERS else ""
            place += len(bond)
            if text[place].isdigit():
                if before < 0 or text[place - len(bond) - 1] in "()":
                    raise ValueError
                first, written = opened.pop(text[place], (-1, ""))
                if first < 0:
                    opened[text[place]] = before, bond
                elif written and bond and ORDERS[written] != ORDERS[bond]:
                    raise ValueError
                else:
                    join(first, before, written or bond)
                place += 1
                continue
            end = text.index("]", place) + 1 if text[place] == "[" else place + 1 + (text[place : place + 2] in SECOND)
            atoms.append(BRACKETS[text[place:end]] if text[place] == "[" else ATOMS[text[place:end]])
            if before >= 0:
                join(before, len(atoms) - 1, bond)
            elif bond:
                raise ValueError
            before, place = len(atoms) - 1, end
        return place

    if chain(0, -1) != len(text) or opened or not atoms:
        raise ValueError
    return atoms, bonds


def connected(pair: tuple[int, ...], bonds: list[tuple[int, int, int, bool]]) -> bool:
    reached = {pair[0]}
    for _ in bonds:
        reached |= {atom for *two, _, _ in bonds if reached & {*two} for atom in two}
    return pair[1] in reached


def any_matching(owing: set[int], pairs: list[tuple[int, ...]]) -> bool:
    usable = [pair for pair in pairs if owing.issuperset(pair)]
    if len(owing) % 2:
        return False
    for some in combinations(usable, len(owing) // 2):
        if len({atom for pair in some for atom in pair}) == len(owing):
            return True
    return False


def test_pairs_against_all_subsets() -> None:
    draw = random.Random(1)
    for _ in range(150):
        atoms = range(draw.randint(1, 6))
        edges = [pair for pair in combinations(atoms, 2) if draw.random() < 0.5]
        owing = {atom for atom in atoms if draw.random() < 0.7}
        near = {atom: [*(sum(edge) - atom for edge in edges if atom in edge)] for atom in atoms}
        subsets = (some for size in range(len(edges) + 1) for some in combinations(edges, size))
        matchings = ([atom for edge in some for atom in edge] for some in subsets)
        assert covers(owing, near) == any(len(set(one)) == len(one) and owing <= set(one) for one in matchings)


@each("letters, longest", [("cCn1=", 5), ("cC1(=)", 5), ("Co1c-", 5)])
def test_of_all_short_texts_the_molecules_and_nothing_else(letters: str, longest: int) -> None:
    found = {"".join(text) for length in range(1, longest + 1) for text in product(letters, repeat=length)}
    molecules = {text for text in found if by_hand(text)}
    assert {text for text in found if is_whole(text)} == molecules
    beginnings = {text[:length] for text in molecules for length in range(longest + 1)}
    for text in found:
        beginning = follow(text)
        if beginning is not None and beginning.ends_within(longest - len(text)) and set(letters) >= set(")1=Cc"):
            assert text in beginnings


def test_no_walk_comes_to_an_end_that_is_none() -> None:
    """Every text of at most so many characters is a molecule, however unlikely the way there was."""
    draw, seen = random.Random(2), set()
    for _ in range(15):
        room, stops, text, beginning = draw.randint(2, 18), draw.random() / 2, "", EMPTY
        while not (beginning.whole and (len(text) == room or draw.random() < stops)):
            after = {one: beginning.follow(one) for one in LETTERS}
            kept = [one for one, to in after.items() if to and to.ends_within(room - len(text) - 1)]
            assert kept or beginning.whole, text
            if not kept:
                break
            text += (one := draw.choice(kept))
            beginning = after[one] or EMPTY
        assert by_hand(text), text
        seen.add(text)
    assert len(seen) > 8


# -- as a mask --------------------------------------------------------------------------------------------------------

SPELLED = CharTokenizer("CNOclnos()=[]H123\n")


@pytest.mark.slow
@each("documents, sampler", [(True, "masked"), (False, "masked"), (True, "exact")])
def test_an_untrained_model_writes_molecules(documents: bool, sampler: str) -> None:
    engine = engine_of(network(SPELLED, documents=documents), "int8")
    options: dict[str, Any] = {"grammar": "smiles", "sampler": sampler, "length": 14, "prompt": "C"}
    found = written(engine, SPELLED, 2 if sampler == "exact" else 8, **options)
    assert all(by_hand("C" + one.text) and len(one.text) <= 14 for one in found)


def test_each_row_keeps_what_may_follow_it_and_its_state_stays_as_it_is() -> None:
    (mask,) = compose(SampleConfig(temperature=None, grammar="smiles", length=9), SPELLED)
    texts = ["", "C", "c1cc", "C1CC1", "O=c1cc"]
    rows = [
        TextSequence(row, SPELLED.encode(text).tolist(), SPELLED, SampleConfig(), [mask])
        for row, text in enumerate(texts)
    ]
    states = [row.states[mask] for row in rows]
    left = mask(np.zeros((len(rows), SPELLED.size + 1)), rows)
    for text, kept in zip(texts, left == 0, strict=True):
        after = {one: follow(text + one) for one in SPELLED.decode(range(SPELLED.size))}
        may_follow = [to is not None and to.ends_within(8) for to in after.values()]
        assert kept.tolist() == [*may_follow, by_hand(text)], text
    for row, state in zip(rows, states, strict=True):
        before = repr(state.beginning)
        mask.advance(state, SPELLED.encode("C").item(), None)
        assert repr(state.beginning) == before and row.states[mask] is state


def test_what_the_mask_refuses() -> None:
    engine = engine_of(network(SPELLED), "int8")
    for options, said in {
        ("prompt", "CO="): "no molecule begins with 'CO='", ("length", 2): "too short to end",
        ("ban", ("c",)): "writes c", ("match", ("C",)): "two masks",
    }.items():  # fmt: skip
        given: dict[str, Any] = {"length": 9, options[0]: options[1]} | (
            {"prompt": "c1"} if options[0] == "length" else {}
        )
        with pytest.raises(ConfigError, match=said):
            written(engine, SPELLED, 1, grammar="smiles", **given)
