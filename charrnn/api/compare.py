"""Two models, or a model and an n-gram baseline, on one text."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from charrnn.api.arguments import AnyPath, known_options
from charrnn.api.baselines import end_of_training_text
from charrnn.api.held_out import HeldOut, held_out
from charrnn.api.model import Model, load
from charrnn.api.scoring import encoded, read
from charrnn.api.threads import use_threads
from charrnn.config import require
from charrnn.errors import CorpusError, VocabularyError
from charrnn.text.corpus import Corpus
from charrnn.text.dataset import encode_part
from charrnn.text.documents import as_documents
from charrnn.text.unknown import refuse_unknown

if TYPE_CHECKING:
    from charrnn.scoring.compare import Comparison
    from charrnn.scoring.costs import Costs

# An interpolated Kneser-Ney n-gram of A's tokens: kn8 looks at seven tokens before the one that it predicts.
NGRAM = re.compile("kn([1-9])")


@known_options()
def compare(
    a: Model | AnyPath,
    b: Model | AnyPath,
    text: AnyPath | Corpus | None = None,
    *,
    lines: bool = False,
    reset_every: int | None = None,
    unknown: bool = False,
    batch_size: int | None = None,
    checkpoints: AnyPath | None = None,
    threads: int | None = None,
) -> "Comparison":
    """Which of two models predicts a text better, and whether that is more than chance (see `Comparison`).

    Models are loaded ones, or what `load` takes; `b` may be 'kn1' to 'kn9', a Kneser-Ney n-gram of A's training text.
    Without a text, the part that both have held out is read. The other arguments mean what they mean in `Model.score`.
    Raises CorpusError where the models cannot be compared on this text, VocabularyError where one lacks a character,
    unless `unknown` is set.
    """
    from charrnn.scoring.compare import compare

    use_threads(threads)
    ngram = ngram_order(b)
    require(ngram is None or reset_every is None, "an n-gram remembers a few tokens as it is: leave out `reset_every`")
    given = (a, b) if ngram is None else (a,)
    models = [each if isinstance(each, Model) else load(each, checkpoints=checkpoints) for each in given]
    if text is None:
        text, unknown = held_out_of_all(models), True
    plain, statistics = read(text, any_bytes=all(each.tokenizer.any_bytes for each in models))
    names, notes = _names(models), list(statistics.notes)
    if not unknown:
        for name, each in zip(names, models, strict=True):
            _refuse_unknown(name, each, plain)
    plain = _common(plain, names, models, notes)
    how: dict[str, Any] = {"lines": lines, "reset_every": reset_every, "unknown": unknown, "batch_size": batch_size}
    costs = [_costs(name, each, plain, how, notes) for name, each in zip(names, models, strict=True)]
    if ngram is not None:
        costs.append(_ngram_costs(models[0], ngram, plain, how, notes))
    first, second = costs
    return compare(first, second, plain, tuple(dict.fromkeys(notes)))


def ngram_order(b: Model | AnyPath) -> int | None:
    """How many tokens the grams of a baseline have; None where a model is meant."""
    named = NGRAM.fullmatch(b) if isinstance(b, str) else None
    return int(named[1]) if named else None


def held_out_of_all(models: Sequence[Model], part: str = "valid") -> HeldOut:
    """The text that all these models have held out. Raises CorpusError where each has one of its own."""
    found, *others = (held_out(each, part) for each in models)
    for model, other in zip(models[1:], others, strict=True):
        if other.read() != found.read():
            raise CorpusError(
                f"{models[0].name} and {model.name} have each held out a text of their own: name a text that "
                "neither has seen"
            )
    return found


def _names(models: Sequence[Model]) -> list[str]:
    """What tells them apart: names of runs, else files, else A and B."""
    names = [each.name for each in models]
    if len(set(names)) < len(names):
        names = [str(each.header.path) for each in models]
    if len(set(names)) < len(names):
        names = [f"{each.name} ({letter})" for each, letter in zip(models, "AB", strict=True)]
    return names


def _refuse_unknown(name: str, model: Model, text: str) -> None:
    """Raise VocabularyError where a model lacks a character of the text."""
    try:
        refuse_unknown(model.tokenizer, text, model.documents)
    except VocabularyError as problem:
        raise VocabularyError(f"{name}: {problem}") from None


def _common(text: str, names: Sequence[str], models: Sequence[Model], notes: list[str]) -> str:
    """The text as all models read it: of documents where one reads such, which predicts nothing between them.

    Raises CorpusError where two tell documents apart in different ways.
    """
    read = ", ".join(f"{name} reads {each.documents}" for name, each in zip(names, models, strict=True))
    kinds = {each.documents for each in models}
    documents = kinds - {"stream"}
    if len(documents) > 1:
        raise CorpusError(f"{read}: they are not asked for the same characters of any text, and cannot be compared")
    for kind in documents:
        common = as_documents(text, kind)
        if common != text:
            notes.append(f"compared on its {kind}, each with its end: {len(common):,} characters of {len(text):,}")
        if len(kinds) > 1:
            notes.append(f"{read}: what reads {kind} begins each from nothing, and predicts its end as a line end")
        return common
    return text


def _costs(name: str, model: Model, text: str, how: dict[str, Any], notes: list[str]) -> "Costs":
    """What a text costs a model; what there is to say of it comes to the notes."""
    from charrnn.scoring.costs import Costs

    score = model.score(text, **how)
    notes += score.notes
    if score.oov:
        size = model.tokenizer.size
        notes.append(f"{name} lacks {score.oov} characters in its vocabulary: each costs ln {size} nats")
    return Costs.of_tokens(name, score.token_nll, model.tokenizer, text, model.documents, lines=how["lines"])


def _ngram_costs(model: Model, order: int, text: str, how: dict[str, Any], notes: list[str]) -> "Costs":
    """The same of the n-gram of a model's training text, by the same tokens in the same documents."""
    from charrnn.models.counts import KneserNey
    from charrnn.scoring.costs import Costs

    (learned, part_of_it), name = end_of_training_text(model), f"kn{order}"
    if part_of_it:
        notes.append(f"{name} learns {part_of_it}")
    training = encode_part(model.tokenizer, [learned], model.documents)
    counted = KneserNey.count(training.tokens, model.config.start_id, order, training.starts)
    part = encoded(model, text, lines=how["lines"], unknown=how["unknown"])
    nats = counted.nll(part.tokens, part.starts)
    return Costs.of_tokens(name, nats, model.tokenizer, text, model.documents, lines=how["lines"])
