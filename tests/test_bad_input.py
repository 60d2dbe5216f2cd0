"""Bad input gets one clear line that says what to do, exit code 1 or 2, and nothing is lost."""

import json
import os
import pickle
import resource
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from charrnn.storage.checkpoint import read_header
from charrnn.storage.formats import FORMAT

from .conftest import SMALL, CommandLine, Result


def refused(result: Result, code: int, *words: str) -> None:
    """One line on stderr, beginning with the program's name, holding these words; nothing on stdout."""
    assert result.code == code, result.err
    complaint = result.err.strip().splitlines()[-1]
    assert complaint.startswith("charrnn: ")
    assert "Traceback" not in result.err and "╭" not in result.err
    assert result.out == ""
    for word in words:
        assert word in complaint


def test_a_corpus_that_is_none(charrnn: CommandLine) -> None:
    for content, words in (
        (b"", ["holds no text"]),
        (b"x", ["one character"]),
        (b"\x89PNG\x00\x01\x02" + b"a" * 50, ["binary"]),
        (b"abc \xff def", ["not UTF-8", "byte 4", "0xFF"]),
        (b"\xef\xbb\xbf", ["holds no text"]),
    ):
        Path("bad.txt").write_bytes(content)
        refused(charrnn("train", "bad.txt", "--steps", "5"), 1, "bad.txt", *words)
        assert not Path("checkpoints/bad").exists(), content


def test_a_corpus_that_is_missing_or_a_folder(charrnn: CommandLine) -> None:
    refused(charrnn("train", "nowhere.txt"), 1, "nowhere.txt")
    Path("folder").mkdir()
    refused(charrnn("train", "folder"), 1, "folder", "*.txt")


# Ranges of fields are held by a law in test_config.py.
WRONG_USAGE = """
sample --temp nan
sample --stop ''
sample --seed -1
sample --precision bf16
sample --device cpu
train --steps 0
train --steps 5 --for 1m
train --for soon
train --valid 1.5
train --cell lstn
train --nonsense
train --device cuda:99
eval --metric bpx
eval --reset-every 0
eval --lines --reset-every 5
eval --adapt --reset-every 5
eval --fail-above nan
nonsense
sample --num 0
sample --stop a --stop ''
train --bptt 1.5
train --resume --hidden 4
"""


@pytest.mark.slow
def test_wrong_usage_is_one_line_and_exit_code_two(
    charrnn: CommandLine, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHARRNN_CHECKPOINTS", str(trained))
    for line in WRONG_USAGE.strip().splitlines():
        result = charrnn(*shlex.split(line))
        assert result.code == 2, line
        refused(result, 2)
        assert "`" not in result.err, line


def test_adaptation_that_is_reset_says_what_to_leave_out(charrnn: CommandLine, trained: Path) -> None:
    result = charrnn("eval", "-m", "small", "--checkpoints", str(trained), "--adapt", "--reset-every", "5")
    refused(result, 2, "--reset-every", "--adapt")
    lines = [line for line in result.err.splitlines() if line.startswith("charrnn: ")]
    assert len(lines) == 1


def test_top_k_beyond_the_vocabulary_is_fine(charrnn: CommandLine, trained: Path) -> None:
    result = charrnn("sample", "-m", "small", "--checkpoints", str(trained), "--top-k", "9999", "-l", "5")
    assert result.code == 0


def test_a_prompt_with_unknown_characters(charrnn: CommandLine, trained: Path) -> None:
    refused(charrnn("sample", "-m", "small", "--checkpoints", str(trained), "-p", "日"), 1, "'日'", "column 1")


def test_no_model_yet(charrnn: CommandLine) -> None:
    for name in ("sample", "eval", "inspect"):
        refused(charrnn(name), 1, "charrnn train")
    refused(charrnn("train", "--resume"), 1, "charrnn train")


def test_a_model_that_is_not_there_names_those_that_are(charrnn: CommandLine, trained: Path) -> None:
    refused(charrnn("sample", "-m", "none", "--checkpoints", str(trained)), 1, "small", "lines")


@pytest.mark.slow
def test_files_that_are_no_checkpoint(charrnn: CommandLine, trained: Path) -> None:
    whole = (trained / "small/model.safetensors").read_bytes()
    length = int.from_bytes(whole[:8], "little")
    record = json.loads(whole[8 : 8 + length])
    newer = json.dumps(
        {
            **record,
            "__metadata__": {
                "charrnn": record["__metadata__"]["charrnn"].replace(f'"format": {FORMAT}', '"format": 9')
            },
        }
    ).encode()
    torch.save({"weights": torch.zeros(3)}, "torch.pt")
    bad = {
        "cut": whole[:-10],
        "stub": whole[:100],
        "empty": b"",
        "noise": os.urandom(500),
        "pickle": pickle.dumps({"a": 1}),
        "zip": Path("torch.pt").read_bytes(),
        "newer": len(newer).to_bytes(8, "little") + newer + whole[8 + length :],
    }
    for name, content in bad.items():
        Path(f"{name}.safetensors").write_bytes(content)
        for line in (["sample", "-m"], ["eval", "-m"], ["inspect", "-m"]):
            refused(charrnn(*line, f"{name}.safetensors"), 1, name)
    assert "pickle" in charrnn("sample", "-m", "zip.safetensors").err
    assert "upgrade" in charrnn("sample", "-m", "newer.safetensors").err


def test_a_name_that_is_taken_and_one_that_is_none(charrnn: CommandLine, corpus: Path) -> None:
    assert charrnn("train", str(corpus), "--name", "mine", "--steps", "2", *SMALL).code == 0
    before = Path("checkpoints/mine/model.safetensors").read_bytes()
    refused(charrnn("train", str(corpus), "--name", "mine", "--steps", "2"), 1, "--name", "--resume")
    assert Path("checkpoints/mine/model.safetensors").read_bytes() == before
    refused(charrnn("train", str(corpus), "--name", "../mine"), 1, "name")


def test_resume_with_a_changed_corpus_or_with_other_options(charrnn: CommandLine, corpus: Path) -> None:
    assert charrnn("train", str(corpus), "--name", "mine", "--steps", "2", *SMALL).code == 0
    refused(charrnn("train", "--resume", "--name", "mine"), 1, "complete", "--steps")
    refused(charrnn("train", "--resume", "--name", "mine", "--hidden", "99"), 2, "--hidden")
    corpus.write_text("something else altogether", encoding="utf-8")
    refused(charrnn("train", "--resume", "--name", "mine", "--steps", "5"), 1, "changed")


def test_a_folder_that_cannot_be_made(charrnn: CommandLine, corpus: Path) -> None:
    Path("file").write_text("", encoding="utf-8")
    refused(charrnn("train", str(corpus), "--checkpoints", "file/below"), 1, "--checkpoints")


@pytest.mark.slow
def test_a_full_disk_leaves_the_old_checkpoint(charrnn: CommandLine, corpus: Path, tmp_path: Path) -> None:
    """A limit on file sizes stands for the full disk: writing fails half-way in the same manner."""
    assert charrnn("train", str(corpus), "--name", "mine", "--steps", "3", *SMALL).code == 0
    folder = Path("checkpoints/mine")
    before = {name: (folder / name).read_bytes() for name in ("model.safetensors", "resume.safetensors")}

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    line = [sys.executable, "-m", "charrnn", "train", "--resume", "--name", "mine", "--steps", "9"]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, check=False, preexec_fn=limit)
    assert done.returncode == 1
    assert b"cannot be written" in done.stderr and b"unharmed" in done.stderr and b"Traceback" not in done.stderr
    for name, content in before.items():
        assert (folder / name).read_bytes() == content
    assert not [file for file in folder.iterdir() if file.name.startswith(".")]
    assert read_header(folder / "model.safetensors").summary["step"] <= 3


def test_a_checkpoint_whose_vocabulary_contradicts_its_network(charrnn: CommandLine, trained: Path) -> None:
    whole = (trained / "small/model.safetensors").read_bytes()
    length = int.from_bytes(whole[:8], "little")
    record = json.loads(whole[8 : 8 + length])
    ours = json.loads(record["__metadata__"]["charrnn"])
    ours["tokenizer"]["symbols"].append(0x20AC)
    record["__metadata__"]["charrnn"] = json.dumps(ours)
    header = json.dumps(record).encode()
    Path("odd.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + whole[8 + length :])
    refused(charrnn("sample", "-m", "odd.safetensors"), 1, "damaged")
