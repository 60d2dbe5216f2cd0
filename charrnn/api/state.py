"""A text that a model has read, to be gone on from: kept at hand, or in a file."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from charrnn.api.arguments import AnyPath
from charrnn.api.source import Source
from charrnn.config import require
from charrnn.errors import CheckpointError
from charrnn.inference.base import Engine
from charrnn.inference.reading import Reading
from charrnn.models.states import map_state, named_parts
from charrnn.storage.state import precision_of, read_state, state_header, write_state
from charrnn.text.tokenizers import Tokenizer

LOGITS = "logits"


@dataclass(frozen=True, eq=False, repr=False)
class State:
    """A text that a model has read (`Model.read`): what goes on from it is to the bit what reading it again would give.

    It belongs to its model, told by its digest, and to its precision, and is refused by any other.
    """

    digest: str
    precision: str
    tokenizer: Tokenizer
    reading: Reading

    def __repr__(self) -> str:
        """<State: 1,204 characters read, int8>"""
        return f"<State: {self.tokens:,} {self.tokenizer.unit} read, {self.precision}>"

    @property
    def tokens(self) -> int:
        """How many tokens were read."""
        return len(self.reading.ids)

    @cached_property
    def text(self) -> str:
        """What was read."""
        return self.tokenizer.decode(self.reading.ids)

    def save(self, path: AnyPath) -> None:
        """Keep it in a file, replaced whole or not at all. Raises CheckpointError where that cannot be written."""
        ids = np.array(self.reading.ids, np.int32)
        parts = {LOGITS: self.reading.logits, **dict(named_parts(self.reading.state))}
        write_state(Path(path), self.digest, self.precision, ids, parts)


def begun(source: Source, state: State | AnyPath, precision: str | None) -> tuple[State, Engine]:
    """A state of this source, and what goes on from it.

    Raises CheckpointError on a file that is no state or damaged, and on the state of another model, ConfigError where
    another precision is asked for.
    """
    if isinstance(state, State):
        if state.digest != source.digest:
            raise CheckpointError("`state` is that of another model: only the model that read a text goes on from it")
        _refuse_other(precision, state.precision)
        return state, source.open_engine(state.precision)
    header = state_header(Path(state), source.digest)
    kept = precision_of(header)
    _refuse_other(precision, kept)
    engine = source.open_engine(kept)
    form = engine.initial_state(1)
    like = dict(named_parts(form)) | {LOGITS: np.empty((1, engine.config.vocab_size), np.float32)}
    ids, parts = read_state(header, like, source.tokenizer.size)
    logits, found = parts.pop(LOGITS), iter([parts[name] for name, _ in named_parts(form)])
    reading = Reading(ids, logits, map_state(lambda _: next(found), form))
    return State(source.digest, kept, source.tokenizer, reading), engine


def _refuse_other(precision: str | None, kept: str) -> None:
    require(
        precision in (None, kept),
        f"`precision` is {precision}, and the text was read in {kept}: leave it out, or read the text again",
    )
