"""Baselines: what compressors and an n-gram model make of the text that a model is scored on."""

import gzip
import json
import math
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from charrnn import Score, api
from charrnn.api import baselines as api_baselines
from charrnn.api.learned import training_text
from charrnn.errors import ConfigError
from charrnn.models.counts import KneserNey
from charrnn.scoring.baselines import COMPRESSORS, Baselines, Training, baselines
from charrnn.text.part import Part

from .cases import each
from .conftest import CommandLine

NAMES = ["gzip", "bz2", "xz", "zstd", "ppmd", "ngram"]


def as_bytes(data: bytes) -> Part:
    return Part(np.frombuffer(data, np.uint8), len(data))


def of_bytes(data: bytes, training: bytes) -> Baselines:
    return baselines(data, as_bytes(data), 256, Training(training, as_bytes(training)))


def test_a_text_known_by_heart_costs_next_to_nothing_and_noise_what_it_is(prose: str) -> None:
    text, noise = prose.encode(), np.random.default_rng(0).integers(0, 256, 8192, np.uint8).tobytes()
    known, random = of_bytes(text[-4000:], text).figures(), of_bytes(noise, text).figures()
    assert list(known) == list(random) == NAMES
    for name in NAMES:
        trained, alone = known[name]["trained_bpb"], known[name]["bpb"]
        assert trained is not None and trained < (1.6 if name == "bz2" else 1.1), name
        assert (random[name]["trained_bpb"] or 0) > 7.99, name
        if name == "ngram":
            assert alone is random[name]["bpb"] is None
        else:
            assert alone is not None and 2 < alone < 5 and (random[name]["bpb"] or 0) > 8


def test_bits_are_those_of_what_is_written(prose: str) -> None:
    text, training = prose.encode()[-3000:], prose.encode()[:-3000]
    found = of_bytes(text, training)
    assert found.gzip.bpb == 8 * len(gzip.compress(text)) / 3000
    nats = KneserNey.count(as_bytes(training).tokens, 256, 8).nll(as_bytes(text).tokens)
    assert found.ngram.trained_bpb == pytest.approx(nats.sum() / math.log(2) / 3000, rel=1e-12)
    # A better compressor by reputation is a better one here, and what it has read before helps.
    figures = found.figures()
    assert min(COMPRESSORS, key=lambda name: figures[name]["bpb"] or 9) == "ppmd"
    assert all((figures[name]["trained_bpb"] or 9) < (figures[name]["bpb"] or 9) for name in COMPRESSORS)


@each("name", ["small", "lines"])
def test_they_count_the_same_bytes_as_the_model(trained: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = api.load(name, checkpoints=trained)
    seen: list[bytes] = []

    def watched(data: bytes, *rest: object) -> Baselines:
        seen.append(data)
        return of_bytes(data, data)

    monkeypatch.setattr("charrnn.scoring.baselines.baselines", watched)
    score = model.score("\n\nThe heron\r\n\r\nwéé waited", baselines=True, unknown=True)
    assert len(seen[-1]) == score.bytes
    assert seen[-1].decode().replace("\n\n", "\n").strip() == "The heron\nwéé waited"


def test_python_has_them_beside_the_plain_score(trained: Path) -> None:
    model = api.load("small", checkpoints=trained)
    text = "The heron saw the minnow, and the minnow saw the heron."
    plain, score = model.score(text), model.score(text, baselines=True)
    assert plain.baselines is None and "baselines" not in plain.figures()
    assert isinstance(score, Score) and score.baselines is not None and score.bpb == plain.bpb
    assert list(score.figures()["baselines"]) == NAMES
    training, tokens = map(model.tokenizer.encode, (training_text(model), text))
    nats = KneserNey.count(training, model.config.start_id, 8).nll(tokens)
    assert score.baselines.ngram.trained_bpb == pytest.approx(nats.sum() / math.log(2) / score.bytes, rel=1e-9)
    with pytest.raises(ConfigError, match="compressors read a text through"):
        model.score("The", baselines=True, lines=True)
    with pytest.raises(ConfigError, match="compressors read a text through"):
        model.score("The", baselines=True, reset_every=9)


def test_documents_are_counted_as_documents(trained: Path) -> None:
    """A whole line of the training text is known from its first letter to its end."""
    model = api.load("lines", checkpoints=trained)
    lines = training_text(model).split("\n")
    known = model.score("\n".join(lines[:9]), baselines=True).baselines
    new = model.score("\n".join(line[::-1] for line in lines[:9]), baselines=True).baselines
    assert known is not None and new is not None
    assert (known.ngram.trained_bpb or 9) < 1.5 < 4 < (new.ngram.trained_bpb or 0)


def test_the_command_shows_them_to_people_and_to_scripts(
    charrnn: CommandLine, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "t.txt").write_text("The heron saw the minnow, and the minnow saw the heron.")
    asked = ["eval", "t.txt", "-m", "small", "--checkpoints", str(trained), "--baselines"]
    found = json.loads(charrnn(*asked, "--json").out)["baselines"]
    assert list(found) == NAMES and list(found["xz"]) == ["bpb", "trained_bpb"]
    rows = dict(line.split("\t") for line in charrnn(*asked).out.splitlines())
    assert float(rows["baselines_xz_trained_bpb"]) == found["xz"]["trained_bpb"]
    assert (
        float(rows["baselines_ngram_trained_bpb"]) == found["ngram"]["trained_bpb"]
        and rows["baselines_ngram_bpb"] == "-"
    )
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    lines = charrnn(*asked).out.splitlines()
    table = lines[lines.index("") + 1 :]
    assert [line.split()[0] for line in table] == ["bits", *NAMES, "the"]
    assert table[3].split()[:3] == ["xz", f"{found['xz']['bpb']:.4f}", f"{found['xz']['trained_bpb']:.4f}"]
    assert all(len(line) <= 80 for line in table[:-1])
    assert "xz_bpb" not in "\n".join(lines)


def test_what_is_not_to_be_had_is_told_in_a_line(
    charrnn: CommandLine, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(trained / "small", tmp_path / "checkpoints" / "small")
    (tmp_path / "t.txt").write_text("The heron and the fish")
    asked = ["eval", "t.txt", "-m", "small", "--baselines", "--json"]
    monkeypatch.setitem(sys.modules, "pyppmd", None)
    told = charrnn(*asked)
    found = json.loads(told.out)["baselines"]
    assert found["ppmd"] == {"bpb": None, "trained_bpb": None} and found["xz"]["trained_bpb"]
    assert "pip install 'charrnn[baselines]'" in told.err
    (trained.parent / "corpus.txt").rename(trained.parent / "away.txt")
    try:
        told = charrnn(*asked)
    finally:
        (trained.parent / "away.txt").rename(trained.parent / "corpus.txt")
    found = json.loads(told.out)["baselines"]
    assert told.code == 0 and "baselines without the training text: there is no file" in told.err
    assert found["xz"]["bpb"] and {each["trained_bpb"] for each in found.values()} == {None}


def test_of_a_long_training_text_the_end_serves(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = api.load("small", checkpoints=trained)
    monkeypatch.setattr(api_baselines, "MOST_LEARNED", 1000)
    score = model.score("The heron", baselines=True)
    assert any("baselines learn the last 1,000 of" in note for note in score.notes)


def test_characters_that_the_vocabulary_lacks_leave_the_n_gram_without_a_figure(trained: Path) -> None:
    found = api.load("small", checkpoints=trained).score("Ωmega", baselines=True, unknown=True).baselines
    assert found is not None and found.ngram.trained_bpb is None and found.xz.trained_bpb is not None


def test_a_uniform_network_scores_the_logarithm_of_its_alphabet(trained: Path) -> None:
    model = api.load("small", checkpoints=trained, counts=False)
    zeros = {name: np.zeros_like(weight) for name, weight in model.weights.items()}
    score = replace(model, weights=zeros).score("The heron waited")
    assert score.bpt == score.bpc == pytest.approx(math.log2(model.tokenizer.size), rel=1e-6)
