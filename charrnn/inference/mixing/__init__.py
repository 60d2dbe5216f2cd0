"""Context mixing: what learns while it reads, of counters in many contexts, and of a network where there is one.

Source: Mahoney 2005, "Adaptive weighing of context models for lossless data compression" (PAQ). `native/mixing.c` does
the work; here are the tables and the tree that it is given.
"""

from charrnn.inference.mixing.coder import Decoder, Encoder
from charrnn.inference.mixing.mixer import Mixer, require_built

__all__ = ["Decoder", "Encoder", "Mixer", "require_built"]
