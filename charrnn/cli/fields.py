"""How options of commands are made: of the fields of a configuration, where each is written once, or one by one."""

import dataclasses
import inspect
import os
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from charrnn.cli.completion import complete_model, complete_name, complete_text
from charrnn.config.fields import Config, Field, Range, Setting, check, kinds, one_of, parsed, setting, tuple_of
from charrnn.config.suggest import nearest
from charrnn.errors import ConfigError
from charrnn.models.cells import CELLS
from charrnn.models.connections import CONNECTIONS
from charrnn.text.tokenizers import TOKENIZERS

# Fields whose values a shell can find.
COMPLETED = {"start_from": complete_model, "name": complete_name, "valid": complete_text, "test": complete_text}

# (parameter, value as it was typed) -> value; of the value alone, where the parameter's name is not asked for.
Check = Callable[..., Any]

# Names that a registry above the configurations holds; all others stand at the field.
REGISTRIES = {
    "tokenizer": tuple(TOKENIZERS),
    "cell": tuple(CELLS),
    "skip": tuple(name or "none" for name in CONNECTIONS),
}


def option(
    panel: str,
    words: str,
    *names: str,
    default: str | bool = True,
    within: Range | None = None,
    check: Check | None = None,
    **more: Any,
) -> Any:
    """An option under the heading `panel`: what it is for, what the help says of its default, its range."""
    if within is not None:
        check = inside(within)
    return typer.Option(*names, help=words, show_default=default, callback=check, rich_help_panel=panel, **more)


def choice(panel: str, words: str, choices: Sequence[str], *names: str, metavar: str | None = None, **more: Any) -> Any:
    """An option that takes one of these names; under a `metavar` they are listed in the help, where there is room."""
    if metavar:
        words = f"{words.removesuffix('.')}: {', '.join(choices)}."
    more = {"check": among(choices), "metavar": metavar or "|".join(choices), **more}
    return option(panel, words, *names, autocompletion=lambda: list(choices), **more)


def among(choices: Sequence[str]) -> Check:
    """A check that a name is one of these; each of several."""

    def check(parameter: typer.CallbackParam, value: Any) -> Any:
        for each in value if isinstance(value, list) else [value]:
            if each is not None and each not in choices:
                near = nearest(each, choices)
                hint = f"; the nearest is {near}" if near else ""
                raise ConfigError(f"{parameter.opts[0]} must be {one_of(choices)}, not {each!r}{hint}")
        return value

    return check


def inside(within: Range) -> Check:
    """A check that a number lies in a range, which NaN never does."""

    def check(parameter: typer.CallbackParam, value: Any) -> Any:
        if value is not None and value not in within:
            raise ConfigError(f"{parameter.opts[0]} must be {within}, not {value}")
        return value

    return check


def utf8(text: Any) -> Any:
    """Text from the command line as UTF-8, whatever the locale took it for."""
    if isinstance(text, list):
        return [utf8(one) for one in text]
    return os.fsencode(text).decode("utf-8", "surrogateescape") if isinstance(text, str) else text


def with_fields(config: type[Config]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command an option for each field, behind its arguments and in front of its keyword-only options.

    The command takes them as `**fields`. A field that is a parameter of the command already is left as it is there.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = [each for each in inspect.signature(command).parameters.values() if each.kind is not each.VAR_KEYWORD]
        taken = {each.name for each in own}
        made = [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=default_of(field),
                annotation=Annotated[annotation(field), option_of(field)],
            )
            for field in dataclasses.fields(config)
            if field.name not in taken
        ]
        first = [each for each in own if each.kind is not each.KEYWORD_ONLY]
        whole = [*first, *made, *own[len(first) :]]
        command.__signature__ = inspect.Signature(whole)  # type: ignore[attr-defined]
        command.__annotations__ = {each.name: each.annotation for each in whole}
        return command

    return decorate


def from_field(config: type[Config], name: str, **changes: Any) -> Any:
    """A typer option made of one field, with another help, group or default told where the command has its own."""
    return option_of(config.__dataclass_fields__[name], **changes)


def option_of(field: Field, **changes: Any) -> Any:
    """A typer option: the field's flag, words and choices; what is given is read and checked as the field's value."""
    told: Setting = dataclasses.replace(setting(field), **changes)
    choices = REGISTRIES.get(field.name, told.choices)
    words: dict[str, Any] = {"metavar": told.metavar, "default": told.default or True}
    if field.name in COMPLETED:
        words["autocompletion"] = COMPLETED[field.name]
    if choices:
        return choice(told.group, told.help, choices, *flags_of(field), check=reader(field, choices), **words)
    return option(told.group, told.help, *flags_of(field), check=reader(field, ()), **words)


def default_of(field: Field) -> Any:
    """The field's default as typer takes it."""
    default: Any = field.default
    return [*default] if tuple_of(field) else default


def flags_of(field: Field) -> tuple[str, ...]:
    """`batch_size` -> --batch-size, unless the field says another; with --no-, where it is yes or no."""
    flag = field.name.replace("_", "-")
    return setting(field).flags or ((f"--{flag}/--no-{flag}",) if bool in kinds(field) else (f"--{flag}",))


def annotation(field: Field) -> Any:
    """The type that the command line reads: text, where the field has its own way of reading."""
    if tuple_of(field):
        return list[str]
    kind = str if setting(field).parse or str in kinds(field) else kinds(field)[0]
    return kind | None


def read_value(field: Field, text: str) -> Any:
    """A text as the field's value, one where it takes several. Raises ConfigError when it is none."""
    if tuple_of(field):
        return (text,)
    text, kind = text.strip(), annotation(field).__args__[0]
    try:
        value = kind(text)
    except ValueError:
        value = text
    value = parsed(field, value)
    check(field, value)
    return value


def reader(field: Field, choices: Sequence[str]) -> Check:
    """What was typed as the field's value; each of several. Raises ConfigError when it is none."""

    def read(parameter: typer.CallbackParam, value: Any) -> Any:
        if tuple_of(field):  # of texts: names of files are left as the locale has them
            return tuple(map(utf8, value or ()))
        if isinstance(value, list):
            return [read(parameter, each) for each in value]
        if choices:
            among(choices)(parameter, value)
        value = parsed(field, value)
        check(field, value)
        return value

    return read
