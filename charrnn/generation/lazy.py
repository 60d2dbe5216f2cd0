"""A module that is imported when something of it is first asked for: `--help` reads options and must not load NumPy."""

from importlib import import_module
from typing import Any


class LazyModule:
    """Stands for a module; what was found once is found again at once."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        found = getattr(import_module(self._name), name)
        setattr(self, name, found)
        return found
