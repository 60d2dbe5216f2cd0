"""Embedding -> recurrent layers -> head, with the memory passed in and out."""

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from charrnn.config import ModelConfig
from charrnn.errors import ConfigError
from charrnn.models.cells import CELLS, States
from charrnn.models.language_model import LanguageModel, select_rows
from charrnn.models.loss import cross_entropy
from charrnn.models.states import map_state, state_parts
from tests.cases import each

SMALL: dict[str, Any] = {"vocab_size": 9, "start_id": 9, "embedding": 6, "hidden": 6, "layers": 2}
SHAPES: list[dict[str, Any]] = [
    {},
    {"layers": 1},
    {"layers": 3, "embedding": 4},
    {"tie": True},
    {"vocab_size": 10},
    {"vocab_size": 10, "tie": True},
    {"layers": 3, "skip": "residual"},
    {"layers": 3, "skip": "highway", "tie": True},
    {"layers": 3, "skip": "dense"},
    {"layers": 2, "norm": True},
    {"bidirectional": True},
    {"bidirectional": True, "tie": True},
]
# Every shape of one cell, and every cell in two shapes.
CASES = [{"cell": "lstm"} | shape for shape in SHAPES] + [
    {"cell": cell} | SHAPES[(number + more) % len(SHAPES)] for number, cell in enumerate(CELLS) for more in (0, 5)
]


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def tiny(**fields: Any) -> LanguageModel:
    """Nine symbols, two layers of six units, float64, no weight special, not in training."""
    model = LanguageModel(ModelConfig(**SMALL | fields)).double().eval()
    with torch.no_grad():
        for number, parameter in enumerate(model.parameters()):
            parameter.copy_(0.6 * torch.randn(parameter.shape, generator=generator(number), dtype=torch.float64))
    return model


def some_tokens(batch: int, time: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 10, (batch, time), generator=generator(seed))


def some_states(model: LanguageModel, batch: int) -> States:
    noise = generator(5)
    drawn = map_state(lambda p: torch.randn(p.shape, generator=noise, dtype=p.dtype), model.initial_states(batch))
    # What the sLSTM divides by is a sum of what is positive.
    return tuple(state._replace(n=state.n.exp()) if "n" in state._fields else state for state in drawn)  # type: ignore[attr-defined]


def gap(one: States, other: States) -> float:
    return max(float((a - b).detach().abs().max()) for a, b in zip(state_parts(one), state_parts(other), strict=True))


# -- state in, state out ---------------------------------------------------------------------------------------------


@pytest.mark.slow
@each("case", CASES)
@each("lengths", [[1] * 12, [5, 7], [1, 10, 1]])
def test_chunks_equal_the_whole(case: dict[str, Any], lengths: list[int]) -> None:
    model = tiny(**case)
    tokens, states = some_tokens(3, 12), some_states(model, 3)
    whole, left = model(tokens, states)
    chunks = []
    for chunk in torch.split(tokens, lengths, dim=1):
        logits, states = model(chunk, states)
        chunks.append(logits)
    assert (torch.cat(chunks, dim=1) - whole).abs().max() < 1e-10
    assert gap(states, left) < 1e-10


@each("cell", CELLS)
def test_nothing_is_remembered_between_calls(cell: str) -> None:
    model = tiny(cell=cell)
    tokens, states = some_tokens(2, 7), some_states(model, 2)
    kept = [part.clone() for part in state_parts(states)]
    first, _ = model(tokens, states)
    model(some_tokens(5, 3, seed=1), model.initial_states(5))
    second, _ = model(tokens, states)
    assert torch.equal(first, second)
    assert all(torch.equal(part, old) for part, old in zip(state_parts(states), kept, strict=True))


@each("case", CASES)
def test_the_initial_memory_is_zeros_for_each_part_of_each_layer(case: dict[str, Any]) -> None:
    model = tiny(**case)
    states = model.initial_states(3)
    assert [type(state) for state in states] == [layer.formula.state_type for layer in model.forwards.layers]
    assert len(states) == model.config.layers
    assert all(part.shape == (3, 6) and part.dtype == torch.float64 and not part.any() for part in state_parts(states))


def test_every_layer_gets_and_leaves_its_own_state() -> None:
    model = tiny(layers=3)
    tokens, states = some_tokens(2, 4), some_states(model, 2)
    logits, left = model(tokens, states)
    for place in range(3):
        wrong = (*states[:place], map_state(lambda part: part + 1, states[place]), *states[place + 1 :])
        other, other_left = model(tokens, wrong)
        assert not torch.isclose(logits, other).any(dim=-1).all()
        # What lies under the changed layer knows nothing of it.
        assert all(gap((left[n],), (other_left[n],)) == 0 for n in range(place))
        assert all(gap((left[n],), (other_left[n],)) > 1e-4 for n in range(place, 3))


def test_too_few_states_are_an_error() -> None:
    model = tiny()
    with pytest.raises(ValueError, match="zip"):
        model(some_tokens(1, 2), model.initial_states(1)[:1])


@each("cell", CELLS)
def test_rows_do_not_touch_each_other(cell: str) -> None:
    model = tiny(cell=cell)
    tokens, states = some_tokens(3, 8), some_states(model, 3)
    together, _ = model(tokens, states)
    for row in range(3):
        alone, _ = model(tokens[row : row + 1], select_rows(states, torch.tensor([row])))
        assert (alone[0] - together[row]).abs().max() < 1e-12


def by_hand(model: LanguageModel, number: int, y: Tensor, x: Tensor) -> Tensor:
    """What a layer hands on, from what it gives (B, H) and what it has read."""
    own = dict(model.forwards.connections[number].named_parameters())
    if model.config.norm:
        centred = y - y.mean(1, keepdim=True)
        y = own["gain"] * centred / ((centred**2).mean(1, keepdim=True) + 1e-5).sqrt() + own["shift"]
    if number == 0 or model.config.skip in (None, "dense"):
        return y
    if model.config.skip == "residual":
        return y + x
    t = 1 / (1 + torch.exp(-(x @ own["carry_weight"].t() + own["carry_bias"])))
    return t * y + (1 - t) * x


@each("case", CASES)
def test_the_model_is_embedding_then_layers_then_head(case: dict[str, Any]) -> None:
    model = tiny(**case)
    tokens, states = some_tokens(2, 5), some_states(model, 2)
    symbols = model.config.vocab_size
    head = model.embedding.weight[:symbols] if model.forwards.head is None else model.forwards.head
    logits, left = model(tokens, states)
    memory = list(states)
    for t in range(5):
        x = torch.stack([model.embedding.weight[token] for token in tokens[:, t].tolist()])
        outputs = []
        for number, layer in enumerate(model.forwards.layers):
            formula = layer.cell()
            state = memory[number]
            memory[number] = formula.step(formula.project(x), formula.recur(state[0]), state)
            x = by_hand(model, number, memory[number][0], x)
            outputs.append(x)
        if model.config.skip == "dense":
            x = torch.cat(outputs, dim=1)
        for row in range(2):
            for symbol in range(symbols):
                expected = float(((x[row] * head[symbol]).sum() + model.forwards.bias[symbol]).detach())
                assert math.isclose(float(logits[row, t, symbol].detach()), expected, abs_tol=1e-10)
    assert gap(left, tuple(memory)) < 1e-10


# -- symbols ---------------------------------------------------------------------------------------------------------


@each("vocab_size", [9, 10])
@each("tie", [False, True])
def test_a_model_of_documents_predicts_one_symbol_more(vocab_size: int, tie: bool) -> None:
    model = tiny(vocab_size=vocab_size, tie=tie)
    assert model.config.documents is (vocab_size == 10)
    logits, _ = model(some_tokens(2, 3), model.initial_states(2))
    assert logits.shape == (2, 3, vocab_size)
    assert model.forwards.head_weight().shape == (vocab_size, 6)
    assert model.embedding.weight.shape == (10, 6)


@each("vocab_size", [9, 10])
def test_the_start_is_an_input_of_its_own_and_no_id_lies_beyond_it(vocab_size: int) -> None:
    model = tiny(vocab_size=vocab_size)
    states = model.initial_states(1)
    after_start, _ = model(torch.tensor([[9]]), states)
    for token in range(9):
        assert not torch.allclose(after_start, model(torch.tensor([[token]]), states)[0])
    with pytest.raises(IndexError):
        model(torch.tensor([[10]]), states)


def test_a_cell_that_is_not_in_the_table_is_an_error_that_names_those_that_are() -> None:
    with pytest.raises(ConfigError, match=r"gru, .*lstm, .*rnn, .*'transformer'"):
        LanguageModel(ModelConfig(vocab_size=9, start_id=9, cell="transformer"))


def test_a_connection_that_is_not_in_the_table_is_an_error_that_names_those_that_are() -> None:
    with pytest.raises(ConfigError, match=r"residual, highway, dense, not 'skippy'"):
        LanguageModel(ModelConfig(vocab_size=9, start_id=9, skip="skippy"))
    with pytest.raises(ConfigError, match=r"a head that reads all layers is no embedding"):
        ModelConfig(vocab_size=9, start_id=9, skip="dense", tie=True, embedding=6, hidden=6)


def test_a_highway_begins_by_carrying_more_than_it_transforms() -> None:
    model = LanguageModel(ModelConfig(vocab_size=9, start_id=9, hidden=6, layers=3, skip="highway"))
    model.initialise(generator(0))
    own = [dict(between.named_parameters()) for between in model.forwards.connections]
    assert own[0] == {} and all(torch.equal(found["carry_bias"], torch.full((6,), -1.0)) for found in own[1:])


# -- parameters ------------------------------------------------------------------------------------------------------


@each("vocab_size", [9, 10])
def test_a_tied_matrix_learns_from_both_its_uses(vocab_size: int) -> None:
    tied, untied = tiny(tie=True, vocab_size=vocab_size), tiny(vocab_size=vocab_size)
    assert untied.forwards.head is not None
    weights = tied.state_dict()
    untied.load_state_dict(weights | {"forwards.head": weights["embedding.weight"][:vocab_size].clone()})
    tokens, targets = some_tokens(2, 6), some_tokens(2, 6, seed=1).clamp(max=8)
    for model in (tied, untied):
        torch.autograd.backward(cross_entropy(model(tokens, model.initial_states(2))[0], targets).sum())
    one, other, head = tied.embedding.weight.grad, untied.embedding.weight.grad, untied.forwards.head.grad
    assert one is not None and other is not None and head is not None
    expected = other.clone()
    expected[:vocab_size] += head
    assert head.any()
    assert torch.allclose(one, expected, atol=1e-7)


@each("case", CASES)
def test_every_parameter_gets_a_gradient(case: dict[str, Any]) -> None:
    model = tiny(**case)
    tokens, targets = some_tokens(4, 9), some_tokens(4, 9, seed=1).clamp(max=8)
    assert len(model.directions) == 1 + model.config.bidirectional
    for direction in model.directions:
        torch.autograd.backward(cross_entropy(direction(tokens, direction.initial_states(4))[0], targets).sum())
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), name


@each("tie", [False, True])
def test_fresh_weights_come_from_the_generator_alone(tie: bool) -> None:
    models = [LanguageModel(ModelConfig(vocab_size=9, start_id=9, embedding=6, hidden=6, tie=tie)) for _ in range(3)]
    for model, seed in zip(models, (1, 1, 2), strict=True):
        torch.manual_seed(id(model) % 1000)
        model.initialise(generator(seed))
    same, again, other = (dict(model.named_parameters()) for model in models)
    assert all(torch.equal(same[name], again[name]) for name in same)
    random = [name for name in same if "bias" not in name]
    assert not any(torch.isclose(same[name], other[name]).all() for name in random)


def test_fresh_weights_have_their_scales_and_each_layer_has_its_own() -> None:
    model = LanguageModel(ModelConfig(vocab_size=200, start_id=200, embedding=64, hidden=64, layers=2))
    model.initialise(generator(0))
    assert model.forwards.head is not None
    assert abs(float(model.embedding.weight.detach().std()) - 1) < 0.03
    assert abs(float(model.forwards.head.detach().std()) - 4 / 8) < 0.02
    assert not model.forwards.bias.any()
    low, high = (layer.cell().weights for layer in model.forwards.layers)
    assert not torch.isclose(low.w_hh, high.w_hh, atol=1e-7).all()
    block = low.w_hh.chunk(4)[2]
    assert torch.allclose(block @ block.t(), torch.eye(64), atol=1e-5)


@each("tie", [False, True])
def test_a_fresh_model_is_near_uniform(tie: bool) -> None:
    model = LanguageModel(ModelConfig(vocab_size=65, start_id=65, embedding=128, hidden=128, tie=tie)).eval()
    model.initialise(generator(0))
    assert abs(float(model.embedding.weight.detach().std()) - (4 / 128**0.5 if tie else 1)) < 0.03
    targets = torch.randint(65, (8, 40), generator=generator(1))
    tokens = torch.randint(65, (8, 40), generator=generator(2))
    surprisal = cross_entropy(model(tokens, model.initial_states(8))[0], targets)
    assert float(surprisal.detach().mean()) == pytest.approx(math.log(65), rel=0.06)


def test_the_embedding_is_one_however_a_model_is_copied_moved_and_filled() -> None:
    """It is the model's, and both directions read it: registered once, and never left behind."""
    model = tiny(bidirectional=True)
    copied = copy.deepcopy(model)
    assert copied.embedding is not model.embedding
    moved, filled = tiny(bidirectional=True).float(), LanguageModel(model.config)
    filled.load_state_dict(model.state_dict(), assign=True)
    for one in (model, copied, moved, filled):
        assert all(direction.embedding is one.embedding for direction in one.directions)
        assert [name for name in one.state_dict() if "embedding" in name] == ["embedding.weight"]
    assert filled.embedding.weight.data_ptr() == model.embedding.weight.data_ptr()
    assert not any(weight is model.embedding.weight for weight in model.forwards.parameters())
