"""No long copies: what is written holds no span that is too long, looked for as anybody would, and is else as free."""

import json
from pathlib import Path

import numpy as np
import pytest

from charrnn import api
from charrnn.errors import CharrnnError, ConfigError
from charrnn.generation.config import SampleConfig
from charrnn.generation.processors import MaxCopy, compose
from charrnn.generation.sequence import TextSequence
from charrnn.text.copy_index import CopyIndex
from charrnn.text.tokenizers import Tokenizer
from charrnn.text.tokenizers.byte import ByteTokenizer
from charrnn.text.tokenizers.char import CharTokenizer
from charrnn.text.tokenizers.subword import SubwordTokenizer
from charrnn.training.run import start

from .cases import each
from .conftest import CommandLine
from .test_run import options

LEARNED = "the thin thing thinks that these things thrive\nnaïve cafés serve thé au café, the thé that thaws\n" * 2


def longest_span(text: str, learned: str) -> int:
    """How long the longest span of a text that stands in another is, by looking for all of them."""
    return max(size for end in range(len(text) + 1) for size in range(end + 1) if text[end - size : end] in learned)


def too_long(text: str, learned: str, most: int, begin: int = 0) -> list[str]:
    """The spans of one character too much that end behind a place and stand in another text."""
    ends = range(max(begin, most) + 1, len(text) + 1)
    return [span for end in ends if (span := text[end - most - 1 : end]) in learned]


TOKENIZERS: dict[str, Tokenizer] = {
    "char": CharTokenizer("".join(sorted({*LEARNED, "x"}))),
    "byte": ByteTokenizer(),
    "subword": SubwordTokenizer.train([LEARNED], 320),
}


def draws(tokenizer: Tokenizer, most: int, prompt: str, seed: int, *, steps: int = 60) -> str:
    """A text of a model that writes what it has learned wherever it may, and any symbol now and then."""
    index, generator = CopyIndex.of([LEARNED]), np.random.default_rng(seed)
    (one,) = compose(SampleConfig(temperature=None, max_copy=most), tokenizer, [index])
    sequence = TextSequence(0, tokenizer.encode(prompt).tolist(), tokenizer, SampleConfig(length=10**6), [one])
    symbols = list(dict.fromkeys(tokenizer.encode(LEARNED).tolist()))
    for _ in range(steps):
        logits = generator.normal(size=(1, tokenizer.size)) * 2
        logits[0, symbols] += 5.0
        before = logits.copy()
        left = one(logits, [sequence])
        assert np.array_equal(before, logits) and np.array_equal(left[left > -np.inf], logits[left > -np.inf])
        state = sequence.states[one]
        assert state.copied >= index.longest_end(state.window), "what is copied is never thought less"
        check_what_is_dropped(tokenizer, sequence, most, np.flatnonzero(left[0] == -np.inf).tolist())
        sequence.push(int(left[0].argmax()))
    return sequence.text


def check_what_is_dropped(tokenizer: Tokenizer, sequence: TextSequence, most: int, dropped: list[int]) -> None:
    """Those symbols and no others that, decoded with all that came before, end in a span that is too long."""
    wrong = []
    size = len(whole(tokenizer, sequence.ids))
    for token in range(tokenizer.size):
        if too_long(whole(tokenizer, [*sequence.ids, token]), LEARNED, most, size):
            wrong.append(token)
    assert dropped == wrong, (whole(tokenizer, sequence.ids), most)


def whole(tokenizer: Tokenizer, ids: list[int]) -> str:
    """The text of ids, without half a character at its end."""
    detokenizer = tokenizer.detokenizer()
    return "".join(map(detokenizer.push, ids))


@each("kind", list(TOKENIZERS))
def test_what_is_dropped_is_what_would_be_too_long_and_nothing_else(kind: str) -> None:
    tokenizer = TOKENIZERS[kind]
    for most, prompt in [(2, ""), (3, "the th"), (5, "naïve caf"), (8, ""), (12, LEARNED[:30])]:
        text = draws(tokenizer, most, prompt, seed=most, steps=40)
        assert not too_long(prompt + text, LEARNED, most, len(prompt)), (most, text)
        assert longest_span(text, LEARNED) <= most, text


def test_without_it_the_same_draws_copy_more() -> None:
    text = draws(TOKENIZERS["subword"], 10**6, "", seed=1)
    assert longest_span(text, LEARNED) > 3


def test_where_nothing_could_come_it_says_so() -> None:
    index, tokenizer = CopyIndex.of(["abab baab"]), CharTokenizer("ab ")
    one = MaxCopy(index, 1, tokenizer)
    row = TextSequence(0, tokenizer.encode("a").tolist(), tokenizer, SampleConfig(), [one])
    left = one(np.zeros((1, 3)), [row])
    assert left.tolist() == [[-np.inf if pair in "abab baab" else 0.0 for pair in ("aa", "ab", "a ")]]
    letters = CharTokenizer("ab")
    one = MaxCopy(CopyIndex.of(["aaba"]), 1, letters)
    with pytest.raises(CharrnnError, match="larger `max_copy`"):
        one(np.zeros((1, 2)), [TextSequence(0, [0], letters, SampleConfig(), [one])])


def test_there_is_none_without_a_text() -> None:
    with pytest.raises(ConfigError, match="max_copy"):
        compose(SampleConfig(max_copy=3), TOKENIZERS["char"])
    with pytest.raises(ConfigError, match="max_copy"):
        SampleConfig(max_copy=0)


# ---- whole texts


@pytest.fixture(scope="module")
def overfit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models that know their text by heart, of characters, bytes and subwords."""
    folder = tmp_path_factory.mktemp("overfit")
    (folder / "text.txt").write_text(LEARNED * 10, "utf-8")
    for kind, more in {"char": {}, "byte": {}, "subword": {"vocab_size": 320}}.items():
        settings = dict(tokenizer=kind, name=kind, steps=200, lr=0.02, dropout=0, valid=None, **more)
        for _ in start(options(folder / "text.txt", **settings), checkpoints=folder / "c").events():
            pass
    return folder / "c"


@pytest.mark.slow
@each("kind", list(TOKENIZERS))
def test_no_span_of_many_texts_is_too_long_and_a_row_is_the_same_alone(overfit: Path, kind: str) -> None:
    model, learned = api.load(kind, checkpoints=overfit), LEARNED * 10
    free = model.sample("the ", rows=20, seed=7, length=80, temperature=0.5)
    assert max(longest_span(text, learned) for text in free) > 12, "it would copy more"
    for most in (5, 12):
        texts = model.sample("the ", rows=70, seed=7, length=80, temperature=0.5, max_copy=most)
        assert not [text for text in texts if too_long("the " + text, learned, most, 4)], most
        for row in (0, 1, 69):
            alone = model.sample("the ", seed=7 + row, length=80, temperature=0.5, max_copy=most)
            assert alone == texts[row]


@pytest.mark.slow
def test_the_command_writes_no_long_copies_and_says_how_long_they_are(charrnn: CommandLine, overfit: Path) -> None:
    arguments = ["sample", "-m", "char", "--checkpoints", str(overfit), "--seed", "1", "-l", "60", "-n", "3", "--json"]
    lines = charrnn(*arguments, "--report-copy", "--max-copy", "7").out.splitlines()
    records = [json.loads(line) for line in lines]
    assert len(records) == 3 and all(record["copied"]["length"] <= 7 for record in records)
    assert [record["copied"]["length"] for record in records] == [
        longest_span(record["text"], LEARNED * 10) for record in records
    ]
    result = charrnn(*arguments, "--max-copy", "0")
    assert result.code == 2 and "--max-copy must be" in result.err
