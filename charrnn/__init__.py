"""charrnn: train recurrent language models, sample from them, score text with them.

    import charrnn

    model = charrnn.train("corpus.txt", seconds=600)
    model = charrnn.load("checkpoints/corpus")
    print(model.sample("Once", temperature=0.8, length=300))
    print(model.score("Once upon a time").bpc)

The public names are loaded when they are first used: importing the package never imports torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from charrnn.api import Model, load, train
    from charrnn.errors import CharrnnError
    from charrnn.scoring.figures import Score

_HOMES = {
    "Model": "charrnn.api",
    "load": "charrnn.api",
    "train": "charrnn.api",
    "Score": "charrnn.scoring.figures",
    "CharrnnError": "charrnn.errors",
}

__all__ = ["CharrnnError", "Model", "Score", "load", "train"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'charrnn' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
