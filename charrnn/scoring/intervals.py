"""How sure a mean is whose errors cluster: a confidence interval from the sums of blocks.

One hard name, scene or table sways the costs of hundreds of characters at once. An interval that took characters for
independent would be far too narrow; sums over blocks that are longer than what clusters are nearly independent, and
what is left of their dependence is estimated (Newey & West 1987). Shapes: B blocks.
"""

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from charrnn.scoring.figures import Nats

CONFIDENCE = 0.95
# Of fewer blocks nothing is inferred.
LEAST_BLOCKS = 5


class Interval(NamedTuple):
    """Bounds of the true mean, in the unit of what it is of."""

    low: float
    high: float

    def __contains__(self, value: object) -> bool:
        return isinstance(value, int | float) and self.low <= value <= self.high


def mean_interval(total: Nats, size: npt.NDArray[np.int64], confidence: float = CONFIDENCE) -> Interval | None:
    """A confidence interval of sum(total) / sum(size) over blocks (B,) in order; None of fewer than five.

    The wider of two: of Student's t with blocks taken for independent, which is right as long as what clusters is
    shorter than a block, and of Newey & West's variance, which adds the covariance of blocks near each other, with as
    many degrees of freedom as there are stretches of that length.
    """
    blocks = total.size
    if blocks < LEAST_BLOCKS:
        return None
    mean = math.fsum(total) / float(size.sum())
    rest = total - mean * size
    lags = min(int(4 * (blocks / 100) ** (2 / 9)), blocks // LEAST_BLOCKS)
    alone = float(rest @ rest)
    joint = alone + 2 * sum((1 - lag / (lags + 1)) * float(rest[lag:] @ rest[:-lag]) for lag in range(1, lags + 1))
    freedom = max(LEAST_BLOCKS - 1, blocks / (lags + 1) - 1)
    scale = math.sqrt(blocks / (blocks - 1)) / float(size.sum())
    half = scale * max(
        student_t(blocks - 1, confidence) * math.sqrt(alone),
        student_t(freedom, confidence) * math.sqrt(max(0.0, joint)),
    )
    return Interval(mean - half, mean + half)


def student_t(freedom: float, confidence: float) -> float:
    """Student's t that a share `confidence` lies within, to 0.001 from 4 degrees of freedom on.

    Source: Abramowitz & Stegun 1964, 26.7.5 (Cornish and Fisher's expansion).
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    return (
        z
        + (z**3 + z) / (4 * freedom)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
        + (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / (92160 * freedom**4)
    )
