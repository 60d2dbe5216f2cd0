"""charrnn inspect neurons"""

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from charrnn.analysis.properties import PROPERTIES
from charrnn.cli import options as opt
from charrnn.cli.pictures import write_page
from charrnn.cli.standard_input import or_standard_input
from charrnn.config import Range
from charrnn.console import working, write
from charrnn.console.shading import show_heat
from charrnn.schema import to_json_text

EXAMPLES = """Examples:

    charrnn inspect neurons --html neurons.html

    charrnn inspect neurons --unit 2:17 --length 400
"""

LOOKED_AT = 2000


def _unit(text: str) -> tuple[int, int]:
    """'2:17' -> layer 2, unit 17, as they are shown: layers from 1, units from 0."""
    if not re.fullmatch(r"[1-9]\d*:\d+", text):
        raise typer.BadParameter(f"{text!r} is no unit: write layer:unit, 1:0 being the first")
    layer, unit = map(int, text.split(":"))
    return layer, unit


def neurons(
    texts: opt.Texts = None,
    follows: Annotated[
        list[str] | None,
        opt.choice("Analysis", "Units that follow this; repeatable.", [*PROPERTIES], "--property", default="all"),
    ] = None,
    unit: Annotated[
        str | None, opt.option("Analysis", "Show the text by one unit, layer:unit.", default="the best")
    ] = None,
    count: Annotated[
        int, opt.option("Analysis", "Units for each property.", within=Range(at_least=1, at_most=1000))
    ] = 3,
    length: Annotated[
        int, opt.option("Analysis", "Tokens of the text to read.", within=Range(at_least=2, at_most=10**6))
    ] = LOOKED_AT,
    html: Annotated[
        Path | None,
        opt.option("Output", "A page with the text by every unit found.", default="none", check=opt.in_a_folder),
    ] = None,
    model: opt.Model = None,
    checkpoints: opt.Checkpoints = None,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Single units: which of them follow quotation marks, the place in a line, brackets, case or the place in a word.

    And how often each gate is shut (below 0.1) or open (above 0.9).
    """
    working("reading the model and the text")
    from charrnn import api
    from charrnn.analysis.gates import saturation
    from charrnn.analysis.neurons import activations, correlated_units
    from charrnn.errors import ConfigError
    from charrnn.plotting.page import page

    chosen = None if unit is None else _unit(unit)
    subject = api.subject(model, or_standard_input(texts), checkpoints=checkpoints, first_member=True).beginning(length)
    working(f"{subject.name}: reading {subject.tokens.size:,} tokens")
    tracks = activations(subject.network.first_member, subject.tokens)
    if chosen is not None and not (chosen[0] <= len(tracks) and chosen[1] < tracks.shape[2]):
        raise ConfigError(f"there is no unit {unit}: layers go to {len(tracks)}, units to {tracks.shape[2] - 1}")
    # A property is one of characters; a piece has that of its last one.
    text, ends = "".join(subject.symbols), [len(symbol) for symbol in subject.symbols]
    last = [sum(ends[: place + 1]) - 1 for place in range(len(ends))]
    units = []
    for name in follows or PROPERTIES:
        for found in correlated_units(tracks, PROPERTIES[name](text)[last], count):
            units.append((name, found.layer, found.unit, found.correlation))
    gates = saturation(subject.network.first_member, subject.tokens)
    if html is not None:
        shown: list[dict[str, Any]] = [
            {"label": f"{name} {layer + 1}:{number} ({correlation:+.2f})", "track": tracks[layer, :, number].tolist()}
            for name, layer, number, correlation in units
        ]
        write_page(html, page("neurons", {"title": subject.name, "symbols": subject.symbols, "units": shown}))
    if as_json:
        names = ("property", "layer", "unit", "correlation")
        record = {
            "network": subject.name,
            "units": [dict(zip(names, (name, layer + 1, *rest), strict=True)) for name, layer, *rest in units],
            "gates": [{**gate.to_json(), "layer": gate.layer + 1} for gate in gates],
        }
        write(to_json_text(record) + "\n")
        return
    for name, layer, number, correlation in units:
        write(f"{name}\t{layer + 1}:{number}\t{correlation:+.3f}\n")
    for gate in gates:
        write(f"gate {gate.gate}, layer {gate.layer + 1}\t{gate.shut:.1%} shut\t{gate.open:.1%} open\n")
    if chosen is None and units:
        chosen = units[0][1] + 1, units[0][2]
    if chosen is not None and not quiet:
        write(f"\nthe text by unit {chosen[0]}:{chosen[1]}\n")
        track = tracks[chosen[0] - 1, :, chosen[1]]
        show_heat(subject.symbols, ((track - track.min()) / max(float(track.max() - track.min()), 1e-30)).tolist())
