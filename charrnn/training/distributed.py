"""One training in several processes, under torch's own launcher: `torchrun --nproc-per-node 2 -m charrnn train ...`.

The first process begins the run, as one alone would, and saves it; then all of them, the first too, go on with it from
its file. So a world that a launcher begins again, after one of its processes has died, goes on the same way, and so
does a world of another size. The processes share the run's folder; only the first writes there.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from charrnn import machine
from charrnn.config import TrainOptions, launch, require
from charrnn.errors import CharrnnError
from charrnn.machine.threads import AdaptiveThreads
from charrnn.storage import runs
from charrnn.storage.atomic import write_atomically
from charrnn.storage.runs import Run
from charrnn.training.measure import Measurement
from charrnn.training.recording import Training
from charrnn.training.resume import resume
from charrnn.training.run import start
from charrnn.training.world import ALONE, Joined, World


class Elsewhere(CharrnnError):
    """The first process has failed, and says why."""


def begin(options: TrainOptions, *, checkpoints: Path | None = None) -> Training:
    """Begin a run in this process, or together with those that were launched beside it.

    Where this launch has begun one before that is not complete, go on with that. Raises what `start` and `resume` do,
    in the first process; the others raise Elsewhere.
    """
    if not launch.launched():
        return start(options, checkpoints=checkpoints)
    require(not options.stream, "a text that is read once (`stream`) is read by one process: leave out the launcher")
    world, threads = _join(options.device, options.threads)

    def first() -> dict[str, Any]:
        if (run := _begun(runs.checkpoints_folder(checkpoints))) is not None:
            return {"run": str(run.folder)}
        training = start(options, checkpoints=checkpoints, world=world, threads=threads)
        with training.lock:
            # First whose it is: where this process dies before all is saved, the next attempt begins it anew.
            write_atomically(training.run.launch, launch.name().encode())
            training.save()
        return {"run": str(training.run.folder), "trained": training.trainer.trained, "decided": training.decided}

    def meanwhile(network: dict[str, Any], batch_size: int, bptt: int) -> None:
        here = machine.choose(options.device, options.precision, threads, tune=options.tune)
        Measurement(here, AdaptiveThreads(here), world).follow(network, batch_size, bptt)

    told = _agreed(world, first, meanwhile)
    training = resume(told["run"], device=options.device, threads=threads, world=world)
    training.trainer.trained = told.get("trained", False)
    training.decided = told.get("decided", training.decided)
    return training


def go_on(name: str | None, *, device: str | None = None, threads: int | None = None, **options: Any) -> Training:
    """The same for a run that stopped: as `resume`."""
    if not launch.launched():
        return resume(name, device=device, threads=threads, **options)
    world, threads = _join(device, threads)
    return resume(name, device=device, threads=threads, world=world, **options)


def _join(device: str | None, threads: int | None) -> tuple[World, int]:
    """The world that this process is one of, and its share of the processors here."""
    threads = threads or max(1, machine.cores() // launch.here())
    return (ALONE if launch.size() == 1 else Joined(machine.pick_device(device))), threads


def _agreed(world: World, decide: Callable[[], dict[str, Any]], measure: Callable[..., None]) -> dict[str, Any]:
    """What the first process decides, for which all `measure`. Raises Elsewhere in the others where it could not."""
    if world.rank:
        told: dict[str, Any] = json.loads(world.told(""))
        while "measure" in told:
            measure(*told["measure"])
            told = json.loads(world.told(""))
        if "failed" in told:
            raise Elsewhere(told["failed"])
        return told
    try:
        decided = decide()
    except BaseException as problem:
        world.told(json.dumps({"failed": type(problem).__name__}))
        raise
    world.told(json.dumps(decided))
    return decided


def _begun(folder: Path) -> Run | None:
    """The run that this launch has begun and not ended; one that was never saved whole is as if it were not there."""
    for run in map(Run, folder.iterdir() if folder.is_dir() else ()):
        if run.launch.is_file() and run.launch.read_text(encoding="utf-8") == launch.name():
            if run.resume.exists():
                return run
            run.model.unlink(missing_ok=True)
    return None
