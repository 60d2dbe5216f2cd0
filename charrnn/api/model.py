"""A trained model, and how it is loaded."""

from collections.abc import Iterable, Iterator
from os import fspath
from pathlib import Path
from typing import TYPE_CHECKING

from charrnn.api.arguments import AnyPath, folder, known_options
from charrnn.api.filler import Filler
from charrnn.api.scorer import Scorer
from charrnn.api.threads import use_threads
from charrnn.api.writer import Writer
from charrnn.config.verbs import TEMPERATURES
from charrnn.storage import checkpoint, runs

if TYPE_CHECKING:
    from charrnn.analysis.novelty import NoveltyCurve
    from charrnn.export.folder import Exported
    from charrnn.export.page import LivePage


class Model(Writer, Filler, Scorer):
    """A trained model: its weights, its tokenizer, and what its file says of it; it writes, and it scores.

    Models are equal when their configuration, their tokenizer and every weight are.
    """

    def live_page(self) -> str:
        """The model as one self-contained page of HTML that writes in a browser, with weights of 8 bits.

        A seed gives the text of `sample(precision="int8")`, counts and all; only where they would make more than 20 MB
        of it, the page says so and has the network alone. Raises ConfigError on a network or a tokenizer that a page
        has no step for, and where the network alone would have more.
        """
        return self.told_page().html

    def told_page(self) -> "LivePage":
        """The same with a line on what stands beside its network in it, if anything is to be said."""
        from charrnn.export.page import live_page

        return live_page(self)

    @known_options()
    def export(self, output: AnyPath, *, format: str = "onnx", force: bool = False) -> "Exported":
        """Write the model into a folder for those who have no charrnn: as ONNX, for Hugging Face, or as plain weights.

        `format` is onnx (a step model, states in and out, checked by onnxruntime where that is installed), hf (a model
        card beside charrnn's own file) or npz (weights, formulas, a program in NumPy). onnx and npz hold the network
        that reads forwards, without counts. Gives the `files` and, line by line, `notes`. Raises CharrnnError where a
        file is there already, unless `force` replaces it, or where onnxruntime gives other logits.
        """
        from charrnn.export.folder import export

        return export(self, Path(output), format, force=force)

    @known_options()
    def novelty(
        self,
        temperatures: Iterable[float] = TEMPERATURES,
        *,
        chars: int = 20_000,
        longest: int = 50,
        seed: int | None = None,
    ) -> "Iterator[NoveltyCurve]":
        """Learned or copied: how new texts of `chars` characters are, the share of n-grams up to n = `longest`.

        First the text that was held out, where there is one, then samples at each temperature, as they come. Raises
        CorpusError where the training text cannot be read as it was.
        """
        from charrnn.api.novelty import novelty

        return novelty(self, temperatures, chars=chars, longest=longest, seed=seed)


@known_options()
def load(
    model: AnyPath | None = None,
    *,
    checkpoints: AnyPath | None = None,
    device: str = "cpu",
    counts: bool = True,
    threads: int | None = None,
) -> Model:
    """Load a model: a run's name, its folder or a model file; without one, the run trained last.

    Without `counts`, its network alone.

    `threads` are those of the whole process from here on, as those of a training are. Raises ConfigError on a value
    that is none, RunError when there is no such model, CheckpointError when the file is no checkpoint or damaged.
    """
    use_threads(threads)
    path = runs.model_file(runs.checkpoints_folder(folder(checkpoints)), None if model is None else fspath(model))
    header, weights, tokenizer = checkpoint.read_model(path)
    return Model(weights, tokenizer, header, device, checkpoint.read_counts(header) if counts else None)
