"""What to train in the time given: the network, its regularisation and its budget, from the corpus and the clock.

The rule is small on purpose; docs/experiments.md has the figures that it is fitted to. Whatever the user named is
left as it is, and the rest adapts to it.
"""

import math

from charrnn.config import ModelConfig, TrainConfig, TrainOptions
from charrnn.text.dataset import Dataset
from charrnn.text.streams import fit

DEFAULT_SECONDS = 600.0
MOST_DROPOUT = 0.5
RATE_AT_256 = 8e-3
# Validation takes about a second for so many tokens, and comes a dozen times.
MOST_VALIDATED = 1 << 17

# The widest network that (seconds given, tokens to learn from) can pay for, widest first.
WIDTHS = [(420.0, 600_000, 512), (240.0, 300_000, 384), (20.0, 30_000, 256), (0.0, 0, 128)]
# Tokens a second that a two-layer network of this width reads on two cores, for guessing the passes over a corpus.
SPEED_AT_256 = 60_000.0


def plan(options: TrainOptions, data: Dataset, *, seed: int, precision: str) -> tuple[ModelConfig, TrainConfig]:
    """Decide everything that was left open. Raises ConfigError when options contradict each other."""
    tokens = data.train.tokens.size
    seconds = options.seconds
    if (options.steps, options.epochs, seconds) == (None, None, None):
        seconds = DEFAULT_SECONDS
    batch_size, bptt = fit(data.train, batch_size=options.batch_size, bptt=options.bptt)

    hidden = options.hidden or next(
        width
        for least_time, least_tokens, width in WIDTHS
        if (seconds or DEFAULT_SECONDS) >= least_time and tokens >= least_tokens
    )
    # Many symbols: one matrix for both ends saves what is most of the weights.
    tie = data.tokenizer.size > 512 and options.embedding in (None, hidden) if options.tie is None else options.tie
    embedding = options.embedding or (hidden if tie else min(128, hidden))
    if options.steps is not None:
        passes = options.steps * batch_size * bptt / tokens
    elif options.epochs is not None:
        passes = options.epochs
    else:
        passes = (seconds or DEFAULT_SECONDS) * SPEED_AT_256 * (256 / hidden) / tokens
    size = data.tokenizer.size
    model = ModelConfig(
        vocab_size=size + (data.train.starts is not None),
        start_id=size,
        cell=options.cell,
        embedding=embedding,
        hidden=hidden,
        layers=options.layers,
        dropout=_dropout(passes, hidden) if options.dropout is None else options.dropout or None,
        tie=tie,
    )
    train = TrainConfig(
        seed=seed,
        steps=options.steps,
        epochs=options.epochs,
        seconds=seconds,
        bptt=bptt,
        batch_size=batch_size,
        lr=options.lr or round(RATE_AT_256 * math.sqrt(256 / hidden), 5),
        weight_decay=options.weight_decay,
        clip=options.clip,
        clip_value=options.clip_value,
        eval_every=options.eval_every,
        save_every=options.save_every,
        patience=options.patience,
        precision=precision,
    )
    return model, train


def _dropout(passes: float, hidden: int) -> float | None:
    """More passes and a wider network learn by heart sooner; a single pass cannot."""
    share = 0.05 * math.log2(max(passes, 1.0)) * math.sqrt(hidden / 256)
    return round(min(MOST_DROPOUT, share), 2) or None


def explain(model: ModelConfig, train: TrainConfig, options: TrainOptions, data: Dataset) -> list[str]:
    """What was decided, and from what, in one line each."""
    unit = {"char": "characters", "byte": "bytes", "subword": "pieces"}[data.tokenizer.kind]
    tokens = data.train.tokens.size
    lines = [f"text: {tokens:,} {unit} to learn from, {data.tokenizer.size:,} different"]
    if data.valid is not None:
        lines[0] += f", {data.valid.tokens.size:,} held out to validate"
        if data.valid.tokens.size > MOST_VALIDATED:
            lines[0] += f" (the first {MOST_VALIDATED:,} of them while training)"
    tied = ", tied embeddings" if model.tie else ""
    dropout = f"dropout {model.dropout:g}" if model.dropout else "no dropout"
    lines.append(f"network: {model.cell} {model.layers} x {model.hidden}, embedding {model.embedding}{tied}, {dropout}")
    budget = (
        f"{train.steps:,} steps"
        if train.steps is not None
        else f"{train.epochs:g} epochs"
        if train.epochs is not None
        else f"{duration(train.seconds or 0)}"
    )
    lines.append(f"training: {budget}, {train.batch_size} rows x {train.bptt} {unit}, learning rate {train.lr:g}")
    if (train.batch_size, train.bptt) != (options.batch_size, options.bptt):
        lines.append(
            f"the text is shorter than {options.batch_size} rows of {options.bptt}: trained on "
            f"{train.batch_size} of {train.bptt}"
        )
    return lines


def duration(seconds: float) -> str:
    """90 -> '1m30s'"""
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    parts = [f"{hours}h" if hours else "", f"{minutes}m" if minutes else "", f"{rest}s" if rest or whole < 60 else ""]
    return "".join(parts)
