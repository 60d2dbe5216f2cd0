"""What others make of a text beside the model's figures: for people a table of its own."""

import sys
from collections.abc import Sequence
from typing import Any

from charrnn.cli.tables import print_figures, print_table
from charrnn.console import write

HEADER = ("bits per byte", "alone", "after training", "")


def print_with_baselines(records: Sequence[dict[str, Any]], metric: str, *, as_json: bool, quiet: bool) -> None:
    """As `print_figures`; for a person, the baselines stand below the figures."""
    if as_json or quiet or not sys.stdout.isatty():
        print_figures(records, metric, as_json=as_json, quiet=quiet)
        return
    print_figures([{**record, "baselines": {}} for record in records], metric, as_json=False, quiet=False)
    for record in records:
        if "baselines" in record:
            write("\n")
            print_baselines(record)


def print_baselines(record: dict[str, Any]) -> None:
    """The table, the model's own figure last."""
    from charrnn.scoring.baselines import COMPRESSORS, NGRAM, NGRAM_HOW

    hows = {**{name: each.how for name, each in COMPRESSORS.items()}, NGRAM: NGRAM_HOW}
    rows: list[Sequence[Any]] = [HEADER]
    for name, figures in record["baselines"].items():
        rows.append((name, _shown(figures["bpb"]), _shown(figures["trained_bpb"]), hows[name]))
    rows.append(("the model", None, _shown(record["bpb"]), record["model"]))
    print_table(rows, sides="<>>")


def _shown(bits: float | None) -> str | None:
    return None if bits is None else f"{bits:.4f}"
