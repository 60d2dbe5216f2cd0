"""Files by counts that learn: all bytes back, at the cost that the mixer tells, and only after the same text."""

from dataclasses import replace
from pathlib import Path

import pytest

import charrnn
from charrnn.compression.compress import Compressor
from charrnn.compression.container import Manner, read_container
from charrnn.errors import ConfigError, CorpusError
from tests.cases import each
from tests.conftest import CommandLine
from tests.test_compression import KINDS, TEXT, model

pytestmark = pytest.mark.usefixtures("compiled_library")


def learner(name: str, text: str = TEXT.decode()) -> Compressor:
    return replace(model(name).compressor, training_text=lambda: text)


@each("name", KINDS)
def test_any_bytes_come_back(name: str) -> None:
    own = learner(name)
    for content in (TEXT.replace(b"\n", b"\r\n"), TEXT + b"\xfe\xff" + "é".encode() + TEXT[:99]):
        made = own.compress(content, learning=True)
        assert made.blocks == 1 and own.decompress(made.data) == content
    assert own.decompress(own.compress(b"", learning=True).data) == b""


def test_what_was_read_before_costs_little_and_must_be_the_same() -> None:
    own, unread = learner("f4-run-lstm"), learner("f4-run-lstm", "")
    data = own.compress(TEXT, learning=True).data
    assert read_container(data).manner == Manner.LEARNING
    assert len(data) < 0.6 * len(unread.compress(TEXT, learning=True).data)
    assert len(unread.compress(TEXT, learning=True).data) < len(unread.compress(TEXT).data)
    for other in (unread, learner("f4-cell-gru")):
        with pytest.raises(CorpusError, match="with another model, or after another text, whose digest begins with"):
            other.decompress(data)
    for place in (len(data) // 2, len(data) - 5):
        with pytest.raises(CorpusError, match="checksum"):
            own.decompress(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])


def test_a_gradient_and_blocks_are_refused() -> None:
    own = charrnn.load(model("f4-run-lstm").header.path)
    with pytest.raises(ConfigError, match="by counts here, not by gradient"):
        own.compress(TEXT, adapt="gradient")
    with pytest.raises(ConfigError, match="blocks"):
        own.compress(TEXT, adapt="counts", blocks=2)


def test_the_command_does_the_same_and_wants_the_training_text(charrnn: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "c.txt").write_text("The heron stood in the shallows, and the heron stood still.\n" * 60)
    assert charrnn("train", "c.txt", "--steps", "3", "--hidden", "8", "--valid", "0.1", "-q").code == 0
    (tmp_path / "l.txt").write_text("The heron stood.\n" * 9)
    plain, counts = (
        charrnn("compress", "l.txt", "-o", to, *how) for to, how in (("p", ()), ("q", ("--adapt", "counts")))
    )
    assert plain.code == counts.code == 0, (plain, counts)
    assert (tmp_path / "q").stat().st_size < (tmp_path / "p").stat().st_size
    assert charrnn("decompress", "q", "-o", "back.txt").code == 0
    assert (tmp_path / "back.txt").read_bytes() == (tmp_path / "l.txt").read_bytes()
    (tmp_path / "c.txt").unlink()
    gone = charrnn("decompress", "q", "-o", "again.txt")
    assert gone.code == 1 and "c.txt" in gone.err and not (tmp_path / "again.txt").exists()
