"""The texts of the quality benchmarks, made from what every machine with this repository has."""

import ast
import random
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CORPORA = Path(__file__).resolve().parent.parent / "corpora"
SOURCE_CHARACTERS = 1_500_000
MOST_LINES = 12_000


@dataclass(frozen=True)
class Text:
    """A corpus by name: its file, and the options of `charrnn train` that its kind calls for."""

    name: str
    path: Path
    options: tuple[str, ...] = ()


def texts(folder: Path, shakespeare: Path | None) -> list[Text]:
    """Five corpora: tiny-shakespeare where its path is given, the bundled book, short lines, source code, Cyrillic."""
    found = [Text("shakespeare", shakespeare, ("--valid", "0.1"))] if shakespeare else []
    lines, source = folder / "names.txt", folder / "python.txt"
    lines.write_text("".join(f"{name}\n" for name in names()), encoding="utf-8")
    source.write_text(library(), encoding="utf-8")
    return [
        *found,
        Text("book", CORPORA / "fables.txt", ("--valid", "0.1")),
        Text("names", lines, ("--valid", "0.1", "--documents", "lines")),
        Text("python", source, ("--valid", "0.1")),
        Text("russian", CORPORA / "river.txt", ("--valid", "0.1")),
    ]


def modules() -> Iterator[str]:
    """The modules of Python's standard library as found here, in the order of their names."""
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        yield path.read_text(encoding="utf-8")


def library() -> str:
    """Source code: whole modules, shuffled so that the last tenth is like the rest, up to 1.5 million characters."""
    shuffled = list(modules())
    random.Random(0).shuffle(shuffled)
    return "\n\n".join(shuffled)[:SOURCE_CHARACTERS]


def names() -> list[str]:
    """A list of short lines: the names of all functions and classes in the standard library, each once, shuffled."""
    found = {
        node.name
        for module in modules()
        for node in ast.walk(ast.parse(module))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }
    shuffled = sorted(found)
    random.Random(0).shuffle(shuffled)
    return shuffled[:MOST_LINES]
