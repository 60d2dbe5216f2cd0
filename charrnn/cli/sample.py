"""charrnn sample"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

from charrnn.cli import options as opt
from charrnn.config import draw_seed, seed_of_row
from charrnn.config.verbs import VerbArguments
from charrnn.console import say, write
from charrnn.errors import CorpusError
from charrnn.generation.config import SampleConfig
from charrnn.schema import to_json_text

if TYPE_CHECKING:
    from charrnn.generation.sequence import TextChunk

EXAMPLES = """Examples:

    charrnn sample

    charrnn sample --temp 0.6 --prompt "The heron" --length 1000

    charrnn sample -m names -n 20 --temp 1

    charrnn sample -n 3 --seed 7 --json | jq -r .text
"""


@opt.with_fields(SampleConfig)
def sample(
    *,
    prompt: Annotated[str, opt.option("Text", "Prompt: text to go on from.", "--prompt", "-p", check=opt.utf8)] = "",
    prompt_file: Annotated[str | None, opt.option("Text", "The same from a file, or - for stdin.")] = None,
    rows: Annotated[int, opt.from_field(VerbArguments, "rows")] = 1,
    echo: Annotated[bool, opt.option("Output", "Print the prompt in front.", "--echo/--no-echo")] = True,
    model: opt.Model = None,
    checkpoints: opt.Checkpoints = None,
    precision: Annotated[
        str | None,
        opt.from_field(
            VerbArguments,
            "precision",
            help="Weights quantized to 8 bits, or 32-bit floats; either gives its own text.",
            default="int8 where it costs less than 0.003 bits per character",
        ),
    ] = None,
    threads: opt.Threads = None,
    seed: opt.Seed = None,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    **fields: Any,
) -> None:
    """Generate text, one symbol after another, as it comes.

    Filters of the probabilities apply in the order in which they stand under Sampling. Several samples are separated
    by an empty line, or stand one a line where the model was trained on lines.
    """
    config = SampleConfig.of(**fields)
    if prompt_file is not None:
        prompt = _read_prompt(prompt_file)

    from charrnn import api

    loaded = api.load(model, checkpoints=checkpoints, threads=threads)
    seed = draw_seed() if seed is None else seed
    numbers = loaded.precision if precision is None else precision
    direction = ", the direction that reads forwards" if loaded.header.config.bidirectional else ""
    say(f"model: {loaded.header.path}, {numbers}, seed {seed}{direction}")
    chunks = loaded.stream(prompt, rows=rows, seed=seed, config=config, precision=numbers, logprobs=as_json)
    front = prompt if echo else ""
    if as_json:
        _write_json(chunks, front, rows, seed)
    else:
        _write_text(chunks, front, rows, "" if loaded.documents == "lines" else "\n")


def _read_prompt(file: str) -> str:
    """A prompt is read as a corpus is: compressed or not, strictly UTF-8, line ends mended."""
    from charrnn.text.corpus import Corpus

    text = Corpus([file]).read()
    if not text:
        raise CorpusError(f"{file} holds no prompt")
    return text


def _write_text(chunks: Iterable["TextChunk"], front: str, rows: int, separator: str) -> None:
    """Stream the first sample as it comes; the others wait their turn, in order."""
    turn = 0
    waiting = [front] * rows
    done = [False] * rows
    for chunk in chunks:
        waiting[chunk.row] += chunk.text
        done[chunk.row] = chunk.finished is not None
        while turn < rows:
            write(waiting[turn])
            if not done[turn]:
                waiting[turn] = ""
                break
            turn += 1
            write("\n" + (separator if turn < rows else ""))


def _write_json(chunks: Iterable["TextChunk"], front: str, rows: int, seed: int) -> None:
    texts, logprobs = [front] * rows, [0.0] * rows
    for chunk in chunks:
        texts[chunk.row] += chunk.text
        logprobs[chunk.row] += chunk.logprob or 0.0
        if chunk.finished:
            record = {
                "row": chunk.row,
                "seed": seed_of_row(seed, chunk.row),
                "text": texts[chunk.row],
                "finished": chunk.finished,
                "logprob": logprobs[chunk.row],
            }
            write(to_json_text(record) + "\n")
