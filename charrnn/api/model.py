"""A trained model, and how it is loaded."""

from os import fspath

from charrnn.api.arguments import AnyPath, folder, known_options
from charrnn.api.filler import Filler
from charrnn.api.scorer import Scorer
from charrnn.api.threads import use_threads
from charrnn.api.writer import Writer
from charrnn.storage import checkpoint, runs


class Model(Writer, Filler, Scorer):
    """A trained model: its weights, its tokenizer, and what its file says of it; it writes, and it scores.

    Models are equal when their configuration, their tokenizer and every weight are.
    """


@known_options()
def load(
    model: AnyPath | None = None,
    *,
    checkpoints: AnyPath | None = None,
    device: str = "cpu",
    threads: int | None = None,
) -> Model:
    """Load a model: a run's name, its folder or a model file; without one, the run trained last.

    `threads` are those of the whole process from here on, as those of a training are. Raises ConfigError on a value
    that is none, RunError when there is no such model, CheckpointError when the file is no checkpoint or damaged.
    """
    use_threads(threads)
    path = runs.model_file(runs.checkpoints_folder(folder(checkpoints)), None if model is None else fspath(model))
    header, weights, tokenizer = checkpoint.read_model(path)
    return Model(weights, tokenizer, header, device)
