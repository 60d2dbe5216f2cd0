"""What would be published is built, looked at, and used: `make release-check`.

Source and wheel are built as an index would get them, the wheel from the source. Each wheel, with the compiled step and
without a compiler, is installed into a fresh environment, from which the demo is run: both must write the same text.
"""

import email
import os
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
IN_SOURCE = [
    "CITATION.cff", "CHANGELOG.md", "LICENSE", "Makefile", "README.md", "charrnn/__init__.py", "constraints.txt",
    "charrnn/native/network.c", "corpora/fables.txt", "docs/index.md", "docs/man/charrnn.1", "hatch_build.py",
    "mkdocs.yml", "pyproject.toml", "tests/conftest.py",
]  # fmt: skip
IN_WHEEL = [
    "charrnn/__main__.py", "charrnn/py.typed", "charrnn/bundled/fables.txt", "charrnn/bundled/river.txt",
    "charrnn/export/page.html",
]  # fmt: skip
LARGEST = 8e6


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """What a command prints; its end where it fails."""
    print("$", *command, flush=True)
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True
    )
    if done.returncode:
        sys.exit(f"{command[0]} failed: {done.stdout}")
    return done.stdout


def hold(true: bool, words: str) -> None:
    """End, and say what does not hold."""
    if not true:
        sys.exit(f"release check: {words}")


def check_source(source: Path) -> None:
    """The source holds what builds, tests and explains it, and nothing that was made here."""
    with tarfile.open(source) as archive:
        names = {member.name.partition("/")[2] for member in archive if member.isfile()}
    hold(names.issuperset(IN_SOURCE), f"the source lacks {sorted(set(IN_SOURCE) - names)}")
    made = [name for name in names if name.endswith((".pyc", ".so", ".dylib", ".dll", ".safetensors"))]
    made = [name for name in made if not name.startswith("tests/golden/")]
    hold(not made, f"the source holds {made}")
    hold(source.stat().st_size < LARGEST, f"the source has {source.stat().st_size:,} bytes")


def check_wheel(wheel: Path, compiled: bool) -> None:
    """The wheel holds the package, its books and its manual, and the compiled step or no library at all."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        told = email.message_from_bytes(archive.read(metadata))
    hold(set(IN_WHEEL) <= set(names), f"{wheel.name} lacks {sorted(set(IN_WHEEL) - set(names))}")
    folders = {name.split("/")[0] for name in names}
    stem = "-".join(wheel.name.split("-")[:2])
    hold(folders == {"charrnn", f"{stem}.data", f"{stem}.dist-info"}, f"{wheel.name} holds {sorted(folders)}")
    manual = {Path(name).name for name in names if "/share/man/man1/" in name}
    hold(manual == {page.name for page in (ROOT / "docs/man").iterdir()}, f"the manual is {sorted(manual)}")
    libraries = [name for name in names if name.endswith((".so", ".dylib", ".dll"))]
    hold(len(libraries) == compiled and ("-any.whl" in wheel.name) != compiled, f"{wheel.name} holds {libraries}")
    hold(told["License-Expression"] == "MIT" and "serve" in told.get_all("Provides-Extra", []), "its metadata")
    hold(wheel.stat().st_size < LARGEST, f"{wheel.name} has {wheel.stat().st_size:,} bytes")


def demo(environment: Path, folder: Path, trains: bool) -> str:
    """The demo, shortened, as somebody who has installed the wheel runs it; the text that it writes."""
    charrnn = environment / ("Scripts" if os.name == "nt" else "bin") / "charrnn"
    if trains:
        run(charrnn, "train", "--for", "15s", "--name", "demo", "--seed", "1", "-q", cwd=folder)
    hold(0 < float(run(charrnn, "eval", "--model", "demo", "-q", "--metric", "bpc", cwd=folder)) < 6, "eval's figure")
    return run(charrnn, "sample", "--model", "demo", "--length", "300", "--seed", "7", cwd=folder)


def main() -> None:
    """Build, look, install, run."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment, elsewhere = folder / "environment", folder / "elsewhere"
        elsewhere.mkdir()
        required = {"CHARRNN_REQUIRE_COMPILED": "1"}
        run(sys.executable, "-m", "build", "--outdir", folder, ROOT, cwd=elsewhere, **required)
        (source,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
        check_source(source)
        check_wheel(wheel, compiled=True)
        with tarfile.open(source) as archive:
            archive.extractall(elsewhere, filter="data")
        (unpacked,) = elsewhere.iterdir()
        run(sys.executable, "-m", "build", "--wheel", "--outdir", folder / "any", unpacked, cwd=elsewhere, CC="false")
        (slow,) = (folder / "any").glob("*.whl")
        check_wheel(slow, compiled=False)

        venv.create(environment, with_pip=True)
        python = environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        pip: list[str | Path] = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        run(*pip, "--constraint", ROOT / "constraints.txt", wheel, cwd=elsewhere)
        hold("int8 compiled" in run(python, "-m", "charrnn", "--version", cwd=elsewhere), "the step is not compiled")
        hold((environment / "share/man/man1/charrnn-sample.1").is_file(), "the manual is not installed")
        compiled = demo(environment, elsewhere, trains=True)
        run(*pip, "--no-deps", "--force-reinstall", slow, cwd=elsewhere)
        hold("NumPy" in run(python, "-m", "charrnn", "--version", cwd=elsewhere), "the step is compiled by no compiler")
        hold(demo(environment, elsewhere, trains=False) == compiled, "the text is another without a compiler")
        print(f"right: {source.name}, {wheel.name} ({wheel.stat().st_size:,} bytes), {slow.name}\n{compiled}")


if __name__ == "__main__":
    main()
