"""How often the right word comes back: single-word gaps in held-out text, five candidates of the same length each.

    python benchmarks/fill.py [--shakespeare FILE] [--for 10m] [--gaps 200]

Trains a bidirectional model as a user would, takes words of four letters and more from the held-out tenth, and offers
each beside four other words of its length, drawn from the words of the training text. Prints the share of right words
by what stands to the left alone, by the forward half over the whole text, by the backward half, and by both. Appends to
RESULTS.md.
"""

import argparse
import random
import re
import tempfile
from pathlib import Path

from command import charrnn
from results import append, table
from texts import texts

from charrnn import api
from charrnn.scoring.texts import log_probabilities

LEFT, RIGHT, OTHERS, SHORTEST = 120, 60, 4, 4
HELD_OUT = 0.1


def main() -> None:
    """Train, cut the gaps, offer the candidates."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--shakespeare", type=Path)
    parser.add_argument("--for", dest="budget", default="10m")
    parser.add_argument("--gaps", type=int, default=200)
    arguments = parser.parse_args()
    chance = random.Random(3)
    with tempfile.TemporaryDirectory() as place:
        source = texts(Path(place), arguments.shakespeare)[0]
        charrnn(
            "train", str(source.path), "--bidirectional", "--valid", str(HELD_OUT), "--for", arguments.budget,
            "--seed", "1", "-q", "--checkpoints", place,
        )  # fmt: skip
        model = api.load(checkpoints=Path(place))
        whole, held = source.path.read_text(encoding="utf-8"), api.held_out(model).read()
        known = sorted(set(re.findall(r"\b[a-z]+\b", whole[: len(whole) - len(held)])))
        places = [found for found in re.finditer(rf"\b[a-z]{{{SHORTEST},}}\b", held) if found.start() >= LEFT]
        right = dict.fromkeys(("the left side alone", "forward", "backward", "both"), 0)
        for gap in chance.sample(places, arguments.gaps):
            others = [word for word in known if len(word) == len(gap.group()) and word != gap.group()]
            candidates = [gap.group(), *chance.sample(others, min(OTHERS, len(others)))]
            chance.shuffle(candidates)
            left, after = held[gap.start() - LEFT : gap.start()], held[gap.end() : gap.end() + RIGHT]
            found = model.fill(left, after, candidates)
            lefts = log_probabilities(model.network, [model.tokenizer.encode(left + one) for one in candidates])
            by = {
                "the left side alone": max(zip(lefts, candidates, strict=True))[1],
                "forward": max(found, key=lambda one: one.forward).text,
                "backward": max(found, key=lambda one: one.backward).text,
                "both": max(found, key=lambda one: one.both).text,
            }
            for name, chosen in by.items():
                right[name] += chosen == gap.group()
    append(
        f"Gaps filled, `--bidirectional --for {arguments.budget}`",
        f"{source.name}, {arguments.gaps} words of the held-out tenth, {OTHERS + 1} candidates of one length each.\n",
        table(["by", "right"], [[name, f"{count / arguments.gaps:.1%}"] for name, count in right.items()]),
    )


if __name__ == "__main__":
    main()
