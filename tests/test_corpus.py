"""Reading: what comes out of files, standard input and compressed files, what is counted, what is refused."""

import bz2
import gc
import gzip
import hashlib
import io
import lzma
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.errors import CorpusError
from charrnn.text import corpus as module
from charrnn.text.corpus import CHUNK_BYTES, Corpus, TextStatistics, bundled, in_memory, keep_stdin

from .cases import each

MIXED = "Zażółć gęślą\r\nменя зовут 海\r\r\nবাংলা 🙂 e\u0301\n\n  two  spaces\tand\u00a0more\u3000\u2028end\r"
CHUNK_SIZES = [1, 2, 3, 4, 5, 7, 11, 64, CHUNK_BYTES]

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "xz": lzma.compress,
    "bz2": bz2.compress,
    "zst": zstd.compress,
}


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


def in_chunks_of(size: int) -> pytest.MonkeyPatch:
    patch = pytest.MonkeyPatch()
    patch.setattr(module, "CHUNK_BYTES", size)
    return patch


def replace_stdin(monkeypatch: pytest.MonkeyPatch, file: str) -> io.TextIOWrapper:
    stdin = open(file)  # noqa: SIM115
    monkeypatch.setattr(sys, "stdin", stdin)
    return stdin


def piped(code: str, data: bytes) -> bytes:
    head = "import sys; from charrnn.text import corpus; out = sys.stdout.buffer.write\n"
    return subprocess.run([sys.executable, "-c", head + code], input=data, capture_output=True, check=True).stdout


# Files, chunks, counts


@each("size", CHUNK_SIZES)
def test_chunk_borders_change_neither_the_text_nor_the_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(module, "CHUNK_BYTES", size)
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
    monkeypatch.setattr(module, "CHUNK_BYTES", 10)
    assert [len(chunk) for chunk in Corpus([write(tmp_path, "a" * 25)]).chunks()] == [10, 10, 5]


@each("text", ["a", "a\r", "\r", "\r\n", "\n", "a\nb", "\r\r\n\n\r"])
def test_short_texts_come_out_whole(tmp_path: Path, text: str) -> None:
    assert Corpus([write(tmp_path, text)]).read() == normalised(text)


def test_files_are_joined_in_the_order_given(tmp_path: Path) -> None:
    first, second = "the first tex", "t, the second é"
    files = [write(tmp_path, second, "b.txt"), write(tmp_path, first, "z.txt")]
    corpus = Corpus([files[1], files[0], files[1]])

    assert corpus.read() == first + second + first
    assert counts(corpus.statistics) == naive_counts((first + second + first).encode())


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
    monkeypatch.setattr(module, "CHUNK_BYTES", 4)
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
    assert corpus.statistics.sha256 == hashlib.sha256(b"\xef\xbb\xbfone \xef\xbb\xbftwo").hexdigest()


def test_only_the_first_byte_order_mark_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_BYTES", 6)
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
    monkeypatch.setattr(module, "CHUNK_BYTES", size)
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
    with pytest.raises(CorpusError, match=r"bad\.txt is not UTF-8: byte 3 is 0xFF .*iconv"):
        Corpus([good, bad]).read()


# Binary data, control characters, repeated lines


@each("data", [b"a" * 1000 + b"\0", b"\x7fELF\x02\x01\x01\x00", b"\x01\x02\x03\x04"])
def test_binary_data_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(CorpusError, match=r"text\.txt looks like binary data"):
        Corpus([write(tmp_path, data)]).survey()


def test_binary_data_in_memory_is_refused() -> None:
    with pytest.raises(CorpusError, match="looks like binary data"):
        in_memory("a\0")


def test_two_control_characters_in_a_hundred_are_noted_and_three_are_binary(tmp_path: Path) -> None:
    corpus = Corpus([write(tmp_path, "a" * 98 + "\x01\x7f")])
    assert corpus.survey().notes == ["the text holds 2 control characters"]
    with pytest.raises(CorpusError, match=r"binary data, not text \(3 control characters\)"):
        Corpus([write(tmp_path, "a" * 97 + "\x01\x01\x08")]).survey()


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
    monkeypatch.setattr(module, "CHECKED_LINES", 10)
    file = write(tmp_path, "\n".join(map(line, range(10))))
    assert Corpus([file, file, file]).survey().notes == []


# Compressed files


@each("kind", PACKERS)
def test_compressed_files_are_known_by_their_content(tmp_path: Path, kind: str) -> None:
    corpus = Corpus([write(tmp_path, PACKERS[kind](MIXED.encode()))])
    assert corpus.read() == normalised(MIXED)
    assert counts(corpus.statistics) == naive_counts(MIXED.encode())


@each("kind", PACKERS)
def test_all_members_of_a_compressed_file_are_read(tmp_path: Path, kind: str) -> None:
    pack = PACKERS[kind]
    corpus = Corpus([write(tmp_path, pack(b"\xef\xbb\xbf") + pack(b"") + pack(b"one ") + pack(b"") + pack(b"two"))])
    assert corpus.read() == "one two"


@each("kind", PACKERS)
def test_faults_in_a_compressed_file_are_counted_in_what_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(module, "CHUNK_BYTES", 7)
    with pytest.raises(CorpusError, match="byte 20 is 0xE9"):
        Corpus([write(tmp_path, PACKERS[kind]("é".encode() * 10 + b"\xe9 "))]).read()


NOISE = "".join(chr(97 + byte % 26) for seed in range(600) for byte in hashlib.sha256(b"%d" % seed).digest())


@each("kind", PACKERS)
@each("cut", ["half", "last byte"])
def test_a_compressed_file_that_was_cut_off_is_an_error(tmp_path: Path, kind: str, cut: str) -> None:
    data = PACKERS[kind](NOISE.encode())
    file = write(tmp_path, data[: len(data) // 2] if cut == "half" else data[:-1])
    with pytest.raises(CorpusError, match=r"text\.txt cannot be read to its end"):
        Corpus([file]).read()


@each(
    "data",
    [
        gzip.compress(NOISE.encode())[:-8] + bytes(8),
        gzip.compress(b"")[:10] + b"\x07" * 40,  # no kind of deflate block
        lzma.compress(NOISE.encode())[:200] + b"\xff" * 200,
        bz2.compress(NOISE.encode())[:200] + b"\xff" * 200,
        b"\x28\xb5\x2f\xfd" + b"\xff" * 40,
    ],
)
def test_a_damaged_compressed_file_is_an_error(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(CorpusError, match=r"text\.txt cannot be read to its end"):
        Corpus([write(tmp_path, data)]).read()


def test_no_file_is_left_open(tmp_path: Path) -> None:
    files = [write(tmp_path, PACKERS.get(kind, bytes)(b"some text"), kind) for kind in ("plain", *PACKERS)]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for file in files:
            Corpus([file]).read()
        gc.collect()
    assert [str(warning.message) for warning in caught] == []


# Standard input


@each("kind", ["plain", *PACKERS])
def test_standard_input_is_read_from_a_pipe(kind: str) -> None:
    data = ("\ufeff" + MIXED).encode()
    out = piped("c = corpus.Corpus(['-']); out(c.read().encode())", PACKERS.get(kind, bytes)(data))
    assert out.decode() == normalised(MIXED)


def test_standard_input_joins_files_and_stays_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path, "file, ", "file.txt")
    with replace_stdin(monkeypatch, write(tmp_path, "stdin, ", "stdin.txt")) as stdin:
        assert Corpus([file, "-", file]).read() == "file, stdin, file, "
        assert not stdin.closed
        assert os.fstat(stdin.fileno())


def test_a_fault_in_standard_input_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = replace_stdin(monkeypatch, write(tmp_path, b"abc\xff"))
    with stdin, pytest.raises(CorpusError, match=r"^- is not UTF-8: byte 3 "):
        Corpus(["-"]).read()


def test_standard_input_is_kept_whole(tmp_path: Path) -> None:
    data = bytes(range(256)) * 3
    code = f"from pathlib import Path; corpus.CHUNK_BYTES = 100; corpus.keep_stdin(Path({str(tmp_path / 'kept')!r}))"
    piped(code, data)
    assert (tmp_path / "kept").read_bytes() == data


def test_a_kept_standard_input_is_a_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with replace_stdin(monkeypatch, write(tmp_path, gzip.compress(MIXED.encode()))):
        keep_stdin(tmp_path / "kept")
    corpus = Corpus([str(tmp_path / "kept")])
    assert corpus.survey().chars == len(MIXED)
    assert corpus.read() == normalised(MIXED)


# What is not there


def test_a_folder_is_refused_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"is a folder: .*/\*\.txt"):
        Corpus([str(tmp_path)])


@each("source", ["missing.txt", "no/such/folder/text.txt", "", "a\0b", "x" * 300])
def test_a_missing_source_is_refused_before_anything_is_read(source: str) -> None:
    with pytest.raises(CorpusError):
        Corpus([source])


def test_a_missing_source_is_named() -> None:
    with pytest.raises(CorpusError, match="no file and no bundled corpus missing"):
        Corpus([str(Path(__file__)), "missing"])


def test_a_file_that_went_away_is_named(tmp_path: Path) -> None:
    file = write(tmp_path, "text")
    corpus = Corpus([file])
    os.remove(file)
    with pytest.raises(CorpusError, match=r"text\.txt cannot be read: No such file"):
        corpus.read()


# Bundled corpora


def test_a_bundled_corpus_is_known_by_its_name() -> None:
    file = bundled("fables")
    assert file is not None
    assert Corpus(["fables"]).read() == normalised(file.read_bytes().decode())


def test_a_file_goes_before_a_bundled_corpus_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "mine", "fables")
    monkeypatch.chdir(tmp_path)
    assert Corpus(["fables"]).read() == "mine"


@each("name", ["nothing", "", "../corpora/fables", "/etc/hostname", "fables.txt"])
def test_other_names_are_no_bundled_corpora(name: str) -> None:
    assert bundled(name) is None
