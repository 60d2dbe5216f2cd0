"""charrnn sample --infill: text for a gap."""

from typing import TYPE_CHECKING, Any

from charrnn.console import say, write
from charrnn.schema import to_json_text

if TYPE_CHECKING:
    from charrnn.api.model import Model

# Chosen among fewer gaps than this, it was taken for want of a better one.
FEW = 2.0


def write_infilled(model: "Model", left: str, right: str, *, echo: bool, as_json: bool, **sampling: Any) -> None:
    """A text with a gap, as often as asked for, with what may stand there; without `echo`, that alone."""
    say(f"model: {model.header.path}, {sampling['precision']}, seed {sampling['seed']}")
    forced = 0
    for filled in model.infill(left, right, **sampling):
        whole = left + filled.text + right if echo else filled.text
        if as_json:
            record = {**vars(filled), "gap": filled.text, "text": whole}
            write(to_json_text(record) + "\n")
        else:
            write(whole + "\n")
        forced += filled.effective < FEW
    if forced:
        say(f"{forced:,} of {sampling['rows']:,} fit badly: hardly anything that was tried led to what follows the gap")
