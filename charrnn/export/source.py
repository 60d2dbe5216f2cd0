"""A formula as lines of NumPy, for those who write their own: what was recorded of it, in Python.

Shapes: B rows, H hidden.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from charrnn.export.formula import ROWS, Operand, Operation, Recorder, Value
from charrnn.models.cells import Cell, gather
from charrnn.models.connections import Connection

INFIX = {"Add": "+", "Sub": "-", "Mul": "*", "Div": "/"}
# How tightly each holds together; what is looser than what it stands in has brackets.
TIGHTNESS = {"Add": 1, "Sub": 1, "Mul": 2, "Div": 2, "Gemm": 1, "Neg": 3}
WHOLE = 9
FUNCTIONS = {
    "Sigmoid": "sigmoid",
    "Tanh": "np.tanh",
    "Relu": "relu",
    "Exp": "np.exp",
    "Softplus": "softplus",
    "LayerNormalization": "normalise",
}
# Those that NumPy has not.
HELPERS = {
    "sigmoid": "    return 0.5 * np.tanh(0.5 * x) + 0.5",
    "relu": "    return np.maximum(x, 0)",
    "softplus": "    return np.logaddexp(0, x)",
    "normalise": "    x = x - x.mean(-1, keepdims=True)\n"
    "    return gain * x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5) + shift",
}
ARGUMENTS = {"normalise": "x, gain, shift=0"}


def cell_source(formula: type[Cell], inputs: int, hidden: int) -> str:
    """One step of a cell: `def cell(x, h, c, w)`, which gives its next state, the output in front."""
    op = Recorder()
    names: dict[int, str] = {}
    weights = {}
    for name, weight in formula.table().items():
        weights[name] = Value(op, weight.shape(inputs, hidden))
        names[id(weights[name])] = f'w["{name.removesuffix("_l0")}"]'
    cell, x = formula(gather(formula, weights), op), Value(op, (ROWS, inputs))
    state = formula.state_type(*(Value(op, (ROWS, hidden)) for _ in formula.state_names))
    names |= {id(x): "x"} | {id(part): name for part, name in zip(state, formula.state_names, strict=True)}
    after = cell.step(cell.project(x), cell.recur(state[0]), state)
    head = f"def cell({', '.join(['x', *formula.state_names])}, w):"
    given = {id(part): f"new_{name}" for name, part in zip(formula.state_names, after, strict=True)}
    written = _Written(names, hidden)
    lines = written.lines(op.operations, given)
    return "\n".join([head, *lines, f"    return [{', '.join(given.values())}]", ""])


def join_source(kind: type[Connection], hidden: int, *, norm: bool) -> str:
    """What stands above a layer: `def join(y, x, w)`, of its output and its input."""
    op = Recorder()
    table = kind.table(norm)
    weights = {name: Value(op, weight.shape(hidden, hidden)) for name, weight in table.items()}
    y, x = Value(op, (ROWS, hidden)), Value(op, (ROWS, hidden))
    names = {id(y): "y", id(x): "x"} | {id(weight): f'w["{name}"]' for name, weight in weights.items()}
    written, joined = _Written(names, hidden), kind(weights, op)(y, x)
    lines = written.lines(op.operations, {})
    return "\n".join(["def join(y, x, w):", *lines, f"    return {written.text(joined, 0)}", ""])


def helpers_of(source: str) -> str:
    """The functions that some lines call and NumPy has not."""
    return "".join(
        f"def {name}({ARGUMENTS.get(name, 'x')}):\n{body}\n\n\n"
        for name, body in HELPERS.items()
        if f"{name}(" in source
    )


class _Written:
    """Values as text, and how tightly each text holds together."""

    def __init__(self, names: dict[int, str], hidden: int) -> None:
        self._texts = {key: (name, WHOLE) for key, name in names.items()}
        self._hidden = hidden

    def lines(self, operations: Sequence[Operation], given: Mapping[int, str]) -> list[str]:
        """A line for each value that is read more than once or `given` a name; all others stand where they are read."""
        read = Counter(id(each) for operation in operations for each in operation.inputs)
        found: list[str] = []
        own = 0
        for operation in operations:
            key, text, tightness = id(operation.output), self._expression(operation), TIGHTNESS.get(operation.name)
            name = given.get(key)
            if name is None and read[key] > 1 and operation.name != "Slice":
                own += 1
                name = f"a{own}"
            if name is not None:
                found.append(f"    {name} = {text}")
                text, tightness = name, None
            self._texts[key] = (text, tightness or WHOLE)
        return found

    def _expression(self, operation: Operation) -> str:
        """One operation over the texts of what it takes."""
        name, inputs = operation.name, operation.inputs
        if name in INFIX:
            own = TIGHTNESS[name]
            # On the right of - and /, what is as tight needs brackets too.
            return f"{self.text(inputs[0], own)} {INFIX[name]} {self.text(inputs[1], own + (name in ('Sub', 'Div')))}"
        if name in FUNCTIONS:
            return f"{FUNCTIONS[name]}({', '.join(self.text(each, 0) for each in inputs)})"
        if name == "Neg":
            return f"-{self.text(inputs[0], TIGHTNESS[name])}"
        if name == "Gemm":
            bias = "".join(f" + {self.text(each, 1)}" for each in inputs[2:])
            return f"{self.text(inputs[0], WHOLE)} @ {self.text(inputs[1], WHOLE)}.T{bias}"
        assert name == "Slice", name
        rows = ":, " if operation.inputs[0].shape[0] == ROWS else ""
        start, stop = operation.attributes["start"], operation.attributes["stop"]
        return f"{self.text(inputs[0], WHOLE)}[{rows}{self._size(start) if start else ''}:{self._size(stop)}]"

    def text(self, operand: Operand, tightness: int) -> str:
        """A value, or a number, in brackets where it is looser than this."""
        if isinstance(operand, int | float):
            return repr(operand)
        text, own = self._texts[id(operand)]
        return text if own >= tightness else f"({text})"

    def _size(self, place: int) -> str:
        """A place in a row, in units of H."""
        times, left = divmod(place, self._hidden)
        return str(place) if left else "H" if times == 1 else f"{times} * H"
