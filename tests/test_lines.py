"""Lines: each costs what it costs alone, whoever stands beside it; in order, as they come, whatever their length."""

import itertools
import os
import random
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import charrnn
from charrnn.config import ModelConfig
from charrnn.errors import ConfigError, VocabularyError
from charrnn.inference.engine import open_engine
from charrnn.models.ensemble import build
from charrnn.scoring import lines, readers, side_by_side
from charrnn.scoring.lines import LineReader, Piece, cut
from charrnn.scoring.predict import predict
from charrnn.scoring.predictions import Asked, Nats
from charrnn.scoring.token_nll import token_nll
from charrnn.text.tokenizers import Tokenizer
from charrnn.text.tokenizers.byte import ByteTokenizer
from charrnn.text.tokenizers.char import CharTokenizer
from charrnn.text.tokenizers.subword import SubwordTokenizer
from tests.cases import each

LETTERS = CharTokenizer("\n abcdefgh")


def a_model(tokenizer: Tokenizer = LETTERS, *, documents: bool = False, **shape: Any) -> Any:
    """What `LineReader` asks of a model."""
    size = tokenizer.size
    config = ModelConfig(
        **{"vocab_size": size + documents, "start_id": size, "embedding": 6, "hidden": 12, "layers": 2, **shape}
    )
    network = build(config)
    network.initialise(torch.Generator().manual_seed(3))
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    return SimpleNamespace(
        config=config, weights=weights, tokenizer=tokenizer, network=network, device="cpu", counting=None
    )


def some_lines(count: int, seed: int = 0, letters: str = "abcdefgh  ") -> list[str]:
    """Lines of any length, empty ones and equal ones among them; the last lacks its end."""
    draw = random.Random(seed)
    found = ["".join(draw.choices(letters, k=draw.choice([0, 1, 5, 30, 70]))) + "\n" for _ in range(count)]
    return [*found, "a cab\n", "a cab\n", "bead"]


def alone(model: Any, text: str, context: str = "") -> Nats:
    """The slow twin: one line at a time, by `token_nll`."""
    tokens = model.tokenizer.encode(context + text, unknown=True).astype(np.int64)
    return token_nll(model.network, tokens)[len(context) :]


def nats(pieces: Iterable[Piece]) -> list[Nats]:
    return [piece.predictions.nll for piece in pieces]


def close(found: Iterable[Nats], expected: Iterable[Nats], atol: float = 2e-6) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=atol)


@pytest.fixture(params=["numpy", "torch", "one after the other"])
def by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Who reads. Small networks would never be worth torch's while."""
    work = {"numpy": 1e30, "torch": -1.0, "one after the other": 1e8}[request.param]
    monkeypatch.setattr(readers, "TAKE_OVER_IF_LOADED", work)
    return str(request.param)


# ---- what a line costs


@each("shape", [{}, {"ensemble": 2}])
def test_a_line_costs_what_it_costs_alone(by: str, monkeypatch: pytest.MonkeyPatch, shape: dict[str, Any]) -> None:
    model, texts = a_model(**shape), some_lines(25)
    expected = [alone(model, text) for text in texts]
    pieces = list(LineReader(model).read(texts))
    assert [(piece.line, piece.text, piece.ends_line) for piece in pieces] == [
        (number, text, True) for number, text in enumerate(texts)
    ]
    close(nats(pieces), expected)
    close(nats(LineReader(model).read(texts, unbuffered=True)), expected)
    close(nats(LineReader(model).read(reversed(texts))), reversed(expected))
    # Few rows and few steps at a time.
    monkeypatch.setattr(side_by_side, "NUMBERS", 4 * 12 * 21)
    monkeypatch.setattr(side_by_side, "LEAST_ROWS", 3)
    monkeypatch.setattr(lines, "FIRST_AHEAD", 100)
    close(nats(LineReader(model).read(texts)), expected)


def test_whoever_reads_is_asked(by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[str] = []
    for kind in (readers.NumpyReader, readers.TorchReader):

        def noted(*args: Any, read: Any = kind.__call__, name: str = kind.__name__) -> Any:
            used.append(name)
            return read(*args)

        monkeypatch.setattr(kind, "__call__", noted)
    monkeypatch.setattr(lines, "FIRST_AHEAD", 50)
    list(LineReader(a_model()).read(some_lines(40)))
    names = [name for name, _ in itertools.groupby(used)]
    assert names == {"numpy": ["NumpyReader"], "torch": ["TorchReader"]}.get(by, ["NumpyReader", "TorchReader"])


def test_lines_add_up_to_what_eval_says_of_them(trained: Path, prose: str) -> None:
    text = prose[:6000]
    # Documents that are held out are drawn, and here are some: their figure is by other weights for counts.
    for name, counts in (("small", True), ("lines", False)):
        model = charrnn.load(trained / name, counts=counts)
        scores, whole = list(model.score_lines(text)), model.score(text, lines=True)
        assert "".join(score.text for score in scores) == text
        assert sum(score.nats for score in scores) == pytest.approx(whole.nats, rel=1e-8)
        assert sum(score.chars for score in scores) == whole.chars
        close([np.concatenate(nats(LineReader(model).read(text.splitlines(keepends=True))))], [whole.token_nll])


def test_a_line_without_a_document_in_it_costs_nothing(by: str) -> None:
    model = a_model(documents=True)
    texts = ["abba\n", "\n", "  \n", " cab", "", "feed\n"]
    pieces = list(LineReader(model).read(texts))
    assert [piece.text for piece in pieces] == texts
    end = np.array([model.config.start_id])
    expected = [
        np.empty(0)
        if not text.strip()
        else token_nll(model.network, np.append(model.tokenizer.encode(text.removesuffix("\n")), end), np.array([0]))
        for text in texts
    ]
    close(nats(pieces), expected)
    assert all(piece.predictions.tokens[-1:] == end for piece in pieces if len(piece.predictions))


def test_white_space_that_comes_in_parts_is_an_empty_line_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LONGEST", 8)
    pieces = list(LineReader(a_model(documents=True)).read([20 * " " + "\n", 20 * "\t"]))
    assert len(pieces) > 2 and not any(len(piece.predictions) for piece in pieces)


def test_a_context_is_read_before_each_line(by: str) -> None:
    model, texts, context = a_model(), some_lines(10), "dead head\nface"
    close(nats(LineReader(model, context=context).read(texts)), [alone(model, text, context) for text in texts])
    running = nats(LineReader(model, context=context, carry=True).read(texts))
    close([np.concatenate(running)], [alone(model, "".join(texts), context)])


def test_carried_lines_are_one_running_text(by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, texts = a_model(), some_lines(20)
    whole = alone(model, "".join(texts))
    reader = LineReader(model, carry=True)
    for unbuffered in (False, True):
        close([np.concatenate(nats(reader.read(texts, unbuffered=unbuffered)))], [whole])
    monkeypatch.setattr(lines, "FIRST_AHEAD", 70)
    close([np.concatenate(nats(reader.read([texts[0], None, *texts[1:]])))], [whole])
    with pytest.raises(ConfigError, match=r"from a fresh state: leave out `carry`"):
        LineReader(a_model(documents=True), carry=True)


@pytest.mark.parametrize("documents", [False, True])
def test_a_long_line_in_parts_is_the_whole_line(by: str, monkeypatch: pytest.MonkeyPatch, documents: bool) -> None:
    model = a_model(documents=documents)
    draw = random.Random(1)
    texts = ["bad\n", *("".join(draw.choices("abcd ", k=k)) + "\n" for k in (50, 51, 173, 20, 400)), "deed"]
    whole = nats(LineReader(model).read(texts))
    monkeypatch.setattr(lines, "LONGEST", 50)
    monkeypatch.setattr(lines, "FIRST_AHEAD", 120)
    for unbuffered in (False, True):
        pieces = list(LineReader(model).read(texts, unbuffered=unbuffered))
        assert max(len(piece.text) for piece in pieces) <= 50
        joined = [list(group) for _, group in itertools.groupby(pieces, key=lambda piece: piece.line)]
        assert ["".join(piece.text for piece in group) for group in joined] == texts
        assert all([piece.ends_line for piece in group] == [False] * (len(group) - 1) + [True] for group in joined)
        close([np.concatenate(nats(group)) for group in joined], whole)


def test_what_is_asked_beside_the_nats_is_what_predict_says(by: str) -> None:
    model, texts = a_model(), some_lines(20)
    asked = Asked(np.arange(model.tokenizer.size) < 2, rank=True, entropy=True, top=3)
    pieces = list(LineReader(model, asked=asked).read([*texts, ""]))
    close(nats(pieces), nats(LineReader(model).read([*texts, ""])))
    for piece in pieces:
        tokens = model.tokenizer.encode(piece.text).astype(np.int64)
        expected = predict(model.network, tokens, asked=asked)
        np.testing.assert_array_equal(piece.predictions.tokens, tokens)
        for name in ("boundary", "rank", "entropy", "top", "top_nll"):
            found = getattr(piece.predictions, name)
            assert found.shape == getattr(expected, name).shape
            np.testing.assert_allclose(found, getattr(expected, name), rtol=1e-5, atol=1e-5)


# ---- characters


def test_a_character_that_is_not_in_the_vocabulary_is_named_with_its_line(by: str) -> None:
    model = a_model()
    texts = ["abba\n", "bad\n", "cab zéa é\n", "deed\n"]
    with pytest.raises(VocabularyError, match=r"^line 3: the model's vocabulary has no 'z', 'é' \(column 5\)"):
        list(LineReader(model).read(texts))
    for piece in LineReader(model, unknown=True).read(texts):
        close([piece.predictions.nll], [alone(model, piece.text)])
    with pytest.raises(VocabularyError, match=r"^the context: the model's vocabulary has no 'X' \(column 2\)"):
        LineReader(model, context="aXa")
    with pytest.raises(VocabularyError, match=r"^line 2: character 1 is .* half of a surrogate pair"):
        list(LineReader(a_model(ByteTokenizer())).read(["a", "b\ud800"]))


def test_the_lines_before_one_that_cannot_be_read_come_out() -> None:
    pieces = LineReader(a_model()).read(["abba\n", "bad\n", "x\n", "deed\n"])
    assert [next(pieces).text, next(pieces).text] == ["abba\n", "bad\n"]
    with pytest.raises(VocabularyError, match=r"^line 3"):
        next(pieces)


def test_parts_of_a_long_line_have_the_tokens_of_the_whole(monkeypatch: pytest.MonkeyPatch, prose: str) -> None:
    subwords, text = SubwordTokenizer.train([prose], 400), prose.replace("\n", " ")[:3000]
    monkeypatch.setattr(lines, "LONGEST", 100)
    parts = list(cut(text))
    assert "".join(parts) == text and len(parts) > 30 and max(map(len, parts)) <= 100
    assert [token for part in parts for token in subwords.encode(part)] == subwords.encode(text).tolist()
    assert list(cut("a" * 250)) == ["a" * 100, "a" * 100, "a" * 50]
    assert list(cut("")) == [""]


# ---- as they come


def test_what_has_come_is_given_out_in_a_pause() -> None:
    asked_for = []

    def come() -> Iterator[str | None]:
        for text in ("abba\n", "bad\n", None, "deed\n", None):
            asked_for.append(text)
            yield text
        raise AssertionError("more was asked for than was needed")

    pieces = LineReader(a_model()).read(come())
    assert [next(pieces).text, next(pieces).text] == ["abba\n", "bad\n"]
    assert asked_for == ["abba\n", "bad\n", None]
    assert next(pieces).text == "deed\n"


def test_a_pipe_that_pauses_gives_what_it_has(trained: Path) -> None:
    reads, writes = os.pipe()
    os.write(writes, b"The heron\nand the")
    scores = charrnn.load(trained / "small").score_lines(Path(f"/dev/fd/{reads}"))
    assert next(scores).text == "The heron\n"
    os.write(writes, b" fox\nThe")
    assert next(scores).text == "and the fox\n"
    os.close(writes)
    assert [score.text for score in scores] == ["The"]
    os.close(reads)


def test_lines_without_end_are_asked_for_a_bounded_number_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LEAST_AHEAD", 4000)
    monkeypatch.setattr(lines, "MOST_AHEAD", 4000)
    monkeypatch.setattr(lines, "MOST_LINES", 300)
    for text, most in (("abcabcabc\n", 300), ("", 300), ("abcabcabc " * 50, 8)):
        come = 0

        def endless(text: str = text) -> Iterator[str]:
            nonlocal come
            while True:
                come += 1
                yield text

        pieces = LineReader(a_model()).read(endless())
        assert max(come - given for given, _ in enumerate(itertools.islice(pieces, 400))) <= most
    first = itertools.count(1)
    next(LineReader(a_model()).read("abcabcabc\n" for _ in first))
    assert next(first) <= lines.FIRST_AHEAD / 10 + 2


def test_unbuffered_lines_are_asked_for_one_by_one() -> None:
    asked_for = iter(some_lines(5))
    pieces = LineReader(a_model()).read(asked_for, unbuffered=True)
    next(pieces)
    assert len(list(asked_for)) == len(some_lines(5)) - 1


@pytest.mark.slow
def test_torch_is_loaded_beside_the_reading_once_it_pays_and_not_before(trained: Path) -> None:
    script = f"""
import sys
import charrnn
from charrnn.scoring import lines, readers

model = charrnn.load({str(trained / "small")!r})
texts = ["The heron said nothing of it,\\n", "and the fox\\n"] * 50
before = [score.nats for score in model.score_lines(texts)]
assert "torch" not in sys.modules
readers.LOAD_AFTER, readers.TAKE_OVER_AFTER, lines.FIRST_AHEAD = 0, 4e7, 100
after = [score.nats for score in model.score_lines(texts)]
assert "torch" in sys.modules
assert max(abs(one - other) for one, other in zip(before, after)) < 1e-4, (before, after)
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)


# ---- for Python


def test_a_line_of_its_own_has_its_figures(trained: Path, tmp_path: Path) -> None:
    model = charrnn.load(trained / "small")
    text = "The heron\n\nand the fox"
    (tmp_path / "lines.txt").write_text(text)
    scores = list(model.score_lines(text))
    assert [score.text for score in scores] == ["The heron\n", "\n", "and the fox"]
    assert (
        scores
        == list(model.score_lines(tmp_path / "lines.txt"))
        == list(model.score_lines(iter(text.splitlines(True))))
        == list(model.score_lines(text.replace("\n", "\r\n").splitlines(True)))
    )
    whole = model.score("The heron\n")
    assert (scores[0].bits, scores[0].bpc, scores[0].ppl) == pytest.approx(
        (whole.nats / np.log(2), whole.bpc, whole.ppl)
    )
    assert (scores[0].chars, scores[0].tokens) == (10, 10)
    assert repr(scores[0]) == f"<LineScore 'The heron\\n', {scores[0].bits:.2f} bits>"
    (nothing,) = charrnn.load(trained / "lines").score_lines([" \n"])
    assert (nothing.nats, nothing.chars, nothing.tokens, nothing.bpc, nothing.ppl) == (0, 0, 0, None, None)


def test_what_is_no_line_is_refused(trained: Path) -> None:
    model: Any = charrnn.load(trained / "small")
    for texts, words in (
        (5, "`texts` must be strings, a text, or the Path of a file, not 5"),
        (b"The", "`texts` must be strings, a text, or the Path of a file, not b'The'"),
        (["The", 5], "`texts` must hold strings, not 5"),
    ):
        with pytest.raises(ConfigError, match=f"^{words}$"):
            list(model.score_lines(texts))
    for name in ("carry", "unbuffered", "unknown", "context"):
        with pytest.raises(ConfigError, match=f"^`{name}` must be .*, not 2.5"):
            model.score_lines("The", **{name: 2.5})


def test_in_8_bits_lines_cost_what_the_samplers_steps_say() -> None:
    """Whoever reads, and whoever stands beside a line; near the model's own numbers."""
    for shape in ({}, {"ensemble": 2}, {"cell": "gru"}, {"cell": "lstm-coupled"}):
        model = a_model(documents="ensemble" in shape, **shape)
        texts, engine = some_lines(40), open_engine(model.config, model.weights, "int8")
        found = nats(LineReader(model, precision="int8").read(texts))
        exact = nats(LineReader(model).read(texts))
        for text, own, other in zip(texts, found, exact, strict=True):
            if not len(own):
                continue
            assert np.abs(own - other).max() < 0.2
            ids, state, slow = LETTERS.encode(text).tolist(), engine.initial_state(1), []
            if model.config.documents:
                ids = [*LETTERS.encode(text.removesuffix("\n")).tolist(), LETTERS.size]
            for given, wanted in zip([LETTERS.size, *ids], ids, strict=False):
                logits, state = engine.step(np.array([given]), state)
                shifted = logits[0].astype(np.float64) - logits.max()
                slow.append(np.log(np.exp(shifted).sum()) - shifted[wanted])
            assert np.abs(own - slow).max() < 1e-6
    with pytest.raises(ConfigError, match="not bounded by 1"):
        LineReader(a_model(cell="rnn-relu"), precision="int8")
