"""The atoms of SMILES: what they are written as, and how many bonds they have (Weininger 1988; OpenSMILES 2016)."""

from __future__ import annotations

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

# In brackets: the valence with all hydrogens off, and how many there may be. Neutral atoms with nothing special about
# them are not among them: in brackets they have no hydrogens of their own, and would be radicals.
_ALIPHATIC = {
    "H": (1, 0), "B-": (4, 1), "N+": (4, 3), "N-": (2, 1), "O+": (3, 1), "O-": (1, 0), "Si": (4, 3), "P+": (4, 1),
    "S+": (3, 0), "S-": (1, 0), "Se": (2, 1), "C@": (4, 1), "C@@": (4, 1),
}  # fmt: skip
_AROMATIC = {
    "nH": Kind(2, 2, aromatic=True), "nH+": Kind(3, 2, aromatic=True, owes=True),
    "n+": Kind(4, 3, aromatic=True, owes=True), "n-": Kind(2, 2, aromatic=True),
    "o+": Kind(3, 2, aromatic=True, owes=True), "s+": Kind(3, 2, aromatic=True, owes=True),
    "se": Kind(2, 2, aromatic=True),
}  # fmt: skip
_HYDROGENS = ("", "H", "H2", "H3")


def _in_brackets() -> dict[str, Kind]:
    found = {f"[{name}]": kind for name, kind in _AROMATIC.items()}
    for name, (valence, most) in _ALIPHATIC.items():
        symbol = name.rstrip("+-")
        for count, hydrogens in enumerate(_HYDROGENS[: most + 1]):
            found[f"[{symbol}{hydrogens}{name.removeprefix(symbol)}]"] = _aliphatic(valence - count)
    return found


BRACKETS = _in_brackets()
DIGITS = "123456789"
LONGEST_BRACKET = max(map(len, BRACKETS))
# A second letter makes another atom of one that was just written.
SECOND = {"Cl": "C", "Br": "B"}


class Spelling:
    """The digits, and the bracket atoms, that some characters write."""

    def __init__(self, characters: Collection[str]) -> None:
        self.digits = "".join(digit for digit in DIGITS if digit in characters)
        self.brackets = {text: kind for text, kind in BRACKETS.items() if set(text) <= set(characters)}
        self.begun: dict[str, set[Kind]] = {}
        """What a bracket may become that was begun so, and, below, how it may go on."""
        self.goes_on: dict[str, set[str]] = {}
        for text, kind in self.brackets.items():
            for length in range(1, len(text)):
                self.begun.setdefault(text[:length], set()).add(kind)
                self.goes_on.setdefault(text[:length], set()).add(text[length])


class Atom(NamedTuple):
    """One atom: `used` of its valence and `degree` count the bonds of open digits."""

    kind: Kind
    parent: int
    used: int = 0
    degree: int = 0
    shares: bool = False
    """Whether an aromatic bond joins it to its parent."""
    double: bool = False
    """Whether it has a double bond that was written."""
    in_ring: bool = False
    bond_in_ring: bool = False

    def takes(self, order: int) -> bool:
        """Whether there is room for one more bond."""
        return self.degree < self.kind.degree and self.used + order <= self.kind.valence

    def bonded(self, order: int) -> Atom:
        """The same with one more bond."""
        return self._replace(used=self.used + order, degree=self.degree + 1, double=self.double or order == 2)

    def freed(self, order: int) -> Atom:
        """The same with one bond less."""
        return self._replace(used=self.used - order, degree=self.degree - 1)

    @property
    def owes(self) -> bool:
        """Whether it is to share a double bond with an aromatic neighbour."""
        return self.kind.owes and not self.double and self.used < self.kind.valence

    @property
    def lacks(self) -> bool:
        """A double bond out of an aromatic ring stands beside two other bonds."""
        return self.kind.aromatic and self.double and self.used < self.kind.valence


class Opened(NamedTuple):
    """A ring's digit: its atom, and the bond that was written in front of it, or nothing."""

    atom: int
    bond: str
