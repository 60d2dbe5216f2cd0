"""Minimal pairs, from files or as they are, and a model become scores: what `Model.pairs` and `eval --pairs` do."""

from collections.abc import Iterable
from os import PathLike, fspath
from typing import TYPE_CHECKING, TypeAlias

from charrnn.api.arguments import AnyPath
from charrnn.config import require
from charrnn.config.fields import shown
from charrnn.text.pairs import Pair, read_pairs

if TYPE_CHECKING:
    from charrnn.api.opened import Opened
    from charrnn.scoring.pairs import PairScores

AnyPairs: TypeAlias = AnyPath | Iterable[AnyPath | Pair | tuple[str, str]]


def pairs_of(given: AnyPairs) -> list[Pair]:
    """A file or several, read; or pairs, each a `Pair` or (good, bad).

    Raises ConfigError on anything else, or nothing; CorpusError on a file that cannot be read, with the line.
    """
    several = [given] if isinstance(given, str | PathLike) else list(given)
    require(bool(several), "there are no `pairs`: give a file of them, or tuples of a good and a bad sentence")
    files = [fspath(each) for each in several if isinstance(each, str | PathLike)]
    if len(files) == len(several):
        return read_pairs(files)
    return [_pair(number, each) for number, each in enumerate(several, 1)]


def _pair(number: int, given: object) -> Pair:
    if isinstance(given, Pair):
        return given
    two = isinstance(given, tuple | list) and len(given) == 2 and all(isinstance(each, str) for each in given)
    require(two, f"`pairs` must be files, or tuples of a good and a bad sentence, not {shown(given)}")
    assert isinstance(given, tuple | list)
    return Pair(given[0], given[1], line=number)


def scored(model: "Opened", pairs: AnyPairs, *, end: bool, unknown: bool, batch_size: int | None) -> "PairScores":
    """The pairs by the model, read forwards."""
    from charrnn.scoring.pairs import score_pairs
    from charrnn.scoring.texts import TEXTS_AT_ONCE

    return score_pairs(
        model.predictor,
        model.tokenizer,
        pairs_of(pairs),
        documents=model.documents,
        end=end,
        unknown=unknown,
        batch_size=batch_size or TEXTS_AT_ONCE,
    )
