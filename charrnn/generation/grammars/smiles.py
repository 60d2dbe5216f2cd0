"""SMILES, character by character: what may follow a beginning so that a molecule can still come of it.

Kept to: brackets and ring digits are closed, no ring is shorter than three atoms, valences are not exceeded, aromatic
atoms lie in rings, and each of them finds its double bond (Kekulé structures exist). A bond between two of them that is
in no ring is a single one. Not written: `.`, `%`, `:`, `*`, isotopes, and bracket atoms that `atoms.py` does not list.

A beginning is kept only where something as simple as a chain of C and c, a double bond and the digits that are open
would end it: `Smiles.ends_within` counts these characters, more rather than fewer.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

from charrnn.generation.grammars.atoms import ATOMS, DIGITS, LONGEST_BRACKET, SECOND, Atom, Kind, Opened, Spelling
from charrnn.generation.grammars.kekule import covers

ORDERS = {"-": 1, "/": 1, "\\": 1, "=": 2, "#": 3}
# A digit's ring is closed by C, c and the digit; in front of that, and behind each ), an atom may need =C.
CLOSES_RING, SETTLES_ATOM, OPENS_RING = 3, 2, 1
# What ends a beginning, with digits, and in a bracket what belongs there.
SIMPLE = frozenset(")1=Cc")


@dataclass(frozen=True)
class Smiles:
    """A beginning. `here` is the atom that the next one is bonded to, -1 before the first.

    `last` is its last character, or that in front of the bond.
    """

    spelling: Spelling
    atoms: tuple[Atom, ...] = ()
    aromatic: tuple[int, ...] = ()
    """Which of them are."""
    here: int = -1
    stack: tuple[int, ...] = ()
    """The atoms that open brackets go back to."""
    opened: dict[str, Opened] = field(default_factory=dict)
    joined: frozenset[tuple[int, int]] = frozenset()
    """The atoms that bonds of rings are between, the earlier one first; `shared` are those of aromatic ones."""
    shared: tuple[tuple[int, int], ...] = ()
    bond: str = ""
    bracket: str = ""
    last: str = ""

    def _but(self, **changes: Any) -> Smiles:
        """The same with some fields changed, which `dataclasses.replace` takes several times as long for."""
        after = object.__new__(Smiles)
        after.__dict__.update({name: self.__dict__[name] for name in FIELDS}, **changes)
        return after

    def follow(self, character: str) -> Smiles | None:
        """The beginning that is one character longer; None where nothing could come of it."""
        after = self._after(character)
        if after is None:
            return None
        alike = self._alike(character, after)
        if alike is None:
            return after if after.can_end else None
        if alike not in self._fare:
            self._fare[alike] = after.can_end
        return after if self._fare[alike] else None

    def _alike(self, character: str, after: Smiles) -> Kind | bool | str | None:
        """What fares alike: atoms of a kind, those outside of rings that more can be bonded to, and new digits."""
        if character in ATOMS and after.last == character:
            atom = after.atoms[-1]
            return atom.kind if atom.kind.aromatic else atom.takes(1)
        return "digit" if character in DIGITS and len(after.opened) > len(self.opened) else None

    @cached_property
    def _fare(self) -> dict[Kind | bool | str, bool]:
        """Whether a molecule can come of what is alike, as far as that was asked."""
        return {}

    def _after(self, character: str) -> Smiles | None:
        """By the rules of spelling and valence alone."""
        if self.bracket or character == "[":
            return self._in_bracket(self.bracket + character)
        if self.last + character in SECOND and not self.bond:
            return self._renamed(ATOMS[self.last + character])
        if character in ATOMS:
            return self._atom(ATOMS[character], character)
        if self.here < 0:
            return None
        if character in DIGITS:
            return None if self.last in "()" else self._digit(character)
        if self.bond:
            return None
        if character in ORDERS:
            return self._but(bond=character)
        if character == "(" and self.last != "(":
            return self._but(stack=(*self.stack, self.here), last="(")
        if character == ")" and self.stack and self.last != "(":
            return self._but(stack=self.stack[:-1], here=self.stack[-1], last=")")
        return None

    def _in_bracket(self, text: str) -> Smiles | None:
        if text in self.spelling.brackets:
            return self._but(bracket="")._atom(self.spelling.brackets[text], "]")
        return self._but(bracket=text) if text in self.spelling.begun else None

    def _renamed(self, kind: Kind) -> Smiles | None:
        """Cl for C."""
        *others, atom = self.atoms
        if atom.used > kind.valence:
            return None
        return self._but(atoms=(*others, atom._replace(kind=kind)), last="]")

    def _atom(self, kind: Kind, last: str) -> Smiles | None:
        if self.here < 0:
            return self._but(atoms=(Atom(kind, -1),), aromatic=(0,) * kind.aromatic, here=0, last=last)
        parent, order = self.atoms[self.here], ORDERS[self.bond or "-"]
        atom = Atom(kind, self.here, shares=not self.bond and kind.aromatic and parent.kind.aromatic)
        if not (parent.takes(order) and atom.takes(order)):
            return None
        atoms = [*self.atoms, atom.bonded(order)]
        atoms[self.here] = parent.bonded(order)
        here = len(self.atoms)
        aromatic = (*self.aromatic, here) if kind.aromatic else self.aromatic
        return self._but(atoms=tuple(atoms), aromatic=aromatic, here=here, bond="", last=last)

    def _digit(self, digit: str) -> Smiles | None:
        if digit in self.opened:
            return self._closed(digit, *self.opened[digit])
        order = ORDERS[self.bond or "-"]
        if not self.atoms[self.here].takes(order):
            return None
        atoms = list(self.atoms)
        atoms[self.here] = atoms[self.here].bonded(order)
        opened = {**self.opened, digit: Opened(self.here, self.bond)}
        return self._but(atoms=tuple(atoms), opened=opened, bond="", last=digit)

    def _closed(self, digit: str, first: int, written: str) -> Smiles | None:
        """A bond from here to the digit's atom, on which a bond that was written at either end decides."""
        here, bond = self.here, written or self.bond
        order = ORDERS[bond or "-"]
        if first == here or self._bonded(first, here) or ORDERS[self.bond or bond or "-"] != order:
            return None
        start = self.atoms[first].freed(ORDERS[written or "-"])
        if not (start.takes(order) and self.atoms[here].takes(order)):
            return None
        atoms = list(self.atoms)
        atoms[first], atoms[here] = start.bonded(order), atoms[here].bonded(order)
        path, top = self._path(first, here)
        for atom in path:
            atoms[atom] = atoms[atom]._replace(in_ring=True, bond_in_ring=True)
        atoms[top] = atoms[top]._replace(in_ring=True)
        shares = not bond and start.kind.aromatic and atoms[here].kind.aromatic
        opened = {other: own for other, own in self.opened.items() if other != digit}
        joined, pair = self.joined | {(min(first, here), max(first, here))}, (first, here)
        shared = (*self.shared, pair) if shares else self.shared
        return self._but(atoms=tuple(atoms), opened=opened, joined=joined, shared=shared, bond="", last=digit)

    def _bonded(self, one: int, other: int) -> bool:
        near = other == self.atoms[one].parent or one == self.atoms[other].parent
        return near or (min(one, other), max(one, other)) in self.joined

    def _path(self, one: int, other: int) -> tuple[set[int], int]:
        """The atoms on the way from one to the other along chain and branches, but for the topmost; and that one."""
        path = set()
        while one != other:
            one, other = min(one, other), max(one, other)
            path.add(other)
            other = self.atoms[other].parent
        return path, one

    # -- what can become of it --

    @cached_property
    def whole(self) -> bool:
        """Whether it is a molecule as it stands."""
        if self.bracket or self.bond or self.stack or self.opened or self.here < 0:
            return False
        return not self._bare and not self._lacking and self._double_bonds((), None)

    @cached_property
    def can_end(self) -> bool:
        """Whether a molecule can come of it: where rings must still be closed, by a chain from some atom."""
        if self.bracket:
            return any(self._with(kind) for kind in self.spelling.begun[self.bracket])
        if self.bond or self.last == "(":
            return any(self._goes_on(text) for text in ("C", "=C", *self._new_digit))
        growing = [place for place in (self.here, *reversed(self.stack)) if self.atoms[place].takes(1)]
        if not self._lacking.issubset(growing):
            return False
        if self._bare or self.opened:
            return any(self._closes_from(start, growing) for start in growing)
        return self._double_bonds(growing, None)

    def _with(self, kind: Kind) -> bool:
        after = self._but(bracket="")._atom(kind, "]")
        return after is not None and after.can_end

    def _goes_on(self, text: str) -> bool:
        after: Smiles | None = self
        for character in text:
            after = None if after is None else after._after(character)
        return after is not None and after.can_end

    @property
    def _new_digit(self) -> list[str]:
        """One that is not open, where there is one left."""
        return [digit for digit in self.spelling.digits if digit not in self.opened][:1]

    @cached_property
    def _bare(self) -> set[int]:
        """The aromatic atoms that are in no ring yet."""
        return {place for place in self.aromatic if not self.atoms[place].in_ring}

    @cached_property
    def _lacking(self) -> set[int]:
        return {place for place in self.aromatic if self.atoms[place].lacks}

    def _closes_from(self, start: int, growing: Sequence[int]) -> bool:
        """Whether a chain from an atom can close the rings: all on the way to the open digits comes to lie in rings."""
        ways = [self._path(place, start) for place, _ in self.opened.values()]
        bare = self._bare.difference(*(path | {top} for path, top in ways))
        if bare:
            opens_one = self.atoms[start].bonded(1).takes(1) and self._new_digit
            if bare != {start} or start != self.here or self.last in "()" or not opens_one:
                return False
        return self._double_bonds(growing, start, set().union(*(path for path, _ in ways)))

    def _double_bonds(self, growing: Collection[int], start: int | None, rings: Collection[int] = ()) -> bool:
        """Whether the aromatic atoms to which nothing is bonded any more can have the double bonds that they owe.

        To those that are `growing`, and those of open digits, one can still be bonded that settles it. A chain that
        begins at n, and is its third bond, takes away what n could share. Bonds of `rings` will be in some, those
        between an atom and its parent.
        """
        atoms = self.atoms
        owing = {place for place in self.aromatic if atoms[place].owes}
        if start in owing and atoms[start].used + 1 == atoms[start].kind.valence:
            owing.remove(start)
        if not owing:
            return True
        partners: dict[int, list[int]] = {place: [] for place in owing}
        shared = [
            (place, atoms[place].parent)
            for place in self.aromatic
            if atoms[place].shares and (atoms[place].bond_in_ring or place in rings)
        ]
        for one, other in (*shared, *self.shared):
            if one in owing and other in owing:
                partners[one].append(other)
                partners[other].append(one)
        later = {place for place, bond in self.opened.values() if not bond}.union(growing)
        return covers(owing - later, partners)

    def ends_within(self, room: int) -> bool:
        """Whether so many characters can end it, if only simple ones come."""
        if room >= self._enough or self.whole:
            return True
        if room < self._least:
            return False
        simple = self.spelling.goes_on[self.bracket] if self.bracket else {*SIMPLE, *self.opened, *self._new_digit}
        afters = (self.follow(character) for character in simple)
        return any(after is not None and after.ends_within(room - 1) for after in afters)

    @property
    def _least(self) -> int:
        """So many at least."""
        return len(self.stack) + len(self.opened) + bool(self.bond or self.bracket or self.last in "(")

    @property
    def _enough(self) -> int:
        """So many are always enough: for what stands alone, for each ring, and for each atom that is gone back to."""
        rings = 1 + len(self.opened)
        return LONGEST_BRACKET + OPENS_RING + CLOSES_RING * rings + (1 + SETTLES_ATOM) * (1 + len(self.stack))


FIELDS = [field.name for field in fields(Smiles)]
