"""What was decided for a training (`training/plan.py`), in words."""

from charrnn.config import ModelConfig, TrainConfig, TrainOptions
from charrnn.config.durations import format_duration
from charrnn.text.dataset import Dataset

# What early stopping seldom lets a run come to.
MANY_PASSES = 100


def explain(model: ModelConfig, train: TrainConfig, options: TrainOptions, data: Dataset, passes: float) -> list[str]:
    """What was decided, and from what, in one line each."""
    unit = data.tokenizer.unit
    tokens = data.train.tokens.size
    text = f"text: {tokens:,} {unit} to learn from, {data.tokenizer.size:,} different"
    if train.stream:
        text += ", and what comes behind them"
    if data.valid is not None:
        text += f", {data.valid.tokens.size:,} held out to validate"
        if data.valid.tokens.size > train.validated:
            text += f" (the first {train.validated:,} of them while training)"
    budget = (
        f"{train.steps:,} steps"
        if train.steps is not None
        else f"{train.epochs:g} epochs"
        if train.epochs is not None
        else format_duration(train.seconds or 0)
    )
    asked = ", the size as asked" if options.hidden else ""
    size = f"{model.size}, embedding {model.embedding}{model.manner}{asked}"
    # So many passes seldom come to their end, for early stopping ends them: their number is a bound.
    bounded = passes > MANY_PASSES and data.valid is not None and train.patience is not None
    read = f"at most about {passes:,.0f}" if bounded else f"about {passes:.1f}"
    network = f"network: {size}, for {'less than one pass' if train.stream else f'{read} passes'} over the text"
    if train.epochs is None:
        network += f" in {budget}"
    drops = f"dropout {model.dropout:g}" if model.dropout else "no dropout"
    if train.average:
        drops += f", weights averaged over the last {train.average:.0%}"
    if model.weight_drop:
        drops += f", weight drop {model.weight_drop:g}"
    training = (
        f"training: {budget}, {train.batch_size} rows x {train.bptt} {unit}, {train.optimizer}, learning rate "
        f"{train.lr:g}, {drops}, weight decay {train.weight_decay:g}"
    )
    if train.teacher is None:
        return [text, network, training]
    return [text, f"teacher: {train.teacher}, whose probabilities count as much as the text", network, training]
