"""Scoring a text: its tokens cost so many nats each, and the counts of the text make figures of them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from charrnn.config import require
from charrnn.errors import CorpusError
from charrnn.inference.counting import Counting
from charrnn.models.ensemble import Predictor
from charrnn.scoring.counts import counted_nll
from charrnn.scoring.figures import Nats, Score
from charrnn.scoring.token_nll import BATCH, token_nll
from charrnn.text.part import Part
from charrnn.text.survey import TextStatistics


def score(
    model: Predictor,
    part: Part,
    statistics: TextStatistics,
    mixtures: Sequence[Counting] = (),
    *,
    reset_every: int | None = None,
    batch_size: int = BATCH,
    temperature: float = 1.0,
) -> Score:
    """Score a tokenized text, at temperature 1 unless something else is to be reported apart.

    C and B count what is scored and nothing else: carriage returns of Windows and line ends around documents, which
    are a byte each, are in no token; the end of a document, which is one, is counted as the line ends it stands for.
    Beside counts, by one or two `mixtures` (see `counted_nll`), the network's own score comes with it.

    Raises CorpusError when it is empty, ConfigError when documents are to be reset inside as well.
    """
    require(
        part.starts is None or reset_every is None,
        "lines and documents begin from a fresh state already: leave out `reset_every`",
    )
    if not part.tokens.size:
        raise CorpusError("there is no text to score: it is empty")
    state = "carried"
    if part.starts is not None:
        state = "reset at each line or document"
    if reset_every is not None:
        state = f"reset every {reset_every} tokens"
    how: dict[str, Any] = {"reset_every": reset_every, "batch_size": batch_size, "temperature": temperature}

    def of(nats: Nats) -> Score:
        return Score(
            token_nll=nats,
            chars=part.chars,
            bytes=statistics.bytes - (statistics.chars - part.chars),
            words=statistics.words,
            state=state,
            unknown=part.tokens == model.config.start_id + 1,
            temperature=temperature,
        )

    if not mixtures:
        return of(token_nll(model, part.tokens, part.starts, **how))
    found = counted_nll(model, mixtures, part, **how)
    return replace(of(found.both), network=of(found.alone))


def counting_notes(statistics: TextStatistics, part: Part, missing_ends: int) -> list[str]:
    """What was read and is not counted, and what is counted and was not there."""
    notes, left_out = [], statistics.chars - part.chars + missing_ends
    if left_out:
        notes.append(
            f"{left_out:,} characters are in no token, and not in chars and bytes: line ends around documents, and the "
            "CR of CR LF"
        )
    if missing_ends:
        notes.append(f"line ends that the last document lacks: {missing_ends}; counted as if it had them")
    return notes
