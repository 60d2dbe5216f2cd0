"""Embedding -> recurrent layers -> head, with the memory passed in and out."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from charrnn.config import ModelConfig
from charrnn.errors import ConfigError
from charrnn.models.cells import States
from charrnn.models.language_model import (
    Backwards,
    LanguageModel,
    Reader,
    detach,
    parameter_count,
    select_rows,
)
from charrnn.models.layers import LAYERS, LockedDropout
from charrnn.models.loss import cross_entropy
from charrnn.models.weights import weight_shapes

every_cell = pytest.mark.parametrize("cell", list(LAYERS))
# Without recurrent matrices there is nothing to drop.
every_dropping_cell = pytest.mark.parametrize(
    "cell", [cell for cell in LAYERS if cell not in ("indrnn", "mingru", "minlstm")]
)
every_shape = pytest.mark.parametrize(
    "shape",
    [
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
    ],
    ids=str,
)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def tiny(**fields: Any) -> LanguageModel:
    """Nine symbols, two layers of six units, float64, no weight special, not in training."""
    chosen: dict[str, Any] = {"vocab_size": 9, "start_id": 9, "embedding": 6, "hidden": 6, "layers": 2} | fields
    model = LanguageModel(ModelConfig(**chosen)).double().eval()
    with torch.no_grad():
        for number, parameter in enumerate(model.parameters()):
            parameter.copy_(0.6 * torch.randn(parameter.shape, generator=generator(number), dtype=torch.float64))
    return model


def some_tokens(batch: int, time: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 10, (batch, time), generator=generator(seed))


def some_states(model: LanguageModel, batch: int) -> States:
    noise = generator(5)
    zeros = model.initial_states(batch)
    drawn = [[torch.randn(p.shape, generator=noise, dtype=p.dtype) for p in state] for state in zeros]
    # What the sLSTM divides by is a sum of what is positive.
    names = model.stack[0].state_names
    return tuple(tuple(p.exp() if name == "n" else p for name, p in zip(names, state, strict=True)) for state in drawn)


def flat(states: States) -> list[Tensor]:
    return [part for state in states for part in state]


def gap(one: States, other: States) -> float:
    return max(float((a - b).detach().abs().max()) for a, b in zip(flat(one), flat(other), strict=True))


# -- state in, state out ---------------------------------------------------------------------------------------------


@every_cell
@every_shape
@pytest.mark.parametrize("lengths", [[1] * 12, [5, 7], [1, 10, 1]], ids=str)
def test_chunks_equal_the_whole(cell: str, shape: dict[str, Any], lengths: list[int]) -> None:
    model = tiny(cell=cell, **shape)
    tokens, states = some_tokens(3, 12), some_states(model, 3)
    whole, left = model(tokens, states)
    chunks = []
    for chunk in torch.split(tokens, lengths, dim=1):
        logits, states = model(chunk, states)
        chunks.append(logits)
    assert (torch.cat(chunks, dim=1) - whole).abs().max() < 1e-10
    assert gap(states, left) < 1e-10


@every_cell
def test_nothing_is_remembered_between_calls(cell: str) -> None:
    model = tiny(cell=cell)
    tokens, states = some_tokens(2, 7), some_states(model, 2)
    kept = [part.clone() for part in flat(states)]
    first, _ = model(tokens, states)
    model(some_tokens(5, 3, seed=1), model.initial_states(5))
    second, _ = model(tokens, states)
    assert torch.equal(first, second)
    assert all(torch.equal(part, old) for part, old in zip(flat(states), kept, strict=True))


@every_cell
@every_shape
def test_the_initial_memory_is_zeros_for_each_part_of_each_layer(cell: str, shape: dict[str, Any]) -> None:
    model = tiny(cell=cell, **shape)
    states = model.initial_states(3)
    assert [len(state) for state in states] == [len(layer.state_names) for layer in model.stack]
    assert len(states) == model.config.layers
    assert all(part.shape == (3, 6) and part.dtype == torch.float64 and not part.any() for part in flat(states))


def test_every_layer_gets_and_leaves_its_own_state() -> None:
    model = tiny(layers=3)
    tokens, states = some_tokens(2, 4), some_states(model, 2)
    logits, left = model(tokens, states)
    for place in range(3):
        wrong = tuple(tuple(p + 1 for p in state) if n == place else state for n, state in enumerate(states))
        other, other_left = model(tokens, wrong)
        assert not torch.isclose(logits, other).any(dim=-1).all()
        # What lies under the changed layer knows nothing of it.
        assert all(gap((left[n],), (other_left[n],)) == 0 for n in range(place))
        assert all(gap((left[n],), (other_left[n],)) > 1e-4 for n in range(place, 3))


def test_too_few_states_are_an_error() -> None:
    model = tiny()
    with pytest.raises(ValueError, match="zip"):
        model(some_tokens(1, 2), model.initial_states(1)[:1])


@every_cell
def test_rows_do_not_touch_each_other(cell: str) -> None:
    model = tiny(cell=cell)
    tokens, states = some_tokens(3, 8), some_states(model, 3)
    together, _ = model(tokens, states)
    for row in range(3):
        alone, _ = model(tokens[row : row + 1], select_rows(states, torch.tensor([row])))
        assert (alone[0] - together[row]).abs().max() < 1e-12


def by_hand(model: LanguageModel, number: int, y: Tensor, x: Tensor) -> Tensor:
    """What a layer hands on, from what it gives (B, H) and what it has read."""
    own = dict(model.connections[number].named_parameters())
    if model.config.norm:
        centred = y - y.mean(1, keepdim=True)
        y = own["gain"] * centred / ((centred**2).mean(1, keepdim=True) + 1e-5).sqrt() + own["shift"]
    if number == 0 or model.config.skip in (None, "dense"):
        return y
    if model.config.skip == "residual":
        return y + x
    t = 1 / (1 + torch.exp(-(x @ own["carry_weight"].t() + own["carry_bias"])))
    return t * y + (1 - t) * x


@every_cell
@every_shape
def test_the_model_is_embedding_then_layers_then_head(cell: str, shape: dict[str, Any]) -> None:
    model = tiny(cell=cell, **shape)
    tokens, states = some_tokens(2, 5), some_states(model, 2)
    symbols = model.config.vocab_size
    head = model.embedding.weight[:symbols] if model.head is None else model.head
    logits, left = model(tokens, states)
    memory = list(states)
    for t in range(5):
        x = torch.stack([model.embedding.weight[token] for token in tokens[:, t].tolist()])
        outputs = []
        for number, layer in enumerate(model.stack):
            formula = layer.cell()
            state = memory[number]
            memory[number] = formula.step(formula.project(x), formula.recur(state[0]), state)
            x = by_hand(model, number, memory[number][0], x)
            outputs.append(x)
        if model.config.skip == "dense":
            x = torch.cat(outputs, dim=1)
        for row in range(2):
            for symbol in range(symbols):
                expected = float(((x[row] * head[symbol]).sum() + model.bias[symbol]).detach())
                assert math.isclose(float(logits[row, t, symbol].detach()), expected, abs_tol=1e-10)
    assert gap(left, tuple(memory)) < 1e-10


# -- symbols ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tie", [False, True])
@pytest.mark.parametrize(("vocab_size", "documents"), [(9, False), (10, True)])
def test_a_model_of_documents_predicts_one_symbol_more(vocab_size: int, documents: bool, tie: bool) -> None:
    model = tiny(vocab_size=vocab_size, tie=tie)
    assert model.config.documents is documents
    logits, _ = model(some_tokens(2, 3), model.initial_states(2))
    assert logits.shape == (2, 3, vocab_size)
    assert model.head_weight().shape == (vocab_size, 6)
    assert model.embedding.weight.shape == (10, 6)


@pytest.mark.parametrize("vocab_size", [9, 10])
def test_the_start_is_an_input_of_its_own_and_no_id_lies_beyond_it(vocab_size: int) -> None:
    model = tiny(vocab_size=vocab_size)
    states = model.initial_states(1)
    after_start, _ = model(torch.tensor([[9]]), states)
    for token in range(9):
        assert not torch.allclose(after_start, model(torch.tensor([[token]]), states)[0])
    with pytest.raises(IndexError):
        model(torch.tensor([[10]]), states)


def test_a_cell_that_is_not_in_the_table_is_an_error_that_names_those_that_are() -> None:
    with pytest.raises(ConfigError, match=r"rnn, .*lstm, .*gru, .*'transformer'"):
        LanguageModel(ModelConfig(vocab_size=9, start_id=9, cell="transformer"))


def test_a_connection_that_is_not_in_the_table_is_an_error_that_names_those_that_are() -> None:
    with pytest.raises(ConfigError, match=r"residual, highway, dense, not 'skippy'"):
        LanguageModel(ModelConfig(vocab_size=9, start_id=9, skip="skippy"))
    with pytest.raises(ConfigError, match=r"a head that reads all layers is no embedding"):
        ModelConfig(vocab_size=9, start_id=9, skip="dense", tie=True, embedding=6, hidden=6)


def test_a_highway_begins_by_carrying_more_than_it_transforms() -> None:
    model = LanguageModel(ModelConfig(vocab_size=9, start_id=9, hidden=6, layers=3, skip="highway"))
    model.initialise(generator(0))
    own = [dict(between.named_parameters()) for between in model.connections]
    assert own[0] == {} and all(torch.equal(found["carry_bias"], torch.full((6,), -1.0)) for found in own[1:])


# -- parameters ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "count"),
    [
        # embedding 10 x 4, layers gates x (inputs x 6 + 6 x 6 + 6 + 6), head 9 x 6, bias 9
        ({"cell": "rnn", "embedding": 4}, 40 + 72 + 84 + 54 + 9),
        ({"cell": "lstm", "embedding": 4}, 40 + 288 + 336 + 54 + 9),
        ({"cell": "gru", "embedding": 4}, 40 + 216 + 252 + 54 + 9),
        # and the cell's own vectors: three of 6; none; two of 24, two of 6
        ({"cell": "lstm-peephole", "embedding": 4}, 40 + 288 + 18 + 336 + 18 + 54 + 9),
        ({"cell": "lstm-coupled", "embedding": 4}, 40 + 216 + 252 + 54 + 9),
        ({"cell": "lstm-layernorm", "embedding": 4}, 40 + 288 + 60 + 336 + 60 + 54 + 9),
        # one vector of 6; five matrices between 4 or 6 and 6; inner gates; the share of m; a third matrix; no state's
        ({"cell": "indrnn", "embedding": 4}, 40 + 36 + 48 + 54 + 9),
        ({"cell": "lstm-mogrifier", "embedding": 4}, 40 + (240 + 24 + 120) + (288 + 24 + 180) + 54 + 9),
        ({"cell": "lstm-nested", "embedding": 4}, 40 + 288 + 312 + 336 + 312 + 54 + 9),
        ({"cell": "mlstm", "embedding": 4}, 40 + (120 + 36 + 144 + 24) + (180 + 36 + 144 + 24) + 54 + 9),
        ({"cell": "slstm", "embedding": 4}, 40 + 288 + 336 + 54 + 9),
        ({"cell": "gru-before", "embedding": 4}, 40 + (72 + 72 + 36 + 18) + (108 + 72 + 36 + 18) + 54 + 9),
        ({"cell": "gru-layernorm", "embedding": 4}, 40 + 216 + 36 + 252 + 36 + 54 + 9),
        ({"cell": "mingru", "embedding": 4}, 40 + 60 + 84 + 54 + 9),
        ({"cell": "minlstm", "embedding": 4}, 40 + 90 + 126 + 54 + 9),
        # gains and shifts of both layers; a gate above the second; a head for both
        ({"cell": "rnn", "embedding": 4, "norm": True}, 40 + 72 + 84 + 24 + 54 + 9),
        ({"cell": "rnn", "embedding": 4, "skip": "residual"}, 40 + 72 + 84 + 54 + 9),
        ({"cell": "rnn", "embedding": 4, "skip": "highway"}, 40 + 72 + 84 + 42 + 54 + 9),
        ({"cell": "rnn", "embedding": 4, "skip": "dense"}, 40 + 72 + 84 + 108 + 9),
        ({"cell": "lstm", "embedding": 4, "vocab_size": 10}, 40 + 288 + 336 + 60 + 10),
        ({"cell": "lstm", "embedding": 4, "layers": 1}, 40 + 288 + 54 + 9),
        ({"cell": "lstm", "tie": True}, 60 + 336 + 336 + 9),
        ({"cell": "lstm", "tie": True, "vocab_size": 10}, 60 + 336 + 336 + 10),
    ],
    ids=str,
)
def test_parameters_counted_by_hand(fields: dict[str, Any], count: int) -> None:
    assert parameter_count(tiny(**fields)) == count


@every_cell
@every_shape
def test_a_file_is_checked_against_the_names_and_shapes_that_the_network_has(cell: str, shape: dict[str, Any]) -> None:
    model = tiny(cell=cell, **shape)
    found = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    assert weight_shapes(model.config) == found
    assert sum(map(math.prod, found.values())) == parameter_count(model)


def test_the_shapes_of_a_cell_that_is_not_in_the_table_are_an_error_that_names_those_that_are() -> None:
    with pytest.raises(ConfigError, match=r"rnn, .*lstm, .*gru, .*'transformer'"):
        weight_shapes(ModelConfig(vocab_size=9, start_id=9, cell="transformer"))


def test_a_tied_head_is_no_second_parameter() -> None:
    names = [name for name, _ in tiny(tie=True).named_parameters()]
    assert "head" not in names
    assert [name for name, _ in tiny().named_parameters() if name not in names] == ["head"]


@pytest.mark.parametrize("vocab_size", [9, 10])
def test_a_tied_matrix_learns_from_both_its_uses(vocab_size: int) -> None:
    tied, untied = tiny(tie=True, vocab_size=vocab_size), tiny(vocab_size=vocab_size)
    assert untied.head is not None
    weights = tied.state_dict()
    untied.load_state_dict(weights | {"head": weights["embedding.weight"][:vocab_size].clone()})
    tokens, targets = some_tokens(2, 6), some_tokens(2, 6, seed=1).clamp(max=8)
    for model in (tied, untied):
        torch.autograd.backward(cross_entropy(model(tokens, model.initial_states(2))[0], targets).sum())
    one, other, head = tied.embedding.weight.grad, untied.embedding.weight.grad, untied.head.grad
    assert one is not None and other is not None and head is not None
    expected = other.clone()
    expected[:vocab_size] += head
    assert head.any()
    assert torch.allclose(one, expected, atol=1e-7)


@every_cell
@every_shape
def test_every_parameter_gets_a_gradient(cell: str, shape: dict[str, Any]) -> None:
    model = tiny(cell=cell, **shape)
    tokens, targets = some_tokens(4, 9), some_tokens(4, 9, seed=1).clamp(max=8)
    readers: list[Reader] = [model, backwards_of(model)] if model.config.bidirectional else [model]
    for reader in readers:
        torch.autograd.backward(cross_entropy(reader(tokens, reader.initial_states(4))[0], targets).sum())
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), name


@pytest.mark.parametrize("tie", [False, True])
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
    assert model.head is not None
    assert abs(float(model.embedding.weight.detach().std()) - 1) < 0.03
    assert abs(float(model.head.detach().std()) - 4 / 8) < 0.02
    assert not model.bias.any()
    low, high = (layer.cell().weights for layer in model.stack)
    assert not torch.isclose(low.w_hh, high.w_hh, atol=1e-7).all()
    block = low.w_hh.chunk(4)[2]
    assert torch.allclose(block @ block.t(), torch.eye(64), atol=1e-5)


def test_a_fresh_model_is_near_uniform() -> None:
    model = LanguageModel(ModelConfig(vocab_size=65, start_id=65, embedding=128, hidden=128)).eval()
    model.initialise(generator(0))
    targets = torch.randint(65, (8, 40), generator=generator(1))
    tokens = torch.randint(65, (8, 40), generator=generator(2))
    surprisal = cross_entropy(model(tokens, model.initial_states(8))[0], targets)
    assert float(surprisal.detach().mean()) == pytest.approx(math.log(65), rel=0.06)


def test_a_fresh_tied_model_is_near_uniform_too() -> None:
    model = LanguageModel(ModelConfig(vocab_size=65, start_id=65, embedding=128, hidden=128, tie=True)).eval()
    model.initialise(generator(0))
    assert abs(float(model.embedding.weight.detach().std()) - 4 / 128**0.5) < 0.02
    tokens = torch.randint(65, (8, 40), generator=generator(2))
    surprisal = cross_entropy(model(tokens, model.initial_states(8))[0], tokens.flip(0))
    assert float(surprisal.detach().mean()) == pytest.approx(math.log(65), rel=0.06)


# -- nats ------------------------------------------------------------------------------------------------------------


def naive_nats(logits: list[float], target: int) -> float:
    peak = max(logits)
    return math.log(sum(math.exp(value - peak) for value in logits)) + peak - logits[target]


@pytest.mark.parametrize("scale", [1.0, 1000.0])
def test_nats_is_the_logarithm_of_softmax_of_each_target(scale: float) -> None:
    logits = scale * torch.randn(2, 5, 7, generator=generator(0))
    targets = torch.randint(0, 7, (2, 5), generator=generator(1))
    losses = cross_entropy(logits, targets)
    assert losses.shape == (2, 5)
    for row in range(2):
        for t in range(5):
            expected = naive_nats(logits[row, t].tolist(), int(targets[row, t]))
            assert math.isclose(float(losses[row, t]), expected, rel_tol=1e-5, abs_tol=1e-5)


@pytest.mark.parametrize("fields", [{}, {"ignored": 3}], ids=str)
def test_an_ignored_target_costs_nothing_and_teaches_nothing(fields: dict[str, int]) -> None:
    logits = torch.randn(2, 5, 7, generator=generator(0)).requires_grad_()
    targets = torch.tensor([[0, 1, 2, 4, 5], [6, 5, 4, 2, 1]])
    whole = cross_entropy(logits, targets)
    hidden = torch.tensor([[True, False, False, True, False], [False, False, True, False, True]])
    some = cross_entropy(logits, targets.masked_fill(hidden, fields.get("ignored", -100)), **fields)
    assert torch.equal(some, whole.masked_fill(hidden, 0))
    (gradient,) = torch.autograd.grad(some.sum(), logits)
    assert torch.equal(gradient.abs().sum(dim=-1) == 0, hidden)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_nats_is_computed_in_float32_from_any_logits(dtype: torch.dtype) -> None:
    logits = torch.randn(1, 4, 7, generator=generator(0)).to(dtype)
    targets = torch.tensor([[0, 1, 2, 3]])
    losses = cross_entropy(logits, targets)
    assert losses.dtype == torch.float32
    assert torch.allclose(losses, cross_entropy(logits.float(), targets), atol=1e-6)


# -- memory that is cut, moved and dropped ---------------------------------------------------------------------------


@every_cell
def test_detach_keeps_the_numbers_and_cuts_the_graph(cell: str) -> None:
    model = tiny(cell=cell)
    _, states = model(some_tokens(2, 4), model.initial_states(2))
    assert all(part.requires_grad for part in flat(states))
    cut = detach(states)
    assert [len(state) for state in cut] == [len(state) for state in states]
    assert gap(cut, states) == 0
    assert not any(part.requires_grad for part in flat(cut))


def test_carry_gathers_rows_and_puts_zeros_where_there_is_none() -> None:
    one, two = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), torch.tensor([[7.0], [8.0], [9.0]])
    ((got_one, got_two), (again,)) = select_rows(((one, two), (one,)), torch.tensor([2, -1, 0, 2]))
    assert got_one.tolist() == [[5, 6], [0, 0], [1, 2], [5, 6]]
    assert got_two.tolist() == [[9], [0], [7], [9]]
    assert torch.equal(again, got_one)
    assert one.tolist() == [[1, 2], [3, 4], [5, 6]]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_carry_keeps_the_number_format(dtype: torch.dtype) -> None:
    ((part,),) = select_rows(((torch.ones(2, 3, dtype=dtype),),), torch.tensor([1, -1]))
    assert part.dtype == dtype


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_carry_puts_zeros_also_beside_numbers_that_are_not_finite(broken: float) -> None:
    state = torch.tensor([[broken, 1.0], [2.0, 3.0]])
    ((part,),) = select_rows(((state,),), torch.tensor([-1, 1]))
    assert part.tolist() == [[0, 0], [2, 3]]


# -- locked dropout --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_one_mask_is_held_over_time_and_what_stays_is_scaled(p: float) -> None:
    torch.manual_seed(0)
    x = torch.rand(30, 5, 100, dtype=torch.float64) + 1
    y = LockedDropout(p).train()(x)
    factor = y / x
    assert torch.equal(factor == 0, (factor == 0)[:, :1].expand_as(factor))
    assert torch.allclose(factor[factor != 0], torch.tensor(1 / (1 - p), dtype=torch.float64))
    dropped = float((factor[:, 0] == 0).double().mean())
    assert abs(dropped - p) < 4 * math.sqrt(p * (1 - p) / 3000)


def test_every_row_and_every_window_has_a_mask_of_its_own() -> None:
    torch.manual_seed(0)
    dropout, x = LockedDropout(0.5).train(), torch.ones(4, 3, 50)
    first, second = dropout(x), dropout(x)
    assert not torch.equal(first, second)
    assert len({tuple(row[0].tolist()) for row in first}) == 4


@pytest.mark.parametrize(("p", "training"), [(0.5, False), (None, True), (None, False)])
def test_dropout_is_off_outside_training_and_when_none_is_wanted(p: float | None, training: bool) -> None:
    x = torch.rand(4, 3, 50)
    assert torch.equal(LockedDropout(p).train(training)(x), x)


@every_cell
@pytest.mark.parametrize("layers", [1, 3])
def test_dropout_stands_behind_every_layer_and_a_quarter_of_it_behind_the_embedding(cell: str, layers: int) -> None:
    torch.manual_seed(0)
    model = tiny(cell=cell, layers=layers, dropout=0.5).train()
    seen: list[Tensor] = []

    def look(module: torch.nn.Module, given: tuple[Tensor], result: Tensor) -> None:
        assert given[0].shape == result.shape == (2, 4, 6), "rows first, then time"
        seen.append(result)

    model.input_dropout.register_forward_hook(look)
    model.dropout.register_forward_hook(look)
    tokens = some_tokens(2, 4)
    logits, _ = model(tokens, model.initial_states(2))
    assert len(seen) == layers + 1
    kept = seen[0] != 0
    assert kept.any()
    assert torch.allclose(seen[0][kept], model.embedding.weight[tokens][kept] / (1 - 0.125))
    assert torch.allclose(logits, seen[-1] @ model.head_weight().t() + model.bias)


@pytest.mark.parametrize("dropout", [0.2, 0.5, 0.9])
def test_the_share_of_dropped_inputs_is_a_quarter_of_the_share_dropped_between_layers(dropout: float) -> None:
    torch.manual_seed(1)
    model = tiny(hidden=400, embedding=400, dropout=dropout).train()
    for stage, share in ((model.input_dropout, dropout / 4), (model.dropout, dropout)):
        gone = (stage(torch.ones(50, 1, 400)) == 0).double().mean()
        assert float(gone) == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / (50 * 400)))


def test_without_dropout_no_input_is_dropped() -> None:
    model = tiny().train()
    x = torch.rand(4, 3, 50)
    assert torch.equal(model.input_dropout(x), x) and torch.equal(model.dropout(x), x)


@every_dropping_cell
@pytest.mark.parametrize("share", [None, 0.3])
def test_every_layer_drops_the_share_of_its_recurrent_weights_that_the_configuration_says(
    cell: str, share: float | None
) -> None:
    model = tiny(cell=cell, layers=3, weight_drop=share)
    assert [layer.weight_drop for layer in model.stack] == [share] * 3


@every_dropping_cell
def test_a_model_with_weight_drop_is_the_plain_model_outside_training(cell: str) -> None:
    plain, dropped = tiny(cell=cell), tiny(cell=cell, weight_drop=0.5)
    tokens = some_tokens(2, 4)
    before = plain(tokens, plain.initial_states(2))[0]
    noisy = dropped.train()(tokens, dropped.initial_states(2))[0]
    # The first symbol is read from an empty memory: there is no recurrent share to drop in the lowest layer.
    assert not torch.isclose(noisy[:, 1:], before[:, 1:]).all()
    assert torch.equal(before, dropped.eval()(tokens, dropped.initial_states(2))[0])
    assert dropped.state_dict().keys() == plain.state_dict().keys()


def test_a_model_with_dropout_is_the_plain_model_outside_training() -> None:
    plain, dropped = tiny(), tiny(dropout=0.5)
    tokens = some_tokens(2, 4)
    assert torch.equal(plain(tokens, plain.initial_states(2))[0], dropped(tokens, dropped.initial_states(2))[0])
    noisy, _ = dropped.train()(tokens, dropped.initial_states(2))
    assert not torch.isclose(noisy, plain(tokens, plain.initial_states(2))[0]).all()
