"""The part that was held out of a model's training: read once, named, and the same text as it was."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pytest

from charrnn import api
from charrnn.errors import CheckpointError, CorpusError
from charrnn.text import sources as sources_module
from charrnn.text import stretches
from charrnn.text.corpus import Corpus
from charrnn.text.split import split_corpus

from .cases import each

TEXT = "".join(f"{line}: é\r\n" for line in range(200))
PLAIN = TEXT.replace("\r\n", "\n")


def model_with(trained: Path, split: dict[str, object] | None) -> api.Model:
    """A trained model that says it was trained on this."""
    model = api.load("small", checkpoints=trained)
    summary = {**model.header.summary, "split": split}
    return replace(model, header=replace(model.header, metadata={**model.header.metadata, "training": summary}))


@pytest.fixture
def text(tmp_path: Path) -> Path:
    file = tmp_path / "text.txt"
    file.write_bytes(TEXT.encode())
    return file


@each("documents", ["stream", "lines"])
def test_a_part_is_read_in_one_pass_over_its_corpus(
    trained: Path, text: Path, monkeypatch: pytest.MonkeyPatch, documents: str
) -> None:
    corpus = Corpus([str(text)])
    split = split_corpus(corpus, corpus.survey(), documents=documents, valid=0.25, test=0.5)
    model = model_with(trained, split.to_json())
    opened: list[str] = []
    unpacked = sources_module.unpacked

    def watched(path: Path | None, name: str, note: Callable[[str], None]) -> AbstractContextManager[BinaryIO]:
        opened.append(name)
        return unpacked(path, name, note)

    monkeypatch.setattr(stretches, "unpacked", watched)
    monkeypatch.setattr(stretches, "CHUNK_BYTES", 7)
    monkeypatch.setattr(stretches, "STRETCH_CHUNKS", 1 << 20)
    for part, first, end in (("valid", split.train_end, split.valid_end), ("test", split.valid_end, split.chars)):
        expected = PLAIN[first:end] if documents == "stream" else "".join(split.part(part, corpus))
        opened.clear()
        held_out = api.held_out(model, part)
        assert held_out.read() == held_out.read() == expected != ""
        assert opened == [str(text)]
        assert held_out.statistics.chars == len(expected)
        assert held_out.label == f"{part} part of {text}"


def test_a_corpus_that_has_changed_anywhere_or_has_no_such_part_is_refused(trained: Path, text: Path) -> None:
    corpus = Corpus([str(text)])
    split = split_corpus(corpus, corpus.survey(), valid=0.25, test=None)
    model = model_with(trained, split.to_json())
    with pytest.raises(CorpusError, match="no test part"):
        api.held_out(model, "test")
    for changed in ("9" + TEXT[1:], TEXT[:-3] + "e\r\n", TEXT + "more"):
        text.write_bytes(changed.encode())
        with pytest.raises(CorpusError, match="has changed since the model was trained"):
            api.held_out(model)
    with pytest.raises(CheckpointError, match="does not say what it was trained on"):
        api.held_out(model_with(trained, None))


@each("part", ["valid", "test"])
def test_a_part_that_is_a_file_is_named_and_refused_when_it_has_changed(trained: Path, text: Path, part: str) -> None:
    file = text.with_name("v.txt")
    file.write_text("held out", encoding="utf-8")
    corpus = Corpus([str(text)])
    parts: dict[str, float | str] = {"valid": 0.25, "test": 0.25, part: str(file)}
    split = split_corpus(corpus, corpus.survey(), valid=parts["valid"], test=parts["test"])
    model = model_with(trained, split.to_json())
    held_out = api.held_out(model, part)
    assert (held_out.read(), held_out.statistics.notes) == ("held out", [])
    assert held_out.label == f"{part} part of {text}: {file}"
    file.write_text("held, out", encoding="utf-8")
    with pytest.raises(CorpusError, match=r"v\.txt has changed since the run began"):
        api.held_out(model, part)
    older = {name: value for name, value in split.to_json().items() if not name.endswith("_sha256")}
    held_out = api.held_out(model_with(trained, older), part)
    assert held_out.read() == "held, out"
    assert "may have changed" in held_out.statistics.notes[-1] and str(file) in held_out.statistics.notes[-1]
