"""The task of names, in the unit of those who made it known: nats per character, the end of each name included.

    python benchmarks/names.py [FILE] [--for 10s 1m] [--seeds 1 2 3]

FILE is a list of names, one a line; without it the bundled register of a town. A tenth of the names, drawn at random
and at most a thousand, is the test; the rest is learned from, and a part of it held out to choose the best network. For
makemore's list (32,033 names, names.txt of github.com/karpathy/makemore) these are the very names of its own test.
Prints the loss of the test, beside counts and by the network alone, how many of 1,000 names written are new, and how
long training took, beside what is published. Appends to RESULTS.md.
"""

import argparse
import json
import tempfile
from pathlib import Path
from statistics import median

import torch
from command import Spent, charrnn, file, train
from results import append, table
from texts import CORPORA

TEST_SHARE, MOST_TESTED = 0.1, 1000
MAKEMORE_SEED, MAKEMORE_NAMES = 3407, 32_033
WRITTEN = 1000
# Of makemore's names.txt. Nats per character and end.
PUBLISHED = [
    ["makemore, transformer of 200 k weights", "test", "1.92", "makemore's README"],
    ["microgpt, 4,192 weights, 1,000 steps", "training", "2.37", "karpathy.github.io/2026/02/12/microgpt"],
]  # fmt: skip


def parted(names: list[str]) -> tuple[list[str], list[str]]:
    """Names to learn from and those of the test, as makemore parts its list: by torch's permutation of one seed."""
    order = torch.randperm(len(names), generator=torch.Generator().manual_seed(MAKEMORE_SEED)).tolist()
    tested = min(MOST_TESTED, int(len(names) * TEST_SHARE))
    shuffled = [names[place] for place in order]
    return shuffled[:-tested], shuffled[-tested:]


def judged(name: str, place: Path, learned: list[str], took: Spent) -> list[float]:
    """Loss of the test beside counts and by the network alone, shares of new and of different names, what it took."""
    model = ["-m", name, "--checkpoints", str(place), "-q"]
    found = json.loads(charrnn("eval", *model, "--json", str(place / "test.txt")))
    alone = found["network_nats"] / found["tokens"] if "network_nats" in found else found["loss"]
    written = charrnn("sample", *model, "-n", str(WRITTEN), "--seed", "1", "--temp", "1").splitlines()
    new, known = [each for each in written if each], set(learned)
    return [
        found["loss"],
        alone,
        sum(each not in known for each in new) / len(new),
        len(set(new)) / len(new),
        took.seconds,
        took.processor,
    ]


def main() -> None:
    """Each time with each seed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("file", nargs="?", default=str(CORPORA / "names.txt"))
    parser.add_argument("--for", dest="times", nargs="+", default=["10s", "1m"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    arguments = parser.parse_args()
    names = file(arguments.file).read_text(encoding="utf-8").split("\n")
    names = [name.strip() for name in names if name.strip()]
    if len(names) < 1 / TEST_SHARE:
        raise SystemExit(f"{arguments.file} holds {len(names)} names: at least ten must be there, one a line")
    learned, tested = parted(names)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for part, some in {"learned": learned, "test": tested}.items():
            (place / f"{part}.txt").write_text("\n".join(some) + "\n", encoding="utf-8")
        for budget in arguments.times:
            runs = []
            for seed in arguments.seeds:
                name = f"{budget}-{seed}"
                took = train(
                    str(place / "learned.txt"), "--documents", "lines", "--for", budget, "--seed", str(seed),
                    "--name", name, "--checkpoints", folder,
                )  # fmt: skip
                runs.append(judged(name, place, learned, took))
                size = json.loads(charrnn("inspect", "-m", name, "--checkpoints", folder, "--json"))
            loss, alone, new, different, seconds, processor = (median(each) for each in zip(*runs, strict=True))
            rows.append([
                f"`--for {budget}`, {size['parameters']:,} weights", str(len(runs)), f"{loss:.4f}", f"{alone:.4f}",
                f"{new:.1%}", f"{different:.1%}", f"{seconds / 60:.2f}", f"{processor:.0f}",
            ])  # fmt: skip
            print(*rows[-1], flush=True)
    head = [
        "network", "seeds", "nats per character and end", "the network alone", f"new, of {WRITTEN:,}", "different",
        "minutes", "processor seconds",
    ]  # fmt: skip
    told = f"{Path(arguments.file).name}: {len(learned):,} names to learn from, {len(tested):,} to test; medians.\n"
    quoted = (
        [table(["published, not run here", "of", "nats", "source"], PUBLISHED)] if len(names) == MAKEMORE_NAMES else []
    )
    append("Names", told, table(head, rows), *quoted)


if __name__ == "__main__":
    main()
