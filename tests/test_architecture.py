"""The house rules, read off the import statements: imports run one way only, and each library has its room."""

import ast
import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

import charrnn
import charrnn.errors
from tests.cases import each

PACKAGE = Path(charrnn.__file__).parent

# Lower floors first. A room imports from itself and from lower floors, never from a neighbour.
FLOORS = [
    {"errors"},
    {"schema", "markup", "native"},
    {"config"},
    {"machine", "text", "models"},
    {"storage", "inference"},
    {"generation", "scoring"},
    {"compression"},
    {"training", "analysis"},
    {"plotting"},
    {"export"},
    {"console"},
    {"api"},
    {"serve"},
    {"cli", "harness", "llm_plugin"},
    {"__main__"},
]
# Their own imports inside a function, and those for the type checker, count too: one way is one way.


class Import(NamedTuple):
    """One import: the file it stands in, and the module it names."""

    file: str
    module: str


@cache
def files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@cache
def nodes(path: Path) -> list[ast.AST]:
    return list(ast.walk(tree(path)))


@cache
def is_module(dotted: str) -> bool:
    path = PACKAGE.parent.joinpath(*dotted.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


@cache
def imports(path: Path) -> list[Import]:
    """Every module that a file imports, wherever the statement stands."""
    found = []
    for node in nodes(path):
        if isinstance(node, ast.Import):
            found += [Import(name_of(path), alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{name_of(path)}: a relative import"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                inside = node.module.split(".")[0] == "charrnn" and is_module(whole)
                found.append(Import(name_of(path), whole if inside else node.module))
    return found


def imports_at_once(path: Path) -> set[str]:
    """The top-level packages that importing a file imports: not within a function, not for the type checker."""
    found: set[str] = set()
    waiting: list[ast.AST] = list(tree(path).body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").split(".")[0])
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            waiting += node.orelse
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)
    return found


@cache
def all_imports() -> set[Import]:
    return {found for path in files() for found in imports(path)}


def room(file: str) -> str:
    return file.removesuffix(".py").split("/")[0]


def floor(name: str) -> int:
    return next(level for level, rooms in enumerate(FLOORS) if name in rooms)


def importers(library: str) -> set[str]:
    return {found.file for found in all_imports() if found.module.split(".")[0] == library}


def test_every_room_has_its_floor() -> None:
    rooms = {room(name_of(path)) for path in files()} - {"__init__"}
    assert rooms <= set().union(*FLOORS)
    assert {"errors", "config", "text", "models", "storage", "training", "api", "cli"} <= rooms


def test_imports_are_found_at_all() -> None:
    """The rules below hold trivially for a parser that sees nothing."""
    assert Import("storage/checkpoint.py", "charrnn.models.ensemble") in all_imports()
    assert Import("api/model.py", "charrnn.storage.runs") in all_imports()
    assert Import("cli/inspect.py", "charrnn.storage.checkpoint") in all_imports(), "imports inside functions count"
    assert Import("cli/sample.py", "charrnn.api") in all_imports(), "imports for the type checker count"


@each("path", files())
def test_imports_run_one_way_only(path: Path) -> None:
    here = room(name_of(path))
    if here == "__init__":
        return  # the front page of the public names, which come from every room
    for _, module in imports(path):
        parts = module.split(".")
        if parts[0] != "charrnn" or len(parts) == 1:
            continue
        there = parts[1]
        allowed = there == here or floor(there) < floor(here)
        assert allowed, f"{name_of(path)} imports {module}"


def test_of_the_package_itself_only_the_version_is_imported() -> None:
    """Its other names are made of the rooms: to import them from inside would go round in a circle."""
    for path in files():
        for node in nodes(path):
            if isinstance(node, ast.ImportFrom) and node.module == "charrnn":
                values = {alias.name for alias in node.names if not is_module(f"charrnn.{alias.name}")}
                assert values <= {"__version__"}, name_of(path)
            if isinstance(node, ast.Import):
                assert "charrnn" not in {alias.name for alias in node.names}, name_of(path)


@each("path", [path for path in files() if room(name_of(path)) == "models"])
def test_models_import_nothing_of_text(path: Path) -> None:
    inside = {found.module.split(".")[1] for found in imports(path) if found.module.startswith("charrnn.")}
    assert inside <= {"models", "native", "config", "errors"}
    outside = {found.module.split(".")[0] for found in imports(path)} - {"charrnn"}
    assert not outside & {"io", "os", "pathlib", "json", "safetensors", "sentencepiece"}
    # Networks are torch's, tables of counts NumPy's.
    assert not outside & ({"torch"} if name_of(path).startswith("models/counts/") else {"numpy"})


@each("path", [path for path in files() if room(name_of(path)) == "generation"])
def test_generation_knows_no_checkpoints_and_no_runs(path: Path) -> None:
    inside = {found.module.split(".")[1] for found in imports(path) if found.module.startswith("charrnn.")}
    assert inside <= {"generation", "inference", "models", "text", "config", "schema", "markup", "errors"}


def test_only_the_console_imports_rich() -> None:
    assert {room(file) for file in importers("rich")} == {"console"}


def test_only_the_command_line_imports_typer() -> None:
    assert importers("typer")
    assert {room(file) for file in importers("typer")} == {"cli"}
    assert {room(file) for file in importers("click")} <= {"cli"}


FIRST = ["__init__.py", "errors.py", "schema.py", "storage/runs.py"]


@each("file", [*FIRST, *(name_of(path) for path in files() if room(name_of(path)) == "config")])
def test_what_the_command_line_reads_first_imports_no_heavy_library(file: str) -> None:
    outside = {found.module.split(".")[0] for found in imports(PACKAGE / file)}
    assert not outside & {"torch", "numpy", "safetensors", "sentencepiece", "matplotlib"}


FORMULAS = [
    *sorted((PACKAGE / "models/cells").iterdir()),
    PACKAGE / "models/connections.py",
    PACKAGE / "models/weights.py",
]


@each("file", [path for path in FORMULAS if path.suffix == ".py"])
def test_the_formulas_and_the_names_of_weights_know_no_array_library(file: Path) -> None:
    outside = {found.module.split(".")[0] for found in imports(file)} - {"charrnn"}
    assert outside <= set(sys.stdlib_module_names)


TORCH_FREE = [
    *(
        PACKAGE / f"{name}.py"
        for name in (
            "__init__",
            "config/__init__",
            "errors",
            "schema",
            "storage/checkpoint",
            "storage/runs",
        )
    ),
    *(path for path in files() if room(name_of(path)) in {"generation", "inference", "api", "cli"}),
]


@each("path", TORCH_FREE)
def test_what_a_text_is_written_with_imports_torch_when_it_is_needed_or_never(path: Path) -> None:
    assert "torch" not in imports_at_once(path)


def test_imports_at_once_are_told_from_those_that_wait() -> None:
    assert "torch" in imports_at_once(PACKAGE / "models/layers.py")
    assert "numpy" in imports_at_once(PACKAGE / "storage/checkpoint.py")
    assert Import("storage/checkpoint.py", "torch") in all_imports() and "torch" not in imports_at_once(
        PACKAGE / "storage/checkpoint.py"
    )


# ---- sizes

LONGEST_FILE, LONGEST_FUNCTION = 300, 60


@each("path", files())
def test_a_file_is_one_idea_and_a_function_fits_on_a_screen(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE
    for node in nodes(path):
        # The options of a command are its signature.
        if isinstance(node, ast.FunctionDef) and room(name_of(path)) != "cli":
            assert (node.end_lineno or 0) - node.lineno < LONGEST_FUNCTION, node.name


# ---- calls


@cache
def calls(path: Path) -> list[tuple[str, str]]:
    """Every call as its owner and its name: ("", "print"), ("torch", "load"), ("model", "eval")."""
    found = []
    for node in nodes(path):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name):
                found.append(("", node.func.id))
            elif isinstance(node.func, ast.Attribute):
                found.append((ast.unparse(node.func.value), node.func.attr))
    return found


@each("path", files())
def test_nothing_is_ever_unpickled_or_evaluated(path: Path) -> None:
    banned = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
    assert not {found.module.split(".")[0] for found in imports(path)} & banned
    for owner, name in calls(path):
        assert (owner, name) not in {("", "eval"), ("", "exec"), ("", "compile"), ("", "__import__")}
        assert not (owner in {"torch", "np", "numpy", "torch.jit", "torch.hub"} and name == "load")
        assert name != "literal_eval"
    named = {alias.name for node in nodes(path) if isinstance(node, ast.ImportFrom) for alias in node.names
             if (node.module or "").split(".")[0] in {"torch", "numpy", "builtins"}}  # fmt: skip
    assert not named & {"load", "eval", "exec"}


@each("path", files())
def test_only_the_command_line_prints(path: Path) -> None:
    if room(name_of(path)) in ("cli", "console"):
        return
    assert not [name for owner, name in calls(path) if name in {"print", "pprint"} and owner in {"", "builtins"}]
    written = {owner for owner, name in calls(path) if name in {"write", "writelines", "print"}}
    assert not {owner for owner in written if owner.startswith(("sys.stdout", "sys.stderr", "stdout", "stderr"))}
    assert "logging" not in {found.module for found in imports(path)}


# ---- a fresh interpreter


def loaded(*scripts: str) -> list[set[str]]:
    """The top-level packages that a fresh interpreter has loaded after each of some scripts, one behind the other.

    What is not loaded after the last of them is loaded by none, so one interpreter is enough for many scripts.
    """
    tell = "import json, sys\nprint('\\nloaded', json.dumps(sorted({name.split('.')[0] for name in sys.modules})))\n"
    program = "".join(f"{script}\n{tell}" for script in scripts)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    told = [line.removeprefix("loaded ") for line in done.stdout.splitlines() if line.startswith("loaded [")]
    assert len(told) == len(scripts)
    return [set(json.loads(line)) for line in told]


def command_line(*arguments: str) -> str:
    return f"from charrnn.cli.app import run; assert run({list(arguments)}) == 0"


@pytest.mark.slow
def test_torch_is_not_loaded_before_there_is_work_for_it() -> None:
    scripts = [
        "import charrnn",
        "import charrnn.cli.app",
        "from charrnn import CharrnnError; import charrnn.storage.runs, charrnn.config",
        command_line("--help"),
        command_line("--version"),
        command_line("train", "--help"),
    ]
    for script, packages in zip(scripts, loaded(*scripts), strict=True):
        assert "charrnn" in packages
        assert not packages & {"torch", "numpy", "matplotlib", "sentencepiece", "safetensors"}, script


TEXT = ["--length", "50", "--seed", "1", "--quiet"]


@pytest.mark.slow
def test_a_text_is_written_without_torch(trained: Path) -> None:
    scripts = [
        command_line(*arguments, "-m", model, "--checkpoints", str(trained))
        for model in ("small", "lines")
        for arguments in (
            ["sample", *TEXT, "--precision", "int8"],
            ["sample", *TEXT, "--precision", "fp32"],
            ["sample", *TEXT, "-n", "3", "--threads", "1", "--top-k", "5", "--json"],
            ["inspect"],
        )
    ]
    for script, packages in zip(scripts, loaded(*scripts), strict=True):
        assert "numpy" in packages
        assert not packages & {"torch", "matplotlib"}, script


@pytest.mark.slow
def test_a_model_is_loaded_and_writes_for_python_without_torch(trained: Path, tmp_path: Path, corpus: Path) -> None:
    model = f"charrnn.load({str(trained / 'small')!r})"
    writes, works = loaded(
        f"import charrnn; print({model}.sample('The', rows=2, seed=1, length=9))",
        f"{model}.score('The heron')\n"
        f"charrnn.train({str(corpus)!r}, steps=2, hidden=8, threads=1, checkpoints={str(tmp_path)!r})\n"
        # Nor does a training need torch's compiler, which takes a second to be had.
        "import sys; assert 'torch._dynamo' not in sys.modules",
    )
    assert "torch" not in writes and "torch" in works


# ---- the public names


def test_the_public_names_are_these() -> None:
    verbs = ["compare", "contrast", "load", "mix", "resume", "runs", "train"]
    records = ["Blend", "Model", "RunSummary", "Training", "Comparison", "Infilled", "LineScore", "PairScores",
               "Sample", "Score", "Session", "State", "Surprisal", "TextChunk", "Note", "Report",
               "Stopped"]  # fmt: skip
    options = ["ModelConfig", "ResumeOptions", "SampleConfig", "TrainOptions"]
    errors = [name for name, error in vars(charrnn.errors).items() if isinstance(error, type)]
    assert charrnn.__all__ == sorted([*verbs, *records, *options, *errors])
    assert sorted(charrnn._HOMES) == charrnn.__all__
    assert dir(charrnn) == sorted([*charrnn.__all__, "__version__"])


@each("name", charrnn.__all__)
def test_every_public_name_resolves_to_a_thing_that_explains_itself(name: str) -> None:
    value = getattr(charrnn, name)
    assert value.__name__ == name
    assert value.__module__ == charrnn._HOMES[name]
    assert value.__doc__


def test_the_type_checker_sees_the_same_names() -> None:
    guarded = [node for node in tree(PACKAGE / "__init__.py").body if isinstance(node, ast.If)]
    seen = {alias.name: node.module for block in guarded for node in block.body if isinstance(node, ast.ImportFrom)
            for alias in node.names}  # fmt: skip
    assert seen == charrnn._HOMES


def test_other_names_are_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'charrnn' has no attribute 'sample'"):
        _ = charrnn.sample


def test_everything_public_can_be_imported_at_once() -> None:
    names: dict[str, object] = {}
    statement = ast.parse("from charrnn import *")
    code = compile(statement, "test", "exec")
    exec(code, names)
    assert set(charrnn.__all__) <= set(names)
    assert {name for name in names if not name.startswith("__")} == set(charrnn.__all__)
