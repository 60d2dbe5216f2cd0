"""A scored text as a page."""

from typing import TYPE_CHECKING

import numpy as np

from charrnn.api.counts import mixtures_for
from charrnn.api.model import Model
from charrnn.text.dataset import encode_scored, scored_texts

if TYPE_CHECKING:
    from charrnn.plotting.report import Report
    from charrnn.scoring.figures import Score


def report(
    model: Model,
    text: str,
    score: "Score",
    *,
    lines: bool = False,
    reset_every: int | None = None,
    batch_size: int | None = None,
) -> "Report":
    """What a page shows of a text that was scored in this way: `report(...).html(title, figures)` is the page.

    The beginning, as much as is shown, is read once more, for what the model held likely in each place.
    """
    from charrnn.plotting.report import Report
    from charrnn.plotting.shading import ASKED, SHOWN
    from charrnn.scoring.counted import Counted
    from charrnn.scoring.counts import border, by_place
    from charrnn.scoring.predict import predict
    from charrnn.scoring.predictions import Predictions
    from charrnn.scoring.token_nll import BATCH

    part = encode_scored(model.tokenizer, text, model.documents, lines=lines, unknown=True)
    beginning, (mixtures, _) = part.beginning(SHOWN), mixtures_for(model, part, lines=lines)
    detail = predict(
        Counted(model.network, mixtures) if mixtures else model.network,
        beginning.tokens,
        beginning.starts,
        asked=ASKED,
        reset_every=reset_every,
        batch_size=BATCH if batch_size is None else batch_size,
        through=lambda take: by_place(take, border(part, mixtures), model.config.vocab_size),
    )
    whole = Predictions(part.tokens.astype(np.int64), score.token_nll)
    starts = [0] if part.starts is None else part.starts.tolist()
    page = Report(model.tokenizer)
    for one, first, end in zip(
        scored_texts(text, model.documents, lines=lines), starts, [*starts[1:], len(whole)], strict=True
    ):
        page.push(one, whole[first:end], detail[first:end])
    return page
