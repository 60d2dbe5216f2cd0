"""What counts add on a text: gates are never reported on what they were fitted on; a model carries its counts."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from charrnn import api
from charrnn.api.contributions import read_beside
from charrnn.api.counts import mixtures_for
from charrnn.errors import CheckpointError
from charrnn.inference.counting import Counting
from charrnn.models.counts import Experts
from charrnn.models.counts.fitting import fit
from charrnn.models.counts.kept import ALL, OF_FIRST_HALF, OF_SECOND_HALF, KeptCounts
from charrnn.models.counts.mixture import Gate, Mixture
from charrnn.models.counts.trie import Ids
from charrnn.models.ensemble import Ensemble
from charrnn.scoring import counts
from charrnn.scoring.contributions import contributions
from charrnn.scoring.counts import Fitted, alike_in, counted_nll, examples_of, fit_gates, middle
from charrnn.scoring.token_nll import Positions, token_nll
from charrnn.storage import checkpoint
from charrnn.text.letters import NO_LETTER, letters_of
from charrnn.text.part import Part
from charrnn.text.tokenizers.byte import ByteTokenizer
from charrnn.text.tokenizers.char import CharTokenizer
from charrnn.training import counting
from charrnn.training.events import Note, Report

from .cases import each
from .conftest import SMALL, CommandLine
from .test_token_nll import START, documents_of, draw, make_model

# The network by itself, beside two experts.
ALONE = Gate.constant([1.0, 0.0, 0.0])


def part_of(*ids: Ids) -> Part:
    tokens = np.concatenate(ids).astype(np.uint8)
    return Part(tokens, tokens.size)


def test_each_half_of_the_held_out_part_is_scored_by_the_gate_of_the_other_half() -> None:
    """Planted: counts know the first half by heart and are wrong all through the second; a gate that had seen a half
    would trust them in the first and turn away from them in the second."""
    up, model = np.tile(np.arange(5), 2000), make_model(hidden=4)
    experts, part = Experts.count(up[:1000], START), part_of(up[:3000], up[:3000][::-1])
    found = fit_gates(model, experts, part)
    first, second = (examples_of(model, experts, half, 1) for half in part.parted(middle(part)))
    assert found.both is not None and found.alone is not None
    fixed = counts.fixed_gate(experts, 1)
    for name, other in ((OF_FIRST_HALF, second), (OF_SECOND_HALF, first)):
        np.testing.assert_array_equal(found.counts.gates[name].constants, fit(other, fixed).constants)
    honest = first.cost(found.counts.gates[OF_FIRST_HALF]) + second.cost(found.counts.gates[OF_SECOND_HALF])
    cheat = first.cost(fit(first, fixed)) + second.cost(fit(second, fixed))
    assert found.both == pytest.approx(honest / 6000) and honest > cheat + 3000
    by_halves = [Counting(found.counts.of(half)) for half in (OF_FIRST_HALF, OF_SECOND_HALF)]
    nats = counted_nll(model, by_halves, part)
    np.testing.assert_allclose(nats.both.mean(), found.both, rtol=3e-3)
    np.testing.assert_allclose(nats.alone, token_nll(model, part.tokens), atol=1e-6)
    np.testing.assert_allclose(nats.alone.mean(), found.alone, rtol=3e-3)


def test_without_a_held_out_part_the_weights_are_fixed() -> None:
    experts = Experts.count(np.tile(np.arange(5), 100), START)
    found = fit_gates(make_model(hidden=4), experts, None)
    assert found.both is None and [*found.counts.gates] == [ALL]
    assert found.counts.gates[ALL].constants.tolist() == list(counts.CONSTANTS_OF_PIECES)


@each("starts", [None, np.array([0, 90, 91, 150])])
def test_networks_of_an_ensemble_are_mixed_apart_and_their_mean_is_the_network_alone(starts: Positions | None) -> None:
    """As by one pass of each, formulas in float64; two that are alike are one of twice the weight."""
    documents = starts is not None
    one, other = make_model(documents=documents), make_model(documents=documents)
    with torch.no_grad():
        other.forwards.bias.mul_(-1)
    part, model = Part(draw(200), 200, starts), Ensemble([one, other])
    experts = Experts.count(draw(400), START, starts)
    gate = Gate.constant([0.7, 0.2, 0.4, -0.1])
    found = counted_nll(model, [Counting(Mixture(experts, gate))], part)
    np.testing.assert_allclose(found.alone, token_nll(model, part.tokens, starts), atol=1e-6)
    log_p = [examples_of(each, experts, part, 1).log_p for each in (one, other)]
    apart = examples_of(model, experts, part, 2)
    np.testing.assert_allclose(apart.log_p, [log_p[0][0], *log_p[1]], atol=1e-6)
    slow = np.einsum("k,knv->nv", gate.constants, apart.log_p.astype(float))
    slow -= np.log(np.exp(slow).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(found.both, -slow[np.arange(200), part.tokens], atol=1e-5)
    twice, single = (
        counted_nll(network, [Counting(Mixture(experts, Gate.constant(weights)))], part).both
        for network, weights in ((Ensemble([one, one]), [0.3, 0.4, 0.4, -0.1]), (one, [0.7, 0.4, -0.1]))
    )
    np.testing.assert_allclose(twice, single, atol=1e-5)
    fitted = fit_gates(model, experts, part)
    assert fitted.counts.mixture.networks == 2 and fitted.alone == pytest.approx(found.alone.mean(), rel=3e-3)
    told = contributions(model, [Counting(Mixture(experts, gate))], part)
    np.testing.assert_allclose(told.alone[0], found.alone, atol=1e-5)
    np.testing.assert_allclose(told.weights[:, 0], [0.9, 0.4, -0.1])


@each("reset_every", [None, 7])
@each("in_documents", [False, True])
def test_a_network_that_alone_has_weight_costs_what_it_costs_alone(reset_every: int | None, in_documents: bool) -> None:
    starts: Positions | None = None
    tokens = draw(300)
    if in_documents:
        tokens, starts = documents_of([30, 1, 50, 7])
        reset_every = None
    tokens[20] = START + 1
    model = make_model(documents=in_documents)
    part = Part(tokens, tokens.size, starts)
    experts = Experts.count(draw(400), START, None if starts is None else np.array([0]))
    found = counted_nll(model, [Counting(Mixture(experts, ALONE))], part, reset_every=reset_every)
    np.testing.assert_allclose(found.alone, token_nll(model, tokens, starts, reset_every=reset_every), atol=1e-6)
    np.testing.assert_allclose(found.both, found.alone, atol=1e-5)
    mixture = [Counting(Mixture(experts, Gate.constant([0.6, 0.5, -0.2])))]
    one, others = (counted_nll(model, mixture, part, reset_every=reset_every, batch_size=size).both for size in (32, 3))
    np.testing.assert_allclose(others, one, atol=1e-5)
    assert not np.allclose(one, found.alone, atol=0.01)


@each("reset_every, starts", [(None, None), (10, None), (None, np.array([0, 20]))])
def test_no_expert_sees_what_the_network_may_not(reset_every: int | None, starts: Positions | None) -> None:
    tokens, others = draw(40), np.concatenate([draw(19, seed=1), draw(40)[19:]])
    ends = START if starts is None else START + 1
    training = np.tile(np.concatenate([tokens, others]), 2)
    experts = Experts.count(training, START, None if starts is None else np.arange(0, training.size, 40))
    counts_alone = [Counting(Mixture(experts, Gate.constant([0, 0.5, 0.5])))]
    one, other = (
        counted_nll(make_model(documents=ends > START), counts_alone, Part(text, 40, starts), reset_every=reset_every)
        for text in (tokens, others)
    )
    assert np.array_equal(one.both[20:], other.both[20:]) == (reset_every is not None or starts is not None)
    assert not np.array_equal(one.both[:19], other.both[:19])


def test_halves_part_between_documents_and_equal_documents_are_alike() -> None:
    tokens, starts = documents_of([30, 1, 50, 7])
    first, second = Part(tokens, 88, starts).parted(31)
    assert first.starts is not None and second.starts is not None
    assert (first.starts.tolist(), second.starts.tolist()) == ([0, 30], [0, 50])
    last = Part(tokens, 88, starts).end(40)
    assert last.starts is not None and last.tokens.tolist() == tokens[int(starts[-1]) :].tolist()
    assert middle(Part(tokens, 88, starts)) == 31 and middle(Part(tokens, 88)) == 44
    twin = np.concatenate([tokens[81:], draw(5), [START], tokens[1:40]])
    other = Part(twin, twin.size, np.array([0, 7, 13]))
    alike = [*range(1, 40), *range(81, 88)]
    assert np.flatnonzero(alike_in(Part(tokens, 88, starts), other)).tolist() == alike


def test_letters_of_words() -> None:
    letters = letters_of(CharTokenizer(" 'Aaéb"))
    assert letters is not None and letters.tolist() == [NO_LETTER, 1, 3, 3, 4, 5]
    found = letters_of(ByteTokenizer())
    assert found is not None and found.shape == (256,)
    assert [found[code] for code in b"Az9 .\n"] == [ord("a"), ord("z"), ord("9"), *[NO_LETTER] * 3]
    assert found[128:].tolist() == list(range(128, 256))


# ---- models, verbs and commands


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory, prose: str) -> Path:
    """A run of a network that has hardly learned, beside counts."""
    folder = tmp_path_factory.mktemp("counted")
    (folder / "c.txt").write_text(prose, encoding="utf-8")
    api.train(folder / "c.txt", steps=3, name="c", checkpoints=folder / "k", hidden=8, batch_size=4, seed=1, threads=1)
    return folder / "k"


def test_a_model_carries_its_counts_and_scores_its_own_held_out_part_half_by_half(counted: Path) -> None:
    model, alone = (api.load("c", checkpoints=counted, counts=counts) for counts in (True, False))
    assert model.counts is not None and alone.counts is None and model != alone and model.digest != alone.digest
    text = api.held_out(model)
    plain, both = alone.score(text, unknown=True), model.score(text, unknown=True)
    assert plain.network is None and both.network is not None
    np.testing.assert_allclose(both.network.token_nll, plain.token_nll, atol=1e-6)
    assert both.bpc < plain.bpc - 0.3
    assert any("fitted on the other half" in note for note in both.notes)
    told = model.header.counts
    assert (
        told is not None
        and told.loss is not None
        and told.loss < plain.loss
        and told.alone == pytest.approx(plain.loss, rel=0.01)
    )
    # By hand: the halves, each by its gate.
    part = part_of(model.tokenizer.encode(text.read(), unknown=True))
    first, second = (
        counted_nll(model.network, [Counting(model.counts.of(half))], part).both
        for half in (OF_FIRST_HALF, OF_SECOND_HALF)
    )
    border = middle(part)
    np.testing.assert_allclose(both.token_nll, np.append(first[:border], second[border:]), atol=1e-6)


def test_a_text_that_shares_a_run_with_the_held_out_part_is_scored_by_fixed_weights(counted: Path) -> None:
    model = api.load("c", checkpoints=counted)
    some, new = api.held_out(model).read()[100:300], "a wholly other text, of which nothing was ever seen before."
    for text, fixed in ((some, True), (new, False)):
        part = part_of(model.tokenizer.encode(text, unknown=True))
        (mixture,), notes = mixtures_for(model, part, lines=False)
        assert (mixture.mixture.gate.outward.size == 0 and bool(notes)) == fixed
        assert model.counts is not None
        assert (mixture.mixture.gate is model.counts.gates[ALL]) != fixed


def test_everything_that_reads_reads_beside_counts(counted: Path) -> None:
    model = api.load("c", checkpoints=counted)
    text = "The heron stood in the river, and the river went by.\n" * 3
    line = text.splitlines(keepends=True)[0]
    whole = model.score(line)
    assert model.score(line, lines=True).nats == pytest.approx(whole.nats, rel=1e-6)
    for precision, close in (("fp32", 1e-5), ("int8", 0.02)):
        one, *others = model.score_lines([line] * 3, precision=precision)
        assert one.nats == pytest.approx(whole.nats, rel=close) and all(each.nats == one.nats for each in others)
    assert float(model.surprisal(line)["surprisal"].sum()) == pytest.approx(whole.nats / np.log(2), rel=1e-5)
    assert model.decompress(model.compress(text.encode())) == text.encode()
    assert len(model.compress(text.encode())) < len(
        api.load("c", checkpoints=counted, counts=False).compress(text.encode())
    )
    behind = model.read("The heron stood")
    assert model.sample(state=behind, seed=3, length=50) == model.sample("The heron stood", seed=3, length=50)
    behind.save(counted / "state")
    assert model.sample(state=counted / "state", seed=3, length=50) == model.sample(state=behind, seed=3, length=50)


def test_what_each_expert_knows_adds_up_to_the_figures(counted: Path, charrnn: CommandLine) -> None:
    model = api.load("c", checkpoints=counted)
    text = api.held_out(model).read()
    network, *experts, together = read_beside(model, text, length=10**6)
    score = model.score(text, unknown=True)
    known, alone = ~score.unknown, score.network
    assert alone is not None and score.oov == 1  # which no expert is asked for
    for reader, nats in ((network, alone.token_nll), (together, score.token_nll)):
        assert reader.bits == pytest.approx(nats[known].mean() / np.log(2), rel=2e-2), reader.name
    assert [each.name for each in experts] == ["order 9", "words", "order 4"] and together.weight is None
    further = [each for each in text if each.isalpha()]
    assert len(further) < len(text) and all(None not in each.by_place.values() for each in (network, together))
    told = charrnn("inspect", "counts", "-m", "c", "--checkpoints", str(counted), "--length", "300")
    rows = [line.split("\t") for line in told.out.splitlines()]
    assert rows[0][:3] == ["", "bits", "weight"] and [row[0] for row in rows[1:]] == [
        "network", "order 9", "words", "order 4", "together",
    ]  # fmt: skip
    refused = charrnn("inspect", "counts", "-m", str(counted / "none"))
    assert refused.code == 1


def test_damaged_counts_are_told_in_one_line(counted: Path, tmp_path: Path) -> None:
    header, tensors = checkpoint.read(counted / "c" / "model.safetensors")
    name = "counts.experts.words.1.firsts"
    checkpoint.write(tmp_path / "m.safetensors", {**tensors, name: tensors[name][1:]}, header.metadata)
    with pytest.raises(CheckpointError, match="is damaged: its counts do not fit together"):
        api.load(tmp_path / "m.safetensors")
    assert api.load(tmp_path / "m.safetensors", counts=False).counts is None
    experts = api.load("c", checkpoints=counted).counts
    assert isinstance(experts, KeptCounts)


def test_the_command_line_trains_without_counts_and_reads_without(charrnn: CommandLine, prose: str) -> None:
    Path("c.txt").write_text(prose, encoding="utf-8")
    result = charrnn("train", "c.txt", "--steps", "1", "--name", "a", "--no-counts", *SMALL)
    assert result.code == 0 and "counts of" not in result.err
    assert "network_bpc" not in charrnn("eval", "-m", "a", "--threads", "1").out
    result = charrnn("train", "c.txt", "--steps", "1", "--name", "b", *SMALL)
    assert "counts of the training text (" in result.err and "by the network alone" in result.err
    both, alone = (
        json.loads(charrnn("eval", "-m", "b", "--json", "--threads", "1", *more).out) for more in ([], ["--no-counts"])
    )
    assert both["bpc"] < both["network"]["bpc"] == pytest.approx(alone["bpc"], rel=1e-6) and "network" not in alone


@each("mixed_better", [True, False])
def test_of_the_best_alone_and_the_weights_of_the_end_those_are_kept_that_are_better_beside_counts(
    mixed_better: bool, tmp_path: Path, prose: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told that the network alone is best halfway; beside counts one that has learned more is better, or not."""
    told = iter([1.0, 2.0, 2.0, 2.0, 2.0])
    monkeypatch.setattr(
        "charrnn.training.run.token_nll", lambda _, tokens, *__, **___: np.full(tokens.size, next(told))
    )
    if not mixed_better:
        beside, kept = counting.beside, KeptCounts(Experts.count(np.arange(5), START), {})
        monkeypatch.setattr(counting, "beside", lambda *given: replace(beside(*given), found=Fitted(kept, 9.0, 9.0)))
    (tmp_path / "c.txt").write_text(prose, encoding="utf-8")
    training = api.Training.start(
        tmp_path / "c.txt", steps=40, eval_every=20, name=f"c{mixed_better}", checkpoints=tmp_path, hidden=16,
        batch_size=8, seed=1, threads=1, precision="fp32",
    )  # fmt: skip
    notes = [event.text for event in training if isinstance(event, Note)]
    header, tensors = checkpoint.read(training.run.model)
    at_end, last = checkpoint.read(training.run.resume)
    assert any("the weights of the end" in note for note in notes) is mixed_better
    assert (header.summary["step"], header.summary["loss"]) == ((40, 2.0) if mixed_better else (20, 1.0))
    assert training.progress.best.step == header.summary["step"] and "resume" not in header.metadata
    name = "embedding.weight"
    assert torch.equal(tensors[f"model.{name}"], last[f"average.{name}"]) is mixed_better
    assert at_end.summary["step"] == 40 and header.counts is not None


def test_a_run_that_is_interrupted_keeps_what_was_validated_and_counts_once(
    tmp_path: Path, prose: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "c.txt").write_text(prose, encoding="utf-8")
    training = api.Training.start(
        tmp_path / "c.txt", steps=40, eval_every=20, name="c", checkpoints=tmp_path, hidden=16, batch_size=8, seed=1,
        threads=1, precision="fp32",
    )  # fmt: skip
    monkeypatch.setattr(counting, "beside", lambda *_: pytest.fail("nobody has judged the weights of the end"))
    for event in training:
        if isinstance(event, Report) and event.step == 30:
            training.stop()
    assert read_step(training.run.resume) > 20 == read_step(training.run.model) == training.progress.best.step


def read_step(path: Path) -> int:
    return int(checkpoint.read_header(path).summary["step"])
