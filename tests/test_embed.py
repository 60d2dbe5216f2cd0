"""States as features: against the network one token at a time, and in every file that they are written to."""

import sys
from functools import cache
from io import TextIOWrapper
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file

from charrnn import api
from charrnn.analysis import embeddings
from charrnn.analysis.embeddings import Vectors, embed, features
from charrnn.analysis.steps import embed as vectors_of
from charrnn.analysis.steps import step
from charrnn.api.embedding import embeddings as rows_of
from charrnn.config import ModelConfig
from charrnn.config.verbs import UNITS
from charrnn.errors import ConfigError, VocabularyError
from charrnn.inference.engine import open_engine
from charrnn.models.ensemble import Network, build
from charrnn.models.language_model import LanguageModel
from charrnn.storage.vectors import FORMATS, Rows, vectors_file
from charrnn.text.alignment import Alignment
from charrnn.text.spans import PIECES, Spans, spans
from charrnn.text.tokenizers import Tokenizer
from charrnn.text.tokenizers.byte import ByteTokenizer
from charrnn.text.tokenizers.char import CharTokenizer
from charrnn.text.tokenizers.subword import SubwordTokenizer

from .cases import each
from .conftest import CommandLine
from .test_bidirectional import one_way

LETTERS = CharTokenizer(" abcdef")
TEXTS = ["ab cab", "", "d", "fade  bead face a", " bad ", "abcdefabcdef"]


@cache
def network(**fields: Any) -> Network:
    chosen: dict[str, Any] = {"vocab_size": 7, "start_id": 7, "embedding": 4, "hidden": 5, "layers": 2, "cell": "gru"}
    model = build(ModelConfig(**(chosen | fields))).eval()
    model.initialise(torch.Generator().manual_seed(3))
    return model


@cache
def one_direction(model: LanguageModel, backwards: bool) -> LanguageModel:
    return one_way(model, "backwards" if backwards else "forwards") if model.config.bidirectional else model


@cache
def one_by_one(model: LanguageModel, *ids: int) -> list[Vectors]:
    """h of each layer (T + 1, H), behind the start id and each token: one token at a time."""
    states, seen = model.initial_states(1), list[list[npt.NDArray[np.float32]]]()
    with torch.no_grad():
        for token in [model.config.start_id, *ids]:
            _, states = step(model, vectors_of(model, torch.tensor([token])), states)
            seen.append([state[0][0].numpy() for state in states])
    return [np.stack(layer) for layer in zip(*seen, strict=True)]


def twin(model: Network, text: str, per: str, layer: int | str | None, pool: str) -> list[npt.NDArray[np.float32]]:
    """The vectors of a text, piece after piece, read off states that are all there."""
    config, ids, whole = model.config, LETTERS.encode(text).tolist(), []
    for backwards in (False, True)[: 1 + config.bidirectional]:
        for one in model.models:
            reader = one_direction(one, backwards)
            layers = one_by_one(reader, *(ids[::-1] if backwards else ids))
            for number, states in enumerate(layers, 1):
                if number == (layer or len(layers)) or layer == "all":
                    # Behind character i, read from where this direction begins; the start id's own state comes first.
                    whole.append((states[0], states[1:][::-1] if backwards else states[1:], backwards))
    if per == "line":
        pieces = [(0, len(text))]
    elif per == "word":
        ends = [at for at in range(1, len(text) + 1) if text[at - 1] != " " and text[at : at + 1] in ("", " ")]
        pieces = [(text.rfind(" ", 0, end) + 1, end) for end in ends]
    else:
        pieces = [(at, at + 1) for at in range(len(text))]
    found = []
    for begin, end in pieces:
        parts = []
        for start, states, backwards in whole:
            if begin == end:
                parts.append(start)
            elif pool == "mean":
                parts.append(states[begin:end].mean(axis=0))
            else:
                parts.append(states[begin] if backwards else states[end - 1])
        found.append(np.concatenate(parts))
    return found


@each("fields", [{}, {"bidirectional": True}, {"ensemble": 2, "bidirectional": True}, {"skip": "residual"}])
@each("per", ["line", "word", "char"])
@each("layer, pool", [*product((None, 1, "all"), ("mean", "last"))])
def test_vectors_are_those_of_one_token_at_a_time(
    fields: dict[str, Any], per: str, layer: int | str | None, pool: str
) -> None:
    model = network(**fields)
    ids = [LETTERS.encode(text) for text in TEXTS]
    pieces = [spans(Alignment(LETTERS), text, own, per) for text, own in zip(TEXTS, ids, strict=True)]
    found = embed(model, ids, pieces, layer=layer, pool=pool, batch_size=4, window=5)
    expected = [vector for text in TEXTS for vector in twin(model, text, per, layer, pool)]
    assert found.dtype == np.float32 and found.shape == (len(expected), features(model.config, layer))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_word_has_the_state_behind_it_and_the_one_before_it() -> None:
    """Akbik et al. 2018: each direction has read the word, and what stands on its own side of it."""
    model = network(bidirectional=True)

    def words(text: str) -> Vectors:
        ids = LETTERS.encode(text)
        return embed(model, [ids], [spans(Alignment(LETTERS), text, ids, "word")], pool="last")

    before, changed_behind, changed_before = words("ab cab ad"), words("ab cab fe"), words("da cab ad")
    half = before.shape[1] // 2
    np.testing.assert_array_equal(before[1, :half], changed_behind[1, :half])
    np.testing.assert_array_equal(before[1, half:], changed_before[1, half:])
    assert np.abs(before[1, :half] - changed_before[1, :half]).max() > 1e-3
    assert np.abs(before[1, half:] - changed_behind[1, half:]).max() > 1e-3


def test_company_order_and_windows_change_nothing() -> None:
    model = network(bidirectional=True, ensemble=2, cell="lstm")
    ids = [LETTERS.encode(text) for text in TEXTS]
    pieces = [spans(Alignment(LETTERS), text, own, "word") for text, own in zip(TEXTS, ids, strict=True)]
    alone = [embed(model, [own], [piece]) for own, piece in zip(ids, pieces, strict=True)]
    for batch_size, window in ((1, 256), (3, 2), (64, 1)):
        together = embed(model, ids, pieces, batch_size=batch_size, window=window)
        np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-6)
    backwards = embed(model, ids[::-1], pieces[::-1])
    np.testing.assert_allclose(backwards, np.concatenate(alone[::-1]), atol=1e-6)
    assert not model.training and embed(model.train(), ids, pieces).size and model.training


def test_a_character_that_is_unknown_is_read_as_the_start_id() -> None:
    model, known = network(), np.array([0, 7, 2], np.int32)
    piece = Spans(np.array([0]), np.array([3]), np.array([0]), np.array([3]))
    np.testing.assert_array_equal(
        embed(model, [np.array([0, 8, 2], np.int32)], [piece]), embed(model, [known], [piece])
    )


@each("layer", [0, 3, -1, "last"])
def test_a_layer_that_is_not_there_is_refused(layer: int | str) -> None:
    with pytest.raises(ConfigError, match="`layer` must be from 1 to 2, or all, not"):
        features(network().config, layer)


# -- where pieces stand ----------------------------------------------------------------------------------------------


def test_pieces_are_those_that_the_command_line_names() -> None:
    assert tuple(PIECES) == UNITS


def pieces_of(tokenizer: Tokenizer, text: str, per: str) -> list[tuple[str, list[int]]]:
    """Each piece as text and the tokens that it is made of."""
    ids = tokenizer.encode(text)
    found = spans(Alignment(tokenizer), text, ids, per)
    rows = zip(found.begins, found.ends, found.firsts, found.stops, strict=True)
    return [(text[begin:end], ids[first:stop].tolist()) for begin, end, first, stop in rows]


@each("text", ["", "  ", "nine  geese\u2003und Gänse 🪿\tда", "\u2581a\u2581", "a" * 40])
@each(
    "tokenizer", [CharTokenizer(" \tabcdefghinrsuuä🪿да\u2003\u2581G".replace("uu", "u")), ByteTokenizer(), "subword"]
)
def test_pieces_are_made_of_the_tokens_that_hold_them(text: str, tokenizer: Any, pieces: SubwordTokenizer) -> None:
    tokenizer = pieces if tokenizer == "subword" else tokenizer
    assert pieces_of(tokenizer, text, "line") == [(text, tokenizer.encode(text).tolist())]
    assert [word for word, _ in pieces_of(tokenizer, text, "word")] == text.split()
    assert [character for character, _ in pieces_of(tokenizer, text, "char")] == list(text)
    for part, tokens in [*pieces_of(tokenizer, text, "word"), *pieces_of(tokenizer, text, "char")]:
        # Its own bytes are in there, and no token too many: without the first or the last it would be cut.
        assert part in tokenizer.decode(tokens)
        if len(tokens) > 1:
            assert part not in tokenizer.decode(tokens[1:]) and part not in tokenizer.decode(tokens[:-1])
    whole = pieces_of(tokenizer, text, "token")
    assert [token for _, own in whole for token in own] == tokenizer.encode(text).tolist()
    assert all(len(own) == 1 and tokenizer.decode(own).strip("\ufffd") in part for part, own in whole)


@pytest.fixture(scope="module")
def pieces(prose: str) -> SubwordTokenizer:
    return SubwordTokenizer.train([prose], 400)


def test_bytes_that_are_no_text_are_counted_as_one_each() -> None:
    text = b"a\xff \xc3\xa4\xfe".decode("utf-8", "surrogateescape")
    assert [len(tokens) for _, tokens in pieces_of(ByteTokenizer(), text, "char")] == [1, 1, 1, 2, 1]


# -- texts -----------------------------------------------------------------------------------------------------------


def test_a_text_is_taken_line_by_line_and_texts_whole(trained: Path, tmp_path: Path) -> None:
    model = api.load("small", checkpoints=trained)
    (tmp_path / "t.txt").write_bytes(b"the fox\r\n\r\nsat\r\n")
    lines = model.embed(tmp_path / "t.txt")
    assert lines.shape == (3, 16)
    np.testing.assert_array_equal(lines, model.embed("the fox\n\nsat"))
    np.testing.assert_array_equal(lines, model.embed(text for text in ("the fox", "", "sat")))
    assert model.embed(["the fox\n\nsat"]).shape == (1, 16)
    assert model.embed("", per="word").shape == model.embed([]).shape == (0, 16)
    words = model.embed("the fox\nsat", per="word", pool="last")
    characters = model.embed("the fox\nsat", per="char")
    np.testing.assert_array_equal(words, characters[[2, 6, 9]])
    with pytest.raises(ConfigError, match="`texts` must hold"):
        model.embed([1, 2])  # type: ignore[list-item]
    with pytest.raises(ConfigError, match="`pool` means nothing beside `per='char'`"):
        model.embed("a", per="char", pool="last")


def test_what_is_missing_is_told_by_its_place_in_the_text(trained: Path) -> None:
    model = api.load("small", checkpoints=trained)
    with pytest.raises(VocabularyError, match="at line 3, column 2"):
        model.embed("the fox\n\naщ")
    assert np.isfinite(model.embed("the fox\n\naщ", unknown=True)).all()


def test_rows_say_what_they_stand_for_however_the_text_is_cut(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, text = api.load("small", checkpoints=trained), "the fox sat\n\n on  a wall\nand"
    (whole,) = rows_of(model, text, per="word")
    assert whole.lines.tolist() == [1, 1, 1, 3, 3, 3, 4]
    assert [*zip(whole.begins.tolist(), whole.ends.tolist(), strict=True)][3:5] == [(1, 3), (5, 6)]
    assert whole.texts == text.split()
    monkeypatch.setattr("charrnn.api.embedding.CHARS_AT_ONCE", 1)
    parts = [*rows_of(model, text, per="word")]
    assert len(parts) == 4 and [word for part in parts for word in part.texts] == whole.texts
    np.testing.assert_allclose(np.concatenate([part.vectors for part in parts]), whole.vectors, atol=1e-6)


def test_states_are_never_all_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embeddings, "FLOATS_AT_ONCE", 100)
    model, text, seen = network(), LETTERS.encode("abcd ef" * 100), list[int]()
    add_up = embeddings.sums

    def watched(states: Vectors, *where: Any) -> Vectors:
        seen.append(states.size)
        return add_up(states, *where)

    monkeypatch.setattr(embeddings, "sums", watched)
    piece = spans(Alignment(LETTERS), "abcd ef" * 100, text, "line")
    found = embed(model, [text], [piece])
    monkeypatch.undo()
    assert len(seen) > 30 and max(seen) <= 100
    np.testing.assert_allclose(found, embed(model, [text], [piece]), atol=1e-6)


# -- files -----------------------------------------------------------------------------------------------------------


def rows(count: int, first: int = 0) -> Rows:
    numbers = np.arange(first, first + count)
    vectors = np.stack([numbers, numbers / 7, -numbers], axis=1).astype(np.float32)
    return Rows(vectors, numbers + 1, 2 * numbers, 3 * numbers, [f"w{number}" for number in numbers])


@each("parts", [[], [0], [3], [1, 2, 9999], [100_000]])
def test_files_hold_what_was_written(tmp_path: Path, parts: list[int]) -> None:
    whole = rows(sum(parts))
    for suffix in (".npy", ".safetensors"):
        first = 0
        with vectors_file(tmp_path / f"v{suffix}", 3, {"per": "word", "model": 'a "ä"'}) as writer:
            for count in parts:
                writer.write(rows(count, first))
                first += count
    np.testing.assert_array_equal(np.load(tmp_path / "v.npy"), whole.vectors)
    assert np.load(tmp_path / "v.npy", mmap_mode="r").shape == (len(whole.texts), 3)
    tensors = load_file(tmp_path / "v.safetensors")
    for name, expected in {
        "vectors": whole.vectors, "line": whole.lines, "start": whole.begins, "end": whole.ends,
    }.items():  # fmt: skip
        np.testing.assert_array_equal(tensors[name], expected)
    with safe_open(tmp_path / "v.safetensors", "np") as file:
        assert file.metadata() == {"per": "word", "model": 'a "ä"'}


def test_what_stood_there_stays_when_something_goes_wrong(tmp_path: Path) -> None:
    path = tmp_path / "v.npy"
    path.write_bytes(b"old")
    with pytest.raises(KeyError), vectors_file(path, 3, {}) as writer:
        writer.write(rows(2))
        raise KeyError
    assert path.read_bytes() == b"old" and [*tmp_path.iterdir()] == [path]


# -- the command -----------------------------------------------------------------------------------------------------


def test_vectors_of_a_file_with_their_index(charrnn: CommandLine, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("the fox\n\nsat on a wall\n", encoding="utf-8")
    where = ["-m", "small", "--checkpoints", str(trained)]
    done = charrnn("embed", "t.txt", "--per", "word", "-o", "w.npy", "--index", "w.tsv", *where)
    assert done.code == 0 and done.out == "" and "6 x 16 float32, a row for each word: w.npy" in done.err
    expected = api.load("small", checkpoints=trained).embed(tmp_path / "t.txt", per="word")
    np.testing.assert_array_equal(np.load(tmp_path / "w.npy"), expected)
    table = (tmp_path / "w.tsv").read_text("utf-8").splitlines()
    assert table[:2] == ["row\tline\tstart\tend\ttext", "0\t1\t0\t3\tthe"] and table[-1] == "5\t3\t9\t13\twall"
    assert charrnn("embed", "t.txt", "--per", "word", "-o", "w.safetensors", "-q", *where).err == ""
    tensors = load_file(tmp_path / "w.safetensors")
    np.testing.assert_array_equal(tensors["vectors"], expected)
    assert tensors["line"].tolist() == [1, 1, 3, 3, 3, 3] and tensors["end"].tolist() == [3, 7, 3, 6, 8, 13]
    with safe_open(tmp_path / "w.safetensors", "np") as file:
        assert file.metadata() == {"model": "small", "per": "word", "layer": "1", "pool": "mean"}


def test_the_index_escapes_what_would_break_its_lines(charrnn: CommandLine, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("a\t\\\n", encoding="utf-8")
    where = ["--per", "char", "--unk", "-m", "small", "--checkpoints", str(trained)]
    assert charrnn("embed", "t.txt", "-o", "t.npy", "--index", "t.tsv", *where).code == 0
    texts = [line.split("\t")[4] for line in (tmp_path / "t.tsv").read_text("utf-8").splitlines()]
    assert texts == ["text", "a", "\\t", "\\\\"]


def test_stdout_is_a_file_of_numpys_where_none_is_named(
    charrnn: CommandLine, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "t.txt").write_text("the fox\nsat\n", encoding="utf-8")
    where = ["-m", "small", "--checkpoints", str(trained)]
    assert charrnn("embed", "t.txt", "-o", "t.npy", *where).code == 0
    with (
        open(tmp_path / "piped.npy", "wb") as raw,
        TextIOWrapper(raw) as piped,
        open(tmp_path / "t.txt", encoding="utf-8") as given,
        monkeypatch.context() as streams,
    ):
        streams.setattr(sys, "stdout", piped)
        streams.setattr(sys, "stdin", given)
        assert charrnn("embed", *where).code == 0
        piped.flush()
        assert (tmp_path / "piped.npy").read_bytes() == (tmp_path / "t.npy").read_bytes()
        streams.setattr(piped, "isatty", lambda: True)
        refused = charrnn("embed", "t.txt", *where)
    assert refused.code == 2 and "name a file with --output, or pipe them" in refused.err


def test_wrong_usage_is_told_in_one_line(
    charrnn: CommandLine, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "t.txt").write_text("the щ\n", encoding="utf-8")
    where = ["-m", "small", "--checkpoints", str(trained)]
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for line, code, words in (
        ("t.txt -o t.txt", 2, f"--output must end in {', '.join(FORMATS)}, not '.txt'"),
        ("t.txt -o t.parquet", 1, "Parquet is written by pyarrow, which is not installed"),
        ("-o t.npy", 2, "there is no text: name a file, or pipe one in"),
        ("t.txt -o t.npy --layer 2", 2, "--layer must be 1, or all, not 2"),
        ("t.txt -o t.npy --layer two", 2, "--layer must be a number, 1 the first, or all, not 'two'"),
        ("t.txt -o t.npy --per char --pool last", 2, "--pool means nothing beside --per char"),
        ("t.txt -o t.npy", 1, "column 5): it was not in the training text; --unk reads it"),
        ("t.txt -o t.npy --index t.npy", 2, "--index is a file beside --output: give it another name"),
        ("none.txt -o t.npy", 1, "there is no file none.txt"),
        ("t.txt -o no/such/t.npy --unk", 1, "No such file or directory: "),
    ):
        done = charrnn("embed", *line.split(), "-q", *where)
        assert done.code == code and done.out == "", (line, done)
        assert words in done.err and len(done.err.splitlines()) == 1, (line, done.err)
    assert [path.name for path in tmp_path.iterdir()] == ["t.txt"]


def test_the_engine_of_generation_has_the_same_states(trained: Path) -> None:
    """A second twin, which shares no line with torch's: NumPy's engine, in fp32."""
    model = api.load("small", checkpoints=trained)
    engine = open_engine(model.config, model.weights)
    _, state = engine.prime(np.array([model.config.start_id, *model.tokenizer.encode("the fox")], np.int64))
    np.testing.assert_allclose(model.embed(["the fox"], pool="last")[0], state.layers[-1][0][0], atol=1e-5)
