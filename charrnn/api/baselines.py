"""What compressors and an n-gram model make of a text, beside what a model makes of it."""

from typing import TYPE_CHECKING

from charrnn.errors import CharrnnError, CheckpointError
from charrnn.storage.texts import at_hand
from charrnn.text.corpus import utf8
from charrnn.text.dataset import Part, encode_part
from charrnn.text.documents import SEPARATORS, join_documents, split_documents
from charrnn.text.kept import OncePassed

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
        learned = training_text(model)
    except CharrnnError as problem:
        notes.append(f"baselines without the training text: {problem}")
    else:
        if len(learned) > MOST_LEARNED:
            notes.append(
                f"baselines learn the last {MOST_LEARNED:,} of {len(learned):,} characters of the training text"
            )
            learned = learned[-MOST_LEARNED:]
        training = Training(_data(model, learned), encode_part(model.tokenizer, [learned], model.documents))
    found = compute(_data(model, text), part, model.config.start_id, training)
    if found.ppmd.bpb is None:
        notes.append(NO_PPMD)
    return found, notes


def training_text(model: "Opened") -> str:
    """What a model has learned from. Raises CharrnnError when that is not known, gone or changed."""
    header = model.header
    if header.summary.get("split") is None:
        raise CheckpointError(f"{header.path} does not say what it was trained on")
    split = at_hand(header.split, header.path.parent)
    corpus = OncePassed(list(split.sources), any_bytes=model.tokenizer.any_bytes)
    text = "".join(split.part("train", corpus))
    corpus.finish(split.sha256)
    return text


def _data(model: "Opened", text: str) -> bytes:
    """The bytes that a text's tokens stand for: without the empty lines around documents, each with its end."""
    separator = SEPARATORS[model.documents]
    if separator is not None:
        text = "".join(join_documents(split_documents([text], model.documents), separator))
    return utf8(text)
