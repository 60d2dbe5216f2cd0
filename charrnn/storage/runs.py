"""The checkpoints folder: one folder for each run, its files, the run trained last. No torch here."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from charrnn.errors import RunError
from charrnn.storage.metrics import Metrics, read_metrics

VARIABLE = "CHARRNN_CHECKPOINTS"


@dataclass(frozen=True)
class Run:
    """One training's folder."""

    folder: Path

    @property
    def name(self) -> str:
        """What it is called."""
        return self.folder.name

    @property
    def model(self) -> Path:
        """The best network so far, self-contained."""
        return self.folder / "model.safetensors"

    @property
    def resume(self) -> Path:
        """All that training needs to go on."""
        return self.folder / "resume.safetensors"

    @property
    def metrics(self) -> Path:
        """One JSON object a line."""
        return self.folder / "metrics.jsonl"

    @property
    def curve(self) -> Path:
        """The picture of the run."""
        return self.folder / "curve.svg"

    def copy(self, part: str, number: int = 1) -> Path:
        """What was read from standard input or a pipe, kept so that the run can be resumed and evaluated."""
        return self.folder / (f"{part}.txt" if number == 1 else f"{part}-{number}.txt")

    def read_metrics(self) -> Iterator[Metrics]:
        """The events written so far (see `read_metrics`)."""
        return read_metrics(self.metrics)


def checkpoints_folder(given: Path | None = None) -> Path:
    """The folder named, else the one in CHARRNN_CHECKPOINTS, else ./checkpoints."""
    return given or Path(os.environ.get(VARIABLE) or "checkpoints")


def create(checkpoints: Path, name: str | None, source: str) -> Run:
    """Make a new run's folder, named after the corpus when no name is given (then numbered when taken).

    Raises RunError when the name is taken, is no name, or the folder cannot be made.
    """
    wanted = name or _name_from(source)
    if not re.fullmatch(r"[^/\\\0]+", wanted) or wanted in (".", ".."):
        raise RunError(f"{wanted!r} cannot be a run's name: use letters, digits, - and _")
    candidates = [wanted] if name else [wanted, *(f"{wanted}-{number}" for number in range(2, 10_000))]
    for candidate in candidates:
        folder = checkpoints / candidate
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise RunError(f"{folder} cannot be made: {error.strerror}; `checkpoints` names another") from None
        return Run(folder)
    raise RunError(
        f"there is a run named {wanted} in {checkpoints}: choose another `name`, or go on with it (`resume`)"
    )


def _name_from(source: str) -> str:
    if source == "-":
        return "stdin"
    stem = Path(source).name
    for suffix in (".gz", ".xz", ".bz2", ".zst", ".txt"):
        stem = stem.removesuffix(suffix)
    return re.sub(r"[^\w.-]+", "-", stem).strip("-.") or "run"


def find(checkpoints: Path, name: str) -> Run:
    """The run of this name, or in this folder. Raises RunError when there is none, naming those there are."""
    for folder in (checkpoints / name, Path(name)):
        run = Run(folder)
        if run.model.exists() or run.resume.exists():
            return run
    raise RunError(f"there is no run {name} in {checkpoints}{_others(checkpoints)}")


def latest(checkpoints: Path) -> Run:
    """The run trained last. Raises RunError when there is none yet."""
    runs = _all(checkpoints)
    if not runs:
        raise RunError(f"there is no trained model in {checkpoints} yet: `train` makes one")
    return max(runs, key=lambda run: max(f.stat().st_mtime for f in (run.model, run.resume) if f.exists()))


def model_file(checkpoints: Path, model: str | None) -> Path:
    """The file that a model's name means: a run's name, its folder or a file; without it, the run trained last."""
    if model is not None and Path(model).is_file():
        return Path(model)
    run = latest(checkpoints) if model is None else find(checkpoints, model)
    return run.model if run.model.exists() else run.resume


def _all(checkpoints: Path) -> list[Run]:
    folders = checkpoints.iterdir() if checkpoints.is_dir() else []
    runs = [Run(folder) for folder in sorted(folders) if folder.is_dir()]
    return [run for run in runs if run.model.exists() or run.resume.exists()]


def _others(checkpoints: Path) -> str:
    names = [run.name for run in _all(checkpoints)]
    return f"; there are {', '.join(names[:8])}" if names else "; `train` makes one"
