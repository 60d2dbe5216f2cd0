"""Compressed files: the coder against big integers, the tables against the functions, and every byte back."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import charrnn
from charrnn.compression.coding import decode, encode
from charrnn.compression.compress import Compressor
from charrnn.compression.container import Manner, read_container
from charrnn.compression.frequencies import LARGE_TOTAL, SMALL_TOTAL, cumulative_frequencies
from charrnn.compression.numbers import read_number, written_number
from charrnn.compression.range_coder import LARGEST_TOTAL, RangeDecoder, RangeEncoder
from charrnn.compression.symbols import Message, packed, unpacked
from charrnn.errors import ConfigError, CorpusError
from charrnn.text.tokenizers.char import CharTokenizer
from tests.cases import each
from tests.conftest import CommandLine

TESTS = Path(__file__).parent
GOLDEN, COMPRESSED = TESTS / "golden", TESTS / "compressed"
Numbers = npt.NDArray[np.int64]


@cache
def model(name: str) -> charrnn.Model:
    return charrnn.load(GOLDEN / name)


def compressor(name: str) -> Compressor:
    return model(name).compressor


# ---- the range coder


def big_integer_coder(symbols: list[tuple[int, int, int]]) -> bytes:
    """The slow twin: the whole interval in Python's integers, so that a carry is nothing special."""
    low, width, words = 0, 1 << 48, 0
    for before, frequency, total in symbols:
        width //= total
        low, width = low + width * before, width * frequency
        while width < 1 << 32:
            low, width, words = low << 16, width << 16, words + 1
    return (low + (1 << 32) - 1 >> 32).to_bytes(2 * words + 2, "big").rstrip(b"\0")


@st.composite
def messages(draw: st.DrawFn) -> tuple[list[list[int]], list[list[int]]]:
    """Frequencies of some symbols at each place, and some messages of these symbols, of one length."""
    kinds, length, count = draw(st.integers(1, 5)), draw(st.integers(0, 30)), draw(st.integers(1, 3))
    one = st.integers(1, 3) | st.integers(1, LARGEST_TOTAL // kinds)
    frequencies = draw(st.lists(st.lists(one, min_size=kinds, max_size=kinds), min_size=length, max_size=length))
    text = st.lists(st.integers(0, kinds - 1), min_size=length, max_size=length)
    return frequencies, draw(st.lists(text, min_size=count, max_size=count))


def coded(frequencies: list[list[int]], texts: list[list[int]]) -> list[bytes]:
    encoder = RangeEncoder(len(texts))
    for place, each_frequency in enumerate(frequencies):
        cumulative = np.cumsum(each_frequency)
        chosen = np.array([text[place] for text in texts])
        frequency = np.array(each_frequency)[chosen]
        encoder.encode(cumulative[chosen] - frequency, frequency, np.full(len(texts), cumulative[-1]))
    return encoder.finish()


@pytest.mark.slow
@settings(deadline=None, max_examples=100)
@given(messages())
def test_the_range_coder_writes_what_big_integers_do_and_reads_it_back(
    given: tuple[list[list[int]], list[list[int]]],
) -> None:
    frequencies, texts = given
    written = coded(frequencies, texts)
    for text, data in zip(texts, written, strict=True):
        told = [(sum(f[:s]), f[s], sum(f)) for f, s in zip(frequencies, text, strict=True)]
        assert data == big_integer_coder(told)
        bits = sum(-math.log2(frequency / total) for _, frequency, total in told)
        assert 8 * len(data) <= bits * 1.001 + 0.01 * len(told) + 24
    decoder = RangeDecoder(written)
    read = [decoder.decode(np.tile(np.cumsum(f), (len(texts), 1))).tolist() for f in frequencies]
    assert [list(column) for column in zip(*read, strict=True)] == (texts if frequencies else [])


def test_a_carry_runs_through_many_words() -> None:
    """The last of 2^24 equally likely symbols again and again comes near 1; what follows may add up to it."""
    total = LARGEST_TOTAL
    frequencies = [[total - 1, 1]] + [[1, total - 1]] * 40 + [[1, 1]] * 60
    texts = [[0] + [1] * 40 + [1] * 60, [1] + [0] * 40 + [0, 1] * 30, [0] + [1] * 100]
    for text, data in zip(texts, coded(frequencies, texts), strict=True):
        assert data == big_integer_coder([(sum(f[:s]), f[s], sum(f)) for f, s in zip(frequencies, text, strict=True)])


# ---- frequencies and numbers


@each("symbols", [5, 300, 2000])
def test_frequencies_are_the_models_probabilities_and_none_is_0(symbols: int) -> None:
    logits = np.random.default_rng(0).normal(size=(4, symbols - 1), scale=4).astype(np.float32)
    cumulative = cumulative_frequencies(logits, symbols)
    frequencies, total = np.diff(cumulative, axis=1, prepend=0), cumulative[:, -1:]
    assert (frequencies >= 1).all() and (frequencies[:, -1] == 1).all()
    assert total.max() <= (SMALL_TOTAL if symbols <= 512 else LARGE_TOTAL) <= LARGEST_TOTAL
    p = np.exp(logits.astype(np.float64))
    p /= p.sum(axis=1, keepdims=True)
    assert (p * -np.log2(frequencies[:, :-1] / total)).sum() == pytest.approx((p * -np.log2(p)).sum(), rel=2e-3)


@given(st.integers(0, 2**60), st.binary(max_size=3))
def test_a_number_is_read_back_and_what_follows_is_left(number: int, rest: bytes) -> None:
    found, left = read_number(memoryview(written_number(number) + rest))
    assert (found, bytes(left)) == (number, rest)


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_what_was_escaped_is_unpacked(escaped: list[bytes]) -> None:
    assert unpacked(packed(escaped)) == escaped


# ---- round trips

KINDS = ["f4-run-lstm", "f4-run-byte", "f4-run-subword", "f4-run-lines", "f4-run-blank", "f4-run-members"]
PIECES = [b"The heron ", b"\n", b"\r\n", b"\n\n", b"\xff", "été".encode(), "\u2028\u2581".encode(), b"\0", b"a", b"\r"]
TEXT = (GOLDEN / "text.txt").read_bytes()


def modelled(own: Compressor, content: bytes, blocks: int) -> bytes:
    """Through model and coder and back, also where the model is so bad that the content would be stored."""
    message = own._alphabet.message(content)
    size = message.symbols.size
    symbols = message.symbols
    if size:
        blocks = min(blocks, size)
        symbols = decode(own._engine, own._alphabet, encode(own._engine, own._alphabet, symbols, blocks).blocks, size)
    return own._alphabet.content(Message(symbols, unpacked(packed(message.escaped))))


@pytest.mark.slow
@settings(deadline=None, max_examples=20)
@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=20), max_size=12).map(b"".join), st.integers(1, 5))
def test_any_bytes_come_back(content: bytes, blocks: int) -> None:
    for name in KINDS:
        own = compressor(name)
        made = own.compress(content, blocks)
        assert own.decompress(made.data) == content, name
        assert modelled(own, content, blocks) == content, name
        assert len(made.data) <= len(content) + 64


@pytest.mark.slow
@each("name", KINDS)
def test_a_text_and_its_like_come_back_modelled(name: str) -> None:
    own = compressor(name)
    for content in (TEXT, TEXT.replace(b"\n", b"\r\n"), TEXT * 3 + b"\xfe\xff", TEXT.replace(b"e", "é".encode())):
        made = own.compress(content, 16)
        assert own.decompress(made.data) == modelled(own, content, 16) == content
    for content in (b"", b"a", b"\n", bytes(range(256))):
        assert own.decompress(own.compress(content).data) == modelled(own, content, 1) == content
    assert own.compress(TEXT, 16).symbols == own.compress(TEXT.replace(b"\n", b"\r\n"), 16).symbols


def test_random_bytes_are_stored() -> None:
    content = np.random.default_rng(0).bytes(3000)
    for name in ("f4-run-lstm", "f4-run-byte"):
        made = compressor(name).compress(content, 64)
        assert made.blocks == 0 and len(made.data) < len(content) + 64
        assert read_container(made.data).manner == Manner.STORED
        assert compressor(name).decompress(made.data) == content


@pytest.mark.slow
def test_a_large_file_comes_back() -> None:
    content = (TEXT * 500)[:250_000]
    made = compressor("f4-cell-rnn").compress(content, 4096)
    assert made.blocks == 4096
    assert compressor("f4-cell-rnn").decompress(made.data) == content


# ---- size


@pytest.mark.slow
def test_the_file_is_as_long_as_the_models_bits(trained: Path, prose: str) -> None:
    """To within 0.1% and 64 bytes, and the network's own bits, by torch, are near."""
    own = charrnn.load(trained / "small")
    assert isinstance(own.tokenizer, CharTokenizer)
    rows = "".join(symbol for symbol in prose if symbol in own.tokenizer.symbols)[:9_600]
    made = own.compressor.compress(rows.encode(), 8)
    ids = own.tokenizer.encode(rows).reshape(8, -1).astype(np.int64)
    engine = own.compressor._engine
    state, tokens, nats = engine.initial_state(8), np.full(8, own.config.start_id), 0.0
    for column in ids.T:
        logits, state = engine.step(tokens, state)
        wide = logits.astype(np.float64)
        nats += float((np.log(np.exp(wide).sum(axis=1)) - wide[np.arange(8), column]).sum())
        tokens = column
    bits = nats / math.log(2)
    assert made.bits == pytest.approx(bits, rel=1e-3)
    assert bits / 8 < len(made.data) < bits / 8 * 1.001 + 64
    by_torch = sum(own.score(rows[at : at + 1200]).nats for at in range(0, 9_600, 1200)) / math.log(2)
    assert bits == pytest.approx(by_torch, rel=2e-3)


# ---- the same file everywhere

EVERYWHERE = ["f4-run-lstm", "f4-run-members", "f4-cell-slstm", "f4-run-tied-residual-norm"]
SCRIPT = """
import sys, charrnn, numpy
for name in sys.argv[2:]:
    model = charrnn.load(f"{sys.argv[1]}/{name}")
    print(model.compress(open(f"{sys.argv[1]}/text.txt", "rb").read(), blocks=4).hex())
print(sorted(f for f, on in numpy._core._multiarray_umath.__cpu_features__.items() if on))
"""


def elsewhere(**environment: str) -> list[str]:
    """What another process makes of the text: a file for each model, and the features that NumPy found."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(GOLDEN), *EVERYWHERE], capture_output=True, text=True,
        env={**os.environ, **environment}, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow
def test_processors_and_threads_change_no_byte() -> None:
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__  # type: ignore[import-not-found]

    switched_off = " ".join(name for name in __cpu_dispatch__ if __cpu_features__.get(name))
    expected = [model(name).compress(TEXT, blocks=4).hex() for name in EVERYWHERE]
    off = {"ATEN_CPU_CAPABILITY": "default", "NPY_DISABLE_CPU_FEATURES": switched_off}
    *plain, features = elsewhere(**off, OMP_NUM_THREADS="1")
    *two_threads, all_features = elsewhere(OMP_NUM_THREADS="2")
    assert plain == two_threads == expected
    assert not switched_off or features != all_features


@each("name", KINDS)
def test_a_block_is_coded_as_if_it_were_alone(name: str) -> None:
    own = compressor(name)
    symbols = own._alphabet.message(TEXT).symbols[:320]
    together = encode(own._engine, own._alphabet, symbols, 32).blocks
    alone = [encode(own._engine, own._alphabet, part, 1).blocks[0] for part in np.split(symbols, 32)]
    assert list(together) == alone


def test_torch_and_numpy_write_the_same() -> None:
    for name in EVERYWHERE:
        own = Compressor(model(name).config, model(name).weights, model(name).tokenizer, model(name).documents)
        symbols = own._alphabet.message(TEXT).symbols
        by_numpy = encode(own._engine, own._alphabet, symbols, 64).blocks
        for matrix in own._engine.matrices:
            matrix.use_torch(True)
            matrix.use_torch = lambda wanted: None  # type: ignore[method-assign]
        assert encode(own._engine, own._alphabet, symbols, 64).blocks == by_numpy


# ---- files that decode for ever


@pytest.mark.slow
@each("file", sorted(COMPRESSED.glob("*.crnn")))
def test_a_stored_file_decodes_for_ever(file: Path) -> None:
    own = model(file.stem)
    assert own.decompress(file.read_bytes()) == TEXT
    assert own.compress(TEXT, blocks=4) == file.read_bytes(), "files that are written today are the same as well"


def test_there_are_stored_files_of_many_cells() -> None:
    assert len(list(COMPRESSED.glob("*.crnn"))) >= 20


# ---- damage


def changed(data: bytes) -> Iterator[tuple[str, bytes]]:
    for place in range(len(data)):
        for bit in (1, 128):
            yield f"bit {bit} of byte {place}", data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :]
        yield f"cut at {place}", data[:place]
        yield f"without byte {place}", data[:place] + data[place + 1 :]
    yield "longer", data + b"\0"


@each("content", [b"", b"a", b"The heron stood in the shallows.\n\xff", os.urandom(20)])
def test_damage_is_found_wherever_it_is(content: bytes) -> None:
    own = compressor("f4-run-lstm")
    data = own.compress(content, 2).data
    for what, damaged in changed(data):
        with pytest.raises(CorpusError):
            own.decompress(damaged)
            pytest.fail(what)


def test_another_model_and_a_later_version_are_told() -> None:
    data = compressor("f4-run-lstm").compress(TEXT).data
    with pytest.raises(CorpusError, match=r"with another model, whose digest begins with [0-9a-f]{12}, not"):
        compressor("f4-cell-gru").decompress(data)
    with pytest.raises(CorpusError, match="begins otherwise"):
        compressor("f4-run-lstm").decompress(b"The heron")


def test_python_takes_bytes_alone() -> None:
    own = model("f4-run-lstm")
    assert own.decompress(own.compress(memoryview(TEXT))) == TEXT  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="`data` must be bytes, not 'text'"):
        own.compress("text")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="blocks"):
        own.compress(TEXT, blocks=0)


# ---- the command


def told(line: str) -> Any:
    return json.loads(line)


def test_the_command_compresses_beside_the_file_and_back(charrnn: CommandLine, tmp_path: Path) -> None:
    lstm = ["-m", str(GOLDEN / "f4-run-lstm")]
    (tmp_path / "letter.txt").write_bytes(TEXT)
    done = charrnn("compress", "letter.txt", *lstm, "--blocks", "4")
    size = (tmp_path / "letter.txt.crnn").stat().st_size
    assert done.code == 0 and done.out == ""
    assert f"605 bytes -> {size} bytes, " in done.err and "4 blocks, about 27 bytes for cutting" in done.err
    again = charrnn("compress", "letter.txt", *lstm)
    assert again.code == 1 and "letter.txt.crnn is there already: --force writes over it" in again.err
    record = told(charrnn("compress", "letter.txt", *lstm, "--force", "--json", "-q").out)
    assert record["compressed_bytes"] == (tmp_path / "letter.txt.crnn").stat().st_size
    assert (record["bytes"], record["blocks"], record["stored"]) == (605, 1, False)
    (tmp_path / "letter.txt").unlink()
    assert charrnn("decompress", "letter.txt.crnn", *lstm).code == 0
    assert (tmp_path / "letter.txt").read_bytes() == TEXT


def test_what_is_refused_writes_nothing(charrnn: CommandLine, tmp_path: Path) -> None:
    lstm, gru = ["-m", str(GOLDEN / "f4-run-lstm")], ["-m", str(GOLDEN / "f4-cell-gru")]
    (tmp_path / "letter.txt").write_bytes(TEXT)
    assert charrnn("compress", "letter.txt", *lstm, "-o", "l.crnn").code == 0
    data = (tmp_path / "l.crnn").read_bytes()
    (tmp_path / "cut.crnn").write_bytes(data[:-1])
    before = sorted(tmp_path.iterdir())
    for line, code, words in (
        (["decompress", "l.crnn", *gru], 1, "compressed with another model"),
        (["decompress", "cut.crnn", *lstm], 1, "damaged or cut off"),
        (["decompress", "letter.txt", *lstm], 2, "does not end in .crnn: say with --output"),
        (["decompress", "letter.txt", *lstm, "-o", "x"], 1, "no compressed file of charrnn"),
        (["compress", "nowhere.txt", *lstm], 1, "nowhere.txt"),
        (["compress", "letter.txt", *lstm, "-o", "-", "--json"], 2, "--json goes to stdout"),
        (["compress", *lstm], 2, "name a FILE"),
    ):
        done = charrnn(*line)
        assert (done.code, done.out) == (code, "") and words in done.err, (line, done)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.slow
def test_a_pipe_goes_through(tmp_path: Path) -> None:
    line = [sys.executable, "-m", "charrnn"]
    lstm = ["-m", str(GOLDEN / "f4-run-lstm"), "-q"]
    packed = subprocess.run([*line, "compress", *lstm], input=TEXT, capture_output=True, check=True)
    assert packed.stdout == model("f4-run-lstm").compress(TEXT) and packed.stderr == b""
    back = subprocess.run([*line, "decompress", "-", *lstm], input=packed.stdout, capture_output=True, check=True)
    assert back.stdout == TEXT
