"""A text that is read once: its tokens in rows, none left out, none held; what ends it, and how it goes on."""

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn import api
from charrnn.errors import ConfigError, CorpusError, RunError
from charrnn.text.part import Part
from charrnn.text.tokenizers.char import CharTokenizer
from charrnn.training import distributed, streaming
from charrnn.training import run as session
from charrnn.training.batches import FRESH, open_streams
from charrnn.training.resume import resume
from charrnn.training.run import start
from charrnn.training.streaming import ReadOnce, encoded

from .test_run import finish, options

START = 5000


def rows_of(length: int, batch_size: int, piece: int) -> ReadOnce:
    tokens = np.arange(length, dtype=np.uint16)
    pieces = iter([tokens[at : at + piece] for at in range(0, length, piece)])

    def windows(block: "np.ndarray[tuple[int], np.dtype[np.uint16]]") -> object:
        return open_streams(Part(block, 0), start_id=START, batch_size=batch_size, bptt=4, seed=1)

    return ReadOnce(pieces, windows, batch_size, 4)  # type: ignore[arg-type]


@settings(deadline=None, max_examples=60)
@given(length=st.integers(4, 150), batch_size=st.integers(1, 4), piece=st.integers(1, 50), stretch=st.integers(3, 12))
def test_rows_read_their_stretches_of_one_block_after_another(
    length: int, batch_size: int, piece: int, stretch: int
) -> None:
    patch = pytest.MonkeyPatch()
    patch.setattr(streaming, "STRETCH", stretch)
    try:
        streams = rows_of(length, batch_size, piece)
        read: list[list[int]] = [[] for _ in range(batch_size)]
        held, index = [-1] * batch_size, 0  # the last token that each row's state has read
        while not streams.ended:
            batch = streams.window(0, index)
            rows = range(batch_size) if batch.state_rows is None else batch.state_rows.tolist()
            assert batch.state_rows is None or rows == [batch_size - 1 if index else FRESH, *[FRESH] * (batch_size - 1)]
            index += 1
            for row, before in enumerate(rows):
                inputs, targets = batch.inputs[row].tolist(), batch.targets[row].tolist()
                assert inputs[1:] == targets[:-1]
                # A state that is carried has read all that stands in front of the first input.
                assert before == FRESH or held[before] == (inputs[0] - 1 if inputs[0] else START)
                assert inputs[0] == (targets[0] - 1 if targets[0] else START)
                read[row] += targets
            held = [int(inputs[-1]) for inputs in batch.inputs]
    finally:
        patch.undo()
    # The slow twin: blocks, and of each its rows; the last block may be shorter, its rows then share tokens.
    expected: list[list[int]] = [[] for _ in range(batch_size)]
    for first in range(0, length, batch_size * stretch):
        size = min(length - first, batch_size * stretch)
        for row in range(batch_size if size >= batch_size else 0):
            begin = first + row * size // batch_size
            expected[row] += range(begin, begin + -(-size // batch_size))
    assert read == expected


def test_a_window_asked_for_again_is_the_next_one_from_nothing() -> None:
    streams = rows_of(400, 2, 100)
    first, second = streams.window(0, 0), streams.window(0, 1)
    again = streams.window(0, 1)
    assert second.state_rows is None and again.state_rows is not None and (again.state_rows == FRESH).all()
    assert int(again.targets[0, 0]) == int(second.targets[0, -1]) + 1 and first.state_rows is not None
    assert streams.window(0, 2).state_rows is None


def test_a_character_that_the_beginning_lacked_is_named() -> None:
    tokens = encoded(CharTokenizer("ab"), ["ab", "aéb"])
    assert next(tokens).tolist() == [0, 1]
    with pytest.raises(CorpusError, match=r"what comes holds 'é'.*`tokenizer='byte'` reads every text"):
        next(tokens)


def test_a_run_reads_what_comes_once_and_goes_on_with_what_comes_then(
    tmp_path: Path, prose: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "STREAM_HEAD", 2000)
    monkeypatch.setattr(streaming, "STRETCH", 256)
    monkeypatch.setattr("charrnn.text.stretches.CHUNK_BYTES", 1000)
    text, more = tmp_path / "text.txt", tmp_path / "more.txt"
    text.write_text(prose[:5000], encoding="utf-8")
    more.write_text(prose[3000:5000], encoding="utf-8")
    training = start(options(text, stream=True, steps=10_000, valid=0.05), checkpoints=tmp_path / "c")
    assert training.data.tokenizer.kind == "byte" and any("a stream: its first" in note for note in training.notes)
    finish(training)
    step = training.trainer.position.step
    assert training.trainer.streams.ended and training.trainer.position.tokens == pytest.approx(4900, abs=40)
    model = api.load(training.run.folder)
    assert api.held_out(model).read() == prose[1900:2000]
    with pytest.raises(CorpusError, match="there is nothing to read"):
        resume("run", checkpoints=tmp_path / "c", steps=20_000, corpus=("/dev/null",))
    monkeypatch.setattr(sys, "stdin", type("Terminal", (io.StringIO,), {"isatty": lambda _: True})())
    with pytest.raises(RunError, match="pipe in, or name"):
        resume("run", checkpoints=tmp_path / "c", steps=20_000)
    again = resume("run", checkpoints=tmp_path / "c", steps=20_000, corpus=(str(more),))
    assert again.trainer.position.step == step and any("a stream is not read again" in note for note in again.notes)
    finish(again)
    assert again.trainer.position.tokens - training.trainer.position.tokens == pytest.approx(2000, abs=8)
    assert again.data.split == training.data.split


def test_what_a_stream_has_not_is_refused(tmp_path: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"epochs": 2.0, "shuffle": True, "documents": "lines", "bidirectional": True}.items():
        with pytest.raises(ConfigError, match=f"has no {name}"):
            options(corpus, stream=True, **{name: value})
    monkeypatch.setenv("WORLD_SIZE", "1")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(ConfigError, match="one process"):
        distributed.begin(options(corpus, stream=True), checkpoints=tmp_path)
