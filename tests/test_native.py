"""The compiled step: to the bit what NumPy gives, on each instruction set that the processor has."""

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn import native
from charrnn.config import ModelConfig
from charrnn.errors import CharrnnError, ConfigError
from charrnn.generation.chain import Chain
from charrnn.generation.config import SampleConfig
from charrnn.generation.drawing import draw
from charrnn.generation.loop import generate
from charrnn.generation.processors import compose
from charrnn.generation.sequence import TextChunk
from charrnn.inference import compiled, writing
from charrnn.inference.backends import COMPILED, NUMPY
from charrnn.inference.base import Drawing, Draws, Engine, StepState, Used
from charrnn.inference.compiled import BlockState, CompiledNetwork
from charrnn.inference.counted import CountedEngine
from charrnn.inference.counting import Counting
from charrnn.inference.engine import open_engine
from charrnn.inference.network import _try_out
from charrnn.inference.products import Floats
from charrnn.models.counts import Experts
from charrnn.models.counts.mixture import Gate, Mixture
from charrnn.models.states import state_parts
from charrnn.models.weights import weight_shapes
from charrnn.text.tokenizers.char import CharTokenizer
from tests.cases import each

ROOT = Path(__file__).parents[1]
LIBRARY = native.library()
SETS = LIBRARY.sets if LIBRARY else ()
SYMBOLS = 37
TOKENIZER = CharTokenizer("".join(chr(48 + symbol) for symbol in range(SYMBOLS)))
# Sizes that nothing divides, one block, several: (layers, hidden).
SIZES = [(1, 1), (2, 5), (3, 33), (2, 64), (1, 131)]


pytestmark = pytest.mark.usefixtures("compiled_library")


def an_engine(
    cell: str = "lstm",
    layers: int = 2,
    hidden: int = 33,
    name: str | None = None,
    *,
    documents: bool = False,
    **fields: Any,
) -> Engine:
    """One with random weights, on an instruction set."""
    config = ModelConfig(
        vocab_size=SYMBOLS + documents,
        start_id=SYMBOLS,
        cell=cell,
        layers=layers,
        hidden=hidden,
        embedding=7,
        **fields,
    )
    random = np.random.default_rng(layers * hidden)
    weights = {
        each: (2.5 * random.standard_normal(shape) / shape[-1] ** 0.5).astype(np.float32)
        for each, shape in weight_shapes(config).items()
    }
    engine = open_engine(config, weights, "int8")
    assert LIBRARY is not None and len(engine.compiled) == config.ensemble
    for own in engine.compiled:
        own.library = LIBRARY.using(name or SETS[0])
    return engine


def stepped(engine: Engine, back_end: Any, rows: int, steps: int = 7) -> list[bytes]:
    """All that some steps give, bit for bit: logits, and the states in the end."""
    engine.use(back_end)
    tokens = np.random.default_rng(0).integers(0, SYMBOLS + 1, (steps, rows))
    state, found = engine.initial_state(rows), []
    for ids in tokens:
        logits, state = engine.step(ids, state)
        found.append(logits.tobytes())
    return [*found, *(part.tobytes() for part in state_parts(state))]


@each("name", SETS)
@each("cell", ["rnn", "lstm", "gru"])
def test_every_instruction_set_gives_numpys_bits(name: str, cell: str) -> None:
    for layers, hidden in SIZES:
        engine = an_engine(cell, layers, hidden, name)
        for rows in (1, 2, 3, 9):
            assert stepped(engine, COMPILED, rows) == stepped(engine, NUMPY, rows), (hidden, rows)


def test_a_text_may_go_from_one_to_the_other_and_rows_may_be_chosen() -> None:
    engine = an_engine("gru")
    state = engine.initial_state(3)
    assert not isinstance(state, BlockState)
    engine.use(COMPILED)
    _, after = engine.step(np.array([1, 2, 3]), state)
    kept = [part.copy() for part in state_parts(after)]
    chosen = engine.select_rows(after, [2, 0])
    for back_end in (COMPILED, NUMPY):
        engine.use(back_end)
        logits, _ = engine.step(np.array([4, 5]), chosen)
        whole, _ = engine.step(np.array([5, 0, 4]), after)
        assert logits.tobytes() == whole[[2, 0]].tobytes()
    assert all(np.array_equal(part, before) for part, before in zip(state_parts(after), kept, strict=True))


# -- drawing ----------------------------------------------------------------------------------------------------------


def plain(engine: Engine, **options: Any) -> Iterator[TextChunk]:
    """The same token by token, by the chain and NumPy."""
    hidden = dict(vars(type(engine)))
    try:
        type(engine).writes = property(lambda self: False)  # type: ignore[assignment, method-assign]
        type(engine).compiled = property(lambda self: ())  # type: ignore[assignment]
        engine.use(NUMPY)
        yield from generate(engine, TOKENIZER, **options)
    finally:
        type(engine).writes, type(engine).compiled = hidden["writes"], hidden["compiled"]  # type: ignore[method-assign]
        engine.use(COMPILED)


def texts(chunks: Iterator[TextChunk], rows: int) -> list[Any]:
    """Of each row the text, why it ended, its tokens, and how likely they were."""
    found: list[list[TextChunk]] = [[] for _ in range(rows)]
    for chunk in chunks:
        found[chunk.row].append(chunk)
    return [
        (
            "".join(chunk.text for chunk in own),
            own[-1].finished,
            [token for chunk in own for token in chunk.ids],
            [one for chunk in own for one in chunk.logprobs or ()],
        )
        for own in found
    ]


@settings(deadline=None, max_examples=60)
@given(
    cell=st.sampled_from(["rnn", "lstm", "gru"]),
    name=st.sampled_from(SETS or [""]),
    ensemble=st.integers(1, 3),
    rows=st.sampled_from([1, 2, 5]),
    temperature=st.sampled_from([0.0, 1e-301, 0.3, 0.8, 1.0, 2.5, None]),
    top_k=st.none() | st.integers(1, SYMBOLS + 2),
    top_p=st.none() | st.floats(0.01, 1),
    min_p=st.none() | st.floats(1e-6, 1),
    typical_p=st.none() | st.floats(0.01, 1),
    eta=st.none() | st.floats(1e-6, 1),
    repetition_penalty=st.none() | st.floats(1, 3),
    frequency_penalty=st.none() | st.floats(-1, 1),
    presence_penalty=st.none() | st.floats(-1, 1),
    repetition_window=st.none() | st.sampled_from([1, 2, 3, 9, 10**12]),
    allow=st.sampled_from([(), ("0123456789ABCDEF",)]),
    ban=st.sampled_from([(), ("5", "AC")]),
    length=st.integers(1, 40),
    stop=st.sampled_from([(), ("A",), ("B", "CD")]),
    logprobs=st.booleans(),
    seed=st.integers(0, 2**40),
)
def test_what_is_drawn_is_what_the_chain_draws(
    cell: str, name: str, ensemble: int, rows: int, length: int, logprobs: bool, seed: int, **options: Any
) -> None:
    engine = an_engine(cell, 1, 9, name, ensemble=ensemble)
    config = SampleConfig(length=length, **options)
    given_: dict[str, Any] = {"config": config, "rows": rows, "seed": seed, "logprobs": logprobs, "prompt": "1;"}
    assert engine.writes
    assert texts(generate(engine, TOKENIZER, **given_), rows) == texts(plain(engine, **given_), rows)


def test_equals_borders_and_the_ends_of_the_uniforms_are_drawn_alike() -> None:
    """Logits of few values, of which many are equal, each setting at its border too."""
    random, engine = np.random.default_rng(4), an_engine(hidden=3)
    logits = random.integers(-3, 3, (300, SYMBOLS)).astype(np.float32)
    logits[::5] = np.log(np.arange(1, SYMBOLS + 1))
    uniforms = random.choice([0.0, 0.5, 1 - 2.0**-53, *random.random(3)], (300, 1))
    for options in (
        {"temperature": 1.0}, {"top_k": 1}, {"top_k": SYMBOLS - 1}, {"min_p": 1.0}, {"min_p": 0.5}, {"top_p": 1.0},
        {"top_p": 0.5}, {"top_k": 9, "top_p": 0.5, "min_p": float(np.exp(-1))}, {"temperature": 0.0},
        {"typical_p": 0.5}, {"typical_p": 1.0, "top_k": 9}, {"eta": 1.0}, {"eta": 0.2},
        {"min_p": 0.5, "typical_p": 0.2, "eta": 0.9},
    ):  # fmt: skip
        chain = Chain(compose(SampleConfig.of(**options), TOKENIZER), SYMBOLS, endless=True, told=False)
        assert chain.drawing is not None
        drawn = writing.write(
            engine.compiled, [engine.initial_state(300)], logits, Draws(uniforms, chain.drawing, told=True)
        )
        processed, _ = chain(chain.own(logits), [None] * 300)  # type: ignore[list-item]
        expected = draw(processed, uniforms[:, 0])
        assert np.array_equal(drawn.ids[:, 0], expected), options
        assert drawn.logprobs is not None
        assert drawn.logprobs[:, 0].tolist() == chain.logprobs(chain.own(logits), expected), options


def test_each_row_may_be_drawn_by_its_own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where threads share the rows."""
    random, engine = np.random.default_rng(5), an_engine(hidden=7)
    logits, uniforms = random.standard_normal((5, SYMBOLS)).astype(np.float32), random.random((5, 40))
    drawings = [
        Drawing(),
        Drawing(temperature=0.0),
        Drawing(temperature=0.5, top_k=3),
        Drawing(temperature=2.0, top_p=0.6),
        Drawing(min_p=0.3),
    ]
    alone = [
        engine.write(logits[row : row + 1], engine.initial_state(1), Draws(uniforms[row : row + 1], drawing, told=True))
        for row, drawing in enumerate(drawings)
    ]
    for threads in (1, 2):
        monkeypatch.setenv("OMP_NUM_THREADS", str(threads))
        monkeypatch.setattr(writing, "WORTH_A_THREAD", 1)
        together = engine.write(logits, engine.initial_state(5), Draws(uniforms, drawings, told=True))
        assert together.ids.tolist() == [each.ids[0].tolist() for each in alone]
        assert together.logprobs is not None
        assert together.logprobs.tolist() == [each.logprobs[0].tolist() for each in alone if each.logprobs is not None]


def test_documents_end_where_they_would() -> None:
    engine = an_engine(hidden=9, documents=True)
    assert engine.config.vocab_size == SYMBOLS + 1
    options: dict[str, Any] = {"config": SampleConfig(length=300, temperature=1.0), "rows": 6, "seed": 1}
    found = texts(generate(engine, TOKENIZER, **options), 6)
    assert "end" in {why for _, why, _, _ in found}
    assert found == texts(plain(engine, **options), 6)


def test_rows_shared_among_threads_are_what_they_are_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "WORTH_A_THREAD", 1)
    monkeypatch.setattr(writing, "threads", lambda: 3)
    engine, config = an_engine(ensemble=2), SampleConfig(length=50)
    together = texts(generate(engine, TOKENIZER, config, rows=7, seed=5), 7)
    assert together == [texts(generate(engine, TOKENIZER, config, seed=5 + row), 1)[0] for row in range(7)]


def test_what_the_compiled_draw_does_not_know_is_left_to_the_chain() -> None:
    unknown: list[dict[str, Any]] = [
        {"surprise": 3.0}, {"match": ("[0-9]+",)}, {"temperature": "0.5:1"},
    ]  # fmt: skip
    for options in unknown:
        processors = compose(SampleConfig.of(**options), TOKENIZER)
        assert Chain(processors, SYMBOLS, endless=True, told=False).drawing is None, options
    known = compose(SampleConfig(temperature=0.5, top_k=3, top_p=0.9, min_p=0.1), TOKENIZER)
    assert Chain(known, SYMBOLS, endless=True, told=False).drawing == Drawing(
        temperature=0.5, top_k=3, top_p=0.9, min_p=0.1
    )


# -- beside counts -----------------------------------------------------------------------------------------------------


def some_mixture(documents: bool = False, networks: int = 1) -> Mixture:
    """Counts of a text of random words, and a gate that looks at everything."""
    random = np.random.default_rng(4)
    words = [random.integers(0, SYMBOLS - 3, size) for size in (1, 2, 3, 3, 5, 9)]
    tokens = np.concatenate([np.append(words[place], SYMBOLS - 1 - place % 2) for place in random.integers(0, 6, 400)])
    letters = np.where(np.arange(SYMBOLS) < SYMBOLS - 3, np.arange(SYMBOLS) // 2 * 2, -1)
    starts = np.arange(0, tokens.size, 50) if documents else None
    experts = Experts.count(tokens, SYMBOLS, starts, letters)
    return Mixture(experts, some_gate(networks + 3, 9))


def some_gate(experts: int, units: int) -> Gate:
    random, seen = np.random.default_rng(4), 3 * experts - 1
    shapes = ((experts,), (seen,), (seen,), (seen, units), (units,), (units, experts))
    gate = Gate(*(random.normal(size=shape) for shape in shapes))
    return replace(gate, scale=np.exp(gate.scale), outward=gate.outward / 20)


@each("name", SETS)
@each("documents", [False, True])
@each("networks", [1, 2])
def test_counts_are_numpys_to_the_bit_and_what_is_written_beside_them(
    name: str, documents: bool, networks: int
) -> None:
    """Read in pieces, with symbols that are known nowhere; written in one call, in several, and step by step."""
    mixture, random = some_mixture(documents, networks), np.random.default_rng(5)
    counting = Counting(mixture)
    assert counting.compiled is not None and LIBRARY is not None
    counting.compiled.library = LIBRARY.using(name)
    tokens = random.integers(0, SYMBOLS + 2, (30, 3))
    logits = (3 * random.standard_normal((90, networks * (SYMBOLS + documents)))).astype(np.float32)
    expected, memory = mixture.read(tokens, logits, mixture.nothing_read(3))
    first, between = counting.read(tokens[:11], logits[:33], counting.nothing_read(3))
    second, after = counting.read(tokens[11:], logits[33:], between)
    assert np.concatenate([first, second]).tobytes() == expected.tobytes()
    assert all((one == other).all() for one, other in zip(after, memory, strict=True))

    engine = CountedEngine(an_engine("gru", 2, 5, name, documents=documents, ensemble=networks), counting)
    state, found = engine.initial_state(3), random.random((3, 12))
    logits, state = engine.step(np.full(3, SYMBOLS), state)
    drawing = Drawing(temperature=0.9, top_k=20)
    drawn = engine.write(logits, state, Draws(found, drawing, told=True))
    parts = [engine.write(logits, state, Draws(found[:, :5], drawing))]
    parts.append(engine.write(parts[0].logits, parts[0].state, Draws(found[:, 5:], drawing)))
    assert np.hstack([part.ids for part in parts]).tolist() == drawn.ids.tolist()
    slow = CountedEngine(an_engine("gru", 2, 5, name, documents=documents, ensemble=networks), counting)
    slow._counting.compiled = None
    slow.use(NUMPY)
    for ids in drawn.ids.T:
        logits, state = slow.step(ids, state)
    assert logits.tobytes() == drawn.logits.tobytes() == parts[1].logits.tobytes()
    assert [part.tobytes() for part in state_parts(state)] == [part.tobytes() for part in state_parts(drawn.state)]


@each("symbols, units", [(1, 0), (15, 1), (16, 16), (17, 5), (48, 37), (65, 32)])
def test_rows_of_any_width_are_mixed_as_in_numpy(symbols: int, units: int) -> None:
    """Less than a vector, whole ones, one number more; on every instruction set."""
    random = np.random.default_rng(symbols)
    text = random.integers(0, symbols, 50)[random.integers(0, 50, 2000)]
    experts = Experts.count(text, symbols, None, np.arange(symbols) // 2)
    mixture, logits = Mixture(experts, some_gate(len(experts.each) + 1, units)), random.normal(size=(60, symbols))
    expected, _ = mixture.read(text[:60, None], logits.astype(np.float32), mixture.nothing_read(1))
    assert LIBRARY is not None
    for name in SETS:
        counting = Counting(mixture)
        assert counting.compiled is not None
        counting.compiled.library = LIBRARY.using(name)
        found, _ = counting.read(text[:60, None], logits.astype(np.float32), counting.nothing_read(1))
        assert found.tobytes() == expected.tobytes(), name


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(native.CountsRecord._fields_[:7]), st.integers(-3, 2**40), st.integers(-(2**62), 2**62))
def test_counts_that_lie_are_refused_and_wild_memories_harmless(field: Any, value: int, wild: int) -> None:
    counting = Counting(some_mixture())
    assert counting.compiled is not None
    memory = counting.nothing_read(2)
    logits = np.zeros((6, SYMBOLS), np.float32)
    for part in memory:
        part.flat[::2] = wild
    found, _ = counting.read(np.array([[1, 2], [SYMBOLS, 3], [2**40, SYMBOLS - 1]]), logits, memory)
    assert np.isfinite(found).all()
    record, (name, _) = counting.compiled.record, field
    if name in ("symbols", "ids", "words") and value != getattr(record, name):
        setattr(record, name, value if name != "words" else min(value, 0))
        with pytest.raises(IndexError, match="counts that do not fit together"):
            counting.read(np.array([[1]]), logits[:1], counting.nothing_read(1))


# -- nothing outside ---------------------------------------------------------------------------------------------------


def test_what_does_not_fit_together_is_refused() -> None:
    engine = an_engine()
    (one,) = engine.compiled
    for token in (-1, SYMBOLS + 1, 2**62):
        with pytest.raises(IndexError, match="no row"):
            one.step(np.array([token]), engine.initial_state(1))
    with pytest.raises(ValueError, match="not of the same shape"):
        one.step(np.array([1, 2]), engine.initial_state(1))
    for logits, uniforms in (
        (np.zeros((1, SYMBOLS + 1), np.float32), np.zeros((1, 2))),
        (np.zeros((1, SYMBOLS), np.float32), np.zeros((2, 2))),
    ):
        with pytest.raises(ValueError, match="not of the same shape"):
            writing.write([one], [engine.initial_state(1)], logits, Draws(uniforms, Drawing()))
    logits, counts, leaving = logits[:1], np.zeros((1, SYMBOLS)), np.zeros((1, 2), np.int64)
    for drawing, used in (
        (Drawing(kept=np.ones(SYMBOLS - 1, np.bool_)), None),
        (Drawing(frequency_penalty=1.0), None),
        (Drawing(frequency_penalty=1.0), Used(counts[:, 1:], leaving)),
        (Drawing(frequency_penalty=1.0), Used(counts, leaving[:, 1:])),
        (Drawing(frequency_penalty=1.0), Used(counts, leaving.astype(np.int32))),
    ):
        with pytest.raises(ValueError, match="not of the same shape"):
            writing.write([one], [engine.initial_state(1)], logits, Draws(np.zeros((1, 2)), drawing, used=used))


@settings(deadline=None, max_examples=150)
@given(st.sampled_from([*native.NetworkRecord._fields_[:7], *native.LayerRecord._fields_]), st.integers(-3, 2**40))
def test_a_record_that_lies_is_refused_or_harmless(field: tuple[str, Any], value: int) -> None:
    """Sizes that do not fit are told before anything is read; a smaller vocabulary of rows is none."""
    engine = an_engine("gru", 2, 5)
    (one,) = engine.compiled
    name, kind = field
    if kind is native.Address or name == "tokens":
        return  # where an array is cannot be checked
    record = one.record if hasattr(one.record, name) else one._records[0]
    known = getattr(record, name)
    setattr(record, name, value)
    try:
        one.library.call("charrnn_read", one.address, 1, 1, *map(compiled.address_of, buffers(one)))
    except IndexError as error:
        assert "fit together" in str(error)
    else:
        assert value == known or name in ("h", "c", "products", "stride")
    finally:
        setattr(record, name, known)


def buffers(network: CompiledNetwork) -> tuple[Any, Floats, Floats]:
    """Room for one step of one row, no more."""
    return np.zeros(1, np.int64), np.zeros(network.stride, np.float32), np.zeros(network.symbols, np.float32)


@each("name", SETS)
def test_numbers_that_are_none_find_their_way_too(name: str) -> None:
    """Nothing that weights, states or logits may be leads outside a table or the vocabulary."""
    random = np.random.default_rng(1)
    for cell in ("rnn", "lstm", "gru"):
        engine = an_engine(cell, 2, 5, name)
        (one,) = engine.compiled
        for wild in (np.nan, np.inf, -np.inf, 3e38, -1e-45):
            one._kept[0][:] = np.where(random.random(one._kept[0].shape) < 0.3, wild, one._kept[0])
            state = engine.initial_state(4)
            for part in state_parts(state):
                part.flat[:: 1 + part.size // 3] = wild
            logits = np.full((4, SYMBOLS), 0.5, np.float32)
            logits[1:, ::3] = wild
            for drawing in (
                Drawing(), Drawing(temperature=0.0), Drawing(top_p=1.0), Drawing(typical_p=0.5, eta=0.5),
                Drawing(temperature=0.7, top_k=3, top_p=0.8, min_p=0.1),
            ):  # fmt: skip
                with np.errstate(all="ignore"):
                    drawn = writing.write([one], [state], logits, Draws(random.random((4, 9)), drawing, told=True))
                assert (drawn.ids >= 0).all() and (drawn.ids < SYMBOLS).all()


def test_a_state_is_put_together_from_its_parts() -> None:
    (one,) = an_engine("lstm", 2, 5).compiled
    block = np.random.default_rng(2).random((3, one.stride)).astype(np.float32)
    state = one.state_of(block)
    assert one.block_of(state) is block
    again = one.block_of(StepState(*state))
    for part, other in zip(state_parts(one.state_of(again)), state_parts(state), strict=True):
        assert np.array_equal(part, other)


# -- with it and without ----------------------------------------------------------------------------------------------


def test_the_instruction_set_can_be_chosen_and_the_library_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SETS:
        monkeypatch.setenv(native.VARIABLE, name)
        assert native.used() == f"compiled ({name})"
    monkeypatch.setenv(native.VARIABLE, "SSE")
    with pytest.raises(ConfigError, match=r"CHARRNN_COMPILED is 'SSE': here it may be .*portable, or no"):
        native.library()
    monkeypatch.setenv(native.VARIABLE, "no")
    assert native.library() is None and native.used() == "in NumPy (CHARRNN_COMPILED=no)"
    monkeypatch.delenv(native.VARIABLE)
    monkeypatch.setenv("CHARRNN_LIBRARY", str(ROOT / "README.md"))
    assert native.library() is None and "cannot be loaded" in native.used()
    monkeypatch.setenv("CHARRNN_LIBRARY", str(ROOT / "there-is-none.so"))
    assert native.used() == "in NumPy (not compiled)"


def test_a_library_that_gives_other_numbers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert LIBRARY is not None
    step = CompiledNetwork.step

    def wrong(self: CompiledNetwork, tokens: Any, state: StepState) -> tuple[Floats, StepState]:
        logits, after = step(self, tokens, state)
        return np.nextafter(logits, np.float32(9)), after

    monkeypatch.setattr(CompiledNetwork, "step", wrong)
    with pytest.raises(CharrnnError, match=r"other numbers than NumPy .* CHARRNN_COMPILED=no"):
        _try_out(replace(LIBRARY, chosen=len(SETS) - 1))


def test_a_network_that_has_no_compiled_step_is_numpys() -> None:
    config = ModelConfig(vocab_size=SYMBOLS, start_id=SYMBOLS, cell="lstm-layernorm", layers=1, hidden=5, embedding=7)
    weights: dict[str, Any] = {name: np.ones(shape, np.float32) / 9 for name, shape in weight_shapes(config).items()}
    engine = open_engine(config, weights, "int8")
    assert not engine.compiled and not engine.writes
    for fields in ({"skip": "residual"}, {"skip": "dense"}, {"norm": True}, {"cell": "mlstm"}):
        assert not compiled.has_step(replace(config, **{"cell": "lstm"} | fields))


@pytest.mark.slow
def test_without_a_compiler_the_build_says_so_and_goes_on(tmp_path: Path) -> None:
    where = {**os.environ, "PATH": str(tmp_path), "CC": str(tmp_path / "none")}
    done = subprocess.run(
        [sys.executable, "hatch_build.py", str(tmp_path / "x.so")], cwd=ROOT, env=where, capture_output=True, text=True
    )
    assert done.returncode and "RuntimeError: the compiled step" in done.stderr and not (tmp_path / "x.so").exists()


def test_the_records_are_as_large_as_those_in_c() -> None:
    """The compiler lays them out as ctypes does: fields of 8 bytes, and two functions of 16."""
    assert [ctypes.sizeof(record) for record in (native.FunctionRecord, native.LayerRecord, native.DrawRecord)] == [
        16, 72, 136,
    ]  # fmt: skip
    assert ctypes.sizeof(native.NetworkRecord) == 72 + 2 * 16
