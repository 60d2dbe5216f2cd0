"""Scores of texts that counts learn from as they are read, beside the plain ones."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from charrnn import api, native
from charrnn.inference.mixing import Mixer
from charrnn.scoring.adaptation import adapted_token_nll
from charrnn.scoring.figures import Nats
from charrnn.scoring.mixing import Mixing, begins, prime, read_plainly, shares_of_logits
from charrnn.scoring.score import score
from charrnn.scoring.token_nll import read
from charrnn.text.letters import Spelling
from charrnn.text.part import Part
from charrnn.text.survey import TextStatistics

from .cases import each
from .conftest import CommandLine
from .test_bad_input import refused
from .test_token_nll import documents_of, draw, make_model

SYMBOLS = 6
TRAINING = Part(draw(200, SYMBOLS, seed=1), 200)


pytestmark = pytest.mark.usefixtures("compiled_library")


def a_mixer() -> Mixer:
    mixer = unread_mixer()
    prime(mixer, TRAINING)
    return mixer


def unread_mixer() -> Mixer:
    return Mixer(TRAINING.tokens, SYMBOLS, Spelling(np.arange(SYMBOLS), 0), 1000)


@each("lengths", [None, [5, 90, 1, 30, 8, 16]])
def test_a_network_is_read_in_order_whatever_stands_side_by_side(
    lengths: list[int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by one pass over all distributions; an unknown character keeps its plain cost."""
    model = make_model(documents=lengths is not None)
    tokens, starts = (draw(150), None) if lengths is None else documents_of(lengths)
    tokens[40] = model.config.start_id + 1
    part = Part(tokens, tokens.size, starts)
    plain = score(model, part, TextStatistics(150, 150, 1))
    shares = np.empty((tokens.size, model.config.vocab_size), np.uint32)

    def keep(positions, inside, logits, _):  # type: ignore[no-untyped-def]
        shares[positions[inside]] = shares_of_logits(logits)[inside]

    def mixer() -> Mixer:
        made = Mixer(draw(50), model.config.vocab_size, Spelling(np.full(model.config.vocab_size, -1), None), 1000)
        made.read(draw(50), begins(Part(draw(50), 50)))
        return made

    read(model, tokens, starts, keep)
    expected = -np.log(mixer().read(tokens, begins(part), shares))
    expected[40] = plain.token_nll[40]
    found: list[Nats] = []
    for batch_size, most in ((1, 1 << 24), (3, 1 << 24), (32, 60 * model.config.vocab_size)):
        monkeypatch.setattr("charrnn.scoring.mixing.AT_ONCE", most)
        mixing = Mixing(mixer(), part, plain)
        read_plainly(model, part, mixing, batch_size)
        found.append(mixing.nats)
        # What batches change in a network's seventh digit can move log-odds by one 256th of a nat.
        np.testing.assert_allclose(mixing.nats, expected, atol=1e-2)
        assert mixing.nats.mean() == pytest.approx(expected.mean(), abs=1e-4)
    assert abs(found[0] - plain.token_nll).max() > 0.1
    assert mixing.score(plain, "counts").state == f"{plain.state}, counts adapted"


def test_counts_begin_with_the_training_text_and_contexts_anew_with_each_document() -> None:
    known = a_mixer().read(TRAINING.tokens, begins(TRAINING))
    unknown = Mixer(TRAINING.tokens, SYMBOLS, Spelling(np.arange(SYMBOLS), 0), 1000).read(
        TRAINING.tokens, begins(TRAINING)
    )
    assert np.log(known[50:]).mean() > np.log(unknown[50:]).mean() + 0.5
    assert np.flatnonzero(begins(Part(draw(9), 9, np.array([0, 4, 7])))).tolist() == [0, 4, 7]


def test_both_mix_what_the_learning_network_says() -> None:
    model, part = make_model(symbols=SYMBOLS), Part(draw(100, SYMBOLS), 100)
    plain = score(model, part, TextStatistics(100, 100, 1))
    mixing = Mixing(a_mixer(), part, plain)
    adapted = adapted_token_nll(model, part, take=mixing.take)
    np.testing.assert_array_equal(adapted, adapted_token_nll(model, part))
    still = Mixing(a_mixer(), part, plain)
    adapted_token_nll(model, part, rate=0.0, take=still.take)
    by_itself = Mixing(a_mixer(), part, plain)
    read_plainly(model, part, by_itself, 1)
    np.testing.assert_allclose(still.nats, by_itself.nats, atol=1e-2)
    np.testing.assert_array_equal(mixing.nats[:30], still.nats[:30])
    assert not np.array_equal(mixing.nats, still.nats)


def test_eval_tells_the_plain_figures_and_the_adapted_ones(
    charrnn: CommandLine, trained: Path, prose: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("text.txt").write_text(prose[-300:], encoding="utf-8")
    line = ["eval", "-m", "small", "--checkpoints", str(trained), "--threads", "1", "--json"]
    counts = charrnn(*line, "--adapt", "counts", "text.txt")
    assert "counts begin with the training text" in counts.err
    both, alone = (json.loads(charrnn(*line, "--adapt", *way, "text.txt").out) for way in (["both"], []))
    found = json.loads(counts.out)
    assert found.keys() - alone.keys() == {"adapted_counts"} and alone.keys() - found.keys() == {"adapted"}
    for name in ("adapted_counts", "adapted"):
        assert both[name]["nats"] == pytest.approx((found | alone)[name]["nats"])
    assert both["adapted_both"]["loss"] != both["adapted_counts"]["loss"] < both["loss"] == found["loss"]
    lines = json.loads(charrnn(*line[:2], "lines", *line[3:], "--adapt", "counts", "text.txt").out)
    assert lines["adapted_counts"]["loss"] < lines["loss"]
    refused(charrnn(*line, "--adapt", "count", "text.txt"), 2, "gradient, counts or both, not 'count'")
    refused(charrnn(*line, "--adapt", "none.txt"), 1, "none.txt")
    monkeypatch.setenv(native.VARIABLE, "no")
    refused(charrnn(*line, "--adapt=counts", "text.txt"), 1, "compiled part", "by gradient")


def test_score_tells_line_by_line_what_eval_tells_of_all(
    charrnn: CommandLine, trained: Path, prose: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With tables of the same size: as lines, and as one running text; each line as it comes; by Python as well."""
    text = "".join(line + "\n" for line in prose[-300:].split("\n")[1:] if line)
    Path("text.txt").write_text(text, encoding="utf-8")
    monkeypatch.setattr("charrnn.api.adapting.LINES", len(text) + 1)
    of = ["-m", "small", "--checkpoints", str(trained), "--threads", "1", "--adapt", "counts", "text.txt"]
    done = charrnn("eval", *of, "--json")
    assert done.code == 0, done.err
    wanted = json.loads(done.out)["adapted_counts"]["nats"] / math.log(2)
    carried = [float(line) for line in charrnn("score", *of, "--carry", "-q").out.split()]
    assert sum(carried) == pytest.approx(wanted, rel=1e-3)
    chars = charrnn("score", *of, "--carry", "--per", "char", "--unbuffered", "--json").out.splitlines()
    assert sum(json.loads(row)["surprisal"] for row in chars) == pytest.approx(sum(carried), rel=1e-3)
    alone = [float(line) for line in charrnn("score", *of, "-q").out.split()]
    own = api.load("small", checkpoints=trained)
    assert [line.bits for line in own.score_lines(text, adapt="counts")] == pytest.approx(alone, rel=1e-3)
    assert sum(alone) < sum(line.bits for line in own.score_lines(text)) and alone != pytest.approx(carried, rel=1e-3)
    for wrong, words in (
        (["--top", "3", "--per", "char"], "leave out --top and --html"),
        (["--per", "word"], "--space before"),
        (["--context", "So"], "--context"),
    ):
        refused(charrnn("score", *of, *wrong), 2, words)
    refused(charrnn("score", "--adapt", "both", "text.txt"), 2, "by counts here, not by both")
