"""What is remembered between two calls: tuples of arrays, named within a layer. Neither torch nor NumPy is needed.

Shapes: B batch, H hidden.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

# A torch tensor or a NumPy array.
Array = Any

# One layer's memory, a named tuple of its cell: (h,), or (h, c), each part (B, H).
State = tuple[Array, ...]
# One direction's: one of these for each layer. An ensemble's: one of those for each model.
States = tuple[State, ...]
NetworkState = States | tuple[States, ...]

Nested = TypeVar("Nested")


def map_state(function: Callable[[Array], Array], state: Nested) -> Nested:
    """The same memory, however deep it is nested, each array of it given through `function`; names are kept."""
    if not isinstance(state, tuple):
        return function(state)  # type: ignore[no-any-return]
    parts, kind = [map_state(function, part) for part in state], type(state)
    return kind(*parts) if hasattr(state, "_fields") else kind(parts)


def join_states(function: Callable[[Sequence[Array]], Array], states: Sequence[Nested]) -> Nested:
    """Several memories of one form as one: `function` makes each array of those that stand in its place."""
    first = states[0]
    if not isinstance(first, tuple):
        return function(states)  # type: ignore[no-any-return]
    parts = [join_states(function, own) for own in zip(*states, strict=True)]
    return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)


def state_parts(state: Any) -> Iterator[Array]:
    """All arrays of a memory, in the order in which `map_state` comes by them."""
    if not isinstance(state, tuple):
        yield state
        return
    for part in state:
        yield from state_parts(part)


def named_parts(state: Any, name: str = "state") -> Iterator[tuple[str, Array]]:
    """The same arrays by their places: 'state.layers.0.h', of the second of several networks 'state.1.layers.0.h'."""
    if not isinstance(state, tuple):
        yield name, state
        return
    for place, part in zip(getattr(state, "_fields", range(len(state))), state, strict=True):
        yield from named_parts(part, f"{name}.{place}")
