"""Every cell and every way between layers, at equal parameters and equal time, on one text.

    python benchmarks/networks.py [--shakespeare FILE] [--for 1m] [--parameters 1000000] [--only lstm gru]

Each network has the width whose count of weights comes closest, two layers, and the defaults for the rest. As many are
trained at once as there are cores, each by one thread. Prints bits per character on the held-out tenth, characters a
second in training, the half-life of the gradient in each layer, and the share of clipped steps. Appends to RESULTS.md.
"""

import argparse
import json
import math
import os
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from command import charrnn
from results import append, table
from texts import texts

from charrnn.config import ModelConfig
from charrnn.inspection.record import GradientRecord
from charrnn.models.cells import CELLS
from charrnn.models.connections import CONNECTIONS
from charrnn.models.weights import weight_shapes

LAYERS, EMBEDDING, SYMBOLS = 2, 128, 65


def parameters(cell: str, skip: str | None, hidden: int) -> int:
    """How many numbers the weights of such a network are."""
    config = ModelConfig(
        vocab_size=SYMBOLS, start_id=SYMBOLS, cell=cell, layers=LAYERS, hidden=hidden, embedding=EMBEDDING, skip=skip
    )
    return sum(math.prod(shape) for shape in weight_shapes(config).values())


def width(cell: str, skip: str | None, wanted: int) -> int:
    """The multiple of 16 that comes closest to so many parameters."""
    return min(range(16, 4096, 16), key=lambda hidden: abs(parameters(cell, skip, hidden) - wanted))


def measure(text: Path, cell: str, skip: str | None, wanted: int, budget: str) -> list[str]:
    """Train one network as a user would; its row of the table, also where it does not come to a finite end."""
    hidden = width(cell, skip, wanted)
    name, size = cell if skip is None else f"{cell}, {skip}", f"{LAYERS} x {hidden}"
    network = ["--cell", cell, "--layers", str(LAYERS), "--hidden", str(hidden), "--skip", skip or "none"]
    with tempfile.TemporaryDirectory() as folder:
        place = ["--checkpoints", folder]
        how = ["--valid", "0.1", "--for", budget, "--members", "1", "--seed", "1", "--threads", "1", "-q"]
        try:
            charrnn("train", str(text), *how, *network, *place)
        except subprocess.CalledProcessError:
            given_up = [name, size, f"{parameters(cell, skip, hidden):,}", *["-"] * 4, "given up"]
            print(*given_up, flush=True)
            return given_up
        bpc = float(charrnn("eval", "-q", "--metric", "bpc", *place))
        halves = charrnn("inspect", "gradients", "-q", "--seed", "1", *place).split()
        (metrics,) = Path(folder).glob("*/metrics.jsonl")
        events = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]
    training = GradientRecord.of(events)
    assert training is not None
    row = [
        name, size, f"{parameters(cell, skip, hidden):,}",
        f"{events[-1]['tokens'] / 1e6:.2f} M", f"{events[-1]['tokens'] / events[-1]['seconds'] / 1e3:.1f} k",
        " / ".join("never" if half == "None" else f"{float(half):.1f}" for half in halves),
        f"{training.share_clipped:.0%}", f"{bpc:.4f}",
    ]  # fmt: skip
    print(*row, flush=True)
    return row


def main() -> None:
    """Every cell stacked, then the ways between layers for the LSTM."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--shakespeare", type=Path)
    parser.add_argument("--for", dest="budget", default="1m")
    parser.add_argument("--parameters", type=int, default=1_000_000)
    parser.add_argument("--only", nargs="+")
    arguments = parser.parse_args()
    networks = [(cell, None) for cell in CELLS] + [("lstm", skip) for skip in CONNECTIONS if skip]
    with tempfile.TemporaryDirectory() as place, ThreadPoolExecutor(os.cpu_count()) as pool:
        text = texts(Path(place), arguments.shakespeare)[0]
        under_way = [
            pool.submit(measure, text.path, cell, skip, arguments.parameters, arguments.budget)
            for cell, skip in networks
            if not arguments.only or cell in arguments.only
        ]
        rows = [each.result() for each in under_way]
    head = [
        "network", "size", "parameters", "characters read", "a second", "gradient halves in, layer 1 / 2", "clipped",
        "bpc",
    ]  # fmt: skip
    append(
        f"Networks at equal parameters, `--for {arguments.budget}`",
        f"{text.name}, one seed, one thread each; the last tenth held out.\n",
        table(head, rows),
    )


if __name__ == "__main__":
    main()
