"""charrnn: train recurrent language models, sample from them, score text with them.

    import charrnn

    model = charrnn.train("corpus.txt", seconds="10m")
    model = charrnn.load("checkpoints/corpus")
    print(model.sample("Once", temperature=0.8, length=300))
    print(model.score("Once upon a time").bpc)

The public names are loaded when they are first used: importing the package never imports torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from charrnn.api.model import Model, load
    from charrnn.api.training import Training, resume, train
    from charrnn.config.model import ModelConfig
    from charrnn.config.options import ResumeOptions, TrainOptions
    from charrnn.errors import (
        CharrnnError,
        CheckpointError,
        ConfigError,
        CorpusError,
        DivergedError,
        RunError,
        VocabularyError,
    )
    from charrnn.generation.config import SampleConfig
    from charrnn.generation.sequence import TextChunk
    from charrnn.scoring.figures import Score
    from charrnn.training.events import Note, Report, Stopped

_HOMES = {
    "CharrnnError": "charrnn.errors",
    "CheckpointError": "charrnn.errors",
    "ConfigError": "charrnn.errors",
    "CorpusError": "charrnn.errors",
    "DivergedError": "charrnn.errors",
    "Model": "charrnn.api.model",
    "ModelConfig": "charrnn.config.model",
    "Note": "charrnn.training.events",
    "Report": "charrnn.training.events",
    "ResumeOptions": "charrnn.config.options",
    "RunError": "charrnn.errors",
    "SampleConfig": "charrnn.generation.config",
    "Score": "charrnn.scoring.figures",
    "Stopped": "charrnn.training.events",
    "TextChunk": "charrnn.generation.sequence",
    "TrainOptions": "charrnn.config.options",
    "Training": "charrnn.api.training",
    "VocabularyError": "charrnn.errors",
    "load": "charrnn.api.model",
    "resume": "charrnn.api.training",
    "train": "charrnn.api.training",
}

# A literal list, for type checkers and editors; a test holds it to the table above.
__all__ = [
    "CharrnnError",
    "CheckpointError",
    "ConfigError",
    "CorpusError",
    "DivergedError",
    "Model",
    "ModelConfig",
    "Note",
    "Report",
    "ResumeOptions",
    "RunError",
    "SampleConfig",
    "Score",
    "Stopped",
    "TextChunk",
    "TrainOptions",
    "Training",
    "VocabularyError",
    "load",
    "resume",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'charrnn' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
