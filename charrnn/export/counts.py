"""Counts beside a network as a page holds them: what counts.js reads, laid out as the compiled part has it.

Shapes: C contexts, G grams, V symbols.
"""

from typing import Any

import numpy as np

from charrnn.export.packed import Packed
from charrnn.models.counts.level import Level
from charrnn.models.counts.mixture import Mixture


def counts_record(mixture: Mixture, packed: Packed) -> dict[str, Any]:
    """The tables, the experts by the numbers of their levels, and the gate."""
    experts, levels = mixture.experts, list[Level]()

    def number(level: Level) -> int:
        if not any(level is one for one in levels):
            levels.append(level)
        return next(place for place, one in enumerate(levels) if one is level)

    lengths = dict[int, Any]()  # of the grams of contexts, which several levels may have in common

    def laid_out(level: Level) -> dict[str, Any]:
        counts = lengths.setdefault(id(level.firsts), np.diff(level.firsts))
        return {
            "lengths": packed.add(counts, np.uint32),
            "symbols": packed.add(level.symbols, np.uint16),
            "shares": packed.add(level.shares, np.float32),
            "rests": packed.add(level.rests, np.float32),
        }

    record: dict[str, Any] = {
        "ids": experts.start_id + 1,
        "base": packed.add(experts.base, np.float32),
        "letters": None if experts.letters is None else packed.add(experts.letters, np.int32),
        "grams": [number(level) for level in experts.grams[:-1]],
        "words": [packed.add(word.hashes, np.uint64) for word in experts.words],
        "experts": [
            {"contexts": list(expert.contexts), "levels": [number(level) for level in expert.levels]}
            for expert in experts.each
        ],
        "gate": {name: packed.add(array, np.float32) for name, array in mixture.gate.arrays().items()},
    }
    return {**record, "levels": [laid_out(level) for level in levels]}
