"""What a cell is: one time step, written as its formula, for torch and for NumPy alike.

Shapes: B batch, E input size, H hidden size, G gates x H. Gates stand in torch's order: i f g o, and r z n.
`project` does all that needs no state, for a whole sequence at once; `recur` is what the state adds; `step` is the
rest. A formula borrows its weights and its operations from whoever runs it: a layer in training, the engine, a test.
Nothing here imports either library, so that text can be generated without torch.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Protocol

from charrnn.models.states import Array, State


class Operations(Protocol):
    """What a formula asks of an array library."""

    def linear(self, x: Array, weight: Any, bias: Array | None) -> Array:
        """x (..., K), weight (N, K), bias (N,) -> (..., N)"""

    def sigmoid(self, x: Array) -> Array:
        """1 / (1 + exp(-x))"""

    def log_sigmoid(self, x: Array) -> Array:
        """-log(1 + exp(-x)), finite wherever x is."""

    def tanh(self, x: Array) -> Array:
        """Hyperbolic tangent."""

    def relu(self, x: Array) -> Array:
        """x where it is positive, else 0."""

    def exp(self, x: Array) -> Array:
        """e to the x."""

    def normalise(self, x: Array, gain: Array, bias: Array | None = None) -> Array:
        """gain (x - mean) / sqrt(variance + 1e-5) + bias over the last axis (Ba et al. 2016)."""

    def split(self, x: Array, parts: int) -> Sequence[Array]:
        """The last axis in equal parts."""


class Weight(NamedTuple):
    """One weight of a layer: its axes in units of E and H ("4H", "E"), and its initializer by name."""

    axes: tuple[str, ...]
    init: str

    def shape(self, inputs: int, hidden: int) -> tuple[int, ...]:
        """The axes in numbers."""
        return tuple(int(axis[:-1] or 1) * {"E": inputs, "H": hidden}[axis[-1]] for axis in self.axes)

    @property
    def recurrent(self) -> bool:
        """Whether it is a matrix that multiplies what the layer remembers: these are what weight drop drops."""
        return len(self.axes) == 2 and self.init in ("orthogonal", "identity")


# How a weight begins, and where that comes from. Matrices of several gates are drawn gate by gate, H rows each.
INITIALIZERS = {
    "glorot": "uniform within sqrt(6 / (rows + columns)) (Glorot & Bengio 2010)",
    "orthogonal": "a random rotation for each gate (Saxe et al. 2014)",
    "identity": "the identity (Le et al. 2015)",
    "unit": "uniform in [0, 1] (Li et al. 2018)",
    "carry": "-1: at first more is carried than transformed (Srivastava et al. 2015)",
    "zeros": "0",
    "ones": "1",
    "forget": "0, and 1 for the forget gate, which so begins open (Jozefowicz et al. 2015)",
}


class Weights(NamedTuple):
    """One layer's weights as torch lays them out, matrices (G, E), (G, H), biases (G,), and the cell's own by name.

    A cell without recurrent products has neither w_hh nor b_hh.
    """

    w_ih: Any
    w_hh: Any
    b_ih: Array
    b_hh: Array | None
    extra: Mapping[str, Any]


# Torch's names for the weights that most cells have.
W_IH, W_HH, B_IH, B_HH = "weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"


def gather(formula: "type[Cell]", weights: Mapping[str, Any]) -> Weights:
    """A layer's weights by name, as its formula takes them."""
    extra = {name: weights[name] for name in formula.extra_weights}
    return Weights(weights[W_IH], weights.get(W_HH), weights[B_IH], weights.get(B_HH), extra)


class HiddenState(NamedTuple):
    """The memory of cells that have no other than their output h (B, H)."""

    h: Array


# Every cell that says its name, in the order in which they came.
NAMED: "dict[str, type[Cell]]" = {}


class Cell(ABC):
    """A recurrent cell over borrowed weights and operations. A subclass that says its `name` can be chosen by it."""

    name: ClassVar[str]
    # What a step returns; its first part is the output.
    state_type: ClassVar[type[Any]] = HiddenState
    state_names: ClassVar[tuple[str, ...]]
    # How many times H numbers the inputs' product has, and the state's (None: as many, and a bias; 0: there is none).
    gates: ClassVar[int]
    recurrent_gates: ClassVar[int | None] = None
    # The spectral radius that its recurrent matrices begin with.
    spectral_radius: ClassVar[float] = 1.0
    # What it bears of the learning rate that suits an LSTM of its width.
    lr_scale: ClassVar[float] = 1.0
    # Which gate is the forget gate, where there is one.
    forget: ClassVar[int | None] = None
    # Which gates the sigmoids of one step give, call by call, in equal parts; "" is no gate.
    sigmoids: ClassVar[tuple[tuple[str, ...], ...]] = ()
    # What the cell has beside the two products and their biases.
    extra_weights: ClassVar[dict[str, Weight]] = {}
    recurrent_start: ClassVar[str] = "orthogonal"
    # Whether all that its matrices multiply lies in [-1, 1], as products in 8 bits ask for.
    bounded: ClassVar[bool] = True
    # Whether the state has a say in what is multiplied: then `project` gives the inputs as they are.
    mixes: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.state_names = cls.state_type._fields
        if "name" in cls.__dict__:
            if cls.name in NAMED:
                raise TypeError(f"two cells are called {cls.name}: {NAMED[cls.name]} and {cls}")
            NAMED[cls.name] = cls

    def __init__(self, weights: Weights, operations: Operations) -> None:
        self.weights = weights
        self.op = operations

    @classmethod
    def num_recurrent_gates(cls) -> int:
        """How many times H numbers the state's product has."""
        return cls.gates if cls.recurrent_gates is None else cls.recurrent_gates

    @classmethod
    def table(cls) -> dict[str, Weight]:
        """Every weight of a layer of such cells, under torch's names where torch has one."""
        found = {W_IH: Weight((f"{cls.gates}H", "E"), "glorot")}
        if cls.num_recurrent_gates():
            found[W_HH] = Weight((f"{cls.num_recurrent_gates()}H", "H"), cls.recurrent_start)
        found[B_IH] = Weight((f"{cls.gates}H",), "zeros" if cls.forget is None else "forget")
        if cls.recurrent_gates is None:
            found[B_HH] = Weight((f"{cls.gates}H",), "zeros")
        return found | cls.extra_weights

    def project(self, x: Array) -> Array:
        """Inputs (..., E) -> their share of the gates (..., G), both biases in it."""
        return self.op.linear(x, self.weights.w_ih, self.bias)

    @cached_property
    def bias(self) -> Array:
        """Both biases, where the formula adds them to the same sum."""
        b_ih, b_hh = self.weights.b_ih, self.weights.b_hh
        return b_ih if b_hh is None else b_ih + b_hh

    @property
    def recurrent_bias(self) -> Array | None:
        """What `recur` adds to the product, where the formula does not let it stand among the inputs."""
        return None

    def recur(self, h: Array) -> Array:
        """State (B, H) -> its share of the gates (B, G)."""
        return self.op.linear(h, self.weights.w_hh, self.recurrent_bias)

    @abstractmethod
    def step(self, projected: Array, recurrent: Array, state: State) -> State:
        """Both shares of the gates (B, G) and the state -> next state, a `state_type`; its first part is the output."""
