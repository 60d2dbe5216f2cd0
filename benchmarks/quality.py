"""The best model that fits in a time: `charrnn train CORPUS --for TIME`, no other option, over corpora and seeds.

    python benchmarks/quality.py [--shakespeare FILE] [--times 1m 3m 10m] [--seeds 1 2 3] [--only book names]
        [--reference 860] [--adapt]

Prints, for every corpus and time, the medians over the seeds of the held-out tenth's figures: state carried, and cold
(reset every 256 characters; lines begin cold anyhow), by the network alone, beside weights, characters seen and the
time that the whole command took. With --adapt also by counts that learn as they read, and by those and dynamic
evaluation. With --reference times are those of a machine that multiplies bf16 at so many GFLOP/s: here each is
multiplied by that over what this machine does. Draws validation against the clock in quality.svg and appends to
RESULTS.md.
"""

import argparse
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from command import charrnn
from results import append, table
from speed import square_product
from texts import Text, texts

from charrnn.config import ModelConfig
from charrnn.config.durations import parse_duration
from charrnn.plotting.style import COLOURS, picture
from charrnn.storage.runs import Run as Folder

PLOT = Path(__file__).with_name("quality.svg")
COLD = 256
HEAD = [
    "corpus", "time", "seeds", "network", "weights", "characters seen", "nats, state carried", "cold", "network alone",
    "bpc", "seconds, whole command",
]  # fmt: skip
ADAPTED = {"adapted_counts": "counts that learn", "adapted_both": "and the network"}


@dataclass(frozen=True)
class Run:
    """One training, judged; figures are nats and bits per character, `curve` seconds and validation nats."""

    text: str
    time: str
    seed: int
    loss: float
    bpc: float
    cold: float | None
    alone: float
    adapted: dict[str, float]
    network: str
    weights: int
    seen: int
    seconds: float
    curve: list[tuple[float, float]]


def train(
    text: Text, budget: str, seed: int, folder: Path, adapt: bool, device: str | None = None, slower: float = 1.0
) -> Run:
    """Train as a user would, so many times as long, then ask the model's own file and `charrnn eval`."""
    name = f"{text.name}-{budget}-{seed}"
    place, on = ["--checkpoints", str(folder)], ["--device", device] if device else []
    given = budget if slower == 1 else f"{parse_duration(budget) * slower:.0f}s"
    asked = [*text.options, "--for", given, "--seed", str(seed), "--name", name, "-q", *place, *on]
    began = time.monotonic()
    charrnn("train", str(text.path), *asked)
    seconds = time.monotonic() - began
    model = ["-m", name, *place, "--json", "-q"]
    plain = json.loads(charrnn("eval", *model, *on, *(["--adapt", "both"] if adapt else [])))
    lines = "lines" in text.options
    cold = None if lines else json.loads(charrnn("eval", *model, *on, "--reset-every", str(COLD)))["loss"]
    header: dict[str, Any] = json.loads(charrnn("inspect", *model[:-1]))
    config = ModelConfig.from_json(header["model"])
    events = list(Folder(folder / name).read_metrics())
    return Run(
        text=text.name,
        time=budget,
        seed=seed,
        loss=plain["nats"] / plain["chars"],
        bpc=plain["bpc"],
        cold=cold,
        alone=plain.get("network", plain)["loss"],
        adapted={part: plain[part]["loss"] for part in ADAPTED if part in plain},
        network=f"{config.size}{config.manner}",
        weights=header["parameters"],
        seen=events[-1]["tokens"],
        seconds=seconds,
        curve=[(event["seconds"], event["valid_bpc"]) for event in events if "valid_bpc" in event],
    )


def product_rate() -> float:
    """GFLOP/s of a product of two 4096 x 4096 matrices in bf16, the best of several: others may be at work."""
    measure, operations = square_product("bfloat16"), 2e-9 * 4096**3
    measure(1)
    return max(3 * operations / measure(3) for _ in range(5))


def draw(runs: list[Run]) -> None:
    """Validation against the clock, one panel for each corpus, one line for each run."""
    names = list(dict.fromkeys(run.text for run in runs))
    times = list(dict.fromkeys(run.time for run in runs))
    with picture(columns=len(names), size=(4 * len(names), 3.6)) as (panels, drawn):
        for axis, name in zip(panels, names, strict=True):
            for run in (run for run in runs if run.text == name):
                colour = COLOURS[times.index(run.time) % len(COLOURS)]
                label = f"--for {run.time}" if run.seed == runs[0].seed else None
                axis.plot(*zip(*run.curve, strict=True), ".-", color=colour, label=label)
            axis.set_xscale("log")
            axis.set_title(name)
            axis.set_xlabel("seconds")
        panels[0].set_ylabel("validation, bits per character")
        panels[0].legend(frameon=False)
    PLOT.write_bytes(drawn.getvalue())


def rows(runs: list[Run]) -> list[list[str]]:
    """The medians over the seeds."""
    found = []
    for text, budget in dict.fromkeys((run.text, run.time) for run in runs):
        same = [run for run in runs if (run.text, run.time) == (text, budget)]
        cold = "-" if same[0].cold is None else f"{median(run.cold or 0 for run in same):.4f}"
        adapted = [f"{median(run.adapted[part] for run in same):.4f}" for part in same[0].adapted]
        found.append([
            text, budget, str(len(same)), same[0].network, f"{same[0].weights / 1e6:.2f} M",
            f"{median(run.seen for run in same) / 1e6:.1f} M", f"{median(run.loss for run in same):.4f}", cold,
            f"{median(run.alone for run in same):.4f}", f"{median(run.bpc for run in same):.4f}",
            f"{median(run.seconds for run in same):.0f}", *adapted,
        ])  # fmt: skip
    return found


def main() -> None:
    """Every corpus, time and seed, the short ones first."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--shakespeare", type=Path)
    parser.add_argument("--times", nargs="+", default=["1m", "3m", "10m"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--only", nargs="+")
    parser.add_argument("--reference", type=float)
    parser.add_argument("--adapt", action="store_true")
    arguments = parser.parse_args()
    runs, slower, times = [], 1.0, ""
    if arguments.reference:
        slower = arguments.reference / (here := product_rate())
        times = (
            f" Times x {slower:.2f}: a product of 4096 x 4096 in bf16 runs at {here:.0f} GFLOP/s here, "
            f"and they are those of {arguments.reference:.0f}."
        )
        print(times, flush=True)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for budget in arguments.times:
            for text in texts(folder, arguments.shakespeare):
                if arguments.only and text.name not in arguments.only:
                    continue
                for seed in arguments.seeds:
                    runs.append(train(text, budget, seed, folder / "checkpoints", arguments.adapt, slower=slower))
                    print(*rows(runs[-1:])[0], flush=True)
    draw(runs)
    head = HEAD + (list(ADAPTED.values()) if arguments.adapt else [])
    said = f"The last tenth of each text, held out; medians over the seeds.{times}\n"
    append("Quality", said, table(head, rows(runs)))


if __name__ == "__main__":
    main()
