"""A step model held against the network that it was made of, where onnxruntime is installed.

Shapes: B rows, V vocabulary.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from charrnn.config import ModelConfig
from charrnn.errors import CharrnnError
from charrnn.export.onnx import IDS
from charrnn.inference.base import Engine, EngineState, StepState
from charrnn.inference.engine import open_engine
from charrnn.inference.products import Floats
from charrnn.models.states import state_parts

STEPS, ROWS = 1000, 2
# Two orders of sums in float32, of logits of up to ten; of larger ones in proportion.
CLOSE, TYPICAL = 1e-5, 10.0
UNCHECKED = "not checked: pip install 'charrnn[onnx]' has onnxruntime"


def checked(data: bytes, config: ModelConfig, weights: Mapping[str, Floats]) -> str:
    """In a line, how near its logits are, step by step through texts that the network draws itself.

    Where both go ways of their own, as rounding grows in some networks, each step is held against one from the same
    states. Raises CharrnnError where the logits are others.
    """
    try:
        import onnxruntime
    except ImportError:
        return UNCHECKED
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session, engine = onnxruntime.InferenceSession(data, options), open_engine(config, weights)
    by, over = f"checked by onnxruntime {onnxruntime.__version__}", f"over {STEPS:,} steps"
    apart, close = _apart(session, engine, own_states=True)
    if apart <= close:
        return f"{by}: logits within {apart:.1e} {over}"
    each, close = _apart(session, engine, own_states=False)
    if not each <= close:
        raise CharrnnError(f"onnxruntime gives other logits, by {each:.1e}: nothing is written; report this model")
    return f"{by}: logits within {each:.1e} at each step; {over} rounding grows to {apart:.1e} in this network"


def _apart(session: Any, engine: Engine, *, own_states: bool) -> tuple[float, float]:
    """How far the logits are from the engine's, by its own states or by the engine's, and how far they may be."""
    names = [each.name for each in session.get_inputs()[1:]]
    state, ids = engine.initial_state(ROWS), np.full(ROWS, engine.config.start_id)
    states = list(_parts(state))
    random, apart, largest = np.random.default_rng(0), 0.0, TYPICAL
    for _ in range(STEPS):
        expected, state = engine.step(ids, state)
        found, *after = session.run(None, {IDS: ids, **dict(zip(names, states, strict=True))})
        states = after if own_states else list(_parts(state))
        apart = max(apart, float(np.abs(found - expected).max()))
        largest = max(largest, float(np.abs(expected).max()))
        # The largest of logits and Gumbel noise is a draw (Gumbel 1954).
        ids = (expected + random.gumbel(size=expected.shape)).argmax(axis=1)
    return apart, CLOSE * largest / TYPICAL


def _parts(state: EngineState) -> Iterator[Floats]:
    """The states of all layers, without what an engine has beside them."""
    for network in (state,) if isinstance(state, StepState) else state:
        yield from state_parts(network.layers)
