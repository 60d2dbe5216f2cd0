"""One self-contained page of HTML: a template of a folder with its data in it; nothing is fetched from anywhere."""

import re
from collections.abc import Mapping
from importlib import resources
from typing import Any

from charrnn.schema import to_json_text

HERE = "charrnn.plotting"
PLACEHOLDER = "/*DATA*/"
SLOT = re.compile(r"\{\{(\w+)\}\}")
# Another file of the template's folder, or of this one, which several pages share.
INCLUDE = re.compile(r"\{\{include ([\w.]+)\}\}")


def page(name: str, data: dict[str, Any]) -> str:
    """The template `name`.html with `data` (JSON) where its script looks for it."""
    # A script element ends at the first "</", whatever stands around it.
    text = to_json_text(data).replace("<", "\\u003c")
    return _file(f"{name}.html", HERE).replace(PLACEHOLDER, text)


def filled(name: str, parts: Mapping[str, str], folder: str = HERE) -> str:
    """The template `name`.html of a folder with `parts`, which are HTML, where it has {{their names}}."""
    return SLOT.sub(lambda slot: parts[slot[1]], _file(f"{name}.html", folder))


def _file(name: str, folder: str) -> str:
    found = resources.files(folder).joinpath(name)
    text = (found if found.is_file() else resources.files(HERE).joinpath(name)).read_text(encoding="utf-8")
    return INCLUDE.sub(lambda included: _file(included[1], folder).rstrip("\n"), text)
