"""charrnn sample"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn.cli import options as opt
from charrnn.cli.fill import around_the_gap
from charrnn.cli.pictures import write_page
from charrnn.cli.standard_input import warn_unread
from charrnn.config import draw_seed
from charrnn.config.verbs import VerbArguments
from charrnn.console import say, working
from charrnn.errors import CharrnnError, CorpusError
from charrnn.generation.config import GAP_LENGTH, SampleConfig

if TYPE_CHECKING:
    from charrnn.api.model import Model
    from charrnn.api.writer import Writer

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

    charrnn sample --infill "The [...] stood in the shallows." -n 5

    charrnn sample -n 5 --html page.html

    charrnn sample --interactive --colour
"""


@opt.with_fields(SampleConfig)
def sample(
    context: typer.Context,
    *,
    prompt: Annotated[str, opt.option("Text", "Prompt: text to go on from.", "--prompt", "-p", check=opt.utf8)] = "",
    prompt_file: Annotated[
        str | None, opt.option("Text", "The same from a file, or - for stdin; for a model of lines, its one line.")
    ] = None,
    infill: Annotated[
        str | None,
        opt.option(
            "Text",
            "A text with a gap, [...], to be filled so that both sides fit (--length 40); - for stdin.",
            default="none",
            metavar="<text>",
            check=opt.utf8,
        ),
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
    interactive: Annotated[
        bool,
        opt.option(
            "Text",
            "Type, see how it goes on, keep what is good, /save it; /help there says how.",
            "--interactive",
            "-i",
        ),
    ] = False,
    colour: Annotated[
        bool,
        opt.option(
            "Output", "Shade each character by its surprisal: the redder, the less expected.", "--colour", "--color"
        ),
    ] = False,
    html: Annotated[
        Path | None,
        opt.option(
            "Output",
            "A page: texts shaded by surprisal, alternatives on hover, copies of the training text.",
            "--html",
            default="none",
            check=opt.in_a_folder,
        ),
    ] = None,
    echo: Annotated[bool, opt.option("Output", "Print the prompt in front.", "--echo/--no-echo")] = True,
    model: opt.Model = None,
    shares: Annotated[str | None, opt.from_field(VerbArguments, "shares")] = None,
    against: Annotated[str | None, opt.from_field(VerbArguments, "against")] = None,
    counts: opt.Counts = True,
    checkpoints: opt.Checkpoints = None,
    precision: opt.Precision = None,
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

    With --infill, what is written fits both sides of a gap; with --interactive, you and the model write in turns.
    Filters hold for both.

    Filters of the probabilities apply in the order in which they stand under Sampling. Several samples are separated
    by an empty line, or stand one a line where the model was trained on lines. A pattern is one of the whole text, the
    prompt with it. At the end it is said how many lines stand word for word in the training text, where that is still
    there and no longer than 4 MB. For --max-copy and --report-copy an index of that text is made once, and kept in the
    run's folder.
    """
    config = SampleConfig.of(**fields)
    if prompt_file is None and not prompt and state_in is None and infill is None and not interactive:
        warn_unread("--prompt-file - takes the prompt from there")

    gap = None if infill is None else around_the_gap(infill)
    working("reading the model")
    from charrnn.cli.written import Written
    from charrnn.generation.samples import MOST_TRIED

    seed = draw_seed() if seed is None else seed
    if gap is not None:
        from charrnn import api
        from charrnn.cli.infill import write_infilled

        one = api.load(model, checkpoints=checkpoints, counts=counts, threads=threads)
        asked: dict[str, Any] = {"rows": rows, "seed": seed, "precision": precision or one.precision}
        asked |= {} if opt.typed(context, "length") else {"length": GAP_LENGTH}
        write_infilled(one, *gap, echo=echo, as_json=as_json, config=config, **asked)
        return
    loaded = _opened(model, shares, against, checkpoints=checkpoints, counts=counts, threads=threads)
    if prompt_file is not None:
        prompt = _read_prompt(prompt_file, loaded)
    state = None if state_in is None else loaded.read(state=state_in, precision=precision)
    if state_out is not None:
        working("reading the prompt")
        kept = loaded.read(prompt, state=state, precision=precision)
        kept.save(state_out)
        say(f"{kept.tokens:,} {loaded.tokenizer.unit} were read in {kept.precision}: {state_out}")
        return
    numbers = state.precision if state else precision or loaded.precision
    say(f"model: {loaded.title}, {numbers} {loaded.computed(numbers)}, seed {seed}")
    if interactive:
        from charrnn.cli.interactive import interact
        from charrnn.cli.written import Painter

        session = loaded.session(seed=seed, config=config, precision=numbers, state=state)
        interact(session, prompt, echo=echo, paint=Painter() if colour else None)
        return
    sampling: dict[str, Any] = {"rows": rows, "state": state, "seed": seed, "config": config, "precision": numbers}
    wanted: dict[str, Any] = {"unique": unique, "novel": novel, "exclude": _lines_of(exclude)}
    if report_copy or config.max_copy is not None:
        working("reading the training text")
    out = Written(
        source=loaded,
        prompt=(state.text if state else "") + prompt,
        front=prompt if echo else "",
        colour=colour,
        indices=[one.copy_index for one in loaded.opened] if report_copy else (),
    )
    if as_json or best or sort or html or any(wanted.values()):
        drawn = loaded.samples(prompt, **sampling, **wanted, ignore_case=ignore_case, best=best, sort=sort)
        try:
            (out.records if as_json else out.whole)(drawn)
            out.tell()
        finally:  # also where the reader of the texts has gone
            if html is not None and out.shown:
                working(f"writing {html}")
                write_page(html, loaded.page(out.shown, prompt, state=state, precision=numbers, config=config))
        if len(out.shown) < (expected := best or rows):
            raise CharrnnError(
                f"{len(out.shown):,} of {expected:,} texts were new in {MOST_TRIED:,} times as many: "
                "a higher `temperature` brings more, and so does a model that has learned for less time"
            )
        return
    out.stream(loaded.stream(prompt, logprobs=colour, **sampling), rows)
    out.tell(lines=not quiet)


def _opened(model: str | None, shares: Any, against: Any, **where: Any) -> "Writer":
    """The model that writes, or those that write as one."""
    from charrnn import api
    from charrnn.api.blend import contrasted, mixed

    def loaded(name: str | None) -> "Model":
        return api.load(name, **where)

    found: Writer = (
        loaded(model) if shares is None else mixed([(loaded(name), share) for name, share in shares.items()])
    )
    if against is None:
        return found
    other, weight = against
    return contrasted(found, loaded(other), weight)


def _lines_of(file: str | None) -> list[str] | None:
    """The lines of a file that is named."""
    from charrnn.text.corpus import Corpus

    return None if file is None else Corpus([file], corpora=False).read().splitlines()


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
