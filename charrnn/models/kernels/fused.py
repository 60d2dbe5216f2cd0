"""Torch's own kernels: cuDNN on a GPU; on a CPU, oneDNN's for the LSTM, chains of small operations for the others."""

from collections.abc import Callable

from torch import nn

from charrnn.models.cells import Cell
from charrnn.models.cells.gru import GRU
from charrnn.models.cells.lstm import LSTM
from charrnn.models.cells.simple import RNN

# By the cell that a kernel is for.
FUSED: dict[type[Cell], Callable[[int, int], nn.RNNBase]] = {RNN: nn.RNN, LSTM: nn.LSTM, GRU: nn.GRU}
