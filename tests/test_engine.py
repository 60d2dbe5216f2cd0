"""One token after another, in NumPy: the model's own numbers, and the same to the bit whoever stands beside a row."""

import threading
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from charrnn.config import ModelConfig
from charrnn.inference import backends as acceleration_module
from charrnn.inference.engine import Engine, select_rows
from charrnn.inference.network import Ids, StepState
from charrnn.inference.products import LEVELS, MATRICES, Floats
from charrnn.inference.products import _TorchProduct as TorchProduct
from charrnn.models.cells import CELLS, gather
from charrnn.models.cells.base import W_IH
from charrnn.models.ensemble import Network, build
from charrnn.models.language_model import LanguageModel
from charrnn.models.states import NetworkState, map_state, state_parts
from charrnn.models.weights import bounded, direction_weights
from charrnn.training.int8_check import arrays

Doubles = npt.NDArray[np.float64]

BATCHES = [*range(1, 10), 64]

every_cell = pytest.mark.parametrize("cell", list(CELLS))
# In 8 bits only what lies in [-1, 1] can be multiplied.
BOUNDED = [
    "rnn", "lstm", "lstm-peephole", "lstm-coupled", "lstm-layernorm", "lstm-nested", "slstm", "gru", "gru-update",
    "gru-before", "gru-before-update", "gru-layernorm",
]  # fmt: skip
every_bounded_cell = pytest.mark.parametrize("cell", BOUNDED)
every_way = pytest.mark.parametrize(
    ("cell", "precision"), [(cell, name) for cell in CELLS for name in MATRICES if name == "fp32" or cell in BOUNDED]
)
SHAPES: list[dict[str, Any]] = [
    {},
    {"layers": 1},
    {"layers": 3, "embedding": 5},
    {"embedding": 8, "tie": True},
    {"vocab_size": 12},
    {"vocab_size": 12, "embedding": 8, "tie": True},
    {"layers": 3, "skip": "residual"},
    {"layers": 3, "skip": "highway"},
    {"layers": 3, "skip": "dense"},
    {"layers": 3, "norm": True},
    {"layers": 2, "skip": "highway", "norm": True, "embedding": 8, "tie": True},
    {"ensemble": 3},
    {"layers": 3, "skip": "dense", "ensemble": 2},
]
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)
every_bounded_shape = pytest.mark.parametrize(
    "shape", [shape for shape in SHAPES if "norm" not in shape and shape.get("skip") != "residual"], ids=str
)


def tiny(**fields: Any) -> Network:
    """Eleven symbols, two layers, no weight special, not in training."""
    chosen: dict[str, Any] = {"vocab_size": 11, "start_id": 11, "embedding": 6, "hidden": 8, "layers": 2} | fields
    model = build(ModelConfig(**chosen)).eval()
    with torch.no_grad():
        for number, parameter in enumerate(model.parameters()):
            noise = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(number))
            parameter.copy_(noise / max(2.0, parameter.shape[-1] ** 0.5))
    return model


def decoder_of(model: Network, precision: str = "fp32", *, accelerated: bool = False) -> Engine:
    engine = Engine(model.config, arrays(model), precision)
    if accelerated:
        with engine.accelerated(2, 1):
            pass
    return engine


def some_tokens(batch: int, time: int, seed: int = 0) -> Ids:
    return np.random.default_rng(seed).integers(0, 12, (batch, time))


def some_memory(model: Network, batch: int, precision: str = "fp32") -> StepState:
    """States such as a network may be in: outputs in [-1, 1]."""
    rng, shape = np.random.default_rng(5), (batch, model.config.hidden)
    parts = CELLS[model.config.cell].state_names
    states = []
    for _ in range(model.config.layers * model.config.ensemble):
        drawn = {name: rng.standard_normal(shape).astype(np.float32) for name in parts}
        drawn["h"] = np.tanh(drawn["h"])
        if "n" in drawn:  # which is divided by: a sum of what is positive
            drawn["n"], drawn["c"] = np.exp(drawn["n"]), np.exp(drawn["n"]) * np.tanh(drawn["c"])
        if "inner" in drawn:  # whose c is an output itself
            drawn["c"] = np.tanh(drawn["c"])
        states.append(tuple(drawn.values()))
    return decoder_of(model, precision).remember(states)


def in_torch(model: Network, memory: StepState) -> NetworkState:
    states, layers = map_state(torch.from_numpy, memory.states), model.config.layers
    if len(model.models) == 1:
        return states
    return tuple(states[first : first + layers] for first in range(0, len(states), layers))


def step_through(engine: Engine, tokens: Ids, memory: StepState) -> tuple[Floats, StepState]:
    """Logits (B, T, V), the memory after them."""
    logits = []
    for t in range(tokens.shape[1]):
        one, memory = engine.step(tokens[:, t], memory)
        logits.append(one)
    return np.stack(logits, axis=1), memory


def flat(memory: StepState) -> list[Floats]:
    """All of a memory's arrays in one order."""
    return [part for state in memory.states for part in state] + list(memory.products)


def same_bits(one: tuple[Floats, StepState], other: tuple[Floats, StepState]) -> bool:
    pairs = list(zip([one[0], *flat(one[1])], [other[0], *flat(other[1])], strict=True))
    assert all(a.shape == b.shape and a.dtype == b.dtype == np.float32 for a, b in pairs)
    return all(a.tobytes() == b.tobytes() for a, b in pairs)


def gap(one: tuple[Floats, StepState], other: tuple[Tensor, NetworkState]) -> float:
    """The largest difference between the engine's logits and states and the model's."""
    pairs = [(one[0], other[0].numpy())]
    twins = (part.numpy() for part in state_parts(other[1]))
    pairs += zip(state_parts(one[1].states), twins, strict=True)
    assert all(a.shape == b.shape for a, b in pairs)
    assert all(np.isfinite(part).all() for pair in pairs for part in pair)
    return max(float(np.abs(a - b).max()) for a, b in pairs)


# -- float32: the model's own numbers --------------------------------------------------------------------------------


@every_cell
@every_shape
@pytest.mark.parametrize("batch", [1, 3])
def test_steps_equal_the_models_own_forward(cell: str, shape: dict[str, Any], batch: int) -> None:
    model = tiny(cell=cell, **shape)
    tokens, memory = some_tokens(batch, 15), some_memory(model, batch)
    with torch.no_grad():
        forward = model(torch.from_numpy(tokens), in_torch(model, memory))
    assert gap(step_through(decoder_of(model), tokens, memory), forward) < 1e-5


@every_cell
@pytest.mark.parametrize("length", [1, 2, 70])
def test_priming_equals_the_models_own_forward(cell: str, length: int) -> None:
    model = tiny(cell=cell)
    prompt = some_tokens(1, length)
    with torch.no_grad():
        logits, states = model(torch.from_numpy(prompt), model.initial_states(1))
    assert gap(decoder_of(model).prime(prompt[0]), (logits[:, -1], states)) < 1e-5


@pytest.mark.parametrize("size", [30.0, 100.0])
def test_large_sums_saturate_as_the_models_do_and_overflow_nowhere(size: float) -> None:
    for cell in BOUNDED:
        model = tiny(cell=cell)
        with torch.no_grad():
            for layer in model.first_member.forwards.layers:
                for parameter in layer.parameters():
                    parameter.mul_(size)
            forward = model(torch.from_numpy(some_tokens(2, 6)), model.initial_states(2))
        engine = decoder_of(model)
        assert gap(step_through(engine, some_tokens(2, 6), engine.start(2)), forward) < 1e-3


@every_cell
def test_dropout_has_no_part_in_it_also_where_the_model_is_left_in_training(cell: str) -> None:
    tokens, plain, training = some_tokens(2, 9), tiny(cell=cell), tiny(cell=cell, dropout=0.5).train()
    memory = some_memory(plain, 2)
    assert same_bits(
        step_through(decoder_of(training), tokens, memory), step_through(decoder_of(plain), tokens, memory)
    )


# -- 8 bits: a slow, obvious twin ------------------------------------------------------------------------------------


class SlowOperations:
    """The formulas' operations from the textbook, in float64."""

    def linear(self, x: Doubles, weight: Doubles, bias: Doubles | None) -> Doubles:
        product: Doubles = np.einsum("...k,nk->...n", x, weight)
        return product if bias is None else product + bias

    def sigmoid(self, x: Doubles) -> Doubles:
        y: Doubles = 1 / (1 + np.exp(-x))
        return y

    def tanh(self, x: Doubles) -> Doubles:
        y: Doubles = np.tanh(x)
        return y

    def log_sigmoid(self, x: Doubles) -> Doubles:
        y: Doubles = -np.log(1 + np.exp(-x))
        return y

    def exp(self, x: Doubles) -> Doubles:
        y: Doubles = np.exp(x)
        return y

    def relu(self, x: Doubles) -> Doubles:
        return x * (x > 0)

    def normalise(self, x: Doubles, gain: Doubles, bias: Doubles | None = None) -> Doubles:
        y: Doubles = gain * (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
        return y if bias is None else y + bias

    def split(self, x: Doubles, parts: int) -> Sequence[Doubles]:
        return np.split(x, parts, axis=-1)


def softmax(logits: Doubles) -> Doubles:
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    probabilities: Doubles = weights / weights.sum(-1, keepdims=True)
    return probabilities


def rounded(weight: Doubles) -> Doubles:
    """Each row to whole multiples of a 127th of its largest weight."""
    level = np.abs(weight).max(axis=1, keepdims=True) / LEVELS
    multiples: Doubles = np.rint(weight / level) * level
    return multiples


class Twin:
    """What the engine should do in 8 bits: one step, layer by layer.

    A layer's input is what the engine's layer below gave, so that both round the same number.
    """

    def __init__(self, model: LanguageModel) -> None:
        assert bounded(model.config)
        self.config = model.config
        self.weights = {name: weight.astype(np.float64) for name, weight in direction_weights(arrays(model)).items()}

    def step(self, tokens: Ids, before: StepState, after: StepState) -> tuple[Doubles, list[tuple[Doubles, ...]]]:
        """Logits and states from the states before, and what the layers gave in between."""
        formula, x = CELLS[self.config.cell], self.weights["embedding.weight"][tokens]
        states: list[tuple[Doubles, ...]] = []
        given: list[Doubles] = []
        for layer, state in enumerate(before.states[: self.config.layers]):
            weights = {name: self.weights[f"layers.{layer}.rnn.{name}"] for name in formula.table()}
            # The embedding is looked up, not read from a layer: its product is not rounded. Vectors are rows.
            weights = {
                name: weight[None] if weight.ndim == 1 else weight if name == W_IH and not layer else rounded(weight)
                for name, weight in weights.items()
            }
            cell = formula(gather(formula, weights), SlowOperations())
            doubles = tuple(part.astype(np.float64) for part in state)
            projected, recurrent = cell.project(x), cell.recur(read(state[0]))
            cell.op = RoundingOperations()  # what a step multiplies by itself is read as a layer's output is
            states.append(cell.step(projected, recurrent, doubles))
            x = self.join(layer, after.states[layer][0], x)
            given.append(x)
        if self.config.skip == "dense":
            x = np.hstack(given)
        head = self.weights["embedding.weight"][: self.config.vocab_size] if self.config.tie else self.weights["head"]
        return x @ rounded(head).T + self.weights["bias"], states

    def join(self, layer: int, y: Floats, x: Doubles) -> Doubles:
        """What the layer above multiplies."""
        if self.config.skip != "highway" or layer == 0:
            self.unread = y.astype(np.float64)
            return read(y)
        weight, bias = (self.weights[f"connections.{layer}.carry_{name}"] for name in ("weight", "bias"))
        t = 1 / (1 + np.exp(-(x @ rounded(weight).T + bias)))
        self.unread = t * y + (1 - t) * self.unread
        return read(self.unread.astype(np.float32))


class RoundingOperations(SlowOperations):
    def linear(self, x: Doubles, weight: Doubles, bias: Doubles | None) -> Doubles:
        return super().linear(read(x.astype(np.float32)), weight, bias)


def read(h: Floats) -> Doubles:
    """A layer's output in steps of 1/127, rounded where float32 rounds it."""
    return np.asarray(np.rint(np.float32(LEVELS) * h), dtype=np.float64) / LEVELS


@every_bounded_cell
@every_bounded_shape
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("accelerated", [False, True], ids=["numpy", "torch"])
def test_steps_in_8_bits_equal_the_slow_twins(cell: str, shape: dict[str, Any], batch: int, accelerated: bool) -> None:
    model = tiny(cell=cell, **shape)
    engine = decoder_of(model, "int8", accelerated=accelerated)
    twins, layers = [Twin(member) for member in model.models], model.config.layers
    before = some_memory(model, batch, "int8")
    for tokens in some_tokens(batch, 12).T:
        logits, after = engine.step(tokens, before)
        expected, states = twins[0].step(tokens, before, after)
        if len(twins) > 1:
            probabilities = [softmax(expected)]
            for number, twin in enumerate(twins[1:], 1):
                of_it = slice(number * layers, (number + 1) * layers)
                one, more = twin.step(
                    tokens, StepState(before.states[of_it], before.products[of_it]), StepState(after.states[of_it], ())
                )
                probabilities.append(softmax(one))
                states += more
            expected = np.log(sum(probabilities) / len(twins))
        assert np.allclose(logits, expected, rtol=0, atol=1e-5)
        for state, own in zip(states, after.states, strict=True):
            assert all(np.allclose(part, other, rtol=0, atol=1e-5) for part, other in zip(state, own, strict=True))
        before = after


@every_bounded_cell
@pytest.mark.parametrize("hidden", [8, 64, 200])
def test_8_bits_come_near_the_model_but_are_not_the_model(cell: str, hidden: int) -> None:
    model = tiny(cell=cell, hidden=hidden)
    tokens = some_tokens(4, 30)
    with torch.no_grad():
        expected, _ = model(torch.from_numpy(tokens), model.initial_states(4))
    engine = decoder_of(model, "int8")
    logits, _ = step_through(engine, tokens, engine.start(4))
    difference = np.abs(logits - expected.numpy())
    spread = float(expected.std())
    assert 1e-5 * spread < difference.mean() < 0.02 * spread
    assert difference.max() < 0.15 * spread


# -- both ------------------------------------------------------------------------------------------------------------


@every_way
@pytest.mark.parametrize("length", [1, 2, 33])
@pytest.mark.parametrize("tie", [False, True], ids=["untied", "tied"])
def test_priming_equals_steps(cell: str, precision: str, length: int, tie: bool) -> None:
    engine = decoder_of(tiny(cell=cell, tie=tie, embedding=8), precision)
    prompt = some_tokens(1, length)
    stepped, memory = step_through(engine, prompt, engine.start(1))
    logits, left = engine.prime(prompt[0])
    assert logits.shape == (1, 11)
    assert same_bits((logits, left), (stepped[:, -1], memory))


@every_way
def test_before_any_token_the_memory_is_zeros(cell: str, precision: str) -> None:
    memory = decoder_of(tiny(cell=cell), precision).start(3)
    assert [[part.shape for part in state] for state in memory.states] == [[(3, 8)] * len(CELLS[cell].state_names)] * 2
    assert [len(products) for products in memory.products] == [3] * 2
    assert all(part.dtype == np.float32 and not part.any() for part in flat(memory))


@every_way
@pytest.mark.parametrize("accelerated", [False, True], ids=["numpy", "torch"])
@pytest.mark.parametrize("hidden", [8, 13, 64, 100])
def test_a_row_is_the_same_to_the_bit_alone_and_in_a_batch_of_any_size(
    cell: str, precision: str, accelerated: bool, hidden: int
) -> None:
    model = tiny(cell=cell, hidden=hidden)
    engine = decoder_of(model, precision, accelerated=accelerated)
    tokens, memory = some_tokens(64, 4), some_memory(model, 64, precision)

    def read(rows: list[int]) -> tuple[Floats, StepState]:
        return step_through(engine, tokens[rows], select_rows(memory, rows))

    alone = [read([row]) for row in range(64)]
    for batch in BATCHES:
        # Not in order, and one of them twice.
        rows = np.random.default_rng(batch).permutation(64)[:batch].tolist()
        rows[-1] = rows[0]
        logits, left = read(rows)
        for place, row in enumerate(rows):
            one = logits[place : place + 1], select_rows(left, [place])
            assert same_bits(one, alone[row]), f"row {row} of {rows}"


# So large a layer that torch multiplies a single row as well.
LARGE = {"lstm": 192, "gru": 212, "rnn": 368}


@pytest.mark.parametrize("cell", list(LARGE))
def test_numpy_and_torch_give_the_same_bits_for_any_number_of_rows(cell: str) -> None:
    model = tiny(cell=cell, hidden=LARGE[cell])
    plain, accelerated = decoder_of(model, "int8"), decoder_of(model, "int8", accelerated=True)
    tokens, memory = some_tokens(64, 4), some_memory(model, 64, "int8")
    alone = [step_through(plain, tokens[[row]], select_rows(memory, [row])) for row in range(64)]
    for batch in BATCHES:
        rows = list(range(64 - batch, 64))
        given = tokens[rows], select_rows(memory, rows)
        together = step_through(accelerated, *given)
        assert same_bits(together, step_through(plain, *given))
        for place, row in enumerate(rows):
            assert same_bits((together[0][[place]], select_rows(together[1], [place])), alone[row])


@every_way
@pytest.mark.parametrize("accelerated", [False, True], ids=["numpy", "torch"])
def test_nothing_given_is_changed(cell: str, precision: str, accelerated: bool) -> None:
    model = tiny(cell=cell)
    weights = arrays(model)
    kept = {name: weight.copy() for name, weight in weights.items()}
    engine = Engine(model.config, weights, precision)
    if accelerated:
        with engine.accelerated(2, 1):
            pass
    for batch in (1, 3, 9):
        tokens, memory = some_tokens(batch, 1)[:, 0], some_memory(model, batch, precision)
        old_tokens, old = tokens.copy(), [part.copy() for part in flat(memory)]
        engine.step(tokens, memory)
        engine.prime(tokens)
        select_rows(memory, [0])
        assert np.array_equal(tokens, old_tokens)
        assert all(np.array_equal(part, other) for part, other in zip(flat(memory), old, strict=True))
    assert all(np.array_equal(weight, kept[name]) for name, weight in weights.items())


@every_way
@pytest.mark.parametrize("accelerated", [False, True], ids=["numpy", "torch"])
def test_the_decoder_remembers_nothing_between_steps(cell: str, precision: str, accelerated: bool) -> None:
    model = tiny(cell=cell)
    engine = decoder_of(model, precision, accelerated=accelerated)
    for batch in (1, 2, 9):
        tokens, memory = some_tokens(batch, 5), some_memory(model, batch, precision)
        first = step_through(engine, tokens, memory)
        one, left = engine.step(tokens[:, 0], memory)
        kept = (
            one.copy(),
            StepState(
                tuple(tuple(part.copy() for part in state) for state in left.states),
                tuple(p.copy() for p in left.products),
            ),
        )
        for other in (batch, 3):
            step_through(engine, some_tokens(other, 4, seed=1), engine.start(other))
        # Neither does what it gave change when it goes on.
        assert same_bits((one, left), kept)
        assert same_bits(first, step_through(engine, tokens, memory))


@every_cell
@pytest.mark.parametrize("rows", [[0], [2], [2, 0], [1, 1, 1], [0, 1, 2], [2, 2, 0, 1]])
def test_carry_takes_these_rows_of_every_part_as_copies(cell: str, rows: list[int]) -> None:
    memory = some_memory(tiny(cell=cell), 3, "int8")
    carried = select_rows(memory, rows)
    assert [len(state) for state in carried.states] == [len(state) for state in memory.states]
    for part, whole in zip(flat(carried), flat(memory), strict=True):
        assert np.array_equal(part, np.stack([whole[row] for row in rows]))
        assert not np.shares_memory(part, whole)


# -- torch, where it is worth waiting for ----------------------------------------------------------------------------


@pytest.fixture
def multiplied(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each product has had that torch computed."""
    rows: list[int] = []
    product = TorchProduct.__call__

    def counting(self: TorchProduct, x: Floats) -> Floats:
        rows.append(len(x))
        return product(self, x)

    monkeypatch.setattr(TorchProduct, "__call__", counting)
    return rows


def rows_by_torch(engine: Engine, rows: int, multiplied: list[int]) -> list[int]:
    memory = engine.start(rows)
    multiplied.clear()
    engine.step(np.zeros(rows, np.int64), memory)
    return list(multiplied)


@pytest.mark.parametrize(
    ("shape", "products"),
    [
        # One product for each layer's output, whoever reads it.
        *(({"cell": cell}, 3) for cell in ("rnn", "lstm", "lstm-layernorm", "gru", "slstm")),
        # And what a step multiplies by itself.
        ({"cell": "gru-before"}, 6),
        ({"cell": "lstm-nested"}, 9),
        # The state alone three times, the head; and where gates carry, what is handed on, and the gates.
        ({"skip": "dense"}, 4),
        ({"skip": "highway"}, 7),
    ],
    ids=str,
)
def test_torch_that_is_loaded_computes_every_product_of_several_rows(
    shape: dict[str, Any], products: int, multiplied: list[int]
) -> None:
    engine = decoder_of(tiny(**shape, layers=3), "int8")
    assert rows_by_torch(engine, 4, multiplied) == []
    with engine.accelerated(4, 1):
        assert rows_by_torch(engine, 4, multiplied) == [4] * products


def test_cells_and_connections_say_themselves_whether_8_bits_can_hold_what_they_give() -> None:
    assert [cell for cell in CELLS if bounded(tiny(cell=cell).config)] == BOUNDED
    for skip, norm, expected in (("highway", False, True), ("dense", False, True), ("residual", False, False)):
        assert bounded(tiny(skip=skip, norm=norm).config) is expected
    assert not bounded(tiny(norm=True).config)


def test_a_single_row_of_a_small_network_is_left_to_numpy(multiplied: list[int]) -> None:
    engine = decoder_of(tiny(), "int8")
    with engine.accelerated(1, 10**9):
        assert multiplied == []
        assert rows_by_torch(engine, 4, multiplied) == []


def test_a_single_row_of_a_large_network_is_not(multiplied: list[int]) -> None:
    engine = decoder_of(tiny(hidden=LARGE["lstm"]), "int8")
    with engine.accelerated(1, 1):
        assert rows_by_torch(engine, 1, multiplied) == [1] * 2


class Loading:
    """A machine where torch is not loaded yet, and comes when `arrive` is called."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked = threading.Event()
        self._come = threading.Event()
        self._threads: list[threading.Thread] = []
        self._modules: dict[str, object] = {}
        torch_on_its_way = acceleration_module._Torch()
        monkeypatch.setattr(torch_on_its_way, "_load", self._load)
        monkeypatch.setattr(acceleration_module, "sys", SimpleNamespace(modules=self._modules))
        monkeypatch.setattr(acceleration_module, "_torch", torch_on_its_way)

    def _load(self) -> None:
        self._threads.append(threading.current_thread())
        self._modules["torch"] = "half loaded"
        self.asked.set()
        assert self._come.wait(60)

    def arrive(self) -> None:
        self._come.set()
        for thread in self._threads:
            thread.join()


# What costs seconds of computing: two rows of so many tokens.
MANY = 10**9


def test_torch_is_sent_for_where_the_text_is_long_and_used_once_it_is_here(
    monkeypatch: pytest.MonkeyPatch, multiplied: list[int]
) -> None:
    loading, engine = Loading(monkeypatch), decoder_of(tiny(), "int8")
    with engine.accelerated(2, MANY) as acceleration:
        acceleration.use_what_came()
        assert loading.asked.wait(60)
        acceleration.use_what_came()
        assert rows_by_torch(engine, 2, multiplied) == []
        loading.arrive()
        assert rows_by_torch(engine, 2, multiplied) == []
        acceleration.use_what_came()
        assert rows_by_torch(engine, 2, multiplied) == [2] * 2


@pytest.mark.parametrize(("rows", "tokens"), [(1, MANY), (2, 1), (8, 500)])
def test_torch_is_not_sent_for_where_it_would_not_pay(monkeypatch: pytest.MonkeyPatch, rows: int, tokens: int) -> None:
    loading, engine = Loading(monkeypatch), decoder_of(tiny(), "int8")
    threads = threading.active_count()
    with engine.accelerated(rows, tokens) as acceleration:
        assert threading.active_count() == threads
        acceleration.use_what_came()
    assert not loading.asked.is_set()
