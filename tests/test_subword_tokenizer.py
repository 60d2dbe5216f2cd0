"""Subwords: what they promise beyond the laws of all tokenizers, and what sentencepiece would do otherwise."""

import base64
import io
import random
from collections.abc import Iterator

import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.errors import CheckpointError, ConfigError, CorpusError
from charrnn.text.tokenizers import subword as module
from charrnn.text.tokenizers.subword import SPACE, SubwordTokenizer

from .cases import each
from .laws.test_tokenizers import TEXTS, TRAINING, TRICKY, assert_lossless, subword


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


@pytest.mark.slow
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
    with pytest.raises(CorpusError, match=r"^there is no text to learn subwords from: .*line ends alone$"):
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
