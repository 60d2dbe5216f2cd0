"""Write docs/api.md from the signatures and docstrings of the public names; a test holds it to the code."""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import Any

import charrnn
from charrnn.config.fields import setting

PAGE = Path(__file__).with_name("api.md")
HEAD = """# Python API

Made from signatures and docstrings by `make docs`.

```python
import charrnn

model = charrnn.train("corpus.txt", seconds="10m")
print(model.sample("Once", temperature=0.8, length=300))
print(model.score("Once upon a time").bpc)
```

A path (`AnyPath`) is a str or a Path. An unknown option, or a value out of range, is a `ConfigError`."""
CHAPTERS = {
    "Verbs": ["train", "resume", "load", "mix", "contrast", "compare", "runs"],
    "A model": [
        "Model",
        "Score",
        "LineScore",
        "Surprisal",
        "PairScores",
        "Comparison",
        "Sample",
        "Infilled",
        "TextChunk",
        "State",
        "Session",
        "Blend",
    ],
    "A training": ["Training", "RunSummary", "Report", "Note", "Stopped"],
    "Options": ["TrainOptions", "ResumeOptions", "SampleConfig", "ModelConfig"],
    "Errors": [name for name in charrnn.__all__ if name.endswith("Error")],
}


def signature(function: Any, owner: str) -> str:
    """The signature as its source has it, called on `owner`."""
    source = textwrap.dedent(inspect.getsource(function))
    definition = ast.parse(source).body[0]
    assert isinstance(definition, ast.FunctionDef)
    head = "\n".join(source.splitlines()[definition.lineno - 1 : definition.body[0].lineno - 1])
    head = re.sub(r"(?<=\()(\s*)(self|cls),?\s*", r"\1", head)
    return owner + re.sub(r'(?<=[:>] )"([^"]+)"', r"\1", head).removeprefix("def ").removesuffix(":")


def members(public: type) -> Iterator[tuple[str, Any]]:
    """What a class and those that it is put together of offer: methods, properties, figures, as in the source."""
    offered = [part for part in public.__mro__ if part is public or part.__module__.startswith("charrnn.api.")]
    for name, member in (item for part in reversed(offered) for item in vars(part).items()):
        listed = name in getattr(public, "__dataclass_fields__", ())
        if not name.startswith("_") and not listed and hasattr(type(member), "__get__"):
            yield name, member


def is_method(member: Any) -> bool:
    """Whether it is called; what is not is read like a field."""
    return inspect.isfunction(member) or isinstance(member, classmethod)


def of_class(public: type) -> Iterator[str]:
    """A class: its docstring, its fields, its methods, its properties."""
    yield f"### {public.__name__}\n\n{words(public)}"
    if is_dataclass(public):
        types = annotations(public)
        rows = [f"- `{each.name}: {types[each.name]}{default_of(each)}`{help_of(each)}" for each in fields(public)]
        yield "\n".join(rows)
    elif issubclass(public, tuple):  # a NamedTuple
        defaults = {name: f" = {value!r}" for name, value in public._field_defaults.items()}  # type: ignore[attr-defined]
        yield "\n".join(f"- `{name}: {type_}{defaults.get(name, '')}`" for name, type_ in annotations(public).items())
    found = {name: member for name, member in members(public) if name not in getattr(public, "_fields", ())}
    for name, member in found.items():
        if is_method(member):
            function = inspect.unwrap(getattr(public, name))
            owner = public.__name__ if isinstance(member, classmethod) else public.__name__.lower()
            yield code(signature(function, f"{owner}.")) + f"\n\n{words(function)}"
    read = [f"- `{name}`: {words(member)}" for name, member in found.items() if not is_method(member)]
    if read:
        yield "\n".join(read)


def annotations(public: type) -> dict[str, str]:
    """The types of a class's fields as its source has them; of those made from a table, as they are there."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(public))).body
    assert isinstance(definition, ast.ClassDef)
    found = [node for node in definition.body if isinstance(node, ast.AnnAssign)]
    written = {ast.unparse(node.target): ast.unparse(node.annotation).strip("'") for node in found}
    own = fields(public) if is_dataclass(public) else ()
    made = {each.name: each.type.__name__ if type(each.type) is type else str(each.type) for each in own}
    return made | written


def default_of(field: "Field[Any]") -> str:
    """' = 0.8', or nothing for a field that must be given."""
    return "" if field.default is MISSING else f" = {field.default!r}"


def help_of(field: "Field[Any]") -> str:
    """What an option is for, and what is chosen when it is left open."""
    told = setting(field)
    left_open = f" Left open: {told.default}." if told.default and field.default is None else ""
    return f": {told.help}{left_open}" if told.help else ""


def words(thing: Any) -> str:
    """A docstring."""
    text = inspect.getdoc(thing)
    assert text, f"{thing} says nothing of itself"
    return text


def code(text: str) -> str:
    """A block of Python."""
    return f"```python\n{text}\n```"


def render() -> str:
    """The whole page."""
    parts = [HEAD]
    for title, names in CHAPTERS.items():
        parts.append(f"## {title}")
        public = [getattr(charrnn, name) for name in names]
        for each in public:
            if inspect.isfunction(each):
                head = code(signature(inspect.unwrap(each), "charrnn."))
                parts.append(f"### {each.__name__}\n\n{head}\n\n{words(each)}")
            elif not issubclass(each, Exception):
                parts += of_class(each)
    parts.append("\n".join(f"- `{each.__name__}` ({each.__base__.__name__}): {words(each)}" for each in public))
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
