"""Threads while other programs come and go: a machine of the test's own, whose clocks are known."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

import charrnn
from charrnn.config import TrainOptions
from charrnn.machine import Machine
from charrnn.machine import threads as module
from charrnn.machine.threads import AdaptiveThreads, Idle, Spell, giving_way, idle_so_far, timed, watched
from charrnn.training.resume import resume
from charrnn.training.run import start
from tests.cases import each
from tests.conftest import CommandLine

ALONE = {1: 1.0, 2: 0.6, 3: 0.45, 4: 0.4}
BUSY = {1: 1.0, 2: 2.0, 3: 3.0, 4: 4.0}


@dataclass
class Simulated:
    """A machine on which a step takes `seconds` by the number of threads, with or without company."""

    most: int
    seconds: dict[int, float]
    company: bool = False
    # Processors that do nothing but for this program; None: the system does not tell.
    idle: int | None = None
    now: float = 0.0
    idled: float = 0.0
    changes: list[tuple[float, int]] = field(default_factory=list)
    used: int = 0

    def __post_init__(self) -> None:
        self.used = self.most

    def step(self, step: Callable[[], None]) -> Spell:
        step()
        seconds = self.seconds[self.used]
        self.now += seconds
        self.idled += seconds * max(0, (self.idle or 0) - self.used)
        own, left = (0.5, 100) if self.company else (0.95, 1)
        return Spell(seconds, own * seconds, round(left * seconds), 1)

    def use(self, count: int) -> None:
        self.used = count
        self.changes.append((self.now, count))

    def threads(self, *, adaptive: bool = True) -> AdaptiveThreads:
        machine = Machine(torch.device("cpu"), "fp32", self.most, adaptive=adaptive)
        return AdaptiveThreads(machine, **self.clocks)

    @property
    def clocks(self) -> dict[str, Any]:
        return {"steps": self.step, "use": self.use, "idle": self.told}

    def told(self) -> Idle | None:
        return None if self.idle is None else Idle(self.now, self.idled)


def go_on(threads: AdaptiveThreads, machine: Simulated, seconds: float) -> int:
    """Steps for so long; how many were done."""
    end = machine.now + seconds
    done: list[None] = []
    while machine.now < end:
        threads.watch(lambda: done.append(None))
    return len(done)


def test_alone_no_other_number_of_threads_is_ever_tried() -> None:
    """So a run that is not disturbed repeats to the bit."""
    machine = Simulated(4, ALONE)
    threads = machine.threads()
    assert go_on(threads, machine, 3600) == pytest.approx(3600 / 0.4, abs=2)
    assert machine.changes == [] and threads.notes() == []


def test_in_company_the_faster_number_is_kept_and_told_once() -> None:
    machine = Simulated(4, BUSY, company=True)
    threads = machine.threads()
    go_on(threads, machine, 4000)
    assert [count for _, count in machine.changes[:3]] == [3, 2, 1]
    (note,) = threads.notes()
    assert note.startswith("other programs are at work: 1 thread instead of 4")
    assert threads.notes() == [] and threads.used == 1


def given_way_and_alone_again(seconds: dict[int, float]) -> tuple[Simulated, AdaptiveThreads]:
    """The second of two threads was left to company, which has gone: steps take so long now."""
    machine = Simulated(2, {1: 0.1, 2: 0.3}, company=True)
    threads = machine.threads()
    go_on(threads, machine, 60)
    assert threads.used == 1
    machine.company, machine.seconds = False, seconds
    go_on(threads, machine, module.HELD_AT_MOST + 10)
    assert threads.used == 2
    return machine, threads


def test_when_company_has_gone_all_threads_work_again_and_back_when_it_returns() -> None:
    machine, threads = given_way_and_alone_again({1: 0.1, 2: 0.06})
    settled = len(machine.changes)
    go_on(threads, machine, 1000)
    assert len(machine.changes) == settled, "alone again, nothing is tried"
    machine.company, machine.seconds = True, {1: 0.1, 2: 0.3}
    go_on(threads, machine, module.HELD_AT_MOST + 10)
    assert threads.used == 1


def test_when_company_has_gone_the_fastest_counts_by_however_little() -> None:
    given_way_and_alone_again({1: 0.1, 2: 0.095})


def test_where_the_system_tells_that_company_has_gone_all_threads_work_again_at_once() -> None:
    """And not while the processors that were left to it have something to do."""
    machine = Simulated(2, {1: 0.5, 2: 1.5}, company=True, idle=1)
    threads = machine.threads()
    go_on(threads, machine, 30)
    assert threads.used == 1
    settled = len(machine.changes)
    go_on(threads, machine, 20)
    assert len(machine.changes) == settled and threads.used == 1
    machine.company, machine.seconds, machine.idle = False, {1: 0.5, 2: 0.3}, 2
    go_on(threads, machine, module.TRUSTED_FIRST + 2)
    assert threads.used == 2
    go_on(threads, machine, 1000)
    assert len(machine.changes) == settled + 1


def test_company_that_the_system_does_not_see_is_believed_ever_less() -> None:
    """Another machine's programs on the same processors: two threads are slow there, and a processor seems idle."""
    machine = Simulated(2, {1: 0.1, 2: 0.3}, company=True, idle=2)
    threads = machine.threads()
    steps = go_on(threads, machine, 1000)
    assert steps > 0.9 * 1000 / 0.1
    back = [at for at, count in machine.changes if count == 2]
    assert max(later - before for before, later in pairwise(back)) > 40


def test_idle_processors_are_counted_where_the_system_tells() -> None:
    before, after = idle_so_far(), idle_so_far()
    if sys.platform == "linux":
        assert before is not None and after is not None
        assert after.seconds >= before.seconds and 0 <= before.idle <= after.idle


def test_others_are_tried_ever_more_seldom_and_cost_little() -> None:
    machine = Simulated(2, {1: 0.1, 2: 0.4}, company=True)
    threads = machine.threads()
    done = go_on(threads, machine, 2000)
    tried = [when for when, count in machine.changes if count == 2]
    gaps = [round(later - earlier, 6) for earlier, later in pairwise(tried)]
    assert gaps == sorted(gaps) and gaps[0] < gaps[-1] < 1.2 * module.HELD_AT_MOST
    assert done > 0.95 * 2000 / 0.1


def test_a_number_that_is_hopeless_costs_one_step() -> None:
    machine = Simulated(2, {1: 0.1, 2: 10.0}, company=True)
    threads = machine.threads()
    go_on(threads, machine, 60)
    assert [(round(when), count) for when, count in machine.changes] == [(40, 1)], (
        "one step to notice company, three to time them"
    )
    go_on(threads, machine, 2000)
    (tried, more), (back, fewer) = machine.changes[1:3]
    assert (more, fewer, round(back - tried, 6)) == (2, 1, 10.0)


def test_slow_steps_are_tried_as_seldom_as_their_trial_is_dear() -> None:
    machine = Simulated(2, {1: 5.0, 2: 9.0}, company=True)
    threads = machine.threads()
    done = go_on(threads, machine, 20_000)
    assert done > 0.95 * 20_000 / 5.0


@each(
    "seconds, best",
    [
        ({1: 1.0, 2: 0.85}, 1),  # what brings less than a quarter is left to others
        ({1: 1.0, 2: 0.75}, 2),
        ({1: 2.0, 2: 1.0, 3: 0.7, 4: 4.0}, 3),
        ({1: 2.0, 2: 1.0, 3: 1.5, 4: 4.0}, 2),
    ],
)
def test_the_fewest_threads_that_are_about_as_fast_are_used(seconds: dict[int, float], best: int) -> None:
    machine = Simulated(max(seconds), seconds, company=True)
    threads = machine.threads()
    go_on(threads, machine, 60)
    assert threads.used == best


def test_given_threads_and_a_single_one_are_kept() -> None:
    for machine, adaptive in ((Simulated(2, BUSY, company=True), False), (Simulated(1, BUSY, company=True), True)):
        threads = machine.threads(adaptive=adaptive)
        done: list[None] = []
        for _ in range(1000):
            threads.watch(lambda done=done: done.append(None))  # type: ignore[misc]
        assert len(done) == 1000 and machine.changes == [] and threads.notes() == []


def measured(machine: Simulated, threads: AdaptiveThreads) -> float:
    return threads.measure(lambda: None, seconds=1.0, steps=2)


def test_a_measurement_alone_is_a_mean_over_all_threads() -> None:
    machine = Simulated(2, {1: 0.1, 2: 0.06})
    threads = machine.threads()
    assert measured(machine, threads) == pytest.approx(0.06) and machine.now == pytest.approx(1.02)
    go_on(threads, machine, 100)
    assert machine.changes == []
    given = Simulated(2, {1: 0.1, 2: 0.3}, company=True)
    assert measured(given, given.threads(adaptive=False)) == pytest.approx(0.3) and given.changes == []


def test_a_measurement_in_company_is_of_the_threads_that_training_goes_on_with() -> None:
    machine = Simulated(2, {1: 0.1, 2: 0.4}, company=True)
    threads = machine.threads()
    assert measured(machine, threads) == pytest.approx(0.1)
    assert threads.used == 1 and len(threads.notes()) == 1
    settled = machine.now
    go_on(threads, machine, module.HELD_FIRST - 1)
    assert len(machine.changes) == 1, "what was chosen is kept for a while"
    go_on(threads, machine, 1000)
    assert threads.used == 1 and threads.notes() == [] and machine.changes[1][0] > settled
    machine.company, machine.seconds = False, {1: 0.1, 2: 0.06}
    go_on(threads, machine, module.HELD_AT_MOST + 10)
    assert threads.used == 2, "company goes"


@each(
    "spell, company",
    [
        (Spell(1.0, 0.95, 1, 9), False),
        (Spell(1.0, 0.5, 100, 9), True),
        (Spell(1.0, 0.5, 1, 9), False),  # a slow disk
        (Spell(1.0, 0.95, 100, 9), False),  # the system's own work
        (Spell(4.0, 2.0, 30, 9), False),
        (Spell(4.0, 2.0, 50, 9), True),
        (Spell(1.0, 0.5, None, 9), True),  # a system that does not count
        (Spell(), False),
    ],
)
def test_company_is_waiting_and_being_made_to_leave(spell: Spell, company: bool) -> None:
    assert spell.company is company


def test_spells_add_up() -> None:
    assert Spell(1.0, 0.5, 3, 1) + Spell(2.0, 1.5, 4, 1) == Spell(3.0, 2.0, 7, 2)
    assert (Spell(1.0, 0.5, None, 1) + Spell(2.0, 1.5, 4, 1)).made_to_leave is None


def test_a_step_is_done_and_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[int] = []
    spell = timed(lambda: done.append(sum(range(100_000))))
    assert len(done) == 1 and spell.steps == 1
    assert 0 < spell.processor <= 1.01 * spell.seconds and spell.made_to_leave is not None
    monkeypatch.setattr(module, "resource", None)
    assert timed(lambda: None).made_to_leave is None


# -- in scoring ------------------------------------------------------------------------------------------------------


def test_scoring_gives_way_where_it_is_asked_to_and_the_threads_are_given_back(
    monkeypatch: pytest.MonkeyPatch, trained: Path, prose: str
) -> None:
    model, told = charrnn.load("small", checkpoints=trained), list[str]()
    crowd = Simulated(2, {1: 0.5, 2: 1.0}, company=True)
    plain = model.score(prose, unknown=True)
    with giving_way(crowd.threads(), told.append):
        assert model.score(prose, unknown=True) == plain
        assert crowd.used == 1 and len(told) == 1 and told[0].startswith("other programs are at work: 1 thread")
    assert crowd.used == 2
    now = crowd.now
    model.score(prose, unknown=True)
    assert crowd.now == now and watched(lambda: 7) == 7


def test_what_fails_gives_the_threads_back_too() -> None:
    crowd = Simulated(2, BUSY, company=True)
    with pytest.raises(ZeroDivisionError), giving_way(crowd.threads(), print):
        for left in range(30, -1, -1):
            watched(lambda left=left: 1 / left)  # type: ignore[misc]
    assert crowd.used == 2 and crowd.changes[-2][1] == 1
    assert watched(lambda: 7) == 7 and crowd.changes[-1][1] == 2


@pytest.mark.slow
@each(
    "line, expected",
    [
        (["eval", "-m", "small"], 1),
        (["eval", "-m", "small", "--threads", "2"], 0),
        (["inspect", "memory", "-m", "small", "--length", "3000"], 1),
        (["compare", "small", "small"], 1),
        (["embed", "-m", "small", "-o", "vectors.npy", "--batch-size", "1"], 1),
    ],
)
def test_commands_that_score_say_so_unless_threads_are_given(
    charrnn: CommandLine, trained: Path, prose: str, monkeypatch: pytest.MonkeyPatch,
    line: list[str], expected: int,
) -> None:  # fmt: skip
    monkeypatch.setattr("charrnn.machine.cores", lambda: 2)
    crowd = Simulated(2, {1: 0.5, 2: 1.0}, company=True)
    monkeypatch.setattr(AdaptiveThreads.__init__, "__kwdefaults__", crowd.clocks)
    Path("text.txt").write_text(prose[:3000], encoding="utf-8")
    done = charrnn(*line, "--checkpoints", str(trained), "text.txt")
    assert done.code == 0 and done.err.count("other programs are at work") == expected
    assert bool(crowd.changes) == bool(expected) and crowd.used == 2


# -- in a training ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_training_says_so_and_a_resumed_one_watches_only_if_it_did(
    tmp_path: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("charrnn.machine.cores", lambda: 2)
    crowd = Simulated(2, {1: 0.5, 2: 1.0}, company=True)
    used: list[int] = []
    monkeypatch.setattr(AdaptiveThreads.__init__, "__kwdefaults__", crowd.clocks)

    def options(name: str, threads: int | None) -> TrainOptions:
        return TrainOptions(
            corpus=(str(corpus),),
            seed=1,
            name=name,
            hidden=8,
            layers=1,
            batch_size=4,
            bptt=8,
            steps=20,
            threads=threads,
        )

    for name, threads, expected in (("open", None, True), ("given", 2, False)):
        training = start(options(name, threads), checkpoints=tmp_path)
        told = [event for event in training.events() if "other programs" in getattr(event, "text", "")]
        assert (len(told) == 1) is expected and training.machine.adaptive is expected
        used.append(crowd.used)
        crowd.use(2)
        again = resume(name, checkpoints=tmp_path, steps=30)
        assert (again.machine.threads, again.machine.adaptive) == (2, expected)
        again.lock.release()
        assert not resume(name, checkpoints=tmp_path, steps=30, threads=2).machine.adaptive
    assert used == [1, 2]


# -- the environment -------------------------------------------------------------------------------------------------


def in_a_fresh_interpreter(script: str, **environment: str) -> str:
    plain = {name: value for name, value in os.environ.items() if name not in {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}}
    done = subprocess.run(
        [sys.executable, "-c", f"import os, sys; {script}; print(os.environ.get('GOMP_SPINCOUNT'))"],
        env={**plain, **environment}, cwd=Path(charrnn.__file__).parent.parent,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


@pytest.mark.slow
def test_spinning_is_bounded_before_torch_is_loaded_and_what_the_user_set_is_left_alone() -> None:
    assert in_a_fresh_interpreter("import charrnn") == "4000"
    assert in_a_fresh_interpreter("import charrnn.cli.app") == "4000"
    assert in_a_fresh_interpreter("import charrnn", GOMP_SPINCOUNT="7") == "7"
    assert in_a_fresh_interpreter("import charrnn", OMP_WAIT_POLICY="active") == "None"
    assert in_a_fresh_interpreter("sys.modules['torch'] = sys; import charrnn") == "None", "too late: torch is there"


def test_these_tests_themselves_wait_with_moderation() -> None:
    assert {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys()
