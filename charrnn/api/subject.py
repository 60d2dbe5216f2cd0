"""What `charrnn.analysis` looks at: a model with a text."""

from collections.abc import Sequence
from os import fspath
from typing import TYPE_CHECKING

from charrnn.api.arguments import AnyPath
from charrnn.api.held_out import held_out
from charrnn.api.model import load
from charrnn.text.corpus import Corpus

if TYPE_CHECKING:
    from charrnn.analysis.subject import Subject


def subject(
    model: AnyPath | None = None,
    texts: Sequence[AnyPath] | Corpus | None = None,
    *,
    checkpoints: AnyPath | None = None,
    text: str | None = None,
    first_member: bool = False,
) -> "Subject":
    """A model with these texts (files), this text, or the held-out part of its own corpus.

    Of an ensemble, all of it or its `first_member`. Raises RunError, CheckpointError, CorpusError, VocabularyError (of
    a text that is named).
    """
    from charrnn.analysis.subject import Subject

    loaded = load(model, checkpoints=checkpoints)
    if text is None:
        any_bytes = loaded.tokenizer.any_bytes
        corpus = (
            texts if isinstance(texts, Corpus) else Corpus([fspath(one) for one in texts or []], any_bytes=any_bytes)
        )
        text = corpus.read() if texts else held_out(loaded).read()
    return Subject.from_model(
        loaded.network,
        loaded.tokenizer,
        text,
        name=loaded.name,
        first_member=first_member,
        unknown=not texts,
    )
