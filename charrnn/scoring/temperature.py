"""The softmax temperature at which a model's predictions cost least: above 1, the model is too sure of itself.

Fitted on the text that is scored, so its loss is a lower bound, and no figure to compare with others.
"""

import math
from collections.abc import Callable

LEAST, MOST = 0.2, 5.0
CLOSE = 0.005
GOLDEN = (math.sqrt(5) - 1) / 2


def fit_temperature(loss: Callable[[float], float]) -> float:
    """The temperature in [0.2, 5] of the least loss (nats), to half a percent, in some fifteen readings of the text.

    A golden section in the logarithm: the loss is convex in 1 / temperature, so it has one valley.
    """
    low, high = math.log(LEAST), math.log(MOST)
    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    at_left, at_right = loss(math.exp(left)), loss(math.exp(right))
    while high - low > CLOSE:
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - GOLDEN * (high - low)
            at_left = loss(math.exp(left))
        else:
            low, left, at_left = left, right, at_right
            right = low + GOLDEN * (high - low)
            at_right = loss(math.exp(right))
    return math.exp((low + high) / 2)
