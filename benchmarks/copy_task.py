"""Who remembers a few symbols over a gap: simple network, LSTM, GRU; and the gradients that show why.

    python benchmarks/copy_task.py [--gaps 10 50] [--cells rnn lstm gru] [--steps 4000]

The task (Hochreiter & Schmidhuber 1997, Arjovsky et al. 2016): read five of eight symbols, a gap of blanks, a sign, and
then give the five again. Prints how many of them are right (chance is one in eight) and how fast gradients fall from
the first symbol that is asked for back to where it was read, before training and after it. Draws docs/copy_task.svg,
appends to RESULTS.md.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from results import append, table

from charrnn.analysis.gradients import GradientFlow, gradient_flow
from charrnn.config import ModelConfig, TrainConfig
from charrnn.machine import choose
from charrnn.models.language_model import LanguageModel
from charrnn.models.loss import IGNORED
from charrnn.plotting.analysis import draw_flows
from charrnn.training.batches import FRESH, Batch
from charrnn.training.loop import Trainer

PICTURE = Path(__file__).parents[1] / "docs" / "copy_task.svg"
SYMBOLS, KEPT = 8, 5
BLANK, SIGN = SYMBOLS, SYMBOLS + 1
ROWS, HIDDEN = 64, 128


class Copies:
    """Windows that each hold one task in every row, begun from no memory; only what is to be given again counts."""

    batch_size, ended = ROWS, False

    def __init__(self, gap: int, seed: int) -> None:
        self.gap, self.seed, self.bptt = gap, seed, 2 * KEPT + gap

    def windows(self, epoch: int) -> int:
        """As many as an epoch may ever need."""
        return 1 << 30

    def window(self, epoch: int, index: int) -> Batch:
        """Inputs and targets (B, T), drawn from the seed and the index."""
        rows = torch.from_numpy(self.rows(index))
        inputs, targets = rows[:, :-1].clone(), rows[:, 1:].clone()
        targets[:, : KEPT + self.gap] = IGNORED
        return Batch(inputs, targets, torch.full((ROWS,), FRESH))

    def rows(self, index: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.int64]]":
        """Symbols, blanks, the sign, the symbols again: (B, 2 KEPT + gap + 1)."""
        symbols = np.random.default_rng([self.seed, index]).integers(0, SYMBOLS, (ROWS, KEPT))
        blanks, sign = np.full((ROWS, self.gap), BLANK), np.full((ROWS, 1), SIGN)
        return np.hstack([symbols, blanks, sign, symbols]).astype(np.int64)


def flow_of(network: LanguageModel, gap: int, name: str) -> GradientFlow:
    """From the loss of the first symbol that is asked for back through the gap to where it was read."""
    upto = Copies(gap, seed=9).rows(0)[:, : KEPT + gap + 2].astype(np.uint32)
    flows = [gradient_flow(network, row, reach=KEPT + gap, positions=1, warm_up=0) for row in upto[:32]]
    return GradientFlow(name, np.concatenate([flow.norms for flow in flows], axis=2))


def accuracy(network: LanguageModel, gap: int) -> float:
    """The share of symbols given again rightly, each the most probable one, over 16 windows never trained on."""
    right = []
    with torch.inference_mode():
        for index in range(16):
            window = Copies(gap, seed=8).window(0, index)
            logits, _ = network.eval()(window.inputs, network.initial_states(ROWS))
            asked = window.targets != IGNORED
            right.append((logits.argmax(-1) == window.targets)[asked].float().mean())
    return float(torch.stack(right).mean())


def train(cell: str, gap: int, steps: int) -> tuple[float, GradientFlow, GradientFlow]:
    """One network on one gap: its accuracy, its gradients before and after."""
    config = ModelConfig(vocab_size=SYMBOLS + 2, start_id=SYMBOLS + 2, cell=cell, layers=1, hidden=HIDDEN, embedding=16)
    network = LanguageModel(config)
    network.initialise(torch.Generator().manual_seed(1))
    before = flow_of(network, gap, f"{cell}, untrained")
    options = TrainConfig(seed=1, steps=steps, lr=3e-3, weight_decay=0.0, bptt=2 * KEPT + gap, batch_size=ROWS)
    trainer = Trainer(
        network, Copies(gap, seed=7), options, choose("cpu", "fp32", None), validate=None, save=lambda *_: None
    )  # fmt: skip
    for _ in trainer.run():
        pass
    return accuracy(network, gap), before, flow_of(network, gap, cell)


def half(flow: GradientFlow) -> str:
    """The half-life of a gradient in the one layer there is, in steps."""
    found = flow.half_life(0)
    return "never" if found is None else f"{found:.1f}"


def main() -> None:
    """Every gap and every cell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--gaps", type=int, nargs="+", default=[10, 50])
    parser.add_argument("--cells", nargs="+", default=["rnn", "lstm", "gru"])
    parser.add_argument("--steps", type=int, default=4000)
    arguments = parser.parse_args()
    rows, shown = [], []
    for gap in arguments.gaps:
        for cell in arguments.cells:
            right, before, after = train(cell, gap, arguments.steps)
            rows.append([str(gap), cell, f"{right:.1%}", half(before), half(after)])
            print(*rows[-1], flush=True)
            if gap == arguments.gaps[-1]:
                shown += [before, after]
    PICTURE.write_bytes(draw_flows(shown))
    append(
        "A copy task",
        f"{KEPT} of {SYMBOLS} symbols over a gap, 1 x {HIDDEN}, {arguments.steps:,} steps of {ROWS} rows, one seed.\n",
        table(
            ["gap", "cell", "given again rightly", "gradient halves in, untrained", "gradient halves in, trained"], rows
        ),
    )


if __name__ == "__main__":
    main()
