"""charrnn sample"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar

from charrnn.cli import options as opt
from charrnn.cli.standard_input import warn_unread
from charrnn.config import draw_seed
from charrnn.config.verbs import VerbArguments
from charrnn.console import say, working, write
from charrnn.errors import CharrnnError, CorpusError
from charrnn.generation.config import SampleConfig
from charrnn.schema import to_json_text

if TYPE_CHECKING:
    from charrnn.api.writer import Writer
    from charrnn.generation.samples import Sample
    from charrnn.generation.sequence import TextChunk
    from charrnn.text.copies import TrainingLines
    from charrnn.text.copy_index import Copied

EXAMPLES = """Examples:

    charrnn sample

    charrnn sample --temp 0.6 --prompt "The heron" --length 1000

    charrnn sample -m names -n 50 --novel --unique

    charrnn sample -m names -n 20 --match '[A-Z][a-z]{2,9}'

    charrnn sample -n 5 --max-copy 20 --report-copy

    charrnn sample -n 3 --seed 7 --json | jq -r .text

    charrnn sample -n 100 --best 5 --length 80

    charrnn sample --mix fables:0.5,river:0.5

    charrnn sample --prompt-file book.txt --state-out book.state

    charrnn sample --state-in book.state -n 20
"""

# None where what the model has learned from cannot be looked through.
Known: TypeAlias = "TrainingLines | None"
Told = TypeVar("Told", "TextChunk", "Sample")


@opt.with_fields(SampleConfig)
def sample(
    *,
    prompt: Annotated[str, opt.option("Text", "Prompt: text to go on from.", "--prompt", "-p", check=opt.utf8)] = "",
    prompt_file: Annotated[
        str | None, opt.option("Text", "The same from a file, or - for stdin; for a model of lines, its one line.")
    ] = None,
    state_in: Annotated[
        Path | None,
        opt.option(
            "Text", "Go on from a text that was kept with --state-out; a prompt comes behind it.", default="none"
        ),
    ] = None,
    state_out: Annotated[
        Path | None,
        opt.option(
            "Text", "Read the prompt, keep what there is to know of it in this file, and write no text.", default="none"
        ),
    ] = None,
    rows: Annotated[int, opt.from_field(VerbArguments, "rows")] = 1,
    best: Annotated[int | None, opt.from_field(VerbArguments, "best")] = None,
    sort: Annotated[bool, opt.from_field(VerbArguments, "sort")] = False,
    unique: Annotated[bool, opt.from_field(VerbArguments, "unique")] = False,
    novel: Annotated[bool, opt.from_field(VerbArguments, "novel")] = False,
    exclude: Annotated[
        str | None, opt.option("New texts", "No text with a line of this file; - for stdin.", default="none")
    ] = None,
    ignore_case: Annotated[bool, opt.from_field(VerbArguments, "ignore_case")] = False,
    report_copy: Annotated[
        bool, opt.option("Output", "The longest span of each text that stands in the training text.", "--report-copy")
    ] = False,
    echo: Annotated[bool, opt.option("Output", "Print the prompt in front.", "--echo/--no-echo")] = True,
    model: opt.Model = None,
    shares: Annotated[str | None, opt.from_field(VerbArguments, "shares")] = None,
    against: Annotated[str | None, opt.from_field(VerbArguments, "against")] = None,
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

    With --mix, several models write one text, by the mean of their probabilities; with --contrast, what another model
    holds likely becomes less so. Models of characters may know other characters: all of them may come.

    A long text is read once with --state-out, and gone on from as often as one likes with --state-in: by the same
    model, and to the letter as if it had been read again.

    Filters of the probabilities apply in the order in which they stand under Sampling. Several samples are separated
    by an empty line, or stand one a line where the model was trained on lines. A pattern is one of the whole text, the
    prompt with it. At the end it is said how many lines stand word for word in the training text, where that is still
    there and no longer than 4 MB. For --max-copy and --report-copy an index of that text is made once, and kept in the
    run's folder.
    """
    config = SampleConfig.of(**fields)
    if prompt_file is None and not prompt and state_in is None:
        warn_unread("--prompt-file - takes the prompt from there")

    working("reading the model")
    from charrnn.api.copies import longest_copy, training_lines, with_copies
    from charrnn.generation.samples import MOST_TRIED

    loaded = _opened(model, shares, against, checkpoints=checkpoints, threads=threads)
    if prompt_file is not None:
        prompt = _read_prompt(prompt_file, loaded)
    state = None if state_in is None else loaded.read(state=state_in, precision=precision)
    if state_out is not None:
        working("reading the prompt")
        kept = loaded.read(prompt, state=state, precision=precision)
        kept.save(state_out)
        say(f"{kept.tokens:,} {loaded.tokenizer.unit} were read in {kept.precision}: {state_out}")
        return
    seed = draw_seed() if seed is None else seed
    numbers = state.precision if state else precision or loaded.precision
    say(f"model: {loaded.title}, {numbers}, seed {seed}")
    front = prompt if echo else ""
    known = cache(lambda: training_lines(loaded))
    sampling: dict[str, Any] = {"rows": rows, "state": state, "seed": seed, "config": config, "precision": numbers}
    before = (state.text if state else "") + prompt
    separator = "" if loaded.documents == "lines" else "\n"
    wanted: dict[str, Any] = {"unique": unique, "novel": novel, "exclude": _lines_of(exclude)}
    if report_copy or config.max_copy is not None:
        working("reading the training text")
    indices = [one.copy_index for one in loaded.opened] if report_copy else []
    tries: list[int] = []
    if as_json or best or sort or any(wanted.values()):
        drawn = loaded.samples(prompt, **sampling, **wanted, ignore_case=ignore_case, best=best, sort=sort)
        found = _counted(drawn, tries)
        if indices:
            found = with_copies(found, indices, before)
        copies: list[Copied | None] = []
        count = _write_json(found, before, front, known) if as_json else _write_samples(found, front, separator, copies)
        _tell(tries)
        _say_copied(copies)
        if count < (expected := best or rows):
            raise CharrnnError(
                f"{count:,} of {expected:,} texts were new in {MOST_TRIED:,} times as many: a higher `temperature` "
                "brings more, and so does a model that has learned for less time"
            )
        return
    written: list[str] = []
    texts = [""] * rows
    chunks = _counted(loaded.stream(prompt, **sampling), tries)
    _write_text(_watched(chunks, before, texts, written), front, rows, separator)
    _tell(tries)
    if indices:
        _say_copied([longest_copy(indices, text, before) for text in texts])
    if not quiet and written and (learned := known()) is not None:
        from charrnn.text.copies import verdict

        say(verdict(learned.copied(written), len(written)))


def _opened(model: str | None, shares: Any, against: Any, **where: Any) -> "Writer":
    """The model that writes, or those that write as one."""
    from charrnn import api
    from charrnn.api.blend import contrasted

    found: Writer = api.load(model, **where) if shares is None else api.mix(shares, **where)
    if against is None:
        return found
    other, weight = against
    return contrasted(found, api.load(other, **where), weight)


def _lines_of(file: str | None) -> list[str] | None:
    """The lines of a file that is named."""
    from charrnn.text.corpus import Corpus

    return None if file is None else Corpus([file], corpora=False).read().splitlines()


def _write_samples(found: Iterable["Sample"], front: str, separator: str, copies: "list[Copied | None]") -> int:
    """Whole samples one after another, what each copies added to `copies`; how many they were."""
    count = 0
    for sample in found:
        write((separator if count else "") + front + sample.text + "\n")
        count += 1
        copies.append(sample.copied)
    return count


def _say_copied(copies: "Sequence[Copied | None]") -> None:
    """The longest span of each sample that stands in the training text, and where."""
    for number, copied in enumerate(copies, 1):
        if copied is not None:
            where = f"{copied.text!r}, stand in line {copied.line:,} of the training text: {copied.line_text!r}"
            say(f"sample {number}: {copied.length:,} characters, {where}")


def _read_prompt(file: str, model: "Writer") -> str:
    """A prompt is read as a corpus is: compressed or not, UTF-8, line ends mended.

    Editors end a file with a line end, which no line holds that a model of lines goes on from.
    """
    from charrnn.text.corpus import Corpus

    corpus = Corpus([file], any_bytes=model.tokenizer.any_bytes, corpora=False)
    text = corpus.read()
    if model.documents == "lines":
        text = text.removesuffix("\n")
        if "\n" in text:
            raise CorpusError(f"{corpus.title} holds several lines: a model of lines goes on from one")
    if not text:
        raise CorpusError(f"{corpus.title} holds no prompt")
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


def _counted(found: Iterable[Told], tries: list[int]) -> Iterator[Told]:
    """What is found, as it comes; the tries that each text took are added to `tries`."""
    for one in found:
        tries += [] if one.tries is None else [one.tries]
        yield one


def _tell(tries: list[int]) -> None:
    """Say how many of all tries matched a pattern, where texts were tried."""
    if tries:
        say(f"{len(tries):,} of {sum(tries):,} tries matched: {len(tries) / sum(tries):.2%}")


def _watched(chunks: Iterable["TextChunk"], prompt: str, texts: list[str], lines: list[str]) -> Iterator["TextChunk"]:
    """The chunks as they come; each is added to the `texts` of its row, and whole lines to `lines`."""
    from charrnn.text.copies import whole_lines

    for chunk in chunks:
        texts[chunk.row] += chunk.text
        if chunk.finished:
            lines += whole_lines(texts[chunk.row], prompt=prompt, cut=chunk.finished == "length")
        yield chunk


def _write_json(found: Iterable["Sample"], prompt: str, front: str, known: Callable[[], Known]) -> int:
    """A sample a line, with its seed; how many they were."""
    from charrnn.text.copies import whole_lines

    count = 0
    for sample in found:
        lines = whole_lines(sample.text, prompt=prompt, cut=sample.finished == "length")
        learned = known()
        record = {
            "row": sample.row,
            "seed": sample.seed,
            "text": front + sample.text,
            "finished": sample.finished,
            "logprob": sample.logprob,
            "tokens": sample.tokens,
            "mean_surprisal": sample.mean_surprisal,
            "kept": sample.kept,
            "tries": sample.tries,
            "lines": len(lines),
            "copied_lines": None if learned is None else learned.copied(lines),
            **({} if sample.copied is None else {"copied": sample.copied.to_json()}),
        }
        write(to_json_text(record) + "\n")
        count += 1
    return count
