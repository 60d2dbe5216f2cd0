"""Several models that write as one: the mean of their probabilities, or one against another, symbol by symbol."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import charrnn as package
from charrnn.errors import CheckpointError, ConfigError, VocabularyError
from charrnn.generation.config import SampleConfig
from charrnn.generation.loop import generate
from charrnn.inference.base import Engine
from charrnn.inference.blend import BlendEngine, Combine, contrast_of, mean_of, part
from charrnn.text.tokenizers import Tokenizer, united
from charrnn.text.tokenizers.byte import ByteTokenizer
from charrnn.text.tokenizers.char import CharTokenizer
from charrnn.training.run import start

from .cases import each
from .conftest import CommandLine
from .test_generation_loop import engine_of, network
from .test_run import options

KNOWN = [("abcd", True), ("cdefg", False)]


def engines(precision: str) -> list[tuple[CharTokenizer, Engine]]:
    """Two models, of which each knows two symbols of the other's; the first knows the end of a document."""
    found = []
    for number, (symbols, documents) in enumerate(KNOWN):
        tokenizer = CharTokenizer(symbols)
        model = network(tokenizer, documents=documents, seed=number + 1, cell=("lstm", "gru")[number])
        found.append((tokenizer, engine_of(model, precision)))
    return found


def blended(models: list[tuple[CharTokenizer, Engine]], combine: Combine) -> tuple[Tokenizer, BlendEngine]:
    shared = united([tokenizer for tokenizer, _ in models])
    parts = [part(engine, tokenizer.ids_in(shared), shared.size) for tokenizer, engine in models]
    return shared, BlendEngine(parts, combine)


def slow(models: list[tuple[CharTokenizer, Engine]], text: str) -> list[dict[str, float]]:
    """What each holds likely behind a text, by symbol; '$' is the end. What it lacks it reads as a text's start."""
    found = []
    for tokenizer, engine in models:
        start = engine.config.start_id
        ids = [start, *(tokenizer.symbols.index(sign) if sign in tokenizer.symbols else start for sign in text)]
        logits, _ = engine.prime(np.array(ids))
        p = np.exp(logits[0].astype(float))
        names = tokenizer.symbols + ("$" if engine.config.documents else "")
        found.append(dict(zip(names, p / p.sum(), strict=True)))
    return found


def of_blend(shared: Tokenizer, engine: Engine, text: str) -> dict[str, float]:
    logits, _ = engine.prime(np.array([engine.config.start_id, *shared.encode(text)]))
    p = np.exp(logits[0].astype(float))
    return dict(zip(shared.decode(range(shared.size)) + "$", p / p.sum(), strict=True))


TEXTS = ["", "a", "cd", "abcdefg", "gfa"]


@each("precision", ["int8", "fp32"])
def test_a_mixture_is_the_mean_of_the_probabilities_of_each_symbol(precision: str) -> None:
    models = engines(precision)
    shared, engine = blended(models, mean_of([0.7, 0.3]))
    for text in TEXTS:
        a, b = slow(models, text)
        found = of_blend(shared, engine, text)
        assert list(found) == list("abcdefg$")
        for symbol, p in found.items():
            assert p == pytest.approx(0.7 * a.get(symbol, 0) + 0.3 * b.get(symbol, 0), rel=1e-4), symbol


@each("precision", ["int8", "fp32"])
def test_a_contrast_takes_the_other_s_logarithms_away(precision: str) -> None:
    models = engines(precision)
    shared, engine = blended(models, contrast_of(0.5))
    for text in TEXTS:
        a, b = slow(models, text)
        expected = {symbol: a.get(symbol, 0) / b.get(symbol, min(b.values())) ** 0.5 for symbol in "abcdefg$"}
        for symbol, p in of_blend(shared, engine, text).items():
            assert p == pytest.approx(expected[symbol] / sum(expected.values()), rel=1e-4), symbol


@each("combine", [mean_of([2, 1]), contrast_of(0.3)])
def test_a_row_is_the_same_alone_or_among_others_whatever_is_filtered(combine: Combine) -> None:
    shared, engine = blended(engines("int8"), combine)
    matched: list[dict[str, Any]] = [{"match": "[a-f]*", "sampler": sampler} for sampler in ("masked", "exact", "smc")]
    filtered: list[dict[str, Any]] = [
        {"top_k": 3, "temperature": 0.7},
        {"surprise": 1.0},
        {"ban": "c"},
        {"frequency_penalty": 0.4},
    ]
    for filters in [{}, *filtered, *matched]:
        config = SampleConfig.of(length=25, **filters)
        chunks = list(generate(engine, shared, config, prompt="ab", rows=9, seed=7, logprobs=True))
        for row in range(9):
            alone = generate(engine, shared, config, prompt="ab", first=row, seed=7, logprobs=True)
            assert list(alone) == [chunk for chunk in chunks if chunk.row == row]


def test_one_model_alone_or_twice_is_that_model() -> None:
    tokenizer, engine = engines("fp32")[0]
    for models, combine in ([(tokenizer, engine)], mean_of([1])), ([(tokenizer, engine)] * 2, mean_of([3, 5])):
        shared, blend = blended(models, combine)
        for text in ("", "abba"):
            (own,) = slow([(tokenizer, engine)], text)
            assert of_blend(shared, blend, text) == pytest.approx(own, rel=1e-5)


def test_vocabularies_of_other_kinds_are_not_matched() -> None:
    assert united([CharTokenizer("bd"), CharTokenizer("ace")]).decode(range(5)) == "abcde"
    with pytest.raises(ConfigError, match="models of characters and of bytes predict different things"):
        united([CharTokenizer("ab"), ByteTokenizer()])


@pytest.mark.slow
def test_subwords_are_read_as_one_only_where_they_are_the_same() -> None:
    from charrnn.text.tokenizers.subword import SubwordTokenizer

    one, other = SubwordTokenizer.train(["the old fox " * 99], 290), SubwordTokenizer.train(["a sly crow, " * 99], 290)
    assert united([one, SubwordTokenizer.from_spec(one.spec())]).spec() == one.spec()
    with pytest.raises(ConfigError, match="pieces differ"):
        united([one, other])


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory, prose: str) -> Path:
    """Runs a and b, of characters that are not the same, and c, of bytes."""
    folder = tmp_path_factory.mktemp("three")
    made: list[tuple[str, str, dict[str, Any]]] = [
        ("a", prose, {}), ("b", "Ω" + prose.upper(), {"cell": "gru"}), ("c", prose, {"tokenizer": "byte"}),
    ]  # fmt: skip
    for name, text, more in made:
        file = folder / f"{name}.txt"
        file.write_text(text, encoding="utf-8")
        for _ in start(options(file, name=name, steps=30, **more), checkpoints=folder / "checkpoints").events():
            pass
    return folder / "checkpoints"


@pytest.mark.slow
def test_models_are_mixed_and_contrasted_in_python(three: Path, tmp_path: Path) -> None:
    a, b = package.load("a", checkpoints=three), package.load("b", checkpoints=three)
    both = package.mix({a: 1, b: 3})
    assert repr(both) == "<Blend: 0.25 a + 0.75 b>"
    drawn: dict[str, Any] = {"seed": 3, "rows": 3, "length": 60, "precision": "fp32"}
    texts = both.sample("The ΩX", **drawn)
    assert texts == package.mix({"a": 0.25, "b": 0.75}, checkpoints=three).sample("The ΩX", **drawn)
    assert any(map(str.islower, "".join(texts))) and any(map(str.isupper, "".join(texts)))
    with pytest.raises(VocabularyError):
        a.sample("The ΩX")
    assert package.mix({a: 1}).sample("The", **drawn) == a.sample("The", **drawn)
    against = package.contrast(a, "b", 0.3, checkpoints=three)
    assert repr(against) == "<Blend: a - 0.3 b>"
    assert not set("".join(against.sample("The", **drawn))) & {"Ω"}, "what the first lacks does not come"
    # States are those of the mixture, not of its models, nor of the same in other shares.
    state = both.read("The ", precision="fp32")
    state.save(tmp_path / "s")
    assert both.sample("ΩX", state=tmp_path / "s", **drawn) == texts
    for other in (a, b, package.mix({a: 1, b: 2}), package.mix({b: 3, a: 1}), against):
        with pytest.raises(CheckpointError, match="of another model"):
            other.sample(state=tmp_path / "s")
    assert len(list(both.samples(rows=3, novel=True, unique=True, length=20))) == 3
    for wrong, words in (
        ({}, "must be models"), ({a: 0}, "must give numbers above 0"), ({a: True}, "must give numbers"),
        ("a", "'a' must be a model and a number"), ("a:1,a:2", "names a model twice"), (5, "must be models"),
        ({5: 1.0}, "`shares` must be a loaded model"),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=words):
            package.mix(wrong)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="predict different things"):
        package.mix({"a": 1, "c": 1}, checkpoints=three)


@pytest.mark.slow
def test_the_command_mixes_and_contrasts(charrnn: CommandLine, three: Path) -> None:
    drawing = ["--checkpoints", str(three), "--seed", "5", "-n", "2", "-l", "40", "--precision", "fp32"]
    both = charrnn("sample", "--mix", "a:0.7,b:0.3", "-p", "The Ω", *drawing)
    assert both.code == 0 and "model: 0.7 a + 0.3 b, fp32 in NumPy, seed 5" in both.err
    model = package.mix({"a": 0.7, "b": 0.3}, checkpoints=three)
    texts = model.sample("The Ω", rows=2, seed=5, length=40, precision="fp32", echo=True)
    assert both.out == "\n\n".join(texts) + "\n"
    against = charrnn("sample", "-m", "a", "--contrast", "b:0.3", *drawing)
    texts = package.contrast("a", "b", checkpoints=three).sample(rows=2, seed=5, length=40, precision="fp32")
    assert against.code == 0 and against.out == "\n\n".join(texts) + "\n"
    all_three = charrnn("sample", "--mix", "a:1,b:1", "--contrast", "b:0.3", "-q", *drawing)
    assert all_three.code == 0 and all_three.out.strip()
    for line, words in (
        (["--mix", "a:0.7,c:0.3"], "models of characters and of bytes"),
        (["--mix", "a:0.7", "-m", "a"], "--model means nothing beside --mix"),
        (["--mix", "a:x"], "'a:x' must be a model and a number, as in fables:0.7"),
        (["--mix", "a:-1"], "--mix must give numbers above 0"),
        (["--contrast", "b:nan"], "--contrast must give numbers above 0"),
        (["--mix", "a:1,nobody:1"], "nobody"),
    ):
        refused = charrnn("sample", *line, *drawing)
        assert refused.code and refused.out == "" and words in refused.err.splitlines()[-1], (line, refused)
