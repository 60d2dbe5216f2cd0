"""What holds of every tokenizer: nothing is lost, by whole texts or token by token."""

import base64
import json
import random
import subprocess
import sys
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.errors import CheckpointError, ConfigError, VocabularyError
from charrnn.text.tokenizers import TOKENIZERS, Tokenizer, from_spec, tokenizer_class, train_tokenizer
from charrnn.text.tokenizers.byte import BytePieces
from charrnn.text.tokenizers.char import CharTokenizer
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
@settings(deadline=None, max_examples=40)
@given(texts=st.lists(TEXTS, max_size=5))
def test_texts_encoded_at_once_are_those_encoded_one_by_one(kind: str, texts: list[str]) -> None:
    tokenizer = learned(kind)
    ids, lengths = tokenizer.encode_all(texts, unknown=True)
    each_alone = [tokenizer.encode(text, unknown=True).tolist() for text in texts]
    assert ids.tolist() == [one for ids in each_alone for one in ids] and ids.dtype == np.int32
    assert lengths.tolist() == list(map(len, each_alone))


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


@byte_kinds
def test_bytes_never_meet_an_unknown_character(kind: str) -> None:
    tokenizer = made_for(kind, "")
    text = "海🙂\U0010ffff"
    assert tokenizer.encode(text, unknown=True).tolist() == tokenizer.encode(text).tolist()


@byte_kinds
def test_a_piece_that_is_no_text_is_shown_by_its_bytes(kind: str) -> None:
    tokenizer = made_for(kind, "")
    pieces = _bytes_of(tokenizer)
    assert tokenizer.symbol(pieces.index(b"A")) == "A"
    assert tokenizer.symbol(pieces.index(b"\xe2")) == "<E2>"
