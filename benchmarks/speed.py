"""Training and generation against the loops that everyone writes, and against what the machine can do.

    python benchmarks/speed.py [--quick] [--generation [HIDDEN ...]]

Ours and the stock loop run in processes of their own, for they want other settings of the C library, and take turns:
what disturbs the machine disturbs both. Prints medians, ratios and shares of the ceiling, draws speed.svg, and appends
to RESULTS.md. --quick measures two sizes in a minute and writes nothing; --generation leaves out training
and starting, draws nothing, and may be given widths.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import IO, Any

SIZES = [(2, 128), (2, 256), (2, 512), (3, 1024)]
FORMULAS = ["lstm-peephole", "lstm-coupled", "lstm-layernorm"]
BATCH, WINDOW = 64, 128
EMBEDDING, SYMBOLS = 128, 65
PLOT = Path(__file__).with_name("speed.svg")


@dataclass(frozen=True)
class Shape:
    """One network."""

    cell: str
    layers: int
    hidden: int

    def __str__(self) -> str:
        return f"{self.cell} {self.layers} x {self.hidden}"

    @property
    def gates(self) -> int:
        """G, in units of H."""
        return {"lstm": 4, "gru": 3, "rnn": 1}[self.cell]

    def operations(self) -> float:
        """Floating-point operations of one character, forward and backward: three products for each matrix."""
        gates = self.gates * self.hidden
        inputs = [EMBEDDING, *[self.hidden] * (self.layers - 1)]
        return 6.0 * (sum(gates * (size + self.hidden) for size in inputs) + SYMBOLS * self.hidden)


# -- the two processes -----------------------------------------------------------------------------------------------

Measure = Callable[[int], float]


def our_training(shape: Shape) -> Measure:
    """The trainer itself on random text; k steps -> seconds."""
    import_module("charrnn")  # before torch, as on the command line, so that its threads wait with moderation
    import numpy as np
    import torch

    from charrnn.config import ModelConfig, TrainConfig
    from charrnn.machine import choose
    from charrnn.models.language_model import LanguageModel
    from charrnn.training.batches import ContinuousStreams
    from charrnn.training.loop import Trainer

    machine = choose()
    model = LanguageModel(
        ModelConfig(
            vocab_size=SYMBOLS,
            start_id=SYMBOLS,
            cell=shape.cell,
            layers=shape.layers,
            hidden=shape.hidden,
            embedding=EMBEDDING,
        )
    )
    model.initialise(torch.Generator().manual_seed(0))
    tokens = np.random.default_rng(0).integers(0, SYMBOLS, 1 << 20).astype(np.uint16)
    streams = ContinuousStreams(tokens, SYMBOLS, BATCH, WINDOW, 0, 0.0)
    config = TrainConfig(seed=0, steps=10**9, report_every=1, eval_every=10**9, precision=machine.precision)
    trainer = Trainer(model, streams, config, machine, validate=None, save=lambda snapshot, best: None)
    events = trainer.run()

    def measure(steps: int) -> float:
        started = time.perf_counter()
        for _ in range(steps):
            next(events)
        return time.perf_counter() - started

    return measure


def stock_training(shape: Shape) -> Measure:
    """The loop that a user writes: nn.LSTM or nn.GRU, fp32, AdamW, cross-entropy, clipping."""
    import torch
    from torch import nn

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(SYMBOLS, EMBEDDING)
            kind = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[shape.cell]
            self.rnn = kind(EMBEDDING, shape.hidden, shape.layers, batch_first=True)
            self.head = nn.Linear(shape.hidden, SYMBOLS)

        def forward(self, x: Any, state: Any) -> Any:
            y, state = self.rnn(self.embedding(x), state)
            return self.head(y), state

    model = Network()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    loss_of = nn.CrossEntropyLoss()
    state: Any = None

    def measure(steps: int) -> float:
        nonlocal state
        started = time.perf_counter()
        for _ in range(steps):
            x = torch.randint(0, SYMBOLS, (BATCH, WINDOW + 1))
            optimizer.zero_grad()
            logits, state = model(x[:, :-1], state)
            state = tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()
            loss = loss_of(logits.flatten(0, 1), x[:, 1:].flatten())
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            loss.item()
        return time.perf_counter() - started

    return measure


def our_generation(shape: Shape, rows: int) -> Measure:
    """`generate` as `charrnn sample` uses it; k characters of each row -> seconds."""
    import numpy as np

    from charrnn.config import ModelConfig
    from charrnn.generation.config import SampleConfig
    from charrnn.generation.loop import generate
    from charrnn.inference.engine import open_engine
    from charrnn.models.weights import weight_shapes
    from charrnn.text.tokenizers.char import CharTokenizer

    fields = {"cell": shape.cell, "layers": shape.layers, "hidden": shape.hidden, "embedding": EMBEDDING}
    config = ModelConfig(vocab_size=SYMBOLS, start_id=SYMBOLS, **fields)  # type: ignore[arg-type]
    random = np.random.default_rng(0)
    weights = {
        name: (random.standard_normal(size) / size[-1] ** 0.5).astype(np.float32)
        for name, size in weight_shapes(config).items()
    }
    engine = open_engine(config, weights, "int8")
    tokenizer = CharTokenizer("".join(chr(33 + symbol) for symbol in range(SYMBOLS)))

    def measure(characters: int) -> float:
        started = time.perf_counter()
        for _ in generate(engine, tokenizer, SampleConfig(length=characters), rows=rows):
            pass
        return time.perf_counter() - started

    return measure


def stock_generation(shape: Shape, rows: int) -> Measure:
    """The loop that a user writes: one step of nn.LSTM or nn.GRU, softmax, multinomial."""
    import torch
    from torch import nn

    embedding = nn.Embedding(SYMBOLS, EMBEDDING)
    kind = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[shape.cell]
    rnn = kind(EMBEDDING, shape.hidden, shape.layers, batch_first=True).eval()
    head = nn.Linear(shape.hidden, SYMBOLS)

    @torch.inference_mode()
    def measure(characters: int) -> float:
        token, state = torch.zeros(rows, 1, dtype=torch.int64), None
        started = time.perf_counter()
        for _ in range(characters):
            y, state = rnn(embedding(token), state)
            token = torch.multinomial((head(y[:, -1]) / 0.8).softmax(-1), 1)
        return time.perf_counter() - started

    return measure


def products(shape: Shape) -> Measure:
    """All matrix products of a training step and nothing else, bf16, each at its shape; k steps -> seconds."""
    import torch

    from charrnn.machine import choose
    from charrnn.models.kernels.base import Packed

    choose()
    number, gates, rows = torch.bfloat16, shape.gates * shape.hidden, BATCH * WINDOW
    inputs = [EMBEDDING, *[shape.hidden] * (shape.layers - 1)]
    a = {size: torch.randn(rows, size, dtype=number) for size in {*inputs, shape.hidden, gates}}
    w = {size: torch.randn(gates, size, dtype=number) for size in {*inputs, shape.hidden}}
    h, d = torch.randn(BATCH, shape.hidden, dtype=number), torch.randn(BATCH, gates, dtype=number)
    forth, back = Packed(w[shape.hidden], BATCH), Packed(w[shape.hidden].t().contiguous(), BATCH)

    @torch.inference_mode()
    def measure(steps: int) -> float:
        started = time.perf_counter()
        for _ in range(steps):
            for size in inputs:
                torch.mm(a[size], w[size].t())
                torch.mm(a[gates], w[size])
                torch.mm(a[gates].t(), a[size])
                torch.mm(a[gates].t(), a[shape.hidden])
                for _ in range(WINDOW):
                    forth(h)
                    back(d)
        return time.perf_counter() - started

    return measure


def square_product(precision: str) -> Measure:
    """A product of two 4096 x 4096 matrices; k of them -> seconds."""
    import torch

    from charrnn.machine import choose

    choose()
    a, b = torch.randn(2, 4096, 4096, dtype=getattr(torch, precision))

    def measure(times: int) -> float:
        started = time.perf_counter()
        for _ in range(times):
            a @ b
        return time.perf_counter() - started

    return measure


def memory_read() -> Measure:
    """Reading 512 MB from memory; k times -> seconds."""
    import torch

    block = torch.ones(1 << 27)

    def measure(times: int) -> float:
        started = time.perf_counter()
        for _ in range(times):
            block.sum()
        return time.perf_counter() - started

    return measure


TASKS: dict[str, Callable[..., Measure]] = {
    "our training": our_training,
    "stock training": stock_training,
    "our generation": our_generation,
    "stock generation": stock_generation,
    "products": products,
    "square product": square_product,
    "memory": memory_read,
}


def work() -> None:
    """Serve measurements: a line of JSON in, a line with seconds out. Tasks are kept while the size stays the same."""
    size: list[int] = []
    kept: dict[str, Measure] = {}
    for line in sys.stdin:
        task, shape, arguments, count = json.loads(line)
        if shape and shape[1:] != size:
            size = shape[1:]
            kept.clear()
        key = json.dumps([task, shape, arguments])
        if key not in kept:
            kept[key] = TASKS[task](*([Shape(*shape)] if shape else []), *arguments)
        print(json.dumps(kept[key](count)), flush=True)


class Worker:
    """One of the two processes."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--work"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def seconds(self, task: str, shape: Shape | None, arguments: list[Any], count: int) -> float:
        """Ask for one measurement and wait for it."""
        pipe_in, pipe_out = self.process.stdin, self.process.stdout
        assert pipe_in is not None and pipe_out is not None
        given = None if shape is None else [shape.cell, shape.layers, shape.hidden]
        pipe_in.write(json.dumps([task, given, arguments, count]) + "\n")
        pipe_in.flush()
        answer = pipe_out.readline()
        if not answer:
            raise SystemExit(f"the process that measures {task} has ended")
        return float(json.loads(answer))


@dataclass
class Bench:
    """Measures tasks in turns, so many rounds each."""

    ours: Worker
    stock: Worker
    rounds: int
    least_seconds: float

    def training_tasks(self) -> list[tuple[Worker, str]]:
        """Ours, the stock loop, the ceiling."""
        return [(self.ours, "our training"), (self.stock, "stock training"), (self.ours, "products")]

    def rate(self, *asked: tuple[Worker, str, Shape | None, list[Any], float]) -> list[float]:
        """Units a second of each task, medians over rounds in which all take turns; a count of 1 is so many units."""
        counts = []
        for worker, task, shape, arguments, _ in asked:
            worker.seconds(task, shape, arguments, 1)
            one = worker.seconds(task, shape, arguments, 1)
            count = max(1, round(self.least_seconds / one))
            if count > 1:
                again = worker.seconds(task, shape, arguments, count)
                count = max(1, round(count * self.least_seconds / again))
            counts.append(count)
        seconds: list[list[float]] = [[] for _ in asked]
        for _ in range(self.rounds):
            for times, count, (worker, task, shape, arguments, _) in zip(seconds, counts, asked, strict=True):
                times.append(worker.seconds(task, shape, arguments, count) / count)
        return [units / statistics.median(times) for times, (*_, units) in zip(seconds, asked, strict=True)]


# -- what is measured ------------------------------------------------------------------------------------------------


def training(bench: Bench, sizes: list[tuple[int, int]]) -> tuple[list[list[str]], dict[str, tuple[float, float]]]:
    """Rows of the table, and (stock, ours) by name for the plot."""
    rows, plotted = [], {}
    tokens = float(BATCH * WINDOW)
    for layers, hidden in sizes:
        shapes = [Shape(cell, layers, hidden) for cell in ("lstm", "gru")]
        turns: list[tuple[Worker, str, Shape | None, list[Any], float]] = [
            (w, task, shape, [], tokens) for shape in shapes for w, task in bench.training_tasks()
        ]
        rates = bench.rate(*turns)
        for number, shape in enumerate(shapes):
            ours, stock, ceiling = rates[3 * number : 3 * number + 3]
            plotted[str(shape)] = (stock, ours)
            rows.append([
                str(shape), f"{stock / 1e3:.1f}", f"{ours / 1e3:.1f}", f"{ours / stock:.2f}",
                f"{ours * shape.operations() / 1e9:.0f}", f"{ours / ceiling:.0%}",
                f"{ours / rates[0]:.2f}" if number else "",
            ])  # fmt: skip
            print("training", *rows[-1], flush=True)
    return rows, plotted


def formulas(bench: Bench) -> list[list[str]]:
    """The formula cells beside the fused LSTM, 2 x 256."""
    shapes = [Shape(cell, 2, 256) for cell in ("lstm", "rnn", "gru", *FORMULAS)]
    workers = [Worker() for _ in shapes]
    tokens = float(BATCH * WINDOW)
    rates = bench.rate(*((w, "our training", s, [], tokens) for w, s in zip(workers, shapes, strict=True)))
    for worker in workers:
        worker.process.kill()
    return [
        [str(shape), f"{rate / 1e3:.1f}", f"{rate / rates[0]:.2f}"] for shape, rate in zip(shapes, rates, strict=True)
    ]


def generation(bench: Bench, sizes: list[tuple[int, int]]) -> tuple[list[list[str]], dict[str, tuple[float, float]]]:
    """Rows of the table, and (stock, ours) of one stream by name for the plot."""
    rows, plotted = [], {}
    for layers, hidden in sizes:
        for cell in ("lstm", "gru"):
            shape = Shape(cell, layers, hidden)
            row = [str(shape)]
            for streams in (1, 64):
                ours, stock = bench.rate(
                    (bench.ours, "our generation", shape, [streams], float(streams)),
                    (bench.stock, "stock generation", shape, [streams], float(streams)),
                )
                row += [f"{stock:,.0f}", f"{ours:,.0f}", f"{ours / stock:.1f}"]
                if streams == 1:
                    plotted[str(shape)] = (stock, ours)
            rows.append(row)
            print("generation", *row, flush=True)
    return rows, plotted


def first_character(repeats: int) -> list[list[str]]:
    """Seconds from Enter to the first character of a 2 x 512 model, beside what its parts take."""
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "corpus.txt"
        text.write_text("The heron stood in the water, and the water stood still.\n" * 400, encoding="utf-8")
        charrnn = [sys.executable, "-m", "charrnn"]
        place = ["--checkpoints", folder]
        train = [*charrnn, "train", str(text), "--hidden", "512", "--steps", "1", "--name", "m", "-q", *place]
        subprocess.run(train, check=True)
        commands = {
            "`charrnn sample`, to the first character": [*charrnn, "sample", "-m", "m", "-q", *place],
            "`charrnn --help`": [*charrnn, "--help"],
            "`import numpy`, from starting Python": [sys.executable, "-c", "import numpy; print()"],
            "`import torch`, from starting Python: not needed": [sys.executable, "-c", "import torch; print()"],
        }
        return [
            [name, f"{statistics.median(_until_first_byte(command) for _ in range(repeats)):.2f}"]
            for name, command in commands.items()
        ]


def _until_first_byte(command: list[str]) -> float:
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        out: IO[bytes] | None = process.stdout
        assert out is not None and out.read(1)
        seconds = time.perf_counter() - started
        out.read()
    return seconds


def draw(panels: dict[str, dict[str, tuple[float, float]]]) -> None:
    """Ours and the stock loop side by side, characters a second, on a logarithmic scale."""
    from charrnn.plotting.style import COLOURS, picture

    with picture(columns=len(panels), size=(11, 4)) as (axes, drawn):
        for axis, (title, values) in zip(axes, panels.items(), strict=True):
            places = range(len(values))
            axis.bar(
                [p - 0.2 for p in places], [stock for stock, _ in values.values()], 0.4, label="stock", color="#b8b8b8"
            )
            axis.bar(
                [p + 0.2 for p in places], [ours for _, ours in values.values()], 0.4, label="charrnn", color=COLOURS[0]
            )
            for place, (stock, ours) in zip(places, values.values(), strict=True):
                axis.text(place + 0.2, ours, f"x {ours / stock:.1f}", ha="center", va="bottom", fontsize=8)
            axis.set_yscale("log")
            axis.set_xticks(list(places), [name.replace(" ", "\n", 1) for name in values], fontsize=8)
            axis.set_ylabel("characters a second")
            axis.set_title(title)
            axis.legend(frameon=False)
    PLOT.write_bytes(drawn.getvalue())


def main() -> None:
    """Measure, print, draw, append."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="two sizes, a minute, nothing written")
    parser.add_argument("--generation", type=int, nargs="*", metavar="HIDDEN", help="only that, of these widths")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work()
        return

    from results import append, table

    brief = arguments.quick or arguments.generation is not None
    bench = Bench(Worker(), Worker(), 3 if arguments.quick else 5, 0.2 if brief else 0.7)
    sizes = SIZES[1:2] if arguments.quick else SIZES
    generation_head = ["network", "stock, 1 stream", "charrnn", "ratio", "stock, 64 streams", "charrnn", "ratio"]
    generation_said = "Generation, characters a second (8-bit weights; sampling and text included):\n"
    if arguments.generation is not None:
        sizes = [size for size in SIZES if not arguments.generation or size[1] in arguments.generation]
        append("Speed of generation", generation_said, table(generation_head, generation(bench, sizes)[0]))
        return
    square = {
        p: bench.rate((bench.ours, "square product", None, [p], 2 * 4096.0**3))[0] for p in ("float32", "bfloat16")
    }
    (read,) = bench.rate((bench.ours, "memory", None, [], float(1 << 29)))
    ceilings = (
        f"Products of 4096 x 4096: fp32 {square['float32'] / 1e9:.0f}, bf16 {square['bfloat16'] / 1e9:.0f} GFLOP/s; "
        f"memory read at {read / 1e9:.0f} GB/s.\n"
    )
    print(ceilings, flush=True)
    trained, training_plot = training(bench, sizes)
    cells = formulas(bench)
    generated, generation_plot = generation(bench, sizes)
    started = first_character(3 if arguments.quick else 7)
    paragraphs = [
        ceilings,
        f"Training, whole step, batch {BATCH}, window {WINDOW}, thousand characters a second. The ceiling is the "
        "step's own bf16 products at their shapes, and nothing else.\n",
        table(["network", "stock", "charrnn", "ratio", "GFLOP/s", "of the ceiling", "GRU : LSTM"], trained),
        "Cells without a fused kernel in torch, thousand characters a second in training:\n",
        table(["network", "charrnn", "of the LSTM"], cells),
        generation_said,
        table(generation_head, generated),
        "Seconds, 2 x 512:\n",
        table(["what", "median"], started),
    ]
    if arguments.quick:
        print("\n" + "\n".join(paragraphs))
        return
    draw({"training": training_plot, "generation, one stream": generation_plot})
    append("Speed", *paragraphs)


if __name__ == "__main__":
    main()
