"""Is the default any good? Against the best of a random search over the options of `charrnn train`, same time each.

    python benchmarks/search.py [--shakespeare FILE] [--for 1m] [--runs 12] [--only book names]

Each draw takes cell, layers, width, dropout, weight drop, learning rate, weight decay, rows, window and the number of
networks at random from wide ranges; the draws are the same for every corpus. Prints each run's bits per character on
the held-out tenth, and how far the default is from the best. Appends to RESULTS.md.
"""

import argparse
import json
import random
import tempfile
from pathlib import Path

from command import charrnn
from results import append, table
from texts import Text, texts


def draw(random: random.Random) -> dict[str, str]:
    """One random choice of everything that the default chooses."""
    return {
        "--cell": random.choice(["lstm", "lstm", "gru"]),
        "--layers": str(random.choice([1, 2, 2, 3])),
        "--hidden": str(random.choice([128, 192, 256, 320, 384, 512, 640])),
        "--dropout": f"{random.choice([0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4]):g}",
        "--weight-drop": f"{random.choice([0, 0, 0, 0.1, 0.3]):g}",
        "--lr": f"{10 ** random.uniform(-2.7, -1.8):.2g}",
        "--weight-decay": f"{10 ** random.uniform(-3, -0.7):.2g}",
        "--batch-size": str(random.choice([16, 32, 32, 64])),
        "--bptt": str(random.choice([32, 64, 64, 128])),
        "--ensemble": str(random.choice([1, 1, 2, 3])),
    }


def bpc(text: Text, budget: str, options: dict[str, str]) -> float:
    """Train and judge as a user would, in a folder that is gone afterwards."""
    given = [part for option in options.items() for part in option]
    with tempfile.TemporaryDirectory() as folder:
        place = ["--checkpoints", folder, "-q"]
        charrnn("train", str(text.path), "--for", budget, "--seed", "1", *text.options, *given, *place)
        return float(json.loads(charrnn("eval", "--json", *place))["bpc"])


def main() -> None:
    """The default first, then the draws."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--shakespeare", type=Path)
    parser.add_argument("--for", dest="budget", default="1m")
    parser.add_argument("--runs", type=int, default=12)
    parser.add_argument("--only", nargs="+")
    arguments = parser.parse_args()
    source = random.Random(7)
    draws = [draw(source) for _ in range(arguments.runs)]
    summary, every = [], []
    with tempfile.TemporaryDirectory() as place:
        for text in texts(Path(place), arguments.shakespeare):
            if arguments.only and text.name not in arguments.only:
                continue
            default = bpc(text, arguments.budget, {})
            print(f"{text.name}: default {default:.4f}", flush=True)
            found = []
            for options in draws:
                found.append((bpc(text, arguments.budget, options), options))
                every.append([text.name, f"{found[-1][0]:.4f}", " ".join(map(" ".join, options.items()))])
                print(*every[-1], flush=True)
            best = min(found, key=lambda one: one[0])[0]
            summary.append([text.name, f"{default:.4f}", f"{best:.4f}", f"{default / best - 1:+.1%}"])
    append(
        f"Default against {arguments.runs} random draws",
        f"`--for {arguments.budget}`, one seed, bits per character of the held-out tenth.\n",
        table(["corpus", "default", "best draw", "default is longer by"], summary),
        table(["corpus", "bpc", "options"], every),
    )


if __name__ == "__main__":
    main()
