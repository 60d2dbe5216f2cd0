"""A step model held against the network that it was made of, where onnxruntime is installed.

Shapes: B rows, V vocabulary.
"""

from collections.abc import Mapping

import numpy as np

from charrnn.config import ModelConfig
from charrnn.errors import CharrnnError
from charrnn.export.onnx import IDS
from charrnn.inference.engine import open_engine
from charrnn.inference.products import Floats

STEPS, ROWS = 1000, 2
# Two orders of sums in float32, of logits of up to ten; of larger ones in proportion.
CLOSE, TYPICAL = 1e-5, 10.0
UNCHECKED = "not checked: pip install 'charrnn[onnx]' has onnxruntime"


def checked(data: bytes, config: ModelConfig, weights: Mapping[str, Floats]) -> str:
    """In a line, how near its logits are, step by step through texts that the network draws itself.

    Raises CharrnnError where they are others.
    """
    try:
        import onnxruntime
    except ImportError:
        return UNCHECKED
    session, engine = onnxruntime.InferenceSession(data), open_engine(config, weights)
    names = [each.name for each in session.get_inputs()[1:]]
    states = [np.zeros((ROWS, each.shape[1]), np.float32) for each in session.get_inputs()[1:]]
    state, ids = engine.initial_state(ROWS), np.full(ROWS, config.start_id)
    random, apart, largest = np.random.default_rng(0), 0.0, TYPICAL
    for _ in range(STEPS):
        expected, state = engine.step(ids, state)
        found, *states = session.run(None, {IDS: ids, **dict(zip(names, states, strict=True))})
        apart = max(apart, float(np.abs(found - expected).max()))
        largest = max(largest, float(np.abs(expected).max()))
        # The largest of logits and Gumbel noise is a draw (Gumbel 1954).
        ids = (expected + random.gumbel(size=expected.shape)).argmax(axis=1)
    if not apart <= CLOSE * largest / TYPICAL:
        raise CharrnnError(
            f"onnxruntime gives other logits, by up to {apart:.1e}: nothing is written; report this model"
        )
    return f"checked by onnxruntime {onnxruntime.__version__}: logits within {apart:.1e} over {STEPS:,} steps"
