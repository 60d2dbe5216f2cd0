"""Text from weights: what is drawn, when it ends, and what comes out piece by piece.

Most networks here are chains: after each id one other follows, whatever is drawn, so that the text is known.
"""

import itertools
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from charrnn.config import ModelConfig, SampleConfig
from charrnn.errors import VocabularyError
from charrnn.generation.generate import UNIFORMS_AT_ONCE, Piece, generate
from charrnn.models.language_model import LanguageModel
from charrnn.models.layers import LAYERS
from charrnn.text.pieces import Decoder, Ids
from charrnn.text.subword import SubwordTokenizer
from charrnn.text.tokenizers import ByteTokenizer, CharTokenizer, Tokenizer

ALPHABET = "abcdefghijklmnopqrstuvwxyz \n"
LETTERS = CharTokenizer(ALPHABET)

PROSE = "".join(f"The {a} fox saw a {b} crow, and said: {a} or {b}?\n" for a in ("sly", "old", "red") for b in "ABCDEF")


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network(tokenizer: Tokenizer, *, documents: bool = False, seed: int = 0, **fields: Any) -> LanguageModel:
    """A random network that is far from uniform."""
    chosen: dict[str, Any] = {"embedding": 8, "hidden": 16, "layers": 2} | fields
    vocab_size = tokenizer.size + documents
    model = LanguageModel(ModelConfig(vocab_size=vocab_size, start_id=tokenizer.size, **chosen)).eval()
    with torch.no_grad():
        for number, parameter in enumerate(model.parameters()):
            noise = torch.randn(parameter.shape, generator=generator(100 * seed + number))
            parameter.copy_(noise / max(2.0, parameter.shape[-1] ** 0.5) ** 0.5)
        if documents:
            model.bias[-1] -= 3
    return model


def chain(size: int, follows: dict[int, int], *, documents: bool = False) -> LanguageModel:
    """After id a comes follows[a], with certainty; the start and the end of a document are `size`."""
    config = ModelConfig(
        vocab_size=size + documents, start_id=size, cell="rnn", embedding=size + 1, hidden=size + 1, layers=1
    )
    model = LanguageModel(config).eval()
    weights = model.stack[0].cell().weights
    assert model.head is not None
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        torch.nn.init.eye_(model.embedding.weight)
        weights.w_ih.copy_(3 * torch.eye(size + 1))
        for before, after in follows.items():
            model.head[after, before] = 1000
    return model


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

    def decoder(self) -> Decoder:
        return self

    def push(self, token: int) -> str:
        return self.pieces[token]

    def finish(self) -> str:
        return ""

    def symbol(self, token: int) -> str:
        return self.pieces[token]

    def spec(self) -> dict[str, Any]:
        return {}


def recite(pieces: list[str], **options: Any) -> list[Piece]:
    """What is generated where the network draws just these pieces of text, and then the end."""
    size = len(pieces)
    follows = {size: 0} | {place: place + 1 for place in range(size)}
    config = SampleConfig(temperature=1.0, **options)
    return list(generate(chain(size, follows, documents=True), Script(pieces), config))


def texts(pieces: Iterable[Piece], rows: int = 1) -> list[str]:
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
    model: LanguageModel, tokenizer: Tokenizer, *, prompt: str = "", rows: int = 1, seed: int = 0, **options: Any
) -> list[str]:
    config = SampleConfig(**({"length": 40, "temperature": 1.0} | options))
    return texts(generate(model, tokenizer, config, prompt=prompt, rows=rows, seed=seed), rows)


# -- what is drawn ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", list(LAYERS))
def test_the_same_seed_gives_the_same_text_and_another_seed_another(cell: str) -> None:
    model = network(LETTERS, cell=cell)
    torch.manual_seed(1)
    one = sample(model, LETTERS, seed=7)
    torch.manual_seed(2)
    assert sample(model, LETTERS, seed=7) == one
    assert sample(model, LETTERS, seed=8) != one


def test_the_global_generator_is_left_alone() -> None:
    model = network(LETTERS)
    before = torch.get_rng_state()
    sample(model, LETTERS, rows=2)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("cell", list(LAYERS))
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"prompt": "the fox"},
        {"stop": ("a", "xy"), "length": 90},
        {"temperature": 0.6, "top_k": 9, "top_p": 0.9, "min_p": 0.01, "repetition_penalty": 1.4},
    ],
    ids=str,
)
def test_row_i_of_many_is_the_single_sample_with_seed_plus_i(cell: str, options: dict[str, Any]) -> None:
    model = network(LETTERS, cell=cell, documents=True)
    many = sample(model, LETTERS, rows=6, seed=20, **options)
    assert many == [sample(model, LETTERS, seed=20 + row, **options)[0] for row in range(6)]
    assert len(set(many)) > 1


def test_rows_go_on_alike_when_others_have_ended_and_the_uniforms_are_renewed() -> None:
    model = network(LETTERS)
    options: dict[str, Any] = {"length": UNIFORMS_AT_ONCE + 70, "stop": ("qx",), "temperature": 0.9}
    many = sample(model, LETTERS, rows=8, seed=5, **options)
    # A row that others have left before it draws its second lot of uniforms.
    lengths = [len(text) for text in many]
    assert any(lengths[row] > UNIFORMS_AT_ONCE > min(lengths[:row]) for row in range(1, 8))
    assert many == [sample(model, LETTERS, seed=5 + row, **options)[0] for row in range(8)]


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
        memoryless.bias.copy_(torch.tensor([weights[symbol] for symbol in "abc"]).log())
    (text,) = sample(memoryless, tokenizer, length=count)
    for symbol, p in weights.items():
        assert abs(text.count(symbol) / count - p) < 4 * math.sqrt(p * (1 - p) / count)
    # Neighbours are independent.
    pairs = sum(a == b == "a" for a, b in itertools.pairwise(text))
    assert abs(pairs / count - 0.36) < 0.04


def test_the_last_seed_may_be_followed_by_more_rows() -> None:
    model = network(LETTERS)
    assert sample(model, LETTERS, rows=2, seed=2**32 - 1)[1] == sample(model, LETTERS, seed=0)[0]


@pytest.mark.parametrize("cell", list(LAYERS))
@pytest.mark.parametrize("prompt", ["", "q", "the fox\n"])
def test_greedy_is_the_likeliest_symbol_after_all_before_it_and_ignores_the_seed(cell: str, prompt: str) -> None:
    model = network(LETTERS, cell=cell)
    tokens = [LETTERS.size, *LETTERS.encode(prompt).tolist()]
    for _ in range(30):
        logits, _ = model(torch.tensor([tokens]), model.initial_states(1))
        tokens.append(int(logits[0, -1].argmax()))
    expected = LETTERS.decode(tokens[1 + len(prompt) :])
    for seed in (0, 1, 2**40):
        assert sample(model, LETTERS, prompt=prompt, seed=seed, temperature=0, length=30) == [expected]


@pytest.mark.parametrize("seed", [0, 11])
def test_sampling_inverts_the_cumulative_distribution_of_all_before_at_the_generators_next_number(seed: int) -> None:
    model, count = network(LETTERS).double(), 40
    tokens = [LETTERS.size, *LETTERS.encode("fox").tolist()]
    numbers = torch.rand(UNIFORMS_AT_ONCE, generator=generator(seed), dtype=torch.float64).tolist()
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


# -- chains: the text is known ---------------------------------------------------------------------------------------


def ring(size: int) -> LanguageModel:
    """0, 1, 2 … and again from 0."""
    return chain(size, {size: 0} | {place: (place + 1) % size for place in range(size)})


@pytest.mark.parametrize("temperature", [0, 0.8, 2.0])
@pytest.mark.parametrize(
    ("prompt", "expected"), [("", "abcdeabcd"), ("a", "bcdeabcde"), ("d", "eabcdeabc"), ("eeb", "cdeabcdea")]
)
def test_a_chain_is_followed_from_the_start_or_the_prompts_last_symbol(
    temperature: float, prompt: str, expected: str
) -> None:
    tokenizer = CharTokenizer("abcde")
    assert sample(ring(5), tokenizer, prompt=prompt, length=9, temperature=temperature) == [expected]


def test_without_a_stop_string_every_character_is_a_piece_at_once() -> None:
    pieces = list(generate(ring(3), CharTokenizer("abc"), SampleConfig(length=5), rows=2))
    assert pieces == [
        Piece(row, symbol, "length" if place == 4 else None) for place, symbol in enumerate("abcab") for row in (0, 1)
    ]


def test_text_comes_while_the_network_still_runs() -> None:
    stream = generate(ring(3), CharTokenizer("abc"), SampleConfig(length=10**12))
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
        always.bias.copy_(torch.tensor([10.0, 8.0, 6.0]))
    tokenizer = CharTokenizer("abc")
    options: dict[str, Any] = {"temperature": 0, "repetition_penalty": 2.0, "length": 5}
    assert sample(always, tokenizer, prompt=prompt, **options) == [expected]
    assert sample(always, tokenizer, prompt=prompt, rows=2, **options) == [expected] * 2


def test_each_row_is_penalised_for_its_own_symbols() -> None:
    always = chain(4, {})
    # An unused symbol is certain beside the used ones: each row is a permutation of the four.
    with torch.no_grad():
        always.bias.fill_(-1)
    rows = sample(always, CharTokenizer("abcd"), rows=20, length=4, repetition_penalty=1e6)
    assert all(sorted(text) == list("abcd") for text in rows)
    assert len(set(rows)) > 5


# -- length ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def subwords() -> SubwordTokenizer:
    return SubwordTokenizer.train([PROSE], 330)


@pytest.mark.parametrize("length", [1, 2, 7, 300])
@pytest.mark.parametrize("kind", ["char", "byte", "subword"])
def test_length_counts_code_points_exactly(kind: str, length: int, subwords: SubwordTokenizer) -> None:
    tokenizers: dict[str, Tokenizer] = {"char": LETTERS, "byte": ByteTokenizer(), "subword": subwords}
    tokenizer = tokenizers[kind]
    config = SampleConfig(length=length, temperature=1.0, stop=("\N{SNOWMAN}e",))
    pieces = list(generate(network(tokenizer), tokenizer, config, rows=3))
    assert [len(text) for text in texts(pieces, 3)] == [length] * 3
    assert [piece.finished for piece in pieces if piece.finished] == ["length"] * 3


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 9])
def test_bytes_become_whole_characters(length: int) -> None:
    written = "aé€😀"
    ids = list(written.encode())
    follows = {256: ids[0]} | dict(zip(ids, ids[1:] + ids[:1], strict=True))
    pieces = list(generate(chain(256, follows), ByteTokenizer(), SampleConfig(length=length)))
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
    assert recite(["a", "b"]) == [Piece(0, "a"), Piece(0, "b"), Piece(0, "", "end")]


def test_a_document_may_end_at_once() -> None:
    assert list(generate(chain(2, {2: 2}, documents=True), CharTokenizer("ab"), SampleConfig(), rows=2)) == [
        Piece(0, "", "end"),
        Piece(1, "", "end"),
    ]


def test_what_was_held_back_for_a_stop_string_is_written_at_the_documents_end() -> None:
    assert recite(["x", "a", "b"], stop=("abc",)) == [Piece(0, "x"), Piece(0, "ab", "end")]


def test_an_unfinished_character_comes_out_as_a_sign_at_the_documents_end() -> None:
    follows = {256: ord("a"), ord("a"): 0xE2, 0xE2: 0x82, 0x82: 256}
    pieces = list(generate(chain(256, follows, documents=True), ByteTokenizer(), SampleConfig()))
    assert pieces == [Piece(0, "a"), Piece(0, "\N{REPLACEMENT CHARACTER}", "end")]


def test_a_model_of_one_stream_never_ends_by_itself() -> None:
    for length in (3, 100):
        pieces = list(generate(network(LETTERS), LETTERS, SampleConfig(length=length, temperature=3.0), rows=4))
        assert {piece.finished for piece in pieces if piece.finished} == {"length"}


def test_rows_of_documents_end_each_on_its_own() -> None:
    model = network(LETTERS, documents=True)
    pieces = list(generate(model, LETTERS, SampleConfig(length=60, temperature=1.5), rows=12))
    reasons = {piece.row: piece.finished for piece in pieces if piece.finished}
    assert set(reasons.values()) == {"length", "end"}
    for row, text in enumerate(texts(pieces, 12)):
        assert len(text) <= 60
        assert (len(text) == 60) or reasons[row] == "end"


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


def test_nothing_is_recorded_for_gradients() -> None:
    model = network(LETTERS)
    seen: list[Tensor] = []
    model.register_forward_hook(lambda module, given, result: seen.append(result[0]))
    sample(model, LETTERS, prompt="the fox")
    assert seen and not any(logits.requires_grad for logits in seen)
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
