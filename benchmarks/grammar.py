"""What of grammar is learned: minimal pairs by an LSTM and a simple network of equal time, beside a 5-gram of words.

    python benchmarks/grammar.py --made [--for 1m] [--seeds 1 2 3]
    python benchmarks/grammar.py TEXT PAIRS... [--for 3m] [--seeds 1]
    python benchmarks/grammar.py ... --steps 1500 3000     where other programs are at work: steps of each network
                                                            (and --hidden 256 512: their sizes, not the plan's)

With --made nothing is needed: text and pairs are sentences of a small grammar (sentences.py), whose verb agrees with a
subject that zero to four nouns of the other number stand behind. Draws docs/fields/grammar.svg.

TEXT has one sentence a line. PAIRS are files that `charrnn eval --pairs` reads, or folders of them; each is a set of
its own: BLiMP's folder `data`, `generated.gold` and `subj_agr_filtered.gold` of Gulordava et al. (2018). Prints the
accuracy of each set and of its groups (phenomena, attractors); a tie is wrong. Appends to RESULTS.md.
"""

import argparse
import os
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import sentences
from command import file, train
from ngrams import ORDER, WordGrams
from results import append, table

from charrnn import api
from charrnn.plotting.style import COLOURS, picture
from charrnn.scoring.pairs import PairScores
from charrnn.storage.runs import Run
from charrnn.text.pairs import Pair, read_pairs

PICTURE = Path(__file__).parents[1] / "docs" / "fields" / "grammar.svg"
CELLS = {"LSTM": "lstm", "simple network": "rnn"}
SENTENCES, PAIRS_EACH = 20_000, 500
# The made text is small: networks as large as the plan takes for its time learn it slower.
MADE: tuple[str, ...] = ("--layers", "1", "--hidden", "128")
MOST_GROUPS = 15  # kinds of more groups are left out: BLiMP's 67 UIDs

Sets = Mapping[str, Sequence[Pair]]
Scores = dict[str, PairScores]


def read_sets(given: Sequence[str]) -> Sets:
    """The pairs of each file or folder, under its name."""
    found = {}
    for name in given:
        path = file(name)
        inside = sorted(map(str, path.glob("*.jsonl"))) if path.is_dir() else [name]
        if not inside:
            raise SystemExit(f"{name} holds no *.jsonl")
        found[path.parent.name if path.name == "data" else path.stem] = read_pairs(inside)
    return found


@dataclass(frozen=True)
class Training:
    """A network to train: what the table calls it, its cell, options of how long and how large, its seed."""

    network: str
    cell: str
    options: tuple[str, ...]
    seed: int

    def run(self, text: Path) -> tuple[api.Model, list[str]]:
        """The network alone, without counts, as a user would train it, and its row of what it took."""
        place, name = text.parent / "checkpoints", f"{self.cell}-{self.seed}"
        took = train(
            str(text), "--documents", "lines", "--cell", self.cell, "--seed", str(self.seed), "--no-counts",
            "--ensemble", "1", "--name", name, "--checkpoints", str(place), *self.options,
        )  # fmt: skip
        model, last = api.load(name, checkpoints=place), list(Run(place / name).read_metrics())[-1]
        row = [
            self.network, model.config.size, str(self.seed), f"{model.header.parameters / 1e6:.2f} M",
            f"{last['step']:,}", f"{last['tokens'] / 1e6:.1f} M", f"{took.processor:.0f}",
        ]  # fmt: skip
        print(*row, flush=True)
        return model, row


def accuracy(scores: Sequence[PairScores]) -> tuple[float, float]:
    """Of one set by each seed: the mean share of right pairs and its standard error, over pairs and over seeds."""
    right = np.array([each.right for each in scores])
    variance = right.mean(0).var() / right.shape[1]
    if len(scores) > 1:
        variance += right.mean(1).var(ddof=1) / len(scores)
    return float(right.mean()), float(np.sqrt(variance))


def shown(scores: Sequence[PairScores]) -> str:
    """'0.812 ± 0.004', with the share of ties where there are some."""
    mean, error = accuracy(scores)
    ties = sum(each.ties for each in scores) / sum(each.pairs for each in scores)
    return f"{mean:.3f} ± {error:.3f}" + (f" ({ties:.0%} tied)" if ties >= 0.005 else "")


def rows(readers: Mapping[str, Sequence[Scores]]) -> list[list[str]]:
    """A row for each set, and for each group of each kind that has not too many."""
    found = []
    first = next(iter(readers.values()))[0]
    for name, whole in first.items():
        groups = [(by, group) for by, some in whole.by.items() if len(some) <= MOST_GROUPS for group in some]
        found.append(
            [f"**{name}**", f"{whole.pairs:,}", *(shown([each[name] for each in all_]) for all_ in readers.values())]
        )
        for by, group in groups:
            some = [[each[name].by[by][group] for each in all_] for all_ in readers.values()]
            found.append([f"{by}: {group}", f"{some[0][0].pairs:,}", *map(shown, some)])
    return found


def draw(readers: Mapping[str, Sequence[Scores]]) -> None:
    """Accuracy by attractors, a line for each reader, with standard errors."""
    with picture() as ((axes,), drawn):
        for colour, (name, scores) in zip(COLOURS, readers.items(), strict=False):
            by = [each["made"].by["attractors"] for each in scores]
            points = [accuracy([each[group] for each in by]) for group in by[0]]
            means, errors = zip(*points, strict=True)
            axes.errorbar(list(by[0]), means, errors, fmt="o-", color=colour, capsize=3, label=name)
        axes.axhline(0.5, color="#999999", linestyle=":")
        axes.set_ylim(-0.03, 1.03)
        axes.set_xlabel("nouns of the other number between subject and verb")
        axes.set_ylabel("verbs that agree, share of pairs")
        axes.legend(frameon=False)
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_bytes(drawn.getvalue())


def main() -> None:
    """The n-gram, then each network with each seed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("files", nargs="*", metavar="TEXT PAIRS")
    parser.add_argument("--made", action="store_true")
    parser.add_argument("--for", dest="budget")
    parser.add_argument("--steps", nargs=2, metavar=tuple(CELLS.values()))
    parser.add_argument("--hidden", nargs=2, metavar=tuple(CELLS.values()))
    parser.add_argument("--seeds", type=int, nargs="+")
    arguments = parser.parse_args()
    if arguments.made == bool(arguments.files) or len(arguments.files) == 1:
        raise SystemExit("give --made, which needs no file, or a text of one sentence a line and files of pairs")
    steps, budget = arguments.steps, arguments.budget or ("1m" if arguments.made else "3m")
    seeds = arguments.seeds or ([1, 2, 3] if arguments.made else [1])
    if arguments.made:
        lines, options = sentences.text(SENTENCES, seed=1), MADE
        sets: Sets = {"made": list(sentences.pairs(PAIRS_EACH, seed=1))}
    else:
        lines, options = file(arguments.files[0]).read_text(encoding="utf-8").splitlines(), ()
        sets = read_sets(arguments.files[1:])

    def long(place: int) -> list[str]:
        size = ["--hidden", arguments.hidden[place]] if arguments.hidden else []
        return [*size, *(["--steps", steps[place], "--threads", "1"] if steps else ["--for", budget])]

    trainings = [
        Training(network, cell, (*options, *long(place)), seed)
        for place, (network, cell) in enumerate(CELLS.items())
        for seed in seeds
    ]
    grams = WordGrams(lines)
    readers = {f"{ORDER}-gram of words": [{name: grams.pairs(pairs) for name, pairs in sets.items()}]}
    # Steps are the same beside other programs: as many networks at once as there are cores.
    with tempfile.TemporaryDirectory() as place, ThreadPoolExecutor(os.cpu_count() if steps else 1) as pool:
        text = Path(place) / "text.txt"
        text.write_text("\n".join(lines) + "\n", encoding="utf-8")
        trained = list(pool.map(lambda each: each.run(text), trainings))
        for each, (model, _) in zip(trainings, trained, strict=True):
            scores = {name: model.pairs(pairs, unknown=True) for name, pairs in sets.items()}
            readers.setdefault(each.network, []).append(scores)
    if arguments.made:
        draw(readers)
    append(
        "Grammar, " + (f"`--steps {' '.join(steps)}`" if steps else f"`--for {budget}`"),
        f"{'Sentences made' if arguments.made else Path(arguments.files[0]).name}: {len(lines):,} sentences, "
        f"{sum(map(len, lines)) / 1e6:.1f} M characters. Accuracy ± standard error; a tie is wrong.\n",
        table(
            ["network", "size", "seed", "weights", "steps", "characters read", "processor seconds"],
            [row for _, row in trained],
        ),
        table(["pairs of", "n", *readers], rows(readers)),
    )


if __name__ == "__main__":
    main()
