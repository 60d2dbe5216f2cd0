"""Double bonds for aromatic atoms: each that owes one shares it with one neighbour that owes one as well."""

from collections.abc import Mapping, Sequence


def covers(owing: set[int], neighbours: Mapping[int, Sequence[int]]) -> bool:
    """Whether a matching of the graph covers all atoms that are `owing`; the others may be used, or not.

    `neighbours` are those of every atom that may take part. An atom that has one neighbour left takes it; in ring
    systems that leaves hardly anything to try.
    """
    return _covers(set(owing), neighbours, set(neighbours))


def _covers(owing: set[int], neighbours: Mapping[int, Sequence[int]], free: set[int]) -> bool:
    waiting = list(owing)
    while waiting:
        atom = waiting.pop()
        if atom not in owing:
            continue
        choices = [each for each in neighbours[atom] if each in free]
        if not choices:
            return False
        if len(choices) == 1:
            pair = {atom, choices[0]}
            owing -= pair
            free -= pair
            waiting += neighbours[choices[0]]
    if not owing:
        return True
    atom = min(owing)
    pairs = [{atom, each} for each in neighbours[atom] if each in free]
    return any(_covers(owing - pair, neighbours, free - pair) for pair in pairs)
