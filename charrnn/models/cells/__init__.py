"""The cells by name. A new one is a class in this folder, a line in this table, and a member of the command's enum."""

from charrnn.models.cells.base import Cell, Operations, State, States, Weight, Weights, gather
from charrnn.models.cells.extended import MogrifierLSTM, MultiplicativeLSTM, NestedLSTM, ScalarLSTM
from charrnn.models.cells.gru import GRU, BeforeGRU, BeforeUpdateGRU, LayerNormGRU, UpdateGRU
from charrnn.models.cells.linear import LinearCell, MinGRU, MinLSTM
from charrnn.models.cells.lstm import LSTM, CoupledLSTM, LayerNormLSTM, PeepholeLSTM
from charrnn.models.cells.simple import RNN, GeluRNN, IndRNN, ReluRNN

CELLS: dict[str, type[Cell]] = {
    "rnn": RNN,
    "rnn-relu": ReluRNN,
    "rnn-gelu": GeluRNN,
    "indrnn": IndRNN,
    "lstm": LSTM,
    "lstm-peephole": PeepholeLSTM,
    "lstm-coupled": CoupledLSTM,
    "lstm-layernorm": LayerNormLSTM,
    "lstm-mogrifier": MogrifierLSTM,
    "lstm-nested": NestedLSTM,
    "mlstm": MultiplicativeLSTM,
    "slstm": ScalarLSTM,
    "gru": GRU,
    "gru-update": UpdateGRU,
    "gru-before": BeforeGRU,
    "gru-before-update": BeforeUpdateGRU,
    "gru-layernorm": LayerNormGRU,
    "mingru": MinGRU,
    "minlstm": MinLSTM,
}

__all__ = ["CELLS", "Cell", "LinearCell", "Operations", "State", "States", "Weight", "Weights", "gather"]
