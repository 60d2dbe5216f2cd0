"""charrnn inspect novelty"""

from typing import Annotated

from charrnn.cli import options as opt
from charrnn.cli.pictures import draw_into
from charrnn.cli.tables import print_table
from charrnn.config.verbs import TEMPERATURES, VerbArguments
from charrnn.console import say, working, write
from charrnn.schema import to_json_text

EXAMPLES = """Examples:

    charrnn inspect novelty

    charrnn inspect novelty --temp 0.5 --temp 1 --svg novelty.svg

    charrnn inspect novelty -m names --json | jq '{name, shares}'
"""


def novelty(
    temperatures: Annotated[
        list[float] | None,
        opt.option("Analysis", "A temperature to sample at; repeatable.", "--temp", "-t", default="0.5, 0.8 and 1"),
    ] = None,
    chars: Annotated[int, opt.from_field(VerbArguments, "chars")] = 20_000,
    longest: Annotated[int, opt.from_field(VerbArguments, "longest")] = 50,
    svg: opt.Svg = None,
    model: opt.Model = None,
    counts: opt.Counts = True,
    checkpoints: opt.Checkpoints = None,
    threads: opt.Threads = None,
    seed: opt.Seed = None,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Learned or copied: the share of n-grams that do not stand in the training text, by their length.

    Of samples at several temperatures, beside the text that was held out of the training: what people wrote is the
    measure. Samples whose n-grams are much less often new than those of the held-out text are copies.
    """  # fmt: skip
    working("reading the model and its training text")
    from charrnn import api
    from charrnn.config import draw_seed
    from charrnn.plotting.analysis import draw_novelty

    loaded = api.load(model, checkpoints=checkpoints, counts=counts, threads=threads)
    seed = draw_seed() if seed is None else seed
    say(f"model: {loaded.header.path}, seed {seed}")
    curves = []
    for curve in loaded.novelty(temperatures or TEMPERATURES, chars=chars, longest=longest, seed=seed):
        working(f"{curve.name}: {curve.chars:,} characters")
        curves.append(curve)
    if as_json:
        write("".join(to_json_text(curve.to_json()) + "\n" for curve in curves))
    else:
        headings = [] if quiet else [["n", *(curve.name for curve in curves)]]
        rows = list(zip(range(1, longest + 1), *(curve.shares for curve in curves), strict=True))
        while rows and set(rows[-1][1:]) == {None}:  # no text is so long
            rows.pop()
        print_table([*headings, *map(list, rows)])
    draw_into(svg, lambda: draw_novelty(loaded.name, curves))
