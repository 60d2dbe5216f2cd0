"""charrnn: train recurrent language models, sample from them, score text with them.

    import charrnn

    model = charrnn.train("corpus.txt", seconds="10m")
    model = charrnn.load("checkpoints/corpus")
    print(model.sample("Once", temperature=0.8, length=300))
    print(model.score("Once upon a time").bpc)

The public names are loaded when they are first used: importing the package never imports torch. It only sees to it
that torch's threads, once they are there, wait for each other with moderation (`_bound_spinning`).
"""

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from charrnn.api.blend import Blend, contrast, mix
    from charrnn.api.compare import compare
    from charrnn.api.lines import LineScore
    from charrnn.api.model import Model, load
    from charrnn.api.runs import RunSummary, runs
    from charrnn.api.session import Session
    from charrnn.api.state import State
    from charrnn.api.surprisal import Surprisal
    from charrnn.api.training import Training, resume, train
    from charrnn.config.model import ModelConfig
    from charrnn.config.options import ResumeOptions, TrainOptions
    from charrnn.errors import (
        CharrnnError,
        CheckpointError,
        ConfigError,
        CorpusError,
        DeviceMemoryError,
        DivergedError,
        RunError,
        VocabularyError,
    )
    from charrnn.generation.config import SampleConfig
    from charrnn.generation.infill import Infilled
    from charrnn.generation.samples import Sample
    from charrnn.generation.sequence import TextChunk
    from charrnn.scoring.compare import Comparison
    from charrnn.scoring.figures import Score
    from charrnn.scoring.pairs import PairScores
    from charrnn.training.events import Note, Report, Stopped

_HOMES = {
    "Blend": "charrnn.api.blend",
    "CharrnnError": "charrnn.errors",
    "CheckpointError": "charrnn.errors",
    "Comparison": "charrnn.scoring.compare",
    "ConfigError": "charrnn.errors",
    "CorpusError": "charrnn.errors",
    "DeviceMemoryError": "charrnn.errors",
    "DivergedError": "charrnn.errors",
    "Infilled": "charrnn.generation.infill",
    "LineScore": "charrnn.api.lines",
    "Model": "charrnn.api.model",
    "ModelConfig": "charrnn.config.model",
    "Note": "charrnn.training.events",
    "PairScores": "charrnn.scoring.pairs",
    "Report": "charrnn.training.events",
    "ResumeOptions": "charrnn.config.options",
    "RunError": "charrnn.errors",
    "RunSummary": "charrnn.api.runs",
    "Sample": "charrnn.generation.samples",
    "SampleConfig": "charrnn.generation.config",
    "Score": "charrnn.scoring.figures",
    "Session": "charrnn.api.session",
    "State": "charrnn.api.state",
    "Stopped": "charrnn.training.events",
    "Surprisal": "charrnn.api.surprisal",
    "TextChunk": "charrnn.generation.sequence",
    "TrainOptions": "charrnn.config.options",
    "Training": "charrnn.api.training",
    "VocabularyError": "charrnn.errors",
    "compare": "charrnn.api.compare",
    "contrast": "charrnn.api.blend",
    "load": "charrnn.api.model",
    "mix": "charrnn.api.blend",
    "resume": "charrnn.api.training",
    "runs": "charrnn.api.runs",
    "train": "charrnn.api.training",
}

# A literal list, for type checkers and editors; a test holds it to the table above.
__all__ = [
    "Blend",
    "CharrnnError",
    "CheckpointError",
    "Comparison",
    "ConfigError",
    "CorpusError",
    "DeviceMemoryError",
    "DivergedError",
    "Infilled",
    "LineScore",
    "Model",
    "ModelConfig",
    "Note",
    "PairScores",
    "Report",
    "ResumeOptions",
    "RunError",
    "RunSummary",
    "Sample",
    "SampleConfig",
    "Score",
    "Session",
    "State",
    "Stopped",
    "Surprisal",
    "TextChunk",
    "TrainOptions",
    "Training",
    "VocabularyError",
    "compare",
    "contrast",
    "load",
    "mix",
    "resume",
    "runs",
    "train",
]


def _bound_spinning() -> None:
    """Let torch's threads spin for four thousand turns at a barrier, then sleep; before torch is loaded, or never.

    GNU's OpenMP, which torch uses on Linux, spins for some milliseconds as it comes: with a second program on the
    machine, each then waits for the other's slice of time, and two trainings on two cores stand still. It reads its
    environment once, when it is loaded, so nothing is done where torch is loaded already: import charrnn first, or set
    GOMP_SPINCOUNT. What the user has set there, or in OMP_WAIT_POLICY, is left as it is. Programs that are started
    from here inherit it. No result depends on it.
    """
    if "torch" not in sys.modules and not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = "4000"


_bound_spinning()


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'charrnn' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
