"""What is remembered between two calls: nested, named, cut, and moved from row to row."""

import math
from typing import NamedTuple

import torch

from charrnn.config import ModelConfig
from charrnn.models.cells import CELLS
from charrnn.models.cells.base import HiddenState
from charrnn.models.cells.lstm import LSTMState
from charrnn.models.ensemble import build
from charrnn.models.language_model import detach, select_rows
from charrnn.models.states import map_state, state_parts
from tests.cases import each
from tests.test_language_model import some_tokens, tiny


class Nest(NamedTuple):
    """A memory that is no cell's."""

    layers: tuple[LSTMState, ...]
    products: tuple[int, ...]


def test_a_map_goes_as_deep_as_the_memory_and_keeps_names_and_order() -> None:
    nest = Nest((LSTMState(1, 2), LSTMState(3, 4)), (5, 6, 7))
    assert list(state_parts((nest, (8,)))) == list(range(1, 9))
    mapped = map_state(lambda part: 10 * part, (nest, ()))
    assert mapped == (Nest((LSTMState(10, 20), LSTMState(30, 40)), (50, 60, 70)), ())
    assert type(mapped[0]) is Nest and type(mapped[0].layers[1]) is LSTMState and mapped[0].layers[1].c == 40
    assert map_state(lambda part: 10 * part, 3) == 30 and list(state_parts(3)) == [3]


def test_a_memory_is_named_by_its_cells_also_in_an_ensemble() -> None:
    config = ModelConfig(vocab_size=9, start_id=9, layers=2, hidden=3, embedding=3, ensemble=2)
    states = build(config).initial_states(2)
    assert [[type(state) for state in own] for own in states] == [[LSTMState] * 2] * 2


@each("cell", CELLS)
def test_detach_keeps_the_numbers_and_cuts_the_graph(cell: str) -> None:
    model = tiny(cell=cell)
    _, states = model(some_tokens(2, 4), model.initial_states(2))
    assert all(part.requires_grad for part in state_parts(states))
    cut = detach(states)
    assert [type(state) for state in cut] == [type(state) for state in states]
    assert all(map(torch.equal, state_parts(cut), state_parts(states)))
    assert not any(part.requires_grad for part in state_parts(cut))


def test_select_rows_gathers_rows_and_puts_zeros_where_there_is_none() -> None:
    one, two = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), torch.tensor([[7.0], [8.0], [9.0]])
    chosen = select_rows((LSTMState(one, two), HiddenState(one)), torch.tensor([2, -1, 0, 2]))
    (got_one, got_two), (again,) = chosen
    assert [type(state) for state in chosen] == [LSTMState, HiddenState]
    assert got_one.tolist() == [[5, 6], [0, 0], [1, 2], [5, 6]]
    assert got_two.tolist() == [[9], [0], [7], [9]]
    assert torch.equal(again, got_one)
    assert one.tolist() == [[1, 2], [3, 4], [5, 6]]


@each("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_select_rows_keeps_the_number_format(dtype: torch.dtype) -> None:
    ((part,),) = select_rows(((torch.ones(2, 3, dtype=dtype),),), torch.tensor([1, -1]))
    assert part.dtype == dtype


@each("broken", [math.nan, math.inf])
def test_select_rows_puts_zeros_also_beside_numbers_that_are_not_finite(broken: float) -> None:
    state = torch.tensor([[broken, 1.0], [2.0, 3.0]])
    ((part,),) = select_rows(((state,),), torch.tensor([-1, 1]))
    assert part.tolist() == [[0, 0], [2, 3]]
