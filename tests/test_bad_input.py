"""Bad input gets one clear line that says what to do, exit code 1 or 2, and nothing is lost."""

import json
import os
import pickle
import shlex
import shutil
import struct
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from charrnn.cli.failures import told
from charrnn.storage.checkpoint import read_header
from charrnn.storage.formats import FORMAT

from .cases import each
from .conftest import SMALL, CommandLine, Result
from .forks import forked, on_a_full_disk


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
        (b"x", ["bad.txt holds one character"]),
        (b"\x89PNG\x00\x01\x02" + b"a" * 50, ["binary"]),
        (b"abc \xff def", ["not UTF-8", "byte 4", "0xFF"]),
        (b"\xef\xbb\xbf", ["holds no text"]),
    ):
        Path("bad.txt").write_bytes(content)
        refused(charrnn("train", "bad.txt", "--steps", "5"), 1, "bad.txt", *words)
        assert not Path("checkpoints/bad").exists(), content


SMALLEST = [*SMALL, "--steps", "1", "--quiet"]


def test_text_in_another_encoding_is_told_how_it_reads(charrnn: CommandLine) -> None:
    for codec, text in (("gb18030", "人类的历史永远不会完结。"), ("cp932", "吾輩は猫である。名前はまだ無い。")):
        Path("text.txt").write_bytes((text + "\n").encode(codec) * 20)
        refused(
            charrnn("train", "text.txt", *SMALLEST), 1, "text.txt is not UTF-8", f"iconv -f {codec.upper()}", text[:5]
        )


@pytest.mark.slow
def test_any_bytes_are_learned_scored_and_written_as_bytes(charrnn: CommandLine) -> None:
    data = bytes(range(256)) * 3
    Path("bytes").write_bytes(data)
    refused(charrnn("train", "bytes", *SMALLEST), 1, "--tokenizer byte")
    assert charrnn("train", "bytes", *SMALLEST, "--valid", "0.3", "--tokenizer", "byte", "--name", "b").code == 0
    record = json.loads(charrnn("eval", "-m", "b", "--json", "bytes").out)
    assert record["bytes"] == record["tokens"] == len(data)
    held_out = json.loads(charrnn("eval", "-m", "b", "--json").out)
    assert held_out["bytes"] == held_out["tokens"] and 200 < held_out["bytes"] < 256
    assert charrnn("train", "--resume", "--name", "b", "--steps", "2", "--quiet").code == 0
    assert charrnn("sample", "-m", "b", "--prompt-file", "bytes", "-l", "3").code == 0


def test_a_few_control_characters_are_text(charrnn: CommandLine) -> None:
    Path("three").write_text("a\x01b", encoding="utf-8")
    assert charrnn("train", "three", *SMALLEST).code == 0


def test_a_text_of_line_ends_alone_is_one_line_in_plain_words(charrnn: CommandLine) -> None:
    Path("ends").write_text("\n" * 50, encoding="utf-8")
    for documents in ("stream", "lines"):
        result = charrnn("train", "ends", *SMALLEST, "--tokenizer", "subword", "--documents", documents)
        refused(result, 1, "line ends alone")
        assert "--vocab-size" not in result.err and ".cc" not in result.err


@pytest.mark.slow
def test_what_can_be_read_once_is_kept_with_the_run(charrnn: CommandLine, prose: str, tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_text(prose[:2000], encoding="utf-8")
    parts = {name: tmp_path / f"{name}-pipe" for name in ("one", "two", "valid", "test")}
    for pipe in parts.values():
        os.mkfifo(pipe)
    writers = [threading.Thread(target=pipe.write_bytes, args=[file.read_bytes()]) for pipe in parts.values()]
    for writer in writers:
        writer.start()
    corpus = [str(parts["one"]), str(file), str(parts["two"])]
    held_out = ["--valid", str(parts["valid"]), "--test", str(parts["test"])]
    assert charrnn("train", *corpus, *held_out, *SMALLEST, "--name", "kept").code == 0
    for writer in writers:
        writer.join()
    for name in ("corpus.txt", "corpus-3.txt", "valid.txt", "test.txt"):
        assert Path("checkpoints/kept", name).read_bytes() == file.read_bytes()
    assert charrnn("train", "--resume", "--name", "kept", "--steps", "2", "--quiet").code == 0
    named = charrnn("eval", "-q", str(file)).out
    assert charrnn("eval", "-q").out == charrnn("eval", "-q", "--test").out == named


def test_standard_input_without_text_is_called_by_its_name(
    charrnn: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open(os.devnull, encoding="utf-8") as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        refused(charrnn("train", "-"), 1, "standard input holds no text")
        refused(charrnn("train", "-", "-"), 2, "standard input can be read once")
    assert not [*Path("checkpoints").iterdir()]


@pytest.mark.slow
def test_a_folder_of_its_name_does_not_hide_the_bundled_corpus(charrnn: CommandLine) -> None:
    Path("fables").mkdir()
    assert charrnn("train", *SMALLEST, "--name", "bundled").code == 0
    assert charrnn("train", "--resume", "--name", "bundled", "--steps", "2", "--quiet").code == 0


def test_a_text_that_is_not_there_is_told_by_what_was_meant(charrnn: CommandLine, trained: Path) -> None:
    for line in (["train", "none"], ["train", "fables", "--valid", "none", *SMALLEST]):
        refused(charrnn(*line), 1, "there is no file none", "bundled corpora are fables, names, river")
    prompt = charrnn("sample", "-m", "small", "--checkpoints", str(trained), "--prompt-file", "fables")
    refused(prompt, 1, "there is no file fables")
    assert "bundled" not in prompt.err
    for line in (["train", ""], ["train", "fables", "--valid", ""], ["sample", "--prompt-file", ""], ["eval", ""]):
        place = [] if line[0] == "train" else ["-m", "small", "--checkpoints", str(trained)]
        refused(charrnn(*line, *place), 1, "an empty name names no text")


def test_a_prompt_file_ends_in_a_line_end_as_editors_write_it(charrnn: CommandLine, trained: Path) -> None:
    def sample(model: str, text: str) -> Result:
        Path("prompt").write_text(text, encoding="utf-8")
        place = ["-m", model, "--checkpoints", str(trained), "--seed", "3", "-l", "9"]
        return charrnn("sample", *place, "--prompt-file", "prompt")

    assert sample("lines", "The heron\n").out == sample("lines", "The heron").out != ""
    assert sample("small", "The heron\n").out.startswith("The heron\n")
    refused(sample("lines", "The heron\nstood\n"), 1, "prompt holds several lines")
    refused(sample("lines", "\n"), 1, "prompt holds no prompt")


def test_a_corpus_that_is_missing_or_a_folder(charrnn: CommandLine) -> None:
    refused(charrnn("train", "nowhere.txt"), 1, "nowhere.txt")
    Path("folder").mkdir()
    refused(charrnn("train", "folder"), 1, "the folder folder holds no file")


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
    place = ["sample", "-m", "small", "--checkpoints", str(trained), "-p"]
    refused(charrnn(*place, "日"), 1, "'日'", "column 1")
    refused(charrnn(*place, "e\u0301\u200b"), 1, "no U+0301 COMBINING ACUTE ACCENT, U+200B ZERO WIDTH SPACE (2 in")


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

    words = tmp_path / "out", tmp_path / "err"
    process = forked(on_a_full_disk, *words, {}, "train", "--resume", "--name", "mine", "--steps", "9")
    process.join(60)
    said = words[1].read_text("utf-8")
    assert process.exitcode == 1
    assert "cannot be written" in said and "unharmed" in said and "Traceback" not in said
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


@pytest.mark.slow
@each("value", [float("nan"), float("-inf")])
def test_a_model_whose_weights_are_no_finite_numbers_is_refused(
    charrnn: CommandLine, trained: Path, value: float
) -> None:
    for name in ("model", "resume"):  # a file to resume from is a model too
        whole = (trained / f"small/{name}.safetensors").read_bytes()
        length = 8 + int.from_bytes(whole[:8], "little")
        first, _ = json.loads(whole[8:length])["model.embedding.weight"]["data_offsets"]
        at = length + first
        Path("bad.safetensors").write_bytes(whole[:at] + struct.pack("<f", value) + whole[at + 4 :])
        for line in (["sample"], ["eval", "-q", "bad.safetensors"], ["inspect", "gradients", "bad.safetensors"]):
            refused(charrnn(*line, "-m", "bad.safetensors"), 1, "bad.safetensors", "embedding.weight", "not finite")
        refused(charrnn("train", "fables", "--from", "bad.safetensors", *SMALLEST), 1, "not finite")


def test_a_long_complaint_is_cut_and_a_complaint_in_several_lines_is_one(charrnn: CommandLine) -> None:
    for line, code in (
        (["train", "x" * 5000], 1),
        (["train", "a text\n" * 50], 1),
        (["train", "--cell", "x" * 5000], 2),
        (["train", "--" + "x" * 5000], 2),
        (["sample", "-m", "no\nsuch\x1b[31m run"], 1),
    ):
        result = charrnn(*line)
        refused(result, code)
        assert len(result.err.splitlines()) == 1 and len(result.err) < 450 and "\x1b" not in result.err


def bash(line: str, cwd: Path) -> "subprocess.CompletedProcess[bytes]":
    """A line of bash in which `charrnn` is ours."""
    ours = f'charrnn() {{ {shlex.quote(sys.executable)} -m charrnn "$@"; }}; '
    return subprocess.run(["bash", "-c", ours + line], cwd=cwd, capture_output=True, check=False)


@pytest.mark.slow
def test_streams_that_are_closed_are_no_fault_of_ours(tmp_path: Path, trained: Path) -> None:
    place = f"-m small --checkpoints {shlex.quote(str(trained))}"
    sample = f"sample {place} -l 5"
    for command, closed, code in (
        ("--help", "<&- >&- 2>&-", 0),
        (sample, "<&-", 0),
        (sample, ">&-", 0),
        (sample, "2>&-", 0),
        (f"{sample} --prompt-file -", "<&- >&- 2>&-", 1),
        (f"{sample} --prompt-file -", ">&- 2>&-", 0),
        (f"inspect {place}", "<&- >&- 2>&-", 0),
    ):
        done = bash(f"printf Once | charrnn {command} {closed}", tmp_path)
        assert done.returncode == code, (command, closed, done.stderr)
        assert b"Traceback" not in done.stderr and b"Error" not in done.stderr
        assert bool(done.stdout) == (closed in ("<&-", "2>&-")), (command, closed)
    done = bash("charrnn train - <&-", tmp_path)
    assert done.returncode == 1 and b"standard input is closed" in done.stderr


@pytest.mark.slow
def test_too_little_memory_is_one_line(tmp_path: Path) -> None:
    done = bash("ulimit -v 400000; charrnn train", tmp_path)
    assert done.returncode == 1
    *_, said = done.stderr.splitlines()
    assert said.startswith(b"charrnn: there is not enough memory") and b"Traceback" not in done.stderr
    assert b"limited to 390 MiB" in done.stderr


def test_failures_of_libraries_are_told_and_faults_of_ours_are_not() -> None:
    for problem in (MemoryError(), RuntimeError("CUDA out of memory. Tried"), RuntimeError("can't allocate memory")):
        assert (told(problem) or "").startswith("there is not enough memory")
    assert told(ImportError("no library")) == "a library cannot be loaded: no library"
    for fault in (RuntimeError("sizes do not match"), SystemError("odd"), RecursionError()):
        assert told(fault) is None


@pytest.mark.slow
def test_names_of_files_that_are_no_unicode_work_or_are_one_line(
    charrnn: CommandLine, trained: Path, prose: str
) -> None:
    name = os.fsdecode(b"caf\xe9")
    Path(f"{name}.txt").write_text(prose[:500], encoding="utf-8")
    place = ["-m", "small", "--checkpoints", str(trained)]
    assert charrnn("eval", *place, "--json", f"{name}.txt").code == 0
    assert charrnn("sample", *place, "-l", "3", "--prompt-file", f"{name}.txt").code == 0
    assert charrnn("train", f"{name}.txt", *SMALLEST).code == 0
    for line in (["train", f"{name}.none"], ["sample", "-m", name], ["eval", *place, f"{name}.none"]):
        refused(charrnn(*line), 1, "caf\\udce9")


@pytest.mark.slow
def test_a_name_that_is_no_utf8_is_written_out_for_a_person(tmp_path: Path, trained: Path, prose: str) -> None:
    os.makedirs(tmp_path / os.fsdecode(b"caf\xe9"))
    for file in ("model", "resume"):
        shutil.copy(trained / f"small/{file}.safetensors", tmp_path / os.fsdecode(b"caf\xe9"))
    done = bash("charrnn inspect -m $'caf\\xe9'", tmp_path)
    assert done.returncode == 0 and rb"caf\udce9" in done.stdout
