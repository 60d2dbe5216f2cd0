"""Whole windows through a cell, forward and back, in few large operations: the formulas of cells/, differentiated.

torch has a fused kernel for the LSTM alone on a CPU. For the cells here: the recurrent products run over weights packed
once a window; all that an adjoint is multiplied with on its way back is computed for many steps at a time, so that a
step back is three to six operations; the gradient of the recurrent weights is one product after the loop.

A new one is a class in any file of this folder that says which `cell` it is for, and nothing else.
"""

from importlib import import_module
from pkgutil import iter_modules

from charrnn.models.kernels.base import CELL_KERNELS, run
from charrnn.models.kernels.fused import FUSED

for _module in iter_modules(__path__, f"{__name__}."):
    import_module(_module.name)

__all__ = ["CELL_KERNELS", "FUSED", "run"]
