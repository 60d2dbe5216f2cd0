"""Others' tables beside ours: bits per character against weights, time and energy, as processor seconds.

    python benchmarks/peers.py --shakespeare FILE [--nanogpt FOLDER] [--for 1m 3m | --steps 400] [--seed 1]
    python benchmarks/peers.py --ptb FOLDER --enwik8 FILE [--megabytes 10]

What is published is quoted with its source (published.py). Run here: `charrnn train TEXT --for TIME`, no other option;
and, where a clone of nanoGPT is named, its README's recipe for a CPU, in a copy of that folder. Nothing is downloaded.
tiny-shakespeare: the last tenth is the test, as nanoGPT has it. --ptb: ptb.char.train.txt, .valid.txt, .test.txt with
a space between symbols and _ for one. --enwik8: its first megabytes alone, 90, 5 and 5 percent of them, which makes it
another text than the one that is published of. Draws docs/fields/peers.svg, appends to RESULTS.md.
"""

import argparse
import json
import math
import pickle
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from command import Spent, charrnn, file, spent, train
from published import ALL
from results import append, table

from charrnn.plotting.style import COLOURS, picture

PLOT = Path(__file__).parents[1] / "docs" / "fields" / "peers.svg"
TEXTS = {"shakespeare": "tiny-shakespeare", "ptb": "Penn Treebank", "enwik8": "enwik8"}
PARTS = ("train", "valid", "test")
WINDOWS = (256, 64)
# nanoGPT's README, "I only have a macbook"; its own evaluation takes 20 batches of 12 windows of 64 characters.
RECIPE = (
    "config/train_shakespeare_char.py", "--device=cpu", "--compile=False", "--eval_iters=20", "--log_interval=100",
    "--block_size=64", "--batch_size=12", "--n_layer=4", "--n_head=4", "--n_embd=128", "--max_iters=2000",
    "--lr_decay_iters=2000", "--dropout=0.0",
)  # fmt: skip


@dataclass(frozen=True)
class Task:
    """A text, what `charrnn train` is to know of it, and the file that is scored; None: what the run held out."""

    text: str
    train: Path
    options: tuple[str, ...]
    test: Path | None
    unit: str = "bpc"


@dataclass(frozen=True)
class Ran:
    """What was run here: bits per character with the state carried, and cold every so many; weights and seconds."""

    text: str
    model: str
    weights: int
    carried: float | None
    cold: dict[int, float]
    took: Spent

    @property
    def best(self) -> float:
        """The figure that is drawn: as little of the text known as a transformer's window begins with."""
        return self.cold.get(WINDOWS[0], min(self.cold.values()))


def tasks(arguments: argparse.Namespace, place: Path) -> list[Task]:
    """Those whose files are named."""
    found = []
    if arguments.shakespeare:
        found.append(Task("shakespeare", file(arguments.shakespeare), ("--valid", "0.1"), None))
    if arguments.ptb:
        parts = [file(f"{arguments.ptb}/ptb.char.{part}.txt").read_text(encoding="utf-8") for part in PARTS]
        found.append(_of_parts("ptb", [joined(part) for part in parts], place))
    if arguments.enwik8:
        with open(file(arguments.enwik8), "rb") as data:
            head = data.read(int(arguments.megabytes * 1e6))
        cuts = [head.rfind(b"\n", 0, int(len(head) * share)) + 1 for share in (0.9, 0.95, 1)]
        parts = [head[begin:end].decode("utf-8") for begin, end in zip([0, *cuts], cuts, strict=False)]
        found.append(_of_parts("enwik8", parts, place, "--tokenizer", "byte", unit="bpb"))
    return found


def joined(spaced: str) -> str:
    """A text whose symbols were written with a space between them, and _ for a space."""
    return "".join(line.replace(" ", "").replace("_", " ") + "\n" for line in spaced.splitlines())


def _of_parts(text: str, parts: Sequence[str], place: Path, *options: str, unit: str = "bpc") -> Task:
    paths = [place / f"{text}-{part}.txt" for part in PARTS]
    for path, part in zip(paths, parts, strict=True):
        path.write_text(part, encoding="utf-8", newline="")
    return Task(text, paths[0], ("--valid", str(paths[1]), *options), paths[2], unit)


def ours(task: Task, budget: Sequence[str], seed: int, place: Path) -> Ran:
    """Train as a user would; then every figure of the same test."""
    name, where = f"{task.text}-{budget[1]}", ["--checkpoints", str(place)]
    took = train(str(task.train), *task.options, *budget, "--seed", str(seed), "--name", name, *where)
    asked = ["eval", "-m", name, *where, "--json", "-q", *([str(task.test)] if task.test else [])]
    carried, *cold = (
        json.loads(charrnn(*asked, *every)) for every in ([], *(["--reset-every", str(w)] for w in WINDOWS))
    )
    header = json.loads(charrnn("inspect", "-m", name, *where, "--json"))
    found = {window: each[task.unit] for window, each in zip(WINDOWS, cold, strict=True)}
    return Ran(task.text, f"charrnn `{' '.join(budget)}`", header["parameters"], carried[task.unit], found, took)


def nanogpt(folder: str, text: Path, place: Path) -> Ran:
    """The recipe on the text, prepared as its own script does, in a copy of the folder; what it prints is believed."""
    copy = place / "nanoGPT"
    shutil.copytree(file(f"{folder}/train.py").parent, copy, ignore=shutil.ignore_patterns(".git", "*.png", "*.jpg"))
    data = text.read_text(encoding="utf-8")
    symbols = sorted(set(data))
    ids = np.array([symbols.index(symbol) for symbol in data], np.uint16)
    into = copy / "data" / "shakespeare_char"
    into.mkdir(parents=True, exist_ok=True)
    for part, some in (("train", ids[: len(data) * 9 // 10]), ("val", ids[len(data) * 9 // 10 :])):
        some.tofile(into / f"{part}.bin")
    (into / "meta.pkl").write_bytes(pickle.dumps({"vocab_size": len(symbols)}))
    log = place / "nanoGPT.log"
    took = spent([sys.executable, "train.py", *RECIPE], folder=copy, output=log)
    told = log.read_text(encoding="utf-8")
    losses = [float(loss) for loss in re.findall(r"val loss ([\d.]+)", told)]
    (millions,) = re.findall(r"number of parameters: ([\d.]+)M", told)
    bits = {64: min(losses) / math.log(2)}
    return Ran("shakespeare", "nanoGPT's CPU recipe", round(float(millions) * 1e6), None, bits, took)


def row(ran: Ran) -> list[str]:
    """Its line of the table."""
    bits = ["-" if each is None else f"{each:.3f}" for each in (ran.carried, *map(ran.cold.get, WINDOWS))]
    size = f"{ran.weights / 1e6:.2f} M"
    return [TEXTS[ran.text], ran.model, size, *bits, f"{ran.took.seconds:.0f}", f"{ran.took.processor:.0f}"]


def draw(ran: Sequence[Ran]) -> None:
    """Bits against weights, with what is published; and against processor seconds, what was run here."""
    with picture(columns=2) as ((weights, work), drawn):
        for colour, text in zip(COLOURS, dict.fromkeys(each.text for each in ran), strict=False):
            others = [(each.weights, each.bpc) for each in ALL if each.text == text and each.weights and each.bpc]
            weights.scatter(
                *zip(*others, strict=True), facecolors="none", edgecolors=colour, label=f"{TEXTS[text]}, published"
            )
            for marker, whose in (("o", "charrnn"), ("s", "nanoGPT")):
                own = [each for each in ran if each.text == text and each.model.startswith(whose)]
                bits, style = [each.best for each in own], {"color": colour, "marker": marker}
                if own:
                    weights.scatter(
                        [each.weights / 1e6 for each in own], bits, **style, label=f"{TEXTS[text]}, {whose} here"
                    )
                    work.scatter([each.took.processor for each in own], bits, **style)
        for axes, name in ((weights, "weights, millions"), (work, "processor seconds")):
            axes.set_xscale("log")
            axes.set_xlabel(name)
        weights.set_ylabel("bits per character")
        weights.legend(frameon=False, fontsize=8)
    PLOT.write_bytes(drawn.getvalue())


def main() -> None:
    """Every text that is named, the short times first; then nanoGPT."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    for name in ("--shakespeare", "--ptb", "--enwik8", "--nanogpt"):
        parser.add_argument(name)
    parser.add_argument("--megabytes", type=float, default=10)
    parser.add_argument("--for", dest="times", nargs="+", default=["1m", "3m"])
    parser.add_argument("--steps", nargs="+", help="instead of times, where other programs are at work")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    budgets = [("--steps", n) for n in arguments.steps or ()] or [("--for", time) for time in arguments.times]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        found = tasks(arguments, place)
        if not found or (arguments.nanogpt and not arguments.shakespeare):
            raise SystemExit("name a text: --shakespeare FILE (which --nanogpt needs), --ptb FOLDER or --enwik8 FILE")
        ran = []
        for task in found:
            for budget in budgets:
                ran.append(ours(task, budget, arguments.seed, place))
                print(*row(ran[-1]), flush=True)
            if arguments.nanogpt and task.text == "shakespeare":
                ran.append(nanogpt(arguments.nanogpt, task.train, place))
                print(*row(ran[-1]), flush=True)
    draw(ran)
    quoted = [
        [TEXTS[each.text], each.model, f"{each.weights or '-'}", f"{each.bpc or '-'}", each.cost, each.source]
        for each in ALL if each.text in {one.text for one in ran}
    ]  # fmt: skip
    whole = "Here: the whole test, state carried, or cold every 256 or 64 characters; nanoGPT's by what it prints.\n"
    head = ["text", "run here", "weights", "carried", "cold 256", "cold 64", "seconds", "processor seconds"]
    published = ["text", "published, not run here", "weights, M", "bits per character", "cost", "source"]
    append("Peers", whole, table(head, [row(each) for each in ran]), table(published, quoted))


if __name__ == "__main__":
    main()
