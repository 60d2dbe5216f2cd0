"""The front door: what Python users call, and what the command line calls.

Torch is loaded by the verbs that need it: to write a text, none is needed.
"""

from charrnn.api.blend import Blend, contrast, mix
from charrnn.api.compare import compare, held_out_of_all, ngram_order
from charrnn.api.held_out import HeldOut, held_out
from charrnn.api.model import Model, load
from charrnn.api.report import report
from charrnn.api.runs import RunSummary, runs
from charrnn.api.subject import subject
from charrnn.api.training import Training, resume, train

__all__ = [
    "Blend", "HeldOut", "Model", "RunSummary", "Training", "compare", "contrast", "held_out", "held_out_of_all", "load",
    "mix", "ngram_order", "report", "resume", "runs", "subject", "train",
]  # fmt: skip
