"""Every cell's twin: its paper's equations in NumPy, for one row and one step.

A twin is a function in any file of this folder, called as its cell is: `lstm_peephole` of 'lstm-peephole'. What a
fresh layer begins with, where that is not zero or drawn, it says by `fresh`.
"""

from importlib import import_module
from inspect import isfunction
from pkgutil import iter_modules

from tests.laws.twins.cells.common import Facts, Twin, facts

_names = [f"{__name__}.{module.name}" for module in iter_modules(__path__) if module.name != "common"]
TWINS: dict[str, Twin] = {
    name.replace("_", "-"): function
    for module in map(import_module, _names)
    for name, function in vars(module).items()
    if isfunction(function) and function.__module__ == module.__name__
}

__all__ = ["TWINS", "Facts", "Twin", "facts"]
