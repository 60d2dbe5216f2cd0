"""A training's options in a file, run.toml: read by `train --config`, written by `inspect --config`.

    for = "10m"
    hidden = 256
    batch-size = 64

Names are those of the options, without the dashes; what is typed comes before what the file says.
"""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from charrnn.cli.fields import flags_of
from charrnn.config import TrainOptions, unknown
from charrnn.config.fields import shown
from charrnn.errors import CharrnnError, ConfigError

BUDGETS = ("seconds", "steps", "epochs")


def _names() -> dict[str, str]:
    """What an option is called in the file -> its field."""
    fields = TrainOptions.__dataclass_fields__
    return {
        "corpus" if name == "corpus" else flags_of(field)[0].partition("/")[0].lstrip("-"): name
        for name, field in fields.items()
    }


def read_config(path: Path) -> dict[str, Any]:
    """The values of a file by their fields. Raises ConfigError on what is no option, OSError where it is not there."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no TOML: {error}") from None
    names = _names()
    for name, value in found.items():
        if name not in names:
            raise ConfigError(f"{path}: {unknown('option', name, names)}")
        several = isinstance(value, list) and name == "corpus" and all(isinstance(one, str) for one in value)
        if not several and not isinstance(value, str | int | float):
            raise ConfigError(f"{path}: {name} must be a text, a number, true or false, not {shown(value)}")
    return {
        names[name]: [value] if name == "corpus" and isinstance(value, str) else value for name, value in found.items()
    }


def config_text(options: Mapping[str, Any]) -> str:
    """Values by their fields as a file, a line each."""
    names = {field: name for name, field in _names().items()}
    return "".join(f"{names[field]} = {json.dumps(value, ensure_ascii=False)}\n" for field, value in options.items())


def as_defaults(context: typer.Context, path: Path | None) -> Path | None:
    """Let the values of a file stand where nothing is typed; `settled` tells where it is not there."""
    if path is not None and path.exists():
        context.default_map = {**(context.default_map or {}), **read_config(path)}
    return path


def settled(context: typer.Context, path: Path | None, fields: Mapping[str, Any]) -> dict[str, Any]:
    """What was typed or stands in the file, but for the file's budget where another is typed.

    Raises CharrnnError where the file is not there.
    """
    if path is not None and not path.exists():
        raise CharrnnError(f"there is no file {path}: `charrnn inspect --config > {path}` writes one")
    sources = {name: context.get_parameter_source(name) for name in BUDGETS}
    typed = any(source is not None and source.name == "COMMANDLINE" for source in sources.values())
    from_file = [name for name, source in sources.items() if source is not None and source.name == "DEFAULT_MAP"]
    return {**fields, **(dict.fromkeys(from_file) if typed else {})}
