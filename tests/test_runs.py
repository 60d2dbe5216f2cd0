"""The checkpoints folder: names, the run that is meant, and what is left of its metrics."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from charrnn.errors import RunError
from charrnn.storage import lock as lock_file
from charrnn.storage import runs
from charrnn.storage.lock import Lock, locked
from charrnn.storage.runs import Run, checkpoints_folder, create, find, latest, model_file
from charrnn.storage.texts import at_hand, remembered
from charrnn.text.split import Split


def make_run(checkpoints: Path, name: str, *, model: float | None = 1.0, resume: float | None = 1.0) -> Run:
    """A run whose files have these times; None is a file that is not there."""
    run = Run(checkpoints / name)
    run.folder.mkdir(parents=True)
    for path, time in ((run.model, model), (run.resume, resume)):
        if time is not None:
            path.write_bytes(b"")
            os.utime(path, (time, time))
    return run


# ---- names


NAMED = [
    ("fables", "fables"),
    ("corpus.txt", "corpus"),
    ("/data/texts/corpus.txt", "corpus"),
    ("corpus.txt.gz", "corpus"),
    ("corpus.xz", "corpus"),
    ("corpus.txt.bz2", "corpus"),
    ("corpus.txt.zst", "corpus"),
    ("corpus.v2.txt", "corpus.v2"),
    ("corpus.md", "corpus.md"),
    ("My old  texts!.txt", "My-old-texts"),
    ("été.txt", "été"),
    ("-", "stdin"),
    ("a_b-c.txt", "a_b-c"),
    ("folder/", "folder"),
    (".hidden.txt", "hidden"),
    ("--name.txt", "name"),
    ("!!!.txt", "run"),
    (".txt", "run"),
]


def test_a_run_is_named_after_its_corpus(tmp_path: Path) -> None:
    for number, (source, name) in enumerate(NAMED):
        run, _ = create(tmp_path / str(number), None, source)
        assert run.folder == tmp_path / str(number) / name, source
        assert run.name == name
        assert run.folder.is_dir()


def test_a_name_of_a_corpus_that_is_taken_is_numbered(tmp_path: Path) -> None:
    """Taken by a training that is alive, though it has saved nothing yet."""
    alive = [create(tmp_path, None, "fables.txt") for _ in range(4)]
    assert [run.name for run, _ in alive] == ["fables", "fables-2", "fables-3", "fables-4"]


def test_the_first_free_number_is_taken(tmp_path: Path) -> None:
    for name in ("fables", "fables-3"):
        make_run(tmp_path, name)
    alive = [create(tmp_path, None, "fables") for _ in range(2)]
    assert [run.name for run, _ in alive] == ["fables-2", "fables-4"]


def test_a_given_name_is_used_as_it_is(tmp_path: Path) -> None:
    assert create(tmp_path, "Mein Lauf #1", "fables")[0].folder == tmp_path / "Mein Lauf #1"


def test_a_given_name_that_is_taken_is_an_error_with_advice(tmp_path: Path) -> None:
    make_run(tmp_path, "one")
    with pytest.raises(RunError, match=r"a run named one in .*: choose another `name`, or go on with it .`resume`."):
        create(tmp_path, "one", "fables")
    assert os.listdir(tmp_path) == ["one"]


def test_what_a_training_left_before_its_first_checkpoint_is_no_run_and_taken_over(tmp_path: Path) -> None:
    for name in (None, "fables"):
        run, lock = create(tmp_path, name, "fables")
        assert sorted(os.listdir(run.folder)) == [".lock"]
        with pytest.raises(RunError, match=r"the run fables is being trained at this moment.*another `name`"):
            create(tmp_path, "fables", "fables")
        lock.release()
        (run.folder / ".lock").touch()  # as a kill leaves it
        for left in (run.metrics, run.copy("corpus"), run.folder / ".model.safetensors.x1y2"):
            left.write_text("left")
        with pytest.raises(RunError, match="there is no run fables"):
            find(tmp_path, "fables")


def test_a_folder_that_holds_something_else_is_not_touched(tmp_path: Path) -> None:
    for name in ("notes.md", "corpus.txt"):
        (tmp_path / name / "mine").mkdir(parents=True)
        mine = tmp_path / name / "mine" / name
        mine.write_text("mine")
        with pytest.raises(RunError, match=rf"mine holds {name}, which is of no run: choose another `name`"):
            create(tmp_path / name, "mine", "fables")
        assert mine.read_text() == "mine"
        assert create(tmp_path / name, None, "mine.txt")[0].name == "mine-2"


def test_a_run_is_removed_with_all_that_it_wrote_and_with_nothing_else(tmp_path: Path) -> None:
    for others in ([], ["notes.md", "samples"]):
        run = make_run(tmp_path, "one")
        files = (run.metrics, run.curve, run.copy("corpus"), run.folder / ".lock", run.folder / ".model.safetensors.x1")
        for path in files:
            path.write_text("")
        for name in others:
            (run.folder / name).mkdir()
        assert [path.name for path in run.remove()] == others
        assert run.folder.exists() == bool(others) and not run.exists
        assert not others or sorted(os.listdir(run.folder)) == others


def test_a_file_is_no_folder_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("")
    with pytest.raises(RunError, match="one is a file: choose another `name`"):
        create(tmp_path, "one", "fables")
    assert create(tmp_path, None, "one.txt")[0].name == "one-2"


def test_when_every_number_is_taken_there_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def taken(*_: object, **__: object) -> None:
        raise FileExistsError

    monkeypatch.setattr(Path, "mkdir", taken)
    with pytest.raises(RunError, match="every name from fables to fables-9999 is taken"):
        create(tmp_path, None, "fables")


def test_a_text_inside_the_folder_of_a_run_moves_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path / "here", "one")
    run.copy("corpus").write_text("text")
    (tmp_path / "far.txt").write_text("far")
    monkeypatch.chdir(tmp_path)

    def split(*sources: str, valid: str | None = None) -> Split:
        return Split(
            sources=sources, sha256="", documents="stream", chars=4, train_end=4, valid_end=4, valid_file=valid
        )

    told = remembered(
        split(str(run.copy("corpus")), "here/one/corpus.txt", "far.txt", "fables", valid="far.txt"), run.folder
    )
    far = str(tmp_path / "far.txt")
    assert told.sources == ("corpus.txt", "corpus.txt", far, "fables") and told.valid_file == far
    (tmp_path / "here").rename(tmp_path / "there")
    moved = Run(tmp_path / "there" / "one")
    copy = str(moved.copy("corpus"))
    assert at_hand(told, moved.folder) == split(copy, copy, far, "fables", valid=far)
    # As earlier versions remembered it: by its whole path.
    assert at_hand(split(str(run.copy("corpus")), "/gone.txt"), moved.folder).sources == (copy, "/gone.txt")


def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    for name in ("a/b", "/a", "..", ".", "a\\b", "../up", "a\0b", "a/"):
        with pytest.raises(RunError, match="cannot be a run's name"):
            create(tmp_path / "checkpoints", name, "fables")
        assert os.listdir(tmp_path) == [], name


def test_the_checkpoints_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    assert create(tmp_path / "a" / "b", None, "fables")[0].folder.is_dir()


def test_a_folder_that_cannot_be_made_is_an_error_with_advice(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"cannot be made: Not a directory; `checkpoints` names another"):
        create(tmp_path / "file", None, "fables")
    with pytest.raises(RunError, match=r"cannot be made: File name too long"):
        create(tmp_path, "x" * 300, "fables")


def test_a_run_says_where_its_files_are(tmp_path: Path) -> None:
    run = Run(tmp_path / "one")
    files = (run.model, run.resume, run.metrics, run.curve, run.copy("corpus"))
    names = ["model.safetensors", "resume.safetensors", "metrics.jsonl", "curve.svg", "corpus.txt"]
    assert [file.name for file in files] == names
    assert {file.parent for file in files} == {tmp_path / "one"}


# ---- the folder of all runs


def test_the_folder_named_comes_before_the_environment_and_that_before_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CHARRNN_CHECKPOINTS", raising=False)
    assert checkpoints_folder() == Path("checkpoints")
    monkeypatch.setenv("CHARRNN_CHECKPOINTS", "/elsewhere")
    assert checkpoints_folder() == Path("/elsewhere")
    assert checkpoints_folder(Path("here")) == Path("here")
    monkeypatch.setenv("CHARRNN_CHECKPOINTS", "")
    assert checkpoints_folder() == Path("checkpoints")


# ---- which run is meant


@pytest.mark.parametrize("model, resume", [(1.0, 1.0), (1.0, None), (None, 1.0)])
def test_a_run_is_found_by_its_name(tmp_path: Path, model: float | None, resume: float | None) -> None:
    make_run(tmp_path, "other")
    run = make_run(tmp_path, "one", model=model, resume=resume)
    assert find(tmp_path, "one") == run


def test_a_run_is_found_by_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path / "far", "one")
    assert find(tmp_path / "checkpoints", str(run.folder)) == run
    monkeypatch.chdir(tmp_path)
    assert find(Path("checkpoints"), "far/one").model.samefile(run.model)


def test_a_name_comes_before_a_folder_of_the_same_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(tmp_path, "one")
    inside = make_run(tmp_path / "checkpoints", "one")
    monkeypatch.chdir(tmp_path)
    assert find(tmp_path / "checkpoints", "one") == inside


def test_a_run_that_is_not_there_is_an_error_naming_those_there_are(tmp_path: Path) -> None:
    for name in ("two", "one", "three"):
        make_run(tmp_path, name)
    (tmp_path / "empty").mkdir()
    (tmp_path / "README.md").write_text("")
    with pytest.raises(RunError, match=r"there is no run four in .*; there are one, three, two$"):
        find(tmp_path, "four")
    with pytest.raises(RunError, match="there is no run empty"):
        find(tmp_path, "empty")


def test_of_many_runs_eight_are_named(tmp_path: Path) -> None:
    for number in range(12):
        make_run(tmp_path, f"run{number:02}")
    with pytest.raises(RunError) as caught:
        find(tmp_path, "none")
    assert str(caught.value).endswith("there are " + ", ".join(f"run{number:02}" for number in range(8)))


@pytest.mark.parametrize("folder", ["", "none"])
def test_where_there_is_no_run_the_error_says_how_to_make_one(tmp_path: Path, folder: str) -> None:
    with pytest.raises(RunError, match=r"there is no run one in .*; `train` makes one"):
        find(tmp_path / folder, "one")
    with pytest.raises(RunError, match=r"no trained model in .* yet: `train` makes one"):
        latest(tmp_path / folder)


def test_the_latest_run_is_the_one_trained_last(tmp_path: Path) -> None:
    times = {"b": 20.0, "c": 10.0, "a": 15.0}
    for name, time in times.items():
        make_run(tmp_path, name, model=time, resume=time)
    assert latest(tmp_path).name == "b"
    os.utime(Run(tmp_path / "c").model, (30, 30))
    assert latest(tmp_path).name == "c"


def test_a_run_without_a_best_model_yet_counts_by_its_resume_file(tmp_path: Path) -> None:
    make_run(tmp_path, "old", model=10, resume=10)
    make_run(tmp_path, "new", model=None, resume=20)
    assert latest(tmp_path).name == "new"


def test_a_run_that_went_on_training_without_a_better_model_was_trained_last(tmp_path: Path) -> None:
    """The model file is as old as the best validation; the resume file is as old as the training."""
    make_run(tmp_path, "still training", model=10, resume=40)
    make_run(tmp_path, "ended before", model=20, resume=30)
    assert latest(tmp_path).name == "still training"


def test_files_and_empty_folders_are_no_runs(tmp_path: Path) -> None:
    run = make_run(tmp_path, "one", model=1, resume=1)
    (tmp_path / "zero").mkdir()
    (tmp_path / "README.md").write_text("")
    assert latest(tmp_path) == run


def test_a_model_is_named_by_run_by_folder_by_file_or_not_at_all(tmp_path: Path) -> None:
    old = make_run(tmp_path, "old", model=1, resume=1)
    new = make_run(tmp_path, "new", model=2, resume=2)
    loose = tmp_path / "loose.safetensors"
    loose.write_bytes(b"")
    assert model_file(tmp_path, "old") == old.model
    assert model_file(tmp_path, str(old.folder)) == old.model
    assert model_file(tmp_path, str(loose)) == loose
    assert model_file(tmp_path, str(old.resume)) == old.resume
    assert model_file(tmp_path, None) == new.model


def test_a_model_that_is_not_there_is_an_error_naming_the_runs(tmp_path: Path) -> None:
    make_run(tmp_path, "one")
    with pytest.raises(RunError, match=r"there is no run none in .*; there are one"):
        model_file(tmp_path, "none")


def test_runs_know_nothing_of_what_is_in_their_files(tmp_path: Path) -> None:
    assert not hasattr(runs, "torch")


# ---- one writer


HOLD = """
import sys, time
from pathlib import Path
from charrnn.storage.lock import Lock
lock = Lock(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(100)
"""


def test_a_folder_has_one_writer_until_its_process_ends_however_that_is(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == "held\n"
            with pytest.raises(RunError, match=rf"the run {tmp_path.name} is being trained at this moment"):
                Lock(tmp_path)
            assert locked(tmp_path)
        finally:
            process.kill()
    assert not locked(tmp_path)
    with Lock(tmp_path):
        assert locked(tmp_path)
        with pytest.raises(RunError, match="another training of this one"):
            Lock(tmp_path)
    assert not locked(tmp_path)


def test_a_lock_is_let_go_with_whoever_held_it_and_twice_does_no_harm(tmp_path: Path) -> None:
    lock = Lock(tmp_path)
    lock.release()
    lock.release()
    forgotten = Lock(tmp_path)
    del forgotten
    Lock(tmp_path).release()


def test_looking_whether_a_folder_is_locked_leaves_nothing_behind(tmp_path: Path) -> None:
    assert not locked(tmp_path) and not locked(tmp_path / "none")
    assert os.listdir(tmp_path) == []


def test_where_a_file_system_knows_no_locks_a_run_goes_on_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(file: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock_file, "_take", unknown)
    with Lock(tmp_path):
        Lock(tmp_path).release()


def test_a_lock_on_a_file_that_the_writer_before_has_removed_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = lock_file._take
    calls: list[int] = []

    def late(file: int) -> None:
        take(file)
        if not calls:
            (tmp_path / ".lock").unlink()
        calls.append(file)

    monkeypatch.setattr(lock_file, "_take", late)
    with Lock(tmp_path):
        assert len(calls) == 2 and locked(tmp_path)
    assert os.listdir(tmp_path) == []


# ---- metrics

REPORT = {"loss": 2.5, "bpc": 3.0, "lr": 0.1, "grad_norm": 1, "clipped": 0.0}
EVENTS: list[dict[str, Any]] = [{"step": 10, **REPORT}, {"step": 20, **REPORT, "sample": "Ünd\n"}]


def write_metrics(tmp_path: Path, data: bytes) -> Run:
    run = Run(tmp_path)
    run.metrics.write_bytes(data)
    return run


def lines(events: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in events).encode()


def test_metrics_come_back_in_order(tmp_path: Path) -> None:
    run = write_metrics(tmp_path, lines(EVENTS))
    assert list(run.read_metrics()) == EVENTS


def test_a_run_without_metrics_has_none(tmp_path: Path) -> None:
    assert list(Run(tmp_path).read_metrics()) == []


def test_an_empty_metrics_file_holds_none(tmp_path: Path) -> None:
    assert list(write_metrics(tmp_path, b"").read_metrics()) == []


def test_a_last_line_that_a_crash_cut_short_is_left_out(tmp_path: Path) -> None:
    run = write_metrics(tmp_path, lines(EVENTS) + b'{"step": 30, "lo')
    assert list(run.read_metrics()) == EVENTS


def test_a_last_line_cut_anywhere_is_left_out(tmp_path: Path) -> None:
    """Anywhere: inside a character of several bytes too."""
    last = lines([{"step": 30, **REPORT, "sample": "Größe \N{SNOWMAN}"}])
    for length in range(1, len(last) - 1):
        run = write_metrics(tmp_path, lines(EVENTS) + last[:length])
        assert list(run.read_metrics()) == EVENTS


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x1c", "\r", "\v"])
def test_a_sample_with_a_line_separator_in_it_is_one_event(tmp_path: Path, separator: str) -> None:
    """JSON escapes the control characters below 32, not these others at which Python also splits lines."""
    events: list[dict[str, Any]] = [{"step": 1, **REPORT, "sample": f"a{separator}b"}, {"step": 2, **REPORT}]
    assert list(write_metrics(tmp_path, lines(events)).read_metrics()) == events


def test_a_line_that_is_no_event_is_left_out_wherever_it_stands(tmp_path: Path) -> None:
    wrong: list[object] = [
        123, None, [], {}, "x", True, {"step": 1}, {"step": "1", **REPORT}, {"step": 10**40, **REPORT},
        {"step": 1, **REPORT, "loss": "abc"}, {"step": 1, **REPORT, "valid_bpc": []}, {"step": 1, **REPORT, "lr": None},
        {"step": 1, **REPORT, "updates": 3}, {"step": 1, **REPORT, "updates": {"head": "x"}},
        {"step": 1, **REPORT, "sample": 3}, {"step": 1, **REPORT, "best": 1}, [{"step": 1, **REPORT}],
    ]  # fmt: skip
    for line in [*(json.dumps(each).encode() for each in wrong), b"NaN", b"[" * 10**5, b"\xff", b"1" * 10**5]:
        run = write_metrics(tmp_path, lines(EVENTS[:1]) + line + b"\n" + lines(EVENTS[1:]))
        assert list(run.read_metrics()) == EVENTS, line[:80]


def test_a_field_that_is_null_was_not_finite_and_is_left_out(tmp_path: Path) -> None:
    run = write_metrics(tmp_path, lines([{"step": 1, **REPORT, "valid_loss": None}]))
    assert list(run.read_metrics()) == [{"step": 1, **REPORT}]
