"""How new the texts of a model are, at several temperatures, beside the text that was held out."""

from collections.abc import Iterable, Iterator
from itertools import count
from typing import TYPE_CHECKING

from charrnn.analysis.novelty import HELD_OUT, NoveltyCurve, novelty_curve
from charrnn.api.held_out import held_out
from charrnn.config import draw_seed
from charrnn.errors import CorpusError
from charrnn.text.documents import split_documents

if TYPE_CHECKING:
    from charrnn.api.model import Model

ROWS, LENGTH, MOST_TRIED = 16, 1000, 10_000


def novelty(
    model: "Model",
    temperatures: Iterable[float],
    *,
    chars: int = 20_000,
    longest: int = 50,
    seed: int | None = None,
) -> Iterator[NoveltyCurve]:
    """The curve of the held-out text, where there is one, then that of samples at each temperature, as they come.

    Each is of the first `chars` characters, for n-grams of up to `longest`. Raises CorpusError where the training text
    cannot be read as it was.
    """
    index = model.copy_index
    seed = draw_seed() if seed is None else seed
    try:
        text = held_out(model).read()[:chars]
    except CorpusError:
        text = ""
    if text:
        parts = [text] if model.documents == "stream" else split_documents([text], model.documents)
        yield novelty_curve(HELD_OUT, parts, index, longest)
    for temperature in temperatures:
        written = list(_texts(model, temperature, chars, seed))
        yield novelty_curve(f"temperature {temperature:g}", written, index, longest)


def _texts(model: "Model", temperature: float, chars: int, seed: int) -> Iterator[str]:
    """Samples of so many characters together; fewer of a model that writes next to nothing."""
    for batch in count():
        length = max(1, min(LENGTH, -(-chars // ROWS)))
        for sample in model.samples(rows=ROWS, seed=seed + batch * ROWS, temperature=temperature, length=length):
            yield sample.text[:chars]
            chars -= len(sample.text)
            if chars <= 0 or batch > MOST_TRIED:
                return
