"""The names and shapes of a network's weights, as its file has them. No torch: a file is checked before it is loaded.

Shapes: V vocabulary, E embedding, H hidden, G gates x H.
"""

from charrnn.config import ModelConfig, require
from charrnn.models.cells import CELLS

Shapes = dict[str, tuple[int, ...]]


def weight_shapes(config: ModelConfig) -> Shapes:
    """Every weight of the network. Raises ConfigError on a cell that is not in the table."""
    require(config.cell in CELLS, f"cell must be one of {', '.join(CELLS)}, not {config.cell!r}")
    formula, hidden = CELLS[config.cell], config.hidden
    gates = formula.gates * hidden
    shapes: Shapes = {"embedding.weight": (config.start_id + 1, config.embedding), "bias": (config.vocab_size,)}
    if not config.tie:
        shapes["head"] = (config.vocab_size, hidden)
    for layer in range(config.layers):
        of_layer: Shapes = {
            "weight_ih_l0": (gates, hidden if layer else config.embedding),
            "weight_hh_l0": (gates, hidden),
            "bias_ih_l0": (gates,),
            "bias_hh_l0": (gates,),
            **{name: (times * hidden,) for name, (times, _) in formula.vectors.items()},
        }
        shapes |= {f"layers.{layer}.rnn.{name}": shape for name, shape in of_layer.items()}
    return shapes
