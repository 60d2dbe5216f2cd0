"""Commands that ignore nothing: no option given twice where one is taken, none beside what leaves it no meaning."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from charrnn.cli.options import typed
from charrnn.cli.types_in_help import in_plain_words
from charrnn.config.together import refuse
from charrnn.config.verbs import ADAPTED
from charrnn.errors import ConfigError

# Options that may stand alone, and what may follow them: alone, they mean the first.
ALONE = {"--adapt": ADAPTED}


class Command(TyperCommand):
    """A command that looks whether the options go together once it has read them."""

    def get_params(self, ctx: Any) -> Any:
        """Its options, for the help too."""
        found = super().get_params(ctx)
        in_plain_words(found)
        return found

    def make_parser(self, ctx: Any) -> Any:
        """The parser, which also refuses what is given twice."""
        return _once(super().make_parser(ctx), ctx)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the command line. Raises ConfigError where an option would be ignored."""
        left = super().parse_args(ctx, [*_with_values(args)])
        if not ctx.resilient_parsing:  # as for completion
            refuse(ctx.info_name or "", {name: value for name, value in ctx.params.items() if typed(ctx, name)})
        return left


class Group(TyperGroup):
    """A command that has commands below it."""

    def get_params(self, ctx: Any) -> Any:
        """Its options, for the help too."""
        found = super().get_params(ctx)
        in_plain_words(found)
        return found

    def make_parser(self, ctx: Any) -> Any:
        """The parser, which also refuses what is given twice."""
        return _once(super().make_parser(ctx), ctx)


def _with_values(words: list[str]) -> Iterator[str]:
    """The command line, each option that stands alone with its value."""
    options = words[: words.index("--")] if "--" in words else words
    for word, following in zip_longest(options, options[1:]):
        yield word
        if word in ALONE and not _is_value(following, ALONE[word]):
            yield ALONE[word][0]
    yield from words[len(options) :]


def _is_value(word: str | None, values: Sequence[str]) -> bool:
    """Whether a word is one of the values, or is meant to be: a bare name, and no file's."""
    return word is not None and (word in values or (word.isidentifier() and not Path(word).exists()))


def _once(parser: Any, ctx: typer.Context) -> Any:
    """A parser that raises ConfigError on an option given twice, where it is not repeatable."""
    parse = parser.parse_args

    def parse_args(args: list[str]) -> Any:
        try:
            found = parse(args=args)
        except typer.TyperException as problem:
            if getattr(problem, "ctx", None) is None:  # it does not know whose option it is
                problem.ctx = ctx  # type: ignore[attr-defined]
            raise
        if not ctx.resilient_parsing:
            _refuse_twice(found[2])
        return found

    parser.parse_args = parse_args
    return parser


def _refuse_twice(order: Iterable[Any]) -> None:
    """`order`: every parameter, as often as it was given."""
    for parameter, times in Counter(order).items():
        if times > 1 and _takes_one(parameter):
            raise ConfigError(f"{parameter.opts[0]} is given {times} times: give it once")


def _takes_one(parameter: Any) -> bool:
    """Whether two of it could contradict each other: not a list, nor a switch that can only be on."""
    if parameter.param_type_name != "option" or parameter.multiple:
        return False
    return not parameter.is_flag or bool(parameter.secondary_opts)
