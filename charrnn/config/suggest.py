"""The name that someone who wrote an unknown one most likely meant."""

import difflib
from collections.abc import Iterable

LEAST_LIKENESS = 0.5
# What the command line and other libraries call our options.
SYNONYMS = {
    "for": "seconds",
    "from": "start_from",
    "n": "rows",
    "temp": "temperature",
    "max_tokens": "length",
    "max_new_tokens": "length",
    "learning_rate": "lr",
    "num_layers": "layers",
    "hidden_size": "hidden",
    "embedding_size": "embedding",
}


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Of these names the one that means the same elsewhere, or the most similar; None when none is similar."""
    known = list(names)
    same = [SYNONYMS[name]] if SYNONYMS.get(name) in known else []
    return next(iter([*same, *difflib.get_close_matches(name, known, n=1, cutoff=LEAST_LIKENESS)]), None)


def unknown(what: str, name: str, names: Iterable[str]) -> str:
    """The complaint about a name that there is not: 'there is no option `hiden`; the nearest is `hidden`'.

    Where none is near, all are named.
    """
    known = list(names)
    found = nearest(name, known)
    hint = f"the nearest is `{found}`" if found else f"there are {', '.join(known)}"
    return f"there is no {what} `{name}`; {hint}"
