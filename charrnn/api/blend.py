"""Several models that write as one: mixed, or one against another."""

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property

from charrnn.api.arguments import AnyPath, known_options
from charrnn.api.model import Model, load
from charrnn.api.opened import Opened
from charrnn.api.source import Source
from charrnn.api.writer import Writer
from charrnn.inference.base import Engine
from charrnn.inference.blend import BlendEngine, Combine, contrast_of, mean_of, part
from charrnn.schema import to_json_text
from charrnn.text.tokenizers import united


class Blend(Writer):
    """Several models that read the same text side by side and write as one (`mix`, `contrast`).

    Its vocabulary is all their symbols; a model that lacks one gives it probability 0, and reads a text's start for it.
    """

    def __init__(
        self, sources: Sequence[Source], combine: Combine, title: str, told: tuple[str, *tuple[float, ...]]
    ) -> None:
        """`combine` makes one of what they say; `told` is that in a name and numbers.

        Raises ConfigError where they predict different kinds of things.
        """
        self._sources, self._combine, self._title, self._told = tuple(sources), combine, title, told
        self.tokenizer = united([source.tokenizer for source in sources])

    def __repr__(self) -> str:
        """<Blend: 0.7 fables + 0.3 river>"""
        return f"<Blend: {self.title}>"

    @property
    def title(self) -> str:
        """Its models with their shares: 0.7 fables + 0.3 river."""
        return self._title

    @property
    def precision(self) -> str:
        """In what numbers it generates, unless told: int8 where all of them may."""
        return "int8" if all(source.precision == "int8" for source in self._sources) else "fp32"

    @cached_property
    def digest(self) -> str:
        """What it is, in one number: SHA-256 of its models' and of how they are read as one, in hexadecimal."""
        told = [self._told, [source.digest for source in self._sources]]
        return hashlib.sha256(to_json_text(told).encode()).hexdigest()

    @property
    def opened(self) -> tuple[Opened, ...]:
        """The models that it is made of."""
        return tuple(model for source in self._sources for model in source.opened)

    @property
    def documents(self) -> str:
        """How their training texts were told apart; stream where that differs."""
        kinds = {source.documents for source in self._sources}
        return kinds.pop() if len(kinds) == 1 else "stream"

    def open_engine(self, precision: str) -> Engine:
        """What reads one token after another. Raises ConfigError where one of them cannot in these numbers."""
        size = self.tokenizer.size
        parts = [
            part(source.open_engine(precision), source.tokenizer.ids_in(self.tokenizer), size)
            for source in self._sources
        ]
        return BlendEngine(parts, self._combine)


def mixed(shares: Sequence[tuple[Model, float]]) -> Blend:
    """The mean of the probabilities, by shares of their sum."""
    whole = sum(share for _, share in shares)
    parts = [share / whole for _, share in shares]
    title = " + ".join(f"{share:.4g} {model.name}" for share, (model, _) in zip(parts, shares, strict=True))
    return Blend([model for model, _ in shares], mean_of(parts), title, ("mix", *parts))


def contrasted(source: Source, other: Model, weight: float) -> Blend:
    """One, and the logarithm of another's probabilities taken from its own."""
    title = f"{source.name if isinstance(source, Opened) else source.title} - {weight:.4g} {other.name}"
    return Blend([source, other], contrast_of(weight), title, ("contrast", weight))


@known_options()
def mix(
    shares: Mapping[Model | AnyPath, float], *, checkpoints: AnyPath | None = None, threads: int | None = None
) -> Blend:
    """Several models as one: the mean of their probabilities, by shares: `mix({"fables": 0.7, "river": 0.3})`.

    Models are loaded ones, or what `load` takes; shares are of their sum. Models of characters may have other
    vocabularies. Raises ConfigError where one predicts characters and another bytes or subwords, or other subwords.
    """
    return mixed([(_loaded(model, checkpoints, threads), share) for model, share in shares.items()])


@known_options()
def contrast(
    a: Model | AnyPath,
    b: Model | AnyPath,
    weight: float = 0.3,
    *,
    checkpoints: AnyPath | None = None,
    threads: int | None = None,
) -> Blend:
    """What sets one model apart from another: log p of `a` minus `weight` x log p of `b`, normalised.

    Filters keep out what both hold unlikely (after Li et al. 2023): a `top_p` or `min_p` does. Raises what `mix` does.
    """
    return contrasted(_loaded(a, checkpoints, threads), _loaded(b, checkpoints, threads), weight)


def _loaded(model: Model | AnyPath, checkpoints: AnyPath | None, threads: int | None) -> Model:
    return model if isinstance(model, Model) else load(model, checkpoints=checkpoints, threads=threads)
