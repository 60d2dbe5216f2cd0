"""One self-contained page of HTML: a template of this folder with its data in it; nothing is fetched from anywhere."""

from importlib import resources
from typing import Any

from charrnn.schema import to_json_text

PLACEHOLDER = "/*DATA*/"


def page(name: str, data: dict[str, Any]) -> str:
    """The template `name`.html with `data` (JSON) where its script looks for it."""
    template = resources.files("charrnn.plotting").joinpath(f"{name}.html").read_text(encoding="utf-8")
    # A script element ends at the first "</", whatever stands around it.
    text = to_json_text(data).replace("<", "\\u003c")
    return template.replace(PLACEHOLDER, text)
