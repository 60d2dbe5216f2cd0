"""Molecules: MOSES's task, 1.6 million SMILES to learn from, 30,000 to write, by its own metrics.

    python benchmarks/moses.py [--for 10m] [--samples 30000] [--seed 1] [--hidden 320] [--folder moses] [-- OPTIONS]
    python benchmarks/moses.py --model FILE          of a model that is trained
    python benchmarks/moses.py --published FOLDER    published samples by these metrics, beside the published figures
    python benchmarks/moses.py --check               metrics and grammar against RDKit, two minutes

Downloads the wheel of the molecules by pip (52 MB) into --folder, which keeps the run as well. Needs RDKit, SciPy and
FCD: pip install rdkit scipy fcd. Trains (OPTIONS are further ones of `charrnn train`), writes at temperature 1 as the
model does, with `--grammar smiles` and with `--sampler masked` as well, and appends to RESULTS.md. Beside the time
given it takes some half an hour on two cores.
"""

import argparse
import random
import sys
import time
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path

if lacking := [name for name in ("rdkit", "scipy", "fcd") if find_spec(name) is None]:
    raise SystemExit(f"the metrics need {' and '.join(lacking)}: pip install rdkit scipy fcd")

import molecules
from command import spent
from moses_data import Data, data, published
from results import append, table

from charrnn import api
from charrnn.generation.grammars.atoms import Spelling
from charrnn.generation.grammars.smiles import Smiles

LONGEST, SAMPLES, ROWS = 200, 30_000, 1000
# How molecules are written: grammar and sampler.
WAYS: dict[str, tuple[str | None, str | None]] = {
    "as drawn": (None, None), "`--grammar smiles`": ("smiles", None), "`--sampler masked`": ("smiles", "masked"),
}  # fmt: skip
# Names of the publication's files; figures of three CharRNN (3 x 768, 80 epochs), means of what it publishes of each.
NAMES = {"novelty": "Novelty", "filters": "Filters"}
PUBLISHED = {
    "valid": 0.9748, "unique@1000": 1.0, "unique@10000": 0.9994, "novelty": 0.8419, "filters": 0.9943,
    "IntDiv": 0.8562, "FCD/Test": 0.0732, "SNN/Test": 0.6015, "Frag/Test": 0.9998, "Scaf/Test": 0.9242,
    "FCD/TestSF": 0.5204, "SNN/TestSF": 0.5649, "Frag/TestSF": 0.9983, "Scaf/TestSF": 0.1101,
}  # fmt: skip
CHECKED, SPELLED, WALKS = 2000, "cC(1)ONn=23F-Ss[Hol]#Br45+e", 300


def main() -> None:
    """Train, write twice, measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--for", dest="time", default="10m")
    parser.add_argument("--samples", type=int, default=SAMPLES)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--hidden", type=int)
    parser.add_argument("--folder", type=Path, default=Path("moses"))
    parser.add_argument("--model")
    parser.add_argument("--published", type=Path)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("options", nargs="*")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    known = data(arguments.folder)
    if arguments.check:
        molecules.check()
        check_grammar(known)
    elif arguments.published:
        compare(arguments.published, known)
    else:
        told, model = trained(arguments, known) if arguments.model is None else ("", arguments.model)
        measure(model, told, arguments, known)


def trained(arguments: argparse.Namespace, known: Data) -> tuple[str, str]:
    """What the training took, and its model."""
    run = arguments.folder / f"charrnn-{arguments.time}-{arguments.seed}"
    command = [
        sys.executable, "-m", "charrnn", "train", str(known.train), "--documents", "lines", "--for", arguments.time,
        "--seed", str(arguments.seed), "--checkpoints", str(arguments.folder), "--name", run.name,
        *(["--hidden", str(arguments.hidden)] if arguments.hidden else []), *arguments.options,
    ]  # fmt: skip
    took = spent(command)
    options = f"`{' '.join(arguments.options)}`, " if arguments.options else ""
    return f"{options}{took.seconds:,.0f} s, {took.processor:,.0f} of processors; ", str(run)


def measure(model: str, told: str, arguments: argparse.Namespace, known: Data) -> None:
    """Both ways of writing, and a row for each metric."""
    columns, seconds = [], []
    for way in WAYS.values():
        began = time.monotonic()
        texts = written(model, arguments.samples, arguments.seed, *way)
        seconds.append(time.monotonic() - began)
        (arguments.folder / f"{'-'.join(filter(None, way)) or 'drawn'}.smi").write_text(
            "\n".join([*texts, ""]), encoding="utf-8"
        )
        columns.append(molecules.measured(texts, known.molecules, known.references, known.smarts))
        print(columns[-1], flush=True)
    of = api.load(model).header
    said = (
        f"{told}{of.config.size}, {of.summary['epoch']:.2f} epochs; "
        f"{arguments.samples:,} samples, seed {arguments.seed}, temperature 1; writing took "
        f"{', '.join(f'{one:,.0f}' for one in seconds)} s. CharRNN: mean of three as published.\n"
    )
    rows = [
        [name, *(f"{column[name]:.4f}" for column in columns), f"{figure:.4f}"] for name, figure in PUBLISHED.items()
    ]
    append("Molecules (MOSES)", said, table(["", *WAYS, "CharRNN, published"], rows))


def written(model: str, count: int, seed: int, grammar: str | None, sampler: str | None) -> list[str]:
    """So many molecules, some side by side; each has a seed of its own, as `charrnn sample -n` has it."""
    parts = [range(first, min(first + ROWS, count)) for first in range(0, count, ROWS)]
    return [text for some in molecules.each(partial(some_of, model, seed, grammar, sampler), parts) for text in some]


def some_of(model: str, seed: int, grammar: str | None, sampler: str | None, rows: range) -> list[str]:
    """Those of these rows."""
    found = loaded(model).samples(
        rows=len(rows),
        seed=seed + rows.start,
        length=LONGEST,
        temperature=1.0,
        grammar=grammar,
        sampler=sampler,
    )
    return [sample.text for sample in found]


@cache
def loaded(model: str) -> api.Model:
    """The model, read once in each process."""
    return api.load(model, threads=1)


def compare(folder: Path, known: Data) -> None:
    """Published samples by these metrics."""
    shown = []
    for name, (samples, told) in published(folder).items():
        found = molecules.measured(samples, known.molecules, known.references, known.smarts)
        for metric, ours in found.items():
            theirs = told[NAMES.get(metric, metric)]
            shown.append([name, metric, f"{theirs:.6f}", f"{ours:.6f}", f"{100 * (ours / theirs - 1):+.2f}%"])
            print(*shown[-1], flush=True)
    append("Molecules: published samples by these metrics", table(["samples", "", "published", "here", ""], shown))


def check_grammar(known: Data) -> None:
    """The grammar holds molecules that are learned from; what walks at random through it write, RDKit reads."""
    empty, draw = Smiles(Spelling(SPELLED)), random.Random(0)
    refused = [text for text in draw.sample(sorted(known.molecules), CHECKED) if not whole(empty, text)]
    walks = [walk(empty, draw) for _ in range(WALKS)]
    wrong = [text for text in walks if molecules.canonical(text) is None]
    print(f"of {CHECKED:,} molecules {len(refused)} refused; of {WALKS:,} walks {len(wrong)} are no molecules:", *wrong)
    if wrong or len(refused) > CHECKED / 1000:
        raise SystemExit("the grammar is wrong")


def whole(empty: Smiles, text: str) -> bool:
    """Whether the grammar holds a text."""
    beginning: Smiles | None = empty
    for character in text:
        beginning = None if beginning is None else beginning.follow(character)
    return beginning is not None and beginning.whole


def walk(beginning: Smiles, draw: random.Random) -> str:
    """A text of at most so many characters, each drawn among all that may come."""
    text, room, stops = "", draw.randint(3, 40), draw.random() / 2
    while not (beginning.whole and draw.random() < stops):
        may_come = [(each, beginning.follow(each)) for each in SPELLED]
        left = room - len(text) - 1
        kept = [(each, after) for each, after in may_come if after is not None and after.ends_within(left)]
        if not kept:
            break
        character, beginning = draw.choice(kept)
        text += character
    return text


if __name__ == "__main__":
    main()
