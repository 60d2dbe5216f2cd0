"""charrnn embed"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from charrnn.cli import options as opt
from charrnn.cli.columns import escaped
from charrnn.cli.company import give_way
from charrnn.cli.standard_input import or_standard_input
from charrnn.config import TrainOptions, require
from charrnn.config.verbs import VerbArguments
from charrnn.console import say, warn, working, write_bytes
from charrnn.errors import VocabularyError

if TYPE_CHECKING:
    from charrnn.storage.vectors import Rows, Writer

EXAMPLES = """Examples:

    charrnn embed sentences.txt -o sentences.npy

    charrnn embed --per word --pool last sentences.txt -o words.npy --index words.tsv

    charrnn embed --per char --layer all notes.txt -o notes.safetensors

    zcat lines.txt.gz | charrnn embed -m fables > lines.npy

    charrnn embed --per word sentences.txt -o words.parquet
"""

FEATURES = "Features"
STDOUT = "-"
# Bytes copied to stdout at once.
BLOCK = 1 << 20
INDEX = ("row", "line", "start", "end", "text")


def embed(
    context: typer.Context,
    text: Annotated[
        str | None,
        typer.Argument(metavar="FILE", help="A file, or - for stdin.", show_default="what is piped in"),
    ] = None,
    per: Annotated[str, opt.from_field(VerbArguments, "per")] = "line",
    layer: Annotated[str | None, opt.from_field(VerbArguments, "layer")] = None,
    pool: Annotated[str, opt.from_field(VerbArguments, "pool")] = "mean",
    unknown: Annotated[
        bool, opt.option(FEATURES, "Read out-of-vocabulary characters as the beginning of a text.", "--unk")
    ] = False,
    output: Annotated[
        str | None,
        opt.option(
            "Output", "A .npy, .safetensors or .parquet file.", "--output", "-o", default="stdout, where it is piped"
        ),
    ] = None,
    index: Annotated[
        Path | None,
        opt.option("Output", "A TSV beside it: what every row stands for, and where.", "--index", default="none"),
    ] = None,
    model: opt.Model = None,
    checkpoints: opt.Checkpoints = None,
    batch_size: Annotated[
        int | None,
        opt.from_field(
            TrainOptions, "batch_size", help="Batch size: lines side by side.", group="Machine", default="64"
        ),
    ] = None,
    device: Annotated[str, opt.from_field(TrainOptions, "device", default=None)] = "cpu",
    threads: opt.Threads = None,
    quiet: opt.Quiet = False,
) -> None:
    """Write the network's states as features: one vector a line, word, character or token, for a classifier or tagger.

    Each line is read alone. Of a model that reads both ways, the states of both directions stand side by side, forwards
    first; of an ensemble, those of all its networks. With --pool last, a word has the forward state after its last
    character and the backward state before its first (Akbik et al. 2018).

    .npy holds the vectors alone, float32, N x D; .safetensors and .parquet hold beside them the line (from 1) and the
    characters (from 0, the end not included) that each row stands for. Without -o, stdout is a .npy file.
    """
    from charrnn.storage.vectors import check_format

    if output in (None, STDOUT):
        require(not sys.stdout.isatty(), "vectors are no text for a terminal: name a file with `output`, or pipe them")
    else:
        check_format(output or "")
        require(index is None or Path(output or "") != index, "`index` is a file beside `output`: give it another name")
    named = [text] if text else or_standard_input(None, empty=True)
    require(bool(named), "there is no text: name a file, or pipe one in")

    working("reading the model")
    from charrnn import api
    from charrnn.analysis.embeddings import features
    from charrnn.api.embedding import POOLED, embeddings
    from charrnn.text.corpus import Corpus

    give_way(context, device, threads)
    loaded = api.load(model, checkpoints=checkpoints, device=device)
    say(f"model: {loaded.header.path}")
    dimension = features(loaded.config, layer)
    corpus = Corpus(named, any_bytes=loaded.tokenizer.any_bytes)
    rows = embeddings(loaded, corpus, per=per, layer=layer, pool=pool, unknown=unknown, batch_size=batch_size)
    about = {"model": loaded.name, "per": per, "layer": str(layer or loaded.config.layers)}
    about["pool"] = pool if per in POOLED else "last"
    count = 0
    with ExitStack() as files:
        writer = files.enter_context(_product(output, dimension, about))
        table = None if index is None else files.enter_context(_table(index))
        try:
            for some in rows:
                working(f"embedding, {count:,} rows written")
                writer.write(some)
                if table is not None:
                    _tell(table, some, count)
                count += len(some.vectors)
        except VocabularyError as problem:
            raise VocabularyError(f"{problem}; --unk reads it as the beginning of a text") from None
    for note in corpus.statistics.notes:
        say(note)
    if not count:
        warn("the text holds nothing to embed: the file has no rows")
    say(f"{count:,} x {dimension:,} float32, a row for each {per}: {'stdout' if output in (None, STDOUT) else output}")


@contextmanager
def _product(output: str | None, dimension: int, about: dict[str, str]) -> "Iterator[Writer]":
    """Where vectors go: a file, or stdout once their number is known, which stands at a file's beginning."""
    from charrnn.storage.vectors import NpyWriter, vectors_file

    if output is not None and output != STDOUT:
        with vectors_file(Path(output), dimension, about) as writer:
            yield writer
        return
    with tempfile.TemporaryFile() as file:
        writer = NpyWriter(file, dimension, about)
        yield writer
        writer.finish()
        file.seek(0)
        for block in iter(partial(file.read, BLOCK), b""):
            write_bytes(block)


@contextmanager
def _table(path: Path) -> "Iterator[IO[bytes]]":
    from charrnn.storage.vectors import replacing

    with replacing(path) as file:
        file.write(("\t".join(INDEX) + "\n").encode())
        yield file


def _tell(table: IO[bytes], rows: "Rows", first: int) -> None:
    """A line for each row, from 0; what would break a line of the text is written as an escape."""
    columns = zip(rows.lines.tolist(), rows.begins.tolist(), rows.ends.tolist(), rows.texts, strict=True)
    for number, (line, begin, end, text) in enumerate(columns, first):
        written = f"{number}\t{line}\t{begin}\t{end}\t{escaped(text)}\n"
        table.write(written.encode("utf-8", "surrogateescape"))
