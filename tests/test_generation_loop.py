"""Text from weights: what is drawn, when it ends, and what comes out piece by piece.

Most networks here are chains: after each id one other follows, whatever is drawn, so that the text is known.
"""

import itertools
import json
import math
import subprocess
import sys
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_info, threadpool_limits
from torch import Tensor

from charrnn import native
from charrnn.config import ModelConfig
from charrnn.config.verbs import PRECISIONS
from charrnn.errors import VocabularyError
from charrnn.generation.config import SampleConfig
from charrnn.generation.loop import generate
from charrnn.generation.sequence import UNIFORMS_AT_ONCE, TextChunk
from charrnn.inference.backends import NUMPY, ONE_THREAD, TORCH
from charrnn.inference.base import BackEnd, Chosen, Engine
from charrnn.inference.engine import open_engine
from charrnn.inference.products import WORTH_A_CALL
from charrnn.models.cells import CELLS
from charrnn.models.ensemble import Network, build
from charrnn.models.language_model import LanguageModel
from charrnn.text.tokenizers import Ids, Tokenizer
from charrnn.text.tokenizers.base import Detokenizer
from charrnn.text.tokenizers.byte import ByteTokenizer
from charrnn.text.tokenizers.char import CharTokenizer
from charrnn.text.tokenizers.subword import SubwordTokenizer
from charrnn.training.int8_check import arrays

ALPHABET = "abcdefghijklmnopqrstuvwxyz \n"
LETTERS = CharTokenizer(ALPHABET)

PROSE = "".join(f"The {a} fox saw a {b} crow, and said: {a} or {b}?\n" for a in ("sly", "old", "red") for b in "ABCDEF")

every_cell = pytest.mark.parametrize("cell", list(CELLS))
every_precision = pytest.mark.parametrize("precision", list(PRECISIONS))
# In 8 bits only what is bounded can be multiplied.
every_way = pytest.mark.parametrize(
    ("cell", "precision"),
    [(cell, name) for cell in CELLS for name in PRECISIONS if name == "fp32" or CELLS[cell].bounded],
)


def network(tokenizer: Tokenizer, *, documents: bool = False, seed: int = 0, **fields: Any) -> Network:
    """A random network that is far from uniform."""
    chosen: dict[str, Any] = {"embedding": 8, "hidden": 16, "layers": 2} | fields
    vocab_size = tokenizer.size + documents
    model = build(ModelConfig(vocab_size=vocab_size, start_id=tokenizer.size, **chosen)).eval()
    with torch.no_grad():
        for number, parameter in enumerate(model.parameters()):
            noise = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(100 * seed + number))
            parameter.copy_(noise / max(2.0, parameter.shape[-1] ** 0.5) ** 0.5)
        if documents:
            for one in model.models:
                one.forwards.bias[-1] -= 3
    if model.config.cell in ("rnn-relu", "rnn-gelu"):  # whose state would grow without end
        dampen(model, 0.3)
    return model


def dampen(model: Network, share: float) -> None:
    """Leave so much of what multiplies the memory."""
    with torch.no_grad():
        for layer in range(model.config.layers):
            for name, weight in CELLS[model.config.cell].table().items():
                if weight.recurrent or name == "memory":
                    weight_of(model, layer, name).mul_(share)


def weight_of(model: Network, layer: int, name: str) -> Tensor:
    return model.get_parameter(f"forwards.layers.{layer}.rnn.{name}")


def chain(size: int, follows: dict[int, int], *, documents: bool = False) -> LanguageModel:
    """After id a comes follows[a], with certainty; the start and the end of a document are `size`."""
    config = ModelConfig(
        vocab_size=size + documents, start_id=size, cell="rnn", embedding=size + 1, hidden=size + 1, layers=1
    )
    model = LanguageModel(config).eval()
    assert model.forwards.head is not None
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        torch.nn.init.eye_(model.embedding.weight)
        weight_of(model, 0, "weight_ih_l0").copy_(3 * torch.eye(size + 1))
        for before, after in follows.items():
            model.forwards.head[after, before] = 1000
    return model


def engine_of(model: Network, precision: str = "fp32") -> Engine:
    return open_engine(model.config, arrays(model), precision)


class Script:
    """A tokenizer whose ids are given pieces of text, in order; `decode` is all that is asked of it."""

    kind = "script"

    def __init__(self, pieces: list[str]) -> None:
        self.pieces = pieces
        self.size = len(pieces)

    def encode(self, text: str, *, unknown: bool = False) -> Ids:
        assert text == ""
        return np.zeros(0, dtype=np.int32)

    def decode(self, tokens: Iterable[int]) -> str:
        return "".join(self.pieces[token] for token in tokens)

    def detokenizer(self) -> Detokenizer:
        return self

    def push(self, token: int) -> str:
        return self.pieces[token]

    def finish(self) -> str:
        return ""

    def copy(self) -> "Script":
        return self

    def symbol(self, token: int) -> str:
        return self.pieces[token]

    def spec(self) -> dict[str, Any]:
        return {}


def chunk(text: str, *ids: int, finished: str | None = None, row: int = 0) -> TextChunk:
    """A piece of a text that these tokens became."""
    return TextChunk(row, text, finished, ids)


def recite(pieces: list[str], **options: Any) -> list[TextChunk]:
    """What is generated where the network draws just these pieces of text, and then the end."""
    size = len(pieces)
    follows = {size: 0} | {place: place + 1 for place in range(size)}
    config = SampleConfig(temperature=1.0, **options)
    return list(generate(engine_of(chain(size, follows, documents=True)), cast(Tokenizer, Script(pieces)), config))


def texts(pieces: Iterable[TextChunk], rows: int = 1) -> list[str]:
    """The whole of each row; holds the pieces to their contract: one end each, nothing after it, nothing empty."""
    written = [""] * rows
    ended: set[int] = set()
    for piece in pieces:
        assert piece.row not in ended
        assert piece.text or piece.finished
        written[piece.row] += piece.text
        if piece.finished:
            ended.add(piece.row)
    assert ended == set(range(rows))
    return written


def sample(
    model: Network,
    tokenizer: Tokenizer,
    *,
    precision: str = "fp32",
    prompt: str = "",
    rows: int = 1,
    seed: int = 0,
    **options: Any,
) -> list[str]:
    config = SampleConfig(**({"length": 40, "temperature": 1.0} | options))
    return texts(generate(engine_of(model, precision), tokenizer, config, prompt=prompt, rows=rows, seed=seed), rows)


# -- what is drawn ---------------------------------------------------------------------------------------------------


@every_precision
def test_the_same_seed_gives_the_same_text_and_another_seed_another(precision: str) -> None:
    model = network(LETTERS)
    np.random.seed(1)
    one = sample(model, LETTERS, precision=precision, seed=7)
    np.random.seed(2)
    assert sample(model, LETTERS, precision=precision, seed=7) == one
    assert sample(model, LETTERS, precision=precision, seed=8) != one


def test_the_global_generators_are_left_alone() -> None:
    model = network(LETTERS)
    np.random.seed(3)
    torch_before, next_number = torch.get_rng_state(), np.random.random()
    np.random.seed(3)
    sample(model, LETTERS, rows=2)
    assert np.random.random() == next_number
    assert torch.equal(torch.get_rng_state(), torch_before)


@pytest.mark.slow
@every_way
def test_row_i_of_many_is_the_single_sample_with_seed_plus_i(cell: str, precision: str) -> None:
    model = network(LETTERS, cell=cell, documents=True)
    for options in (
        {"prompt": "the fox"},
        {"stop": ("a", "xy"), "length": 90},
        {"temperature": 0.6, "top_k": 9, "top_p": 0.9, "min_p": 0.01, "repetition_penalty": 1.4},
    ):
        many = sample(model, LETTERS, rows=5, seed=20, precision=precision, **options)
        alone = [sample(model, LETTERS, seed=20 + row, precision=precision, **options)[0] for row in range(5)]
        assert many == alone, options
        assert len(set(many)) > 1


@every_precision
def test_rows_go_on_alike_when_others_have_ended_and_the_uniforms_are_renewed(precision: str) -> None:
    model = network(LETTERS)
    options: dict[str, Any] = {"length": UNIFORMS_AT_ONCE + 70, "stop": ("qx",), "temperature": 0.9}
    options["precision"] = precision
    many = sample(model, LETTERS, rows=8, seed=1024, **options)
    # A row that others have left before it draws its second lot of uniforms.
    lengths = [len(text) for text in many]
    assert any(lengths[row] > UNIFORMS_AT_ONCE > min(lengths[:row]) for row in range(1, 8))
    assert many == [sample(model, LETTERS, seed=1024 + row, **options)[0] for row in range(8)]


def test_the_uniforms_are_not_used_twice() -> None:
    memoryless = chain(2, {})
    (text,) = sample(memoryless, CharTokenizer("01"), length=3 * UNIFORMS_AT_ONCE)
    thirds = {text[start : start + UNIFORMS_AT_ONCE] for start in range(0, len(text), UNIFORMS_AT_ONCE)}
    assert len(thirds) == 3
    assert all(0.35 < third.count("1") / UNIFORMS_AT_ONCE < 0.65 for third in thirds)


def test_symbols_come_as_often_as_the_network_says() -> None:
    tokenizer, weights, count = CharTokenizer("abc"), {"a": 0.6, "b": 0.3, "c": 0.1}, 4000
    memoryless = chain(3, {})
    with torch.no_grad():
        memoryless.forwards.bias.copy_(torch.tensor([weights[symbol] for symbol in "abc"]).log())
    (text,) = sample(memoryless, tokenizer, length=count)
    for symbol, p in weights.items():
        assert abs(text.count(symbol) / count - p) < 4 * math.sqrt(p * (1 - p) / count)
    # Neighbours are independent.
    pairs = sum(a == b == "a" for a, b in itertools.pairwise(text))
    assert abs(pairs / count - 0.36) < 0.04


def test_the_last_seed_may_be_followed_by_more_rows() -> None:
    model = network(LETTERS)
    last, beyond = sample(model, LETTERS, rows=2, seed=2**32 - 1)
    assert [last] == sample(model, LETTERS, seed=2**32 - 1)
    assert [beyond] == sample(model, LETTERS, seed=0) != [last]  # a seed that can be given by itself


@pytest.mark.slow
@every_cell
def test_greedy_is_the_likeliest_symbol_after_all_before_it_and_ignores_the_seed(cell: str) -> None:
    model, prompt = network(LETTERS, cell=cell), "the fox\n"
    tokens = [LETTERS.size, *LETTERS.encode(prompt).tolist()]
    for _ in range(30):
        logits, _ = model(torch.tensor([tokens]), model.initial_states(1))
        tokens.append(int(logits[0, -1].argmax()))
    expected = LETTERS.decode(tokens[1 + len(prompt) :])
    for seed in (0, 2**40):
        assert sample(model, LETTERS, prompt=prompt, seed=seed, temperature=0, length=30) == [expected]


@pytest.mark.parametrize("seed", [0, 11])
def test_sampling_inverts_the_cumulative_distribution_of_all_before_at_the_generators_next_number(seed: int) -> None:
    model, count = network(LETTERS), 40
    tokens = [LETTERS.size, *LETTERS.encode("fox").tolist()]
    numbers = np.random.Generator(np.random.PCG64(seed)).random(UNIFORMS_AT_ONCE).tolist()
    for number in numbers[:count]:
        logits = model(torch.tensor([tokens]), model.initial_states(1))[0][0, -1].tolist()
        weights = [math.exp(value / 0.7) for value in logits]
        reached = itertools.accumulate(weights)
        tokens.append(next(symbol for symbol, sum_so_far in enumerate(reached) if sum_so_far > number * sum(weights)))
    expected = LETTERS.decode(tokens[4:])
    assert sample(model, LETTERS, prompt="fox", seed=seed, temperature=0.7, length=count) == [expected]


def test_a_network_left_in_training_generates_as_outside_it() -> None:
    model = network(LETTERS, dropout=0.5)
    expected = sample(model, LETTERS, prompt="the fox", temperature=0)
    assert sample(model.train(), LETTERS, prompt="the fox", temperature=0) == expected


def plain_text(model: Network, prompt: str, seed: int, temperature: float, length: int) -> str:
    """The slow, obvious twin of one row, in torch: step, softmax, draw, feed back in."""
    numbers = np.random.Generator(np.random.PCG64(seed))
    states, written = model.initial_states(1), ""
    tokens = [LETTERS.size, *LETTERS.encode(prompt).tolist()]
    with torch.inference_mode():
        while len(written) < length:
            for token in tokens:
                logits, states = model(torch.tensor([[token]]), states)
            scores = logits[0, -1].double()
            number = numbers.random()
            if temperature:
                reached = (scores / temperature).softmax(dim=0).cumsum(dim=0)
                tokens = [int((reached <= number).sum())]
            else:
                tokens = [int(scores.argmax())]
            written += LETTERS.decode(tokens)
    return written


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn-gelu", "minlstm", "lstm-mogrifier", "gru-before"])
def test_the_text_is_the_one_that_single_steps_in_torch_write(cell: str) -> None:
    temperature, prompt = 0.8, "the fox"
    # More than one lot of uniforms; and a network that does not magnify the last bit's difference.
    model, length = network(LETTERS, cell=cell, hidden=40), 2 * UNIFORMS_AT_ONCE + 40
    dampen(model, 0.2)
    expected = plain_text(model, prompt, 3, temperature, length)
    options: dict[str, Any] = {"temperature": temperature, "length": length, "prompt": prompt}
    assert sample(model, LETTERS, seed=3, **options) == [expected]
    assert sample(model, LETTERS, seed=2, rows=2, **options)[1] == expected


# -- chains: the text is known ---------------------------------------------------------------------------------------


def ring(size: int) -> LanguageModel:
    """0, 1, 2 … and again from 0."""
    return chain(size, {size: 0} | {place: (place + 1) % size for place in range(size)})


def test_a_chain_is_followed_from_the_start_or_the_prompts_last_symbol() -> None:
    tokenizer = CharTokenizer("abcde")
    texts_behind = {"": "abcdeabcd", "a": "bcdeabcde", "d": "eabcdeabc", "eeb": "cdeabcdea"}
    for temperature, (prompt, expected) in itertools.product((0, 0.8, 2.0), texts_behind.items()):
        assert sample(ring(5), tokenizer, prompt=prompt, length=9, temperature=temperature) == [expected], prompt


def test_without_a_stop_string_every_character_is_a_piece_at_once() -> None:
    pieces = list(generate(engine_of(ring(3)), CharTokenizer("abc"), SampleConfig(length=5), rows=2))
    assert pieces == [
        chunk(symbol, "abc".index(symbol), finished="length" if place == 4 else None, row=row)
        for place, symbol in enumerate("abcab")
        for row in (0, 1)
    ]


def test_text_comes_while_the_network_still_runs() -> None:
    stream = generate(engine_of(ring(3)), CharTokenizer("abc"), SampleConfig(length=10**12))
    assert [next(stream).text for _ in range(7)] == list("abcabca")


def test_the_prompt_is_read_whole_and_in_order() -> None:
    model = network(LETTERS)
    (whole,) = sample(model, LETTERS, temperature=0, length=60)
    for cut in (1, 7, 30):
        assert sample(model, LETTERS, prompt=whole[:cut], temperature=0, length=60 - cut) == [whole[cut:]]


@pytest.mark.parametrize("prompt", ["é", "abcX", "a\tb"])
def test_a_prompt_with_a_character_that_the_vocabulary_lacks_is_an_error_that_names_it(prompt: str) -> None:
    with pytest.raises(VocabularyError, match=repr(prompt.strip("abc")).replace("\\", "\\\\")):
        sample(network(LETTERS), LETTERS, prompt=prompt)


@pytest.mark.parametrize(("prompt", "expected"), [("", "abcaa"), ("a", "bcaaa"), ("ba", "caaaa"), ("cab", "aaaaa")])
def test_the_penalty_counts_what_the_prompt_and_the_text_have_used(prompt: str, expected: str) -> None:
    # The symbols' logits are always 10, 8 and 6; a used one is halved.
    always = chain(3, {})
    with torch.no_grad():
        always.forwards.bias.copy_(torch.tensor([10.0, 8.0, 6.0]))
    tokenizer = CharTokenizer("abc")
    options: dict[str, Any] = {"temperature": 0, "repetition_penalty": 2.0, "length": 5}
    assert sample(always, tokenizer, prompt=prompt, **options) == [expected]
    assert sample(always, tokenizer, prompt=prompt, rows=2, **options) == [expected] * 2
    # A window of two forgets what is further back.
    (short,) = sample(always, tokenizer, **(options | {"length": 8, "repetition_window": 2}))
    assert short == "abcabcab"


def test_each_row_is_penalised_for_its_own_symbols() -> None:
    always = chain(4, {})
    # An unused symbol is certain beside the used ones: each row is a permutation of the four.
    with torch.no_grad():
        always.forwards.bias.fill_(-1)
    rows = sample(always, CharTokenizer("abcd"), rows=20, length=4, repetition_penalty=1e6)
    assert all(sorted(text) == list("abcd") for text in rows)
    assert len(set(rows)) > 5


# -- length ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def subwords() -> SubwordTokenizer:
    return SubwordTokenizer.train([PROSE], 330)


def test_length_counts_code_points_exactly(subwords: SubwordTokenizer) -> None:
    tokenizers: list[Tokenizer] = [LETTERS, ByteTokenizer(), subwords]
    for tokenizer, length in itertools.product(tokenizers, (1, 2, 7, 300)):
        config = SampleConfig(length=length, temperature=1.0, stop=("\N{SNOWMAN}e",))
        pieces = list(generate(engine_of(network(tokenizer)), tokenizer, config, rows=3))
        assert [len(text) for text in texts(pieces, 3)] == [length] * 3, tokenizer.kind
        assert [piece.finished for piece in pieces if piece.finished] == ["length"] * 3


def test_bytes_become_whole_characters() -> None:
    written = "aé€😀"
    ids = list(written.encode())
    follows = {256: ids[0]} | dict(zip(ids, ids[1:] + ids[:1], strict=True))
    for length in (1, 2, 3, 4, 5, 9):
        pieces = list(generate(engine_of(chain(256, follows)), ByteTokenizer(), SampleConfig(length=length)))
        assert [piece.text for piece in pieces] == list((written * 3)[:length])


def test_a_piece_that_is_longer_than_the_room_is_cut() -> None:
    assert texts(recite(["abc", "def", "ghi"], length=4)) == ["abcd"]
    assert texts(recite(["abc", "def", "ghi"], length=6)) == ["abcdef"]


def test_subword_text_is_what_its_pieces_decode_to(subwords: SubwordTokenizer) -> None:
    ids = list(dict.fromkeys(subwords.encode("The old fox saw a crow\n").tolist()))
    follows = {subwords.size: ids[0]} | dict(zip(ids, ids[1:] + ids[:1], strict=True))
    expected = subwords.decode(ids) * 2
    assert len(ids) < len(expected) / 2
    assert sample(chain(subwords.size, follows), subwords, length=len(expected)) == [expected]


# -- documents -------------------------------------------------------------------------------------------------------


def test_a_document_ends_where_the_network_says() -> None:
    assert recite(["a", "b"]) == [chunk("a", 0), chunk("b", 1), chunk("", 2, finished="end")]


def test_a_document_may_end_at_once() -> None:
    engine = engine_of(chain(2, {2: 2}, documents=True))
    pieces = list(generate(engine, CharTokenizer("ab"), SampleConfig(), rows=2))
    assert pieces == [chunk("", 2, finished="end"), chunk("", 2, finished="end", row=1)]


def test_what_was_held_back_for_a_stop_string_is_written_at_the_documents_end() -> None:
    assert recite(["x", "a", "b"], stop=("abc",)) == [chunk("x", 0), chunk("ab", 1, 2, 3, finished="end")]


def test_an_unfinished_character_comes_out_as_a_sign_at_the_documents_end() -> None:
    follows = {256: ord("a"), ord("a"): 0xE2, 0xE2: 0x82, 0x82: 256}
    pieces = list(generate(engine_of(chain(256, follows, documents=True)), ByteTokenizer(), SampleConfig()))
    assert pieces == [chunk("a", 97), chunk("\N{REPLACEMENT CHARACTER}", 0xE2, 0x82, 256, finished="end")]


def test_a_model_of_one_stream_never_ends_by_itself() -> None:
    for length in (3, 100):
        pieces = list(
            generate(engine_of(network(LETTERS)), LETTERS, SampleConfig(length=length, temperature=3.0), rows=4)
        )
        assert {piece.finished for piece in pieces if piece.finished} == {"length"}


def test_rows_of_documents_end_each_on_its_own() -> None:
    model = network(LETTERS, documents=True)
    pieces = list(generate(engine_of(model), LETTERS, SampleConfig(length=60, temperature=1.5), rows=12))
    reasons = {piece.row: piece.finished for piece in pieces if piece.finished}
    assert set(reasons.values()) == {"length", "end"}
    for row, text in enumerate(texts(pieces, 12)):
        assert len(text) <= 60
        assert (len(text) == 60) or reasons[row] == "end"


# -- log-probabilities -----------------------------------------------------------------------------------------------


def surprisal_of(model: Network, tokens: list[int]) -> float:
    """The natural logarithm of the probability that the model itself gives these tokens, from its start."""
    with torch.no_grad():
        logits, _ = model(torch.tensor([[model.config.start_id, *tokens[:-1]]]), model.initial_states(1))
        return float(logits[0].double().log_softmax(-1)[range(len(tokens)), tokens].sum())


def test_log_probabilities_are_the_models_own_whatever_is_filtered() -> None:
    model = network(LETTERS, ensemble=2)
    config, engine = SampleConfig(length=20, temperature=0.5, top_k=5, repetition_penalty=1.5), engine_of(model)
    plain = list(generate(engine, LETTERS, config, rows=3))
    told = list(generate(engine, LETTERS, config, rows=3, logprobs=True))
    assert all(chunk.logprob is None for chunk in plain)
    assert [(one.row, one.text, one.finished) for one in told] == [(one.row, one.text, one.finished) for one in plain]
    for row, text in enumerate(texts(told, 3)):
        own = [chunk.logprob for chunk in told if chunk.row == row and chunk.logprob is not None]
        assert len(own) == 20
        assert math.fsum(own) == pytest.approx(surprisal_of(model, LETTERS.encode(text).tolist()), abs=1e-3)


def test_the_log_probabilities_of_held_back_and_cut_off_text_and_of_the_end_are_told_with_the_next_chunk() -> None:
    model = network(CharTokenizer("ab"), documents=True)
    config = SampleConfig(length=50, temperature=1.0, stop=("abab", "bbb"))
    engine, finished = engine_of(model), set()
    for seed in range(12):
        free = list(
            generate(engine, CharTokenizer("ab"), SampleConfig(length=60, temperature=1.0), seed=seed, logprobs=True)
        )
        chunks = list(generate(engine, CharTokenizer("ab"), config, seed=seed, logprobs=True))
        text = "".join(chunk.text for chunk in chunks)
        reason = chunks[-1].finished
        finished.add(reason)
        if reason == "stop":  # what was cut off is the stop string, all of it
            whole = "".join(chunk.text for chunk in free)
            tokens = len(text) + (4 if whole.startswith("abab", len(text)) else 3)
        else:
            tokens = len(text) + (reason == "end")
        # At the length, up to three tokens more may have been drawn: while the text might have become a stop string.
        drawn = range(tokens, tokens + (4 if reason == "length" else 1))
        expected = [math.fsum(chunk.logprob or 0 for chunk in free[:count]) for count in drawn]
        told = math.fsum(chunk.logprob or 0 for chunk in chunks)
        assert any(told == pytest.approx(one, abs=1e-6) for one in expected), seed
    assert {"stop", "end"} <= finished


# -- stop strings ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pieces", "stops", "expected"),
    [
        (["a", "b", "c", "d"], ["c"], "ab"),
        (["a", "b", "c", "d"], ["bc"], "a"),
        (["a", "b", "c", "d"], ["abc"], ""),
        (["a", "b", "c", "d"], ["bcd"], "a"),
        (["a", "a", "b"], ["ab"], "a"),
        (["a", "a", "a", "b"], ["aab"], "a"),
        (["a", "b", "a", "b", "c"], ["abc"], "ab"),
        (["xa", "by"], ["ab"], "x"),
        (["x\n", "\ny"], ["\n\n"], "x"),
        (["x", "abcy"], ["abc"], "x"),
        (["abab", "ac"], ["abac"], "ab"),
        (["x", "yz"], ["q", "z", "y"], "x"),
        (["x", "yz"], ["q", "yz", "z"], "x"),
        (["é", "€", "😀", "!"], ["😀"], "é€"),
    ],
)
def test_text_ends_before_a_stop_string(pieces: list[str], stops: list[str], expected: str) -> None:
    spoken = recite(pieces, stop=tuple(stops))
    assert texts(spoken) == [expected]
    assert spoken[-1].finished == "stop"


@pytest.mark.parametrize(
    ("pieces", "stops", "expected"),
    [
        (["a", "b", "c", "x", "y"], ["abd"], ["abc", "x", "y", ""]),
        (["a", "b", "a", "b", "d"], ["abd"], ["ab", ""]),
        (["x", "a", "a", "c"], ["ab"], ["x", "a", "ac", ""]),
        (["xyza", "b"], ["ac"], ["xyz", "ab", ""]),
        (["a", "b", "c"], ["zz"], ["a", "b", "c", ""]),
        (["a", "b", "x"], ["bcd", "abq"], ["abx", ""]),
        (["a", "b", "c", "x"], ["bcd", "abq"], ["a", "bcx", ""]),
    ],
)
def test_only_what_may_begin_a_stop_string_is_held_back(
    pieces: list[str], stops: list[str], expected: list[str]
) -> None:
    assert [piece.text for piece in recite(pieces, stop=tuple(stops))] == expected


@pytest.mark.parametrize(
    ("pieces", "stops", "length", "expected", "reason"),
    [
        # The stop string begins within the length, though it ends beyond it: no part of it is written.
        (["a", "b", "c", "d"], ["bcd"], 2, "a", "stop"),
        (["a", "b", "c", "d"], ["ab"], 1, "", "stop"),
        (["xab"], ["ab"], 2, "x", "stop"),
        # It might have begun within the length, and did not.
        (["a", "b", "c", "x"], ["bcd"], 2, "ab", "length"),
        # It begins just behind the length.
        (["a", "b", "c", "d"], ["c"], 2, "ab", "length"),
        (["abc"], ["c"], 2, "ab", "length"),
        (["a", "b", "c", "d"], ["cd"], 2, "ab", "length"),
        (["a", "b", "c"], ["c"], 3, "ab", "stop"),
    ],
)
def test_a_stop_string_counts_where_it_begins_within_the_length(
    pieces: list[str], stops: list[str], length: int, expected: str, reason: str
) -> None:
    spoken = recite(pieces, stop=tuple(stops), length=length)
    assert texts(spoken) == [expected]
    assert spoken[-1].finished == reason


def test_a_stop_string_in_the_prompt_or_across_its_end_does_not_count() -> None:
    tokenizer = CharTokenizer("abc")
    assert sample(ring(3), tokenizer, prompt="abc", stop=("ca",), length=9) == ["ab"]
    assert sample(ring(3), tokenizer, prompt="aab", stop=("bc", "ac"), length=9) == ["ca"]


def test_stop_strings_are_found_across_the_borders_of_bytes_and_subwords(subwords: SubwordTokenizer) -> None:
    written = "né€"
    ids = list(written.encode())
    follows = {256: ids[0]} | dict(zip(ids, ids[1:] + ids[:1], strict=True))
    assert sample(chain(256, follows), ByteTokenizer(), stop=("é€",)) == ["n"]
    assert sample(chain(256, follows), ByteTokenizer(), stop=("€né",)) == ["né"]
    ids = list(dict.fromkeys(subwords.encode("The old fox").tolist()))
    text = subwords.decode(ids)
    follows = {subwords.size: ids[0]} | dict(zip(ids, ids[1:] + ids[:1], strict=True))
    for start in range(len(text) - 3):
        stop = text[start : start + 3]
        assert sample(chain(subwords.size, follows), subwords, stop=(stop,)) == [text[: text.find(stop)]]


def told_naively(pieces: list[str], stops: list[str], length: int) -> tuple[str, set[str]]:
    """The text, and the reasons that may be given: after each piece, look at all of the text from its beginning."""
    text = ""
    for piece in pieces:
        text += piece
        places = [text.find(stop) for stop in stops if stop in text]
        if places and min(places) < length:
            return text[: min(places)], {"stop"}
        beginnings = [len(text) - n for stop in stops for n in range(1, len(stop)) if text.endswith(stop[:n])]
        if len(text) >= length and not any(place < length for place in beginnings):
            return text[:length], {"length"}
    return text[:length], {"end"} if len(text) <= length else {"end", "length"}


@pytest.mark.slow
@settings(deadline=None, max_examples=250)
@given(
    pieces=st.lists(st.text("ab", max_size=3), min_size=1, max_size=10),
    stops=st.lists(st.text("ab", min_size=1, max_size=4), max_size=3),
    length=st.integers(1, 14),
)
def test_streaming_writes_what_looking_at_the_whole_text_would(
    pieces: list[str], stops: list[str], length: int
) -> None:
    spoken = recite(pieces, stop=tuple(stops), length=length)
    text, reasons = told_naively(pieces, stops, length)
    assert texts(spoken) == [text]
    assert spoken[-1].finished in reasons
    assert not any(stop in text for stop in stops)


def test_rows_stop_each_on_its_own_and_what_they_write_up_to_there_is_what_they_would_have_written() -> None:
    model = network(LETTERS)
    free = sample(model, LETTERS, rows=8, length=200)
    stopped = sample(model, LETTERS, rows=8, length=200, stop=("e", "th"))
    for whole, part in zip(free, stopped, strict=True):
        ends = [place for stop in ("e", "th") if (place := whole.find(stop)) >= 0]
        assert part == whole[: min(ends, default=200)]
    assert len({len(part) for part in stopped}) > 3


# -- NumPy, and torch where it is there ------------------------------------------------------------------------------

# An interpreter that has the weights, a tokenizer and options, and no torch unless charrnn loads it.
FRESH = """
import json, sys
from pathlib import Path
import numpy as np
from charrnn.config import ModelConfig
from charrnn.generation.config import SampleConfig
from charrnn.generation.loop import generate
from charrnn.inference import backends
from charrnn.inference.engine import open_engine
from charrnn.text.tokenizers.char import CharTokenizer

folder, asked = Path(sys.argv[1]), json.loads(sys.argv[2])
config = ModelConfig.from_json(json.loads((folder / "config.json").read_text()))
weights = dict(np.load(folder / "weights.npz"))
tokenizer = CharTokenizer(asked["alphabet"])
backends.LOADING = backends.PREPARING = asked["loading"]

written = []
for rows in asked["rows"]:
    engine, texts = open_engine(config, weights, asked["precision"]), [""] * rows
    for piece in generate(engine, tokenizer, SampleConfig(**asked["options"]), rows=rows):
        texts[piece.row] += piece.text
    tried = [matrix._tried for matrix in engine.matrices if matrix.exact]
    written.append({"texts": texts, "tried": tried})
print(json.dumps({"written": written, "torch": "torch" in sys.modules}))
"""


@pytest.fixture(scope="module")
def large() -> Network:
    """So large that torch, where it is loaded, multiplies a single row as well."""
    model = network(LETTERS, hidden=192)
    assert weight_of(model, 0, "weight_hh_l0").numel() >= WORTH_A_CALL
    return model


def in_a_fresh_interpreter(
    folder: Path,
    model: Network,
    *,
    rows: list[int],
    precision: str = "int8",
    loading: float = 1e9,
    **options: Any,
) -> Any:
    """What is written where loading torch is said to take so many seconds."""
    np.savez(folder / "weights.npz", allow_pickle=False, **arrays(model))
    (folder / "config.json").write_text(json.dumps(model.config.to_json()))
    asked = {"alphabet": ALPHABET, "rows": rows, "precision": precision, "loading": loading, "options": options}
    arguments = [sys.executable, "-W", "error", "-c", FRESH, str(folder), json.dumps(asked)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


@pytest.mark.slow
def test_the_text_is_the_same_where_torch_is_loaded_on_the_way_and_where_it_never_is(
    tmp_path: Path, large: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"temperature": 0.8, "length": 40}
    by_whatever_there_is = engine_of(large, "int8")
    monkeypatch.setenv(native.VARIABLE, "no")
    without = in_a_fresh_interpreter(tmp_path, large, rows=[1, 3, 9], **options)
    on_the_way = in_a_fresh_interpreter(tmp_path, large, rows=[1, 3, 9], loading=0.0, **options)
    assert not without["torch"] and on_the_way["torch"]
    for rows, one, other in zip([1, 3, 9], without["written"], on_the_way["written"], strict=True):
        assert one["tried"] == [False, False] and other["tried"] == [True, True]
        engine = engine_of(large, "int8")
        engine.chosen[rows] = Chosen(TORCH)
        here = texts(generate(engine, LETTERS, SampleConfig(**options), rows=rows), rows)
        assert one["texts"] == other["texts"] == here
        assert here == texts(generate(by_whatever_there_is, LETTERS, SampleConfig(**options), rows=rows), rows)


@every_precision
def test_a_short_text_is_written_without_torch(tmp_path: Path, precision: str) -> None:
    model = network(LETTERS)
    fresh = in_a_fresh_interpreter(tmp_path, model, rows=[1, 8], precision=precision, length=200)
    assert not fresh["torch"]
    assert [len(text) for written in fresh["written"] for text in written["texts"]] == [200] * 9


def test_8_bits_begin_the_text_as_float32_does_and_leave_it_in_the_end() -> None:
    model = network(LETTERS)
    options: dict[str, Any] = {"rows": 20, "length": 400}
    rounded, exact = (sample(model, LETTERS, precision=precision, **options) for precision in ("int8", "fp32"))
    assert rounded != exact
    assert sum(one[:5] == other[:5] for one, other in zip(rounded, exact, strict=True)) >= 15


# -- the threads of NumPy's products ---------------------------------------------------------------------------------


def blas_threads() -> int:
    (threads,) = {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}
    assert isinstance(threads, int)
    return threads


@pytest.fixture
def _two_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(native.VARIABLE, "no")  # whose products are not NumPy's
    with threadpool_limits(2, "blas"):
        assert blas_threads() == 2
        yield


@pytest.mark.usefixtures("_two_threads")
@pytest.mark.parametrize(
    ("precision", "rows", "back_end", "threads"),
    [("int8", 1, NUMPY, 1), ("int8", 2, TORCH, 1), ("int8", 2, NUMPY, 2), ("fp32", 1, NUMPY, 1), ("fp32", 2, NUMPY, 2)],
)
def test_products_have_one_thread_where_that_is_faster_and_afterwards_as_many_as_before(
    precision: str, rows: int, back_end: BackEnd, threads: int
) -> None:
    engine, config = engine_of(ring(3), precision), SampleConfig(length=4)
    engine.chosen[rows] = Chosen(back_end)
    for _ in range(2):
        stream = generate(engine, CharTokenizer("abc"), config, rows=rows)
        assert {blas_threads() for _ in stream} == {threads}
        assert blas_threads() == 2


def by_one_thread() -> Engine:
    engine = engine_of(ring(3), "int8")
    engine.chosen[2] = Chosen(ONE_THREAD)
    return engine


@pytest.mark.usefixtures("_two_threads")
@pytest.mark.parametrize("engines", [1, 2])
def test_texts_that_are_written_in_turns_give_the_threads_back_when_the_last_has_ended(engines: int) -> None:
    several = [by_one_thread() for _ in range(engines)] * (3 - engines)
    one, other = (generate(each, CharTokenizer("abc"), SampleConfig(length=n), rows=2)
                  for each, n in zip(several, (3, 5), strict=True))  # fmt: skip
    for _ in zip(one, other, strict=False):
        assert blas_threads() == 1
    list(one)
    assert blas_threads() == 1
    list(other)
    assert blas_threads() == 2


@pytest.mark.usefixtures("_two_threads")
def test_a_text_that_is_closed_early_gives_the_threads_back() -> None:
    stream = generate(by_one_thread(), CharTokenizer("abc"), SampleConfig(length=100), rows=2)
    next(stream)
    assert blas_threads() == 1
    assert isinstance(stream, Generator)
    stream.close()
    assert blas_threads() == 2


class Forgetful(Script):
    """Fails in the middle of a text."""

    def push(self, token: int) -> str:
        if token == 2:
            raise LookupError("which piece was it?")
        return super().push(token)


@pytest.mark.usefixtures("_two_threads")
def test_a_text_that_fails_gives_the_threads_back() -> None:
    stream = generate(by_one_thread(), cast(Tokenizer, Forgetful(["a", "b", "c"])), SampleConfig(length=100), rows=2)
    assert [next(stream).text for _ in range(4)] == ["a", "a", "b", "b"]
    assert blas_threads() == 1
    with pytest.raises(LookupError):
        next(stream)
    assert blas_threads() == 2


@pytest.mark.usefixtures("_two_threads")
def test_a_prompt_that_cannot_be_read_takes_no_threads() -> None:
    with pytest.raises(VocabularyError):
        next(generate(by_one_thread(), CharTokenizer("abc"), SampleConfig(), prompt="?", rows=2))
    assert blas_threads() == 2
