"""Continuations of a context, and whole texts, against slow loops: what the harness's adapter answers with."""

import math

import numpy as np
import pytest

from charrnn.api import Model
from charrnn.errors import VocabularyError
from charrnn.models.language_model import LanguageModel
from charrnn.scoring.continuations import context_tokens, continuations, whole_texts
from charrnn.text.alignment import Alignment
from charrnn.text.tokenizers import Tokenizer
from charrnn.text.tokenizers.byte import ByteTokenizer
from tests.cases import each
from tests.laws.test_tokenizers import subword
from tests.test_token_nll import make_model, model_of, one_at_a_time

ASKED = [("ab", " cd"), ("", "abc"), ("abcd a", ""), ("a", "b"), ("abcabcabc", " dab"), ("", "")]


def cost(network: LanguageModel, tokenizer: Tokenizer, text: str) -> float:
    return float(one_at_a_time(network, tokenizer.encode(text).astype(np.uint32)).sum()) if text else 0.0


@each("documents", [False, True])
def test_a_continuation_costs_what_it_adds_to_its_context(documents: bool) -> None:
    network = make_model(documents=documents)
    tokenizer = model_of(network, "abc d").tokenizer
    found = continuations(network, tokenizer, ASKED, batch_size=2)
    for (context, continuation), (nats, _) in zip(ASKED, found, strict=True):
        whole, alone = (cost(network, tokenizer, text) for text in (context + continuation, context))
        assert nats == pytest.approx(alone - whole, rel=1e-5, abs=1e-5)
    assert found[2] == found[5] == (0.0, True), "nothing is certain"


def test_greedy_is_what_is_the_likeliest_at_every_step() -> None:
    model = model_of(make_model(), "abc d")
    for context in ("", "ab", "d a"):
        written = model.sample(context, temperature=0.0, length=6, precision="fp32")
        assert isinstance(written, str)
        other = written[:5] + ("a" if written[5] != "a" else "b")
        found = continuations(model.network, model.tokenizer, [(context, written), (context, other)])
        assert [greedy for _, greedy in found] == [True, False]
        assert found[0][0] > found[1][0]


@each("tokenizer", [subword(), ByteTokenizer()])
@each(
    "context, continuation",
    [("the ri", "ver is"), ("the", " river"), ("", "the"), ("a né", "ée"), ("日", "本"), ("x", "")],
)
def test_a_token_across_the_border_is_the_continuations(tokenizer: Tokenizer, context: str, continuation: str) -> None:
    """The slow twin: the longest run of tokens from the beginning that decodes to a beginning of the context."""
    ids = tokenizer.encode(context + continuation)
    pieces = [tokenizer.pieces[token] for token in ids]
    longest = max(n for n in range(len(ids) + 1) if context.encode().startswith(b"".join(pieces[:n])))
    assert context_tokens(Alignment(tokenizer), context, context + continuation, ids) == longest


def test_of_subwords_a_continuation_is_the_whole_less_the_tokens_before_the_border() -> None:
    tokenizer = subword()
    network = make_model(symbols=tokenizer.size)
    context, continuation = "the ri", "ver"
    ids = tokenizer.encode(context + continuation)
    border = context_tokens(Alignment(tokenizer), context, context + continuation, ids)
    assert 0 < border < ids.size
    [(nats, _)] = continuations(network, tokenizer, [(context, continuation)])
    assert nats == pytest.approx(-one_at_a_time(network, ids.astype(np.uint32))[border:].sum(), rel=1e-5)


def scored(model: Model, text: str) -> float:
    return -model.score(text).nats


@each("documents", [False, True])
def test_whole_texts_cost_what_eval_says(documents: bool) -> None:
    model = model_of(make_model(symbols=6, documents=documents), "abc d\n")
    texts = ["ab cd\nba", "d\n", "abcabc"]
    found = whole_texts(model.network, model.tokenizer, [*texts, ""], documents=model.documents)
    assert found == pytest.approx([*(scored(model, text) for text in texts), 0.0], rel=1e-6)


def test_characters_that_the_vocabulary_lacks_are_refused_unless_they_are_asked_for() -> None:
    model = model_of(make_model(), "abc d")
    with pytest.raises(VocabularyError, match="'x'"):
        continuations(model.network, model.tokenizer, [("a", "x")])
    with pytest.raises(VocabularyError, match="'x'"):
        whole_texts(model.network, model.tokenizer, ["ax"])
    [(nats, greedy)] = continuations(model.network, model.tokenizer, [("a", "x")], unknown=True)
    assert nats == pytest.approx(-math.log(5)) and not greedy
    whole = whole_texts(model.network, model.tokenizer, ["ax"], unknown=True)
    first = one_at_a_time(make_model(), np.array([0], np.uint8))[0]
    assert whole == pytest.approx([-math.log(5) - first], rel=1e-5)
