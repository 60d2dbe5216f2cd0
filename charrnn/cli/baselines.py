"""A table of what others make of a text, for people to read."""

from collections.abc import Iterator
from typing import Any

HEADER = ("bits per byte", "alone", "after training", "")


def baseline_table(record: dict[str, Any]) -> Iterator[str]:
    """The lines of it, the model's own figure last; none where there are no baselines."""
    if "baselines" not in record:
        return
    from charrnn.scoring.baselines import COMPRESSORS, NGRAM, NGRAM_HOW

    hows = {**{name: each.how for name, each in COMPRESSORS.items()}, NGRAM: NGRAM_HOW}
    rows = [HEADER]
    for name, figures in record["baselines"].items():
        rows.append((name, _shown(figures["bpb"]), _shown(figures["trained_bpb"]), hows[name]))
    rows.append(("the model", "-", _shown(record["bpb"]), record["model"]))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    yield ""
    for name, alone, after, how in rows:
        yield f"{name:<{widths[0]}}  {alone:>{widths[1]}}  {after:>{widths[2]}}  {how}".rstrip()


def _shown(bits: float | None) -> str:
    return "-" if bits is None else f"{bits:.4f}"
