"""How large a network, or how many, the time pays for.

A token costs six operations for each weight (forward and backward), and a network that reads a text again and again
does best when it sees about as many tokens as it has weights, beside counts of the text some more; of a text that it
does not read to its end, several times as many. Where the text is short against that, several networks share the time
and average what they predict (an ensemble); beyond, the width stops growing and dropout grows. The figures that the
numbers below are fitted to are in docs/experiments.md.
"""

import math

from charrnn.config import ModelConfig, TrainOptions
from charrnn.machine import Machine
from charrnn.models.connections import DENSE
from charrnn.models.weights import formula

# Operations a second: a CPU thread in each format, and a GPU.
THREAD_SPEED = {"fp32": 100e9, "bf16": 250e9}
GPU_SPEED = 30e12
OPERATIONS = 6

TOKENS_PER_WEIGHT, NEW_TOKENS_PER_WEIGHT = 1.0, 8.0
# Counts of the text know what is rare in it: beside them a smaller network that reads more is better.
TOKENS_PER_WEIGHT_BESIDE_COUNTS = 2.5
# The most weights, times the square root of the text's tokens: a short text needs more of them for each. A list of
# some hundred names bears no more than so many for each: beyond, it is learned by heart before it is understood.
MOST_WEIGHTS = 5000.0
MOST_WEIGHTS_A_TOKEN = 30.0
# One network for every so many weights for each token that a single one would have, if each still reads so many
# tokens. The eighth brings a 28th of what the second does, and all are paid for in every text that is written.
WEIGHTS_EACH, TOKENS_EACH, LARGEST_ENSEMBLE = 2.0, 2.5e6, 8
# Beside counts of the text, which are another member, a second network brings next to nothing so soon.
WEIGHTS_EACH_BESIDE_COUNTS = 8.0
WIDTHS = (64, 96, 128, 192, 256, 320, 384, 448, 512, 640, 768, 896, 1024, 1280, 1536, 2048)
CELL = "lstm"
LAYERS = 2
EMBEDDING = 128
SYMBOLS_TO_TIE = 512


def widths(machine: Machine) -> tuple[int, ...]:
    """Those to choose from: for cuDNN narrow ones and whole blocks of 128, for which it has its fastest kernels."""
    return WIDTHS if machine.device.type != "cuda" else tuple(h for h in WIDTHS if h < 128 or h % 128 == 0)


def fresh(
    options: TrainOptions, size: int, tokens: int, product: float, to_read: int | None, machine: Machine
) -> ModelConfig:
    """The untrained network for a text of so many tokens, `size` different, and what the time pays for.

    Steps and epochs say what will be read and name no time: then it is one network, such as the default time pays for,
    or a smaller one.
    """
    cell, layers = options.cell or CELL, options.layers or LAYERS
    sides = directions(options)
    counts = options.counts and sides == 1
    for_each = TOKENS_PER_WEIGHT_BESIDE_COUNTS if counts else TOKENS_PER_WEIGHT
    most = MOST_WEIGHTS * math.sqrt(tokens)
    if to_read is None:
        each = sides * weight_count(options.hidden, cell, layers) if options.hidden else most
        ensemble = options.ensemble or ensemble_size(product, tokens, each, counts=counts)
        wanted = weights_for(product / ensemble, tokens, for_each)
    else:
        ensemble = options.ensemble or 1
        wanted = min(math.sqrt(product / for_each), to_read / for_each)
    weights = min(wanted, most, MOST_WEIGHTS_A_TOKEN * tokens) / sides
    hidden = options.hidden or width(weights, cell, layers, widths(machine))
    # Many symbols: one matrix for both ends saves what is most of the weights.
    may_tie = options.embedding in (None, hidden) and options.skip != DENSE
    tie = size > SYMBOLS_TO_TIE and may_tie if options.tie is None else options.tie
    return ModelConfig(
        vocab_size=size, start_id=size, cell=cell, layers=layers, hidden=hidden, tie=tie,
        skip=options.skip, norm=options.norm or False, bidirectional=options.bidirectional or False,
        embedding=options.embedding or (hidden if tie else min(EMBEDDING, hidden)), ensemble=ensemble,
    )  # fmt: skip


def weights_for(product: float, tokens: int, for_each: float) -> float:
    """How many weights do best where they and the tokens read make such a product, of a text of so many tokens.

    More tokens than so many `for_each` weight are worth it while they are new.
    """
    again, new = (math.sqrt(product * each) for each in (for_each, NEW_TOKENS_PER_WEIGHT))
    return product / min(new, max(again, tokens))


def directions(network: TrainOptions | ModelConfig) -> int:
    """What reads from both ends costs twice as much for each width."""
    return 2 if network.bidirectional else 1


def speed(machine: Machine) -> float:
    """Operations a second that such a machine does in training: a guess, for steps are counted by the real speed."""
    if machine.device.type != "cpu":
        return GPU_SPEED
    return THREAD_SPEED[machine.precision] * machine.threads


def ensemble_size(product: float, tokens: int, weights: float, *, counts: bool) -> int:
    """How many networks do best together, where one alone would have so many weights times tokens.

    `weights` is the most that each may have, or what was asked for; `counts` of the text may stand beside them.
    """
    each = WEIGHTS_EACH_BESIDE_COUNTS if counts else WEIGHTS_EACH
    by_text = math.sqrt(product / TOKENS_PER_WEIGHT) / tokens / each
    by_time = product / TOKENS_EACH / min(weights, TOKENS_EACH / TOKENS_PER_WEIGHT)
    return min(LARGEST_ENSEMBLE, max(1, round(min(by_text, by_time))))


def weight_count(hidden: int, cell: str, layers: int) -> int:
    """Weights of the recurrent layers' matrices, near enough for a plan: as if every layer read `hidden` numbers."""
    shapes = (weight.shape(hidden, hidden) for weight in formula(cell).table().values())
    return layers * sum(math.prod(shape) for shape in shapes if len(shape) == 2)


def width(weights: float, cell: str, layers: int, among: tuple[int, ...]) -> int:
    """The width that has about so many weights."""
    return min(among, key=lambda hidden: abs(math.log(weight_count(hidden, cell, layers) / max(weights, 1.0))))
