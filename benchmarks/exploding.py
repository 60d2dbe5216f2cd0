"""Gradients that explode, and the cure: simple networks whose recurrent matrix begins with a spectral radius of 1.5.

    python benchmarks/exploding.py [--spectral-radius 1.5] [--cells rnn rnn-gelu rnn-relu] [--lr 0.5] [--steps 300]

Each is trained by plain descent on the bundled book, once as it is and once with gradients clipped to a norm of 1
(Pascanu et al. 2013). One that diverges is caught: no number that is not finite reaches its weights; the run goes back
to its last good state with half the rate, and is given up after the fourth time. Draws docs/exploding.svg, appends to
RESULTS.md.
"""

import argparse
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from results import append, table
from texts import CORPORA

from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import DivergedError
from charrnn.machine import choose
from charrnn.models.language_model import LanguageModel
from charrnn.plotting.style import COLOURS, picture
from charrnn.text.part import Part
from charrnn.text.tokenizers.char import CharTokenizer
from charrnn.training.batches import open_streams
from charrnn.training.events import Note, Report
from charrnn.training.loop import Trainer

PICTURE = Path(__file__).parents[1] / "docs" / "exploding.svg"
TEXT = CORPORA / "fables.txt"
HIDDEN, ROWS, BPTT, SEED = 128, 32, 64, 1
CLIPS = (None, 1.0)


@dataclass
class Course:
    """What a run came to: loss in nats and gradient norm step by step, and how often it had to go back."""

    cell: str
    clip: float | None
    losses: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)
    returns: int = 0
    diverged: bool = False

    def row(self) -> list[str]:
        """Its row of the table."""
        last = self.losses[-max(1, len(self.losses) // 10) :]
        end = "given up" if self.diverged else f"{sum(last) / len(last):.3f} nats per character"
        largest = f"{max(self.norms):.3g}" if self.norms else "not finite"
        return [self.cell, f"{self.clip or 'none'}", largest, f"{len(self.losses)}", str(self.returns), end]


def course(cell: str, clip: float | None, radius: float, lr: float, steps: int) -> Course:
    """Train one network, looking at every step."""
    text = TEXT.read_text(encoding="utf-8")
    tokenizer = CharTokenizer.train([text])
    tokens = tokenizer.encode(text).astype(np.uint32)
    streams = open_streams(
        Part(tokens, tokens.size), start_id=tokenizer.size, batch_size=ROWS, bptt=BPTT, seed=SEED, state_drop=0.0,
        newline=None,
    )  # fmt: skip
    network = LanguageModel(
        ModelConfig(
            vocab_size=tokenizer.size, start_id=tokenizer.size, cell=cell, layers=1, hidden=HIDDEN, embedding=32
        )
    )
    network.initialise(torch.Generator().manual_seed(SEED), radius)
    options = TrainConfig(
        seed=SEED, steps=steps, lr=lr, optimizer="sgd", warmup=0.0, weight_decay=0.0, clip=clip, batch_size=ROWS,
        bptt=BPTT, report_every=1,
    )  # fmt: skip
    found = Course(cell, clip)
    machine = choose("cpu", "fp32", None)
    trainer = Trainer(network, streams, options, machine, validate=None, save=lambda *_: None)
    try:
        for event in trainer.run():
            if isinstance(event, Report):
                found.losses.append(event.loss)
                found.norms.append(event.grad_norm)
            elif isinstance(event, Note):
                found.returns += event.warning
    except DivergedError:
        found.diverged = True
    return found


def draw(courses: list[Course]) -> bytes:
    """Loss on the left, norm before clipping on the right; a cross where a run was given up."""
    cells = list(dict.fromkeys(one.cell for one in courses))
    with picture(columns=2) as ((losses, norms), drawn):
        for one in courses:
            label = f"{one.cell}, {'not clipped' if one.clip is None else f'clipped at {one.clip:g}'}"
            style = {"color": COLOURS[cells.index(one.cell)], "linestyle": ":" if one.clip is None else "-"}
            for axes, values in ((losses, one.losses), (norms, one.norms)):
                axes.plot(range(1, len(values) + 1), values, label=label, **style)
                if one.diverged and values:
                    axes.plot(len(values), values[-1], "x", color=style["color"])
        for axes, title in ((losses, "loss, nats per character"), (norms, "gradient norm before clipping")):
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.set_title(title, loc="left")
            axes.set_xlabel("step")
        # Where runs can be told apart; what leaves it is to be seen on the right.
        losses.set_ylim(1, 100)
        losses.legend(frameon=False, fontsize=8)
    return drawn.getvalue()


def main() -> None:
    """Every cell, without clipping and with it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--spectral-radius", type=float, default=1.5)
    parser.add_argument("--cells", nargs="+", default=["rnn", "rnn-gelu", "rnn-relu"])
    parser.add_argument("--lr", type=float, default=0.5)
    parser.add_argument("--steps", type=int, default=300)
    arguments = parser.parse_args()
    courses = [
        course(cell, clip, arguments.spectral_radius, arguments.lr, arguments.steps)
        for cell in arguments.cells
        for clip in CLIPS
    ]
    PICTURE.write_bytes(draw(courses))
    append(
        f"Exploding gradients, spectral radius {arguments.spectral_radius:g}",
        f"{TEXT.name}, 1 x {HIDDEN}, plain descent at {arguments.lr:g}, {arguments.steps} steps of {ROWS} x {BPTT}.\n",
        table(
            ["cell", "clipped at", "largest norm", "finite steps", "not finite, caught", "end"],
            [one.row() for one in courses],
        ),
    )


if __name__ == "__main__":
    main()
