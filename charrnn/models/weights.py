"""The names and shapes of a network's weights, as its file has them. No torch: a file is checked before it is loaded.

Shapes: V vocabulary, E embedding, H hidden.
"""

import re
from collections.abc import Mapping
from typing import TypeVar

from charrnn.config import ModelConfig, require
from charrnn.models.cells import CELLS, Cell
from charrnn.models.connections import CONNECTIONS, DENSE, connection

Shapes = dict[str, tuple[int, ...]]

# Names are 'embedding.weight', 'forwards.layers.0.rnn.weight_ih_l0', 'backwards.bias'; 'models.1.forwards.head'.
EMBEDDING = "embedding.weight"
FORWARDS, BACKWARDS = "forwards", "backwards"

Array = TypeVar("Array")


def weight_shapes(config: ModelConfig) -> Shapes:
    """Every weight of the network. Raises ConfigError on a cell or a connection that is not in its table."""
    require(
        config.skip in CONNECTIONS, f"skip must be one of {', '.join(filter(None, CONNECTIONS))}, not {config.skip!r}"
    )
    table = formula(config.cell).table()
    require(
        config.weight_drop is None or any(weight.recurrent for weight in table.values()),
        f"{config.cell} has no recurrent matrices to drop: leave out `weight_drop`",
    )
    model: Shapes = {EMBEDDING: (config.start_id + 1, config.embedding)}
    for direction in (FORWARDS, BACKWARDS) if config.bidirectional else (FORWARDS,):
        model |= {f"{direction}.{name}": shape for name, shape in _direction(config).items()}
    return {prefix + name: shape for prefix in _prefixes(config) for name, shape in model.items()}


def _prefixes(config: ModelConfig) -> list[str]:
    """What stands in front of the names of each model's weights: nothing where it is the only one."""
    return [""] if config.ensemble == 1 else [f"models.{number}." for number in range(config.ensemble)]


def split_models(config: ModelConfig, weights: Mapping[str, Array]) -> list[dict[str, Array]]:
    """The weights of each model of a network, under the names that they would have by themselves."""
    return [
        {name.removeprefix(prefix): weight for name, weight in weights.items() if name.startswith(prefix)}
        for prefix in _prefixes(config)
    ]


def direction_weights(weights: Mapping[str, Array], direction: str = FORWARDS) -> dict[str, Array]:
    """Of one model's weights those that read 'forwards' or 'backwards', and the embedding of both.

    Names are a direction's own: 'embedding.weight', 'layers.0.rnn.weight_ih_l0', 'connections.0.gain', 'head', 'bias'.
    """
    prefix = f"{direction}."
    own = {name.removeprefix(prefix): weight for name, weight in weights.items() if name.startswith(prefix)}
    return {EMBEDDING: weights[EMBEDDING], **own}


def own_name(name: str) -> str:
    """A weight's name within its direction: 'models.1.backwards.head' -> 'head'."""
    return re.sub(rf"^(models\.\d+\.)?(({FORWARDS}|{BACKWARDS})\.)?", "", name)


def current_name(name: str, *, ensemble: bool) -> str:
    """What a weight of a file of formats 1 to 4 is called today; `ensemble`: whether the file's network is one.

    'reverse.bias' -> 'backwards.bias', 'head' -> 'forwards.head', in an ensemble 'models.0.forwards.head',
    'member.2.head' -> 'models.1.forwards.head'. Members were counted from 1, and the first had no number.
    """
    prefix = ""
    if ensemble:
        numbered = re.fullmatch(r"member\.(\d{1,6})\.(.*)", name)
        number, name = (int(numbered[1]), numbered[2]) if numbered else (1, name)
        prefix = f"models.{number - 1}."
    if name == EMBEDDING:
        return prefix + name
    if name.startswith("reverse."):
        return f"{prefix}{BACKWARDS}.{name.removeprefix('reverse.')}"
    return f"{prefix}{FORWARDS}.{name}"


def formula(cell: str) -> type[Cell]:
    """The cell of this name. Raises ConfigError when it is not in the table."""
    require(cell in CELLS, f"cell must be one of {', '.join(CELLS)}, not {cell!r}")
    return CELLS[cell]


def _direction(config: ModelConfig) -> Shapes:
    """The weights of what reads the text in one direction."""
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


def require_bounded(config: ModelConfig) -> None:
    """Raises ConfigError where 8 bits cannot hold what a network multiplies."""
    require(
        bounded(config), "what this network's layers give is not bounded by 1, as 8 bits need: leave out `precision`"
    )
