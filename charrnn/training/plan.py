"""What to train in the time given: the network, its regularisation and its batch, from the corpus and the clock.

`training/sizing.py` decides the size; here are the other hyperparameters: dropout grows with the passes over the text,
the learning rate follows the width and the tokens of a step. The figures that the numbers below are fitted to are in
docs/experiments.md. Whatever the user named stays as it is, and the rest adapts.
"""

import dataclasses
import math
from dataclasses import dataclass

from charrnn.config import ModelConfig, TrainConfig, TrainOptions, require
from charrnn.config.durations import format_duration
from charrnn.machine import Machine
from charrnn.models.weights import formula
from charrnn.scoring.token_nll import SHORTEST_CHUNK, WARM_UP
from charrnn.text.dataset import Dataset
from charrnn.training.explain import explain
from charrnn.training.optim import final_share
from charrnn.training.reading import DEFAULT_SECONDS, MOST_PASSES, Measure, Reading, wanted, widened
from charrnn.training.sizing import OPERATIONS, directions, fresh, speed, weight_count

# How often validation comes, and the share of the time that it is meant to take, and may take where the run is short.
# Without gradients, but in fp32, a token costs two thirds of what it costs in training.
EVALUATIONS, LEAST_EVALUATIONS, SECONDS_BETWEEN = 15, 6, 20.0
VALIDATION_SHARE, MOST_VALIDATION_SHARE = 0.04, 0.1
VALIDATION_COST = 2 / 3
LEAST_VALIDATED, MOST_VALIDATED = 1 << 14, 1 << 17
FEWEST_VALIDATED = 1 << 12
# Chunks of the held-out part that are scored side by side; fewer than some rows take as long as some.
VALIDATION_CHUNKS, FEW_ROWS = 64, 32

OPTIMIZER = "soap"
# Rate x width, as it should be for Adam (Yang et al. 2022), and the most for narrow networks, at so many tokens a step.
RATE_TIMES_WIDTH, MOST_RATE = 4.4, 0.017
RATE_TOKENS = 4096
FINE_TUNING_RATE = 0.25
# Of plain gradient descent, whose steps clipping holds: whatever the width.
DESCENT_RATE = 2.0
# What decay alone would leave of a weight at the end of the run: e to the minus this, and more for each doubling of the
# overfitting pressure beyond what needs no more.
DECAY_OVER_RUN, DECAY_A_DOUBLING, DECAY_PRESSURE = 1.2, 0.6, 9.0
LEAST_DECAY, MOST_DECAY = 0.001, 0.2
# Dropout for each doubling of the overfitting pressure beyond what a network bears without it.
DROPOUT_A_DOUBLING = 0.075
FREE_PRESSURE = 4.6
MOST_DROPOUT = 0.5
# The share of the run whose weights are averaged.
AVERAGE = 0.3


@dataclass(frozen=True)
class Choice:
    """What to train, and why, in one line each."""

    model: ModelConfig
    train: TrainConfig
    reasons: list[str]


def plan(
    options: TrainOptions,
    data: Dataset,
    *,
    seed: int,
    machine: Machine,
    source: ModelConfig | None = None,
    measure: Measure | None = None,
) -> Choice:
    """Decide everything that was left open; a model that is gone on from (`source`) brings its own network.

    A budget of time is planned with the speed that `measure` finds; steps and epochs repeat, so no clock has a say in
    them. Raises ConfigError when options contradict each other.
    """
    first, size = Reading.of(options, data.train), data.tokenizer.size
    network, product, reading = _network(options, first, size, machine, source, measure)
    recurrent = any(weight.recurrent for weight in formula(network.cell).table().values())
    require(
        options.spectral_radius is None or recurrent,
        f"{network.cell} has no recurrent matrices: leave out `spectral_radius`",
    )
    weights = directions(network) * weight_count(network.hidden, network.cell, network.layers)
    to_read = reading.to_read or int(product / weights / network.ensemble)
    asked = reading
    if data.valid is not None:
        reading = reading.bounded(to_read)
        to_read = reading.to_read or to_read
    passes = to_read / reading.tokens
    pressure = overfitting_pressure(passes, weights / reading.tokens)
    drop = dropout(pressure) if options.dropout is None else options.dropout
    model = dataclasses.replace(
        network,
        vocab_size=size + (data.train.starts is not None),
        start_id=size,
        dropout=drop or None,
        weight_drop=options.weight_drop or None,
    )
    train = training(
        options, reading, to_read, model, pressure=pressure, seed=seed, precision=machine.precision,
        tuned=source is not None, held_out=0 if data.valid is None else data.valid.tokens.size,
    )  # fmt: skip
    reasons = explain(model, train, options, data, passes)
    if reading != asked:
        time = format_duration(asked.seconds or 0)
        reasons.append(f"a short text: {MOST_PASSES} passes take less than {time}, and more would be learned by heart")
    if options.counts and not train.counts:
        reasons.append("nothing is held out that could tell what counts of so new a text are worth: left out")
    if reading.batch_size > first.batch_size:
        reasons.append(
            f"{reading.batch_size} rows: on this GPU steps of {first.batch_size} read clearly fewer a second"
        )
    if (first.batch_size, first.bptt) != (whole := wanted(options, data.train)):
        reasons.append(
            f"the text is shorter than {whole[0]} rows of {whole[1]}: trained on {first.batch_size} of {first.bptt}"
            if data.train.starts is None
            else f"{len(data.train.starts):,} documents to learn from: a step reads all of them"
        )
    return Choice(model, train, reasons)


def _network(
    options: TrainOptions,
    reading: Reading,
    size: int,
    machine: Machine,
    source: ModelConfig | None,
    measure: Measure | None,
) -> tuple[ModelConfig, float, Reading]:
    """The network, weights times the tokens that each of them reads, and how; a GPU may take more rows.

    What is measured depends on the width, and the width on what is measured: a second look is enough.
    """

    def pays_for(operations: float) -> tuple[ModelConfig, float]:
        product = (reading.seconds or DEFAULT_SECONDS) * operations / OPERATIONS
        return source or fresh(options, size, reading.tokens, product, reading.to_read, machine), product

    network, product = pays_for(speed(machine))
    if measure is None or reading.to_read is not None:
        return network, product, reading
    widens = machine.device.type == "cuda" and options.batch_size is None
    for _ in range(2):
        measured = network
        if widens:
            reading, operations = widened(measured, reading, measure)
        else:
            operations = measure(measured, reading)
        network, product = pays_for(operations)
        if network.hidden == measured.hidden:
            break
    return network, product, reading


def training(
    options: TrainOptions,
    reading: Reading,
    to_read: int,
    model: ModelConfig,
    *,
    pressure: float,
    seed: int,
    precision: str,
    tuned: bool,
    held_out: int,
) -> TrainConfig:
    """How to train the model on so many tokens; weights that are only fine-tuned move less."""
    average = AVERAGE if options.average is None else options.average or None
    evaluations, validated = validation(to_read, reading, held_out, documents=model.documents)
    optimizer = options.optimizer or OPTIMIZER
    rate = DESCENT_RATE if optimizer == "sgd" else learning_rate(model.hidden, reading.a_step, model.cell)
    lr = options.lr or rate * (FINE_TUNING_RATE if tuned else 1.0)
    decay = options.weight_decay
    if decay is None:
        decay = weight_decay(lr, to_read / reading.a_step, average, pressure)
    return TrainConfig(
        seed=seed,
        steps=options.steps,
        epochs=reading.epochs,
        seconds=reading.seconds,
        bptt=reading.bptt,
        batch_size=reading.batch_size,
        stream=options.stream,
        shuffle=options.shuffle,
        teacher=options.teacher,
        lr=lr,
        optimizer=optimizer,
        average=average,
        weight_decay=decay,
        clip=options.clip or None,
        clip_value=options.clip_value,
        eval_every=options.eval_every,
        evaluations=evaluations,
        validated=validated,
        save_every=options.save_every,
        keep_every=options.keep_every,
        # They know the new text alone, and only what is held out could tell how little they are to say.
        counts=options.counts and (held_out > 0 or not tuned),
        patience=options.patience,
        precision=precision,
    )


def validation(to_read: float, reading: Reading, held_out: int, *, documents: bool) -> tuple[int, int]:
    """How often to validate in a run that reads so many tokens, and on how many of those that are held out.

    A short run validates less often, a very short one once, on less.
    """
    evaluations = EVALUATIONS
    if reading.seconds is not None:
        evaluations = min(EVALUATIONS, max(LEAST_EVALUATIONS, int(reading.seconds / SECONDS_BETWEEN)))
    # All that is read for its share of the time, but for what chunks are warmed up on.
    wanted = int(VALIDATION_SHARE / VALIDATION_COST * to_read / evaluations)
    wanted -= 0 if documents else VALIDATION_CHUNKS * WARM_UP
    validated = min(MOST_VALIDATED, max(LEAST_VALIDATED, wanted))
    # A step computes places that may hold no text.
    may_cost = MOST_VALIDATION_SHARE * to_read * reading.batch_size * reading.window / reading.a_step
    while validated > FEWEST_VALIDATED and validation_cost(min(validated, held_out), documents) > may_cost:
        validated //= 2
    return max(1, min(evaluations, int(may_cost / validation_cost(min(validated, held_out), documents)))), validated


def validation_cost(tokens: int, documents: bool) -> float:
    """What scoring so many costs, in tokens of training: documents, or chunks side by side, each warmed up first."""
    if documents:
        return VALIDATION_COST * max(1, tokens)
    chunks = min(VALIDATION_CHUNKS, max(1, tokens // SHORTEST_CHUNK))
    return VALIDATION_COST * (tokens / chunks + WARM_UP) * max(chunks, FEW_ROWS)


def learning_rate(hidden: int, tokens: float, cell: str) -> float:
    """The wider the network, the smaller the steps; the more tokens in each, the larger (Malladi et al. 2022)."""
    rate = formula(cell).lr_scale * min(MOST_RATE, RATE_TIMES_WIDTH / hidden)
    return float(f"{rate * math.sqrt(tokens / RATE_TOKENS):.2g}")


def weight_decay(lr: float, steps: float, average: float | None, pressure: float) -> float:
    """A weight shrinks by rate x decay in each step: alike over runs of one pressure, at the mean of the cosine."""
    over_run = DECAY_OVER_RUN + DECAY_A_DOUBLING * math.log2(max(1.0, pressure / DECAY_PRESSURE))
    decay = over_run / (0.5 * (1 + final_share(average)) * lr * max(1.0, steps))
    return float(f"{min(MOST_DECAY, max(LEAST_DECAY, decay)):.2g}")


def overfitting_pressure(passes: float, weights_per_token: float) -> float:
    """How soon a network overfits: more passes, and more weights for each token of the text, bring it about."""
    return passes * math.sqrt(weights_per_token)


def dropout(overfitting_pressure: float) -> float:
    """The share to drop."""
    return round(min(MOST_DROPOUT, DROPOUT_A_DOUBLING * math.log2(max(1.0, overfitting_pressure / FREE_PRESSURE))), 2)
