"""A GPU against a processor's figures, against the stock loop, and against the clock: four parts in eight minutes.

    python benchmarks/gpu.py CORPUS [--seconds 460] [--only check training ...] [--dry]

check: loss, gradients, fifty steps and going on exactly, beside this machine's processor. training, generation:
characters a second beside `nn.LSTM` under autocast, in turns, medians. minutes: `charrnn train CORPUS --for 1m` and 3m,
and what their models give the held-out tenth. A part that the seconds no longer suffice for is left out, and said; one
that fails is told, and the others go on. Appends to RESULTS.md; --dry does each part on the processor, in small, and
writes nothing.
"""

import argparse
import copy
import statistics
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from results import append, table
from speed import EMBEDDING, SYMBOLS, Shape
from texts import CORPORA, Text

from charrnn.config import ModelConfig, TrainConfig
from charrnn.config.durations import format_duration, parse_duration
from charrnn.machine import PRECISIONS, choose  # before torch, as on the command line

import torch  # isort: skip
from torch import Tensor, nn  # isort: skip

from charrnn.models.ensemble import Network, build
from charrnn.models.loss import cross_entropy
from charrnn.training.batches import ContinuousStreams
from charrnn.training.events import Report
from charrnn.training.loop import Trainer
from charrnn.training.mixed_precision import MixedPrecision
from charrnn.training.progress import Snapshot

CELLS = ("lstm", "gru", "rnn", "lstm-peephole", "lstm-coupled", "lstm-layernorm", "mingru")
# How far a figure may be from the processor's in fp32: of the loss, and of the gradients by their length.
TOLERATED = {"fp32": (1e-5, 1e-3), "fp16": (2e-2, 5e-2), "bf16": (5e-2, 1e-1)}
TEMPERATURE = 0.8
LOSS_SCALE = 1024.0
REPORTED = 10


@dataclass(frozen=True)
class Setting:
    """What is measured, where, how large and how long."""

    device: str
    halves: tuple[str, ...]
    checked: tuple[str, ...]
    checked_size: tuple[int, int]
    sizes: tuple[tuple[int, int], ...]
    rows: tuple[int, ...]
    window: int
    streams: tuple[int, ...]
    rounds: int
    least_seconds: float
    times: tuple[str, ...]
    threads: int | None = None


CARD = Setting(
    device="cuda", halves=("fp16", "bf16"), checked=CELLS, checked_size=(2, 256),
    sizes=((2, 512), (3, 1024), (2, 2048)), rows=(64, 128, 512), window=128, streams=(64, 1024, 4096),
    rounds=5, least_seconds=0.15, times=("1m", "3m"),
)  # fmt: skip
DRY = Setting(
    device="cpu", halves=("bf16",), checked=CELLS, checked_size=(2, 16), sizes=((1, 16), (2, 32)),
    rows=(8,), window=16, streams=(4, 32), rounds=2, least_seconds=0.01, times=("3s",), threads=1,
)  # fmt: skip


class Budget:
    """Seconds for all of it."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def allows(self, what: str, seconds: float) -> bool:
        """Whether so many are left; said where they are not."""
        left = self._end - time.monotonic()
        if left < seconds:
            print(f"left out: {what} takes about {seconds:.0f} seconds, and {max(0, left):.0f} are left", flush=True)
        return left >= seconds


# -- what is common --------------------------------------------------------------------------------------------------

# So many steps or characters -> seconds.
Measure = Callable[[int], float]


def network(cell: str, size: tuple[int, int], **more: Any) -> Network:
    """One whose weights are of the right size, fast: orthogonal ones take seconds at 2 x 2048."""
    layers, hidden = size
    fields = {"vocab_size": SYMBOLS, "start_id": SYMBOLS, "embedding": EMBEDDING, **more}
    model = build(ModelConfig(cell=cell, layers=layers, hidden=hidden, **fields))
    generator = torch.Generator().manual_seed(0)
    for weight in model.parameters():
        nn.init.normal_(weight, std=hidden**-0.5 if weight.dim() > 1 else 0.1, generator=generator)
    return model


def trainer(model: Network, device: str, precision: str, rows: int, window: int, **more: Any) -> Trainer:
    """The tool's own loop on random text, which saves and judges nothing."""
    import numpy as np

    tokens = np.random.default_rng(0).integers(0, SYMBOLS, 1 << 18).astype(np.uint16)
    streams = ContinuousStreams(tokens, SYMBOLS, rows, window, 0, 0.02)
    config = TrainConfig(**{"seed": 0, "steps": 10**9, "eval_every": 10**9, "precision": precision, **more})
    machine = choose(device, precision, torch.get_num_threads())
    return Trainer(model.to(machine.device), streams, config, machine, validate=None, save=lambda *_: None)


def waited(device: str) -> float:
    """The time, once the device has done what it was given."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def rates(measures: Sequence[Measure], setting: Setting) -> list[float]:
    """Steps a second of each, medians over rounds in which all take turns."""
    # As torch has it: cuDNN computes bf16 with matrix units only so.
    torch.backends.cudnn.rnn.fp32_precision = "tf32"  # type: ignore[attr-defined]
    counts = []
    for measure in measures:
        measure(2)  # which loads libraries and lays out memory
        counts.append(max(1, round(setting.least_seconds / (measure(2) / 2))))
    seconds: list[list[float]] = [[] for _ in measures]
    for _ in range(setting.rounds):
        for times, count, measure in zip(seconds, counts, measures, strict=True):
            times.append(measure(count) / count)
    return [1 / statistics.median(times) for times in seconds]


# -- right -----------------------------------------------------------------------------------------------------------


def differentiated(model: Network, device: str, precision: str) -> tuple[float, dict[str, Tensor]]:
    """Loss and gradients of one window of 8 rows x 32, on this device in these numbers."""
    computing = MixedPrecision(copy.deepcopy(model).to(device), precision)
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(0, SYMBOLS, (8, 33), generator=generator).to(device)
    logits, _ = computing.model.train()(tokens[:, :-1], computing.model.initial_states(8))
    loss = cross_entropy(logits, tokens[:, 1:]).mean()
    torch.autograd.backward(LOSS_SCALE * loss)
    computing.hand_over_gradients()
    found = {name: weight.grad.cpu() for name, weight in computing.master.named_parameters() if weight.grad is not None}
    return float(loss.detach()), {name: gradient / LOSS_SCALE for name, gradient in found.items()}


def gone_on(size: tuple[int, int], device: str, precision: str, halfway: int | None) -> dict[str, Tensor]:
    """All that training changes, behind 12 steps with dropout; saved and loaded by another trainer `halfway`."""

    def begun() -> Trainer:
        model = network("lstm", size, dropout=0.2, weight_drop=0.1)
        return trainer(model, device, precision, 8, 32, steps=12, report_every=1)

    training = begun()
    for event in training.run():
        if isinstance(event, Report) and event.step == halfway:
            saved, training = training.snapshot(), begun()
            training.restore(Snapshot(saved.progress, {name: part.cpu() for name, part in saved.tensors.items()}))
            for _ in training.run():
                pass
            break
    return training.snapshot().tensors


def losses(size: tuple[int, int], device: str, precision: str) -> list[float]:
    """Of fifty steps of AdamW, one by one."""
    more = {"steps": 50, "report_every": 1, "optimizer": "adamw", "lr": 2e-3}
    training = trainer(network("lstm", size), device, precision, 8, 32, **more)
    return [event.loss for event in training.run() if isinstance(event, Report)]


def check(setting: Setting) -> tuple[list[str], bool]:
    """Tables of what differs from the processor's fp32, and whether all is as it should be."""
    rows, right, size = [], True, setting.checked_size

    def judged(of: str, precision: str, what: str, found: float, most: float) -> None:
        nonlocal right
        right &= found <= most
        rows.append([of, precision, what, f"{found:.1e}", f"{most:.0e}", "" if found <= most else "WRONG"])
        print("check", *rows[-1], flush=True)

    for cell in setting.checked:
        model = network(cell, size)
        loss, gradients = differentiated(model, "cpu", "fp32")
        for precision in ("fp32", *setting.halves):
            other, others = differentiated(model, setting.device, precision)
            apart = max(float((others[n] - one).norm() / one.norm()) for n, one in gradients.items() if one.norm() > 0)
            judged(cell, precision, "loss", abs(other - loss), TOLERATED[precision][0])
            judged(cell, precision, "gradients", apart, TOLERATED[precision][1])
    exact = losses(size, "cpu", "fp32")
    for precision in ("fp32", *setting.halves):
        apart = max(abs(a - b) for a, b in zip(exact, losses(size, setting.device, precision), strict=True))
        judged("lstm", precision, "loss in fifty steps, at most", apart, 1e-3 if precision == "fp32" else 5e-2)
        whole, again = (gone_on(size, setting.device, precision, at) for at in (None, 6))
        apart = max(float((whole[name].double() - again[name].double()).abs().max()) for name in whole)
        judged("lstm", precision, "going on from a file, against not stopping", apart, 0.0)
    head = ["cell", "numbers", "what", "differs by", "tolerated", ""]
    return ["Against the processor in fp32, {} x {}:\n".format(*size), table(head, rows)], right


# -- fast ------------------------------------------------------------------------------------------------------------


def our_training(setting: Setting, size: tuple[int, int], rows: int, precision: str) -> Measure:
    """The tool's own loop: 16-bit copies of fp32 weights, SOAP, a report every ten steps."""
    more = {"report_every": REPORTED}
    events = trainer(network("lstm", size), setting.device, precision, rows, setting.window, **more).run()

    def measure(steps: int) -> float:
        reports = -(-steps // REPORTED)
        started = waited(setting.device)
        for _ in range(reports):
            next(events)
        return (waited(setting.device) - started) * steps / (reports * REPORTED)

    return measure


class Stock(nn.Module):
    """What a user writes."""

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        layers, hidden = size
        self.embedding = nn.Embedding(SYMBOLS, EMBEDDING)
        self.rnn = nn.LSTM(EMBEDDING, hidden, layers, batch_first=True)
        self.head = nn.Linear(hidden, SYMBOLS)

    def forward(self, x: Tensor, state: Any) -> Any:
        """tokens (B, T) -> logits (B, T, V), state"""
        y, state = self.rnn(self.embedding(x), state)
        return self.head(y), state


def stock_training(setting: Setting, size: tuple[int, int], rows: int, precision: str) -> Measure:
    """nn.LSTM under autocast, AdamW, cross-entropy, clipping, in fp16 a scaled loss."""
    device, model = setting.device, Stock(size).to(setting.device)
    optimizer, loss_of = torch.optim.AdamW(model.parameters(), lr=1e-3), nn.CrossEntropyLoss()
    scaler = torch.amp.GradScaler(device, enabled=precision == "fp16")
    state: Any = None

    def measure(steps: int) -> float:
        nonlocal state
        started = waited(device)
        for _ in range(steps):
            x = torch.randint(0, SYMBOLS, (rows, setting.window + 1), device=device)
            optimizer.zero_grad()
            with torch.autocast(device, PRECISIONS[precision]):
                logits, state = model(x[:, :-1], state)
                loss = loss_of(logits.flatten(0, 1).float(), x[:, 1:].flatten())
            state = tuple(part.detach() for part in state)
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
            loss.item()
        return waited(device) - started

    return measure


def our_generation(setting: Setting, size: tuple[int, int], streams: int, precision: str) -> Measure:
    """The network in torch, one token of all streams after another; characters stay on the device till the end."""
    model = network("lstm", size).to(setting.device, PRECISIONS[precision]).eval()

    @torch.inference_mode()
    def measure(characters: int) -> float:
        tokens, written = torch.full((streams, 1), SYMBOLS, device=setting.device), []
        state, started = model.initial_states(streams), waited(setting.device)
        for _ in range(characters):
            logits, state = model(tokens, state)
            likely = (logits[:, -1].float() / TEMPERATURE).softmax(-1)
            # Of exponential clocks of these rates, which rings first; `multinomial` waits for the device.
            tokens = (likely / torch.empty_like(likely).exponential_()).argmax(-1, keepdim=True)
            written.append(tokens)
        torch.cat(written, dim=1).cpu()
        return waited(setting.device) - started

    return measure


def stock_generation(setting: Setting, size: tuple[int, int], streams: int, precision: str) -> Measure:
    """The same of nn.LSTM under autocast."""
    model = Stock(size).to(setting.device).eval()

    @torch.inference_mode()
    def measure(characters: int) -> float:
        token, state, written = torch.zeros(streams, 1, dtype=torch.int64, device=setting.device), None, []
        started = waited(setting.device)
        with torch.autocast(setting.device, PRECISIONS[precision]):
            for _ in range(characters):
                logits, state = model(token, state)
                token = torch.multinomial((logits[:, -1].float() / TEMPERATURE).softmax(-1), 1)
                written.append(token)
        torch.cat(written, dim=1).cpu()
        return waited(setting.device) - started

    return measure


Makes = Callable[[Setting, tuple[int, int], int, str], Measure]


def beside(
    setting: Setting, budget: Budget, what: str, makers: tuple[Makes, Makes], batches: Sequence[int], each: int
) -> Iterator[list[str]]:
    """Rows of a table: stock and ours in each 16-bit format, `each` characters a unit and row, and the ratio."""
    for size in setting.sizes:
        shape = Shape("lstm", *size)
        for batch in batches:
            if not budget.allows(f"{what}, {shape}, {batch} rows", 25 if setting.device == "cuda" else 1):
                continue
            makes = [maker(setting, size, batch, half) for maker in makers for half in setting.halves]
            found = [batch * each * rate for rate in rates(makes, setting)]
            stock, ours = max(found[: len(setting.halves)]), max(found[len(setting.halves) :])
            operations = shape.operations() / (1 if each > 1 else 3)
            row = [str(shape), str(batch), *(f"{one / 1e3:,.1f}" for one in found), f"{ours / stock:.2f}",
                   f"{ours * operations / 1e12:.2f}"]  # fmt: skip
            print(what, *row, flush=True)
            yield row


def speeds(setting: Setting, budget: Budget, what: str) -> list[str]:
    """Training or generation beside the stock loop."""
    training = what == "training"
    makers: tuple[Makes, Makes] = (stock_generation, our_generation)
    if training:
        makers = stock_training, our_training
    named = [f"{who}, {half}" for who in ("stock", "charrnn") for half in setting.halves]
    head = ["network", "rows" if training else "streams", *named, "ratio, each at its best", "TFLOP/s"]
    batches, each = (setting.rows, setting.window) if training else (setting.streams, 1)
    found = list(beside(setting, budget, what, makers, batches, each))
    how = f"window {setting.window}, whole step" if training else "one token of all streams at a time"
    return [f"{what.capitalize()}, {how}, thousand characters a second:\n", table(head, found)]


# -- good ------------------------------------------------------------------------------------------------------------


def minutes(setting: Setting, budget: Budget, corpus: Path) -> list[str]:
    """What `charrnn train --for` makes of the time, judged as in benchmarks/quality.py."""
    import quality  # which draws

    runs = []
    with tempfile.TemporaryDirectory() as folder:
        for budgeted in setting.times:
            seconds = parse_duration(budgeted)
            if not budget.allows(f"training for {format_duration(seconds)}", seconds + 60):
                continue
            text = Text(corpus.stem, corpus, ("--valid", "0.1"))
            runs.append(quality.train(text, budgeted, 1, Path(folder), adapt=False, device=setting.device))
            print("minutes", *quality.rows(runs[-1:])[0], flush=True)
    return ["`charrnn train --for`, the last tenth held out, one seed:\n", table(quality.HEAD, quality.rows(runs))]


def described(device: str) -> str:
    """The card and what drives it."""
    if device != "cuda":
        return f"Dry, on the processor: no figure of a GPU. torch {torch.__version__}.\n"
    versions = f"torch {torch.__version__}, CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"  # type: ignore[no-untyped-call]
    return f"{torch.cuda.get_device_name()}, {versions}.\n"


def main() -> None:
    """All parts, the most needed first."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("corpus", nargs="?", type=Path)
    parser.add_argument("--seconds", type=float, default=460.0)
    parser.add_argument("--only", nargs="+", choices=("check", "training", "generation", "minutes"))
    parser.add_argument("--dry", action="store_true")
    asked = parser.parse_args()
    if not asked.dry and not torch.cuda.is_available():
        parser.error("there is no GPU here: --dry does each part on the processor")
    if asked.corpus is None and not asked.dry:
        parser.error("name a corpus: tiny-shakespeare, or a text like it")
    setting, budget = DRY if asked.dry else CARD, Budget(asked.seconds)
    corpus, failed = asked.corpus or CORPORA / "fables.txt", False
    choose(setting.device, threads=setting.threads)
    paragraphs = [described(setting.device)]
    for part in asked.only or ("check", "minutes", "training", "generation"):
        try:
            if part == "check":
                told, right = check(setting)
                failed |= not right
            elif part == "minutes":
                told = minutes(setting, budget, corpus)
            else:
                told = speeds(setting, budget, part)
            paragraphs += told
        except Exception:
            failed = True
            traceback.print_exc()
            paragraphs.append(f"{part}: failed, {traceback.format_exc(limit=0).strip().splitlines()[-1]}\n")
    if asked.dry:
        print("\n" + "\n".join(paragraphs))
    else:
        append("GPU", *paragraphs)
    raise SystemExit(failed)


if __name__ == "__main__":
    main()
