"""The softmax temperature at which a model's predictions cost least: above 1, the model is too sure of itself.

Fitted on the text that is scored, so its loss is a lower bound, and no figure to compare with others.
"""

import math
from collections.abc import Callable

LEAST, MOST = 0.2, 5.0
STEP = 0.1
ROUNDS = 8
CLOSE = 0.005


def fit_temperature(loss: Callable[[float], float], plain: float) -> float:
    """The temperature in [0.2, 5] of the least loss (nats); `plain` is the loss at 1.

    Parabolas through the logarithm of the temperature: each round reads the text at two points beside the best so
    far, and goes to the vertex, until it stays where it is.
    """
    best, at_best = 0.0, plain
    for _ in range(ROUNDS):
        below, above = loss(math.exp(best - STEP)), loss(math.exp(best + STEP))
        bend = below - 2 * at_best + above
        # Far from the minimum the parabola may bend the wrong way: then one step downhill.
        shift = STEP * (below - above) / (2 * bend) if bend > 0 else math.copysign(STEP, below - above)
        shift = min(max(shift, -1.0), 1.0)
        found = min(max(best + shift, math.log(LEAST)), math.log(MOST))
        at_found = loss(math.exp(found))
        if at_found >= at_best:
            break
        moved, best, at_best = abs(found - best), found, at_found
        if moved < CLOSE:
            break
    return math.exp(best)
