"""Rows of a text: they add up, stand where they say, and the probabilities of words are those of the literature."""

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from charrnn.scoring.predictions import Asked, Predictions, predictions_of
from charrnn.scoring.rows import Row, Units
from charrnn.scoring.units import units
from charrnn.scoring.words import boundaries
from charrnn.text.alignment import Alignment
from charrnn.text.tokenizers import Tokenizer
from charrnn.text.tokenizers.byte import ByteTokenizer
from charrnn.text.tokenizers.char import CharTokenizer
from charrnn.text.tokenizers.subword import SubwordTokenizer

from .cases import each
from .laws.test_tokenizers import subword

KINDS = ["line", "word", "char", "token"]
ALL = [*((per, "after") for per in KINDS), ("word", "before"), ("word", "none")]
# Combining and astral characters, white space of one byte and of three, runs of it, none at all.
TEXTS = ["the heron stood", " two  spaces\tand a tab \n", "\n", "a", " ", "naïve\u2003 café",
         "e\u0301te\u0301 \U0001f600\U0001f600 x\u3000y\u00a0z\n"]  # fmt: skip


class Pieces(SubwordTokenizer):
    """Pieces as given; texts are spelled by hand."""

    def __init__(self, *pieces: str) -> None:
        self.pieces = [piece.encode() for piece in pieces]
        self.size = len(pieces)


def tokenizers() -> Iterator[Tokenizer]:
    yield CharTokenizer("".join(sorted(set("".join(TEXTS)))))
    yield ByteTokenizer()
    yield subword()


def random_predictions(tokens: Sequence[int], tokenizer: Tokenizer, asked: Asked) -> Predictions:
    """What a network without any idea would predict."""
    logits = np.random.default_rng(7).normal(0, 2, (len(tokens), tokenizer.size + 1)).astype(np.float32)
    return predictions_of(logits, np.array(tokens, np.int64), tokenizer.size, asked)


def rows_of(made: Units, pieces: Sequence[tuple[str, Predictions]]) -> list[Row]:
    return [row for piece in pieces for row in made.push(*piece)] + [*made.finish()]


@each("per, space", ALL)
@each("ended", [False, True])
def test_rows_add_up_and_stand_where_they_say(per: str, space: str, ended: bool) -> None:
    for tokenizer in tokenizers():
        made = units(per, tokenizer, space)
        for text in TEXTS:
            tokens = [*tokenizer.encode(text.rstrip("\n") if ended else text), *[tokenizer.size] * ended]
            predictions = random_predictions(tokens, tokenizer, made.asked())
            rows = rows_of(made, [(text, predictions)])
            assert math.fsum(row.nats for row in rows) == pytest.approx(predictions.nll.sum(), rel=1e-12)
            assert min(row.nats for row in rows) >= 0
            if per != "word":
                assert sum(row.tokens for row in rows) == len(tokens)
            for row in rows:
                assert text[row.start : row.end] == row.text, (text, row)
                # Of the bytes of one character, the last has it.
                if per != "token" or tokenizer.kind == "char":
                    assert row.byte == len(text[: row.start].encode())
            if per != "word" or space == "none":
                assert "".join(row.text for row in rows) == text
            elif per == "word":
                assert [row.text for row in rows if row.text] == text.split()


@each("per, space", ALL)
def test_a_line_in_pieces_gives_the_rows_of_the_whole(per: str, space: str) -> None:
    text = " two  words \tand\u3000more words\n"
    for tokenizer in tokenizers():
        if tokenizer.kind == "char":
            tokenizer = CharTokenizer("".join(sorted(set(text))))
        made = units(per, tokenizer, space)
        for cuts in ([1], [2], [3, 7, 8], [11, 12, 13], [16, 17]):
            parts = [text[first:end] for first, end in itertools.pairwise([0, *cuts, len(text)])]
            tokens = [tokenizer.encode(part) for part in parts]
            whole = random_predictions(np.concatenate(tokens).tolist(), tokenizer, made.asked())
            ends = np.cumsum([0, *map(len, tokens)]).tolist()
            pieces = [(part, whole[a:b]) for part, (a, b) in zip(parts, itertools.pairwise(ends), strict=True)]
            wanted, got = rows_of(made, [(text, whole)]), rows_of(made, pieces)
            assert [row[:4] for row in wanted] == [row[:4] for row in got], (tokenizer.kind, cuts)
            assert [row.nats for row in wanted] == pytest.approx([row.nats for row in got])


def test_a_boundary_within_a_token_is_no_question_any_more() -> None:
    tokenizer = Pieces("a\t", " ", "b")
    predictions = random_predictions([0, 1, 2], tokenizer, units("word", tokenizer).asked())
    rows = rows_of(units("word", tokenizer), [("a\t b", predictions)])
    assert [row.nats for row in rows] == pytest.approx([predictions.nll[0], predictions.nll[1:].sum()])


def test_a_token_belongs_to_the_character_in_which_it_begins() -> None:
    tokenizer = Pieces("the", " ", "é", "\xc3", "x")
    tokenizer.pieces += [b"\xc3", b"\xa9"]
    tokenizer.size = 7
    tokens = np.array([0, 1, 5, 6, 4])
    at = Alignment(tokenizer)("the éx", tokens)
    assert at.begins.tolist() == [0, 3, 4, 4, 5] and at.done.tolist() == [3, 4, 4, 5, 6]
    assert at.byte.tolist() == [0, 3, 4, 5, 6] and at.bytes.tolist() == [0, 1, 2, 3, 4, 6, 7]
    nll = np.arange(1.0, 6.0)
    predictions = Predictions(tokens, nll, rank=tokens + 1, entropy=nll, top=tokens[:, None], top_nll=nll[:, None])
    rows = rows_of(units("char", tokenizer), [("the éx", predictions)])
    assert [(row.text, row.nats, row.rank) for row in rows] == [
        ("t", 1, 1), ("h", 0, None), ("e", 0, None), (" ", 2, 2), ("é", 7, 6), ("x", 5, 5)]  # fmt: skip
    rows = rows_of(units("token", tokenizer), [("the éx", predictions)])
    assert [(row.text, row.top, row.top_nats) for row in rows] == [
        ("the", (0,), (1,)), (" ", (1,), (2,)), ("", (5,), (3,)), ("é", (6,), (4,)), ("x", (4,), (5,))]  # fmt: skip


def test_bytes_that_are_no_utf8_are_characters_of_one_byte() -> None:
    text = b"a\xff\xe9 b".decode("utf-8", "surrogateescape")
    tokenizer = ByteTokenizer()
    for per in ("char", "token"):
        rows = rows_of(
            units(per, tokenizer), [(text, random_predictions(tokenizer.encode(text).tolist(), tokenizer, Asked()))]
        )
        assert [(row.text, row.byte) for row in rows] == [(each, byte) for byte, each in enumerate(text)]


def test_what_the_vocabulary_lacks_bounds_a_word_at_its_whole_cost() -> None:
    tokenizer = CharTokenizer(" ab")
    made = units("word", tokenizer)
    predictions = random_predictions(tokenizer.encode("a\u3000b", unknown=True).tolist(), tokenizer, made.asked())
    rows = rows_of(made, [("a\u3000b", predictions)])
    assert [row.text for row in rows] == ["a", "b"]
    assert [row.nats for row in rows] == pytest.approx([predictions.nll[0], predictions.nll[1:].sum()])


# ---- the probability of a word


LETTERS, PIECES = CharTokenizer("\n ab"), Pieces(" ", "a", "b", " a", " ab", "ab", "\n")
LONGEST = 3


def logits_after(context: tuple[int, ...], tokenizer: Tokenizer) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """A model of its own for each context: at most LONGEST tokens to a word, at most one of white space alone."""
    bounds, logits = boundaries(tokenizer), np.random.default_rng([1, *context]).normal(0, 2, tokenizer.size + 1)
    letters = 0
    for token in reversed(context):
        if bounds[token]:
            letters += tokenizer.decode([token]).strip() != ""
            break
        letters += 1
    if letters == 0:
        logits[bounds] = -np.inf
    if letters == LONGEST:
        logits[~bounds] = -np.inf
    return logits.astype(np.float32)


def predicted(tokens: Sequence[int], tokenizer: Tokenizer) -> Predictions:
    rows = np.stack([logits_after(tuple(tokens[:at]), tokenizer) for at in range(len(tokens))])
    return predictions_of(rows, np.array(tokens), tokenizer.size, Asked(boundaries(tokenizer)))


def words_behind(context: tuple[int, ...], tokenizer: Tokenizer) -> Iterator[tuple[int, ...]]:
    """All words that may follow, as tokens: a boundary, perhaps white space, letters; and the first that may end it."""
    bounds = boundaries(tokenizer)

    def grow(word: tuple[int, ...], letters: bool) -> Iterator[tuple[int, ...]]:
        possible = np.flatnonzero(np.isfinite(logits_after(context + word, tokenizer)))
        for token in possible[~bounds[possible]].tolist():
            yield from grow((*word, token), True)
        if letters:
            yield (*word, possible[bounds[possible]][0])

    for first in np.flatnonzero(bounds[:-1]).tolist():
        yield from grow((first,), tokenizer.decode([first]).strip() != "")
    # What else may come is the end.
    yield (tokenizer.size,)


@each("tokenizer", [LETTERS, PIECES])
def test_the_probabilities_of_all_words_add_up_to_one(tokenizer: Tokenizer) -> None:
    context = (2, 3) if tokenizer is LETTERS else (5, 2)
    found = dict.fromkeys(("after", "before"), 0.0)
    for word in words_behind(context, tokenizer):
        tokens = [*context, *word]
        text = tokenizer.decode([token for token in tokens if token != tokenizer.size])
        predictions = predicted(tokens, tokenizer)
        for space in found:
            _, row, *_ = rows_of(units("word", tokenizer, space), [(text, predictions)])
            found[space] += math.exp(-row.nats)
    assert found["after"] == pytest.approx(1, abs=1e-12)
    assert abs(found["before"] - 1) > 0.05


@each("space", ["after", "before", "none"])
def test_the_words_of_pieces_are_those_of_the_published_formula(space: str) -> None:
    """Pimentel & Meister (2024), as their package wordsprobability 0.17 has it: surprisal of the pieces, less that of
    "a word begins" where one does, and that of "a word ends" where it does; the last column of each table here."""
    tokens = [5, 1, 4, 2, 3, 0, 2, 4, PIECES.size]  # ab|a, " ab"|b, " a", " "|b, " ab", end
    predictions = predicted(tokens, PIECES)
    assert predictions.boundary is not None
    text = PIECES.decode(tokens[:-1])
    rows = rows_of(units("word", PIECES, space), [(text, predictions)])
    begins, cost = boundaries(PIECES)[tokens], predictions.nll
    wanted, at = [], 0
    for length in (2, 2, 1, 2, 1):
        end = at + length
        opened = predictions.boundary[at] if begins[at] else 0.0
        closed = predictions.boundary[end]
        plain = cost[at:end].sum()
        wanted.append({"after": plain - opened + closed, "before": plain, "none": plain - opened}[space])
        at = end
    if space == "none":
        # A piece of white space alone costs what it costs, and is in no word.
        wanted[3] = cost[6]
        rows = [row for row in rows if row.text.strip()]
    assert [row.nats for row in rows if row.text] == pytest.approx(wanted)


def test_a_word_costs_what_the_rule_says_letter_by_letter() -> None:
    tokens = LETTERS.encode("\nab b\n a").tolist()
    logits = np.random.default_rng(3).normal(0, 2, (len(tokens), 4)).astype(np.float32)
    predictions = predictions_of(logits, np.array(tokens), 4, Asked(boundaries(LETTERS)))
    p = [[math.exp(x - max(row)) for x in row] for row in logits.tolist()]
    p = [[x / sum(row) for x in row] for row in p]
    own = [row[token] for row, token in zip(p, tokens, strict=True)]
    some = [row[0] + row[1] for row in p]  # "\n" and " "
    rows = rows_of(units("word", LETTERS), [("\nab b\n a", predictions)])
    assert [row.text for row in rows] == ["ab", "b", "a"]
    assert [math.exp(-row.nats) for row in rows] == pytest.approx([
        own[0] * own[1] * own[2] * some[3],
        own[3] / some[3] * own[4] * some[5],
        own[5] / some[5] * own[6] * own[7],
    ])  # fmt: skip
