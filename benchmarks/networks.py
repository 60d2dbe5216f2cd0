"""Every cell and every way between layers, at equal parameters and equal time, on one text.

    python benchmarks/networks.py [--shakespeare FILE] [--for 1m] [--parameters 1000000] [--only lstm gru]

Each network has the width whose count of weights comes closest, two layers, and the defaults for the rest. As many are
trained at once as there are cores, each by one thread. Prints bits per character on the held-out tenth, the state reset
every 256 of them; characters a second in training, the half-life of the gradient in each layer, and the share of
clipped steps. Appends to RESULTS.md.
"""

import argparse
import math
import os
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from command import charrnn
from results import append, table
from texts import texts

from charrnn.analysis.gradient_history import GradientHistory
from charrnn.config import ModelConfig
from charrnn.models.cells import CELLS
from charrnn.models.connections import CONNECTIONS
from charrnn.models.weights import weight_shapes
from charrnn.storage.runs import Run

LAYERS, EMBEDDING, SYMBOLS = 2, 128, 65
COLD = 256


def parameters(cell: str, skip: str | None, hidden: int) -> int:
    """How many numbers the weights of such a network are."""
    config = ModelConfig(
        vocab_size=SYMBOLS, start_id=SYMBOLS, cell=cell, layers=LAYERS, hidden=hidden, embedding=EMBEDDING, skip=skip
    )
    return sum(math.prod(shape) for shape in weight_shapes(config).values())


def width(cell: str, skip: str | None, wanted: int) -> int:
    """The multiple of 16 that comes closest to so many parameters."""
    return min(range(16, 4096, 16), key=lambda hidden: abs(parameters(cell, skip, hidden) - wanted))


@dataclass(frozen=True)
class Network:
    """One line of the table: what is trained, in a run of the folder's."""

    cell: str
    skip: str | None
    hidden: int
    folder: Path

    @property
    def name(self) -> str:
        """As the table has it, and the run."""
        return self.cell if self.skip is None else f"{self.cell}-{self.skip}"

    @property
    def run(self) -> Run:
        """Its files."""
        return Run(self.folder / self.name)

    @property
    def place(self) -> list[str]:
        """The options that say where its run is."""
        return ["--checkpoints", str(self.folder), "-q"]


def train(network: Network, text: Path, budget: str) -> bool:
    """Train one network as a user would; whether it came to a finite end."""
    how = [
        "--valid",
        "0.1",
        "--for",
        budget,
        "--ensemble",
        "1",
        "--seed",
        "1",
        "--threads",
        "1",
        "--name",
        network.name,
    ]
    size = ["--layers", str(LAYERS), "--hidden", str(network.hidden), "--skip", network.skip or "none"]
    try:
        charrnn("train", str(text), *how, "--cell", network.cell, *size, *network.place)
    except subprocess.CalledProcessError:
        if not network.run.metrics.exists():  # it never began: no network's fault
            raise
        return False
    return True


def judge(network: Network, finite: bool) -> list[str]:
    """Its row of the table."""
    count = f"{parameters(network.cell, network.skip, network.hidden):,}"
    head = [network.name, f"{LAYERS} x {network.hidden}", count]
    if not finite:
        print(*head, "given up", flush=True)
        return [*head, *["-"] * 4, "given up"]
    which = ["-m", network.name, *network.place]
    bpc = float(charrnn("eval", "--metric", "bpc", "--reset-every", str(COLD), "--threads", "1", *which))
    halves = charrnn("inspect", "gradients", "--seed", "1", *which).split()
    events = list(network.run.read_metrics())
    training = GradientHistory.of(events)
    assert training is not None
    row = [
        *head, f"{events[-1]['tokens'] / 1e6:.2f} M", f"{events[-1]['tokens'] / events[-1]['seconds'] / 1e3:.1f} k",
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
    kinds = [(cell, None) for cell in CELLS] + [("lstm", skip) for skip in CONNECTIONS if skip]
    with tempfile.TemporaryDirectory() as place, ThreadPoolExecutor(os.cpu_count()) as pool:
        text = texts(Path(place), arguments.shakespeare)[0]
        networks = [
            Network(cell, skip, width(cell, skip, arguments.parameters), Path(place))
            for cell, skip in kinds
            if not arguments.only or cell in arguments.only
        ]
        # All are trained before any is judged: what is judged takes as much of the machine as it likes.
        ends = list(pool.map(lambda network: train(network, text.path, arguments.budget), networks))
        rows = list(pool.map(judge, networks, ends))
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
