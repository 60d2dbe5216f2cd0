"""Lines as they come: nothing waits, nothing is lost, and each knows where it began."""

import gzip
import itertools
import os
from pathlib import Path

import pytest

from charrnn.errors import CorpusError
from charrnn.text import lines as module
from charrnn.text.lines import Line, lines, lines_of

from .cases import each

RAW = "\ufeffa\r\nb\rc\n\né\U0001f600 d\n\r\nlast".encode()


def texts(source: Path) -> list[Line]:
    return list(itertools.chain.from_iterable(lines([str(source)])))


@each("chunk", [1, 2, 3, 5, 1 << 16])
def test_lines_are_the_same_however_they_come(chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", chunk)
    (tmp_path / "t").write_bytes(RAW)
    (tmp_path / "t.gz").write_bytes(gzip.compress(RAW))
    found = texts(tmp_path / "t")
    assert found == texts(tmp_path / "t.gz")
    assert [line.text for line in found] == ["a\n", "b\nc\n", "\n", "é\U0001f600 d\n", "\n", "last"]
    whole = RAW.decode().removeprefix("\ufeff")
    for line in found:
        assert whole[line.start :].startswith(line.raw) and RAW[line.byte :].startswith(line.raw.encode())
    assert "".join(line.raw for line in found) == whole


def test_a_text_at_hand_has_the_lines_that_a_corpus_has() -> None:
    text = "a\r\nb\rc\n\r\n\u2028d"
    found = list(lines_of(text))
    assert [line.raw for line in found] == ["a\r\n", "b\r", "c\n", "\r\n", "\u2028d"]
    for line in found:
        assert text[line.start :].startswith(line.raw) and text.encode()[line.byte :].startswith(line.raw.encode())
        assert [line.written(0, 1), line.written(0, 0)] == [line.raw if line.text == "\n" else line.raw[0], ""]


def test_a_pipe_is_read_as_it_is_written_and_says_when_it_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        come = lines(["-"])
        for written, wanted in ((b"a\nb", ["a\n"]), (b"c\n\xc3", ["bc\n"]), (b"\xa9\nd\n", ["é\n", "d\n"])):
            os.write(writing, written)
            assert [line.text for line in next(come)] == wanted
            assert next(come) == []
        os.write(writing, b"e")
        os.close(writing)
        assert [[line.text for line in some] for some in come] == [["e"]]


def test_several_files_follow_each_other_and_what_is_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one")
    (tmp_path / "b").write_bytes(b"two\n\xff\n")
    come = lines([str(tmp_path / "a"), str(tmp_path / "b")])
    assert [(line.text, line.start, line.byte) for line in itertools.chain(next(come), next(come))] == [
        ("one", 0, 0), ("two\n", 3, 3)]  # fmt: skip
    with pytest.raises(CorpusError, match="b, line 2, is not UTF-8: its byte 0 is 0xFF"):
        next(come)
    any_bytes = itertools.chain.from_iterable(lines([str(tmp_path / "b")], any_bytes=True))
    assert [line.raw for line in any_bytes] == ["two\n", "\udcff\n"]
    with pytest.raises(CorpusError, match="there is no file"):
        lines([str(tmp_path / "a"), str(tmp_path / "nothing")])  # before anything is read


def test_nothing_but_a_mark_is_no_line(tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(b"\xef\xbb\xbf")
    assert texts(tmp_path / "t") == []
    (tmp_path / "t").write_bytes(b"")
    assert texts(tmp_path / "t") == []
