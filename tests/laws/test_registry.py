"""Cells and kernels are found in their folders, each under the name that it says."""

import pytest
from torch import nn

from charrnn.models.cells import CELLS
from charrnn.models.cells.base import NAMED
from charrnn.models.cells.gru import GRU
from charrnn.models.cells.lstm import LSTM
from charrnn.models.cells.simple import RNN
from charrnn.models.kernels import FUSED
from charrnn.models.layers import CellWeights
from tests.cases import each
from tests.laws.layers import NAMES, fresh


def test_every_name_means_another_layer() -> None:
    cells = {name: type(fresh(name).cell()) for name in NAMES}
    assert cells == CELLS and len(set(cells.values())) == len(NAMES) and sorted(NAMES) == NAMES
    assert (cells["rnn"], cells["lstm"], cells["gru"]) == (RNN, LSTM, GRU)


def test_a_cell_is_called_what_it_says_and_no_two_alike() -> None:
    assert all(cell.name == name for name, cell in CELLS.items())
    with pytest.raises(TypeError, match="two cells are called gru"):
        type("Other", (GRU,), {"name": "gru"})
    type("Unnamed", (GRU,), {})
    assert NAMED == CELLS


def test_torchs_kernels_serve_the_cells_of_their_names() -> None:
    torchs = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
    assert {name: type(fresh(name).rnn) for name in NAMES} == dict.fromkeys(NAMES, CellWeights) | torchs
    assert {cell.name: kernel for cell, kernel in FUSED.items()} == torchs


@each("name", NAMES)
def test_every_weight_is_a_parameter_of_the_formula(name: str) -> None:
    layer = fresh(name)
    w_ih, w_hh, b_ih, b_hh, own = layer.cell().weights
    of_formula = {weight.data_ptr() for weight in (w_ih, w_hh, b_ih, b_hh, *own.values()) if weight is not None}
    assert of_formula == {parameter.data_ptr() for parameter in layer.parameters()}
