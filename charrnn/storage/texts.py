"""Where the texts of a run are: remembered by their whole path, or, inside the run's folder, by their name in it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from charrnn.text.split import Split


def remembered(split: Split, folder: Path) -> Split:
    """As a file in this folder says it: a run may go on from elsewhere, and its folder may move with what is in it."""
    return _each(split, lambda source: _name(source, folder))


def at_hand(split: Split, folder: Path) -> Split:
    """As this machine has it: what a file in this folder names by its name is in the folder."""
    return _each(split, lambda source: _find(source, folder))


def whole_path(source: str) -> str:
    """A file wherever one may stand; what is none, as the name of a bundled corpus, as it is."""
    return str(Path(source).absolute()) if Path(source).is_file() else source


def _each(split: Split, change: Callable[[str], str]) -> Split:
    def file(source: str | None) -> str | None:
        return None if source is None else change(source)

    return replace(
        split,
        sources=tuple(map(change, split.sources)),
        valid_file=file(split.valid_file),
        test_file=file(split.test_file),
    )


def _name(source: str, folder: Path) -> str:
    path = Path(source).absolute()
    return path.name if path.parent == folder.absolute() else whole_path(source)


def _find(source: str, folder: Path) -> str:
    """Earlier versions knew a copy of standard input by its whole path, wherever the folder was then."""
    path = Path(source)
    if path.exists() if path.is_absolute() else path.name != source:
        return source
    inside = folder / path.name
    return str(inside.absolute()) if inside.is_file() else source
