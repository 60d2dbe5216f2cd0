"""The cells by name. A new one is a class with a `name` in any file of this folder, and nothing else."""

from importlib import import_module
from pkgutil import iter_modules

from charrnn.models.cells.base import NAMED, Cell, Operations, Weight, Weights, gather
from charrnn.models.cells.linear import LinearCell
from charrnn.models.states import State, States

for _module in iter_modules(__path__, f"{__name__}."):
    import_module(_module.name)
CELLS: dict[str, type[Cell]] = dict(sorted(NAMED.items()))

__all__ = ["CELLS", "Cell", "LinearCell", "Operations", "State", "States", "Weight", "Weights", "gather"]
