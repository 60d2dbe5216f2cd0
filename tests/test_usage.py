"""Wrong usage that the parser finds or overlooks: held for every option of every command, told in one line."""

from pathlib import Path
from typing import Any

import pytest

from charrnn.cli.app import app
from charrnn.cli.flags import commands

from .conftest import CommandLine


def options() -> list[tuple[str, Any]]:
    """Every option of every command, but for those that end it at once."""
    return [
        (command, option)
        for command, made in commands(app)
        for option in made.params
        if option.param_type_name == "option" and not option.is_eager and option.name != "help"
    ]


def kind_of(option: Any) -> Any:
    """What is read: of a list or an optional value that of one."""
    annotation = option.type_descriptor.annotation
    return next((one for one in getattr(annotation, "__args__", ()) if one is not type(None)), annotation)


@pytest.mark.slow
def test_an_option_given_twice_is_refused_where_one_is_taken(charrnn: CommandLine) -> None:
    refused = 0
    for command, option in options():
        switch = option.is_flag and not option.secondary_opts
        # Both spellings of one option are the same option.
        words = [*option.opts, *option.secondary_opts]
        line = command.split()
        for flag in (words[0], words[-1]):
            line += [flag] if option.is_flag else [flag, "1"]
        if option.multiple:
            result = charrnn(*line, "--nonsense-behind")
            assert result.code == 2 and "No such option: --nonsense-behind" in result.err, line
        elif not switch:
            result = charrnn(*line)
            assert result.code == 2 and result.out == "", line
            assert result.err == f"charrnn: {option.opts[0]} is given 2 times: give it once\n"
            refused += 1
    assert refused > 80


def test_switches_lists_and_the_models_of_some_commands_may_be_repeated() -> None:
    repeated = {(command, option.name) for command, option in options() if option.multiple}
    assert {
        ("eval", "model"),
        ("inspect memory", "compare_with"),
        ("sample", "stop"),
        ("fill", "candidates"),
    } <= repeated
    assert {command for command, name in repeated if name == "model"} == {"eval", "inspect gradients", "serve"}


@pytest.mark.slow
def test_a_value_of_another_kind_is_told_in_plain_words(charrnn: CommandLine) -> None:
    seen = set()
    for command, option in options():
        kind = kind_of(option)
        if kind not in (int, float) or option.is_flag:
            continue
        wanted = "a whole number" if kind is int else "a number"
        for value in ("abc", "", "1e", *(["1.5"] if kind is int else [])):
            result = charrnn(*command.split(), option.opts[0], value)
            assert result.code == 2 and result.out == "", (command, option.name)
            assert result.err == f"charrnn: {option.opts[0]} must be {wanted}, not {value!r}\n"
        seen.add((command, kind))
    assert {("train", int), ("train", float), ("sample", int), ("sample", float), ("eval", float)} <= seen


# What is completed by the names there are, though others may be given: models, runs, texts.
COMPLETED = {"model", "name", "start_from", "valid", "test", "compare_with"}


def test_a_name_that_is_not_among_the_choices_is_told_with_those_that_are(charrnn: CommandLine) -> None:
    Path("text.txt").write_text("text", encoding="utf-8")
    checked = 0
    for command, option in options():
        if option._custom_shell_complete is None or option.name in COMPLETED:
            continue
        result = charrnn(*command.split(), option.opts[0], "nonesuch")
        assert result.code == 2 and result.out == "", (command, option.name)
        (line,) = result.err.splitlines()
        assert line.startswith(f"charrnn: {option.opts[0]} must be ") and "not 'nonesuch'" in line, line
        for choice in option.shell_complete(None, ""):
            assert choice.value in line
        checked += 1
    assert checked >= 8


def test_what_lacks_its_value_is_told_with_the_help_of_its_command(charrnn: CommandLine) -> None:
    for command, flag in (("score", "--top"), ("inspect memory", "--svg"), ("sample", "-n")):
        result = charrnn(*command.split(), flag)
        told = f"charrnn: Option '{flag}' requires an argument; see charrnn {command} --help\n"
        assert (result.code, result.out, result.err) == (2, "", told)


def test_pages_and_pictures_are_refused_at_once_where_their_folder_lacks(charrnn: CommandLine) -> None:
    written = [(command, option.opts[0]) for command, option in options() if option.name in ("html", "svg")]
    assert len(written) >= 6
    for command, flag in written:
        result = charrnn(*command.split(), flag, "nowhere/page")
        told = "charrnn: there is no folder nowhere to write page into: make it first\n"
        assert (result.code, result.out, result.err) == (1, "", told), command


def test_examples_begin_at_the_margin(charrnn: CommandLine) -> None:
    for command, _ in commands(app):
        page = charrnn(*command.split(), "--help").out
        examples = [line.rstrip() for line in page.partition("Examples:")[2].splitlines() if "charrnn" in line]
        assert examples and all(line[:2] != "  " for line in examples), (command, examples)
