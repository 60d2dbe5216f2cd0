"""The name that someone who wrote an unknown one most likely meant."""

import difflib
from collections.abc import Iterable

LEAST_LIKENESS = 0.5


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The most similar of these names; None when none is similar."""
    return next(iter(difflib.get_close_matches(name, list(names), n=1, cutoff=LEAST_LIKENESS)), None)


def unknown(what: str, name: str, names: Iterable[str]) -> str:
    """The complaint about a name that there is not: 'there is no option `hiden`; the nearest is `hidden`'."""
    found = nearest(name, names)
    return f"there is no {what} `{name}`" + (f"; the nearest is `{found}`" if found else "")
