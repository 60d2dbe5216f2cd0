"""What a score says of a text, plain and under other conditions. Its figures: laws/test_figures.py."""

import math
from dataclasses import replace

import numpy as np
import pytest

from charrnn.api import Model
from charrnn.errors import ConfigError, CorpusError, VocabularyError
from charrnn.scoring.adaptation import adapted_token_nll
from charrnn.scoring.score import score
from charrnn.scoring.temperature import fit_temperature
from charrnn.text.documents import SEPARATORS
from charrnn.text.part import Part
from charrnn.text.survey import TextStatistics
from charrnn.text.tokenizers.char import CharTokenizer

from .cases import each
from .test_split import naive_documents
from .test_token_nll import agree, documents_of, draw, make_model, model_of, one_at_a_time, rows_read

# ---- score

STATISTICS = TextStatistics(chars=6, bytes=9, words=2)


def test_counts_are_those_of_the_text_that_is_scored() -> None:
    scored = score(make_model(), Part(draw(4), 6), STATISTICS)
    assert (scored.tokens, scored.chars, scored.bytes, scored.words) == (4, 6, 9, 2)
    # Of six characters two, of a byte each, are in no token.
    scored = score(make_model(), Part(draw(4), 4), STATISTICS)
    assert (scored.tokens, scored.chars, scored.bytes, scored.words) == (4, 4, 7, 2)


def test_an_empty_text_is_an_error() -> None:
    with pytest.raises(CorpusError, match="empty"):
        score(make_model(), Part(draw(0), 0), TextStatistics())
    with pytest.raises(CorpusError, match="empty"):
        score(make_model(documents=True), Part(draw(0), 0, np.empty(0, np.int64)), TextStatistics(chars=2, bytes=2))


def test_one_character_is_enough() -> None:
    model = make_model()
    scored = score(model, Part(draw(1), 1), TextStatistics(chars=1, bytes=1, words=1))
    agree(scored.token_nll, one_at_a_time(model, draw(1)))
    assert scored.nats > 0


def test_score_carries_the_state_and_says_so() -> None:
    model, tokens = make_model(), draw(20)
    scored = score(model, Part(tokens, 20), STATISTICS)
    agree(scored.token_nll, one_at_a_time(model, tokens))
    assert scored.state == "carried"


def test_score_resets_and_says_so() -> None:
    model, tokens = make_model(), draw(20)
    scored = score(model, Part(tokens, 20), STATISTICS, reset_every=6)
    agree(scored.token_nll, one_at_a_time(model, tokens, reset_every=6))
    assert scored.state == "reset every 6 tokens"


def test_score_resets_at_documents_and_says_so() -> None:
    model = make_model(documents=True)
    tokens, starts = documents_of([5, 9])
    scored = score(model, Part(tokens, 14, starts), STATISTICS)
    agree(scored.token_nll, one_at_a_time(model, tokens, starts))
    assert scored.state == "reset at each line or document"


def test_documents_are_not_reset_inside_as_well() -> None:
    model = make_model(documents=True)
    tokens, starts = documents_of([9, 12])
    with pytest.raises(ConfigError, match="leave out `reset_every`"):
        score(model, Part(tokens, 21, starts), STATISTICS, reset_every=4)


def test_score_marks_the_characters_that_the_vocabulary_lacks() -> None:
    tokens = draw(6)
    tokens[[2, 5]] = 6
    scored = score(make_model(), Part(tokens, 6, unknown=2), STATISTICS)
    assert np.flatnonzero(scored.unknown).tolist() == [2, 5]
    assert scored.bpb is None


def test_the_end_of_a_document_is_no_unknown_character() -> None:
    tokens, starts = documents_of([5, 9])
    assert score(make_model(documents=True), Part(tokens, 14, starts), STATISTICS).oov == 0


@each("batch_size", [1, 3])
def test_score_hands_its_batch_size_on(batch_size: int) -> None:
    model = make_model()
    shapes = rows_read(model)
    score(model, Part(draw(12), 12), STATISTICS, reset_every=2, batch_size=batch_size)
    assert max(rows for rows, _ in shapes) == batch_size


def test_score_hands_its_temperature_on_and_keeps_it() -> None:
    model, tokens = make_model(), draw(20)
    assert score(model, Part(tokens, 20), STATISTICS).temperature == 1.0
    for reset_every in (None, 6):
        scored = score(model, Part(tokens, 20), STATISTICS, temperature=1.7, reset_every=reset_every)
        agree(scored.token_nll, one_at_a_time(model, tokens, reset_every=reset_every, temperature=1.7))
        assert scored.temperature == 1.7
        assert (scored.adapted, scored.fitted) == (None, None)


def test_score_of_documents_hands_its_temperature_on() -> None:
    model = make_model(documents=True)
    tokens, starts = documents_of([5, 9])
    scored = score(model, Part(tokens, 14, starts), STATISTICS, temperature=1.7)
    agree(scored.token_nll, one_at_a_time(model, tokens, starts, temperature=1.7))


# ---- Model.score: the same text under other conditions

TEXT = "abcdeedcbaabeda\ncab\n" * 5


def text_model(*, documents: bool = False) -> Model:
    return model_of(make_model(documents=documents, symbols=6, layers=1), "\nabcde")


def part_of(text: str) -> Part:
    return Part(np.array(["\nabcde".find(symbol) % 8 for symbol in text], np.uint8), len(text))


def test_without_being_asked_a_model_scores_the_plain_text_alone() -> None:
    scored = text_model().score(TEXT)
    assert (scored.adapted, scored.fitted, scored.temperature) == (None, None, 1.0)


def test_an_adapted_score_stands_beside_the_plain_one() -> None:
    model = text_model()
    plain, scored = model.score(TEXT), model.score(TEXT, adapt=True)
    np.testing.assert_array_equal(scored.token_nll, plain.token_nll)
    assert scored.state == plain.state == "carried"
    assert scored.fitted is None and scored.adapted is not None
    np.testing.assert_array_equal(scored.adapted.token_nll, adapted_token_nll(model.network, part_of(TEXT)))
    assert abs(scored.adapted.nats - plain.nats) > 1e-3
    assert (scored.adapted.chars, scored.adapted.state) == (len(TEXT), "carried, weights adapted")
    np.testing.assert_array_equal(model.score(TEXT).token_nll, plain.token_nll)


def test_an_adapted_score_of_documents_resets_the_state_at_each() -> None:
    model = text_model(documents=True)
    scored = model.score(TEXT, adapt=True)
    tokens = np.where(part_of(TEXT).tokens == 0, 6, part_of(TEXT).tokens).astype(np.uint8)
    starts = np.append(0, np.flatnonzero(tokens == 6)[:-1] + 1)
    assert scored.adapted is not None
    assert scored.adapted.tokens == scored.tokens == tokens.size
    np.testing.assert_array_equal(
        scored.adapted.token_nll, adapted_token_nll(model.network, Part(tokens, tokens.size, starts))
    )
    assert scored.adapted.state == "reset at each line or document, weights adapted"


def test_an_adapted_score_of_lines_resets_the_state_at_each() -> None:
    model, part = text_model(), part_of(TEXT)
    scored = model.score(TEXT, lines=True, adapt=True)
    starts = np.append(0, np.flatnonzero(part.tokens == 0)[:-1] + 1)
    assert scored.adapted is not None
    np.testing.assert_array_equal(
        scored.adapted.token_nll, adapted_token_nll(model.network, replace(part, starts=starts))
    )


def test_an_adapted_score_counts_the_characters_that_the_vocabulary_lacks() -> None:
    text = TEXT[:50] + "?" + TEXT[50:]
    scored = text_model().score(text, unknown=True, adapt=True, fit_temperature=True)
    for other in (scored.adapted, scored.fitted):
        assert other is not None
        assert (other.oov, other.bpb) == (1, None)
        assert other.token_nll[50] == pytest.approx(math.log(6), rel=1e-12)


def test_an_adaptation_that_is_reset_is_refused() -> None:
    with pytest.raises(ConfigError, match="`reset_every` means nothing beside `adapt`"):
        text_model().score(TEXT, adapt=True, reset_every=5)


@each("form", ["stream", "reset", "lines"])
def test_a_fitted_score_stands_beside_the_plain_one(form: str) -> None:
    model, part = text_model(), part_of(TEXT)
    every = 7 if form == "reset" else None
    starts = np.append(0, np.flatnonzero(part.tokens == 0)[:-1] + 1) if form == "lines" else None
    plain = model.score(TEXT, lines=form == "lines", reset_every=every)
    scored = model.score(TEXT, lines=form == "lines", reset_every=every, fit_temperature=True)
    np.testing.assert_array_equal(scored.token_nll, plain.token_nll)
    assert scored.adapted is None and scored.temperature == 1.0
    fitted = scored.fitted
    assert fitted is not None

    def loss(temperature: float) -> float:
        nats = one_at_a_time(
            model.network.first_member, part.tokens, starts, reset_every=every, temperature=temperature
        )
        return float(nats.mean())

    assert fitted.loss == pytest.approx(loss(fitted.temperature), rel=1e-5)
    assert fitted.temperature == pytest.approx(fit_temperature(loss), rel=1e-2)
    assert fitted.loss < plain.loss - 0.1, "the network of the tests is far too sure of itself"
    assert (fitted.state, fitted.chars, fitted.tokens) == (plain.state, plain.chars, plain.tokens)


def test_both_scores_stand_beside_the_plain_one_and_know_nothing_of_each_other() -> None:
    model = text_model()
    both = model.score(TEXT, adapt=True, fit_temperature=True)
    one, other = model.score(TEXT, adapt=True).adapted, model.score(TEXT, fit_temperature=True).fitted
    assert both.adapted is not None and one is not None and both.fitted is not None and other is not None
    np.testing.assert_array_equal(both.adapted.token_nll, one.token_nll)
    np.testing.assert_array_equal(both.fitted.token_nll, other.token_nll)
    assert both.fitted.temperature == other.temperature != 1.0
    assert both.adapted.temperature == 1.0


def test_an_empty_text_is_an_error_under_every_condition() -> None:
    with pytest.raises(CorpusError, match="empty"):
        text_model().score("", adapt=True, fit_temperature=True)


# ---- the text that is counted is the text that is scored

VARIANTS = {
    "lines": ["ab\nc", "ab\nc\n", "\n\nab\n\n\nc\n\n", "ab\r\nc\r\n", "\r\nab\r\n\r\nc", "ab\rc\r"],
    "paragraphs": ["ab\nc\n\nd", "ab\nc\n\nd\n", "\nab\nc\n\n\n\nd\n\n\n", "ab\r\nc\r\n\r\nd\r\n"],
    "stream": ["ab\nc\n", "ab\r\nc\r\n", "ab\rc\r"],
}


def model_of_documents(documents: str) -> Model:
    model = text_model(documents=documents != "stream")
    metadata = {**model.header.metadata, "training": {"documents": documents}}
    return replace(model, header=replace(model.header, metadata=metadata))


@each("documents", list(VARIANTS))
def test_line_ends_around_documents_and_carriage_returns_move_no_figure(documents: str) -> None:
    model = model_of_documents(documents)
    first, *others = VARIANTS[documents]
    figures = model.score(first).figures()
    for other in others:
        assert model.score(other).figures() == figures, other


def counted_one_by_one(text: str, documents: str) -> int:
    """The characters of documents and the line ends that their ends stand for, of a text with \\n alone."""
    separator = SEPARATORS[documents]
    return (
        len(text) if separator is None else sum(len(one) + len(separator) for one in naive_documents(text, separator))
    )


@each("documents", list(VARIANTS))
def test_whatever_is_read_is_scored_or_said_to_be_left_out(documents: str) -> None:
    model = model_of_documents(documents)
    for text in VARIANTS[documents]:
        scored = model.score(text)
        plain = text.replace("\r\n", "\n").replace("\r", "\n")
        assert scored.chars == scored.bytes == counted_one_by_one(plain, documents)
        told = [int(note.split()[0]) for note in scored.notes if "in no token" in note]
        lacking = [int(note.split(": ")[1][0]) for note in scored.notes if "lacks" in note]
        assert scored.chars == len(text) - sum(told) + sum(lacking), (text, scored.notes)
    assert model.score("ab" + (SEPARATORS[documents] or "")).notes == ()


def test_what_is_certain_costs_nothing_and_not_less() -> None:
    scored = model_of(make_model(symbols=1, layers=1), "a").score("aaaa")
    assert [str(bits) for bits in scored.surprisal.tolist()] == ["0.0"] * 4
    assert {name: str(value) for name, value in scored.metrics().items()} == {
        name: "1.0" if "ppl" in name else "0.0" for name in scored.metrics()
    }


# ---- characters that the vocabulary lacks


@each("documents, lines", [("lines", False), ("paragraphs", False), ("stream", False), ("stream", True)])
def test_unknown_characters_are_counted_and_placed_in_the_whole_text(documents: str, lines: bool) -> None:
    model = model_of_documents(documents)
    if documents == "lines":  # no line end is in its vocabulary
        model = replace(model, tokenizer=CharTokenizer("#abcde"))
    text = "ab\n\ncd\n\n" * 20 + "ab!\n\n?c!d\n"
    with pytest.raises(VocabularyError, match=r"'!', '\?' \(3 in the text, the first at line 81, column 3\)"):
        model.score(text, lines=lines)
    assert model.score(text, lines=lines, unknown=True).oov == 3
    assert model.score(text.translate({33: None, 63: None}), lines=lines).oov == 0
