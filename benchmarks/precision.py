"""What fewer bits cost: training in bf16 beside fp32, and generating from 8-bit weights beside fp32.

    python benchmarks/precision.py TEXT [--steps 1000] [--cells lstm gru]

Same steps, same seed, the last tenth of the text held out. Prints nats per character, and appends to RESULTS.md.
"""

import argparse
import math
import tempfile
from pathlib import Path

from results import append, table

SIZES = [128, 256, 512]


def main() -> None:
    """Train each network twice, score both, and round the second."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("text", type=Path)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--cells", nargs="+", default=["lstm", "gru"])
    parser.add_argument("--hidden", type=int, nargs="+", default=SIZES)
    arguments = parser.parse_args()

    import charrnn
    from charrnn import api
    from charrnn.training.int8_check import int8_cost

    rows = []
    for cell in arguments.cells:
        for hidden in arguments.hidden:
            losses = {}
            for precision in ("fp32", "bf16"):
                with tempfile.TemporaryDirectory() as folder:
                    model = charrnn.train(
                        str(arguments.text), checkpoints=Path(folder), valid=0.1, steps=arguments.steps, seed=1,
                        patience=None, cell=cell, hidden=hidden, precision=precision,
                    )  # fmt: skip
                    held_out = api.held_out(model).read()
                    losses[precision] = model.score(held_out).loss
            lost = int8_cost(model.network, model.tokenizer.encode(held_out)) / math.log(2)
            rows.append([
                f"{cell} 2 x {hidden}", f"{losses['fp32']:.4f}", f"{losses['bf16']:.4f}",
                f"{losses['bf16'] - losses['fp32']:+.4f}", f"{lost:+.5f}",
            ])  # fmt: skip
            print(*rows[-1], flush=True)
    append(
        "Precision",
        f"{arguments.steps:,} steps of 32 x 64 on {arguments.text.name}, one seed; validation, state carried, nats per "
        "character; 8-bit weights against fp32 for the bf16-trained network, bits per character.\n",
        table(["network", "trained in fp32", "in bf16", "difference", "int8, bpc"], rows),
    )


if __name__ == "__main__":
    main()
