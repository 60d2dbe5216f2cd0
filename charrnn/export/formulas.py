"""What stands beside weights for those who write their own: the formulas, in the words of the cells."""

from inspect import getdoc

from charrnn.config import ModelConfig
from charrnn.export.source import cell_source, helpers_of
from charrnn.export.trained import Trained, left_out, plain_names, states_of
from charrnn.models.cells import CELLS
from charrnn.models.connections import DENSE, connection

README = """\
# {name}: weights and formulas

{size}: `weights.npz` has its weights in float32 (`numpy.load`), matrices (out, in) as torch lays them out;
`tokenizer.json` what each id stands for, a text or a byte; `example.py` writes with them, in NumPy alone.{left_out}

## One step

Ids (B,) and states (B, {hidden}) each, {states}, zeros before any text; id {start} comes first. x is
`embedding[ids]`. Layer by layer, from its input x and its states:

    {formula}

W is `weight_ih`, U `weight_hh`. Each has all gates, one behind another in its rows. In which order they stand, and
which weight is which, the same in NumPy says; w are the layer's weights, and H is {hidden}:

```python
{cell}```
{between}

The logits are `{head} @ {reads} + bias`; their softmax is the distribution of the next id{end}.{mixture}

## Weights

{weights}
"""


def formulas(model: Trained) -> str:
    """README.md of a folder of weights."""
    config = model.config
    formula = CELLS[config.cell]
    cell = cell_source(formula, config.embedding, config.hidden)
    told = (getdoc(formula) or "").strip().replace("\n", "\n    ").replace("\n    \n", "\n\n")
    shapes = {name: " x ".join(map(str, weight.shape)) for name, weight in sorted(plain_names(model.weights).items())}
    return README.format(
        name=model.name,
        size=f"{config.size}{config.manner}, {model.tokenizer.size:,} {model.tokenizer.unit}",
        left_out="".join(f" It is {line}." for line in left_out(model)),
        hidden=config.hidden,
        states=", ".join(f"`{state}`" for state in states_of(config)),
        start=config.start_id,
        formula=told,
        cell=helpers_of(cell) + cell,
        between=_between(config),
        head=f"embedding[:{config.vocab_size}]" if config.tie else "head",
        reads="the outputs of all layers, one behind another" if config.skip == DENSE else "the last layer's output",
        end=f" (id {config.start_id}: the end of a document)" if config.documents else "",
        mixture=_mixture(config),
        weights="\n".join(f"- `{name}` {shape}" for name, shape in shapes.items()),
    )


def _between(config: ModelConfig) -> str:
    """What stands between layers, where that is anything."""
    kind = connection(config.skip, 1)
    normalised = " y is normalised first, by `gain` and `shift`, above the first layer too." if config.norm else ""
    if kind.plain:
        return f"\nWhat reads a layer reads its output y.{normalised}" if normalised else ""
    said = " ".join((getdoc(kind) or "").split())
    return f"\nAbove each layer but the first, of its output y and its input x: {said}{normalised}"


def _mixture(config: ModelConfig) -> str:
    if config.ensemble == 1:
        return ""
    return (
        f" The {config.ensemble} networks, `models.0` and so on, read the same ids; their probabilities are averaged."
    )
