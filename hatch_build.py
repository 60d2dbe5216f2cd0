"""Builds the compiled step (charrnn/native) into the package where there is a C compiler.

    python hatch_build.py [FILE]

builds it in place, or that file. Without a compiler the installation goes through, and NumPy does the work; with
CHARRNN_REQUIRE_COMPILED=1, as for wheels, that is an error.
"""

import os
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # building in place needs none
    BuildHookInterface = object

NATIVE = Path("charrnn", "native")
SOURCES = ("network.c", "mixing.c", "window.c")
SUFFIX = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
# A number is rounded after each operation, as NumPy does: two are never made one.
# Vectors are handed over between inlined functions alone: how, is nobody's concern.
UNIX = ["-O3", "-std=c11", "-ffp-contract=off", "-fvisibility=hidden", "-Wno-psabi"]
WINDOWS = ["/O2", "/std:c11", "/fp:precise"]


def build(root: Path, target: Path) -> None:
    """Build the library. Raises RuntimeError where that cannot be done."""
    try:
        from setuptools._distutils.ccompiler import new_compiler
        from setuptools._distutils.errors import CCompilerError, DistutilsError
        from setuptools._distutils.sysconfig import customize_compiler
    except ImportError as error:
        raise RuntimeError(f"the compiled step is not built: {error}") from error
    sources = [str(root / NATIVE / name) for name in SOURCES]
    # Python's own flags ask for what a debugger needs, most of the library's bytes; whoever gives flags may want it.
    flags = WINDOWS if sys.platform == "win32" else UNIX if "CFLAGS" in os.environ else [*UNIX, "-g0"]
    try:
        compiler = new_compiler()
        customize_compiler(compiler)
        with tempfile.TemporaryDirectory() as folder:
            objects = compiler.compile(sources, output_dir=folder, extra_postargs=flags)
            built = Path(folder, target.name)
            libraries = [] if sys.platform == "win32" else ["m"]
            compiler.link_shared_object(objects, str(built), libraries=libraries, extra_postargs=flags)
            # Whole or not at all: a program may be running the old one.
            beside = target.with_suffix(".new")
            beside.write_bytes(built.read_bytes())
            beside.replace(target)
    except (CCompilerError, DistutilsError, OSError) as error:
        raise RuntimeError(f"the compiled step cannot be built: {error}") from error


class CompiledStep(BuildHookInterface):  # type: ignore[misc, valid-type]
    """Called by hatchling before it packs a wheel, or installs the source in place."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build, and say that the wheel is for this kind of machine."""
        if self.target_name != "wheel":
            return
        library = NATIVE / f"network{SUFFIX}"
        try:
            build(Path(self.root), Path(self.root, library))
        except RuntimeError as error:
            if os.environ.get("CHARRNN_REQUIRE_COMPILED") == "1":
                raise
            self.app.display_warning(f"{error}; NumPy does the work, more slowly")
            return
        build_data["artifacts"].append(library.as_posix())
        build_data["pure_python"] = False
        # No Python is linked: one wheel serves every version.
        platform = os.environ.get("_PYTHON_HOST_PLATFORM") or sysconfig.get_platform()
        build_data["tag"] = f"py3-none-{platform.replace('-', '_').replace('.', '_')}"


if __name__ == "__main__":
    here = Path(__file__).parent
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else here / NATIVE / f"network{SUFFIX}"
    build(here, target)
    print(target)
