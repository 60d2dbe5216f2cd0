"""What others make of a text beside the model's figures: for people a table of its own."""

import sys
from collections.abc import Iterator, Sequence
from typing import Any

from charrnn.cli.tables import print_figures
from charrnn.console import write

HEADER = ("bits per byte", "alone", "after training", "")


def print_with_baselines(records: Sequence[dict[str, Any]], metric: str, *, as_json: bool, quiet: bool) -> None:
    """As `print_figures`; for a person, the baselines stand below the figures."""
    if as_json or quiet or not sys.stdout.isatty():
        print_figures(records, metric, as_json=as_json, quiet=quiet)
        return
    print_figures([{**record, "baselines": {}} for record in records], metric, as_json=False, quiet=False)
    write("".join(f"{line}\n" for record in records for line in baseline_table(record)))


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
