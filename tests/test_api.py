"""The front door: what Python users call, what it takes, what it says when something is wrong."""

import dataclasses
import inspect
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import charrnn
from charrnn import api
from charrnn.api.arguments import sample_config, train_options
from charrnn.config import SEEDS
from charrnn.config.durations import format_duration, parse_duration
from charrnn.config.verbs import VerbArguments
from charrnn.errors import ConfigError
from charrnn.generation.config import SampleConfig

ROOT = Path(__file__).parents[1]
TINY: dict[str, Any] = {
    "hidden": 8, "embedding": 4, "layers": 1, "batch_size": 4, "bptt": 16, "threads": 1, "seed": 1, "precision": "fp32",
    "eval_every": 10,
}  # fmt: skip


# ---- paths and times


@pytest.mark.slow
def test_paths_are_str_or_path_one_or_several(tmp_path: Path, corpus: Path, prose: str) -> None:
    other = tmp_path / "other.txt"
    other.write_text(prose[:3000], encoding="utf-8")
    folder = tmp_path / "runs"
    of_paths = charrnn.train([corpus, str(other)], checkpoints=folder, name="paths", valid=other, steps=2, **TINY)
    of_texts = charrnn.train(
        (str(corpus), other), checkpoints=str(folder), name="texts", valid=str(other), steps=2, **TINY
    )
    assert of_paths == of_texts
    run = folder / "paths"
    for named in ("paths", run, str(run), run / "model.safetensors", str(run / "model.safetensors")):
        for checkpoints in (folder, str(folder)):
            assert charrnn.load(named, checkpoints=checkpoints) == of_paths, (named, checkpoints)
    went_on = charrnn.train(corpus, checkpoints=folder, start_from=run, steps=2, **{
        name: value for name, value in TINY.items() if name not in ("hidden", "embedding", "layers")
    })  # fmt: skip
    assert went_on.config == of_paths.config


def test_a_text_in_a_file_is_scored_as_the_text_itself(trained: Path, tmp_path: Path, prose: str) -> None:
    model = charrnn.load("small", checkpoints=trained)
    (tmp_path / "text.txt").write_text(prose[:400], encoding="utf-8")
    assert model.score(tmp_path / "text.txt") == model.score(prose[:400])


def test_a_time_is_written_as_on_the_command_line_or_in_seconds() -> None:
    for text, seconds in (("30s", 30), ("1h30m", 5400), ("0.5m", 30), (45, 45), (1.5, 1.5)):
        assert parse_duration(text) == seconds
        assert train_options("fables", {"seconds": text}).seconds == seconds
    for wrong in ("30", "", "s", "3x", "-3s", "0s", 0, -1, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match="90s"):
            train_options("fables", {"seconds": wrong})
    for seconds in (1, 59, 60, 3600, 5425):
        assert parse_duration(format_duration(seconds)) == seconds


def test_more_time_for_a_run_is_written_so_too(trained: Path) -> None:
    with pytest.raises(ConfigError, match="90s"):
        charrnn.resume("small", checkpoints=trained, seconds="3")


# ---- options


def test_an_unknown_option_is_told_with_the_nearest(trained: Path, corpus: Path) -> None:
    model = charrnn.load("small", checkpoints=trained)
    verbs: list[tuple[Callable[..., object], tuple[object, ...], str, str]] = [
        (model.sample, (), "temp", "the nearest is `temperature`"),
        (model.sample, (), "n", "the nearest is `rows`"),
        (model.sample, (), "topk", "the nearest is `top_k`"),
        (model.stream, (), "max_tokens", "the nearest is `length`"),
        (model.score, ("a",), "batchsize", "the nearest is `batch_size`"),
        (model.fill, ("a", "b"), "candidate", "the nearest is `candidates`"),
        (charrnn.compare, ("small", "small"), "reset", "the nearest is `reset_every`"),
        (charrnn.load, (), "checkpoint", "the nearest is `checkpoints`"),
        (charrnn.load, (), "xyz", "there are model, checkpoints, device"),
        (charrnn.train, (corpus,), "foo", "there are corpus, checkpoints"),
        (charrnn.train, (corpus,), "learning_rate", "the nearest is `lr`"),
        (charrnn.train, (corpus,), "epoch", "the nearest is `epochs`"),
        (charrnn.Training.start, (corpus,), "drop_out", "the nearest is `dropout`"),
        (charrnn.Training.resume, (), "step", "the nearest is `steps`"),
        (charrnn.resume, (), "hidden", "there are name, corpus, checkpoints"),
    ]
    for verb, arguments, wrong, words in verbs:
        with pytest.raises(ConfigError) as told:
            verb(*arguments, **{wrong: 1})
        assert f"there is no option `{wrong}`; " in str(told.value) and words in str(told.value), told.value


def test_options_change_a_configuration_that_is_given() -> None:
    config = SampleConfig(temperature=0.5, top_k=3)
    assert sample_config(config, {}) == config
    assert sample_config(config, {"top_k": None, "length": 7}) == SampleConfig(temperature=0.5, length=7)
    assert sample_config(None, {"stop": "The"}).stop == ("The",)
    assert sample_config(None, {"stop": ["a", "b"]}).stop == ("a", "b")


def test_a_value_out_of_range_names_its_field(trained: Path) -> None:
    model = charrnn.load("small", checkpoints=trained)
    wrong: list[tuple[Callable[[], object], str]] = [
        (lambda: model.sample(rows=0), "`rows`"),
        (lambda: model.sample(precision="bf16"), "`precision` must be int8 or fp32, not 'bf16'"),
        (lambda: model.score("a", batch_size=0), "`batch_size`"),
        (lambda: model.score("a", reset_every=0), "`reset_every`"),
        (lambda: model.score("a", reset_every=3, adapt=True), "`reset_every` means nothing beside `adapt`"),
    ]
    for call, words in wrong:
        with pytest.raises(ConfigError, match=words) as told:
            call()
        assert "--" not in str(told.value), told.value


def test_sample_is_stream_put_together(trained: Path) -> None:
    model = charrnn.load("small", checkpoints=trained)
    one = model.sample("The", seed=3, length=20)
    assert isinstance(one, str) and len(one) == 20
    assert one == "".join(chunk.text for chunk in model.stream("The", seed=3, length=20))
    assert model.sample("The", seed=3, length=20, echo=True) == "The" + one
    several = model.sample("The", rows=2, seed=3, length=20)
    assert several == [one, model.sample("The", seed=4, length=20)]


def test_an_argument_of_another_type_is_refused_and_named(trained: Path) -> None:
    model = charrnn.load("small", checkpoints=trained)
    verbs: list[tuple[Callable[..., object], dict[str, object]]] = [
        (model.sample, {}), (model.stream, {}), (model.samples, {}), (model.read, {}),
        (model.score, {"text": "a"}), (model.fill, {"left": "a", "right": "b"}),
        (charrnn.compare, {"a": "small", "b": "small"}), (charrnn.contrast, {"a": "small", "b": "small"}),
        (charrnn.mix, {"shares": {"small": 1}}),
        (charrnn.load, {}), (charrnn.train, {}), (charrnn.resume, {}), (charrnn.Training.start, {}),
        (charrnn.Training.resume, {}),
    ]  # fmt: skip
    unchecked = {"self", "cls", "config", "corpus"}  # which are read by the configurations themselves
    seen = 0
    for verb, needed in verbs:
        for name, parameter in inspect.signature(verb).parameters.items():
            if parameter.kind is parameter.VAR_KEYWORD or name in unchecked:
                continue
            kinds = str(VerbArguments.__dataclass_fields__[name].type)
            for value in (5, 2.5, "five", b"five", [5], object()):
                if isinstance(value, str) and (name in ("text", "a", "b", "state", "shares") or "str" in kinds):
                    continue
                if (value == 5 and "int" in kinds) or (value in (5, 2.5) and "float" in kinds):
                    continue
                with pytest.raises(ConfigError, match=f"^`{name}` must be .*, not "):
                    verb(**{**needed, name: value})
                seen += 1
    assert seen > 150


def anything(typed: Any) -> Any:
    """What a type checker would not let be called so."""
    return typed


def test_wrong_values_of_options_are_told_in_a_line(trained: Path) -> None:
    model, train = anything(charrnn.load("small", checkpoints=trained)), anything(charrnn.train)
    for call, words in (
        (lambda: model.sample(stop=5), "`stop` must be a text, or several, not 5"),
        (lambda: model.sample(stop=["a", 5]), "`stop` must be a text, or several, not ('a', 5)"),
        (lambda: model.sample(seed=-1), "`seed` must be at least 0 and below 4,294,967,296, not -1"),
        (lambda: model.sample(seed=10**5000), "not a number of thousands of digits"),
        (lambda: model.sample(config={"top_k": 3}), "`config` must be a SampleConfig"),
        (lambda: train(5), "`corpus` must be a text, or several, not 5"),
        (lambda: train(b"x" * 999), "`corpus` must be a text, or several, not b'xxx"),
        (lambda: train([]), "`corpus` must name a text"),
        (lambda: train(seconds=True), "True is no time"),
        (lambda: train(seconds=[1]), "[1] is no time"),
        (lambda: charrnn.resume(steps=1, seconds=2), "give one of `more`, `seconds`, `steps` and `epochs`"),
        (lambda: charrnn.load("small", checkpoints=trained, device="cpu:x").network, "there is no device cpu:x here"),
    ):  # fmt: skip
        with pytest.raises(ConfigError) as told:
            call()
        assert words in str(told.value) and len(str(told.value)) < 200


def test_numbers_of_numpy_are_numbers(trained: Path) -> None:
    model = anything(charrnn.load("small", checkpoints=trained))
    own = model.sample("The", rows=2, seed=3, length=9, temperature=0.5, top_k=2)
    assert own == model.sample(
        "The", rows=np.int64(2), seed=np.uint32(3), length=np.int16(9), temperature=np.float32(0.5), top_k=np.int8(2)
    )
    assert model.score("The heron", reset_every=np.int64(2)) == model.score("The heron", reset_every=2)
    made = anything(charrnn.TrainOptions)(lr=np.float32(0.5), steps=np.int64(3), tie=np.bool_(True))
    assert made == charrnn.TrainOptions(lr=0.5, steps=3, tie=True) and type(made.steps) is int


def test_one_stop_string_is_one_and_not_its_letters(trained: Path) -> None:
    model = charrnn.load("small", checkpoints=trained)
    text = model.sample(seed=2, length=60)
    assert isinstance(text, str)
    stop = text[20:24]
    assert model.sample(seed=2, length=60, stop=stop) == text[: text.index(stop)] != ""
    assert model.sample(seed=2, length=60, stop=[stop]) == text[: text.index(stop)]


def test_every_seed_that_is_said_can_be_given(trained: Path) -> None:
    model = charrnn.load("small", checkpoints=trained)
    rows = model.sample(rows=3, seed=SEEDS - 2, length=20)
    assert rows == [model.sample(seed=seed, length=20) for seed in (SEEDS - 2, SEEDS - 1, 0)]


def test_threads_are_taken_where_they_are_asked_for(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    model = charrnn.load("small", checkpoints=trained, threads=2)
    assert torch.get_num_threads() == 2
    assert model.score("The", threads=1) == model.score("The")
    assert torch.get_num_threads() == 1


# ---- what is shown, what is equal


def test_a_model_and_a_score_are_shown_in_a_line(trained: Path, tmp_path: Path, prose: str) -> None:
    model, lines = (charrnn.load(name, checkpoints=trained) for name in ("small", "lines"))
    loss = model.header.summary["loss"]
    symbols = len(set(prose[: round(len(prose) * 0.95)]))
    assert repr(model) == f"<Model small: lstm 1 x 16, {symbols} characters, {loss / np.log(2):.3f} bpc>"
    assert repr(lines).startswith("<Model lines: lstm 1 x 16, ") and repr(lines).endswith(" bits per token>")
    copied = tmp_path / "copied.safetensors"
    copied.write_bytes((trained / "small/model.safetensors").read_bytes())
    assert repr(charrnn.load(copied)).startswith("<Model copied: ")
    score = model.score(prose[:2000])
    assert repr(score) == f"<Score 2,000 tokens, {score.bpc:.3f} bpc>"


def test_a_model_of_bytes_speaks_of_tokens(tmp_path: Path, corpus: Path) -> None:
    model = charrnn.train(corpus, checkpoints=tmp_path, tokenizer="byte", steps=2, **TINY)
    assert " 256 bytes, " in repr(model) and repr(model).endswith(" bits per token>")


def test_models_are_equal_when_configuration_tokenizer_and_weights_are(trained: Path) -> None:
    model, again, other = (charrnn.load(name, checkpoints=trained) for name in ("small", "small", "lines"))
    assert model == again and hash(model) == hash(again) and len({model, again}) == 1
    assert model != other and model != "small"
    name = next(iter(model.weights))
    changed = {**model.weights, name: model.weights[name] + np.float32(1e-3)}
    assert model != dataclasses.replace(model, weights=changed)
    symbols = model.tokenizer.decode(range(model.tokenizer.size))
    moved = type(model.tokenizer)(symbols[1:] + chr(ord(max(symbols)) + 1))  # type: ignore[call-arg]
    assert moved.size == model.tokenizer.size and model != dataclasses.replace(model, tokenizer=moved)


def test_scores_are_equal_when_their_numbers_are(trained: Path, prose: str) -> None:
    model = charrnn.load("small", checkpoints=trained)
    score, again = model.score(prose[:300]), model.score(prose[:300])
    assert score == again and hash(score) == hash(again) and len({score, again}) == 1
    assert score != model.score(prose[:299]) and score != 1.0
    assert score != model.score(prose[:300], fit_temperature=True)
    adapted = [model.score(prose[:300], adapt=True) for _ in range(2)]
    assert adapted[0] == adapted[1] != score
    nudged = score.token_nll.copy()
    nudged[7] += 1e-12
    assert score != dataclasses.replace(score, token_nll=nudged)


# ---- the page


@pytest.mark.slow
def test_the_api_page_is_what_the_code_says_and_names_all_that_is_public() -> None:
    page = runpy.run_path(str(ROOT / "docs/make_api.py"))
    written = page["render"]()
    assert (ROOT / "docs/api.md").read_text("utf-8") == written, "run: make docs"
    assert sorted(name for names in page["CHAPTERS"].values() for name in names) == charrnn.__all__
    for name in charrnn.__all__:
        assert f"### {name}\n" in written or f"- `{name}`" in written, name


def test_the_package_door_and_the_room_are_the_same() -> None:
    assert {name: getattr(api, name) for name in ("Model", "Training", "load", "resume", "train")} == {
        name: getattr(charrnn, name) for name in ("Model", "Training", "load", "resume", "train")
    }
