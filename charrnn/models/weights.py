"""The names and shapes of a network's weights, as its file has them. No torch: a file is checked before it is loaded.

Shapes: V vocabulary, E embedding, H hidden.
"""

from collections.abc import Mapping
from typing import TypeVar

from charrnn.config import ModelConfig, require
from charrnn.models.cells import CELLS, Cell
from charrnn.models.connections import CONNECTIONS, DENSE, connection

Shapes = dict[str, tuple[int, ...]]

# In front of the weights of the half that reads from the end, and of an ensemble's second member and those behind it:
# 'member.2.layers.0.rnn.weight_ih_l0', 'member.2.reverse.bias'.
REVERSE = "reverse."
MEMBER = "member."

Array = TypeVar("Array")


def weight_shapes(config: ModelConfig) -> Shapes:
    """Every weight of the network. Raises ConfigError on a cell or a connection that is not in its table."""
    require(
        config.skip in CONNECTIONS, f"skip must be one of {', '.join(filter(None, CONNECTIONS))}, not {config.skip!r}"
    )
    table = formula(config.cell).table()
    require(
        config.weight_drop is None or any(weight.recurrent for weight in table.values()),
        f"{config.cell} has no recurrent matrices to drop: leave out weight-drop",
    )
    member: Shapes = {"embedding.weight": (config.start_id + 1, config.embedding)}
    for prefix in ("", REVERSE) if config.bidirectional else ("",):
        member |= {prefix + name: shape for name, shape in _half(config).items()}
    return {prefix + name: shape for prefix in member_prefixes(config) for name, shape in member.items()}


def member_prefixes(config: ModelConfig) -> list[str]:
    """What stands in front of the names of each member's weights: nothing in front of the first's."""
    return ["", *(f"{MEMBER}{number}." for number in range(2, config.ensemble + 1))]


def of_member(weights: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    """The weights of the member with this prefix, under the names that they would have by themselves."""
    if not prefix:
        return {name: weight for name, weight in weights.items() if not name.startswith(MEMBER)}
    return {name.removeprefix(prefix): weight for name, weight in weights.items() if name.startswith(prefix)}


def split_models(config: ModelConfig, weights: Mapping[str, Array]) -> list[dict[str, Array]]:
    """The weights of each network of an ensemble, under the names that they would have by themselves."""
    return [of_member(weights, prefix) for prefix in member_prefixes(config)]


def direction_weights(weights: Mapping[str, Array], direction: str = "forwards") -> dict[str, Array]:
    """Of one network's weights those that read 'forwards' or 'backwards', and the embedding of both.

    Names are a direction's own: 'embedding.weight', 'layers.0.rnn.weight_ih_l0', 'connections.0.gain', 'head', 'bias'.
    """
    if direction == "forwards":
        return {name: weight for name, weight in weights.items() if not name.startswith(REVERSE)}
    own = {name.removeprefix(REVERSE): weight for name, weight in weights.items() if name.startswith(REVERSE)}
    return {"embedding.weight": weights["embedding.weight"], **own}


def formula(cell: str) -> type[Cell]:
    """The cell of this name. Raises ConfigError when it is not in the table."""
    require(cell in CELLS, f"cell must be one of {', '.join(CELLS)}, not {cell!r}")
    return CELLS[cell]


def _half(config: ModelConfig) -> Shapes:
    """What reads the text in one direction."""
    table, hidden = CELLS[config.cell].table(), config.hidden
    shapes: Shapes = {"bias": (config.vocab_size,)}
    if not config.tie:
        shapes["head"] = (config.vocab_size, head_inputs(config))
    for layer in range(config.layers):
        inputs = hidden if layer else config.embedding
        shapes |= {f"layers.{layer}.rnn.{name}": weight.shape(inputs, hidden) for name, weight in table.items()}
        between = connection(config.skip, layer).table(config.norm)
        shapes |= {f"connections.{layer}.{name}": weight.shape(hidden, hidden) for name, weight in between.items()}
    return shapes


def head_inputs(config: ModelConfig) -> int:
    """How many numbers the head reads: those of the last layer, or of all."""
    return config.hidden * (config.layers if config.skip == DENSE else 1)


def bounded(config: ModelConfig) -> bool:
    """Whether all that the recurrent layers and the head multiply lies in [-1, 1], as products in 8 bits ask for."""
    between = (connection(config.skip, layer).bounded for layer in range(config.layers))
    return CELLS[config.cell].bounded and not config.norm and all(between)
