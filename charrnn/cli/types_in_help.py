"""What an option takes, in the words of its user: <text>, not <list[str]>, and nothing behind a switch."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

WORDS = {str: "<text>", int: "<n>", float: "<x>", Path: "<path>"}


def in_plain_words(parameters: Iterable[Any]) -> None:
    """Give every option that has none a word for its value; one that repeats has that of each."""
    for parameter in parameters:
        if parameter.param_type_name == "option" and parameter.metavar is None:
            annotation = parameter.type_descriptor.annotation
            kind = next(iter(get_args(annotation)), annotation)
            parameter.metavar = "" if parameter.is_flag else WORDS.get(kind)
