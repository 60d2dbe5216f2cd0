"""charrnn sample"""

import inspect
import json
import os
from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

from charrnn.cli import options as opt
from charrnn.config import draw_seed
from charrnn.console import say, write
from charrnn.errors import CorpusError
from charrnn.generation.config import SampleConfig
from charrnn.generation.options import SamplingOption
from charrnn.generation.processors import OPTIONS

if TYPE_CHECKING:
    from charrnn.generation.sequence import TextChunk

EXAMPLES = """Examples:

    charrnn sample

    charrnn sample --temp 0.6 --prompt "The heron" --length 1000

    charrnn sample -m names -n 20 --temp 1

    charrnn sample -n 3 --seed 7 --json | jq -r .text
"""

OUTPUT = "Output"


class Numbers(StrEnum):
    """Number formats of generation; a test holds this list to `MATRICES`."""

    int8 = "int8"
    fp32 = "fp32"


def sample(
    length: Annotated[
        int,
        opt.option(
            "Text", "Characters, the prompt not counted.", "--length", "-l", check=opt.number("length", 1, 10**12)
        ),
    ] = SampleConfig.length,
    prompt: Annotated[str, opt.option("Text", "Text to go on from.", "--prompt", "-p", check=opt.utf8)] = "",
    prompt_file: Annotated[str | None, opt.option("Text", "The same from a file, or - for stdin.")] = None,
    echo: Annotated[bool, opt.option(OUTPUT, "Print the prompt in front.", "--echo/--no-echo")] = True,
    rows: Annotated[
        int,
        opt.option(
            "Text", "Samples; sample i has the seed plus i.", "--num", "-n", check=opt.number("num", 1, 100_000)
        ),
    ] = 1,
    stop: Annotated[
        list[str] | None, opt.option("Text", "End before this text; may be repeated.", check=opt.utf8)
    ] = None,
    model: opt.Model = None,
    checkpoints: opt.Checkpoints = None,
    seed: opt.Seed = None,
    precision: Annotated[
        Numbers | None,
        opt.option(
            "Machine",
            "8-bit weights or 32-bit floats; either gives its own text.",
            default="int8 where it costs less than 0.003 bits per character",
        ),
    ] = None,
    threads: opt.Threads = None,
    json_lines: opt.Json = False,
    quiet: opt.Quiet = False,
    **processors: Any,
) -> None:
    """Generate text, one symbol after another, as it comes.

    Several samples are separated by an empty line, or stand one a line where the model was trained on lines.
    """
    config = SampleConfig(length=length, stop=tuple(stop or ()), **processors)
    if prompt_file is not None:
        prompt = _read_prompt(prompt_file)

    from threadpoolctl import threadpool_limits

    if threads is not None:
        os.environ["OMP_NUM_THREADS"] = str(threads)  # for torch, which may be loaded later

    from charrnn import api

    threadpool_limits(threads)
    loaded = api.load(model, checkpoints=checkpoints)
    seed = draw_seed() if seed is None else seed
    numbers = loaded.precision if precision is None else precision.value
    half = ", the half that reads forwards" if loaded.header.config.bidirectional else ""
    say(f"model: {loaded.header.path}, {numbers}, seed {seed}{half}")
    pieces = loaded.stream(prompt, rows=rows, seed=seed, config=config, precision=numbers)
    front = prompt if echo else ""
    if json_lines:
        _write_json(pieces, front, rows, seed)
    else:
        _write_text(pieces, front, rows, "" if loaded.documents == "lines" else "\n")


def _of_processor(option: SamplingOption) -> inspect.Parameter:
    """An option of a processor as a parameter of the command."""
    said = option.default_text if option.default is None else True
    check = opt.number(option.name.replace("_", "-"), option.least, option.most, open_at_least=option.above)
    words = opt.option(option.group, option.help, *option.flags, default=said, check=check)
    annotation: Any = option.type if option.default is not None else option.type | None
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(option.name, kind, default=option.default, annotation=Annotated[annotation, words])


_signature = inspect.signature(sample)
_own = [parameter for parameter in _signature.parameters.values() if parameter.kind is not parameter.VAR_KEYWORD]
_keywords = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in _own]
sample.__signature__ = _signature.replace(parameters=[*map(_of_processor, OPTIONS), *_keywords])  # type: ignore[attr-defined]


def _read_prompt(file: str) -> str:
    """A prompt is read as a corpus is: compressed or not, strictly UTF-8, line ends mended."""
    from charrnn.text.corpus import Corpus

    text = Corpus([file]).read()
    if not text:
        raise CorpusError(f"{file} holds no prompt")
    return text


def _write_text(pieces: Iterable["TextChunk"], front: str, rows: int, separator: str) -> None:
    """Stream the first sample as it comes; the others wait their turn, in order."""
    turn = 0
    waiting = [front] * rows
    done = [False] * rows
    for piece in pieces:
        waiting[piece.row] += piece.text
        done[piece.row] = piece.finished is not None
        while turn < rows:
            write(waiting[turn])
            if not done[turn]:
                waiting[turn] = ""
                break
            turn += 1
            write("\n" + (separator if turn < rows else ""))


def _write_json(pieces: Iterable["TextChunk"], front: str, rows: int, seed: int) -> None:
    texts = [front] * rows
    for piece in pieces:
        texts[piece.row] += piece.text
        if piece.finished:
            record = {"row": piece.row, "seed": seed + piece.row, "text": texts[piece.row], "finished": piece.finished}
            write(json.dumps(record, ensure_ascii=False) + "\n")
