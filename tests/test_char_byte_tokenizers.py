"""Characters and bytes: what each promises beyond the laws of all tokenizers."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.errors import CheckpointError, VocabularyError
from charrnn.text.tokenizers import from_spec
from charrnn.text.tokenizers.byte import ByteTokenizer
from charrnn.text.tokenizers.char import CharTokenizer, code_points

from .cases import each
from .laws.test_tokenizers import TEXTS


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


def test_half_surrogate_pairs_in_a_vocabulary_survive_json() -> None:
    """JSON writes two halves that stand side by side like the one character they would make."""
    tokenizer = CharTokenizer.train(["\udc00 \ud800"])
    again = from_spec(json.loads(json.dumps(tokenizer.spec())))
    assert again.size == tokenizer.size == 3


@settings(deadline=None, max_examples=50)
@given(text=TEXTS)
def test_the_ids_of_bytes_are_the_bytes(text: str) -> None:
    assert ByteTokenizer().encode(text).tolist() == list(text.encode())
