"""What counts of the training text add to a network, step by step, on the part that the network's run held out.

    python benchmarks/counts.py MODEL [--checkpoints FOLDER] [--gradient] [--quick]

Nats per token: the network alone, with one n-gram of order 8, with all experts at constant weights, and with a gate;
the state carried, and reset every 256 tokens. All weights are fitted on one half and reported on the other, both ways.
Below these, figures of what learns as it reads, each token scored first, the state carried: counts without the network
and with it; with --gradient, also the network that learns, and both. Prints the table, how long counting took and what
the tables weigh, and appends to RESULTS.md; --quick writes nothing.
"""

import argparse
import time
from typing import TYPE_CHECKING

import numpy as np
from results import append, table

if TYPE_CHECKING:
    from charrnn.api import Model

READINGS = {"carried": None, "reset every 256": 256}
ROWS = 8192


def main() -> None:
    """Read the text once for each reading; the rest is arithmetic on what was held likely."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model")
    parser.add_argument("--checkpoints")
    parser.add_argument("--gradient", action="store_true")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()

    from charrnn import api
    from charrnn.api.learned import training_text
    from charrnn.models.counts import Experts, KneserNey
    from charrnn.models.counts.fitting import Examples, fit, fit_constants
    from charrnn.models.counts.mixture import Gate, mixed
    from charrnn.scoring.counts import Mixture, middle
    from charrnn.text.dataset import encode_part

    def mean_nats(gates: list[Gate], halves: list[Examples]) -> float:
        nats = []
        for gate, half in zip(gates, halves, strict=True):
            for first in range(0, half.tokens.size, ROWS):
                log_p, tokens = half.log_p[:, first : first + ROWS], half.tokens[first : first + ROWS]
                nats.append(-mixed(log_p, gate.weights(log_p))[np.arange(tokens.size), tokens])
        return float(np.concatenate(nats).mean())

    model = api.load(arguments.model, checkpoints=arguments.checkpoints)
    training = encode_part(model.tokenizer, [training_text(model)], model.documents)
    part = encode_part(model.tokenizer, [api.held_out(model).read()], model.documents)
    own = model.counts.experts
    eight = KneserNey.count(training.tokens, model.config.start_id, 8, training.starts)
    experts = Experts({"order 8": eight, **own.named}, own.vocab_size)
    second = np.arange(part.tokens.size) >= middle(part)
    columns: list[list[str]] = []
    for reset_every in READINGS.values():
        halves = Mixture(model.network, experts, reset_every).examples(part, [~second, second])
        found = [mean_nats([Gate.constant([1.0])] * 2, [Examples(half.log_p[:1], half.tokens) for half in halves])]
        for some in ([0, 1], [0, *range(2, 2 + len(own.named))]):
            kept = [Examples(half.log_p[some], half.tokens) for half in halves]
            start = np.append(0.7, np.full(len(some) - 1, 0.1))
            constants = [Gate.constant(fit_constants(half, start).tolist()) for half in reversed(kept)]
            found.append(mean_nats(constants, kept))
        started = time.process_time()
        gates = [fit(half, gate) for half, gate in zip(reversed(kept), constants, strict=True)]
        seconds = time.process_time() - started
        columns.append([f"{each:.4f}" for each in [*found, mean_nats(gates, kept)]])
    names = ["network alone", "+ Kneser-Ney order 8, constants", f"+ {', '.join(own.named)}: constants", "+ a gate"]
    learning = [[f"{name}, learning", nats, ""] for name, nats in learning_figures(model, arguments.gradient).items()]
    shown = table(["nats per token", *READINGS], [*map(list, zip(names, *columns, strict=True)), *learning])
    told = (
        f"{model.name}, {part.tokens.size:,} tokens held out; counting {model.counts.seconds:.1f} s, two gates "
        f"{seconds:.1f} s; tables {sum(expert.nbytes for expert in own.named.values()) / 1e6:.0f} MB\n"
    )
    if arguments.quick:
        print(f"{told}\n{shown}")
    else:
        append("Counts beside the network", told, shown)


def learning_figures(model: "Model", gradient: bool) -> dict[str, str]:
    """Nats per token of the held-out part by what learns as it reads."""
    from charrnn import api
    from charrnn.api.adapting import Adapting
    from charrnn.scoring.mixing import begins
    from charrnn.text.dataset import encode_part

    text = api.held_out(model).read()
    part = encode_part(model.tokenizer, [text], model.documents)
    likely = Adapting(model, "counts").mixer(part).read(part.tokens, begins(part))
    score = model.score(text, adapt="both" if gradient else "counts", unknown=True)
    found = {"network and counts": score.adapted_counts, "network": score.adapted, "both": score.adapted_both}
    nats = {"counts alone": float(-np.log(likely).mean()), **{name: one.loss for name, one in found.items() if one}}
    return {name: f"{each:.4f}" for name, each in nats.items()}


if __name__ == "__main__":
    main()
