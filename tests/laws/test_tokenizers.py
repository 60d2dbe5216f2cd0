"""What holds of every tokenizer: nothing is lost, by whole texts or token by token."""

import base64
import io
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.errors import CheckpointError, ConfigError, CorpusError, VocabularyError
from charrnn.text.tokenizers import TOKENIZERS, Tokenizer, from_spec, tokenizer_class, train_tokenizer
from charrnn.text.tokenizers import subword as module
from charrnn.text.tokenizers.byte import BytePieces, ByteTokenizer
from charrnn.text.tokenizers.char import CharTokenizer, code_points
from charrnn.text.tokenizers.subword import SPACE, SubwordTokenizer

from ..cases import each

SAMPLES = {
    "Bengali": "আমার সোনার বাংলা, আমি তোমায় ভালোবাসি।\n",
    "Polish": "Zażółć gęślą jaźń. Pchnąć w tę łódź jeża!\n",
    "Russian": "Съешь же ещё этих мягких французских булок.\n",
    "Chinese": "道可道，非常道。名可名，非常名。\n",
    "emoji": "👩‍👩‍👧‍👦 🇧🇩 👍🏽 e\u0301 ❤️\n",
    "spaces": "  two  spaces,\ta tab,\u00a0one that does not break,\u3000one wide  \n\n \n",
    "line ends": "a\r\nb\rc\u2028d\u2029e\x85f\x0bg\x0ch\n",
    "specials": "<unk> <s> </s> <0x41> <0x0A> \ufffd \ufeff\ufffe \u2585 \0 \x7f\n",
    "space signs": f"{SPACE} {SPACE}{SPACE} a{SPACE}b\n{SPACE}\n",
    "no line end": "the end",
    "empty": "",
    "newlines": "\n\n\n",
}
TRAINING = "".join(SAMPLES[name] for name in ("Bengali", "Polish", "Russian", "specials", "spaces")) * 20

kinds = each("kind", TOKENIZERS)
byte_kinds = each("kind", [kind for kind in TOKENIZERS if issubclass(tokenizer_class(kind), BytePieces)])
TRICKY = st.lists(
    st.sampled_from(["a", "b", " ", "\n", "\r", "\t", "\0", SPACE, "<unk>", "<0x41>", "é", "🙂", "\ufffd"]), max_size=30
).map("".join)
TEXTS = st.text(max_size=60) | TRICKY


@cache
def learned(kind: str) -> Tokenizer:
    return train_tokenizer(kind, [TRAINING], 600)


def subword() -> SubwordTokenizer:
    tokenizer = learned("subword")
    assert isinstance(tokenizer, SubwordTokenizer)
    return tokenizer


def made_for(kind: str, text: str) -> Tokenizer:
    """A tokenizer that holds this text."""
    return learned(kind).extended([text])


def assert_lossless(tokenizer: Tokenizer, text: str) -> None:
    tokens = tokenizer.encode(text)
    assert tokens.dtype == np.int32
    assert tokens.ndim == 1
    assert not tokens.size or (tokens.min() >= 0 and tokens.max() < tokenizer.size)
    assert tokenizer.decode(tokens.tolist()) == text
    assert tokenizer.decode(tokens) == text


def streamed(tokenizer: Tokenizer, tokens: list[int]) -> list[str]:
    detokenizer = tokenizer.detokenizer()
    return [*(detokenizer.push(token) for token in tokens), detokenizer.finish()]


# The round trip


@kinds
@settings(deadline=None, max_examples=120)
@given(text=TEXTS)
def test_decoding_what_was_encoded_gives_the_text(kind: str, text: str) -> None:
    assert_lossless(made_for(kind, text), text)


@kinds
@each("name", SAMPLES)
def test_the_samples_survive(kind: str, name: str) -> None:
    assert_lossless(made_for(kind, SAMPLES[name]), SAMPLES[name])


@kinds
def test_ten_thousand_random_code_points_survive(kind: str) -> None:
    everything = [code for code in range(0x110000) if not 0xD800 <= code <= 0xDFFF]
    text = "".join(map(chr, random.Random(0).sample(everything, 20_000)))
    assert_lossless(made_for(kind, text), text)


@settings(deadline=None, max_examples=100)
@given(text=st.text(st.characters(), max_size=40))
def test_characters_hold_even_half_surrogate_pairs(text: str) -> None:
    assert_lossless(CharTokenizer.train([text + "?"]), text)


@byte_kinds
def test_half_a_surrogate_pair_is_refused_where_there_are_bytes(kind: str) -> None:
    with pytest.raises(VocabularyError, match=r"character 3 is '\\udc00', half of a surrogate pair"):
        made_for(kind, "").encode("ab\n\udc00\ud800")


# The streaming detokenizer


@kinds
@settings(deadline=None, max_examples=150)
@given(text=TEXTS)
def test_streaming_gives_each_character_as_soon_as_it_is_whole(kind: str, text: str) -> None:
    tokenizer = made_for(kind, text)
    tokens = tokenizer.encode(text).tolist()
    parts = streamed(tokenizer, tokens)
    whole = text.encode()
    pieces = [s.encode() for s in tokenizer.symbols] if isinstance(tokenizer, CharTokenizer) else _bytes_of(tokenizer)

    assert "".join(parts) == text == tokenizer.decode(tokens)
    assert parts[-1] == ""
    for count in range(len(tokens) + 1):
        seen = whole[: sum(len(pieces[token]) for token in tokens[:count])]
        # "ignore" drops the unfinished character at the end and nothing else: the text itself is valid.
        assert "".join(parts[:count]) == seen.decode("utf-8", "ignore")


def _bytes_of(tokenizer: Tokenizer) -> list[bytes]:
    assert isinstance(tokenizer, BytePieces)
    return tokenizer.pieces


@byte_kinds
@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_streaming_equals_decoding_for_any_ids(kind: str, data: st.DataObject) -> None:
    tokenizer = made_for(kind, "")
    tokens = data.draw(st.lists(st.integers(0, tokenizer.size - 1), max_size=20))
    assert "".join(streamed(tokenizer, tokens)) == tokenizer.decode(tokens)


@byte_kinds
def test_an_unfinished_character_comes_out_at_the_end_as_a_replacement_sign(kind: str) -> None:
    tokenizer = made_for(kind, "")
    tokens = tokenizer.encode("a🙂").tolist()[:-1]
    assert "".join(streamed(tokenizer, tokens)[:-1]) == "a"
    assert streamed(tokenizer, tokens)[-1] == "\ufffd"
    assert tokenizer.decode(tokens) == "a\ufffd"


@kinds
def test_two_detokenizers_know_nothing_of_each_other(kind: str) -> None:
    tokenizer = made_for(kind, "🙂a")
    smile, letter = tokenizer.encode("🙂").tolist(), tokenizer.encode("a").tolist()
    first, second = tokenizer.detokenizer(), tokenizer.detokenizer()
    begun = "".join(first.push(token) for token in smile[:-1])
    assert "".join(second.push(token) for token in letter) == "a"
    assert begun + first.push(smile[-1]) + first.finish() == "🙂"


# Specs


@kinds
@each("name", SAMPLES)
def test_a_spec_comes_back_from_json_as_the_same_tokenizer(kind: str, name: str) -> None:
    text = SAMPLES[name]
    tokenizer = made_for(kind, text)
    again = from_spec(json.loads(json.dumps(tokenizer.spec())))
    assert type(again) is type(tokenizer)
    assert (again.kind, again.size) == (kind, tokenizer.size)
    assert again.encode(text).tolist() == tokenizer.encode(text).tolist()
    assert again.spec() == tokenizer.spec()
    assert [again.symbol(i) for i in range(again.size)] == [tokenizer.symbol(i) for i in range(again.size)]


def test_half_surrogate_pairs_in_a_vocabulary_survive_json() -> None:
    """JSON writes two halves that stand side by side like the one character they would make."""
    tokenizer = CharTokenizer.train(["\udc00 \ud800"])
    again = from_spec(json.loads(json.dumps(tokenizer.spec())))
    assert again.size == tokenizer.size == 3


@each(
    "spec",
    [
        None,
        [],
        "char",
        {},
        {"kind": "char"},
        {"kind": "char", "symbols": 3},
        {"kind": "char", "symbols": ""},
        {"kind": "char", "symbols": "aba"},
        {"kind": "word"},
        {"kind": "subword"},
        {"kind": "subword", "model": ""},
        {"kind": "subword", "model": "é"},
        {"kind": "subword", "model": "abc"},
        {"kind": "subword", "model": base64.b64encode(b"nonsense").decode()},
    ],
)
def test_anything_else_is_no_spec(spec: object) -> None:
    with pytest.raises(CheckpointError):
        from_spec(spec)


def test_a_damaged_subword_model_is_refused() -> None:
    model = base64.b64decode(subword().spec()["model"])
    for damaged in (model[: len(model) // 2], b"\xff" + model[1:]):
        with pytest.raises(CheckpointError, match="damaged"):
            SubwordTokenizer(damaged)


def test_a_subword_model_without_bytes_is_refused() -> None:
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.Train(
        sentence_iterator=iter(["ab ab ab"]), model_writer=written, model_type="char", vocab_size=6, minloglevel=2
    )
    with pytest.raises(CheckpointError, match="no byte fallback"):
        SubwordTokenizer(written.getvalue())


@kinds
def test_a_tokenizer_is_made_by_the_name_of_its_kind(kind: str) -> None:
    tokenizer = train_tokenizer(kind, [TRAINING[:500], TRAINING[500:]], 600)
    assert tokenizer.kind == kind
    assert_lossless(tokenizer, TRAINING)


def test_tokenizers_can_be_listed_without_numpy() -> None:
    listing = "import sys; from charrnn.text.tokenizers import TOKENIZERS; print(*TOKENIZERS, "
    code = listing + "*({'numpy', 'torch', 'sentencepiece'} & {*sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == list(TOKENIZERS)


@kinds
def test_a_class_is_found_by_its_kind_and_says_what_its_ids_stand_for(kind: str) -> None:
    found = tokenizer_class(kind)
    assert found.kind == kind and found.unit.endswith("s") and type(found.to_size) is bool
    assert tokenizer_class(kind) is type(learned(kind))
    sizes = {train_tokenizer(kind, [TRAINING], size).size for size in (400, 450)}
    assert sizes == {400, 450} if found.to_size else len(sizes) == 1


@kinds
@settings(deadline=None, max_examples=50)
@given(text=TEXTS, more=TEXTS)
def test_an_extended_tokenizer_holds_both_texts_and_finds_its_old_symbols(kind: str, text: str, more: str) -> None:
    tokenizer = made_for(kind, text)
    larger = tokenizer.extended(iter([more[:3], more[3:]]))
    assert type(larger) is type(tokenizer) and larger.size >= tokenizer.size
    assert_lossless(larger, text + more)
    ids = tokenizer.ids_in(larger)
    assert ids.shape == (tokenizer.size,) and len(set(ids.tolist())) == tokenizer.size
    assert [larger.symbol(i) for i in ids.tolist()] == [tokenizer.symbol(i) for i in range(tokenizer.size)]


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match="'word'"):
        train_tokenizer("word", ["a"], 100)


# Characters


@settings(deadline=None, max_examples=100)
@given(pieces=st.lists(st.text(max_size=20), max_size=5))
def test_a_character_vocabulary_is_the_sorted_set_of_its_text(pieces: list[str]) -> None:
    tokenizer = CharTokenizer.train([*pieces, "?"])
    assert list(tokenizer.symbols) == sorted(set("".join(pieces) + "?"))
    assert tokenizer.size == len(tokenizer.symbols)
    assert [tokenizer.symbol(i) for i in range(tokenizer.size)] == list(tokenizer.symbols)
    assert tokenizer.encode(tokenizer.symbols).tolist() == list(range(tokenizer.size))


@settings(deadline=None, max_examples=50)
@given(text=st.text(st.characters(), max_size=40))
def test_code_points_are_what_ord_says(text: str) -> None:
    assert code_points(text).tolist() == [ord(character) for character in text]


@each("symbols", ["", "aa", "aba"])
def test_a_character_vocabulary_must_be_distinct_and_not_empty(symbols: str) -> None:
    with pytest.raises(CheckpointError):
        CharTokenizer(symbols)


@each(
    "text, count, place",
    [
        ("X", 1, "line 1, column 1"),
        ("abX", 1, "line 1, column 3"),
        ("\nX", 1, "line 2, column 1"),
        ("ab\n\nbXaX\nX", 3, "line 3, column 2"),
        ("ab\nXaX", 2, "line 2, column 1"),
    ],
)
def test_the_first_unknown_character_is_named_with_its_line_and_column(text: str, count: int, place: str) -> None:
    with pytest.raises(VocabularyError, match=rf"'X' \({count} in the text, the first at {place}\)"):
        CharTokenizer("ab\n").encode(text)


def test_at_most_eight_unknown_characters_are_named() -> None:
    tokenizer = CharTokenizer("a")
    with pytest.raises(VocabularyError, match=r"no '1', '2', '3', '4', '5', '6', '7', '8' \(9 in the text"):
        tokenizer.encode("876543211")
    with pytest.raises(VocabularyError, match=r"no '1', '2', '3', '4', '5', '6', '7', '8', … \(9 in the text"):
        tokenizer.encode("987654321")


def test_unknown_characters_get_the_second_id_beyond_the_vocabulary_when_asked() -> None:
    assert CharTokenizer("ab").encode("aXb🙂\U0010ffff", unknown=True).tolist() == [0, 3, 1, 3, 3]


@byte_kinds
def test_bytes_never_meet_an_unknown_character(kind: str) -> None:
    tokenizer = made_for(kind, "")
    text = "海🙂\U0010ffff"
    assert tokenizer.encode(text, unknown=True).tolist() == tokenizer.encode(text).tolist()


# Bytes


@settings(deadline=None, max_examples=50)
@given(text=TEXTS)
def test_the_ids_of_bytes_are_the_bytes(text: str) -> None:
    assert ByteTokenizer().encode(text).tolist() == list(text.encode())


@byte_kinds
def test_a_piece_that_is_no_text_is_shown_by_its_bytes(kind: str) -> None:
    tokenizer = made_for(kind, "")
    pieces = _bytes_of(tokenizer)
    assert tokenizer.symbol(pieces.index(b"A")) == "A"
    assert tokenizer.symbol(pieces.index(b"\xe2")) == "<E2>"


# Subwords


def test_subwords_hold_all_bytes_and_pieces_longer_than_a_character() -> None:
    tokenizer = subword()
    assert {bytes([byte]) for byte in range(256)} <= set(tokenizer.pieces)
    assert len(tokenizer.pieces) == tokenizer.size
    assert tokenizer.encode(TRAINING).size < len(TRAINING) / 2


def test_a_vocabulary_has_the_size_that_was_asked_for_where_the_text_allows() -> None:
    words = "".join(f"{random.Random(i).getrandbits(30):x} " for i in range(500))
    for size in (300, 350):
        assert SubwordTokenizer.train([words], size).size == size
    assert SubwordTokenizer.train(["ab ab\n"], 5000).size < 300


@settings(deadline=None, max_examples=100)
@given(text=TRICKY)
def test_a_newline_is_always_a_piece_of_its_own(text: str) -> None:
    tokenizer = subword()
    newlines = {tokenizer.encode("\n").item()}
    with_newline = [token for token, piece in enumerate(tokenizer.pieces) if b"\n" in piece]
    # Its byte, for fallback, and the piece that is used.
    assert [tokenizer.pieces[token] for token in with_newline] == [b"\n", b"\n"]
    tokens = tokenizer.encode(text).tolist()
    assert [token for token in tokens if token in with_newline] == list(newlines) * text.count("\n")


@settings(deadline=None, max_examples=100)
@given(first=TEXTS, second=TEXTS)
def test_lines_are_encoded_one_by_one(first: str, second: str) -> None:
    tokenizer = subword()
    assert (
        tokenizer.encode(first + "\n" + second).tolist()
        == tokenizer.encode(first + "\n").tolist() + tokenizer.encode(second).tolist()
    )


@settings(deadline=None, max_examples=100)
@given(text=st.text(f"ab \n{SPACE}", max_size=30))
def test_the_sign_that_stands_for_a_space_inside_survives(text: str) -> None:
    trained_on_it = SubwordTokenizer.train([f"a{SPACE}b {SPACE}a\n" * 30], 300)
    for tokenizer in (subword(), trained_on_it):
        assert_lossless(tokenizer, text)
        assert tokenizer.encode(SPACE).tolist() != tokenizer.encode(" ").tolist()


def test_nothing_is_put_in_front_of_a_text() -> None:
    """A prompt must go on where the text before it stopped."""
    tokenizer = subword()
    assert tokenizer.pieces[tokenizer.encode("a")[0]] == b"a"
    assert tokenizer.encode(" ").size == 1


@each("marker", ["<unk>", "<0x41>", "<s>", "</s>", f"{SPACE}<unk>"])
def test_a_corpus_full_of_a_name_that_sentencepiece_keeps_for_itself_survives(marker: str) -> None:
    text = f"{marker} of {marker}{marker}\nA {marker}\n" * 200
    assert_lossless(SubwordTokenizer.train([text], 320), text)


@each("text", ["ab ab\nab\n", TRAINING, "a", f"a{SPACE} b"])
def test_a_vocabulary_too_small_says_which_size_works(text: str) -> None:
    with pytest.raises(ConfigError, match=r"`vocab_size` 10 is too small for this text: .* need \d+$") as error:
        SubwordTokenizer.train([text], 10)
    floor = int(str(error.value).split()[-1])
    with pytest.raises(ConfigError, match=f"`vocab_size` {floor - 1} is too small"):
        SubwordTokenizer.train([text], floor - 1)
    tokenizer = SubwordTokenizer.train([text], floor)
    assert tokenizer.size <= floor
    assert_lossless(tokenizer, text)


@each("text", ["", "\n\n\n"])
def test_a_text_without_a_line_gives_no_subwords(text: str) -> None:
    with pytest.raises(CorpusError, match="no subword vocabulary of 400 pieces can be learned"):
        SubwordTokenizer.train([text], 400)


def test_a_line_of_any_length_is_learned_from() -> None:
    text = "🙂🙃🙂🙃 meinetwegen " * 6000
    assert b"meinetwegen" in {piece.strip() for piece in SubwordTokenizer.train([text], 300).pieces}


def test_learning_stops_reading_once_it_has_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SAMPLED_BYTES", 1000)
    taken = []

    def pieces() -> Iterator[str]:
        for number in range(10):
            taken.append(number)
            yield "é abc\n" * 50  # 300 characters, 350 bytes, 300 without line ends

    SubwordTokenizer.train(pieces(), 270)
    assert taken == [0, 1, 2, 3]


def test_learning_twice_gives_the_same_pieces() -> None:
    assert SubwordTokenizer.train([TRAINING], 600).spec() == subword().spec()
