"""What is chosen for a text and a time, against its one thought written out, and against common sense."""

import dataclasses
import math
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from charrnn.config import ModelConfig, TrainOptions
from charrnn.config.durations import format_duration
from charrnn.errors import ConfigError, DeviceMemoryError
from charrnn.machine import Machine
from charrnn.machine.threads import AdaptiveThreads
from charrnn.models.loss import IGNORED
from charrnn.text.dataset import Dataset
from charrnn.text.part import Part
from charrnn.text.split import Split
from charrnn.text.survey import TextStatistics
from charrnn.text.tokenizers.char import CharTokenizer
from charrnn.training import plan as planning
from charrnn.training import sizing
from charrnn.training.batches import Batch, open_streams
from charrnn.training.measure import Measurement
from charrnn.training.optim import learning_rate
from charrnn.training.plan import Choice, plan
from charrnn.training.reading import DEFAULT_SECONDS, MOST_ROWS, Measure, Reading
from charrnn.training.train_step import TrainStep

CPU = Machine(torch.device("cpu"), "bf16", 2)
SYMBOLS = "abcdefghijklmnopqrstuvwxyz \n"


def text(tokens: int, *, documents: int | None = None, symbols: str = SYMBOLS, valid: int = 0) -> Dataset:
    """A text of so many tokens, none of them ever looked at; or so many documents of one length."""
    starts = None if documents is None else np.arange(documents) * (tokens // documents)
    part = Part(np.zeros(tokens, np.uint8), tokens, starts)
    split = Split(sources=("x",), sha256="", documents="stream", chars=tokens, train_end=tokens, valid_end=tokens)
    held_out = Part(np.zeros(valid, np.uint8), valid) if valid else None
    return Dataset(split, TextStatistics(), CharTokenizer(symbols), part, held_out, [])


def choose(tokens: int = 1_000_000, machine: Machine = CPU, **options: object) -> Choice:
    return plan(TrainOptions(**options), text(tokens), seed=1, machine=machine)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize(("seconds", "layers"), [(20.0, 3), (60.0, 1), (180.0, 2), (600.0, 3), (3600.0, 1), (600.0, 2)])
def test_the_width_is_the_one_whose_weights_are_as_many_as_the_tokens_that_the_time_pays_for(
    seconds: float, layers: int
) -> None:
    """Try every width: the one that comes closest to so many tokens for each weight."""
    operations = seconds * 2 * sizing.THREAD_SPEED["bf16"]

    def tokens_per_weight(hidden: int) -> float:
        weights = layers * 4 * 2 * hidden**2
        return operations / (6 * weights) / weights

    best = min(sizing.WIDTHS, key=lambda h: abs(math.log(tokens_per_weight(h) / sizing.NEW_TOKENS_PER_WEIGHT)))
    assert choose(10**9, seconds=seconds, layers=layers).model.hidden == best


def test_a_text_that_is_read_again_has_as_many_tokens_for_each_weight_a_longer_one_more_while_they_are_new() -> None:
    product = 1e12
    assert sizing.weights_for(product, 10**5, 1.0) == 1e6, "ten passes"
    assert sizing.weights_for(product, 10**5, 4.0) == 5e5, "twenty"
    assert sizing.weights_for(product, 2 * 10**6, 1.0) == pytest.approx(5e5), "one"
    for each in (1.0, 4.0):
        whole = sizing.weights_for(product, 10**9, each)
        assert whole == pytest.approx(math.sqrt(product / sizing.NEW_TOKENS_PER_WEIGHT))


def test_beside_counts_a_smaller_network_reads_more() -> None:
    for budget in ({"seconds": 60.0}, {"steps": 1000}):
        alone, beside = (choose(10**6, **budget, counts=counts).model.hidden for counts in (False, True))
        assert beside < alone
        assert (
            choose(10**6, **budget, bidirectional=True).model
            == choose(10**6, **budget, bidirectional=True, counts=False).model
        ), "no counts stand beside two directions"


def test_more_time_never_chooses_a_narrower_network_nor_does_more_text() -> None:
    by_time = [choose(seconds=seconds).model.hidden for seconds in (5.0, 30.0, 60.0, 180.0, 600.0, 3600.0, 36000.0)]
    by_text = [choose(tokens, seconds=3600.0).model.hidden for tokens in (10, 10**3, 10**4, 10**5, 10**6, 10**8)]
    assert by_time == sorted(by_time) and len(set(by_time)) > 3
    by_time = [choose(10**8, seconds=seconds).model.hidden for seconds in (5.0, 30.0, 60.0, 180.0, 600.0, 3600.0)]
    assert by_time == sorted(by_time) and len(set(by_time)) > 4
    assert by_text == sorted(by_text) and len(set(by_text)) > 3


def test_a_slower_machine_gets_a_smaller_network() -> None:
    alone = dataclasses.replace(CPU, threads=1)
    fp32 = dataclasses.replace(CPU, precision="fp32")
    usual = choose(10**8).model.hidden
    assert choose(10**8, machine=alone).model.hidden < usual > choose(10**8, machine=fp32).model.hidden


def test_networks_share_the_time_that_one_would_spend_on_reading_the_text_too_often() -> None:
    sides: list[dict[str, Any]] = [{}, {"counts": False}, {"hidden": 1024}, {"bidirectional": True}]
    for seconds in (60.0, 180.0, 600.0, 3600.0, 36000.0):
        for tokens in (10**4, 10**5, 10**6, 10**8):
            for more in sides:
                assert_networks_share_the_time(seconds, tokens, more)


def assert_networks_share_the_time(seconds: float, tokens: int, more: dict[str, Any]) -> None:
    case = (seconds, tokens, more)
    choice = choose(tokens, seconds=seconds, **more)
    weights = choice.model.layers * 8 * choice.model.hidden**2 * (2 if choice.model.bidirectional else 1)
    passes = seconds * 2 * sizing.THREAD_SPEED["bf16"] / 6 / weights / tokens
    members, product = choice.model.ensemble, passes * tokens * weights
    # As many weights for each token as one network would have, over two, over eight beside counts, which stand beside
    # no network of two directions; each reads two and a half million tokens.
    each = 2 if more.keys() & {"counts", "bidirectional"} else 8
    most = weights if "hidden" in more else min(5000 * math.sqrt(tokens), 2_500_000)
    by_text, by_time = math.sqrt(product) / tokens / each, product / 2_500_000 / min(most, 2_500_000)
    assert members == min(8, max(1, round(min(by_text, by_time)))), case
    assert f"about {passes / members:.1f} passes" in choice.reasons[1], case
    assert (f"{members} such networks averaged" in choice.reasons[1]) == (members > 1), case
    one = choose(tokens, seconds=seconds, **more, ensemble=1).model
    assert one.ensemble == 1 and one.hidden >= choice.model.hidden and (one.dropout or 0) >= (choice.model.dropout or 0)


def test_steps_and_epochs_are_those_of_one_network_unless_more_are_asked_for() -> None:
    for named in ({"steps": 10**6}, {"epochs": 100.0}):
        alone, three = choose(10**5, **named), choose(10**5, **named, ensemble=3)
        assert alone.model.ensemble == 1 and three.model.ensemble == 3
        assert three.model == dataclasses.replace(alone.model, ensemble=3) and three.train == alone.train


def test_more_passes_over_the_text_drop_out_more_up_to_a_limit() -> None:
    shares = [choose(tokens, seconds=600.0, hidden=256).model.dropout or 0 for tokens in (10**8, 10**6, 10**5, 10**3)]
    assert shares == sorted(shares) and shares[0] == 0 and shares[-1] == planning.MOST_DROPOUT


def test_weights_are_averaged_over_the_share_that_is_asked_for() -> None:
    assert choose().train.average == planning.AVERAGE
    assert choose(average=0.0).train.average is None and choose(average=0.2).train.average == 0.2
    assert "averaged over the last 20%" in choose(average=0.2).reasons[2]


@pytest.mark.parametrize(("average", "steps"), [(None, 2_000), (0.4, 100_000)])
def test_decay_alone_would_leave_the_same_share_of_a_weight_over_every_run(average: float | None, steps: int) -> None:
    config = choose(10**8, steps=steps, hidden=256, average=average or 0.0).train
    rates = [learning_rate(config, step / steps) for step in range(0, steps, 100)]
    assert 100 * sum(rates) * config.weight_decay == pytest.approx(planning.DECAY_OVER_RUN, rel=0.06)


def test_decay_grows_with_the_pressure_to_learn_by_heart_and_stays_where_there_is_none() -> None:
    """Each doubling of it takes as much more of a weight."""
    left = [planning.weight_decay(0.01, 1e4, None, pressure) * 0.01 * 1e4 * 0.505 for pressure in (0.1, 9, 18, 36, 72)]
    assert left[:2] == pytest.approx([planning.DECAY_OVER_RUN] * 2, rel=0.05)
    assert np.diff(left[1:]) == pytest.approx([planning.DECAY_A_DOUBLING] * 3, rel=0.2)


def test_steps_and_epochs_choose_no_wider_network_than_the_default_time() -> None:
    for named in ({"steps": 10**7}, {"epochs": 1e6}):
        assert choose(**named).model.hidden == choose(ensemble=1).model.hidden
    assert choose().train.seconds == DEFAULT_SECONDS


def test_few_steps_choose_a_small_network() -> None:
    widths = [choose(10**8, steps=steps).model.hidden for steps in (100, 1000, 10_000)]
    assert widths == sorted(set(widths))
    assert choose(epochs=0.1).model.hidden < choose(epochs=10).model.hidden


def test_what_is_asked_for_stays_and_the_rest_adapts() -> None:
    asked: dict[str, Any] = {
        "cell": "gru", "layers": 3, "hidden": 300, "embedding": 77, "dropout": 0.11, "weight_drop": 0.22,
        "weight_decay": 0.033, "bptt": 50, "batch_size": 20, "lr": 0.0044, "clip": 0.55, "clip_value": 0.66,
    }  # fmt: skip
    choice = choose(seconds=60.0, **asked)
    for name, value in asked.items():
        assert getattr(choice.model if hasattr(choice.model, name) else choice.train, name) == value, name
    wide, narrow = choose(seconds=60.0, hidden=1024), choose(seconds=60.0, hidden=64)
    assert wide.train.lr < narrow.train.lr
    few, many = choose(hidden=512, batch_size=16), choose(hidden=512, batch_size=64)
    assert few.train.lr == pytest.approx(many.train.lr / 2, rel=0.02)
    assert "as asked" in wide.reasons[1] and "as asked" not in choose(seconds=60.0).reasons[1]


def test_nought_is_none() -> None:
    model = choose(dropout=0.0, weight_drop=0.0).model
    assert model.dropout is None and model.weight_drop is None


@pytest.mark.parametrize(("documents", "rows"), [(200_000, 512), (15_625 * 2, 128), (15_625, 64), (100, 64)])
def test_documents_shorter_than_a_window_come_in_more_rows(documents: int, rows: int) -> None:
    data = text(1_000_000, documents=documents)
    choice = plan(TrainOptions(), data, seed=1, machine=CPU)
    assert choice.train.batch_size == pytest.approx(rows, abs=1)
    assert choice.model.vocab_size == choice.model.start_id + 1 == len(SYMBOLS) + 1


def test_windows_end_with_their_documents_and_are_planned_as_they_will_be_read() -> None:
    """Names of two letters and of twenty stand in windows of their own; what is longer than a window, in several."""
    lengths = np.random.default_rng(0).choice([2, 5, 20, 90], 300)
    part = Part(np.zeros(lengths.sum(), np.uint8), int(lengths.sum()), np.cumsum(lengths) - lengths)
    reading = Reading.of(TrainOptions(batch_size=8, bptt=32), part)
    streams = open_streams(part, start_id=1, batch_size=8, bptt=32, seed=0)
    read = [streams.window(0, index) for index in range(streams.windows(0))]
    assert reading.window == pytest.approx(np.mean([batch.inputs.shape[1] for batch in read]))
    assert reading.a_step == pytest.approx(np.mean([int((batch.targets != IGNORED).sum()) for batch in read]))


def test_what_is_measured_are_windows_of_that_length(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = set[tuple[int, ...]]()

    def learn(self: TrainStep, windows: list[Batch], tokens: int, **_: float) -> tuple[torch.Tensor, ...]:
        seen.update(tuple(window.inputs.shape) for window in windows)
        return (torch.zeros(()),) * 3

    monkeypatch.setattr(TrainStep, "learn", learn)
    machine = Machine(torch.device("cpu"), "fp32", 1)
    reading = Reading(1000, 4, 64, window=7.4, a_step=20.0, seconds=0.1, epochs=None, to_read=None)
    network = ModelConfig(vocab_size=4, start_id=4, embedding=3, hidden=8)
    assert Measurement(machine, AdaptiveThreads(machine))(network, reading) > 0
    assert seen == {(4, 7)}


def test_rate_and_decay_go_by_the_tokens_that_a_step_has_not_by_the_places_that_it_has_for_them() -> None:
    """Half as many rows of whole windows have the tokens of rows whose documents fill half of theirs."""
    halves = plan(
        TrainOptions(hidden=256, steps=9000, batch_size=64), text(10**6, documents=31_250), seed=1, machine=CPU
    )
    whole = plan(TrainOptions(hidden=256, steps=9000, batch_size=32), text(10**6), seed=1, machine=CPU)
    assert (halves.train.lr, halves.train.weight_decay) == (whole.train.lr, whole.train.weight_decay)
    assert halves.model.dropout == whole.model.dropout


def test_a_text_shorter_than_a_batch_of_windows_says_what_it_is_trained_on() -> None:
    choice = choose(500)
    assert choice.train.batch_size * choice.train.bptt <= 500
    assert "shorter than 64 rows of 64" in choice.reasons[-1]


@pytest.mark.parametrize("seconds", [60.0, 180.0, 600.0, 3600.0])
def test_validation_takes_its_share_of_the_time_and_no_more(seconds: float) -> None:
    """Tokens read in validations, by chunks that are warmed up as well, at their cost, against those of training."""
    choice = plan(TrainOptions(seconds=seconds), text(10**6, valid=10**6), seed=1, machine=CPU)
    weights = choice.model.layers * 8 * choice.model.hidden**2
    trained = seconds * 2 * sizing.THREAD_SPEED["bf16"] / 6 / weights / choice.model.ensemble
    spent = choice.train.evaluations * (choice.train.validated + 64 * 256) * 2 / 3 / trained
    assert spent == pytest.approx(0.04, rel=0.01) or choice.train.validated in (1 << 14, 1 << 17)
    assert 6 <= choice.train.evaluations <= 15
    assert f"the first {choice.train.validated:,} of them while training" in choice.reasons[0]


def test_there_is_a_validation_for_every_twenty_seconds_six_at_least_and_fifteen_at_most() -> None:
    for seconds, expected in ((20.0, 6), (60.0, 6), (150.0, 7), (300.0, 15), (1e5, 15)):
        assert choose(seconds=seconds).train.evaluations == expected, seconds


def test_a_run_of_a_few_steps_validates_seldom_on_little_and_one_of_many_as_often_as_others() -> None:
    """Time steps of validation, warming up included and for as many rows as it has, against those of training."""
    for steps in (1, 5, 40, 100, 400, 2000):
        train = plan(TrainOptions(steps=steps), text(10**6, valid=10**6), seed=1, machine=CPU).train
        chunks = min(64, train.validated // 256)
        cost = train.evaluations * (train.validated / chunks + 256) * max(chunks, 32) * 2 / 3
        assert cost <= 0.1 * steps * 64 * 64 or (train.evaluations, train.validated) == (1, 1 << 12), steps
    assert train.evaluations == 15


def test_a_short_list_is_validated_often_for_its_documents_are_warmed_up_on_nothing() -> None:
    few = plan(TrainOptions(epochs=150.0), text(2000, documents=250, valid=200), seed=1, machine=CPU)
    assert few.train.evaluations == 15


def test_a_time_that_reads_a_short_text_too_often_is_so_many_passes() -> None:
    for tokens, valid, seconds, bounded in (
        (2000, 200, 20.0, True),
        (2000, 0, 20.0, False),
        (10**6, 1000, 60.0, False),
    ):
        choice = plan(TrainOptions(seconds=seconds), text(tokens, valid=valid), seed=1, machine=CPU)
        train = choice.train
        assert (train.seconds, train.epochs) == ((None, 150) if bounded else (seconds, None)), tokens
        assert any("learned by heart" in line for line in choice.reasons) is bounded
        if bounded:
            assert train.evaluations >= 3 and "for at most about 150 passes over the text" in choice.reasons[1]


def test_a_budget_of_time_is_planned_with_the_speed_that_was_measured() -> None:
    asked = []

    def measure(network: ModelConfig, reading: Reading) -> float:
        asked.append(network.hidden)
        return 1e9

    def of(measure: Measure | None, **options: float) -> Choice:
        return plan(TrainOptions(**options), text(10**6), seed=1, machine=CPU, measure=measure)  # type: ignore[arg-type]

    slow, guessed = of(measure, seconds=60.0), of(None, seconds=60.0)
    assert 1 <= len(asked) <= 2 and asked[0] == guessed.model.hidden and slow.model.hidden < guessed.model.hidden
    weights = 2 * 8 * slow.model.hidden**2
    assert f"about {60 * 1e9 / 6 / weights / 10**6:.1f} passes" in slow.reasons[1]
    # What repeats asks no clock.
    asked.clear()
    assert of(measure, steps=100) == of(None, steps=100) and not asked


def test_a_gpu_gets_more_text_more_rows_and_a_larger_network() -> None:
    """A card that has one step of any rows take as long, up to so many."""
    gpu, asked = Machine(torch.device("cuda"), "fp16", 4), list[tuple[int, int]]()

    def card(network: ModelConfig, reading: Reading, *, most: int = 256, memory: int = 10**9) -> float:
        asked.append((network.hidden, reading.batch_size))
        if reading.batch_size > memory:
            raise DeviceMemoryError
        return 2e11 * min(reading.batch_size, most)

    def on(machine: Machine, tokens: int = 10**8, measure: Measure = card, **options: Any) -> Choice:
        return plan(TrainOptions(seconds=180.0, **options), text(tokens), seed=1, machine=machine, measure=measure)

    chosen, by_processor = on(gpu), on(CPU)
    assert (chosen.train.batch_size, by_processor.train.batch_size) == (256, 64)
    assert chosen.model.hidden > by_processor.model.hidden and chosen.model.hidden % 128 == 0
    assert chosen.train.lr > planning.learning_rate(chosen.model.hidden, 64 * 64, "lstm")
    assert "256 rows" in chosen.reasons[-1] and asked.count((by_processor.model.hidden, 64)) <= 2
    # What was asked for stays; memory, short texts and short runs set bounds; a step that takes twice as long is none.
    assert on(gpu, batch_size=64).train.batch_size == 64
    assert on(gpu, measure=partial(card, memory=128)).train.batch_size == 128
    assert on(gpu, measure=partial(card, most=MOST_ROWS // 8)).train.batch_size == 64
    assert on(gpu, 100_000).train.batch_size == 64
    assert on(gpu, measure=lambda network, reading: 1e9 * reading.batch_size).train.batch_size == 64


def test_a_gpu_gets_widths_that_its_kernels_are_made_for() -> None:
    gpu = Machine(torch.device("cuda"), "fp16", 4)
    widths = {choose(tokens, gpu, seconds=600.0).model.hidden for tokens in (100, 1000, 20_000, 10**5, 10**6, 10**9)}
    assert {hidden for hidden in widths if hidden > 128 and hidden % 128} == set()
    assert max(widths) >= 1024


def test_many_symbols_share_one_matrix_and_few_do_not() -> None:
    many = plan(TrainOptions(), text(10**6, symbols="".join(map(chr, range(0x4E00, 0x5200)))), seed=1, machine=CPU)
    assert many.model.tie and many.model.embedding == many.model.hidden
    assert not choose().model.tie


def test_a_model_that_is_gone_on_from_keeps_its_network_and_takes_smaller_steps() -> None:
    source = ModelConfig(vocab_size=5, start_id=5, cell="gru", layers=3, hidden=48, embedding=20, dropout=0.4)
    choice = plan(TrainOptions(seconds=60.0), text(10**6), seed=1, machine=CPU, source=source)
    kept = {name: getattr(choice.model, name) for name in ("cell", "layers", "hidden", "embedding", "tie")}
    assert kept == {"cell": "gru", "layers": 3, "hidden": 48, "embedding": 20, "tie": False}
    assert choice.model.start_id == len(SYMBOLS)
    assert choice.train.lr == pytest.approx(planning.learning_rate(48, 64 * 64, "gru") * planning.FINE_TUNING_RATE)
    told = plan(TrainOptions(seconds=60.0), text(10**6, valid=100), seed=1, machine=CPU, source=source)
    assert told.train.counts and not choice.train.counts, "where nothing tells what they are worth, no counts"


def test_the_lines_say_what_was_chosen() -> None:
    choice = choose(seconds=600.0)
    words = " ".join(choice.reasons)
    for said in (
        "1,000,000 characters", f"2 x {choice.model.hidden}", f"dropout {choice.model.dropout:g}", "10m",
        f"soap, learning rate {choice.train.lr:g}", f"weight decay {choice.train.weight_decay:g}",
        "passes over the text in 10m",
    ):  # fmt: skip
        assert said in words, said


@pytest.mark.parametrize(("seconds", "words"), [(90, "1m30s"), (3600, "1h"), (45, "45s"), (0, "0s"), (3661, "1h1m1s")])
def test_a_duration_reads_as_it_is_written(seconds: float, words: str) -> None:
    assert format_duration(seconds) == words


def test_clipping_at_zero_is_none() -> None:
    assert choose(clip=0.0).train.clip is None and choose(clip=0.5).train.clip == 0.5 and choose().train.clip == 1.0


def test_plain_descent_has_a_rate_of_its_own() -> None:
    assert {choose(optimizer="sgd", hidden=hidden).train.lr for hidden in (64, 512)} == {planning.DESCENT_RATE}
    assert choose(optimizer="sgd", lr=0.3).train.lr == 0.3


def test_a_simple_network_takes_half_the_steps_of_others_as_wide() -> None:
    by_cell = {cell: choose(cell=cell, hidden=640).train.lr for cell in ("lstm", "gru", "rnn-relu", "rnn-gelu", "rnn")}
    assert by_cell.pop("rnn") == pytest.approx(by_cell["lstm"] / 2, rel=0.02)
    assert len(set(by_cell.values())) == 1


def test_a_radius_is_refused_where_there_is_nothing_to_give_it_to() -> None:
    choose(cell="rnn", spectral_radius=1.5)
    with pytest.raises(ConfigError, match="mingru has no recurrent matrices: leave out `spectral_radius`"):
        choose(cell="mingru", spectral_radius=1.5)


def test_a_list_of_names_gets_a_narrow_network() -> None:
    for tokens, hidden in [(500, 64), (2_000, 64), (10_000, 128), (30_000, 256)]:
        assert choose(tokens, seconds=600.0).model.hidden == hidden, tokens
