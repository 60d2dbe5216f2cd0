"""What to train in the time given: the network, its regularisation and its batch, from the corpus and the clock.

One thought decides the size: the time pays for so many multiplications, a token costs six for each weight (forward and
backward), and a network does best when it sees about as many tokens as it has weights, whether they are new ones or
the same text again. Where the text is short against that, several networks share the time and average what they
predict; beyond, the width stops growing and dropout grows. The figures that the numbers below are fitted to are in
docs/experiments.md. Whatever the user named stays as it is, and the rest adapts.
"""

import dataclasses
import math
from dataclasses import dataclass

from charrnn.config import ModelConfig, TrainConfig, TrainOptions, require
from charrnn.machine import Machine
from charrnn.models.connections import DENSE
from charrnn.models.weights import formula
from charrnn.text.dataset import Dataset, Part
from charrnn.training.batches import fit
from charrnn.training.optim import final_share

DEFAULT_SECONDS = 600.0

# Operations a second: a CPU thread in each format, and a GPU.
THREAD_SPEED = {"fp32": 100e9, "bf16": 250e9}
GPU_SPEED = 30e12
OPERATIONS = 6

TOKENS_PER_WEIGHT = 1.0
# The most weights, times the square root of the text's tokens: a short text needs more of them for each.
MOST_WEIGHTS = 5000.0
# One network for every so many weights for each token that a single one would have, if each still reads so many
# tokens. The eighth brings a 28th of what the second does, and all are paid for in every text that is written.
WEIGHTS_EACH, TOKENS_EACH, MOST_MEMBERS = 2.0, 2.5e6, 8
WIDTHS = (64, 96, 128, 192, 256, 320, 384, 448, 512, 640, 768, 896, 1024, 1280, 1536, 2048)
CELL = "lstm"
LAYERS = 2
EMBEDDING = 128
SYMBOLS_TO_TIE = 512

# How often validation comes, and the share of the time that it may take. Without gradients, but in fp32, a token costs
# two thirds of what it costs in training.
EVALUATIONS, LEAST_EVALUATIONS, SECONDS_BETWEEN = 15, 3, 20.0
VALIDATION_SHARE = 0.04
VALIDATION_COST = 2 / 3
LEAST_VALIDATED, MOST_VALIDATED = 1 << 14, 1 << 17

OPTIMIZER = "soap"
BATCH_SIZE = 64
MOST_ROWS = 512
BPTT = 64
# Rate x width, as it should be for Adam (Yang et al. 2022), and the most for narrow networks, at so many tokens a step.
RATE_TIMES_WIDTH, MOST_RATE = 4.4, 0.017
RATE_TOKENS = 4096
FINE_TUNING_RATE = 0.25
# Of plain gradient descent, whose steps clipping holds: whatever the width.
DESCENT_RATE = 2.0
# What decay alone would leave of a weight at the end of the run: e to the minus this.
DECAY_OVER_RUN = 1.2
LEAST_DECAY, MOST_DECAY = 0.001, 0.2
# Dropout for each doubling of the overfitting pressure beyond what a network bears without it.
DROPOUT_A_DOUBLING = 0.15
FREE_PRESSURE = 6.4
MOST_DROPOUT = 0.5
# The share of the run whose weights are averaged.
AVERAGE = 0.3
# What early stopping seldom lets a run come to.
MANY_PASSES = 100


@dataclass(frozen=True)
class Choice:
    """What to train, and why, in one line each."""

    model: ModelConfig
    train: TrainConfig
    reasons: list[str]


def plan(
    options: TrainOptions, data: Dataset, *, seed: int, machine: Machine, source: ModelConfig | None = None
) -> Choice:
    """Decide everything that was left open; a model that is gone on from (`source`) brings its own network.

    Raises ConfigError when options contradict each other.
    """
    tokens, size = data.train.tokens.size, data.tokenizer.size
    seconds = options.seconds
    if (options.steps, options.epochs, seconds) == (None, None, None):
        seconds = DEFAULT_SECONDS
    asked = options.batch_size or rows(data.train, options.bptt or BPTT), options.bptt or BPTT
    batch_size, bptt = fit(data.train, batch_size=asked[0], bptt=asked[1])
    a_step = batch_size * filled(data.train, bptt)
    # What training will read, if it is known before the network is.
    to_read = None
    if options.steps is not None:
        to_read = max(1, int(options.steps * a_step))
    elif options.epochs is not None:
        to_read = max(1, int(options.epochs * tokens))
    # Weights times the tokens that each of them reads.
    product = (seconds or DEFAULT_SECONDS) * speed(machine) / OPERATIONS
    network = source or fresh(options, size, tokens, product, to_read)
    recurrent = any(weight.recurrent for weight in formula(network.cell).table().values())
    require(
        options.spectral_radius is None or recurrent,
        f"{network.cell} has no recurrent matrices: leave out `spectral_radius`",
    )
    weights = halves(network) * weight_count(network.hidden, network.cell, network.layers)
    to_read = to_read or int(product / weights / network.ensemble)
    passes = to_read / tokens
    average = AVERAGE if options.average is None else options.average or None
    evaluations = EVALUATIONS
    if seconds is not None:
        evaluations = min(EVALUATIONS, max(LEAST_EVALUATIONS, int(seconds / SECONDS_BETWEEN)))
    validated = int(VALIDATION_SHARE / VALIDATION_COST * to_read / evaluations)
    optimizer = options.optimizer or OPTIMIZER
    fresh_rate = DESCENT_RATE if optimizer == "sgd" else learning_rate(network.hidden, a_step, network.cell)
    lr = options.lr or fresh_rate * (1.0 if source is None else FINE_TUNING_RATE)
    decay = weight_decay(lr, to_read / a_step, average) if options.weight_decay is None else options.weight_decay
    model = dataclasses.replace(
        network,
        vocab_size=size + (data.train.starts is not None),
        start_id=size,
        dropout=(
            dropout(overfitting_pressure(passes, weights / tokens)) if options.dropout is None else options.dropout
        )
        or None,
        weight_drop=options.weight_drop or None,
    )
    train = TrainConfig(
        seed=seed,
        steps=options.steps,
        epochs=options.epochs,
        seconds=seconds,
        bptt=bptt,
        batch_size=batch_size,
        lr=lr,
        optimizer=optimizer,
        average=average,
        weight_decay=decay,
        clip=options.clip or None,
        clip_value=options.clip_value,
        eval_every=options.eval_every,
        evaluations=evaluations,
        validated=min(MOST_VALIDATED, max(LEAST_VALIDATED, validated)),
        save_every=options.save_every,
        patience=options.patience,
        precision=machine.precision,
    )
    reasons = explain(model, train, options, data, passes)
    if (batch_size, bptt) != asked:
        reasons.append(f"the text is shorter than {asked[0]} rows of {asked[1]}: trained on {batch_size} of {bptt}")
    return Choice(model, train, reasons)


def fresh(options: TrainOptions, size: int, tokens: int, product: float, to_read: int | None) -> ModelConfig:
    """The untrained network for a text of so many tokens, `size` different, and what the time pays for.

    Steps and epochs say what will be read and name no time: then it is one network, such as the default time pays for,
    or a smaller one.
    """
    cell, layers = options.cell or CELL, options.layers or LAYERS
    sides = halves(options)
    most = MOST_WEIGHTS * math.sqrt(tokens)
    if to_read is None:
        each = sides * weight_count(options.hidden, cell, layers) if options.hidden else most
        ensemble = options.ensemble or shared(product, tokens, each)
        wanted = math.sqrt(product / ensemble / TOKENS_PER_WEIGHT)
    else:
        ensemble = options.ensemble or 1
        wanted = min(math.sqrt(product / TOKENS_PER_WEIGHT), to_read / TOKENS_PER_WEIGHT)
    hidden = options.hidden or width(min(wanted, most) / sides, cell, layers)
    # Many symbols: one matrix for both ends saves what is most of the weights.
    may_tie = options.embedding in (None, hidden) and options.skip != DENSE
    tie = size > SYMBOLS_TO_TIE and may_tie if options.tie is None else options.tie
    return ModelConfig(
        vocab_size=size, start_id=size, cell=cell, layers=layers, hidden=hidden, tie=tie,
        skip=options.skip, norm=options.norm or False, bidirectional=options.bidirectional or False,
        embedding=options.embedding or (hidden if tie else min(EMBEDDING, hidden)), ensemble=ensemble,
    )  # fmt: skip


def halves(network: TrainOptions | ModelConfig) -> int:
    """What reads from both ends costs twice as much for each width."""
    return 2 if network.bidirectional else 1


def rows(part: Part, bptt: int) -> int:
    """Streams side by side; more where documents are shorter than a window, so that a step is worth its while."""
    return round(min(MOST_ROWS, BATCH_SIZE * bptt / filled(part, bptt)))


def filled(part: Part, bptt: int) -> float:
    """Tokens that a row has in a window, in the mean: behind a document that is shorter the window is empty."""
    return bptt if part.starts is None else min(bptt, part.tokens.size / len(part.starts))


def speed(machine: Machine) -> float:
    """Operations a second that such a machine does in training: a guess, for steps are counted by the real speed."""
    if machine.device.type != "cpu":
        return GPU_SPEED
    return THREAD_SPEED[machine.precision] * machine.threads


def shared(product: float, tokens: int, weights: float) -> int:
    """How many networks do best together, where one alone would have so many weights times tokens.

    `weights` is the most that each may have, or what was asked for.
    """
    by_text = math.sqrt(product / TOKENS_PER_WEIGHT) / tokens / WEIGHTS_EACH
    by_time = product / TOKENS_EACH / min(weights, TOKENS_EACH / TOKENS_PER_WEIGHT)
    return min(MOST_MEMBERS, max(1, round(min(by_text, by_time))))


def weight_count(hidden: int, cell: str, layers: int) -> int:
    """Weights of the recurrent layers' matrices, near enough for a plan: as if every layer read `hidden` numbers."""
    shapes = (weight.shape(hidden, hidden) for weight in formula(cell).table().values())
    return layers * sum(math.prod(shape) for shape in shapes if len(shape) == 2)


def width(weights: float, cell: str, layers: int) -> int:
    """The width that has about so many weights."""
    return min(WIDTHS, key=lambda hidden: abs(math.log(weight_count(hidden, cell, layers) / max(weights, 1.0))))


def learning_rate(hidden: int, tokens: float, cell: str) -> float:
    """The wider the network, the smaller the steps; the more tokens in each, the larger (Malladi et al. 2022)."""
    rate = formula(cell).lr_scale * min(MOST_RATE, RATE_TIMES_WIDTH / hidden)
    return float(f"{rate * math.sqrt(tokens / RATE_TOKENS):.2g}")


def weight_decay(lr: float, steps: float, average: float | None) -> float:
    """A weight shrinks by rate x decay in each step: alike over every run, at the mean of the cosine."""
    decay = DECAY_OVER_RUN / (0.5 * (1 + final_share(average)) * lr * max(1.0, steps))
    return float(f"{min(MOST_DECAY, max(LEAST_DECAY, decay)):.2g}")


def overfitting_pressure(passes: float, weights_per_token: float) -> float:
    """How soon the text is learned by heart: more passes, and more weights for each of its tokens, bring it about."""
    return passes * math.sqrt(weights_per_token)


def dropout(overfitting_pressure: float) -> float:
    """The share to drop."""
    return round(min(MOST_DROPOUT, DROPOUT_A_DOUBLING * math.log2(max(1.0, overfitting_pressure / FREE_PRESSURE))), 2)


def explain(model: ModelConfig, train: TrainConfig, options: TrainOptions, data: Dataset, passes: float) -> list[str]:
    """What was decided, and from what, in one line each."""
    unit = data.tokenizer.unit
    tokens = data.train.tokens.size
    text = f"text: {tokens:,} {unit} to learn from, {data.tokenizer.size:,} different"
    if data.valid is not None:
        text += f", {data.valid.tokens.size:,} held out to validate"
        if data.valid.tokens.size > train.validated:
            text += f" (the first {train.validated:,} of them while training)"
    budget = (
        f"{train.steps:,} steps"
        if train.steps is not None
        else f"{train.epochs:g} epochs"
        if train.epochs is not None
        else duration(train.seconds or 0)
    )
    asked = ", the size as asked" if options.hidden else ""
    size = f"{model.size}, embedding {model.embedding}{model.manner}{asked}"
    # So many passes end early, when validation no longer improves: their number is a bound.
    bounded = passes > MANY_PASSES and data.valid is not None and train.patience is not None
    read = f"at most about {passes:,.0f}" if bounded else f"about {passes:.1f}"
    network = f"network: {size}, for {read} passes over the text in {budget}"
    drops = f"dropout {model.dropout:g}" if model.dropout else "no dropout"
    if train.average:
        drops += f", weights averaged over the last {train.average:.0%}"
    if model.weight_drop:
        drops += f", weight drop {model.weight_drop:g}"
    training = (
        f"training: {budget}, {train.batch_size} rows x {train.bptt} {unit}, {train.optimizer}, learning rate "
        f"{train.lr:g}, {drops}, weight decay {train.weight_decay:g}"
    )
    return [text, network, training]


def duration(seconds: float) -> str:
    """90 -> '1m30s'"""
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    parts = [f"{hours}h" if hours else "", f"{minutes}m" if minutes else "", f"{rest}s" if rest or whole < 60 else ""]
    return "".join(parts)
