"""Where texts come from: files, compressed or not, standard input, pipes, bundled corpora; what is none of them."""

import bz2
import gc
import gzip
import hashlib
import io
import lzma
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.errors import CorpusError
from charrnn.text import sources as module
from charrnn.text import stretches
from charrnn.text.corpus import Corpus
from charrnn.text.sources import bundled, keep, read_once

from .cases import each
from .test_corpus import MIXED, counts, naive_counts, normalised, write

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "xz": lzma.compress,
    "bz2": bz2.compress,
    "zst": zstd.compress,
}


def replace_stdin(monkeypatch: pytest.MonkeyPatch, file: str) -> io.TextIOWrapper:
    stdin = open(file)  # noqa: SIM115
    monkeypatch.setattr(sys, "stdin", stdin)
    return stdin


def piped(code: str, data: bytes) -> bytes:
    head = "import sys; from charrnn.text import sources; from charrnn.text.corpus import Corpus\n"
    head += "out = sys.stdout.buffer.write\n"
    return subprocess.run([sys.executable, "-c", head + code], input=data, capture_output=True, check=True).stdout


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
    monkeypatch.setattr(stretches, "CHUNK_BYTES", 7)
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


@each("rest", [b"trailing bytes", b"\x1f", b"\x1f\x8a", b"\n"])
@each("block", [2, 3, 7, 1 << 20])
def test_what_follows_a_gzip_file_and_is_none_is_left_out_and_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rest: bytes, block: int
) -> None:
    monkeypatch.setattr(module, "BLOCK", block)
    corpus = Corpus([write(tmp_path, gzip.compress(b"one ") + gzip.compress(b"two") + rest)])
    assert corpus.read() == "one two"
    assert [note.split(": ")[1] for note in corpus.statistics.notes] == [
        "what follows the compressed text is none of it, and is left out"
    ]
    assert Corpus([write(tmp_path, gzip.compress(NOISE.encode()) + bytes(512))]).survey().notes == []


@settings(deadline=None, max_examples=60)
@given(texts=st.lists(st.text("ab\n", max_size=2000), min_size=1, max_size=4), block=st.integers(2, 99))
def test_gzip_is_read_as_the_library_reads_it(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], block: int
) -> None:
    data = b"".join(gzip.compress(text.encode()) for text in texts)
    file = write(tmp_path_factory.getbasetemp(), data, "members.gz")
    patch = pytest.MonkeyPatch()
    patch.setattr(module, "BLOCK", block)
    try:
        assert Corpus([file]).read().encode() == gzip.decompress(data)
    finally:
        patch.undo()


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
    out = piped("c = Corpus(['-']); out(c.read().encode())", PACKERS.get(kind, bytes)(data))
    assert out.decode() == normalised(MIXED)


def test_standard_input_joins_files_and_stays_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path, "file, ", "file.txt")
    with replace_stdin(monkeypatch, write(tmp_path, "stdin, ", "stdin.txt")) as stdin:
        assert Corpus([file, "-", file]).read() == "file, stdin, file, "
        assert not stdin.closed
        assert os.fstat(stdin.fileno())


def test_a_fault_in_standard_input_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = replace_stdin(monkeypatch, write(tmp_path, b"abc\xff"))
    with stdin, pytest.raises(CorpusError, match=r"^standard input is not UTF-8: byte 3 "):
        Corpus(["-"]).read()


def test_standard_input_is_kept_whole(tmp_path: Path) -> None:
    data = bytes(range(256)) * 3
    piped(f"from pathlib import Path; sources.BLOCK = 100; sources.keep('-', Path({str(tmp_path / 'kept')!r}))", data)
    assert (tmp_path / "kept").read_bytes() == data


def test_a_kept_standard_input_is_a_corpus_and_keeps_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with replace_stdin(monkeypatch, write(tmp_path, gzip.compress(MIXED.encode()))):
        keep("-", tmp_path / "kept")
    corpus = Corpus([str(tmp_path / "kept")], names=["-"])
    assert corpus.survey().chars == len(MIXED)
    assert corpus.read() == normalised(MIXED)
    assert corpus.statistics.notes == ["standard input: 2 CR LF and 2 CR line ends read as LF"]
    with pytest.raises(CorpusError, match=r"^standard input holds no text$"):
        Corpus([write(tmp_path, "", "kept")], names=["-"]).survey()


def test_a_closed_standard_input_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    for use in (Corpus(["-"]).read, lambda: keep("-", tmp_path / "kept")):
        with pytest.raises(CorpusError, match=r"^standard input is closed"):
            use()


def test_what_can_be_read_once_is_known_and_kept(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    file = write(tmp_path, "text")
    assert [*map(read_once, ["-", str(tmp_path / "pipe"), os.devnull, file, "fables", "a\0b", str(tmp_path)])] == [
        True, True, True, False, False, False, False
    ]  # fmt: skip
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=[MIXED.encode()])
    writer.start()
    keep(str(tmp_path / "pipe"), tmp_path / "kept")
    writer.join()
    assert (tmp_path / "kept").read_bytes() == MIXED.encode()


# What is not there


def test_a_folder_and_a_pattern_are_the_files_that_they_name_in_order(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt", "deep/c.txt", ".hidden.txt", "d.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name, encoding="utf-8")
    assert Corpus([str(tmp_path)]).read() == "a.txtb.txtd.mddeep/c.txt"
    assert Corpus([str(tmp_path / "*.txt"), str(tmp_path / "d.md")]).read() == "a.txtb.txtd.md"
    assert Corpus([str(tmp_path / "**" / "*.txt")]).read() == "a.txtb.txtdeep/c.txt"
    (tmp_path / "odd[1].txt").write_text("odd", encoding="utf-8")
    assert Corpus([str(tmp_path / "odd[1].txt")]).read() == "odd", "a file's name is no pattern"
    (tmp_path / "empty").mkdir()
    with pytest.raises(CorpusError, match=r"the folder .*empty holds no file"):
        Corpus([str(tmp_path / "empty")])
    with pytest.raises(CorpusError, match=r"no file is like .*\*\.zst"):
        Corpus([str(tmp_path / "*.zst")])


@each("source", ["missing.txt", "no/such/folder/text.txt", "", "a\0b", "x" * 300, "é" * 200, "two\nlines", "x" * 5000])
def test_a_missing_source_is_refused_before_anything_is_read(source: str) -> None:
    with pytest.raises(CorpusError) as caught:
        Corpus([source])
    assert len(str(caught.value)) < 450


def test_a_missing_source_is_named_and_so_are_the_bundled_corpora_where_one_was_meant() -> None:
    with pytest.raises(CorpusError, match=r"^there is no file missing; bundled corpora are fables, names, river$"):
        Corpus([str(Path(__file__)), "missing"])
    for source in ("missing", "fables"):
        with pytest.raises(CorpusError, match=f"^there is no file {source}$"):
            Corpus([source], corpora=False)


def test_an_empty_name_and_a_text_in_place_of_a_name_are_told() -> None:
    with pytest.raises(CorpusError, match="empty name"):
        Corpus([""])
    with pytest.raises(CorpusError, match="name the file that holds the text, not the text itself"):
        Corpus(["Once upon a time\nthere was"])


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


def test_a_folder_of_its_name_does_not_hide_a_bundled_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fables").mkdir()
    monkeypatch.chdir(tmp_path)
    assert Corpus(["fables"]).read() == normalised((bundled("fables") or tmp_path).read_bytes().decode())


@each("name", ["nothing", "", "../corpora/fables", "/etc/hostname", "fables.txt"])
def test_other_names_are_no_bundled_corpora(name: str) -> None:
    assert bundled(name) is None
