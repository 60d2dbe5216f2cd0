"""The metrics of MOSES (Polykovskiy et al. 2020, arXiv 1811.12823) on today's RDKit, as the paper's section 3 has them.

Sets of molecules are compared as SMILES that RDKit has made canonical; what it refuses is no molecule. Shapes: N
molecules, F bits of a fingerprint.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial
from multiprocessing import Pool
from typing import Any, NamedTuple, TypeVar

import fcd
import numpy as np
import numpy.typing as npt
import torch
from rdkit import Chem, DataStructs, rdBase
from rdkit.Chem import BRICS, rdFingerprintGenerator
from rdkit.Chem.Scaffolds import MurckoScaffold

Floats = npt.NDArray[np.float64]
Bits = npt.NDArray[np.uint8]
Given = TypeVar("Given")
Made = TypeVar("Made")
RADIUS, BITS, LEAST_RINGS = 2, 1024, 2
ELEMENTS = {"C", "N", "S", "O", "F", "Cl", "Br", "H"}
LARGEST_RING = 7
ROWS, AT_ONCE = 1024, 256
rdBase.DisableLog("rdApp.*")


class Reference(NamedTuple):
    """What is known of a set that others are compared with."""

    mean: Floats
    """(512,): of ChemNet's activations; `covariance` (512, 512)."""
    covariance: Floats
    fingerprints: Bits
    """(N, F)."""
    fragments: Counter[str]
    scaffolds: Counter[str]


def measured(
    texts: Sequence[str], train: set[str], references: dict[str, Reference], smarts: Sequence[str]
) -> dict[str, float]:
    """All metrics of generated texts; `train` is canonical, `smarts` are the substructures that filters refuse."""
    every = each(canonical, texts)
    molecules = [one for one in every if one is not None]
    found = {"valid": len(molecules) / len(texts)}
    found |= {f"unique@{most}": unique(molecules[:most]) for most in (1000, 10_000)}
    found["novelty"] = novelty(molecules, train)
    found["filters"] = float(np.mean(each(partial(passes, tuple(smarts)), molecules)))
    own = statistics(molecules)
    found["IntDiv"] = internal_diversity(own.fingerprints)
    for name, other in references.items():
        found[f"FCD/{name}"] = frechet(own, other)
        found[f"SNN/{name}"] = nearest(own.fingerprints, other.fingerprints)
        found[f"Frag/{name}"] = cosine(own.fragments, other.fragments)
        found[f"Scaf/{name}"] = cosine(own.scaffolds, other.scaffolds)
    return found


def statistics(molecules: Sequence[str]) -> Reference:
    """Of canonical SMILES."""
    some = [molecules[first : first + AT_ONCE] for first in range(0, len(molecules), AT_ONCE)]
    activations = np.concatenate(each(activations_of, some))
    fragments = Counter(part for parts in each(fragments_of, molecules) for part in parts)
    scaffolds = Counter(scaffold for scaffold in each(scaffold_of, molecules) if scaffold)
    prints = np.array(each(fingerprint, molecules), np.uint8)
    return Reference(activations.mean(0), np.cov(activations.T), prints, fragments, scaffolds)


def each(function: Callable[[Given], Made], given: Sequence[Given]) -> list[Made]:
    """The function of each, by all cores."""
    cores = len(os.sched_getaffinity(0))
    with Pool(cores) as pool:
        return pool.map(function, given, chunksize=max(1, min(256, len(given) // (8 * cores))))


def activations_of(molecules: Sequence[str]) -> Floats:
    """(N, 512): the last hidden layer of ChemNet, by one thread."""
    torch.set_num_threads(1)
    return np.asarray(fcd.get_predictions(fcd.load_ref_model(), list(molecules), n_jobs=0), np.float64)


def canonical(text: str) -> str | None:
    """The same molecule as RDKit writes it; None where it is none."""
    molecule = Chem.MolFromSmiles(text) if text else None
    return None if molecule is None else str(Chem.MolToSmiles(molecule))


def unique(molecules: Sequence[str]) -> float:
    """The share of different ones."""
    return len(set(molecules)) / len(molecules)


def novelty(molecules: Iterable[str], train: set[str]) -> float:
    """The share of different ones that are not learned from."""
    different = set(molecules)
    return len(different - train) / len(different)


@cache
def _patterns(smarts: tuple[str, ...]) -> list[Any]:
    return [Chem.MolFromSmarts(one) for one in smarts]


def passes(smarts: tuple[str, ...], text: str) -> bool:
    """No charge, no other elements, no ring of eight atoms or more, none of the substructures."""
    molecule = Chem.MolFromSmiles(text)
    if any(len(ring) > LARGEST_RING for ring in molecule.GetRingInfo().AtomRings()):
        return False
    if any(atom.GetFormalCharge() or atom.GetSymbol() not in ELEMENTS for atom in molecule.GetAtoms()):
        return False
    whole = Chem.AddHs(molecule)
    return not any(whole.HasSubstructMatch(pattern) for pattern in _patterns(smarts))


@cache
def _generator() -> Any:
    return rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS, fpSize=BITS)


def fingerprint(text: str) -> Bits:
    """(F,): Morgan's, of radius 2 (ECFP4; Rogers & Hahn 2010)."""
    bits: Bits = _generator().GetFingerprintAsNumPy(Chem.MolFromSmiles(text))
    return bits


def fragments_of(text: str) -> list[str]:
    """What BRICS (Degen et al. 2008) breaks it into."""
    return str(Chem.MolToSmiles(BRICS.BreakBRICSBonds(Chem.MolFromSmiles(text)))).split(".")


def scaffold_of(text: str) -> str:
    """Rings and what joins them (Bemis & Murcko 1996); nothing where there are fewer than two rings."""
    scaffold = MurckoScaffold.GetScaffoldForMol(Chem.MolFromSmiles(text))
    return str(Chem.MolToSmiles(scaffold)) if scaffold.GetRingInfo().NumRings() >= LEAST_RINGS else ""


def frechet(one: Reference, other: Reference) -> float:
    """The Fréchet ChemNet distance (Preuer et al. 2018)."""
    return float(fcd.calculate_frechet_distance(one.mean, one.covariance, other.mean, other.covariance))


def cosine(one: Counter[str], other: Counter[str]) -> float:
    """The cosine of two lists of counts."""
    shared = sum(count * other[name] for name, count in one.items())
    norms = [sum(count * count for count in counts.values()) ** 0.5 for counts in (one, other)]
    return float(shared / (norms[0] * norms[1])) if all(norms) else 0.0


def tanimoto(one: Bits, other: Bits) -> torch.Tensor:
    """Shared bits by all bits, of each with each: (M, F), (N, F) -> (M, N). Up to 256 of them, bf16 counts exactly."""
    mine, theirs = torch.from_numpy(one), torch.from_numpy(other)
    shared = (mine.bfloat16() @ theirs.bfloat16().T).float()
    have, had = mine.sum(1, dtype=torch.float32), theirs.sum(1, dtype=torch.float32)
    assert max(have.max(), had.max()) <= 256
    return shared.div_((have[:, None] + had).sub_(shared))


def nearest(generated: Bits, reference: Bits) -> float:
    """The mean similarity to the nearest neighbour (SNN)."""
    best = np.zeros(len(generated))
    for place in range(0, len(generated), ROWS):
        some = generated[place : place + ROWS]
        for first in range(0, len(reference), ROWS):
            found = tanimoto(some, reference[first : first + ROWS]).amax(1).numpy()
            best[place : place + ROWS] = np.maximum(best[place : place + ROWS], found)
    return float(best.mean())


def internal_diversity(bits: Bits) -> float:
    """1 less the mean similarity of all pairs, each with itself among them."""
    total = 0.0
    for place in range(0, len(bits), ROWS):
        for first in range(0, len(bits), ROWS):
            total += tanimoto(bits[place : place + ROWS], bits[first : first + ROWS]).double().sum().item()
    return 1 - total / len(bits) ** 2


def check() -> None:
    """What is fast against what is obvious, on a few molecules. Raises AssertionError."""
    some = ["CCO", "c1ccccc1", "CC(=O)Nc1ccc(O)cc1", "Cc1ccccc1-c1ccncc1", "O=C(NCc1ccccc1)C1CCCCC1"]
    molecules = [one for one in map(canonical, some) if one]
    generator = _generator()
    prints = [generator.GetFingerprint(Chem.MolFromSmiles(one)) for one in molecules]
    bits = np.array([fingerprint(one) for one in molecules])
    similar = np.array([[DataStructs.TanimotoSimilarity(one, other) for other in prints] for one in prints])
    assert np.allclose(tanimoto(bits, bits).numpy(), similar)
    assert np.isclose(internal_diversity(bits), 1 - similar.mean())
    assert np.isclose(nearest(bits[:2], bits[2:]), similar[:2, 2:].max(1).mean())
    assert np.isclose(cosine(Counter("aab"), Counter("abb")), 4 / 5) and cosine(Counter("a"), Counter("b")) == 0
    assert canonical("OCC") == "CCO" and canonical("C1CC") is None and canonical("") is None
    assert scaffold_of("Cc1ccccc1-c1ccncc1") == "c1ccc(-c2ccncc2)cc1" and not scaffold_of("Cc1ccccc1")
    assert passes(("[#6]#[#7]",), "CCO") and not passes(("[#6]#[#7]",), "CC#N") and not passes((), "C[NH3+]")
    assert not passes((), "C1CCCCCCC1") and not passes((), "CI") and unique(["a", "a"]) == 0.5
    assert novelty(["a", "b", "b"], {"a"}) == 0.5 and "[4*]CC" in fragments_of("CCOc1ccccc1")
    one = Reference(np.zeros(2), np.diag([1.0, 4.0]), bits, Counter(), Counter())
    other = one._replace(mean=np.array([3.0, 4.0]), covariance=np.diag([4.0, 4.0]))
    assert np.isclose(frechet(one, other), 25 + (2 - 1) ** 2)  # of Gaussians along the axes
