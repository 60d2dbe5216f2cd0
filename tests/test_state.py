"""A text is read once and continued many times: to the bit as if it were read again, by its own model alone."""

import json
import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import charrnn as package
from charrnn.errors import CheckpointError, ConfigError
from charrnn.generation.config import SampleConfig
from charrnn.generation.loop import generate
from charrnn.inference import reading as module
from charrnn.inference.reading import read
from charrnn.models.states import named_parts, state_parts
from charrnn.storage.header import KEY
from charrnn.text.tokenizers.byte import ByteTokenizer
from charrnn.text.tokenizers.subword import SubwordTokenizer

from .cases import each
from .conftest import CommandLine
from .test_generation_loop import LETTERS, PROSE, engine_of, network

OPTIONS: list[dict[str, Any]] = [
    {},
    {"temperature": 0.0},
    {"frequency_penalty": 1.0, "repetition_window": None},
    {"repetition_penalty": 2.0, "repetition_window": 9},
    {"surprise": 2.0, "top_k": 9, "temperature": None},
    *({"match": "[a-z ]{20,}", "sampler": sampler} for sampler in ("masked", "exact", "smc")),
]


@each(
    "fields, precision",
    [({}, "int8"), ({}, "fp32"), ({"ensemble": 2}, "int8"), ({"cell": "gru", "norm": True}, "fp32")],
)
def test_what_was_read_is_continued_as_if_it_were_read_again(fields: dict[str, Any], precision: str) -> None:
    engine = engine_of(network(LETTERS, **fields), precision)
    ids = LETTERS.encode("the quick brown fox").tolist()
    # Options are the same to every engine: the others are asked with a few.
    for options in OPTIONS if fields == {} and precision == "int8" else OPTIONS[::4]:
        config = SampleConfig.of(length=30, **options)
        expected = list(generate(engine, LETTERS, config, prompt="the quick brown fox", rows=4, seed=3, logprobs=True))
        for seam in (0, 7, len(ids)):
            kept = read(engine, ids[seam:], read(engine, ids[:seam]))
            assert list(generate(engine, LETTERS, config, after=kept, rows=4, seed=3, logprobs=True)) == expected
            first = read(engine, ids[:seam])
            prompt = LETTERS.decode(ids[seam:])
            assert (
                list(generate(engine, LETTERS, config, after=first, prompt=prompt, rows=4, seed=3, logprobs=True))
                == expected
            )
            alone = generate(engine, LETTERS, config, after=kept, first=2, seed=3, logprobs=True)
            assert list(alone) == [chunk for chunk in expected if chunk.row == 2]


@each("precision", ["int8", "fp32"])
def test_a_long_text_is_read_to_the_same_bits_whoever_multiplies(
    precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engine_of(network(LETTERS, hidden=192), precision)
    ids = LETTERS.encode((PROSE.lower() * 2).translate({ord(sign): " " for sign in ",:?"})).tolist()
    assert len(ids) > module.LONG
    logits, state = engine.prime(np.array([LETTERS.size, *ids]))
    found = read(engine, ids)
    assert found.ids == ids and np.array_equal(found.logits, logits)
    assert all(map(np.array_equal, state_parts(found.state), state_parts(state)))
    # Nothing of it is changed by going on.
    list(generate(engine, LETTERS, SampleConfig(length=5), after=found, rows=2))
    assert found.ids == ids and np.array_equal(found.logits, logits)


def test_within_a_character_of_several_bytes_a_text_is_cut_and_gone_on_from() -> None:
    tokenizer = ByteTokenizer()
    engine = engine_of(network(tokenizer), "int8")
    whole = "née ☃".encode()
    config = SampleConfig(length=9, temperature=1.0)
    expected = list(generate(engine, tokenizer, config, prompt="née ☃", seed=1))
    for seam in range(len(whole) + 1):
        kept = read(engine, list(whole[seam:]), read(engine, list(whole[:seam])))
        assert list(generate(engine, tokenizer, config, after=kept, seed=1)) == expected


def test_the_places_in_a_state_have_names_of_their_own() -> None:
    state = engine_of(network(LETTERS, ensemble=2)).initial_state(1)
    names = [name for name, _ in named_parts(state)]
    assert names[:2] == ["state.0.layers.0.h", "state.0.layers.0.c"] and "state.1.products.1" in names
    assert len(set(names)) == len(names) == len(list(state_parts(state)))
    assert [part.shape for _, part in named_parts(state)] == [part.shape for part in state_parts(state)]


@pytest.fixture(scope="module")
def models(trained: Path) -> Path:
    return trained


def test_a_state_goes_through_a_file_and_python_takes_either(models: Path, tmp_path: Path) -> None:
    model = package.load("small", checkpoints=models)
    prompt = "The heron stood in the river and said:\n"
    options: dict[str, Any] = {"seed": 5, "rows": 3, "length": 40, "frequency_penalty": 0.5}
    expected = model.sample(prompt, **options)
    state = model.read(prompt)
    path = tmp_path / "heron.state"
    state.save(path)
    assert model.sample(state=state, **options) == model.sample(state=path, **options) == expected
    assert model.sample(state=str(path), **options) == expected
    assert repr(state) == f"<State: {len(prompt)} characters read, {model.precision}>" and state.text == prompt
    again = model.read(state=path)
    assert (again.text, again.tokens, again.precision) == (prompt, len(prompt), state.precision)
    begun = model.read(prompt[:9])
    assert model.sample(prompt[9:], state=begun, **options) == expected
    assert [one.text for one in model.samples(state=path, **options)] == expected
    assert [one.text for one in model.samples(state=path, unique=True, **options)] == expected
    loaded = package.load(models / "small" / "model.safetensors")
    assert loaded.sample(state=state, **options) == expected, "the same model, wherever it stands"


def test_a_state_is_refused_by_any_other_model_and_in_other_numbers(models: Path, tmp_path: Path) -> None:
    small, lines = package.load("small", checkpoints=models), package.load("lines", checkpoints=models)
    path = tmp_path / "kept"
    for precision, other in (("int8", "fp32"), ("fp32", "int8")):
        state = small.read("The", precision=precision)
        state.save(path)
        assert small.sample(state=path, seed=1) == small.sample("The", seed=1, precision=precision)
        for form in (state, path):
            with pytest.raises(ConfigError, match=f"`precision` is {other}, and the text was read in {precision}"):
                small.sample(state=form, precision=other)
            with pytest.raises(CheckpointError, match="of another model"):
                lines.sample(state=form)


def test_a_damaged_state_is_told_in_a_line_and_never_read(models: Path, tmp_path: Path) -> None:
    model = package.load("small", checkpoints=models)
    path = tmp_path / "kept"
    model.read("The heron").save(path)
    whole = path.read_bytes()
    length = struct.unpack("<Q", whole[:8])[0]
    header = json.loads(whole[8 : 8 + length])

    def with_header(change: Any) -> bytes:
        changed = json.loads(json.dumps(header))
        change(changed)
        text = json.dumps(changed).encode()
        return struct.pack("<Q", len(text)) + text + whole[8 + length :]

    def about(**fields: Any) -> Any:
        def change(entries: dict[str, Any]) -> None:
            record = json.loads(entries["__metadata__"][KEY])
            record["state"] |= fields
            entries["__metadata__"][KEY] = json.dumps(record)

        return change

    place = 8 + length + header["ids"]["data_offsets"][0]
    first = 8 + length + header["logits"]["data_offsets"][0]
    cases: list[tuple[bytes, str]] = [
        (b"", "is no charrnn checkpoint"),
        (b"\x80\x04" + whole, "is a pickle"),
        (whole[:-3], "is damaged: it has"),
        (whole + b"x", "is damaged: it has"),
        (with_header(lambda entries: entries.pop("logits")), "is damaged"),
        (with_header(about(precision="fp64")), "is no state"),
        (with_header(about(model=None)), "of another model"),
        (with_header(lambda entries: entries["ids"].update(dtype="F32")), "is damaged"),
        (with_header(lambda entries: entries.update(extra=entries["ids"])), "is damaged"),
        (whole[:place] + struct.pack("<i", -1) + whole[place + 4 :], "no model has read"),
        (whole[:place] + struct.pack("<i", model.tokenizer.size) + whole[place + 4 :], "no model has read"),
        (whole[:first] + struct.pack("<f", float("nan")) + whole[first + 4 :], "no model has read"),
    ]
    for content, words in cases:
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=words) as told:
            model.sample(state=path)
        assert str(path) in str(told.value) and "\n" not in str(told.value)
    shutil.copy(models / "small" / "model.safetensors", path)
    with pytest.raises(CheckpointError, match="is no state that was kept"):
        model.sample(state=path)
    model.read("The heron").save(path)
    with pytest.raises(CheckpointError):
        package.load(path)


def test_the_command_reads_once_and_goes_on_many_times(charrnn: CommandLine, models: Path, tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_text("The fox and the crow met by the river.\n" * 20)
    here = ["--checkpoints", str(models), "-m", "small"]
    drawing = ["--seed", "4", "-n", "3", "-l", "30"]
    read_out = charrnn("sample", *here, "--prompt-file", "long.txt", "--state-out", "s")
    assert read_out.code == 0 and read_out.out == "" and "780 characters were read in" in read_out.err
    expected = charrnn("sample", *here, "--prompt-file", "long.txt", "--no-echo", *drawing)
    found = charrnn("sample", *here, "--state-in", "s", *drawing)
    assert (found.code, found.out) == (0, expected.out) and found.out.strip()
    more = charrnn("sample", *here, "--state-in", "s", "-p", "The", "--state-out", "s2")
    assert more.code == 0 and "783 characters" in more.err
    assert (
        charrnn("sample", *here, "--state-in", "s2", "--json", *drawing).out
        == charrnn("sample", *here, "--state-in", "s", "-p", "The", "--no-echo", "--json", *drawing).out
    )
    other = charrnn("sample", "--checkpoints", str(models), "-m", "lines", "--state-in", "s")
    assert other.code == 1 and other.out == "" and "s is the state of another model" in other.err.splitlines()[-1]
    kept = Path("s").read_bytes()
    assert charrnn("sample", *here, "-p", "The", "--state-out", "no/such/folder").code == 1
    assert charrnn("sample", *here, "-p", "Ω", "--state-out", "s").code == 1 and Path("s").read_bytes() == kept
    assert "--length means nothing beside --state-out" in charrnn("sample", *here, "--state-out", "s", "-l", "9").err


@pytest.mark.slow
def test_pieces_of_subwords_are_kept_as_they_were_read() -> None:
    tokenizer = SubwordTokenizer.train([PROSE * 8], 340)
    engine = engine_of(network(tokenizer), "int8")
    config = SampleConfig(length=60, temperature=1.0)
    kept = read(engine, tokenizer.encode("The old fox").tolist())
    expected = list(generate(engine, tokenizer, config, prompt="The old fox", seed=1, rows=3))
    assert list(generate(engine, tokenizer, config, after=kept, seed=1, rows=3)) == expected
