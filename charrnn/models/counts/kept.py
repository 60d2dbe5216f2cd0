"""Counts as a model has them: the experts, and the gates that mix them with its network.

The gate for any text, `ALL`, was fitted on all that was held out of the training, where anything was. The two others
are for that held-out text itself: each was fitted on one half of it, and is for the other, so that nothing is ever
told of a text by what was fitted on it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy.typing as npt

from charrnn.config import require
from charrnn.models.counts.experts import Arrays, Experts
from charrnn.models.counts.mixture import Gate, Mixture

ALL, OF_FIRST_HALF, OF_SECOND_HALF = "all", "first", "second"
EXPERTS, GATE = "experts.", "gate."


@dataclass(frozen=True, eq=False)
class KeptCounts:
    """`gates` by their names: `ALL`, and of a model that had a held-out part the two for its halves."""

    experts: Experts
    gates: Mapping[str, Gate]

    @property
    def mixture(self) -> Mixture:
        """For any text."""
        return self.of(ALL)

    def of(self, gate: str) -> Mixture:
        """By another gate."""
        return Mixture(self.experts, self.gates[gate])

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """All of it by names."""
        found = {EXPERTS + name: array for name, array in self.experts.arrays().items()}
        for which, gate in self.gates.items():
            found |= {f"{GATE}{which}.{name}": array for name, array in gate.arrays().items()}
        return found

    @classmethod
    def from_arrays(cls, arrays: Arrays, vocab_size: int, start_id: int, networks: int) -> Self:
        """The same back, beside so many networks or, of a file written before, their mean.

        Raises ConfigError where they do not belong together.
        """

        def under(prefix: str) -> dict[str, npt.NDArray[Any]]:
            return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}

        experts = Experts.from_arrays(under(EXPERTS), vocab_size, start_id)
        names = {name.partition(".")[0] for name in under(GATE)}
        require(names in ({ALL}, {ALL, OF_FIRST_HALF, OF_SECOND_HALF}), "its counts have no gate")
        gates = {name: under(f"{GATE}{name}.") for name in names}
        weights = {gate["constants"].size for gate in gates.values() if "constants" in gate}
        apart = weights == {networks + len(experts.each)}
        count = (networks if apart else 1) + len(experts.each)
        return cls(experts, {name: Gate.from_arrays(gate, count) for name, gate in gates.items()})
