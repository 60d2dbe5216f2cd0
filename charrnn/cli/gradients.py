"""charrnn inspect gradients"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from charrnn.cli import options as opt
from charrnn.cli.pictures import draw_into
from charrnn.cli.standard_input import or_standard_input
from charrnn.config import ModelConfig, Range, TrainOptions, draw_seed
from charrnn.console import say, sparkline, working, write
from charrnn.schema import finite, to_json_text
from charrnn.storage import runs

if TYPE_CHECKING:
    from charrnn.analysis.gradient_history import GradientHistory
    from charrnn.analysis.gradients import GradientFlow

EXAMPLES = """Examples:

    charrnn inspect gradients

    charrnn inspect gradients --cell rnn --cell lstm --cell gru --svg gradients.svg

    charrnn inspect gradients --cell rnn --spectral-radius 0.5 --spectral-radius 1 --spectral-radius 2
"""

NETWORK = "An untrained network"
# The text of an untrained network, unless told.
BUNDLED = "fables"
SHOWN = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


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
    model: opt.Model = None,
    checkpoints: opt.Checkpoints = None,
    seed: opt.Seed = None,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """How far gradients reach back: the norm of a token's loss by what each layer gave k steps before.

    The median over many positions of a text, with the band from 10 to 90%, and the steps in which it halves.
    """
    working("reading the text and loading torch")
    from charrnn import api
    from charrnn.analysis.gradient_history import GradientHistory
    from charrnn.analysis.gradients import gradient_flow
    from charrnn.analysis.subject import fresh
    from charrnn.plotting.analysis import draw_flows
    from charrnn.text.corpus import Corpus

    texts = or_standard_input(texts)
    seed = draw_seed() if seed is None else seed
    if cell:
        networks = fresh(
            [
                ModelConfig(
                    vocab_size=1, start_id=1, cell=each, hidden=hidden, layers=layers, embedding=min(128, hidden),
                    skip=skip,
                )
                for each in cell
            ],
            Corpus(texts or [BUNDLED]).read(),
            seed=seed,
            radii=spectral_radius or [None],
        )  # fmt: skip
        say(f"untrained, seed {seed}")
    else:
        networks = [api.subject(model, texts, checkpoints=checkpoints, first_member=True)]
    training = None
    if not cell:
        folder = runs.model_file(runs.checkpoints_folder(checkpoints), model).parent
        training = GradientHistory.of(runs.Run(folder).read_metrics())
    working(f"gradients of {positions:,} places, {reach:,} steps back")
    flows = [
        gradient_flow(n.network.first_member, n.tokens, name=n.name, reach=reach, positions=positions, seed=seed)
        for n in networks
    ]
    if as_json:
        record = {"networks": [flow.to_json() for flow in flows], "training": training and training.to_json()}
        write(to_json_text(finite(record)) + "\n")
    else:
        _write_flows(flows, training, quiet)
    draw_into(svg, lambda: draw_flows(flows, training))


def _write_flows(flows: Sequence["GradientFlow"], training: "GradientHistory | None", quiet: bool) -> None:
    for flow in flows:
        for layer in range(len(flow.norms)):
            low, middle, high = flow.band(layer)
            half = flow.half_life(layer)
            told = "does not fall" if half is None else f"halves in {half:.1f} steps"
            write(f"{flow.name}, layer {layer + 1}: {told}\n" if not quiet else f"{half}\n")
            for k in SHOWN if not quiet else ():
                if k < len(middle):
                    write(f"  k = {k:<5} {middle[k]:9.2e}   {low[k]:9.2e} to {high[k]:9.2e}\n")
    if training is not None and not quiet:
        norms = training.norms
        write(f"in training: norm before clipping {sparkline(norms)}  {norms[0]:.3g} to {norms[-1]:.3g}, ")
        write(f"{training.share_clipped:.1%} of steps clipped\n")
        for step, ratios in training.updates[-1:]:
            for part, ratio in ratios.items():
                write(f"  step {step:,} moved {part} by {ratio:.1e} of its weights' length\n")
