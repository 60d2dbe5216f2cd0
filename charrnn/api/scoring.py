"""A text and a model become a score: what `Model.score` and `charrnn eval` do."""

from dataclasses import replace
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

from charrnn.text.corpus import Corpus, in_memory
from charrnn.text.dataset import encode_scored
from charrnn.text.documents import missing_ends
from charrnn.text.part import Part
from charrnn.text.survey import TextStatistics
from charrnn.text.unknown import refuse_unknown

if TYPE_CHECKING:
    from charrnn.api.opened import Opened
    from charrnn.scoring.figures import Score


def read(text: "str | PathLike[str] | Corpus", *, any_bytes: bool) -> tuple[str, TextStatistics]:
    """A text, or what stands in a file or a corpus, and its counts."""
    if isinstance(text, PathLike):
        text = Corpus([fspath(text)], any_bytes=any_bytes)
    return (text.read(), text.statistics) if isinstance(text, Corpus) else in_memory(text)


def encoded(model: "Opened", text: str, *, lines: bool = False, unknown: bool = False) -> Part:
    """A text as token ids: a stream, its documents where the model knows such, or its lines alone.

    Raises VocabularyError on a character that the vocabulary lacks, unless `unknown` is set.
    """
    if not unknown:
        refuse_unknown(model.tokenizer, text, model.documents)
    return encode_scored(model.tokenizer, text, model.documents, lines=lines, unknown=unknown)


def scored(
    model: "Opened",
    text: "str | PathLike[str] | Corpus",
    *,
    lines: bool,
    reset_every: int | None,
    unknown: bool,
    batch_size: int | None,
    adapt: str | bool,
    fit_temperature: bool,
    baselines: bool = False,
) -> "Score":
    """Every figure of a text, and what was asked for beside them."""
    from charrnn.api.adapting import Adapting
    from charrnn.api.baselines import baselines as compute_baselines
    from charrnn.api.counts import mixtures_for
    from charrnn.models.ensemble import backwards_of
    from charrnn.scoring.score import counting_notes, score
    from charrnn.scoring.temperature import fit_temperature as fit
    from charrnn.scoring.token_nll import BATCH

    batch_size = BATCH if batch_size is None else batch_size
    plain_text, statistics = read(text, any_bytes=model.tokenizer.any_bytes)
    part = encoded(model, plain_text, lines=lines, unknown=unknown)
    adapting = Adapting(model, str(adapt)) if adapt else None

    mixtures, counting = mixtures_for(model, part, lines=lines)
    how: dict[str, Any] = {"reset_every": reset_every, "batch_size": batch_size}

    def at(temperature: float) -> "Score":
        return score(model.network, part, statistics, mixtures, temperature=temperature, **how)

    plain, backward = at(1.0), None
    if model.config.bidirectional:
        backward = score(backwards_of(model.network), part.reversed(model.config.start_id), statistics, **how)
    others, notes = compute_baselines(model, plain_text, part) if baselines else (None, [])
    learning = adapting.beside(part, plain.network or plain, batch_size) if adapting else plain
    return replace(
        plain,
        backward=backward,
        adapted=learning.adapted,
        adapted_counts=learning.adapted_counts,
        adapted_both=learning.adapted_both,
        fitted=at(fit(lambda temperature: at(temperature).loss)) if fit_temperature else None,
        baselines=others,
        notes=(
            *statistics.notes,
            *counting_notes(statistics, part, missing_ends(plain_text, model.documents)),
            *notes,
            *(adapting.notes if adapting else []),
            *counting,
        ),
    )
