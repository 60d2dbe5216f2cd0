"""The checkpoints folder: one folder for each run, its files, the run trained last. No torch here."""

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from charrnn.errors import RunError
from charrnn.storage.lock import NAME, Lock
from charrnn.storage.metrics import Metrics, read_metrics
from charrnn.text.sources import GLOB

VARIABLE = "CHARRNN_CHECKPOINTS"
# What the tokens of a large text are kept as, and what a kill leaves of them.
TOKENS = re.compile(r"\.?(train|valid)-[0-9a-f]{16}\.(tokens|starts|json|\d+)(\.\d+)*")
# Models that were kept along the way.
KEPT = re.compile(r"step-(\d+)\.safetensors")
# What texts that can be read once are kept as.
COPY = re.compile(r"(corpus|valid|test)(-\d+)?\.txt")


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

    @property
    def copies(self) -> Path:
        """The index of its training text, once copies were looked for."""
        return self.folder / "copies.safetensors"

    @property
    def launch(self) -> Path:
        """Which launch of several processes began it, while it is not complete."""
        return self.folder / "launch.txt"

    def copy(self, part: str, number: int = 1) -> Path:
        """What was read from standard input or a pipe, kept so that the run can be resumed and evaluated."""
        return self.folder / (f"{part}.txt" if number == 1 else f"{part}-{number}.txt")

    def kept(self, step: int) -> Path:
        """The network as it stood behind a step, self-contained, where it was to be kept."""
        return self.folder / f"step-{step}.safetensors"

    def all_kept(self) -> dict[int, Path]:
        """Those that were kept, by their steps."""
        found = ((KEPT.fullmatch(path.name), path) for path in self.folder.glob("step-*"))
        return dict(sorted((int(match[1]), path) for match, path in found if match))

    @property
    def exists(self) -> bool:
        """Whether anything was saved: a folder without a checkpoint is no run."""
        return self.model.exists() or self.resume.exists()

    @property
    def saved(self) -> float:
        """When it was last saved, in seconds since 1970."""
        return max(file.stat().st_mtime for file in (self.model, self.resume) if file.exists())

    def files(self) -> tuple[list[Path], list[Path]]:
        """What lies in its folder: files that a training writes, unfinished ones with them; and what others put there.

        A copy of standard input is a training's where one has been: a text that a user has put there never is.
        """
        found = sorted(self.folder.iterdir()) if self.folder.is_dir() else []
        kept = {path.name for path in found if TOKENS.fullmatch(path.name) or KEPT.fullmatch(path.name)}
        own_files = (self.model, self.resume, self.metrics, self.curve, self.copies, self.launch)
        written = kept | {path.name for path in own_files}
        trained = self.exists or (self.folder / NAME).exists()
        unfinished = tuple(f".{name}." for name in written)
        own = [
            path
            for path in found
            if path.name in {*written, NAME}
            or path.name.startswith(unfinished)
            or (trained and COPY.fullmatch(path.name))
        ]
        return own, [path for path in found if path not in own]

    def tidy(self, *, tokens: bool) -> None:
        """Remove what a kill in the middle of saving leaves behind; with `tokens`, and of keeping them."""
        for kind in ("safetensors", *["tokens"] * tokens):
            for unfinished in self.folder.glob(f".*.{kind}.*"):
                unfinished.unlink()

    def remove(self) -> list[Path]:
        """Remove what a training has written, and the folder where nothing else is left; what was kept.

        Raises RunError where one of them cannot be removed.
        """
        own, others = self.files()
        try:
            for path in own:
                path.unlink(missing_ok=True)
            if not others:
                self.folder.rmdir()
        except OSError as error:
            raise RunError(f"{self.folder} cannot be removed: {error.strerror}") from None
        return others

    def read_metrics(self) -> Iterator[Metrics]:
        """The events written so far (see `read_metrics`)."""
        return read_metrics(self.metrics)


def checkpoints_folder(given: Path | None = None) -> Path:
    """The folder named, else the one in CHARRNN_CHECKPOINTS, else ./checkpoints."""
    return given or Path(os.environ.get(VARIABLE) or "checkpoints")


def create(checkpoints: Path, name: str | None, source: str) -> tuple[Run, Lock]:
    """Make a new run's folder, named after the corpus when no name is given (then numbered when taken), and lock it.

    A folder that a training left before its first checkpoint is taken over, unless that training is still alive.

    Raises RunError when the name is taken, is no name, or the folder cannot be made.
    """
    wanted = name or _name_from(source)
    if not re.fullmatch(r"[^/\\\0]+", wanted) or wanted in (".", ".."):
        raise RunError(f"{wanted!r} cannot be a run's name: use letters, digits, - and _")
    if name:
        return _claim(Run(checkpoints / wanted))
    for candidate in [wanted, *(f"{wanted}-{number}" for number in range(2, 10_000))]:
        with contextlib.suppress(NameTakenError):
            return _claim(Run(checkpoints / candidate))
    raise RunError(f"every name from {wanted} to {candidate} is taken in {checkpoints}: choose a `name`")


class NameTakenError(RunError):
    """A new run cannot have this name."""


def _claim(run: Run) -> tuple[Run, Lock]:
    """The folder of a new run, locked. Raises NameTakenError when it is another's, RunError when it cannot be made."""
    try:
        run.folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise NameTakenError(f"{run.folder} is a file: choose another `name`") from None
    except OSError as error:
        raise RunError(f"{run.folder} cannot be made: {error.strerror}; `checkpoints` names another") from None
    own, others = run.files()
    if others and not run.exists:
        raise NameTakenError(f"{run.folder} holds {others[0].name}, which is of no run: choose another `name`")
    try:
        lock = Lock(run.folder)
    except RunError as error:
        raise NameTakenError(f"{error}; or choose another `name`") from None
    if run.exists:
        lock.release()
        raise NameTakenError(
            f"there is a run named {run.name} in {run.folder.parent}: choose another `name`, or go on with it "
            "(`resume`)"
        )
    for left in own:
        if left != lock.path:
            left.unlink()
    return run, lock


def _name_from(source: str) -> str:
    if source == "-":
        return "stdin"
    path = Path(source)
    while GLOB.search(path.name):  # of a pattern, the folder
        path = path.parent
    stem = path.name
    for suffix in (".gz", ".xz", ".bz2", ".zst", ".txt"):
        stem = stem.removesuffix(suffix)
    return re.sub(r"[^\w.-]+", "-", stem).strip("-.") or "run"


def find(checkpoints: Path, name: str) -> Run:
    """The run of this name, or in this folder. Raises RunError when there is none, naming those there are."""
    for folder in (checkpoints / name, Path(name)):
        run = Run(folder)
        if run.exists:
            return run
    raise RunError(f"there is no run {name} in {checkpoints}{_others(checkpoints)}")


def latest(checkpoints: Path) -> Run:
    """The run trained last. Raises RunError when there is none yet."""
    runs = all_runs(checkpoints)
    if not runs:
        raise RunError(f"there is no trained model in {checkpoints} yet: `train` makes one")
    return max(runs, key=lambda run: run.saved)


def model_file(checkpoints: Path, model: str | None) -> Path:
    """The file that a model's name means: a run's name, its folder or a file; without it, the run trained last."""
    if model is not None and Path(model).is_file():
        return Path(model)
    run = latest(checkpoints) if model is None else find(checkpoints, model)
    return run.model if run.model.exists() else run.resume


def all_runs(checkpoints: Path) -> list[Run]:
    """Every run in the folder, by name."""
    folders = checkpoints.iterdir() if checkpoints.is_dir() else []
    return [run for run in map(Run, sorted(folders)) if run.exists]


def _others(checkpoints: Path) -> str:
    names = [run.name for run in all_runs(checkpoints)]
    return f"; there are {', '.join(names[:8])}" if names else "; `train` makes one"
