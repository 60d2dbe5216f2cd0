"""The data of MOSES, out of its wheel: molecules to learn from, two test sets, their statistics, and the filters.

The wheel (`molsets` 0.3.1, MIT; molecules from ZINC) is downloaded by pip and unpacked, and nothing of it is imported:
it needs an RDKit of 2020.
"""

import csv
import gzip
import io
import pickle
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from molecules import Reference, canonical, each

WHEEL, SIZE = "molsets==0.3.1", "52 MB"
ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"), ("numpy.core.multiarray", "scalar"), ("numpy", "ndarray"),
    ("numpy", "dtype"), ("_codecs", "encode"), ("collections", "Counter"),
}  # fmt: skip
SETS = {"Test": "test", "TestSF": "test_scaffolds"}


class Data(NamedTuple):
    """Lines to learn from, as a file and as a set; references by name; substructures that filters refuse (SMARTS)."""

    train: Path
    molecules: set[str]
    references: dict[str, Reference]
    smarts: list[str]


def data(folder: Path) -> Data:
    """What stands in the folder, downloaded first where it does not."""
    wheel = wheel_in(folder)
    train = folder / "train.smi"
    with zipfile.ZipFile(wheel) as files:
        molecules = lines(files, "train")
        if not train.exists():
            train.write_text("\n".join([*molecules, ""]), encoding="ascii")
        smarts = [row[1] for row in rows(files, "moses/metrics/mcf.csv")[1:]]
        smarts += [row[0] for row in rows(files, "moses/metrics/wehi_pains.csv")]
        references = {name: reference(files, split) for name, split in SETS.items()}
    return Data(train, set(molecules), references, smarts)


def wheel_in(folder: Path) -> Path:
    """The wheel; pip brings it."""
    found = list(folder.glob("molsets-*.whl"))
    if not found:
        print(f"downloading the molecules: {WHEEL} by pip, {SIZE}, into {folder}", flush=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), WHEEL]
        if subprocess.run(command).returncode:
            raise SystemExit(f"pip could not download {WHEEL}: put its wheel into {folder} by other means")
        found = list(folder.glob("molsets-*.whl"))
    return found[0]


def lines(files: zipfile.ZipFile, split: str) -> list[str]:
    """The molecules of a split, without the line that says SMILES."""
    packed = files.read(f"moses/dataset/data/{split}.csv.gz")
    return gzip.decompress(packed).decode("ascii").split()[1:]


def rows(files: zipfile.ZipFile, name: str) -> list[list[str]]:
    """Those of a CSV file."""
    return list(csv.reader(io.StringIO(files.read(name).decode("utf-8"))))


class Numbers(pickle.Unpickler):
    """Arrays and counts, and nothing that runs."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise SystemExit(f"the statistics ask for {module}.{name}, which no numbers need: they are not read")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def reference(files: zipfile.ZipFile, split: str) -> Reference:
    """The published statistics of a split; fragments and scaffolds as today's RDKit writes them."""
    with zipfile.ZipFile(io.BytesIO(files.read(f"moses/dataset/data/{split}_stats.npz"))) as packed:
        raw = io.BytesIO(packed.read("stats.npy"))
    np.lib.format.read_magic(raw)
    np.lib.format.read_array_header_1_0(raw)
    found = Numbers(raw, encoding="latin1").load().item()
    fragments, scaffolds = (rewritten(found[one][key]) for one, key in (("Frag", "frag"), ("Scaf", "scaf")))
    prints = np.asarray(found["SNN"]["fps"], np.uint8)
    return Reference(found["FCD"]["mu"], found["FCD"]["sigma"], prints, fragments, scaffolds)


def rewritten(counts: dict[str, int]) -> Counter[str]:
    """Counts of canonical SMILES; what RDKit does not read any more keeps its name."""
    found: Counter[str] = Counter()
    for name, count in zip(each(canonical, list(counts)), counts.items(), strict=True):
        found[name or count[0]] += count[1]
    return found


def published(folder: Path) -> dict[str, tuple[list[str], dict[str, float]]]:
    """Samples that others made and the metrics that were published of them, by name, from *.csv and metrics_*.csv."""
    found = {}
    for told in sorted(folder.glob("metrics_*.csv")):
        name = told.stem.removeprefix("metrics_")
        metrics = dict(line.split(",") for line in told.read_text(encoding="ascii").split())
        samples = (folder / f"{name}.csv").read_text(encoding="ascii").splitlines()[1:]
        found[name] = (samples, {key: float(value) for key, value in metrics.items()})
    return found
