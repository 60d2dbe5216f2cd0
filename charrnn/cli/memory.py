"""charrnn inspect memory"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from charrnn.cli import options as opt
from charrnn.cli.company import give_way
from charrnn.cli.pictures import draw_into, write_page
from charrnn.cli.standard_input import or_standard_input
from charrnn.config import Range
from charrnn.console import working, write
from charrnn.console.shading import show_heat
from charrnn.schema import to_json_text

if TYPE_CHECKING:
    from charrnn.analysis.context import ContextCurve

EXAMPLES = """Examples:

    charrnn inspect memory

    charrnn inspect memory --fixed-context --compare-with rnn --svg memory.svg

    charrnn inspect memory --saliency "the king and the queen of the" --html memory.html
"""

SCORED = 20_000


def memory(
    context: typer.Context,
    texts: opt.Texts = None,
    saliency_of: Annotated[
        list[str] | None,
        opt.option(
            "Analysis",
            "Saliency, instead: what the prediction of a text's last character rests on; repeatable.",
            "--saliency",
            default="none",
            check=opt.utf8,
        ),
    ] = None,
    saliency_file: Annotated[
        list[str] | None,
        opt.option(
            "Analysis", "The same of a file's text, or - for stdin, up to 20,000 tokens; repeatable.", default="none"
        ),
    ] = None,
    fixed_context: Annotated[
        bool,
        opt.option(
            "Analysis",
            "Fixed context, instead of resets: score characters with exactly so many before them.",
            "--fixed-context",
        ),
    ] = False,
    compare_with: Annotated[
        list[str] | None, opt.option("Analysis", "Another model on the same text; repeatable.", default="none")
    ] = None,
    length: Annotated[
        int, opt.option("Analysis", "Tokens of the text to score.", within=Range(at_least=2, at_most=10**9))
    ] = SCORED,
    svg: opt.Svg = None,
    html: Annotated[
        Path | None,
        opt.option(
            "Output",
            "With saliency: a page with every character's prediction.",
            default="none",
            check=opt.in_a_folder,
        ),
    ] = None,
    model: opt.Model = None,
    checkpoints: opt.Checkpoints = None,
    threads: opt.Threads = None,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """How much of what came before a network uses: bits per character as its state is reset ever more seldom."""
    working("reading the model and the text")
    from charrnn import api
    from charrnn.analysis.context import context_curve, memory_curve
    from charrnn.plotting.analysis import draw_context_curves
    from charrnn.text.kept import KeptText

    give_way(context, "cpu", threads, tune=False)
    if saliency_of or saliency_file:
        _show_saliency(model, checkpoints, saliency_of or [], saliency_file or [], html, as_json=as_json)
        return
    named = or_standard_input(texts)
    kept = KeptText(named) if named else None
    curves, curve_of = [], context_curve if fixed_context else memory_curve
    for each in [model, *(compare_with or [])]:
        subject = api.subject(each, kept, checkpoints=checkpoints).beginning(length)
        watcher = partial(_show_share, f"{subject.name}: scoring {subject.tokens.size:,} tokens")
        watcher(0.0)
        scored = curve_of(subject.network, subject.tokens, name=subject.name, chars=subject.chars, watcher=watcher)
        curves.append(scored)
    if as_json:
        write(to_json_text([curve.to_json() for curve in curves]) + "\n")
    else:
        _write_curves(curves, fixed_context)
    draw_into(svg, lambda: draw_context_curves(curves))


def _show_saliency(
    model: str | None, checkpoints: Path | None, given: list[str], files: list[str], html: Path | None, *, as_json: bool
) -> None:
    """What the last character of each text rests on; on the page, what every character does."""
    from charrnn import api
    from charrnn.analysis.saliency import saliency
    from charrnn.plotting.page import page
    from charrnn.text.corpus import Corpus

    texts = [*given, *(Corpus([file], corpora=False).read() for file in files)]
    subjects = [api.subject(model, checkpoints=checkpoints, text=text, first_member=True) for text in texts]
    found = []
    for one in subjects:
        watcher = partial(_show_share, f"{one.name}: going back from {one.tokens.size:,} tokens")
        found.append(saliency(one.network.first_member, one.tokens, one.symbols, watcher=watcher))
    if html is not None:
        write_page(html, page("memory", {"title": subjects[0].name, "texts": [one.shown() for one in found]}))
    for each in found:
        if as_json:
            write(to_json_text(each.to_json()) + "\n")
            continue
        heat = each.weights[-1].tolist()  # of the input before each symbol
        show_heat(each.symbols[-len(heat) :], [*heat[1:], 0.0])
        last = to_json_text(each.symbols[-1])
        write(f"what {last} rests on; its probability was {each.probabilities[-1]:.1%}\n")


def _write_curves(curves: Sequence["ContextCurve"], fixed_context: bool) -> None:
    if len(curves) > 1:
        write("\t".join(["read before" if fixed_context else "reset every", *(curve.name for curve in curves)]) + "\n")
    last = "all" if fixed_context else "never"
    for context, *bits in zip(curves[0].lengths, *(curve.bits for curve in curves), strict=True):
        write("\t".join([last if context is None else str(context), *(f"{one:.4f}" for one in bits)]) + "\n")


def _show_share(what: str, share: float) -> None:
    working(f"{what}, {share:.0%}")
