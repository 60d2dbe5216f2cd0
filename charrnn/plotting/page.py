"""One self-contained page of HTML: a template of this folder with its data in it; nothing is fetched from anywhere."""

import json
from importlib import resources
from typing import Any

PLACEHOLDER = "/*DATA*/"


def page(name: str, data: dict[str, Any]) -> str:
    """The template `name`.html with `data` (JSON) where its script looks for it."""
    template = resources.files("charrnn.plotting").joinpath(f"{name}.html").read_text(encoding="utf-8")
    # A script element ends at the first "</", whatever stands around it.
    text = json.dumps(data, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    return template.replace(PLACEHOLDER, text)
