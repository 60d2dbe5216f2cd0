"""Options that mean nothing beside others are refused, on the command line and in Python, from one table."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import charrnn as package
from charrnn.cli.app import app
from charrnn.cli.flags import commands
from charrnn.config.together import DRAWING, RULES, Rule, refuse
from charrnn.errors import ConfigError
from charrnn.generation.config import SampleConfig

from .conftest import CommandLine

# By their last word; of two that share it, as `runs compare` and `compare`, the one that stands by itself.
COMMANDS = {
    name.rsplit(" ", maxsplit=1)[-1]: (name, command)
    for name, command in sorted(commands(app), key=lambda each: -each[0].count(" "))
    if name
}
VERBS: dict[str, Callable[..., Any]] = {
    verb.__qualname__: verb
    for verb in (package.train, package.Training.start, package.Model.sample, package.Model.stream, package.Model.score,
                 package.Model.samples, package.Model.fill, package.Model.embed, package.Model.compress,
                 package.Model.score_lines)
}  # fmt: skip


def written(verb: str, name: str, value: str | None = None) -> list[str]:
    """An option or argument as it is typed, with a value that its command takes."""
    parameter = next(one for one in COMMANDS[verb][1].params if one.name == name)
    value = value or {"cell": "lstm", "skip": "dense", "tokenizer": "byte", "metric": "bpb", "optimizer": "sgd",
             "documents": "lines", "precision": "fp32", "unit": "1:0", "space": "none", "seconds": "3s", "pool": "last",
             "more": "3s", "per": "word", "sampler": "exact", "grammar": "smiles", "shares": "a:1,b:1",
             "against": "a:1"}.get(name)  # fmt: skip
    if parameter.param_type_name == "argument":
        return ["some.txt"]
    if parameter.is_flag:
        return [parameter.opts[0]]
    shares = ("valid", "dropout", "weight_drop", "average", "weight_decay", "test", "top_p", "min_p", "typical_p",
              "eta", "surprise", "frequency_penalty", "presence_penalty")  # fmt: skip
    small = "0.5" if name in shares else "300"
    return [parameter.opts[0], value or ("2" if name in ("layers", "ensemble") else small)]


def test_what_would_be_ignored_is_refused_by_every_command(charrnn: CommandLine) -> None:
    seen = 0
    for rule in RULES:
        for verb in (verb for verb in rule.verbs if verb in COMMANDS):
            for name in rule.options:
                for other in rule.beside or ("",):
                    line = [
                        *COMMANDS[verb][0].split(),
                        *written(verb, name),
                        *(written(verb, other, rule.being) if other else []),
                    ]
                    if verb == "fill":
                        line.append("a[...]b")
                    if verb == "compare":
                        line[1:1] = ["small", "large"]
                    refused = charrnn(*line)
                    said = written(verb, name)[0] if written(verb, name)[0].startswith("-") else "TEXT"
                    assert refused.code == 2 and len(refused.err.splitlines()) == 1, (line, refused)
                    assert refused.err.startswith(f"charrnn: {said} means nothing "), (line, refused)
                    seen += 1
    assert seen > 40


def test_every_name_in_the_table_is_an_option_there() -> None:
    for rule in RULES:
        assert rule.options and bool(rule.beside) != bool(rule.without)
        for verb in rule.verbs:
            if verb in COMMANDS:
                known = {parameter.name for parameter in COMMANDS[verb][1].params}
            else:
                own = set(inspect.signature(VERBS[verb]).parameters)
                known = (
                    own | SampleConfig.__dataclass_fields__.keys() | package.TrainOptions.__dataclass_fields__.keys()
                )
            assert {*rule.options, *rule.beside, *rule.without} <= known, rule


def test_every_option_of_a_sampling_is_refused_where_no_text_is_drawn() -> None:
    assert SampleConfig.__dataclass_fields__.keys() <= set(DRAWING)


def test_a_rule_looks_at_what_is_given_alone() -> None:
    rule = Rule(verbs=("v",), options=("a",), without=("b", "c"), being="x")
    assert rule.complaint({}) == rule.complaint({"a": 1, "c": "x"}) == rule.complaint({"b": "y"}) == ""
    assert rule.complaint({"a": 1, "b": "y"}).startswith("`a` means nothing without `b='x'` or `c='x'`: ")
    rule = Rule(verbs=("v",), options=("a", "b"), beside=("c",), because="so it is")
    assert rule.complaint({"a": 1, "b": 1}) == rule.complaint({"c": 1}) == ""
    assert rule.complaint({"b": 1, "c": 1}) == "`b` means nothing beside `c` (so it is): leave out one of them"
    refuse("no such verb", {"a": 1, "c": 1})


def test_what_goes_together_is_not_refused() -> None:
    for verb, given in (
        ("train", {"vocab_size": 300, "tokenizer": "subword"}), ("train", {"resume": True, "name": "a", "seconds": 3}),
        ("sample", {"repetition_window": 3, "repetition_penalty": 2}), ("memory", {"html": "x", "saliency_of": "x"}),
        ("eval", {"metric": "bpb", "fail_above": 3}), ("neurons", {"html": "x"}), ("Scorer.score", {"lines": True}),
        ("gradients", {"cell": ["lstm"], "hidden": 3}), ("Writer.stream", {"repetition_window": 3, "config": 1}),
    ):  # fmt: skip
        refuse(verb, given)


def test_an_option_given_twice_is_refused_unless_it_is_repeatable(charrnn: CommandLine) -> None:
    for line in ("sample --temp 1 --temp 1", "inspect -m a -m b", "train --norm --no-norm",
                 "sample -m a -m b"):  # fmt: skip
        refused = charrnn(*line.split())
        assert refused.code == 2 and "is given 2 times: give it once" in refused.err, line
    assert "given" not in charrnn("sample", "--stop", "a", "--stop", "b").err


def test_python_refuses_what_the_command_line_does(trained: Path) -> None:
    model = package.load("small", checkpoints=trained)
    for call, words in (
        (lambda: model.fill("a", "b", "c", drawn=3), "`drawn` means nothing beside `candidates`"),
        (lambda: model.score("a", lines=True, reset_every=3), "`reset_every` means nothing beside `lines`"),
        (lambda: model.sample(repetition_window=64), "`repetition_window` means nothing without `repetition_penalty`"),
        (lambda: package.train("fables", vocab_size=300), "`vocab_size` means nothing without `tokenizer='subword'`"),
    ):
        with pytest.raises(ConfigError) as told:
            call()
        assert str(told.value).startswith(words)
    assert model.score("The", lines=False, reset_every=2).tokens == 3
