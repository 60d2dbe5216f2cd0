"""What counts of the training text add to a network, and what they cost.

    python benchmarks/counts.py MODEL [--checkpoints FOLDER] [--gradient] [--quick]

Nats per token of the part that the model's run held out, all weights fitted on one half and reported on the other, both
ways: the network alone, beside one n-gram, beside all experts at constant weights, and with a gate; the state carried,
and reset every 256 tokens. Then characters a second written, alone and beside counts, in turns; and how many spans of
20 and 40 characters of what is written stand in the training text, beside the held-out text's own share; and figures of
what learns as it reads, each token scored first: counts without the network and with it; with --gradient, also the
network that learns, and both.
Prints the tables and appends to RESULTS.md; --quick writes nothing.
"""

import argparse
import statistics
import time

import numpy as np
from results import append, table

from charrnn import api
from charrnn.analysis.novelty import novelty_curve
from charrnn.api.adapting import Adapting, size_of
from charrnn.models.counts.fitting import Examples, fit, fit_constants
from charrnn.models.counts.mixture import Gate
from charrnn.scoring.counts import examples_of, fixed_gate, mean_of, middle
from charrnn.scoring.mixing import begins
from charrnn.text.dataset import encode_part

READINGS = {"carried": None, "reset every 256": 256}
STREAMS, TURNS = {1: 20_000, 64: 1000}, 5
SPANS, CHARS, ROWS, TEMPERATURES = (20, 40), 100_000, 50, (0.8, 1.0)


def main() -> None:
    """Read the text once for each reading; the rest is arithmetic on what was held likely."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model")
    parser.add_argument("--checkpoints")
    parser.add_argument("--gradient", action="store_true")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    both, alone = (api.load(arguments.model, checkpoints=arguments.checkpoints, counts=own) for own in (True, False))
    assert both.counts is not None and both.header.counts is not None, "the model has no counts"
    told = (
        f"{both.name}: {both.config.size}; counts of {both.header.counts.tokens:,} tokens, "
        f"{both.counts.experts.nbytes / 1e6:.1f} MB of a file of {both.header.bytes / 1e6:.1f}\n"
    )
    learning = learning_figures(both, arguments.gradient)
    shown = "\n".join([figures(both), learning, speeds(both, alone), copying(both, alone)])
    if arguments.quick:
        print(f"{told}\n{shown}")
    else:
        append("Counts beside the network", told, shown)


def figures(model: api.Model) -> str:
    """What each expert brings."""
    assert model.counts is not None
    experts, networks = model.counts.experts, model.counts.mixture.networks
    fixed = fixed_gate(experts, networks)
    part = encode_part(model.tokenizer, [api.held_out(model).read()], model.documents)
    columns: list[list[str]] = []
    for reset_every in READINGS.values():
        parted = part.parted(middle(part))
        halves = [examples_of(model.network, experts, half, networks, reset_every=reset_every) for half in parted]

        def mean(gates: list[Gate], kept: list[Examples]) -> str:
            costs = sum(half.cost(gate) for half, gate in zip(kept, gates, strict=True))
            return f"{costs / sum(half.tokens.size for half in kept):.4f}"

        alone = -np.concatenate([mean_of(half.own[:, :networks]) for half in halves]).mean()
        found = [f"{alone:.4f}"]
        for some in (list(range(networks + 1)), list(range(networks + len(experts.each)))):
            kept = [Examples(half.log_p[some], half.tokens) for half in halves]
            constants = [Gate.constant(fit_constants(half, fixed.constants[some]).tolist()) for half in reversed(kept)]
            found.append(mean(constants, kept))
        columns.append([*found, mean([fit(half, fixed) for half in reversed(halves)], halves)])
    names = ["network alone", f"+ {experts.names[0]}", f"+ {', '.join(experts.names)}", "+ a gate"]
    return table(["nats per token", *READINGS], [list(row) for row in zip(names, *columns, strict=True)])


def speeds(both: api.Model, alone: api.Model) -> str:
    """Medians of characters a second, one after the other in turns, and their ratio."""
    rows = []
    for streams, length in STREAMS.items():
        seconds: list[list[float]] = [[], []]
        for _ in range(TURNS):
            for own, model in zip(seconds, (alone, both), strict=True):
                own.append(_seconds(model, streams, length))
        fast, slow = (streams * length / statistics.median(own) for own in seconds)
        rows.append([f"{streams}", f"{fast / 1e3:.1f} k", f"{slow / 1e3:.1f} k", f"{slow / fast:.2f}"])
    return table(["streams", "alone, characters/s", "beside counts", "ratio"], rows)


def _seconds(model: api.Model, rows: int, length: int) -> float:
    began = time.perf_counter()
    for _ in model.stream("", rows=rows, length=length, seed=1):
        pass
    return time.perf_counter() - began


def copying(both: api.Model, alone: api.Model) -> str:
    """Shares of spans that stand word for word in the training text."""
    index = both.copy_index

    def shares(texts: list[str]) -> list[str]:
        new = novelty_curve("", texts, index, max(SPANS)).shares
        return [f"{100 * (1 - (new[span - 1] or 0)):.2f}%" for span in SPANS]

    rows = [["held-out text", *shares([api.held_out(both).read()[:CHARS]])]]
    for temperature in TEMPERATURES:
        for name, model in (("alone", alone), ("beside counts", both)):
            found = model.samples(rows=ROWS, length=CHARS // ROWS, seed=1, temperature=temperature)
            rows.append([f"temperature {temperature:g}, {name}", *shares([each.text for each in found])])
    return table(["spans in the training text", *(f"of {span}" for span in SPANS)], rows)


def learning_figures(model: api.Model, gradient: bool) -> str:
    """The same by what learns as it reads."""
    text = api.held_out(model).read()
    part = encode_part(model.tokenizer, [text], model.documents)
    likely = Adapting(model, "counts").mixer(size_of(part)).read(part.tokens, begins(part))
    score = model.score(text, adapt="both" if gradient else "counts", unknown=True)
    found = {"network and counts": score.adapted_counts, "network": score.adapted, "both": score.adapted_both}
    nats = {"counts alone": float(-np.log(likely).mean()), **{name: one.loss for name, one in found.items() if one}}
    return table(["nats per token, learning", "carried"], [[name, f"{each:.4f}"] for name, each in nats.items()])


if __name__ == "__main__":
    main()
