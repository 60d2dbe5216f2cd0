"""Reading: what comes out of a text, in any chunks, what is counted, what is noted, what is refused."""

import gzip
import hashlib
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.errors import CorpusError
from charrnn.text import stretches, survey
from charrnn.text.corpus import Corpus, in_memory
from charrnn.text.stretches import CHUNK_BYTES
from charrnn.text.survey import TextStatistics

from .cases import each

MIXED = "Zażółć gęślą\r\nменя зовут 海\r\r\nবাংলা 🙂 e\u0301\n\n  two  spaces\tand\u00a0more\u3000\u2028end\r"
CHUNK_SIZES = [1, 2, 3, 4, 5, 7, 11, 64, CHUNK_BYTES]


def normalised(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def write(folder: Path, data: bytes | str, name: str = "text.txt") -> str:
    file = folder / name
    file.write_bytes(data.encode() if isinstance(data, str) else data)
    return str(file)


def counts(statistics: TextStatistics) -> tuple[int, int, int, int, str]:
    return statistics.chars, statistics.bytes, statistics.words, statistics.kept, statistics.sha256


def naive_counts(data: bytes) -> tuple[int, int, int, int, str]:
    text = data.decode()
    return len(text), len(data), len(text.split()), len(normalised(text)), hashlib.sha256(data).hexdigest()


def converted(message: str, data: bytes) -> str:
    """What the command that a message tells makes of these bytes."""
    found = re.search(r"(iconv -f \S+ -t UTF-8)", message)
    assert found, message
    done = subprocess.run(found[1].split(), input=data, capture_output=True, check=True)
    return done.stdout.decode().removeprefix("\ufeff")


def in_chunks_of(size: int) -> pytest.MonkeyPatch:
    patch = pytest.MonkeyPatch()
    patch.setattr(stretches, "CHUNK_BYTES", size)
    return patch


# Files, chunks, counts


@each("size", CHUNK_SIZES)
def test_chunk_borders_change_neither_the_text_nor_the_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(stretches, "CHUNK_BYTES", size)
    corpus = Corpus([write(tmp_path, MIXED)])

    chunks = list(corpus.chunks())

    assert "".join(chunks) == normalised(MIXED)
    assert all(chunks)
    assert counts(corpus.statistics) == naive_counts(MIXED.encode())
    assert corpus.statistics.notes == [f"{corpus.sources[0]}: 2 CR LF and 2 CR line ends read as LF"]


@settings(deadline=None, max_examples=150)
@given(text=st.text("a \r\n\té海🙂\u2028", max_size=30), size=st.integers(1, 9))
def test_any_text_in_any_chunks_reads_and_counts_like_the_naive_way(
    tmp_path_factory: pytest.TempPathFactory, text: str, size: int
) -> None:
    corpus = Corpus([write(tmp_path_factory.getbasetemp(), text, "any.txt")])
    patch = in_chunks_of(size)
    try:
        read = corpus.read()
    finally:
        patch.undo()

    assert read == normalised(text)
    assert counts(corpus.statistics) == naive_counts(text.encode())
    windows, macs = text.count("\r\n"), text.count("\r") - text.count("\r\n")
    expected = [f"{corpus.sources[0]}: {windows} CR LF and {macs} CR line ends read as LF"] if windows + macs else []
    assert corpus.statistics.notes == expected


def test_a_chunk_is_no_larger_than_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stretches, "CHUNK_BYTES", 10)
    assert [len(chunk) for chunk in Corpus([write(tmp_path, "a" * 25)]).chunks()] == [10, 10, 5]


@each("text", ["a", "a\r", "\r", "\r\n", "\n", "a\nb", "\r\r\n\n\r"])
def test_short_texts_come_out_whole(tmp_path: Path, text: str) -> None:
    assert Corpus([write(tmp_path, text)]).read() == normalised(text)


def test_files_are_joined_in_the_order_given(tmp_path: Path) -> None:
    first, second = "the first tex", "t, the second é"
    files = [write(tmp_path, second, "b.txt"), write(tmp_path, first, "z.txt")]
    corpus = Corpus([files[1], files[0], files[1]])

    assert corpus.read() == first + second + first
    assert counts(corpus.statistics)[:4] == naive_counts((first + second + first).encode())[:4]
    assert corpus.joined_sha256() == hashlib.sha256((first + second + first).encode()).hexdigest()
    assert corpus.statistics.hashes == tuple(
        hashlib.sha256(text.encode()).hexdigest() for text in (first, second, first)
    )


def test_a_line_end_is_not_put_together_from_two_files(tmp_path: Path) -> None:
    files = [write(tmp_path, "one\r", "1.txt"), write(tmp_path, "\ntwo", "2.txt")]
    corpus = Corpus(files)
    assert corpus.read() == "one\n\ntwo"
    assert corpus.statistics.kept == len("one\n\ntwo")


def test_reading_twice_gives_the_same_text_and_counts_once(tmp_path: Path) -> None:
    corpus = Corpus([write(tmp_path, MIXED + "\x01" + "a" * 100)])
    first = corpus.read()
    statistics = corpus.statistics
    assert corpus.read() == first
    assert corpus.statistics is statistics
    assert counts(statistics) == naive_counts((MIXED + "\x01" + "a" * 100).encode())


def test_statistics_wait_for_the_end_of_the_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stretches, "CHUNK_BYTES", 4)
    corpus = Corpus([write(tmp_path, "one two three")])
    next(corpus.chunks())
    assert corpus.statistics == TextStatistics()
    assert counts(corpus.survey()) == naive_counts(b"one two three")


def test_a_text_in_memory_is_normalised_and_counted_like_a_file(tmp_path: Path) -> None:
    corpus = Corpus([write(tmp_path, MIXED)])
    text, statistics = in_memory(MIXED)
    assert text == corpus.read()
    assert counts(statistics)[:4] == counts(corpus.statistics)[:4]
    assert statistics.notes == ["the text: 2 CR LF and 2 CR line ends read as LF"]


def test_an_empty_text_in_memory_has_no_statistics() -> None:
    assert in_memory("") == ("", TextStatistics())


@each("data", [b"", b"\xef\xbb\xbf", gzip.compress(b"")])
def test_a_corpus_without_a_character_is_an_error(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(CorpusError, match="holds no text"):
        Corpus([write(tmp_path, data)]).survey()


def test_one_character_is_a_text(tmp_path: Path) -> None:
    assert counts(Corpus([write(tmp_path, "é")]).survey()) == naive_counts("é".encode())


# Byte order marks


def test_a_leading_byte_order_mark_is_dropped_and_noted(tmp_path: Path) -> None:
    files = [write(tmp_path, "\ufeffone ", "1.txt"), write(tmp_path, "\ufefftwo", "2.txt")]
    corpus = Corpus(files)

    assert corpus.read() == "one two"
    assert corpus.statistics.notes == [f"{file}: byte order mark dropped" for file in files]
    assert counts(corpus.statistics)[:4] == naive_counts(b"one two")[:4]
    assert corpus.joined_sha256() == hashlib.sha256(b"\xef\xbb\xbfone \xef\xbb\xbftwo").hexdigest()


def test_only_the_first_byte_order_mark_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stretches, "CHUNK_BYTES", 6)
    corpus = Corpus([write(tmp_path, "\ufeff\ufeff\ufeffabc\ufeff")])
    assert corpus.read() == "\ufeff\ufeffabc\ufeff"


# Faults in the encoding


FAULTS = {
    "latin-1": b"\xe9 ",
    "lone continuation": b"\x80",
    "overlong": b"\xc0\xaf",
    "surrogate": b"\xed\xa0\x80",
    "beyond the last code point": b"\xf4\x90\x80\x80",
    "never a byte of UTF-8": b"\xff",
    "cut off": b"\xf0\x9f\x99",
    "broken off": b"\xe6\xb5x",
}


@each("size", [1, 3, 7, 64, CHUNK_BYTES])
@each("fault", FAULTS.values())
@each("before", ["", "a", "abcdefg", "é海🙂", "x" * 61 + "🙂海"])
def test_the_first_fault_is_named_by_its_byte_offset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str, fault: bytes, size: int
) -> None:
    monkeypatch.setattr(stretches, "CHUNK_BYTES", size)
    data = before.encode() + fault
    with pytest.raises(UnicodeDecodeError) as naive:
        data.decode()
    offset = naive.value.start

    with pytest.raises(CorpusError, match=rf"text\.txt is not UTF-8: byte {offset} is 0x{data[offset]:02X} "):
        Corpus([write(tmp_path, data)]).read()


@settings(deadline=None, max_examples=100)
@given(
    before=st.text("aé海🙂\n", max_size=12),
    fault=st.sampled_from(sorted(FAULTS.values())),
    after=st.text("aé海🙂\n", max_size=12),
    size=st.integers(4, 9),
    mark=st.booleans(),
)
def test_the_offset_of_a_fault_counts_from_the_first_byte_of_the_file(
    tmp_path_factory: pytest.TempPathFactory, before: str, fault: bytes, after: str, size: int, mark: bool
) -> None:
    data = b"\xef\xbb\xbf" * mark + before.encode() + fault + after.encode()
    file = write(tmp_path_factory.getbasetemp(), data, "fault.txt")
    with pytest.raises(UnicodeDecodeError) as naive:
        data.decode()
    patch = in_chunks_of(size)
    try:
        with pytest.raises(CorpusError, match=f" byte {naive.value.start} is 0x{data[naive.value.start]:02X} "):
            Corpus([file]).read()
    finally:
        patch.undo()


def test_the_offset_is_that_within_the_file_at_fault(tmp_path: Path) -> None:
    good, bad = write(tmp_path, "é" * 10, "good.txt"), write(tmp_path, b"abc\xff", "bad.txt")
    with pytest.raises(CorpusError, match=r"bad\.txt is not UTF-8: byte 3 is 0xFF .*convert it"):
        Corpus([good, bad]).read()


# Any bytes


@settings(deadline=None, max_examples=100)
@given(data=st.binary(max_size=40), size=st.integers(1, 9))
def test_any_bytes_are_read_and_come_back(tmp_path_factory: pytest.TempPathFactory, data: bytes, size: int) -> None:
    data = b"x" + data.replace(b"\r", b"")  # neither a byte order mark nor the beginning of a compressed file
    corpus = Corpus([write(tmp_path_factory.getbasetemp(), data, "bytes")], any_bytes=True)
    patch = in_chunks_of(size)
    try:
        text = corpus.read()
    finally:
        patch.undo()
    assert text.encode("utf-8", "surrogateescape") == data
    assert (corpus.statistics.bytes, corpus.statistics.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert in_memory(text)[1].bytes == len(data)


# Zero bytes, control characters, repeated lines


@each("data", [b"a" * 1000 + b"\0", b"\x7fELF\x02\x01\x01\x00", b"\0"])
def test_zero_bytes_are_binary_data_and_the_way_on_is_told(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(CorpusError, match=r"text\.txt holds zero bytes, as binary data do .* `tokenizer='byte'`"):
        Corpus([write(tmp_path, data)]).survey()
    assert Corpus([write(tmp_path, data)], any_bytes=True).survey().bytes == len(data)


@each("mark, name", [(b"", "utf-16-le"), (b"", "utf-16-be"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")])
@each("text", ["plain\nletters, caf\xe9\n" * 3])
def test_sixteen_bits_a_character_are_told_from_binary_data(tmp_path: Path, mark: bytes, name: str, text: str) -> None:
    with pytest.raises(CorpusError, match=r"text\.txt is UTF-16") as caught:
        Corpus([write(tmp_path, mark + text.encode(name))]).read()
    assert converted(str(caught.value), mark + text.encode(name)) == text


@each("count, length", [(1, 1), (1, 3), (2, 100), (3, 100), (50, 100)])
def test_control_characters_are_text_and_noted(tmp_path: Path, count: int, length: int) -> None:
    text = "\x01" * count + "a" * (length - count)
    assert Corpus([write(tmp_path, text)]).read() == text
    corpus = Corpus([write(tmp_path, text)])
    assert corpus.survey().notes == [f"the text holds {count} control character{'s' * (count > 1)}"]
    assert in_memory(text)[1].notes == corpus.statistics.notes


def test_control_characters_are_summed_over_chunks(tmp_path: Path) -> None:
    files = [write(tmp_path, "a" * 100 + "\x02", f"{i}.txt") for i in range(3)]
    assert Corpus(files).survey().notes == ["the text holds 3 control characters"]


def test_tabs_form_feeds_escapes_and_line_ends_are_text(tmp_path: Path) -> None:
    assert Corpus([write(tmp_path, "\t\n\f\x1b")]).survey().notes == []


def line(number: int, length: int = 21) -> str:
    return f"{number:0{length}d}"


@each(
    "numbers, length, share",
    [
        ([0, 1, 2, 3, 4, 5, 6, 0, 0, 0], 21, None),  # 3 in 10 is the limit, not beyond it
        ([0, 1, 2, 3, 4, 5, 0, 0, 1, 1], 21, "40%"),
        ([0] * 9, 21, None),  # too few to tell
        ([0] * 10, 21, "90%"),
        ([0] * 10, 20, None),  # short lines repeat in any text
    ],
)
def test_many_repeated_long_lines_are_noted(tmp_path: Path, numbers: list[int], length: int, share: str | None) -> None:
    text = "\n\nab\n".join(line(number, length) for number in numbers)
    expected = [] if share is None else [f"{share} of its lines occur more than once: a model will learn them by heart"]
    assert Corpus([write(tmp_path, text)]).survey().notes == expected


def test_lines_repeated_in_a_later_chunk_are_noted(tmp_path: Path) -> None:
    file = write(tmp_path, "\n".join(map(line, range(10))))
    assert [note[:3] for note in Corpus([file, file]).survey().notes] == ["50%"]


def test_repeated_lines_are_looked_for_in_the_beginning_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "CHECKED_LINES", 10)
    file = write(tmp_path, "\n".join(map(line, range(10))))
    assert Corpus([file, file, file]).survey().notes == []
