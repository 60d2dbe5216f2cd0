"""What compressors and an n-gram model make of a text, beside what a model makes of it."""

from typing import TYPE_CHECKING

from charrnn.api.learned import training_text
from charrnn.errors import CharrnnError
from charrnn.text.dataset import encode_part
from charrnn.text.documents import as_documents
from charrnn.text.encodings import utf8
from charrnn.text.part import Part

if TYPE_CHECKING:
    from charrnn.api.opened import Opened
    from charrnn.scoring.baselines import Baselines

# Of a longer training text, in code points, only the end serves: counting takes about a second and 200 MB a million.
MOST_LEARNED = 1 << 23


def baselines(model: "Opened", text: str, part: Part) -> "tuple[Baselines, list[str]]":
    """Those of a text that the model has as `part`, and what there is to say of them, a line each."""
    from charrnn.scoring.baselines import NO_PPMD, Training
    from charrnn.scoring.baselines import baselines as compute

    training, notes = None, []
    try:
        learned, part_of_it = end_of_training_text(model)
    except CharrnnError as problem:
        notes.append(f"baselines without the training text: {problem}")
    else:
        if part_of_it:
            notes.append(f"baselines learn {part_of_it}")
        training = Training(_data(model, learned), encode_part(model.tokenizer, [learned], model.documents))
    found = compute(_data(model, text), part, model.config.start_id, training)
    if found.ppmd.bpb is None:
        notes.append(NO_PPMD)
    return found, notes


def end_of_training_text(model: "Opened") -> tuple[str, str]:
    """As much of what a model has learned from as counting takes, and which part of it that is; "" where it is all.

    Raises CharrnnError when the text is not known, gone or changed.
    """
    text = training_text(model)
    if len(text) <= MOST_LEARNED:
        return text, ""
    return text[-MOST_LEARNED:], f"the last {MOST_LEARNED:,} of {len(text):,} characters of the training text"


def _data(model: "Opened", text: str) -> bytes:
    """The bytes that a text's tokens stand for."""
    return utf8(as_documents(text, model.documents))
