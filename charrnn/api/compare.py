"""Two models on one text."""

from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

from charrnn.api.arguments import AnyPath, known_options
from charrnn.api.held_out import HeldOut, held_out
from charrnn.api.model import Model, load
from charrnn.api.threads import use_threads
from charrnn.errors import CorpusError, VocabularyError
from charrnn.text.corpus import Corpus, in_memory
from charrnn.text.documents import missing_ends

if TYPE_CHECKING:
    from charrnn.scoring.compare import Comparison
    from charrnn.scoring.costs import Costs


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

    Models are loaded ones, or what `load` takes; without a text, the part that both have held out is read. The other
    arguments mean what they mean in `Model.score`. Raises CorpusError where the models cannot be compared on this
    text, VocabularyError where one lacks a character, unless `unknown` is set.
    """
    from charrnn.scoring.compare import compare

    use_threads(threads)
    a, b = (each if isinstance(each, Model) else load(each, checkpoints=checkpoints) for each in (a, b))
    any_bytes = a.tokenizer.any_bytes and b.tokenizer.any_bytes
    if text is None:
        text, unknown = held_out_of_both(a, b), True
    elif isinstance(text, PathLike):
        text = Corpus([fspath(text)], any_bytes=any_bytes)
    plain, statistics = (text.read(), text.statistics) if isinstance(text, Corpus) else in_memory(text)
    notes = list(statistics.notes)
    if lacking := max(missing_ends(plain, each.documents) for each in (a, b)):
        plain += "\n" * lacking
        notes.append(f"line ends that the last document lacks: {lacking}; counted as if it had them")
    how: dict[str, Any] = {"lines": lines, "reset_every": reset_every, "unknown": unknown, "batch_size": batch_size}
    name_a, name_b = _names(a, b)
    costs_a, told_a = _costs(name_a, a, plain, how)
    costs_b, told_b = _costs(name_b, b, plain, how)
    notes += [*told_a, *told_b]
    if a.documents != b.documents:
        notes.append(
            f"{name_a} reads {a.documents}, {name_b} {b.documents}: what reads documents begins each from nothing, and "
            "predicts its end in the place of its line end"
        )
    return compare(costs_a, costs_b, plain, tuple(dict.fromkeys(notes)))


def held_out_of_both(a: Model, b: Model, part: str = "valid") -> HeldOut:
    """The text that both models have held out. Raises CorpusError where each has one of its own."""
    found, other = held_out(a, part), held_out(b, part)
    if found.read() != other.read():
        raise CorpusError(
            f"{a.name} and {b.name} have each held out a text of their own: name a text that both have not seen"
        )
    return found


def _names(a: Model, b: Model) -> tuple[str, str]:
    """What tells them apart: names of runs, else files, else A and B."""
    if a.name != b.name:
        return a.name, b.name
    if a.header.path != b.header.path:
        return str(a.header.path), str(b.header.path)
    return f"{a.name} (A)", f"{b.name} (B)"


def _costs(name: str, model: Model, text: str, how: dict[str, Any]) -> "tuple[Costs, list[str]]":
    """What a text costs a model, and what there is to say of it."""
    from charrnn.scoring.costs import Costs

    try:
        score = model.score(text, **how)
    except VocabularyError as problem:
        raise VocabularyError(f"{name}: {problem}") from None
    notes = list(score.notes)
    if score.oov:
        size = model.tokenizer.size
        notes.append(f"{name} lacks {score.oov} characters in its vocabulary: each costs ln {size} nats")
    lines = bool(how["lines"]) and model.documents == "stream"
    return Costs.of_tokens(name, score.token_nll, model.tokenizer, text, model.documents, lines=lines), notes
