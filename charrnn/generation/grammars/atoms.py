"""The atoms of SMILES: what they are written as, and how many bonds they have (Weininger 1988; OpenSMILES 2016)."""

from collections.abc import Collection
from typing import NamedTuple


class Kind(NamedTuple):
    """`valence` is the most that the orders of its bonds come to, an aromatic one counting 1; hydrogens are left out.

    An aromatic atom that `owes` shares a double bond with an aromatic neighbour, unless other bonds fill its valence.
    """

    valence: int
    degree: int
    aromatic: bool = False
    owes: bool = False


def _aliphatic(valence: int) -> Kind:
    return Kind(valence, valence)


CARBON = Kind(4, 3, aromatic=True, owes=True)

# Outside of brackets; the largest valence of those that an element may have.
ATOMS = {
    **{name: _aliphatic(1) for name in ("F", "Cl", "Br", "I")},
    "O": _aliphatic(2), "S": _aliphatic(6), "N": _aliphatic(3), "P": _aliphatic(5), "B": _aliphatic(3),
    "C": _aliphatic(4), "c": CARBON, "n": Kind(3, 3, aromatic=True, owes=True),
    "o": Kind(2, 2, aromatic=True), "s": Kind(2, 2, aromatic=True),
}  # fmt: skip

# In brackets, with their charge; hydrogens come off.
_CHARGED = {
    "H": 1, "B-": 4, "C": 4, "C+": 3, "C-": 3, "N": 3, "N+": 4, "N-": 2, "O": 2, "O+": 3, "O-": 1, "F-": 0, "Si": 4,
    "P": 5, "P+": 4, "S": 6, "S+": 3, "S-": 1, "Cl-": 0, "Se": 2, "Br-": 0, "I-": 0, "Na+": 0, "K+": 0, "Li+": 0,
}  # fmt: skip
_AROMATIC = {
    "n": Kind(3, 3, aromatic=True, owes=True), "n+": Kind(4, 3, aromatic=True, owes=True),
    "n-": Kind(2, 2, aromatic=True), "o+": Kind(3, 2, aromatic=True, owes=True),
    "s+": Kind(3, 2, aromatic=True, owes=True), "se": Kind(2, 2, aromatic=True),
}  # fmt: skip
_HYDROGENS = ("", "H", "H2", "H3", "H4")
_MOST_HYDROGENS = {"B-": 4, "C": 1, "C+": 2, "C-": 2, "N": 2, "N+": 4, "N-": 1, "O": 1, "O+": 3, "Si": 3, "P": 2,
                   "P+": 4, "S": 1, "S+": 2, "Se": 1}  # fmt: skip


def _in_brackets() -> dict[str, Kind]:
    found = {f"[{name}]": kind for name, kind in _AROMATIC.items()}
    found["[nH]"] = Kind(2, 2, aromatic=True)
    found["[nH+]"] = Kind(3, 2, aromatic=True, owes=True)
    for name, valence in _CHARGED.items():
        symbol, charge = name.rstrip("+-"), name[len(name.rstrip("+-")) :]
        for hydrogens in range(min(valence, _MOST_HYDROGENS.get(name, 0)) + 1):
            found[f"[{symbol}{_HYDROGENS[hydrogens]}{charge}]"] = _aliphatic(valence - hydrogens)
    for hydrogens in range(2):
        for chirality in ("@", "@@"):
            found[f"[C{chirality}{_HYDROGENS[hydrogens]}]"] = _aliphatic(4 - hydrogens)
    return found


BRACKETS = _in_brackets()
LONGEST_BRACKET = max(map(len, BRACKETS))
# A second letter makes another atom of one that was just written.
SECOND = {"Cl": "C", "Br": "B"}


class Spelling:
    """The bracket atoms that some characters write."""

    def __init__(self, characters: Collection[str]) -> None:
        self.brackets = {text: kind for text, kind in BRACKETS.items() if set(text) <= set(characters)}
        self.begun: dict[str, set[Kind]] = {}
        """What a bracket may become that was begun so, and, below, how it may go on."""
        self.goes_on: dict[str, set[str]] = {}
        for text, kind in self.brackets.items():
            for length in range(1, len(text)):
                self.begun.setdefault(text[:length], set()).add(kind)
                self.goes_on.setdefault(text[:length], set()).add(text[length])
