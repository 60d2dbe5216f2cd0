"""What older formats said, in today's words; golden files show the same of whole models and runs."""

import copy
from typing import Any

from charrnn.config import TrainConfig
from charrnn.storage.formats import FORMAT, differences, today, today_name
from charrnn.training.progress import Accumulators, Best, Position, Progress, Rescue, Spent
from charrnn.training.step_plan import StepPlan

# As format 4 had it.
FLAT: dict[str, Any] = {
    "step": 8, "tokens": 460, "epoch": 1, "index": 7, "seconds": 9.5, "evaluations": 4, "best": 4.25, "best_step": 6,
    "stale": 2, "lr_scale": 0.5, "averaged": 3, "rollbacks": 1, "seconds_beside": 1.5, "validation_seconds": 0.25,
    "pace": {"total": 20, "step": 4, "share": 0.1, "step_seconds": 0.5, "measured_step": 4, "measured_at": 2.0},
    "summed_loss": 532.5, "summed_norm": 1.5, "summed_steps": 2, "summed_clipped": 1.0, "summed_tokens": 128,
    "summed_seconds": 0.75, "finished": False,
}  # fmt: skip
STRANGE: list[Any] = [None, 3, "x", [], {}]
SPLIT = {"sources": ["fables"], "documents": "blank"}
RECORD: dict[str, Any] = {
    "format": 4,
    "model": {"cell": "gru", "members": 2},
    "training": {"documents": "blank", "split": SPLIT, "step": 8},
    "resume": {"progress": FLAT, "train": {"seed": 1, "steps": 20, "optimizer": "soap"}, "split": SPLIT, "threads": 1},
}


def test_a_flat_progress_is_sorted_into_records_and_no_number_is_lost() -> None:
    progress = Progress.from_json(today(RECORD)["resume"]["progress"])
    assert progress == Progress(
        position=Position(step=8, tokens=460, epoch=1, index=7),
        since_report=Accumulators(loss=532.5, norm=1.5, clipped=1.0, steps=2, tokens=128, seconds=0.75),
        best=Best(loss=4.25, step=6, stale=2),
        time=Spent(
            seconds=9.5,
            overhead_seconds=1.5,
            validation_seconds=0.25,
            validations=4,
            plan=StepPlan(total=20, step=4, share=0.1, step_seconds=0.5, measured_step=4, measured_at=2.0),
        ),
        rescue=Rescue(lr_scale=0.5, rollbacks=1),
        averaged=3,
        finished=False,
    )


def test_where_no_steps_were_planned_the_speed_is_measured_from_here_on() -> None:
    old = {name: value for name, value in FLAT.items() if name not in ("pace", "seconds_beside", "averaged")}
    record = {**RECORD, "format": 1, "resume": {**RECORD["resume"], "progress": old}}
    progress = Progress.from_json(today(record)["resume"]["progress"])
    assert progress.time.plan == StepPlan(measured_step=8, measured_at=9.5)
    assert (progress.time.overhead_seconds, progress.averaged) == (0.0, 0)


def test_names_and_what_was_so_before_it_could_be_said() -> None:
    found = today(RECORD)
    assert found["model"]["ensemble"] == 2 and "members" not in found["model"]
    assert found["training"]["documents"] == found["training"]["split"]["documents"] == "paragraphs"
    assert found["resume"]["split"] == {"sources": ["fables"], "documents": "paragraphs"}
    first = today({**RECORD, "format": 1, "model": {"cell": "gru"}, "resume": {"train": {"seed": 1, "steps": 20}}})
    assert first["model"] == {
        "cell": "gru", "weight_drop": None, "skip": None, "norm": False, "bidirectional": False, "ensemble": 1
    }  # fmt: skip
    train = TrainConfig.from_json(first["resume"]["train"])
    assert (train.optimizer, train.average, train.evaluations, train.validated) == ("adamw", None, 15, 1 << 17)
    assert TrainConfig.from_json(found["resume"]["train"]).optimizer == "soap"


def test_reading_changes_nothing_of_the_record_nor_anything_of_todays() -> None:
    kept = copy.deepcopy(RECORD)
    today(RECORD)
    assert kept == RECORD
    new = {**RECORD, "format": FORMAT}
    assert today(new) is new and differences(new) == []
    assert today_name(FORMAT, ensemble=True)("model.anything") == "model.anything"


def test_a_record_that_makes_no_sense_is_left_to_whoever_reads_it() -> None:
    for strange in STRANGE:
        record = {"format": 1, "model": strange, "training": strange, "resume": {"progress": strange, "train": strange}}
        assert today(record)["training"] == strange
        assert differences(record) == []


def test_tensors_have_todays_names() -> None:
    one, many = (today_name(4, ensemble=ensemble) for ensemble in (False, True))
    for old, new in (
        ("model.embedding.weight", "model.embedding.weight"),
        ("model.layers.0.rnn.weight_hh_l0", "model.forwards.layers.0.rnn.weight_hh_l0"),
        ("average.reverse.head", "average.backwards.head"),
        ("optimizer.bias.exp_avg_sq", "optimizer.forwards.bias.exp_avg_sq"),
        ("state.0.1.2.0", "state.0.1.2.0"),
        ("state.2.1", "state.0.0.2.1"),
        ("state_reverse.2.1", "state.0.1.2.1"),
        ("random", "random"),
        ("scaler.scale", "scaler.scale"),
    ):
        assert one(old) == new
    for old, new in (
        ("model.head", "model.models.0.forwards.head"),
        ("model.member.2.embedding.weight", "model.models.1.embedding.weight"),
        ("optimizer.member.3.reverse.bias.step", "optimizer.models.2.backwards.bias.step"),
        ("state.1.0.0.1", "state.1.0.0.1"),
    ):
        assert many(old) == new


def test_a_flat_progress_whose_seconds_are_no_numbers_is_left_to_whoever_reads_it() -> None:
    damaged: Any
    for damaged in ("x", None, []):
        record = {"format": 4, "model": {}, "resume": {"progress": {**FLAT, "seconds": damaged}}}
        assert today(record)["resume"]["progress"]["time"]["seconds"] == damaged
