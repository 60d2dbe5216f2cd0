"""charrnn export"""

from pathlib import Path
from typing import Annotated

from charrnn.cli import options as opt
from charrnn.config.verbs import VerbArguments
from charrnn.console import megabytes, say, working

EXAMPLES = """Examples:

    charrnn export

    charrnn export fables --format hf -o fables-hf

    python fables-onnx/example.py "The heron" 0.8 300
"""


def export(
    model: opt.Named = None,
    format: Annotated[str, opt.from_field(VerbArguments, "format")] = "onnx",
    output: Annotated[
        Path | None, opt.option("Output", "The folder; made if need be.", "--output", "-o", default="NAME-FORMAT")
    ] = None,
    force: Annotated[bool, opt.from_field(VerbArguments, "force")] = False,
    checkpoints: opt.Checkpoints = None,
    quiet: opt.Quiet = False,
) -> None:
    """Write a model into a folder for those who have no charrnn.

    onnx: one step of the network, states in and out, with a program of forty lines that writes by onnxruntime; checked
    before it is written where that is installed (pip install 'charrnn[onnx]'). hf: a model card with what was measured,
    beside the model's own file, which charrnn loads as well. npz: weights under plain names, their formulas, and a
    program that writes by NumPy alone. Any cell, any layers, ensembles. docs/export.md has all of it.
    """
    working("reading the model")
    from charrnn import api

    loaded = api.load(model, checkpoints=checkpoints)
    say(f"model: {loaded.title}")
    done = loaded.export(output or Path(f"{loaded.name}-{format}"), format=format, force=force)
    for note in done.notes:
        say(note)
    for file in done.files:
        say(f"written: {file}, {megabytes(file.stat().st_size)}")
