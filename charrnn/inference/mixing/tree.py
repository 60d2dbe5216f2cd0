"""The binary tree of an alphabet. Shapes: V symbols, V - 1 nodes."""

import numpy as np
import numpy.typing as npt

from charrnn.text.token_files import Tokens


def tree(tokens: Tokens, symbols: int, order: npt.NDArray[np.int64] | None = None) -> npt.NDArray[np.int32]:
    """(V - 1, 2): what a 0 and a 1 lead to, a node or ~symbol; the root is 0, and each node stands before its own.

    The symbols stay in order, as like ones stand together in an alphabet, and each node halves what is below it, as
    often as it came in the tokens (Fano 1949), as nearly as can be. `order`: another one, of the first ids.
    """
    leaves = np.arange(symbols)
    if order is not None:
        leaves[: len(order)] = order
    weights = np.bincount(tokens[tokens < symbols], minlength=symbols)[leaves].astype(np.int64) + 1
    before = np.concatenate([[0], np.cumsum(weights)])
    children = np.empty((max(symbols - 1, 0), 2), np.int32)
    made, left = 0, [(0, symbols, -1, 0)]
    while left:
        first, end, above, side = left.pop()
        if end - first > 1:
            number, made = made, made + 1
            halves = np.abs(2 * before[first + 1 : end] - before[first] - before[end])
            border = first + 1 + int(halves.argmin())
            left += [(border, end, number, 1), (first, border, number, 0)]
        else:
            number = ~int(leaves[first])
        if above >= 0:
            children[above, side] = number
    return children
