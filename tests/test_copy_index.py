"""The index of a training text: what stands in it, held against Python's own search in strings."""

import json
import os
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from charrnn import api
from charrnn.api.copies import copy_index, with_copies
from charrnn.errors import CheckpointError, CorpusError
from charrnn.generation.samples import Sample
from charrnn.storage.copies import keep_index, kept_index
from charrnn.storage.runs import Run
from charrnn.text.copy_index import CopyIndex
from charrnn.text.suffixes import suffix_array
from charrnn.training.run import start

from .cases import each
from .conftest import CommandLine
from .test_run import options

WIDE = "".join(map(chr, range(0x4E00, 0x4E00 + 300)))


def random_texts(seed: int, alphabets: tuple[str, ...] = ("a", "ab", "abc\n", "xyz é€\U0001f600\n", WIDE)) -> list[str]:
    draw = random.Random(seed)
    return ["".join(draw.choices(draw.choice(alphabets), k=draw.randrange(90))) for _ in range(60)]


@each("seed", range(4))
def test_suffixes_stand_in_their_order(seed: int) -> None:
    for text in [*random_texts(seed), "a" * 300, "ab" * 150, "banana" * 40]:
        codes = np.array([ord(one) for one in text], np.uint32)
        assert suffix_array(codes).tolist() == sorted(range(len(text)), key=lambda place: text[place:]), text


def spans(text: str, draw: random.Random) -> list[str]:
    """Some that stand in it, some that do not."""
    places = [(draw.randrange(len(text) + 1), draw.randrange(12)) for _ in range(25)]
    there = [text[place : place + size] for place, size in places]
    return ["", *there, *(one[1:] + one[:1] for one in there), *(one + draw.choice("abq\n€") for one in there)]


@each("seed", range(4))
def test_what_stands_in_it_and_what_follows_is_what_strings_say(seed: int) -> None:
    draw = random.Random(seed)
    for text in random_texts(seed):
        index = CopyIndex.of([text[:7], text[7:]])
        for span in spans(text, draw):
            places = [place for place in range(len(text)) if text.startswith(span, place)]
            low, high = index.find(span)
            assert (span in index) == (span in text), (text, span)
            assert sorted(index.suffixes[low:high].tolist()) == places, (text, span)
            behind = {text[place + len(span)] for place in places if place + len(span) < len(text)}
            assert index.followers(span) == "".join(sorted(behind)), (text, span)


@each("seed", range(4))
def test_the_longest_copies_are_those_of_a_search_through_everything(seed: int) -> None:
    draw = random.Random(seed)
    for text in random_texts(seed):
        index, other = CopyIndex.of([text]), "".join(draw.choices([*(text or "x"), "q"], k=20))
        assert index.longest_end(other) == max(size for size in range(21) if other[20 - size :] in text)
        for most in (1, 4, 50):
            assert index.longest_beginnings(other, most).tolist() == [
                max(size for size in range(min(most, 20 - at) + 1) if other[at : at + size] in text) for at in range(20)
            ]
        for prompt in ("", other[:6], text[:9]):
            whole = prompt + other
            ends = range(len(prompt) + 1, len(whole) + 1)
            best = max((size for end in ends for size in range(end + 1) if whole[end - size : end] in text), default=0)
            found = index.longest_copy(other, prompt)
            if found is None:
                assert best == 0
                continue
            at = found.start + len(prompt)
            assert (
                found.length == len(found.text) == best and whole[at : at + best] == found.text and found.text in text
            )
            place = text.index(found.text)
            assert found.line == text[:place].count("\n") + 1 and found.line_text == text.split("\n")[found.line - 1]
    assert CopyIndex.of(["abc"]).longest_copy("", "abc") is None


def test_it_takes_at_most_ten_bytes_a_character(prose: str) -> None:
    for text in (prose, prose + WIDE):
        index = CopyIndex.of([text])
        assert index.codes.nbytes + index.suffixes.nbytes <= 10 * len(text)


# ---- kept beside the model


def trained_model(folder: Path, corpus: Path, **settings: object) -> api.Model:
    for _ in start(options(corpus, steps=1, **settings), checkpoints=folder).events():
        pass
    return api.load("run", checkpoints=folder)


@each("documents", ["stream", "lines"])
def test_it_is_of_the_training_part_alone_and_kept(tmp_path: Path, prose: str, documents: str) -> None:
    corpus = tmp_path / "text.txt"
    corpus.write_text(prose, "utf-8")
    model = trained_model(tmp_path / documents, corpus, documents=documents, valid=0.2)
    file = Run(model.header.path.parent).copies
    index = copy_index(model)

    assert file.exists() and len(index.codes) < 0.85 * len(prose)
    held_out = api.held_out(model).read()
    assert held_out[:300] not in index and any(held_out[at : at + 20] not in index for at in range(200))
    written = file.stat().st_mtime_ns
    corpus.unlink()  # what is kept is enough
    again = copy_index(model)
    assert isinstance(again.suffixes.base, np.memmap | np.ndarray) and file.stat().st_mtime_ns == written
    assert again.suffixes.tolist() == index.suffixes.tolist() and again.codes.tolist() == index.codes.tolist()
    assert again.alphabet.tolist() == index.alphabet.tolist()
    assert file in Run(file.parent).files()[0], "it goes with the run"


def test_an_index_of_another_text_or_a_damaged_one_is_made_anew(tmp_path: Path, corpus: Path) -> None:
    model = trained_model(tmp_path / "c", corpus)
    file, index = Run(model.header.path.parent).copies, copy_index(model)
    for data in (b"", b"nonsense" * 9, file.read_bytes()[:-5000]):
        file.write_bytes(data)
        assert copy_index(model).suffixes.tolist() == index.suffixes.tolist()
    keep_index(file, "another", CopyIndex.of(["something else"]))
    assert kept_index(file, "another") is not None and kept_index(file, "this") is None
    assert copy_index(model).suffixes.tolist() == index.suffixes.tolist()
    wide = CopyIndex.of([WIDE])
    keep_index(file, "wide", wide)
    found = kept_index(file, "wide")
    assert found is not None and WIDE[7:99] in found and WIDE[3] + WIDE[2] not in found


def test_a_text_that_is_gone_or_changed_has_none(tmp_path: Path, corpus: Path) -> None:
    model = trained_model(tmp_path / "c", corpus)
    corpus.write_text(corpus.read_text("utf-8") + "more\n", "utf-8")
    with pytest.raises(CorpusError, match="has changed"):
        copy_index(model)
    assert not Run(model.header.path.parent).copies.exists()
    header = replace(model.header, metadata={**model.header.metadata, "training": {}})
    with pytest.raises(CheckpointError, match="does not say what it was trained on"):
        copy_index(api.Model(model.weights, model.tokenizer, header))


def test_where_nothing_can_be_kept_it_is_made_each_time(
    tmp_path: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = trained_model(tmp_path / "c", corpus)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert len(copy_index(model).codes) and not Run(model.header.path.parent).copies.exists()


# ---- told of samples


def test_samples_are_told_what_they_copy(charrnn: CommandLine, trained: Path) -> None:

    index = api.load("small", checkpoints=trained).copy_index
    arguments = [
        "sample",
        "-m",
        "small",
        "--checkpoints",
        str(trained),
        "--seed",
        "3",
        "-n",
        "2",
        "-l",
        "60",
        "-p",
        "The ",
    ]
    plain, told = charrnn(*arguments), charrnn(*arguments, "--report-copy")
    assert plain.out == told.out
    records = [
        json.loads(line) for line in charrnn(*arguments, "--json", "--no-echo", "--report-copy").out.splitlines()
    ]
    for row, record in enumerate(records):
        found = index.longest_copy(record["text"], "The ")
        assert found is not None and record["copied"] == found.to_json()
        assert f"sample {row + 1}: {found.length} characters, " in told.err and repr(found.line_text) in told.err
    assert "copied" not in json.loads(charrnn(*arguments, "--json").out.splitlines()[0])
    unique = charrnn(*arguments, "--unique", "--report-copy")
    assert unique.err.count("of the training text: ") == 2
    assert next(with_copies([Sample(0, 1, "", "end")], [index])).copied is None
