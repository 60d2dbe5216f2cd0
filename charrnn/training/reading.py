"""How a text is read: how many rows side by side, how long a window, how often.

A step goes through its window one token after another, and a GPU that has few rows at each spends its time on beginning
the next: it takes twice as many rows as long as these take clearly less than twice the time. Where that ends depends on
the card, the cell and the width, so it is measured; the learning rate follows.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from charrnn.config import ModelConfig, TrainOptions
from charrnn.errors import DeviceMemoryError
from charrnn.text.part import Part
from charrnn.training.batches import DocumentStreams, fit
from charrnn.training.sizing import OPERATIONS, directions, weight_count
from charrnn.training.streaming import ENDLESS

# Of a network and what its steps read: operations a second here and now (see training/measure.py).
Measure = Callable[[ModelConfig, "Reading"], float]

DEFAULT_SECONDS = 600.0
BATCH_SIZE = 64
MOST_ROWS = 512
BPTT = 64
# Beyond so many passes a text is only learned by heart: time that would read it more often is left.
MOST_PASSES = 150
# Each doubling halves how often the weights move for the same text: it must bring so many times the text.
WORTH_TWICE = 1.4
LEAST_STEPS, LEAST_STEPS_A_PASS = 4000, 16


@dataclass(frozen=True)
class Reading:
    """How a text of so many `tokens` is read: rows x BPTT a step, of which `a_step` tokens in the mean are text.

    Where documents end sooner windows do, and are only `window` tokens long in the mean.
    `seconds` is the budget, where it is one of time, `epochs` where it is one of passes; `to_read` how many tokens
    training reads, where that is known before the network is.
    """

    tokens: int
    batch_size: int
    bptt: int
    window: float
    a_step: float
    seconds: float | None
    epochs: float | None
    to_read: int | None

    @classmethod
    def of(cls, options: TrainOptions, part: Part) -> "Reading":
        """As asked, as far as the text is long enough for it."""
        seconds = options.seconds
        if (options.steps, options.epochs, seconds) == (None, None, None):
            seconds = DEFAULT_SECONDS
        batch_size, bptt = fit(part, batch_size=wanted(options, part)[0], bptt=wanted(options, part)[1])
        (window, a_step), to_read = windows(part, batch_size, bptt), None
        tokens = ENDLESS if options.stream else part.tokens.size
        if options.steps is not None:
            to_read = max(1, int(options.steps * a_step))
        elif options.epochs is not None:
            to_read = max(1, int(options.epochs * tokens))
        return cls(tokens, batch_size, bptt, window, a_step, seconds, options.epochs, to_read)

    def bounded(self, to_read: int) -> "Reading":
        """A time that would read a short text too often is a number of passes."""
        most = MOST_PASSES * self.tokens
        if self.seconds is None or to_read <= most:
            return self
        return dataclasses.replace(self, seconds=None, epochs=MOST_PASSES, to_read=most)


def wanted(options: TrainOptions, part: Part) -> tuple[int, int]:
    """Rows and BPTT, were the text long enough."""
    bptt = options.bptt or BPTT
    return options.batch_size or rows(part, bptt), bptt


def rows(part: Part, bptt: int) -> int:
    """Streams side by side; more where documents are shorter than a window, so that a step is worth its while.

    By eights, which is how processors and GPUs multiply.
    """
    return 8 * round(min(MOST_ROWS, BATCH_SIZE * bptt / filled(part, bptt)) / 8)


def filled(part: Part, bptt: int) -> float:
    """Tokens that a row has in a window, in the mean: behind a document that is shorter the window is empty."""
    return bptt if part.starts is None else min(bptt, part.tokens.size / len(part.starts))


def windows(part: Part, batch_size: int, bptt: int) -> tuple[float, float]:
    """How long a window is, and how many tokens of text it has, in the mean."""
    if part.starts is None:
        return bptt, batch_size * bptt
    lengths = DocumentStreams(part.tokens, part.starts, 0, batch_size, bptt, seed=0).lengths(0)
    return float(lengths.mean()), part.tokens.size / lengths.size


def widened(network: ModelConfig, reading: Reading, measure: Measure) -> tuple[Reading, float]:
    """The reading with as many rows as pay, and the operations a second of such steps."""
    operations = measure(network, reading)
    weights = network.ensemble * directions(network) * weight_count(network.hidden, network.cell, network.layers)
    assert reading.seconds is not None
    while 2 * reading.batch_size <= MOST_ROWS and 2 * reading.a_step * LEAST_STEPS_A_PASS <= reading.tokens:
        twice = dataclasses.replace(reading, batch_size=2 * reading.batch_size, a_step=2 * reading.a_step)
        try:
            faster = measure(network, twice)
        except DeviceMemoryError:
            break
        steps = reading.seconds * faster / OPERATIONS / weights / twice.a_step
        if faster < WORTH_TWICE * operations or steps < LEAST_STEPS:
            break
        reading, operations = twice, faster
    return reading, operations
