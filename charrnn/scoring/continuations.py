"""How likely a continuation is after its context: the questions that lm-evaluation-harness asks of a model.

Context and continuation are tokenized as the one text that they make. The tokens that end within the context are the
context's; all others are the continuation's, so that of a subword across the border the whole is counted there.
Shapes: D texts, T tokens of one.
"""

from collections.abc import Sequence

import numpy as np

from charrnn.models.ensemble import Predictor
from charrnn.scoring.figures import Nats
from charrnn.scoring.predict import predict
from charrnn.scoring.predictions import Asked
from charrnn.scoring.texts import TEXTS_AT_ONCE, joined, log_probabilities
from charrnn.text.alignment import Alignment
from charrnn.text.dataset import encode_part
from charrnn.text.tokenizers import Ids, Tokenizer
from charrnn.text.unknown import refuse_unknown


def continuations(
    model: Predictor,
    tokenizer: Tokenizer,
    asked: Sequence[tuple[str, str]],
    *,
    unknown: bool = False,
    batch_size: int = TEXTS_AT_ONCE,
) -> list[tuple[float, bool]]:
    """Of each (context, continuation): log p(continuation | context) in nats, and whether each token is the likeliest.

    A context begins from the start id and the initial state; an empty continuation is certain. Raises VocabularyError
    on a character that the vocabulary lacks, unless `unknown` is set.
    """
    align = Alignment(tokenizer)
    wholes = [context + continuation for context, continuation in asked]
    texts = [tokenizer.encode(whole, unknown=unknown) for whole in wholes]
    tokens, starts = joined(texts)
    found = predict(model, tokens, starts, asked=Asked(rank=True), batch_size=batch_size)
    answers = []
    for (context, _), whole, ids, start in zip(asked, wholes, texts, starts.tolist(), strict=True):
        own = slice(start + context_tokens(align, context, whole, ids), start + ids.size)
        assert found.rank is not None
        answers.append((-float(found.nll[own].sum()), bool((found.rank[own] == 1).all())))
    return answers


def context_tokens(align: Alignment, context: str, text: str, ids: Ids) -> int:
    """How many of the tokens (T,) of a text end within its beginning `context`."""
    return int((align(text, ids).reached <= len(context)).sum())


def whole_texts(
    model: Predictor,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    *,
    documents: str = "stream",
    unknown: bool = False,
    batch_size: int = TEXTS_AT_ONCE,
) -> Nats:
    """log p of each whole text (D,) in nats, as `eval` scores it: of a model of documents, each of its documents.

    Raises VocabularyError on a character that the vocabulary lacks, unless `unknown` is set.
    """
    parts: list[Ids] = []
    owners: list[int] = []
    for number, text in enumerate(texts):
        if not unknown:
            refuse_unknown(tokenizer, text, documents)
        part = encode_part(tokenizer, [text], documents, unknown=unknown)
        some = [part.tokens] if part.starts is None else np.split(part.tokens, part.starts)[1:]
        parts += [each.astype(np.int32) for each in some]
        owners += [number] * len(some)
    found = np.zeros(len(texts))
    np.add.at(found, owners, log_probabilities(model, parts, batch_size))
    return found
