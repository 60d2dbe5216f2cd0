"""One page of HTML in which two small networks learn a text, side by side: for a class, without charrnn or a network.

Its script has charrnn's formulas, first weights, clipping and Adam again, in plain loops, and trains beside the page.
"""

import re

from charrnn.errors import CorpusError
from charrnn.plotting.page import filled
from charrnn.plotting.shading import safe
from charrnn.text.sources import bundled

# The cells that are compared at first, and how each network is marked where colour does not tell.
COMPARED = (
    ("first", "lstm", '<circle class="mark of0" cx="18" cy="6" r="4"/>'),
    ("second", "rnn", '<rect class="mark of1" x="14.5" y="2.5" width="7" height="7"/>'),
)


def playground() -> str:
    """The page. Raises CorpusError where the bundled book, of which its first text is a part, is not there."""
    networks = [
        filled("playground_network", {"n": str(n), "ordinal": ordinal, "cell": cell, "mark": mark}, "charrnn.export")
        for n, (ordinal, cell, mark) in enumerate(COMPARED)
    ]
    return filled("playground", {"text": safe(_fables()), "networks": "".join(networks)}, "charrnn.export")


def _fables() -> str:
    """The first part of the bundled book: some 35,000 characters."""
    file = bundled("fables")
    if file is None:
        raise CorpusError("the bundled corpus fables is missing: install charrnn anew")
    found = re.search(r"PART ONE\..*?\n+(.*?)\n+PART TWO\.", file.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    return found[1] + "\n"
