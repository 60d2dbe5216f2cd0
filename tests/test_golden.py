"""Models and runs that earlier versions wrote: read, sampled, scored and gone on with as they were then.

Each folder of tests/golden was made by the commit of its time, through its command line; expected.json has what that
one said. With CHARRNN_GOLDEN_EXACT=1 runs must end with the same bits: on the processor that made them, for others add
up in another order.
"""

import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.numpy import load_file

from charrnn import machine
from charrnn.models.cells import CELLS
from charrnn.storage.checkpoint import read_header
from charrnn.storage.formats import FORMAT, today_name
from charrnn.storage.runs import Run
from charrnn.training import counting
from tests.conftest import CommandLine

GOLDEN = Path(__file__).parent / "golden"
EXACT = os.environ.get("CHARRNN_GOLDEN_EXACT") == "1"
FOLDERS = sorted(path.parent for path in GOLDEN.glob("*/expected.json"))
RUNS = [folder for folder in FOLDERS if (folder / "resume.safetensors").exists()]


@pytest.fixture(autouse=True)
def _plain_products(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """These files were made without oneDNN, which adds up in another order; a test before may have asked for it."""
    monkeypatch.setattr(machine, "products_by_onednn", lambda: False)
    setting: Any = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before, setting.fp32_precision = setting.fp32_precision, "none"
    yield
    setting.fp32_precision = before


def expected(folder: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    return record


def model(folder: Path) -> list[str]:
    return ["-m", str(folder / "model.safetensors"), "--json"]


def test_there_are_models_of_every_cell_and_runs_of_every_format() -> None:
    kinds = {(expected(folder)["format"], folder in RUNS) for folder in FOLDERS}
    assert {(number, True) for number in range(1, FORMAT)} <= kinds
    named = {folder.name for folder in FOLDERS}
    # A cell that is younger than these files has none here.
    assert len([cell for cell in CELLS if f"f4-cell-{cell}" in named]) == 19


@pytest.mark.slow
def test_every_model_writes_the_same_text(charrnn: CommandLine) -> None:
    drawn, greedy = ["--temp", "0.8", "--length", "80"], ["--temp", "0", "--length", "60"]
    for folder in FOLDERS:
        wanted = expected(folder)
        for name, precision, options in (
            ("sample", "fp32", drawn),
            ("sample_int8_exact", "int8", drawn),
            ("greedy", "fp32", greedy),
        ):
            result = charrnn("sample", *model(folder), "--seed", "7", "--precision", precision, *options)
            if wanted[name] is None:
                assert result.code == 2 and "8 bits" in result.err, (folder.name, name)
            else:
                assert json.loads(result.out)["text"] == wanted[name], (folder.name, name)


def figures(record: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in record.items():
        if isinstance(value, dict):
            yield from figures(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def counted_today(record: dict[str, Any], documents: str, text: str) -> dict[str, Any]:
    """Figures as they are since documents are counted with the line ends that their end stands for, and no others."""
    separator = {"stream": None, "lines": "\n", "paragraphs": "\n\n"}[documents]
    if separator is None:
        return record
    chars = sum(len(one.strip("\n") + separator) for one in text.split(separator) if one.strip("\n"))
    assert text.isascii() and record["chars"] == record["bytes"] == len(text) != chars
    bits = {name: record[name] * len(text) / chars for name in ("bpc", "bpb")}
    return {**record, "chars": chars, "bytes": chars, **bits}


@pytest.mark.slow
def test_every_model_gives_the_same_figures(charrnn: CommandLine) -> None:
    for folder in FOLDERS:
        result = charrnn("eval", *model(folder), "--device", "cpu", "--threads", "1", str(GOLDEN / "text.txt"))
        found = dict(figures(json.loads(result.out)))
        documents = read_header(folder / "model.safetensors").documents
        then = counted_today(expected(folder)["eval"], documents, (GOLDEN / "text.txt").read_text(encoding="utf-8"))
        for name, value in figures(then):
            wanted = pytest.approx(value, rel=1e-6) if isinstance(value, float) else value
            assert found[name] == wanted, (folder.name, name)


def test_every_model_of_both_directions_fills_a_gap_alike(charrnn: CommandLine) -> None:
    checked = 0
    for folder in FOLDERS:
        for place, one in enumerate(expected(folder).get("fill", [])):
            texts = [each["text"] for each in expected(folder)["fill"]]
            candidates = [part for text in sorted(texts) for part in ("--candidate", text)]
            result = charrnn("fill", *model(folder), "The [...] stood in the shallows.", *candidates)
            found = [json.loads(line) for line in result.out.splitlines()][place]
            assert found == {name: pytest.approx(v, rel=1e-6) if name != "text" else v for name, v in one.items()}
            checked += 1
    assert checked >= 9


def go_on(charrnn: CommandLine, folder: Path, checkpoints: Path, wanted: dict[str, Any]) -> Run:
    """Go on with a copy to its end."""
    run = Run(checkpoints / folder.name)
    run.folder.mkdir(parents=True)
    for file in (run.model, run.resume, run.metrics):
        shutil.copy(folder / file.name, file)
    steps = ["--steps", str(wanted["steps"])] if "steps" in wanted else []
    where = ["--checkpoints", str(checkpoints), "--device", "cpu", "--threads", "1"]
    result = charrnn("train", "--resume", "--name", folder.name, *where, *steps)
    assert result.code == 0, (folder.name, result.err)
    return run


def digest(file: Path, wanted: dict[str, float], *, written_in: int) -> str:
    """Of the tensors that a file is to have, under the names that they had in the format of its beginning."""
    ensemble = read_header(file).config.ensemble > 1
    renamed, tensors, told = today_name(written_in, ensemble=ensemble), load_file(file), hashlib.sha256()
    for name in sorted(wanted):
        told.update(name.encode() + tensors[renamed(name)].tobytes())
    return told.hexdigest()


@pytest.mark.slow
def test_every_run_goes_on_and_ends_where_it_would_have_ended(
    charrnn: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its network: counts of its text are made by one of these runs, for they take longer than its last steps."""
    tried = counting.wanted
    for number, folder in enumerate(RUNS):
        monkeypatch.setattr(counting, "wanted", tried if number == 0 else lambda *_, **__: False)
        record = expected(folder)
        wanted = record["resumed"]
        run = go_on(charrnn, folder, tmp_path, wanted)
        header = read_header(run.resume)
        assert header.metadata["format"] == read_header(run.model).metadata["format"] == FORMAT, folder.name
        assert header.metadata["resume"]["progress"]["finished"], folder.name
        events = list(run.read_metrics())
        judged = [event["valid_loss"] for event in events if "valid_loss" in event]
        assert events[-1]["step"] == wanted["step"], folder.name
        # Where the last step's own weights are better than their mean, those are kept now.
        averaged = next((event["unaveraged"] for event in events if "unaveraged" in event), math.inf)
        assert judged[-1] == pytest.approx(min(wanted["valid_loss"], averaged), rel=1e-3), folder.name
        if EXACT and not any("drops out" in change for change in read_header(folder / run.resume.name).differences):
            sums, format = wanted["weights_sums"], record["format"]
            assert digest(run.resume, sums, written_in=format) == wanted["weights_sha256"], folder.name
            if judged[-1] != averaged:
                assert digest(run.model, sums, written_in=format) == wanted["model_sha256"], folder.name


def test_a_run_says_in_what_it_goes_on_otherwise_and_nothing_where_it_does_not(
    charrnn: CommandLine, tmp_path: Path
) -> None:
    for name, words in (
        ("f1-run-dropout", ["the embedding drops out a quarter", "early stopping counts"]),
        ("f1-run-lstm", ["early stopping counts"]),
        ("f1-run-time", ["early stopping counts", "the rest of its time is planned in steps"]),
        ("f2-run-lstm", []),
        ("f3-run-gru", []),
        ("f4-run-lstm", []),
    ):
        differences = read_header(GOLDEN / name / "resume.safetensors").differences
        assert len(differences) == len(words), name
        assert all(said in difference for difference, said in zip(differences, words, strict=True)), name
    shutil.copytree(GOLDEN / "f1-run-dropout", tmp_path / "old")
    result = charrnn("train", "--resume", "--name", "old", "--checkpoints", str(tmp_path), "--threads", "1")
    assert result.code == 0
    (line,) = [line for line in result.err.splitlines() if "begun by an older charrnn" in line]
    assert "from here on the embedding drops out a quarter as much as the layers" in line
