"""What the filters of `charrnn sample` cost: throughput with each, and with all, beside temperature alone.

    python benchmarks/filters.py [--shakespeare FILE] [--for 2m] [--models FOLDER] [--rounds 60] [--quick]
                                 [--only top_p all pieces]

Models of 2 x 512, one of characters and one of 1,000 pieces (for `max_copy`), are trained as a user would, for so long
each, and kept where a folder is given. They write in 8 bits, one stream and 64 rows, by the compiled step on one thread
(by torch, where there is none). What the compiled draw knows is drawn there, many tokens at a time; the rest token by
token. A text with a filter and one without are written in turns, a few hundredths of a second each; what counts is the
time that the thread computes, and of the ratios the median, so that what else runs disturbs little. Prints a table and
appends it to RESULTS.md; --quick takes fewer rounds and writes nothing, nor is anything written of some filters alone.
"""

import argparse
import contextlib
import statistics
import tempfile
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

from command import charrnn
from results import append, table
from texts import CORPORA

from charrnn import api
from charrnn.api.threads import use_threads
from charrnn.generation.config import SampleConfig
from charrnn.generation.loop import generate
from charrnn.generation.sequence import TextChunk
from charrnn.inference.backends import COMPILED, TORCH
from charrnn.inference.base import Chosen
from charrnn.inference.engine import open_engine

TOKENIZERS = {"characters": ["--tokenizer", "char"], "pieces": ["--tokenizer", "subword", "--vocab-size", "1000"]}
NETWORK = ["--layers", "2", "--hidden", "512", "--embedding", "128", "--ensemble", "1", "--seed", "1", "-q"]
# Steps in a turn, by the number of rows.
TURNS = {1: 250, 64: 10}
WARM_UP = 100
ENDLESS = 10**9

OPTIONS: dict[str, Any] = {
    "top_k": 20, "top_p": 0.9, "min_p": 0.02, "typical_p": 0.9, "eta": 0.003, "repetition_penalty": 1.1,
    "frequency_penalty": 0.02, "presence_penalty": 0.1, "temperature": (0.6, 1.0), "surprise": 2.5,
    "allow": ("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXY .,:;!?'\n-",), "ban": ("zxj",),
    "match": (r"(([^\n]{3,70}\n){1,5}\n)*",), "max_copy": 20,
}  # fmt: skip


class Writer:
    """A model at work on some rows."""

    def __init__(self, model: api.Model, rows: int) -> None:
        self.model, self.rows = model, rows
        self.engine = open_engine(model.config, model.weights, "int8")
        # As it comes out where nothing else runs, and it stays.
        self.engine.chosen[rows] = Chosen(COMPILED if self.engine.compiled else TORCH)

    def text(self, options: dict[str, Any]) -> Generator[TextChunk]:
        """What is written with these options, without end."""
        config = SampleConfig.of(**{"temperature": 0.8, "length": ENDLESS, **options})
        learned = [self.model.copy_index] if config.max_copy else []
        yield from generate(self.engine, self.model.tokenizer, config, rows=self.rows, learned=learned)

    def seconds(self, text: Iterator[TextChunk], steps: int) -> float:
        """What a step of all rows takes, in so many or some more: to the end of what is drawn at a time."""
        tokens, last, started = 0, -1, time.thread_time()
        while tokens < steps * self.rows or last != self.rows - 1:
            chunk = next(text)
            tokens, last = tokens + len(chunk.ids), chunk.row
        return (time.thread_time() - started) * self.rows / tokens

    def rate(self) -> float:
        """Tokens a second at temperature alone."""
        with contextlib.closing(self.text({})) as text:
            self.seconds(text, WARM_UP)
            return self.rows / self.seconds(text, 4 * TURNS[self.rows])

    def ratio(self, options: dict[str, Any], rounds: int) -> str:
        """Throughput with these options to that of temperature alone: the median of the ratios, and their quartiles."""
        found = []
        with contextlib.ExitStack() as held:
            plain, filtered = (held.enter_context(contextlib.closing(self.text(each))) for each in ({}, options))
            for text in (plain, filtered):
                self.seconds(text, WARM_UP)
            for _ in range(rounds):
                before, between, after = (self.seconds(text, TURNS[self.rows]) for text in (plain, filtered, plain))
                found.append((before + after) / 2 / between)
        low, middle, high = statistics.quantiles(found, n=4)
        return f"{middle:.3f} ({low:.2f} to {high:.2f})"


def train(folder: Path, text: Path, budget: str) -> dict[str, api.Model]:
    """The models, those that are in the folder as they are."""
    for name, options in TOKENIZERS.items():
        if not (folder / name).exists():
            place = ["--name", name, "--checkpoints", str(folder)]
            charrnn("train", str(text), *options, *NETWORK, "--for", budget, *place)
    return {name: api.load(name, checkpoints=folder) for name in TOKENIZERS}


def measured(models: dict[str, api.Model], rounds: int, only: list[str] | None) -> tuple[str, str]:
    """What temperature alone writes, and the table."""
    asked: dict[str, tuple[str, dict[str, Any]]] = {name: ("characters", {name: OPTIONS[name]}) for name in OPTIONS}
    asked["all"] = "characters", OPTIONS
    asked["pieces"] = "pieces", {"max_copy": OPTIONS["max_copy"]}
    asked = {name: one for name, one in asked.items() if not only or name in only}
    writers = {
        (kind, rows): Writer(models[kind], rows) for kind in {kind for kind, _ in asked.values()} for rows in TURNS
    }
    rates = [f"{writer.rate():,.0f} {kind} a second in {rows} rows" for (kind, rows), writer in writers.items()]
    lines = []
    for name, (kind, options) in asked.items():
        lines.append([name, *(writers[kind, rows].ratio(options, rounds) for rows in TURNS)])
        print(*lines[-1], flush=True)
    return "; ".join(rates), table(["with", "one stream", "64 rows"], lines)


def main() -> None:
    """Each filter by itself, all of them, and copies of pieces."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--shakespeare", type=Path, default=CORPORA / "fables.txt")
    parser.add_argument("--for", dest="budget", default="2m")
    parser.add_argument("--models", type=Path)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--only", nargs="+")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    use_threads(1)
    with tempfile.TemporaryDirectory() as place:
        models = train(arguments.models or Path(place), arguments.shakespeare, arguments.budget)
        rates, ratios = measured(models, 10 if arguments.quick else arguments.rounds, arguments.only)
    told = f"Temperature alone: {rates}. Ratios to that, medians and quartiles.\n", ratios
    if arguments.quick or arguments.only:
        print("\n".join(told))
    else:
        append("Filters: throughput beside temperature alone", *told)


if __name__ == "__main__":
    main()
