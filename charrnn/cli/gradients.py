"""charrnn inspect gradients"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from charrnn.cli import options as opt
from charrnn.cli.pictures import draw_into, write_page
from charrnn.cli.standard_input import or_standard_input
from charrnn.config import ModelConfig, Range, TrainOptions, draw_seed
from charrnn.console import say, working, write
from charrnn.schema import finite, to_json_text
from charrnn.storage import runs

if TYPE_CHECKING:
    from charrnn.analysis.gradient_course import GradientCourse
    from charrnn.analysis.gradients import GradientFlow
    from charrnn.analysis.subject import Subject
    from charrnn.text.kept import KeptText

EXAMPLES = """Examples:

    charrnn inspect gradients

    charrnn inspect gradients -m small -m large --svg gradients.svg

    charrnn inspect gradients --html gradients.html

    charrnn inspect gradients --cell rnn --cell lstm --cell gru

    charrnn inspect gradients --cell rnn --spectral-radius 0.5 --spectral-radius 1 --spectral-radius 2
"""

NETWORK = "An untrained network"
# The text of an untrained network, unless told.
BUNDLED = "fables"
# Tokens that an untrained network's gates are looked at on.
GATED = 300


def gradients(
    texts: opt.Texts = None,
    cell: Annotated[
        list[str] | None,
        opt.from_field(
            TrainOptions,
            "cell",
            help="Untrained networks of these cells instead of a model; repeatable.",
            group=NETWORK,
            default=None,
        ),
    ] = None,
    hidden: Annotated[int, opt.from_field(TrainOptions, "hidden", group=NETWORK, default=None)] = 128,
    layers: Annotated[int, opt.from_field(TrainOptions, "layers", group=NETWORK, default=None)] = 1,
    skip: Annotated[str | None, opt.from_field(TrainOptions, "skip", group=NETWORK)] = None,
    spectral_radius: Annotated[
        list[float] | None,
        opt.from_field(
            TrainOptions, "spectral_radius", help="Spectral radius of recurrent matrices; repeatable.", group=NETWORK
        ),
    ] = None,
    reach: Annotated[int, opt.option("Analysis", "Steps back.", within=Range(at_least=1, at_most=10_000))] = 100,
    positions: Annotated[
        int, opt.option("Analysis", "Places of the text.", within=Range(at_least=1, at_most=4096))
    ] = 64,
    svg: opt.Svg = None,
    html: Annotated[
        Path | None,
        opt.option(
            "Output",
            "A page, with a slider over the steps that training kept (--keep-every).",
            default="none",
            check=opt.in_a_folder,
        ),
    ] = None,
    model: opt.Models = None,
    checkpoints: opt.Checkpoints = None,
    seed: opt.Seed = None,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """How far gradients reach back: the norm of a token's loss by what each layer gave k steps before.

    The median over many positions of a text, with the band from 10 to 90%, and the steps in which it halves. Several
    models, or untrained networks, stand side by side, each on its own held-out part unless a text is named.
    """
    working("reading the text and loading torch")
    from charrnn.analysis.gradients import gradient_flow
    from charrnn.cli.gradient_table import write_courses
    from charrnn.plotting.analysis import draw_flows
    from charrnn.plotting.gradients import gradients_page
    from charrnn.text.kept import KeptText

    texts = or_standard_input(texts)
    seed = draw_seed() if seed is None else seed

    def flow(subject: "Subject", what: str = "") -> "GradientFlow":
        working(f"{subject.name}{what}: gradients of {positions:,} places, {reach:,} steps back")
        network = subject.network.first_member
        return gradient_flow(network, subject.tokens, name=subject.name, reach=reach, positions=positions, seed=seed)

    if cell:
        configs = [
            ModelConfig(
                vocab_size=1, start_id=1, cell=each, hidden=hidden, layers=layers, embedding=min(128, hidden), skip=skip
            )
            for each in cell
        ]
        courses = _untrained(configs, texts, spectral_radius, seed, flow)
        say(f"untrained, seed {seed}")
    else:
        kept = KeptText(texts) if texts else None
        named: list[str | None] = [*model] if model else [None]
        courses = [_trained(each, kept, checkpoints, flow, along=html is not None) for each in named]
    if as_json:
        write(to_json_text(finite({"networks": [course.to_json() for course in courses]})) + "\n")
    elif quiet:
        for course in courses:
            write("".join(f"{course.flow.half_life(layer)}\n" for layer in range(len(course.flow.norms))))
    else:
        write_courses(courses)
    if html is not None:
        write_page(html, gradients_page(courses))
    # What a single run reported of its training stands beside it.
    reported = courses[0].training if len(courses) == 1 else None
    draw_into(svg, lambda: draw_flows([course.flow for course in courses], reported))


def _untrained(
    configs: Sequence[ModelConfig],
    texts: list[str] | None,
    radii: list[float] | None,
    seed: int,
    flow: "Callable[[Subject], GradientFlow]",
) -> "list[GradientCourse]":
    """Fresh networks, with what is to be said of those that are GRUs."""
    from charrnn.analysis.gates import fresh_gates
    from charrnn.analysis.gradient_course import GradientCourse
    from charrnn.analysis.subject import fresh
    from charrnn.text.corpus import Corpus

    found = []
    for one in fresh(configs, Corpus(texts or [BUNDLED]).read(), seed=seed, radii=radii or [None]):
        gates = None if radii else fresh_gates(one.network.first_member, one.tokens[:GATED])
        found.append(GradientCourse(flow(one), note=None if gates is None else gates.told()))
    return found


def _trained(
    model: str | None,
    texts: "KeptText | None",
    checkpoints: Path | None,
    flow: "Callable[[Subject, str], GradientFlow]",
    *,
    along: bool,
) -> "GradientCourse":
    """A model, its run's reports, and with `along` the networks that were kept on the way, all on the same text."""
    from charrnn import api
    from charrnn.analysis.gradient_course import GradientCourse
    from charrnn.analysis.gradient_history import GradientHistory
    from charrnn.storage.checkpoint import read_header

    subject = api.subject(model, texts, checkpoints=checkpoints, first_member=True)
    file = runs.model_file(runs.checkpoints_folder(checkpoints), model)
    run = runs.Run(file.parent)
    whole = file in (run.model, run.resume)
    kept = run.all_kept() if along and whole else {}
    return GradientCourse(
        flow(subject, ""),
        step=int(read_header(file).summary.get("step", 0)),
        training=GradientHistory.of(run.read_metrics()) if whole else None,
        kept={
            step: flow(replace(subject, network=api.load(path).network), f" behind step {step:,}")
            for step, path in kept.items()
        },
    )
