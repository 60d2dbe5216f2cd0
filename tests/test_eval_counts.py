"""What counts add on a text: gates are never reported on what they were fitted on; one line for each refusal."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from charrnn import api
from charrnn.errors import ConfigError
from charrnn.models.counts import Experts
from charrnn.models.counts.fitting import fit
from charrnn.models.counts.mixture import Gate, mixed
from charrnn.models.counts.trie import Ids
from charrnn.scoring.counts import Mixture, alike_in, middle, with_counts
from charrnn.scoring.figures import Nats
from charrnn.scoring.score import score
from charrnn.scoring.token_nll import Positions
from charrnn.text.letters import NO_LETTER, letters_of
from charrnn.text.part import Part
from charrnn.text.survey import TextStatistics
from charrnn.text.tokenizers.byte import ByteTokenizer
from charrnn.text.tokenizers.char import CharTokenizer

from .cases import each
from .conftest import SMALL, CommandLine
from .test_token_nll import START, documents_of, draw, make_model

# The network by itself, beside two experts.
ALONE = Gate.constant([1.0, 0.0, 0.0])


def part_of(*ids: Ids) -> Part:
    tokens = np.concatenate(ids).astype(np.uint8)
    return Part(tokens, tokens.size)


def mixture_of(training: Ids) -> Mixture:
    return Mixture(make_model(hidden=4), Experts.count(training, START))


def found(mixture: Mixture, part: Part, held_out: Part | None, constants: Gate = ALONE) -> tuple[Nats, str]:
    plain = score(mixture.model, part, TextStatistics(part.chars, part.chars, 1), reset_every=mixture.reset_every)
    result = with_counts(mixture, part, plain, held_out, constants)
    assert result.score.state == f"{plain.state}, with counts" and next(iter(result.weights)) == "network"
    return result.score.token_nll, result.fitted


def test_each_half_of_the_held_out_part_is_scored_by_the_gate_of_the_other_half() -> None:
    """Planted: counts know the first half by heart and are wrong all through the second; a gate that had seen a half
    would trust them in the first and turn away from them in the second."""
    up = np.tile(np.arange(5), 2000)
    mixture, part = mixture_of(up[:1000]), part_of(up[:3000], up[:3000][::-1])
    nats, told = found(mixture, part, part)
    first, second = mixture.examples(part, [np.arange(6000) < 3000, np.arange(6000) >= 3000])
    assert "the other half" in told
    for own, gate_of, other in ((slice(3000), second, first), (slice(3000, None), first, second)):
        honest, cheat = (mixture.token_nll(part, [fit(examples, ALONE)])[0][own] for examples in (gate_of, other))
        np.testing.assert_array_equal(nats[own], honest)
        assert honest.mean() > cheat.mean() + 0.5


def test_another_text_is_scored_by_a_gate_of_the_held_out_part_but_for_what_they_share() -> None:
    up, noise = np.tile(np.arange(5), 400), draw(800, seed=2)
    mixture, held_out = mixture_of(up[:1000]), part_of(up[:1500], noise)
    alike, other = found(mixture, part_of(noise[100:600]), held_out), found(mixture, part_of(up[:700]), held_out)
    sets = np.ones(2300, bool), np.ones(2300, bool)
    sets[0][1600:2100] = False
    sets[1][:1500] = False
    for (nats, told), text, kept, count in zip(
        (alike, other), (noise[100:600], up[:700]), sets, ("500", "1,500"), strict=True
    ):
        gate = fit(mixture.examples(held_out, [kept])[0], ALONE)
        np.testing.assert_array_equal(nats, mixture.token_nll(part_of(text), [gate])[0])
        assert f"fitted on {kept.sum():,} tokens" in told and f"none of the {count}" in told
    new, told = found(mixture, part_of(draw(300, seed=3)), held_out)
    assert "in common" not in told and "2,300 tokens" in told and new.size == 300
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("charrnn.scoring.counts.MOST_READ", 700)
        nats, told = found(mixture, part_of(up[:700]), part_of(noise, up))
    gate = fit(mixture.examples(part_of(noise[:700]), [np.ones(700, bool)])[0], ALONE)
    np.testing.assert_array_equal(nats, mixture.token_nll(part_of(up[:700]), [gate])[0])


def test_without_a_held_out_part_the_weights_are_fixed() -> None:
    up = np.tile(np.arange(5), 100)
    mixture, constants = mixture_of(up), Gate.constant([0.7, 0.4, -0.1])
    nats, told = found(mixture, part_of(draw(200)), None, constants)
    np.testing.assert_array_equal(nats, mixture.token_nll(part_of(draw(200)), [constants])[0])
    assert "no text was held out" in told
    everything, _ = found(mixture, part_of(draw(200)), part_of(draw(200), draw(200)), constants)
    np.testing.assert_array_equal(everything, nats, "a held-out part that is all in the text fits nothing")


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
    mixture = Mixture(model, Experts.count(draw(400), START, None if starts is None else np.array([0])), reset_every)
    plain = score(model, part, TextStatistics(part.chars, part.chars, 1), reset_every=reset_every)
    nats, weights = mixture.token_nll(part, [ALONE])
    np.testing.assert_allclose(nats, plain.token_nll, atol=1e-5)
    assert weights.tolist() == [1, 0, 0]
    sums: list[Nats] = []
    gate = Gate.constant([0.6, 0.5, -0.2])
    mixture.read(part, lambda _, log_p, __: sums.append(np.exp(mixed(log_p, gate.weights(log_p))).sum(axis=1)))
    np.testing.assert_allclose(np.concatenate(sums), np.ones(tokens.size), atol=1e-6)
    others = replace(mixture, batch_size=3).token_nll(part, [gate])[0]
    np.testing.assert_allclose(others, mixture.token_nll(part, [gate])[0], atol=1e-5)


@each("reset_every, starts", [(None, None), (10, None), (None, np.array([0, 20]))])
def test_no_expert_sees_what_the_network_may_not(reset_every: int | None, starts: Positions | None) -> None:
    tokens, others = draw(40), np.concatenate([draw(19, seed=1), draw(40)[19:]])
    ends = START if starts is None else START + 1
    training = np.tile(np.concatenate([tokens, others]), 2)
    experts = Experts.count(training, START, None if starts is None else np.arange(0, training.size, 40))
    mixture = Mixture(make_model(documents=ends > START), experts, reset_every)
    counts_alone = Gate.constant([0, 0.5, 0.5])
    one, other = (mixture.token_nll(Part(text, 40, starts), [counts_alone])[0] for text in (tokens, others))
    assert np.array_equal(one[20:], other[20:]) == (reset_every is not None or starts is not None)
    assert not np.array_equal(one[:19], other[:19])


def test_halves_part_between_documents_and_equal_documents_are_alike() -> None:
    tokens, starts = documents_of([30, 1, 50, 7])
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


# ---- the verb and the command


def test_python_has_it_beside_the_plain_score(trained: Path, prose: str) -> None:
    model = api.load("small", checkpoints=trained)
    plain, scored = model.score(prose[:600]), model.score(prose[:600], counts=True)
    assert scored.counts is not None and plain.counts is None
    assert scored.nats == plain.nats and scored.counts.bpc < plain.bpc, "the text was learned from"
    assert scored.counts.state == "carried, with counts"
    with pytest.raises(ConfigError, match="`counts` means nothing beside `adapt`"):
        model.score(prose[:100], counts=True, adapt=True)


@each("name, how", [("small", []), ("small", ["--reset-every", "16"]), ("small", ["--lines"]), ("lines", [])])
def test_eval_tells_the_held_out_part_with_counts(
    charrnn: CommandLine, trained: Path, name: str, how: list[str]
) -> None:
    line = ["eval", "-m", name, "--checkpoints", str(trained), "--threads", "1", *how]
    plain, result = (json.loads(charrnn(*line, *more, "--json").out) for more in ([], ["--counts"]))
    assert {**result, "counts": 0, "seconds": 0} == {**plain, "counts": 0, "seconds": 0}
    assert result["counts"]["bpc"] < plain["bpc"]
    told = charrnn(*line, "--counts").err
    assert "each half of the held-out part by weights fitted on the other half" in told
    assert "weights in the mean: network " in told and ", words " in told


def test_eval_refuses_counts_of_a_text_that_is_gone_or_another_and_what_they_do_not_go_with(
    charrnn: CommandLine, prose: str
) -> None:
    text = Path("c.txt")
    text.write_text(prose[:3000], encoding="utf-8")
    Path("t.txt").write_text("The heron", encoding="utf-8")
    assert charrnn("train", "c.txt", "--steps", "1", "--name", "a", *SMALL).code == 0
    line = ["eval", "-m", "a", "--counts", "t.txt"]
    assert "no text was held out: by weights that did well elsewhere" in charrnn(*line).err
    text.write_text(prose[:2999] + "!", encoding="utf-8")
    changed = charrnn(*line)
    text.unlink()
    for result, said in ((changed, "has changed"), (charrnn(*line), "there is no file")):
        told = [each for each in result.err.splitlines() if each.startswith("charrnn: ")]
        assert result.code == 1 and not result.out and len(told) == 1 and said in told[0], result.err
    for more in (["--adapt"], ["-q"], ["--pairs", "pairs.tsv"]):
        result = charrnn("eval", "-m", "a", "--counts", *more)
        assert result.code == 2 and "--counts" in result.err and more[0] in result.err
