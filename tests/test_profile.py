"""Spans and profiles: what is counted is what the slow way counts."""

import math

import numpy as np
import pytest

from charrnn.scoring.predictions import Predictions
from charrnn.scoring.profile import BIN, BINS, COLUMNS, LETTERS, PASSAGE, REMARKABLE, Profile
from charrnn.scoring.spans import ScoredSpans, spans_of
from charrnn.text.alignment import Alignment
from charrnn.text.tokenizers import Tokenizer
from charrnn.text.tokenizers.byte import ByteTokenizer
from charrnn.text.tokenizers.char import CharTokenizer
from charrnn.text.tokenizers.subword import SubwordTokenizer

TEXT = ("The fox — half asleep —\tran.\n\n  " + "x" * 130 + "\nÉté: 日本語 𝔘 and\u2003more\r\n") * 8


def scored(text: str, tokenizer: Tokenizer, end: bool = False, seed: int = 0) -> Predictions:
    """Any nats for the tokens of a text."""
    tokens = tokenizer.encode(text).astype(np.int64)
    if end:
        tokens = np.append(tokens, tokenizer.size)
    return Predictions(tokens, np.random.default_rng(seed).exponential(1.7, tokens.size))


def tokenizers() -> list[Tokenizer]:
    return [CharTokenizer.train([TEXT]), ByteTokenizer(), SubwordTokenizer.train([TEXT], 300)]


def spans(text: str, tokenizer: Tokenizer, end: bool = False) -> ScoredSpans:
    return spans_of(text, scored(text, tokenizer, end), Alignment(tokenizer))


def test_spans_are_the_text_and_cost_what_its_tokens_do() -> None:
    for tokenizer in tokenizers():
        predictions = scored(TEXT, tokenizer)
        found = spans_of(TEXT, predictions, Alignment(tokenizer))
        assert "".join(found.texts) == TEXT and all(found.texts)
        assert math.fsum(found.bits) == pytest.approx(math.fsum(predictions.nll) / math.log(2), rel=1e-12)
        # The slow way: tokens are put together until they are text.
        detokenizer, held, slow = tokenizer.detokenizer(), 0.0, []
        for token, nats in zip(predictions.tokens.tolist(), predictions.nll.tolist(), strict=True):
            held += nats / math.log(2)
            if text := detokenizer.push(token):
                slow.append((text, pytest.approx(held)))
                held = 0.0
        assert list(zip(found.texts, found.bits.tolist(), strict=True)) == slow, tokenizer.kind
        part = found[3:9]
        assert part.texts == found.texts[3:9] and part.text == "".join(part.texts)
        assert np.array_equal(part.bits, found.bits[3:9]) and part.start(2) == len("".join(part.texts[:2]))


def test_the_end_of_a_document_is_its_line_end_or_a_span_without_text() -> None:
    tokenizer = CharTokenizer.train(["abc"])
    predictions = scored("ab", tokenizer, end=True)
    assert spans_of("ab\n", predictions, Alignment(tokenizer)).texts == ["a", "b", "\n"]
    assert spans_of("ab\n\n", predictions, Alignment(tokenizer)).texts == ["a", "b", "\n\n"]
    assert spans_of("ab", predictions, Alignment(tokenizer)).texts == ["a", "b", ""]
    assert spans_of("", scored("", tokenizer), Alignment(tokenizer)).texts == []
    with pytest.raises(ValueError, match="of another text"):
        spans_of("abc", scored("ab", tokenizer), Alignment(tokenizer))


def test_bytes_that_are_no_text_are_spans_of_their_own() -> None:
    text = b"a\xff\xe6\x97b".decode("utf-8", "surrogateescape")
    assert spans(text, ByteTokenizer()).texts == list(text)


def slow_profile(texts: list[ScoredSpans]) -> tuple[list[int], list[list[float]], list[list[float]]]:
    """Histogram, and the bits at every column and letter, span by span."""
    histogram = [0] * BINS
    columns: list[list[float]] = [[] for _ in range(COLUMNS)]
    letters: list[list[float]] = [[] for _ in range(LETTERS)]
    column = letter = 0
    for some in texts:
        for text, bits in zip(some.texts, some.bits.tolist(), strict=True):
            histogram[min(int(bits / BIN), BINS - 1)] += 1
            if not text:
                continue
            columns[min(column, COLUMNS - 1)].append(bits)
            place = 0
            for char in text:
                column = 0 if char == "\n" else column + 1
                letter = 0 if char.isspace() else letter + 1
                place = place or letter
            letters[min(place, LETTERS - 1)].append(bits)
    return histogram, columns, letters


def test_a_profile_counts_as_the_slow_way_does_and_in_pieces_as_at_once() -> None:
    for tokenizer in tokenizers():
        whole = spans(TEXT, tokenizer)
        for border in ([], [1], [7, 8, 200, 201], list(range(0, len(whole), 11))):
            parts = [whole[first:end] for first, end in zip([0, *border], [*border, len(whole)], strict=True)]
            profile = Profile()
            for part in parts:
                profile.push(part)
            histogram, columns, letters = slow_profile([whole])
            assert profile.histogram.tolist() == histogram and profile.chars == len(TEXT)
            for means, slow in ((profile.by_column, columns), (profile.by_letter, letters)):
                assert means.counts.tolist() == [len(bits) for bits in slow]
                assert means.values() == [pytest.approx(sum(bits) / len(bits)) if bits else None for bits in slow]


def test_passages_are_the_whole_text_and_the_most_remarkable_ones_are_kept() -> None:
    tokenizer = CharTokenizer.train([TEXT])
    text = 3 * TEXT
    predictions = scored(text, tokenizer)
    at = text.index("Été", len(TEXT))
    predictions.nll[at : at + 60] += 9.0
    whole = spans_of(text, predictions, Alignment(tokenizer))
    profile = Profile()
    profile.push(whole)
    worst, best = profile.worst, profile.best
    assert worst[0].start <= at + 30 < worst[0].start + len(worst[0].spans.text)
    for some, sign in ((worst, -1), (best, 1)):
        costs = [sign * passage.spans.bits_per_char for passage in some]
        assert costs == sorted(costs) and len(costs) == REMARKABLE
    assert best[-1].spans.bits_per_char <= worst[-1].spans.bits_per_char
    assert not {passage.start for passage in worst} & {passage.start for passage in best}
    for passage in (*worst, *best):
        part = passage.spans.text
        assert text[passage.start :].startswith(part) and passage.line == 1 + text[: passage.start].count("\n")
        nats = predictions.nll[passage.start : passage.start + len(part)]
        assert passage.spans.bits_per_char == pytest.approx(nats.mean() / math.log(2))
        assert PASSAGE // 2 <= len(part) <= 2.5 * PASSAGE


def test_lines_that_are_pushed_one_by_one_are_passages_and_short_ones_come_last() -> None:
    tokenizer, profile = CharTokenizer.train([TEXT]), Profile()
    lines = ["x\n", "and more and more and more\n", "\n", "fox\n", "half asleep half asleep\n"]
    for line in lines:
        profile.push(spans(line, tokenizer))
    worst, best = ({(passage.line, passage.spans.text) for passage in some} for some in (profile.worst, profile.best))
    assert worst == {(2, lines[1]), (5, lines[4])} and best == {(1, lines[0]), (4, lines[3])}


def test_infinite_surprisal_is_counted_and_nothing_breaks() -> None:
    profile = Profile()
    tokenizer = CharTokenizer.train(["ab "])
    predictions = scored("ab ab", tokenizer)
    predictions.nll[1] = math.inf
    profile.push(spans_of("ab ab", predictions, Alignment(tokenizer)))
    assert profile.histogram[-1] == 1 and profile.by_letter.values()[2] == math.inf
    profile.push(spans_of("", scored("", tokenizer), Alignment(tokenizer)))
    assert profile.chars == 5
