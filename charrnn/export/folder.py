"""A model's files written into a folder, and a step model checked before that."""

from pathlib import Path
from typing import NamedTuple

from charrnn.errors import CharrnnError
from charrnn.export.checking import checked
from charrnn.export.formats import FORMATS, MODEL
from charrnn.export.trained import Trained, left_out
from charrnn.storage.atomic import write_atomically


class Exported(NamedTuple):
    """What was written, and what is to be known of it, a line each."""

    files: tuple[Path, ...]
    notes: tuple[str, ...]


def export(model: Trained, folder: Path, form: str, *, force: bool) -> Exported:
    """Write a model in this form. Raises CharrnnError where one of its files is there, unless `force` replaces it."""
    files = FORMATS[form](model, folder.resolve().name)
    there = [name for name in files if (folder / name).exists()]
    if there and not force:
        raise CharrnnError(f"{folder} has a {there[0]} already: `force` replaces it, `output` names another folder")
    notes = [] if form == "hf" else left_out(model)
    if MODEL in files:
        notes.append(checked(files[MODEL], model.config, model.weights))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CharrnnError(f"{folder} cannot be made: {error.strerror}") from None
    for name, data in files.items():
        write_atomically(folder / name, data)
    return Exported(tuple(folder / name for name in files), tuple(notes))
