"""Lines scored a second: `charrnn score` against the loops that everyone writes, and against an n-gram's query.

    python benchmarks/scoring.py [--quick] [--only "2 x 128" ...]

Lines of 40 to 120 characters, 80 in the mean, each scored alone; the stock scorer is nn.LSTM over the same weights, one
line at a time and in padded batches as they come. All must find the same nats. Ours and the stock scorer run in
processes of their own, for they want other settings of the C library, and take turns. With the package kenlm, also the
query of a character 5-gram of the same text. In 8 bits nats are others, within a thousandth. Prints medians and ratios
and appends to RESULTS.md; --quick measures one network and writes nothing.
"""

import argparse
import functools
import itertools
import math
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from command import charrnn
from results import append, table

NETWORKS = {
    "2 x 128": ["--hidden", "128", "--ensemble", "1"],
    "2 x 512": ["--hidden", "512", "--ensemble", "1"],
    "four of 2 x 256": ["--hidden", "256", "--ensemble", "4"],
}
TRAINING = ["--layers", "2", "--embedding", "128", "--steps", "5", "--seed", "1", "-q"]
LINES, ONE_BY_ONE, ROUNDS = 4000, 150, 3
BATCH, ORDER = 64, 5

Found = tuple[float, float]  # nats, seconds


def lines_of(text: str, count: int) -> list[str]:
    """Lines of 40 to 120 characters of a text, which is begun again where it ends."""
    draw, letters = random.Random(0), itertools.cycle(text.replace("\n", " "))
    return ["".join(itertools.islice(letters, draw.randint(39, 119))) + "\n" for _ in range(count)]


# -- in a process of ours --------------------------------------------------------------------------------------------


@functools.cache
def reader_of(model: str, by: str) -> Any:
    """Our reader of lines, once torch has taken over, or where it never does."""
    import charrnn
    from charrnn.scoring import readers
    from charrnn.scoring.lines import LineReader

    found = LineReader(charrnn.load(model), precision="int8" if by == "int8" else "fp32")
    if by == "torch":
        readers.load_torch()
    readers.LOAD_AFTER = math.inf
    readers.TAKE_OVER_IF_LOADED = -1.0 if by == "torch" else math.inf
    return found


def ours(model: str, by: str, lines: list[str], unbuffered: bool) -> Found:
    """All lines through our reader."""
    reader = reader_of(model, by)
    started = time.perf_counter()
    nats = [float(piece.predictions.nll.sum()) for piece in reader.read(lines, unbuffered=unbuffered)]
    return math.fsum(nats), time.perf_counter() - started


# -- in a process of the stock scorer's ------------------------------------------------------------------------------


@functools.cache
def stock_scorer(model: str) -> Any:
    """Token ids (B, T) -> log-probabilities (B, T, V) by nn.LSTM, and the tokenizer."""
    import torch
    from torch import nn

    import charrnn
    from charrnn.models.weights import split_models

    loaded = charrnn.load(model)
    config = loaded.config
    networks = []
    for weights in split_models(config, loaded.weights):
        tensors = {name: torch.from_numpy(weight) for name, weight in weights.items()}
        embedding = nn.Embedding(config.start_id + 1, config.embedding)
        embedding.load_state_dict({"weight": tensors["embedding.weight"]})
        rnn = nn.LSTM(config.embedding, config.hidden, config.layers, batch_first=True).eval()
        named = [(name, name.rpartition("_l")) for name, _ in rnn.named_parameters()]
        rnn.load_state_dict(
            {name: tensors[f"forwards.layers.{number}.rnn.{kind}_l0"] for name, (kind, _, number) in named}
        )
        head = nn.Linear(config.hidden, config.vocab_size)
        head.load_state_dict({"weight": tensors["forwards.head"], "bias": tensors["forwards.bias"]})
        networks.append((embedding, rnn, head))

    def log_p(tokens: Any) -> Any:
        found = [head(rnn(embedding(tokens))[0]).log_softmax(-1) for embedding, rnn, head in networks]
        return found[0] if len(found) == 1 else torch.stack(found).logsumexp(0) - math.log(len(found))

    return log_p, loaded.tokenizer


def stock(model: str, lines: list[str], batch: int) -> Found:
    """All lines through the loop that a user writes: padded batches as they come, or one by one."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    log_p, tokenizer = stock_scorer(model)
    started, nats = time.perf_counter(), []
    with torch.inference_mode():
        for first in range(0, len(lines), batch):
            ids = [torch.tensor([tokenizer.size, *tokenizer.encode(line)]) for line in lines[first : first + batch]]
            padded = pad_sequence(ids, batch_first=True, padding_value=-1)
            targets = padded[:, 1:]
            chosen = log_p(padded[:, :-1].clamp(min=0)).gather(2, targets.clamp(min=0).unsqueeze(2)).squeeze(2)
            nats += (-chosen * (targets >= 0)).sum(1).tolist()
    return math.fsum(nats), time.perf_counter() - started


# -- an n-gram -------------------------------------------------------------------------------------------------------


def arpa(text: str) -> Iterator[str]:
    """A character n-gram with Witten-Bell smoothing in the ARPA format."""
    symbols = ["<s>" if symbol == "\n" else "_" if symbol == " " else symbol for symbol in text]
    counts = [Counter(zip(*(symbols[k:] for k in range(n)), strict=False)) for n in range(1, ORDER + 1)]
    kinds: list[Counter[Any]] = [Counter(gram[:-1] for gram in grams) for grams in counts]
    totals: list[Counter[Any]] = [Counter() for _ in counts]
    for total, grams in zip(totals, counts, strict=True):
        for gram, count in grams.items():
            total[gram[:-1]] += count

    @functools.cache
    def p(gram: tuple[str, ...]) -> float:
        if not gram:
            return 1 / len(counts[0])
        n, context = len(gram) - 1, gram[:-1]
        seen = totals[n][context] + kinds[n][context]
        return float((counts[n][gram] + kinds[n][context] * p(gram[1:])) / seen)

    extra = ["-99\t<unk>\t0", "-3\t</s>"]
    yield "\\data\\\n"
    yield from (f"ngram {n}={len(grams) + (len(extra) if n == 1 else 0)}\n" for n, grams in enumerate(counts, 1))
    for n, grams in enumerate(counts, 1):
        yield f"\n\\{n}-grams:\n"
        yield from (f"{line}\n" for line in extra if n == 1)
        for gram in grams:
            left = ""
            if n < ORDER and kinds[n][gram]:
                left = f"\t{math.log10(kinds[n][gram] / (totals[n][gram] + kinds[n][gram]))}"
            yield f"{math.log10(p(gram))}\t{' '.join(gram)}{left}\n"
    yield "\n\\end\\\n"


def kenlm_rate(text: str, lines: list[str], folder: Path) -> float:
    """Lines a second through kenlm's query, called from Python line by line."""
    import kenlm  # type: ignore[import-not-found]

    file = folder / "characters.arpa"
    file.write_text("".join(arpa(text)), encoding="utf-8")
    model = kenlm.Model(str(file))
    written = [" ".join(line.strip("\n").replace(" ", "_")) for line in lines]
    started = time.perf_counter()
    for line in written:
        model.score(line)
    return len(lines) / (time.perf_counter() - started)


# -- the command -----------------------------------------------------------------------------------------------------


SCORE = [sys.executable, "-m", "charrnn", "score", "-q"]


def first_line(model: str, line: str) -> float:
    """Seconds from the start of the process to the first line out, of a pipe that stays open."""
    started = time.perf_counter()
    process = subprocess.Popen([*SCORE, "-m", model], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(line.encode())
    process.stdin.flush()
    process.stdout.readline()
    seconds = time.perf_counter() - started
    process.communicate()
    return seconds


def whole(model: str, file: Path) -> float:
    """Seconds of the whole command on a file."""
    started = time.perf_counter()
    subprocess.run([*SCORE, "-m", model, str(file)], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def measured(model: str, lines: list[str], rounds: int) -> dict[str, float]:
    """Lines a second of every way, medians over rounds in which all take turns."""
    few = lines[:ONE_BY_ONE]
    ways: dict[str, tuple[int, Any, tuple[Any, ...]]] = {
        "streaming": (0, ours, (model, "torch", lines, False)),
        "unbuffered": (0, ours, (model, "torch", few, True)),
        "streaming, NumPy": (1, ours, (model, "numpy", lines[: len(lines) // 4], False)),
        "unbuffered, NumPy": (1, ours, (model, "numpy", few, True)),
        "int8": (0, ours, (model, "int8", lines, False)),
        "unbuffered, int8": (0, ours, (model, "int8", few, True)),
        "stock, padded": (2, stock, (model, lines, BATCH)),
        "stock, line by line": (2, stock, (model, few, 1)),
    }
    processes = [ProcessPoolExecutor(1, get_context("spawn")) for _ in range(3)]
    found: dict[str, list[Found]] = {name: [] for name in ways}
    for _ in range(rounds + 1):
        for name, (process, way, given) in ways.items():
            found[name].append(processes[process].submit(way, *given).result())
    for each in processes:
        each.shutdown()
    for one, other in (("streaming", "stock, padded"), ("unbuffered", "stock, line by line")):
        assert math.isclose(found[one][0][0], found[other][0][0], rel_tol=1e-5), (one, found[one], found[other])
    assert math.isclose(found["int8"][0][0], found["stock, padded"][0][0], rel_tol=1e-3), found
    sizes = {name: len(given[-2]) for name, (_, _, given) in ways.items()}
    return {name: sizes[name] / statistics.median(seconds for _, seconds in times[1:]) for name, times in found.items()}


def main() -> None:
    """Measure all, and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    arguments = parser.parse_args()
    quick, names = arguments.quick, arguments.only[: 1 if arguments.quick else None]

    from charrnn.text.corpus import Corpus

    text = Corpus(["fables"]).read()
    lines = lines_of(text, LINES // 4 if quick else LINES)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "lines.txt")
        file.write_text("".join(lines), encoding="utf-8")
        for name in names:
            model = str(Path(folder, name))
            charrnn("train", "fables", *NETWORKS[name], *TRAINING, "--checkpoints", folder, "--name", name)
            rates = measured(model, lines, 1 if quick else ROUNDS)
            latency = statistics.median(first_line(model, lines[0]) for _ in range(ROUNDS))
            ratios = [
                rates["streaming"] / rates["stock, line by line"],
                rates["streaming"] / rates["stock, padded"],
                rates["unbuffered"] / rates["stock, line by line"],
                rates["int8"] / rates["stock, padded"],
                rates["unbuffered, int8"] / rates["stock, line by line"],
            ]
            rows.append(
                [name, *(f"{rate:,.0f}" for rate in rates.values()), f"{len(lines) / whole(model, file):,.0f}",
                 f"{latency:.2f} s", " ".join(f"{ratio:.1f}" for ratio in ratios)]
            )  # fmt: skip
        ways = ["streaming", "unbuffered", "the same by NumPy", "unbuffered by NumPy", "in 8 bits",
                "unbuffered in 8 bits", "stock, padded", "stock, line by line"]  # fmt: skip
        head = ["network", *ways, "whole command", "first line out", "ratios"]
        told = [table(head, rows)]
        told.append(
            "\nRatios: streaming to the stock line by line and to its padded batches; unbuffered to line by line; in "
            "8 bits to its padded batches, and unbuffered to line by line."
        )
        if find_spec("kenlm") is not None:
            told.append(
                f"kenlm's query, character {ORDER}-gram: {kenlm_rate(text, lines, Path(folder)):,.0f} lines a second."
            )
    if quick:
        print("\n".join(told))
    else:
        append("Scoring: lines a second", *told)


if __name__ == "__main__":
    main()
