"""charrnn fill"""

import math
from typing import Annotated

import typer

from charrnn.cli import options as opt
from charrnn.cli.standard_input import or_standard_input
from charrnn.config import Range, draw_seed, require
from charrnn.config.verbs import VerbArguments
from charrnn.console import say, working, write
from charrnn.schema import to_json_text

EXAMPLES = """Examples:

    charrnn train --bidirectional --for 10m

    charrnn fill "The [...] stood in the shallows."

    charrnn fill "The [...] stood in the shallows." --candidate heron --candidate miller -q
"""

GAP = "[...]"
FILLING = "Filling"


def fill(
    text: Annotated[
        str | None,
        typer.Argument(
            help="A text with one gap, written [...], or - for stdin.",
            callback=opt.utf8,
            show_default="what is piped in",
        ),
    ] = None,
    candidates: Annotated[
        list[str] | None,
        opt.option(
            FILLING,
            "What may stand there; repeatable.",
            "--candidate",
            default="words that the model proposes",
            check=opt.utf8,
        ),
    ] = None,
    count: Annotated[
        int, opt.option(FILLING, "How many to show.", "--num", "-n", within=Range(at_least=1, at_most=10_000))
    ] = 5,
    drawn: Annotated[int, opt.from_field(VerbArguments, "drawn")] = 64,
    model: opt.Model = None,
    checkpoints: opt.Checkpoints = None,
    seed: opt.Seed = None,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Fill a gap in a text, with a model that reads from both ends.

    Every candidate is scored exactly: the log-probability of the whole text with it, read forwards and backwards, in
    bits; the best first. Without a TEXT, a pipe or file on standard input is the text.
    """
    working("reading the model")
    from charrnn import api

    left, right = around_the_gap(text)
    loaded = api.load(model, checkpoints=checkpoints)
    seed = draw_seed() if seed is None else seed
    say(f"model: {loaded.header.path}" + ("" if candidates else f", seed {seed}"))
    asked = {"candidates": candidates} if candidates else {"drawn": drawn, "seed": seed}
    found = loaded.fill(left, right, **asked)
    for one in found[:count]:
        if as_json:
            record = {"text": one.text, "nats": -one.both, "forward": -one.forward, "backward": -one.backward}
            write(to_json_text(record) + "\n")
        elif quiet:
            write(f"{one.text}\n")
        else:
            parts = (one.text, f"{bits(one.both):.2f}", f"forward {bits(one.forward):.2f}")
            write("\t".join([*parts, f"backward {bits(one.backward):.2f}"]) + "\n")


def around_the_gap(text: str | None) -> tuple[str, str]:
    """What stands before and behind it; the line end that ends a file or an `echo` is no part of the text."""
    if text == "-" or (text is None and or_standard_input(None)):
        from charrnn.text.corpus import Corpus

        text = Corpus(["-"]).read().removesuffix("\n")
    text = (text or "").replace("[…]", GAP)  # as a telephone makes it of three dots
    require(text.count(GAP) == 1, f"there must be a text with one gap, written {GAP}, and here are {text.count(GAP)}")
    left, right = text.split(GAP)
    return left, right


def bits(log_probability: float) -> float:
    """Surprisal in bits."""
    return -log_probability / math.log(2)
