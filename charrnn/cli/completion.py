"""What the shell completes: runs, models, texts. Quick, for it is asked at each press of a key: no torch, no NumPy."""

import glob
import os
from pathlib import Path

import typer


def complete_run(context: typer.Context, incomplete: str) -> list[str]:
    """The names of the runs there are."""
    from charrnn.storage.runs import all_runs, checkpoints_folder

    given = context.params.get("checkpoints")
    names = [run.name for run in all_runs(checkpoints_folder(Path(given) if given else None))]
    return [name for name in names if name.startswith(incomplete)]


def complete_name(context: typer.Context, incomplete: str) -> list[str]:
    """The name of a run that goes on; that of a new one is the user's to find."""
    return complete_run(context, incomplete) if context.params.get("resume") else []


def complete_model(context: typer.Context, incomplete: str) -> list[str]:
    """Runs, folders, and model files."""
    return [*complete_run(context, incomplete), *_paths(incomplete, ".safetensors")]


def complete_text(incomplete: str) -> list[str]:
    """Bundled corpora and files."""
    from charrnn.text.sources import bundled_names

    return [*(name for name in bundled_names() if name.startswith(incomplete)), *_paths(incomplete)]


def _paths(incomplete: str, ending: str = "") -> list[str]:
    """Folders and files with this ending, as far as they are written; hidden ones where they are asked for."""
    found = sorted(glob.glob(glob.escape(incomplete) + "*"))
    return [f"{path}{os.sep}" if os.path.isdir(path) else path for path in found if _wanted(path, ending)]


def _wanted(path: str, ending: str) -> bool:
    return os.path.isdir(path) or path.endswith(ending)
