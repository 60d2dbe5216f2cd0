"""A hook of mkdocs: links to files of the repository that stand outside of docs/ become their names."""

import re
from typing import Any

# [Results](../benchmarks/RESULTS.md) -> Results (`benchmarks/RESULTS.md`); of a picture too, for it is not in the site.
LINK = re.compile(r"!?\[([^]]*)\]\((?:\.\./)+(?!docs/)([\w./-]+)(?:#[\w-]*)?\)")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """The text of a page, before it is turned into HTML."""
    depth = page.file.src_uri.count("/") + 1

    def named(link: re.Match[str]) -> str:
        return f"{link[1]} (`{link[2]}`)" if link[0].count("../") == depth else link[0]

    return LINK.sub(named, markdown)
