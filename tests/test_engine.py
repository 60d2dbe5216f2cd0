"""One token after another, in NumPy: the model's own numbers, and the same to the bit whoever stands beside a row."""

import itertools
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from charrnn.config import ModelConfig
from charrnn.config.verbs import PRECISIONS
from charrnn.inference import backends
from charrnn.inference.backends import COMPILED, LEAST_TIMED, NUMPY, ONE_THREAD, TIMED, TORCH, Serving
from charrnn.inference.base import BackEnd, Engine, EngineState, Ids, StepState
from charrnn.inference.engine import EnsembleEngine, open_engine
from charrnn.inference.network import NetworkEngine
from charrnn.inference.products import LEVELS, Floats, TorchProduct
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
BOUNDED = [cell for cell in CELLS if CELLS[cell].bounded]
every_bounded_cell = pytest.mark.parametrize("cell", BOUNDED)
every_way = pytest.mark.parametrize(
    ("cell", "precision"), [(cell, name) for cell in CELLS for name in PRECISIONS if name == "fp32" or cell in BOUNDED]
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
BOUNDED_SHAPES = [shape for shape in SHAPES if "norm" not in shape and shape.get("skip") != "residual"]


def pairs(cells: list[str], shapes: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """Each cell with a third of the shapes, each shape with a third of the cells; the LSTM with all of them."""
    return [
        (cell, shape)
        for (row, cell), (column, shape) in itertools.product(enumerate(cells), enumerate(shapes))
        if cell == "lstm" or (row + column) % 3 == 0
    ]


def tiny(**fields: Any) -> Network:
    """Eleven symbols, two layers, no weight special, not in training."""
    chosen: dict[str, Any] = {"vocab_size": 11, "start_id": 11, "embedding": 6, "hidden": 8, "layers": 2} | fields
    model = build(ModelConfig(**chosen)).eval()
    with torch.no_grad():
        for number, parameter in enumerate(model.parameters()):
            noise = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(number))
            parameter.copy_(noise / max(2.0, parameter.shape[-1] ** 0.5))
    return model


def engine_of(model: Network, precision: str = "fp32", back_end: BackEnd = NUMPY) -> Engine:
    engine = open_engine(model.config, arrays(model), precision)
    engine.use(back_end)
    return engine


def in_each_back_end(model: Network, precision: str) -> Iterator[Engine]:
    """By NumPy and, where the sums are exact, by torch, and by the compiled step, where there is one."""
    for back_end in (NUMPY, TORCH, COMPILED) if precision == "int8" else (NUMPY,):
        engine = engine_of(model, precision, back_end)
        if back_end != COMPILED or engine.compiled:
            yield engine


def some_tokens(batch: int, time: int, seed: int = 0) -> Ids:
    return np.random.default_rng(seed).integers(0, 12, (batch, time))


def some_state(engine: Engine, batch: int) -> EngineState:
    """A state such as a network may be in: outputs in [-1, 1]."""
    if isinstance(engine, EnsembleEngine):
        return tuple(some_state(one, batch) for one in engine._engines)
    assert isinstance(engine, NetworkEngine)
    rng, shape = np.random.default_rng(5), (batch, engine.config.hidden)
    layers = []
    for own in engine.initial_state(batch).layers:
        drawn = {name: rng.standard_normal(shape).astype(np.float32) for name in names_of(engine)}
        drawn["h"] = np.tanh(drawn["h"])
        if "n" in drawn:  # which is divided by: a sum of what is positive
            drawn["n"], drawn["c"] = np.exp(drawn["n"]), np.exp(drawn["n"]) * np.tanh(drawn["c"])
        if "inner" in drawn:  # whose c is an output itself
            drawn["c"] = np.tanh(drawn["c"])
        layers.append(own._make(drawn.values()) if hasattr(own, "_make") else tuple(drawn.values()))
    return engine.between(layers)


def names_of(engine: Engine) -> tuple[str, ...]:
    return CELLS[engine.config.cell].state_names


def networks(state: EngineState) -> list[EngineState]:
    """The state of each network."""
    return [state] if isinstance(state, StepState) else list(state)


def in_torch(state: EngineState) -> NetworkState:
    """The engine's state as the model has it."""
    if isinstance(state, StepState):
        return map_state(torch.from_numpy, state.layers)
    return tuple(map_state(torch.from_numpy, one.layers) for one in state)


def step_through(engine: Engine, tokens: Ids, state: EngineState) -> tuple[Floats, EngineState]:
    """Logits (B, T, V), the state after them."""
    logits = []
    for t in range(tokens.shape[1]):
        one, state = engine.step(tokens[:, t], state)
        logits.append(one)
    return np.stack(logits, axis=1), state


def flat(state: Any) -> list[Floats]:
    """All of a state's arrays in one order."""
    return [state] if isinstance(state, np.ndarray) else [array for part in state for array in flat(part)]


def same_bits(one: tuple[Floats, EngineState], other: tuple[Floats, EngineState]) -> bool:
    pairs = list(zip([one[0], *flat(one[1])], [other[0], *flat(other[1])], strict=True))
    assert all(a.shape == b.shape and a.dtype == b.dtype == np.float32 for a, b in pairs)
    return all(a.tobytes() == b.tobytes() for a, b in pairs)


def gap(one: tuple[Floats, EngineState], other: tuple[Tensor, NetworkState]) -> float:
    """The largest difference between the engine's logits and states and the model's; of large numbers, their share."""
    ours, theirs = [*state_parts(in_torch(one[1]))], [*state_parts(other[1])]
    pairs = [(one[0], other[0].numpy()), *((a.numpy(), b.numpy()) for a, b in zip(ours, theirs, strict=True))]
    assert all(a.shape == b.shape for a, b in pairs)
    assert all(np.isfinite(part).all() for pair in pairs for part in pair)
    return max(float((np.abs(a - b) / np.maximum(1, np.abs(b))).max()) for a, b in pairs)


# -- float32: the model's own numbers --------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("cell", "shape"), pairs(list(CELLS), SHAPES), ids=str)
def test_steps_equal_the_models_own_forward(cell: str, shape: dict[str, Any]) -> None:
    model = tiny(cell=cell, **shape)
    engine = engine_of(model)
    for batch in (1, 3):
        tokens, state = some_tokens(batch, 15), some_state(engine, batch)
        with torch.no_grad():
            forward = model(torch.from_numpy(tokens), in_torch(state))
        assert gap(step_through(engine, tokens, state), forward) < 1e-5, batch


@every_cell
def test_priming_equals_the_models_own_forward(cell: str) -> None:
    model = tiny(cell=cell)
    for length in (1, 2, 70):
        prompt = some_tokens(1, length)
        with torch.no_grad():
            logits, states = model(torch.from_numpy(prompt), model.initial_states(1))
        assert gap(engine_of(model).prime(prompt[0]), (logits[:, -1], states)) < 1e-5, length


@pytest.mark.parametrize("size", [30.0, 100.0])
def test_large_sums_saturate_as_the_models_do_and_overflow_nowhere(size: float) -> None:
    for cell in BOUNDED:
        model = tiny(cell=cell)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if ".rnn." in name:
                    parameter.mul_(size)
            forward = model(torch.from_numpy(some_tokens(2, 6)), model.initial_states(2))
        engine = engine_of(model)
        assert gap(step_through(engine, some_tokens(2, 6), engine.initial_state(2)), forward) < 1e-3, cell


@every_cell
def test_dropout_has_no_part_in_it_also_where_the_model_is_left_in_training(cell: str) -> None:
    tokens, plain = some_tokens(2, 9), engine_of(tiny(cell=cell))
    training = engine_of(tiny(cell=cell, dropout=0.5).train())
    state = some_state(plain, 2)
    assert same_bits(step_through(training, tokens, state), step_through(plain, tokens, state))


def test_an_engine_reads_one_direction_of_a_model_of_two() -> None:
    both, alone = tiny(bidirectional=True, ensemble=2), tiny(ensemble=2)
    weights = arrays(both)
    tokens = some_tokens(1, 9)[0]
    for direction in ("forwards", "backwards"):
        own = {name: weights[name.replace("forwards", direction)] for name in arrays(alone)}
        found = open_engine(both.config, weights, "fp32", direction).prime(tokens)
        assert same_bits(found, open_engine(alone.config, own).prime(tokens)), direction


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


class GridOperations(SlowOperations):
    """The same, functions at the nearest point of their grids: 1024 to the unit, of tanh 2048."""

    @staticmethod
    def nearest(x: Doubles, steps: int = 1024) -> Doubles:
        return np.asarray(np.floor(x * steps + 0.5) / steps)

    def sigmoid(self, x: Doubles) -> Doubles:
        return super().sigmoid(self.nearest(x))

    def tanh(self, x: Doubles) -> Doubles:
        return super().tanh(self.nearest(x, 2048))

    def exp(self, x: Doubles) -> Doubles:
        return super().exp(self.nearest(x))

    def log_sigmoid(self, x: Doubles) -> Doubles:
        y: Doubles = np.minimum(x, 0) - np.log(1 + np.exp(self.nearest(-np.abs(x))))
        return y


class Twin:
    """What the engine should do in 8 bits: one step, layer by layer.

    A layer's input is what the engine's layer below gave, so that both round the same number.
    """

    def __init__(self, model: LanguageModel) -> None:
        assert bounded(model.config)
        self.config = model.config
        own = direction_weights(arrays(model))
        self.weights = {name: weight.astype(np.float64) for name, weight in own.items()}

    def step(self, tokens: Ids, before: StepState, after: StepState) -> tuple[Doubles, list[tuple[Doubles, ...]]]:
        """Logits and states from the states before, and what the layers gave in between."""
        formula, x = CELLS[self.config.cell], self.weights["embedding.weight"][tokens]
        states: list[tuple[Doubles, ...]] = []
        given: list[Doubles] = []
        for layer, state in enumerate(before.layers):
            weights = {name: self.weights[f"layers.{layer}.rnn.{name}"] for name in formula.table()}
            # The embedding is looked up, not read from a layer: its product is not rounded. Vectors are rows.
            weights = {
                name: weight[None] if weight.ndim == 1 else weight if name == W_IH and not layer else rounded(weight)
                for name, weight in weights.items()
            }
            cell = formula(gather(formula, weights), GridOperations())
            doubles = tuple(part.astype(np.float64) for part in state)
            projected, recurrent = cell.project(x), cell.recur(read(state[0]))
            cell.op = RoundingOperations()  # what a step multiplies by itself is read as a layer's output is
            states.append(cell.step(projected, recurrent, doubles))
            x = self.join(layer, after.layers[layer][0], x)
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
        t = GridOperations().sigmoid(x @ rounded(weight).T + bias)
        self.unread = t * y + (1 - t) * self.unread
        return read(self.unread.astype(np.float32))


class RoundingOperations(GridOperations):
    def linear(self, x: Doubles, weight: Doubles, bias: Doubles | None) -> Doubles:
        return super().linear(read(x.astype(np.float32)), weight, bias)


def read(h: Floats) -> Doubles:
    """A layer's output in steps of 1/127, rounded where float32 rounds it."""
    return np.asarray(np.rint(np.float32(LEVELS) * h), dtype=np.float64) / LEVELS


@pytest.mark.slow
@pytest.mark.parametrize(("cell", "shape"), pairs(BOUNDED, BOUNDED_SHAPES), ids=str)
def test_steps_in_8_bits_equal_the_slow_twins(cell: str, shape: dict[str, Any]) -> None:
    model = tiny(cell=cell, **shape)
    twins = [Twin(member) for member in model.models]
    for engine, batch in itertools.product(in_each_back_end(model, "int8"), (1, 3)):
        before = some_state(engine, batch)
        for tokens in some_tokens(batch, 12).T:
            logits, after = engine.step(tokens, before)
            found = [
                twin.step(tokens, *own) for twin, *own in zip(twins, networks(before), networks(after), strict=True)
            ]
            expected = found[0][0]
            if len(twins) > 1:
                expected = np.log(sum(softmax(one) for one, _ in found) / len(twins))
            # In float64, another point of a grid may be the nearest one: 2.5e-4 in one of many numbers.
            assert np.allclose(logits, expected, rtol=0, atol=2e-3), batch
            states = [part for _, layers in found for state in layers for part in state]
            own_states = [part for one in networks(after) for state in one.layers for part in state]
            for part, other in zip(states, own_states, strict=True):
                assert np.allclose(part, other, rtol=0, atol=1e-3), batch
            before = after


@pytest.mark.slow
@every_bounded_cell
def test_8_bits_come_near_the_model_but_are_not_the_model(cell: str) -> None:
    for hidden in (8, 64, 200):
        model = tiny(cell=cell, hidden=hidden)
        tokens = some_tokens(4, 30)
        with torch.no_grad():
            expected, _ = model(torch.from_numpy(tokens), model.initial_states(4))
        engine = engine_of(model, "int8")
        logits, _ = step_through(engine, tokens, engine.initial_state(4))
        difference, spread = np.abs(logits - expected.numpy()), float(expected.std())
        assert 1e-5 * spread < difference.mean() < 0.02 * spread, hidden
        assert difference.max() < 0.15 * spread, hidden


# -- both ------------------------------------------------------------------------------------------------------------


@every_way
def test_priming_equals_steps_from_zeros(cell: str, precision: str) -> None:
    for tie, length in itertools.product((False, True), (1, 2, 33)):
        engine = engine_of(tiny(cell=cell, tie=tie, embedding=8), precision)
        prompt, zeros = some_tokens(1, length), engine.initial_state(1)
        assert not any(part.any() for part in flat(zeros))
        assert [[part.shape for part in layer] for layer in zeros.layers] == [[(1, 8)] * len(names_of(engine))] * 2
        stepped, state = step_through(engine, prompt, zeros)
        logits, left = engine.prime(prompt[0])
        assert logits.shape == (1, 11)
        assert same_bits((logits, left), (stepped[:, -1], state)), (tie, length)


@pytest.mark.slow
@every_way
def test_a_row_is_the_same_to_the_bit_alone_and_in_a_batch_of_any_size(cell: str, precision: str) -> None:
    for hidden in (8, 13, 100):
        for engine in in_each_back_end(tiny(cell=cell, hidden=hidden), precision):
            tokens, state = some_tokens(64, 3), some_state(engine, 64)

            def read(rows: list[int], engine: Engine = engine, state: Any = state, tokens: Ids = tokens) -> Any:
                return step_through(engine, tokens[rows], engine.select_rows(state, rows))

            alone: dict[int, Any] = {}
            for batch in BATCHES:
                # Not in order, and one of them twice.
                rows = np.random.default_rng(batch).permutation(64)[:batch].tolist()
                rows[-1] = rows[0]
                logits, left = read(rows)
                for place, row in enumerate(rows):
                    one = logits[[place]], engine.select_rows(left, [place])
                    alone[row] = alone.get(row) or read([row])
                    assert same_bits(one, alone[row]), (hidden, row, rows)


# So large a layer that torch multiplies a single row as well.
LARGE = {"lstm": 192, "gru": 212, "rnn": 368}


@pytest.mark.parametrize("cell", list(LARGE))
def test_all_back_ends_give_the_same_bits_for_any_number_of_rows(cell: str) -> None:
    plain, *others = in_each_back_end(tiny(cell=cell, hidden=LARGE[cell]), "int8")
    tokens, state = some_tokens(64, 4), some_state(plain, 64)
    for batch in BATCHES:
        rows = list(range(64 - batch, 64))
        given = tokens[rows], plain.select_rows(state, rows)
        expected = step_through(plain, *given)
        assert all(same_bits(step_through(other, *given), expected) for other in others), batch


@every_way
def test_nothing_given_is_changed_and_nothing_is_remembered_between_steps(cell: str, precision: str) -> None:
    model = tiny(cell=cell)
    weights = arrays(model)
    kept = {name: weight.copy() for name, weight in weights.items()}
    for engine, batch in itertools.product(in_each_back_end(model, precision), (1, 3, 9)):
        tokens, state = some_tokens(batch, 5), some_state(engine, batch)
        old_tokens, old = tokens.copy(), [part.copy() for part in flat(state)]
        first = step_through(engine, tokens, state)
        given, copies = flat(first), [part.copy() for part in flat(first)]
        for other in (batch, 3):
            step_through(engine, some_tokens(other, 4, seed=1), engine.initial_state(other))
        engine.prime(tokens[0])
        engine.select_rows(state, [0])
        assert np.array_equal(tokens, old_tokens)
        assert all(np.array_equal(*pair) for pair in zip(flat(state), old, strict=True))
        # Neither does what it gave change when it goes on.
        assert all(np.array_equal(*pair) for pair in zip(given, copies, strict=True))
        assert same_bits(first, step_through(engine, tokens, state))
    assert all(np.array_equal(weight, kept[name]) for name, weight in weights.items())


@every_cell
def test_select_rows_takes_these_rows_of_every_part_as_copies(cell: str) -> None:
    for engine in (engine_of(tiny(cell=cell)), engine_of(tiny(cell=cell, ensemble=2))):
        state = some_state(engine, 3)
        for rows in ([0], [2], [2, 0], [1, 1, 1], [0, 1, 2], [2, 2, 0, 1]):
            selected = engine.select_rows(state, rows)
            assert type(selected) is type(state)
            assert [type(layer) for one in networks(selected) for layer in one.layers] == [
                type(layer) for one in networks(state) for layer in one.layers
            ]
            for part, whole in zip(flat(selected), flat(state), strict=True):
                assert np.array_equal(part, np.stack([whole[row] for row in rows]))
                assert not np.shares_memory(part, whole)


# -- which back end multiplies ---------------------------------------------------------------------------------------


class Scripted(Engine):
    """An engine whose steps take as long as is said, on a clock of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: dict[BackEnd, float], precision: str = "int8") -> None:
        self._inner = engine_of(tiny(), precision)
        super().__init__(self._inner.config)
        self.seconds, self.now = seconds, 0.0
        self.used: list[BackEnd] = []
        monkeypatch.setattr(backends, "time", SimpleNamespace(perf_counter=lambda: self.now))

    @property
    def matrices(self) -> Any:
        return self._inner.matrices

    def initial_state(self, rows: int) -> EngineState:
        return self._inner.initial_state(rows)

    def step(self, tokens: Ids, state: EngineState) -> tuple[Floats, EngineState]:
        by_torch = any(getattr(matrix, "_by_torch", False) for matrix in self.matrices)
        one = backends.one_blas_thread._holders > 0
        self.used.append(TORCH if by_torch else ONE_THREAD if one else NUMPY)
        assert one or not by_torch
        self.now += self.seconds[self.used[-1]]
        return self._inner.step(tokens, state)

    def used_for(self, rows: int, steps: int, of: int | None = None) -> list[BackEnd]:
        """Who took each of so many steps, where `of` are announced."""
        self.used.clear()
        state = self.initial_state(rows)
        with Serving(self, rows, of or steps) as serving:
            for _ in range(steps):
                _, state = serving.step(np.zeros(rows, np.int64), state)
        assert backends.one_blas_thread._holders == 0
        return list(self.used)


@pytest.mark.parametrize("fastest", [NUMPY, ONE_THREAD, TORCH])
def test_each_back_end_writes_some_tokens_and_the_fastest_goes_on(
    fastest: BackEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backends, "CORES", 2)
    for unit, timed in ((1e-4, TIMED), (1.0, LEAST_TIMED)):
        times = {one: unit if one == fastest else 1.5 * unit for one in (NUMPY, ONE_THREAD, TORCH)}
        engine = Scripted(monkeypatch, times)
        used = engine.used_for(2, 200, of=1_000_000)
        assert used == [ONE_THREAD] * timed + [TORCH] * timed + [NUMPY] * timed + [fastest] * (200 - 3 * timed)
        assert engine.used_for(2, 5) == [fastest] * 5
        # For another number of rows it is measured anew.
        assert engine.used_for(3, 1, of=100) == [ONE_THREAD]
    # Where torch is faster than all cores could make NumPy, those are left alone.
    engine = Scripted(monkeypatch, {NUMPY: 1e-4, ONE_THREAD: 2e-4, TORCH: 0.9e-4})
    assert NUMPY not in engine.used_for(2, 200, of=1_000_000)


def test_all_are_timed_again_and_again_but_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "CORES", 2)
    engine = Scripted(monkeypatch, {NUMPY: 0.0011, ONE_THREAD: 0.002, TORCH: 0.003})
    assert engine.used_for(2, 8_000, of=1_000_000)[-1] == NUMPY
    assert 8 * TIMED > engine.used.count(TORCH) > 2 * LEAST_TIMED
    engine.seconds |= {NUMPY: 0.004}  # another program has come
    used = engine.used_for(2, 8_000, of=1_000_000)
    assert used[-1] == ONE_THREAD and used.count(ONE_THREAD) > 6_000
    engine.seconds |= {NUMPY: 0.0011}  # and gone
    assert engine.used_for(2, 8_000, of=1_000_000)[-1] == NUMPY


def test_one_slow_step_among_the_first_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Scripted(monkeypatch, {NUMPY: 1.0, ONE_THREAD: 1.5, TORCH: 2.0})
    step = engine.step

    def stumbling(tokens: Ids, state: EngineState) -> tuple[Floats, EngineState]:
        engine.now += 1000 * (len(engine.used) == 3)
        return step(tokens, state)

    monkeypatch.setattr(engine, "step", stumbling)
    assert engine.used_for(2, 60)[-1] == NUMPY


@pytest.mark.parametrize("loaded", [True, False])
def test_torch_is_tried_where_the_rest_would_clearly_take_longer_than_having_it(
    loaded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    cost = backends.PREPARING if loaded else backends.LOADING
    monkeypatch.setattr(backends, "sys", SimpleNamespace(modules={"torch": torch} if loaded else {}))
    steps = 100_000
    for share, tried in ((0.9, False), (1.1, True)):
        seconds = share * backends.CLEARLY * cost / (steps - TIMED)
        engine = Scripted(monkeypatch, {NUMPY: 2 * seconds, ONE_THREAD: seconds, TORCH: seconds / 2})
        assert (TORCH in engine.used_for(2, 4 * TIMED, of=steps)) is tried, share


def test_torch_is_tried_later_where_the_machine_gets_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Scripted(monkeypatch, {NUMPY: 1e-6, ONE_THREAD: 2e-6, TORCH: 1e-6})
    step = engine.step

    def slowing(tokens: Ids, state: EngineState) -> tuple[Floats, EngineState]:
        if len(engine.used) == 200:
            engine.seconds |= {NUMPY: 1.0, ONE_THREAD: 1.0}
        return step(tokens, state)

    monkeypatch.setattr(engine, "step", slowing)
    used = engine.used_for(2, 400)
    assert TORCH not in used[:200] and used[-1] == TORCH


def test_what_is_not_exact_is_left_to_numpy_and_small_products_to_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    ages = {NUMPY: 1e6, ONE_THREAD: 1e6, TORCH: 1e-6}
    assert set(Scripted(monkeypatch, ages, "fp32").used_for(4, 80)) == {NUMPY}
    assert set(Scripted(monkeypatch, ages, "fp32").used_for(1, 80)) == {ONE_THREAD}
    assert set(Scripted(monkeypatch, ages, "int8").used_for(1, 80)) == {ONE_THREAD}


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
def test_torch_computes_every_product_of_several_rows(
    shape: dict[str, Any], products: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[int] = []
    product = TorchProduct.__call__

    def counting(self: TorchProduct, x: Floats) -> Floats:
        rows.append(len(x))
        return product(self, x)

    engine = engine_of(tiny(**shape, layers=3), "int8", TORCH)
    state = engine.initial_state(4)
    monkeypatch.setattr(TorchProduct, "__call__", counting)
    engine.step(np.zeros(4, np.int64), state)
    assert rows == [4] * products


def test_cells_and_connections_say_themselves_whether_8_bits_can_hold_what_they_give() -> None:
    assert [cell for cell in CELLS if bounded(tiny(cell=cell).config)] == BOUNDED
    for skip, norm, expected in (("highway", False, True), ("dense", False, True), ("residual", False, False)):
        assert bounded(tiny(skip=skip, norm=norm).config) is expected
    assert not bounded(tiny(norm=True).config)
