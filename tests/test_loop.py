"""The loop: one window at a time, exact snapshots, no weight moved by a number that is not finite."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from charrnn.config import ModelConfig, TrainConfig
from charrnn.config.fields import setting
from charrnn.errors import DivergedError
from charrnn.machine import Machine
from charrnn.models.cells import CELLS
from charrnn.models.language_model import LanguageModel
from charrnn.models.loss import IGNORED
from charrnn.training import save_schedule
from charrnn.training.batches import FRESH, Batch
from charrnn.training.events import Event, Note, Report, Stopped
from charrnn.training.loop import Trainer
from charrnn.training.optim import learning_rate, soap
from charrnn.training.progress import MOST_ROLLBACKS, Progress, Rescue, Snapshot, Spent

MODEL = ModelConfig(vocab_size=4, start_id=4, embedding=3, hidden=5, layers=2)
WITH_DROPOUT = dataclasses.replace(MODEL, dropout=0.5, weight_drop=0.5)


class Cycle:
    """B rows of 0 1 2 3 0 1 2 3 …, three windows an epoch."""

    ended = False

    def __init__(self, batch_size: int = 2, bptt: int = 4) -> None:
        self.batch_size, self.bptt = batch_size, bptt

    def windows(self, epoch: int) -> int:
        return 3

    def window(self, epoch: int, index: int) -> Batch:
        row = (torch.arange(self.bptt + 1) + self.bptt * index) % 4
        rows = row.expand(self.batch_size, -1)
        state_rows = torch.full((self.batch_size,), FRESH) if index == 0 else None
        return Batch(rows[:, :-1].clone(), rows[:, 1:].clone(), state_rows)


class Saved:
    """Keeps what a trainer saves."""

    def __init__(self) -> None:
        self.snapshots: list[Snapshot] = []
        self.best: list[bool] = []

    def __call__(self, snapshot: Snapshot, best: bool) -> None:
        self.snapshots.append(snapshot)
        self.best.append(best)


def make(
    config: TrainConfig,
    *,
    validate: Callable[[], float] | None = None,
    save: Saved | None = None,
    model: ModelConfig = MODEL,
) -> Trainer:
    network = LanguageModel(model)
    network.initialise(torch.Generator().manual_seed(3))
    machine = Machine(torch.device("cpu"), config.precision, 1)
    return Trainer(network, Cycle(), config, machine, validate=validate, save=save or Saved())


def weights(trainer: Trainer) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}


def reports(events: list[Event]) -> list[Report]:
    return [event for event in events if isinstance(event, Report)]


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_cycle_is_learned(precision: str) -> None:
    trainer = make(TrainConfig(seed=0, steps=300, lr=0.03, precision=precision))
    last = reports(list(trainer.run()))[-1]
    assert last.loss < 0.05


def test_the_first_loss_is_near_that_of_a_uniform_guess() -> None:
    trainer = make(TrainConfig(seed=0, steps=1, report_every=1), model=dataclasses.replace(MODEL, hidden=256))
    assert reports(list(trainer.run()))[0].loss == pytest.approx(math.log(4), rel=0.1)


def test_one_step_equals_one_written_out() -> None:
    """The step against plain autograd: mean loss over the window, norm clipped, AdamW."""
    config = TrainConfig(seed=0, steps=1, optimizer="adamw", lr=0.01, warmup=0, clip=1e-3, weight_decay=0.1)
    trainer = make(config)
    twin = LanguageModel(MODEL)
    twin.load_state_dict(trainer.model.state_dict())
    list(trainer.run())

    window = Cycle().window(0, 0)
    logits, _ = twin(window.inputs, twin.initial_states(2))
    loss = torch.nn.functional.cross_entropy(logits.reshape(-1, 4), window.targets.reshape(-1))
    loss.backward()  # type: ignore[no-untyped-call]
    norm = torch.nn.utils.clip_grad_norm_(twin.parameters(), 1e-3)
    assert norm > 1e-3
    matrices = [p for n, p in twin.named_parameters() if p.dim() > 1 and n != "embedding.weight"]
    others = [p for n, p in twin.named_parameters() if not (p.dim() > 1 and n != "embedding.weight")]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    torch.optim.AdamW(groups, lr=0.01, betas=(0.9, 0.99)).step()
    for name, tensor in twin.state_dict().items():
        torch.testing.assert_close(trainer.model.state_dict()[name], tensor, rtol=1e-5, atol=1e-6)


def test_the_state_is_carried_from_window_to_window_and_dropped_where_the_window_says() -> None:
    trainer = make(TrainConfig(seed=0, steps=2, lr=1e-12))
    list(trainer.run())
    tokens = torch.cat([Cycle().window(0, 0).inputs, Cycle().window(0, 1).inputs], dim=1)
    with torch.no_grad():
        _, states = trainer.model(tokens, trainer.model.initial_states(2))
    torch.testing.assert_close(trainer._train_step.state.memories[0][0], states, rtol=1e-4, atol=1e-6)


def test_padding_counts_for_nothing() -> None:
    class Padded(Cycle):
        def window(self, epoch: int, index: int) -> Batch:
            window = super().window(epoch, index)
            window.targets[1, 2:] = IGNORED
            return window

    trainer = make(TrainConfig(seed=0, steps=1, lr=1e-12, report_every=1))
    trainer.streams = Padded()
    window = Padded().window(0, 0)
    with torch.no_grad():
        logits, _ = trainer.model(window.inputs, trainer.model.initial_states(2))
    logprobs = logits.log_softmax(-1)
    kept = [(b, t) for b in range(2) for t in range(4) if not (b == 1 and t >= 2)]
    by_hand = -sum(float(logprobs[b, t, window.targets[b, t]]) for b, t in kept) / len(kept)
    report = reports(list(trainer.run()))[0]
    assert report.loss == pytest.approx(by_hand, rel=1e-5)
    assert report.tokens == len(kept) == 6


def untimed(progress: Progress) -> Progress:
    """Without what the machine's clock brought in."""
    time = dataclasses.replace(progress.time, seconds=0, overhead_seconds=0, validation_seconds=0)
    sums, last = (dataclasses.replace(own, seconds=0) for own in (progress.since_report, progress.last_report))
    return dataclasses.replace(progress, time=time, since_report=sums, last_report=last)


# Each optimiser with averaging off, begun behind the snapshot, and before it; formats and drops in pairs.
RESUMED = [
    (optimizer, average, ("fp32", "bf16")[(row + column) % 2], (None, 0.3)[(row + column // 2) % 2])
    for row, optimizer in enumerate(setting(TrainConfig.__dataclass_fields__["optimizer"]).choices)
    for column, average in enumerate((None, 0.3, 0.7))
]


@pytest.mark.slow
@pytest.mark.parametrize(("optimizer", "average", "precision", "weight_drop"), RESUMED)
def test_a_snapshot_restored_goes_on_bit_for_bit(
    monkeypatch: pytest.MonkeyPatch, optimizer: str, average: float | None, precision: str, weight_drop: float | None
) -> None:
    monkeypatch.setattr(soap, "TURN_EVERY", 4)  # so that bases are turned before and behind the snapshot
    model = dataclasses.replace(MODEL, dropout=0.3, weight_drop=weight_drop)
    config = TrainConfig(seed=5, steps=40, save_every=7, precision=precision, optimizer=optimizer, average=average)
    saved = Saved()
    whole = make(config, save=saved, model=model)
    list(whole.run())
    snapshot = next(s for s in saved.snapshots if s.progress.position.step == 21)

    again = make(config, model=model)
    torch.manual_seed(999)
    again.restore(snapshot)
    list(again.run())
    for name, tensor in weights(whole).items():
        assert torch.equal(tensor, weights(again)[name]), name
    assert untimed(again.progress) == untimed(whole.progress)
    one, other = whole.snapshot().model(), again.snapshot().model()
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def poison(trainer: Trainer, steps: set[int]) -> None:
    """Let the loss be NaN at these steps, once each."""
    window = trainer.streams.window

    def poisoned(epoch: int, index: int) -> Batch:
        if trainer.position.step in steps:
            steps.discard(trainer.position.step)
            with torch.no_grad():
                trainer._train_step.precision.model.first_member.forwards.bias.fill_(math.nan)
        return window(epoch, index)

    trainer.streams.window = poisoned  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("where", "broken", "precision"),
    [
        ("loss", math.nan, "fp32"),
        ("loss", math.inf, "bf16"),
        ("gradient", math.inf, "fp32"),
        ("gradient", math.nan, "bf16"),
    ],
)
def test_a_step_that_is_not_finite_moves_no_weight(where: str, broken: float, precision: str) -> None:
    trainer = make(TrainConfig(seed=0, steps=30, lr=0.01, warmup=0, precision=precision))
    trainer._step()
    assert trainer._settle()
    before, computing = weights(trainer), trainer._train_step.precision.model.first_member
    if where == "loss":
        with torch.no_grad():
            computing.forwards.bias.fill_(broken)
        before = weights(trainer) if precision == "fp32" else before
    else:
        computing.forwards.bias.register_hook(lambda gradient: gradient * broken)  # type: ignore[no-untyped-call]
    trainer._step()
    assert not trainer._settle()
    for name, tensor in weights(trainer).items():
        assert torch.equal(tensor.nan_to_num(7.0), before[name].nan_to_num(7.0)), name
        slot = trainer._train_step.state.optimizer.state[dict(trainer.model.named_parameters())[name]]
        assert slot["step"] == 1 and all(torch.isfinite(value).all() for value in slot.values())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_loss_that_is_not_finite_goes_back_to_the_last_good_state_with_half_the_rate(precision: str) -> None:
    trainer = make(TrainConfig(seed=0, steps=30, save_every=10, eval_every=1000, precision=precision))
    poison(trainer, {15})
    events = list(trainer.run())
    notes = [event.text for event in events if isinstance(event, Note)]
    assert notes == ["loss or gradient is not finite at step 16: back to step 10, learning rate halved"]
    assert trainer.position.step == 30 and trainer.progress.rescue.lr_scale == 0.5
    assert all(torch.isfinite(tensor).all() for tensor in weights(trainer).values())


def test_each_return_to_the_same_state_halves_the_rate_again() -> None:
    config = TrainConfig(seed=0, steps=30, save_every=10, eval_every=1000)
    trainer = make(config)
    poison(trainer, {12, 15})
    events = list(trainer.run())
    notes = [event.text for event in events if isinstance(event, Note)]
    assert [note.partition(": ")[2] for note in notes] == ["back to step 10, learning rate halved"] * 2
    assert trainer.progress.rescue.lr_scale == 0.25
    assert reports(events)[-1].lr == learning_rate(config, 1.0) / 4


def test_a_validation_forgives_the_returns_before_it_but_the_rate_stays_low() -> None:
    trainer = make(TrainConfig(seed=0, steps=30, eval_every=5))
    diverging = {3, 8, 13, 18, 23}
    count = len(diverging)
    assert count > MOST_ROLLBACKS
    poison(trainer, diverging)
    assert list(trainer.run())[-1] == Stopped("done")
    assert not diverging and trainer.progress.rescue == Rescue(lr_scale=0.5**count)


def test_it_gives_up_after_a_few_tries_and_the_saved_weights_are_finite() -> None:
    saved = Saved()
    trainer = make(TrainConfig(seed=0, steps=30, save_every=1000), save=saved)
    trainer.streams.window = lambda epoch, index: Batch(  # type: ignore[method-assign]
        torch.zeros(2, 4, dtype=torch.int64), torch.full((2, 4), IGNORED)
    )
    with pytest.raises(DivergedError, match="a lower `lr` or a smaller `clip`"):
        list(trainer.run())
    assert all(torch.isfinite(t).all() for s in saved.snapshots for n, t in s.tensors.items() if n.startswith("model."))


def test_the_best_by_validation_is_kept_and_training_stops_when_it_no_longer_improves() -> None:
    # A new best forgets what was worse before it, and 2.005 is no better than 2.0 but not worse either.
    losses = [3.0, 3.1, 2.0, 2.005, 2.5, 2.6, 2.7]
    figures = iter([*losses, 9.9])
    saved = Saved()
    trainer = make(
        TrainConfig(seed=0, steps=1000, eval_every=5, patience=3), validate=lambda: next(figures), save=saved
    )
    events = list(trainer.run())
    assert events[-1] == Stopped("no improvement")
    assert [r.valid_loss for r in reports(events) if r.valid_loss is not None] == losses
    assert [r.best for r in reports(events) if r.valid_loss is not None] == [True, False, True] + [False] * 4
    kept = [s.progress.position.step for s, best in zip(saved.snapshots, saved.best, strict=True) if best]
    assert kept == [0, 5, 15]
    assert (trainer.best.loss, trainer.best.step) == (2.0, 15)


def test_validation_comes_evenly_and_at_the_end() -> None:
    trainer = make(TrainConfig(seed=0, steps=30, patience=None), validate=lambda: 1.0)
    steps = [r.step for r in reports(list(trainer.run())) if r.valid_loss is not None]
    assert steps == list(range(2, 31, 2))


def test_a_validation_that_is_not_a_number_goes_back_and_is_never_kept() -> None:
    for broken in (math.nan, math.inf):
        values, saved = iter([3.0, broken, broken, 2.0, 1.0]), Saved()
        trainer = make(TrainConfig(seed=0, steps=15, eval_every=5), validate=lambda: next(values), save=saved)  # noqa: B023
        events = list(trainer.run())
        notes = [event.text for event in events if isinstance(event, Note)]
        assert notes == ["loss or gradient is not finite at step 10: back to step 5, learning rate halved"] * 2
        assert [event.valid_loss for event in reports(events) if event.valid_loss] == [3.0, 2.0, 1.0]
        assert [snapshot.progress.position.step for snapshot in saved.snapshots] == [0, 5, 10, 15, 15]
        assert trainer.best.loss == 1.0 and trainer.progress.rescue == Rescue(lr_scale=0.25)


def test_validations_that_stay_without_a_number_end_the_training_and_the_last_one_too() -> None:
    for every in (5, 1000):
        saved = Saved()
        trainer = make(TrainConfig(seed=0, steps=7, eval_every=every), validate=lambda: math.nan, save=saved)
        with pytest.raises(DivergedError):
            list(trainer.run())
        assert [snapshot.progress.position.step for snapshot in saved.snapshots] == [0]


def test_nothing_is_kept_that_is_not_finite_nor_weights_that_have_no_finite_loss() -> None:
    """Weights of 3e38 are finite, but not what is computed with them."""
    ends: list[dict[str, Any]] = [{"save_every": 4}, {"eval_every": 4}, {"steps": 4}, {"steps": 4, "report_every": 4}]
    for end in ends:
        for broken in (math.nan, math.inf, 3e38):
            saved = Saved()
            trainer = make(TrainConfig(**{"seed": 0, "steps": 8, "eval_every": 1000, **end}), save=saved)
            step, left = trainer._step, [1]

            def once(step: Callable[[], None] = step, left: list[int] = left, trainer: Trainer = trainer,
                     broken: float = broken) -> None:  # fmt: skip
                step()
                if left and trainer.position.step == 4:
                    left.clear()
                    with torch.no_grad():
                        trainer.model.models[0].forwards.bias.copy_(torch.tensor([broken, -broken, broken, -broken]))

            trainer._step = once  # type: ignore[method-assign]
            events = list(trainer.run())
            assert sum(isinstance(event, Note) for event in events) == 1 and events[-1] == Stopped("done")
            assert not left and trainer.position.step == trainer.config.steps
            for snapshot in saved.snapshots:
                assert snapshot.finite() and snapshot.tensors["model.forwards.bias"].abs().max() < 100, (end, broken)


def test_looking_at_the_next_loss_changes_nothing() -> None:
    config = TrainConfig(seed=0, steps=12, eval_every=1000)
    plain, looking = make(config, model=WITH_DROPOUT), make(config, model=WITH_DROPOUT)
    for _ in range(6):
        random = torch.get_rng_state()
        assert looking._train_step.finite(looking._read)
        assert torch.equal(torch.get_rng_state(), random)
        plain._step()
        torch.set_rng_state(random)
        looking._step()
    one, other = plain.snapshot().tensors, looking.snapshot().tensors
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_epochs_are_counted_in_windows() -> None:
    trainer = make(TrainConfig(seed=0, epochs=2.5))
    list(trainer.run())
    assert trainer.position.step == 8
    assert (trainer.position.epoch, trainer.position.index) == (2, 2)


def test_stopping_saves_where_it_stands() -> None:
    saved = Saved()
    trainer = make(TrainConfig(seed=0, steps=100, report_every=1), save=saved)
    events: list[Event] = []
    for event in trainer.run():
        events.append(event)
        if isinstance(event, Report) and event.step == 7:
            trainer.stop = True
    assert events[-1] == Stopped("interrupted")
    assert saved.snapshots[-1].progress.position.step == 7


def test_a_report_is_the_mean_of_as_many_steps_as_reports_are_apart_or_more() -> None:
    """A validation just behind a report does not stand for a step or two."""
    config = TrainConfig(seed=0, steps=40, eval_every=7, report_every=5, lr=0.01)
    every = reports(list(make(dataclasses.replace(config, eval_every=None, report_every=1)).run()))
    found = reports(list(make(config, validate=lambda: 1.0).run()))
    begin, last = 0, 0  # of the steps that the report before was a mean of, and its own step
    for report in found:
        first = begin if report.step - last < 5 else last
        mean = sum(one.loss for one in every[first : report.step]) / (report.step - first)
        assert report.loss == pytest.approx(mean, rel=1e-6), report.step
        begin, last = first, report.step


def test_the_share_of_clipped_steps_and_the_mean_norm_are_reported() -> None:
    trainer = make(TrainConfig(seed=0, steps=10, clip=1e-6))
    report = reports(list(trainer.run()))[-1]
    assert report.clipped == 1.0
    assert 1e-6 < report.grad_norm < 10
    assert report.bpc == pytest.approx(report.loss / math.log(2))


def test_sums_that_wait_on_the_device_end_where_those_read_after_each_step_do() -> None:
    """As on a GPU, where a step is looked at when it is reported, validated, saved, or the last."""
    for steps in (20, 23):
        config = TrainConfig(seed=0, steps=steps, report_every=7)
        at_once, waiting = make(config), make(config)
        waiting._waits = True
        events = [list(trainer.run()) for trainer in (at_once, waiting)]
        for name, tensor in weights(at_once).items():
            assert torch.equal(tensor, weights(waiting)[name]), (steps, name)
        losses = [[report.loss for report in reports(some)] for some in events]
        assert losses[0] == pytest.approx(losses[1], rel=1e-12), steps
        assert losses[0][-1] > 0.01


def test_a_loss_that_is_not_finite_is_seen_before_the_run_ends_also_where_steps_wait() -> None:
    trainer = make(TrainConfig(seed=0, steps=3, report_every=100, eval_every=100))
    trainer._waits, step = True, trainer._step

    def broken() -> None:
        with torch.no_grad():
            trainer._train_step.precision.model.first_member.forwards.bias.fill_(math.nan)
        step()

    trainer._step = broken  # type: ignore[method-assign]
    with pytest.raises(DivergedError, match="not finite at step 3"):
        list(trainer.run())


def test_weights_that_are_not_finite_from_the_first_are_not_saved() -> None:
    saved = Saved()
    trainer = make(TrainConfig(seed=0, steps=3), save=saved)
    with torch.no_grad():
        trainer.model.models[0].forwards.bias[1] = math.inf
    with pytest.raises(DivergedError, match="before the first step"):
        list(trainer.run())
    assert saved.snapshots == []


# Every unit of theirs has a gradient, and there are recurrent weights to drop.
DROPPING = [cell for cell in CELLS if cell not in ("rnn-relu", "indrnn", "mingru", "minlstm")]


@pytest.mark.slow
def test_recurrent_weights_move_in_training_but_those_that_were_dropped() -> None:
    for number, cell in enumerate(DROPPING):
        assert_dropped_weights_stay(cell, ("fp32", "bf16")[number % 2])
    assert_dropped_weights_stay("lstm", "fp32")
    assert_dropped_weights_stay("lstm", "bf16")


def assert_dropped_weights_stay(cell: str, precision: str) -> None:
    """One step: a dropped weight has no gradient and stays; the others move. After a few steps all have moved."""
    drops = dataclasses.replace(MODEL, hidden=12, cell=cell, weight_drop=0.5)
    config = TrainConfig(seed=7, steps=1, lr=0.01, warmup=0, weight_decay=0, precision=precision, optimizer="adamw")
    trainer = make(config, model=drops)
    trainer.streams = Cycle(bptt=8)
    of_cell = [name for name, weight in CELLS[cell].table().items() if weight.recurrent]
    names = [name for name in weights(trainer) if name.split(".")[-1] in of_cell]
    before = weights(trainer)
    list(trainer.run())
    moved = {name: before[name] != weights(trainer)[name] for name in names}
    assert len(names) == 2 * len(of_cell), cell
    # The masks that the step drew, drawn again: it uses the generator for nothing else, from the lowest layer up.
    torch.manual_seed(7)
    for name in names:
        kept = torch.nn.functional.dropout(trainer._train_step.precision.model.state_dict()[name] * 0 + 1, 0.5) != 0
        assert not moved[name][~kept].any(), (cell, name)
        # In bf16 a rare gradient is rounded to nothing.
        assert float(moved[name][kept].double().mean()) > (0.9 if precision == "bf16" else 0.9999), (cell, name)
        assert 0.2 < float(kept.double().mean()) < 0.8, (cell, name)

    longer = make(dataclasses.replace(config, steps=30), model=drops)
    longer.streams = Cycle(bptt=8)
    list(longer.run())
    assert all((before[name] != weights(longer)[name]).all() for name in names), cell


@pytest.mark.slow
def test_a_cycle_is_learned_with_weight_drop_too() -> None:
    model = dataclasses.replace(MODEL, hidden=16, weight_drop=0.3)
    trainer = make(TrainConfig(seed=0, steps=300, lr=0.03), model=model)
    assert reports(list(trainer.run()))[-1].loss < 0.1


def test_weights_that_were_trained_are_judged_before_the_first_step() -> None:
    losses = iter([1.5, 1.7, 1.4])
    saved = Saved()
    trainer = make(TrainConfig(seed=0, steps=10, eval_every=5), validate=lambda: next(losses), save=saved)
    before = weights(trainer)
    trainer.begin(0.0, trained=True)
    events = list(trainer.run())
    assert events[0] == Note("before the first step: valid 1.5000 nats per token")
    assert [r.best for r in reports(events) if r.valid_loss is not None] == [False, True]
    kept = [s for s, best in zip(saved.snapshots, saved.best, strict=True) if best]
    assert [s.progress.position.step for s in kept] == [0, 10]
    assert [s.progress.best.loss for s in kept] == [1.5, 1.4]
    assert all(torch.equal(kept[0].tensors[f"model.{name}"], tensor) for name, tensor in before.items())


def test_weights_that_training_makes_worse_are_kept_as_they_came() -> None:
    losses = iter([1.5, 1.6, 1.7, 9.0])
    saved = Saved()
    trainer = make(TrainConfig(seed=0, steps=1000, eval_every=5, patience=3), validate=lambda: next(losses), save=saved)
    trainer.begin(0.0, trained=True)
    assert list(trainer.run())[-1] == Stopped("no improvement")
    assert [s.progress.position.step for s, best in zip(saved.snapshots, saved.best, strict=True) if best] == [0]
    assert (trainer.best.loss, trainer.best.step) == (1.5, 0)


def test_fresh_weights_are_not_judged_nor_any_where_there_is_nothing_to_judge_by() -> None:
    for trained in (False, True):
        calls: list[int] = []
        steps: list[Trainer] = []

        def validate(calls: list[int] = calls, steps: list[Trainer] = steps) -> float:
            calls.append(steps[0].position.step)
            return 1.0

        trainer = make(TrainConfig(seed=0, steps=4, eval_every=4), validate=None if trained else validate)
        steps.append(trainer)
        trainer.begin(0.0, trained=trained)
        assert not any(isinstance(event, Note) for event in trainer.run())
        assert calls == ([] if trained else [4])


def test_a_run_begins_with_the_time_that_its_text_has_taken() -> None:
    trainer = make(TrainConfig(seed=0, steps=4))
    trainer.begin(12.5, trained=False)
    assert trainer.progress == Progress(time=Spent(seconds=12.5, overhead_seconds=12.5))


@pytest.mark.parametrize(("share", "saves"), [(1e9, 21), (1e-9, 2)])
def test_a_model_that_takes_long_to_save_is_saved_more_seldom(
    monkeypatch: pytest.MonkeyPatch, share: float, saves: int
) -> None:
    monkeypatch.setattr(save_schedule, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(save_schedule, "SAVE_SHARE", share)
    saved = Saved()
    # The first is that of the weights as they begin, the last that of the end.
    list(make(TrainConfig(seed=0, steps=20, eval_every=10**6), save=saved).run())
    assert saves <= len(saved.snapshots) <= saves + 2
