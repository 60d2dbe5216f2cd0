"""The command line as users and scripts meet it: streams, exit codes, formats."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from charrnn import api
from charrnn.cli.sample import Numbers
from charrnn.inference.products import MATRICES

from .conftest import SMALL, CommandLine, command


def test_train_sample_eval_and_inspect_work_without_naming_anything_twice(charrnn: CommandLine, corpus: Path) -> None:
    assert charrnn("train", str(corpus), "--steps", "20", *SMALL).code == 0
    assert {file.name for file in Path("checkpoints/corpus").iterdir()} == {
        "model.safetensors",
        "resume.safetensors",
        "metrics.jsonl",
        "curve.svg",
    }
    assert len(charrnn("sample", "--length", "40", "--seed", "3").out) == 41
    assert float(charrnn("eval", "-q").out) > 1
    assert "lstm 1 x 16" in charrnn("inspect").out


def test_stdout_carries_the_product_alone(charrnn: CommandLine, corpus: Path) -> None:
    corpus.write_text("The [b]bold[/b] heron\n" * 50, encoding="utf-8")
    assert charrnn("train", str(corpus), "--steps", "5", *SMALL).out == ""
    result = charrnn("sample", "--length", "10", "--prompt", "The [b]", "--seed", "1")
    assert result.out.startswith("The [b]") and len(result.out) == len("The [b]") + 11
    assert "seed 1" in result.err
    assert charrnn("sample", "--length", "10", "--quiet", "--seed", "1").err == ""


def test_train_json_is_json_lines_with_the_promised_keys(charrnn: CommandLine, corpus: Path) -> None:
    result = charrnn("train", str(corpus), "--steps", "30", "--json", *SMALL)
    events = [json.loads(line) for line in result.out.splitlines()]
    keys = {"step", "tokens", "epoch", "loss", "bpc", "lr", "grad_norm", "clipped", "tokens_per_second", "seconds"}
    assert all(keys <= event.keys() for event in events)
    assert {"valid_loss", "valid_bpc", "best"} <= events[-1].keys()
    written = [json.loads(line) for line in Path("checkpoints/corpus/metrics.jsonl").read_text("utf-8").splitlines()]
    assert written == events


def test_the_same_seed_gives_the_same_bytes(charrnn: CommandLine, trained: Path) -> None:
    def sample(*more: str) -> str:
        return charrnn("sample", "-m", "small", "--checkpoints", str(trained), "--length", "80", *more).out

    assert sample("--seed", "5") == sample("--seed", "5")
    assert sample("--seed", "5") != sample("--seed", "6")
    assert sample("--temp", "0", "--seed", "5") == sample("--temp", "0", "--seed", "6")


def test_the_command_line_lists_the_number_formats_that_generation_has() -> None:
    assert [numbers.value for numbers in Numbers] == list(MATRICES)


@pytest.mark.parametrize("precision", list(MATRICES))
def test_the_number_format_is_said_and_gives_its_own_text_again(
    charrnn: CommandLine, trained: Path, precision: str
) -> None:
    arguments = ["sample", "-m", "small", "--checkpoints", str(trained), "--length", "40", "--seed", "3"]
    result = charrnn(*arguments, "--precision", precision)
    assert f"model.safetensors, {precision}, seed 3" in result.err
    model = api.load("small", checkpoints=trained)
    assert result.out == f"{model.sample(length=40, seed=3, precision=precision)}\n"


def test_without_a_number_format_the_model_chooses(charrnn: CommandLine, trained: Path) -> None:
    result = charrnn("sample", "-m", "small", "--checkpoints", str(trained), "--length", "40", "--seed", "3")
    model = api.load("small", checkpoints=trained)
    assert f"model.safetensors, {model.precision}, seed 3" in result.err
    assert result.out == f"{model.sample(length=40, seed=3)}\n"


def test_a_seed_that_is_drawn_is_said_and_gives_the_text_again(charrnn: CommandLine, trained: Path) -> None:
    arguments = ["sample", "-m", "small", "--checkpoints", str(trained), "--length", "40"]
    first = charrnn(*arguments)
    seed = first.err.split("seed ")[1].split()[0]
    assert charrnn(*arguments, "--seed", seed).out == first.out


def test_sample_i_of_several_is_the_single_sample_with_the_seed_plus_i(charrnn: CommandLine, trained: Path) -> None:
    arguments = ["sample", "-m", "small", "--checkpoints", str(trained), "--length", "60", "--json"]
    rows = [json.loads(line) for line in charrnn(*arguments, "-n", "3", "--seed", "7").out.splitlines()]
    for row in rows:
        alone = json.loads(charrnn(*arguments, "--seed", str(7 + row["row"])).out)
        assert alone["text"] == row["text"] and alone["seed"] == row["seed"]
        assert row["finished"] == "length" and len(row["text"]) == 60


def test_samples_of_lines_stand_one_a_line(charrnn: CommandLine, trained: Path) -> None:
    result = charrnn("sample", "-m", "lines", "--checkpoints", str(trained), "-n", "5", "--seed", "1", "-l", "90")
    assert result.out.count("\n") == 5


def test_echo_and_stop_and_prompt_file(charrnn: CommandLine, trained: Path) -> None:
    arguments = ["sample", "-m", "small", "--checkpoints", str(trained), "--seed", "2", "-l", "300"]
    Path("prompt.txt").write_text("The heron", encoding="utf-8")
    echoed = charrnn(*arguments, "--prompt-file", "prompt.txt").out
    silent = charrnn(*arguments, "--prompt", "The heron", "--no-echo").out
    assert echoed == "The heron" + silent
    stopped = charrnn(*arguments, "--prompt", "The heron", "--stop", " ", "--no-echo").out
    assert stopped == silent[: silent.index(" ")] + "\n"


def test_eval_prints_names_and_values_or_one_bare_number_or_json(
    charrnn: CommandLine, trained: Path, prose: str
) -> None:
    Path("text.txt").write_text(prose[:2000], encoding="utf-8")
    arguments = ["eval", "-m", "small", "--checkpoints", str(trained), "text.txt"]
    figures = dict(line.split("\t") for line in charrnn(*arguments).out.splitlines())
    record = json.loads(charrnn(*arguments, "--json").out)
    names = "model text tokens chars bytes words oov nats loss ppl ppl_se bpt bpc bpb word_ppl state seconds"
    for key in names.split(" "):
        assert key in figures and key in record
    assert record["chars"] == 2000
    for metric in ("ppl", "bpc", "bpb", "bpt", "loss", "word_ppl"):
        assert float(charrnn(*arguments, "-q", "--metric", metric).out) == pytest.approx(record[metric], rel=1e-9)


def test_eval_lists_adapted_and_fitted_figures_beside_the_plain_ones(
    charrnn: CommandLine, trained: Path, prose: str
) -> None:
    Path("text.txt").write_text(prose[:300], encoding="utf-8")
    arguments = ["eval", "-m", "small", "--checkpoints", str(trained), "text.txt", "--threads", "1"]
    plain = dict(line.split("\t") for line in charrnn(*arguments).out.splitlines())
    result = charrnn(*arguments, "--adapt", "--fit-temperature")
    lines = [line.split("\t") for line in result.out.splitlines()]
    figures = {name: value for name, value in lines}
    names = ["nats", "loss", "ppl", "bpt", "bpc", "bpb", "word_ppl"]
    adapted, fitted = [f"adapted_{name}" for name in names], [f"fitted_{name}" for name in ["temperature", *names]]
    assert [name for name, _ in lines] == [*list(plain)[:-1], *adapted, *fitted, "seconds"]
    assert {**figures, "seconds": plain["seconds"]}.items() >= plain.items()
    record = json.loads(charrnn(*arguments, "--adapt", "--fit-temperature", "--json").out)
    assert list(record["adapted"]) == names and list(record["fitted"]) == ["temperature", *names]
    for outer in ("adapted", "fitted"):
        for name, value in record[outer].items():
            assert float(figures[f"{outer}_{name}"]) == value
    score = api.load("small", checkpoints=trained).score(prose[:300], adapt=True, fit_temperature=True)
    assert score.adapted is not None and score.fitted is not None
    assert record["adapted"]["bpc"] == pytest.approx(score.adapted.bpc, rel=1e-6)
    assert record["fitted"]["bpc"] == pytest.approx(score.fitted.bpc, rel=1e-6)
    assert record["fitted"]["temperature"] == pytest.approx(score.fitted.temperature, rel=1e-6)
    assert record["adapted"]["bpc"] != record["bpc"] >= record["fitted"]["bpc"]


def test_eval_lists_only_the_other_figures_that_were_asked_for(charrnn: CommandLine, trained: Path, prose: str) -> None:
    Path("text.txt").write_text(prose[:300], encoding="utf-8")
    arguments = ["eval", "-m", "lines", "--checkpoints", str(trained), "text.txt", "--json", "--threads", "1"]
    assert json.loads(charrnn(*arguments).out).keys().isdisjoint({"adapted", "fitted"})
    assert "fitted" not in json.loads(charrnn(*arguments, "--adapt").out)
    assert "adapted" not in json.loads(charrnn(*arguments, "--fit-temperature").out)


def test_the_bare_number_and_the_gate_are_of_the_plain_figure(charrnn: CommandLine, trained: Path, prose: str) -> None:
    Path("text.txt").write_text(prose[:300], encoding="utf-8")
    asked = ["-q", "--metric", "bpc", "--threads", "1"]
    arguments = ["eval", "-m", "small", "--checkpoints", str(trained), "text.txt", *asked]
    plain = charrnn(*arguments).out
    assert charrnn(*arguments, "--adapt", "--fit-temperature").out == plain
    limit = str(float(plain) * (1 - 1e-9))
    assert charrnn(*arguments, "--adapt", "--fit-temperature", "--fail-above", limit).code == 3


def test_adapted_and_fitted_figures_that_are_none_or_infinite_are_printed_as_such(
    charrnn: CommandLine, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("text.txt").write_text("The hérön", encoding="utf-8")
    arguments = ["eval", "-m", "small", "--checkpoints", str(trained), "text.txt", "--unk", "--threads", "1"]
    listed = charrnn(*arguments, "--adapt", "--fit-temperature").out.splitlines()
    assert "adapted_bpb\t-" in listed and "fitted_bpb\t-" in listed
    plain = api.load("small", checkpoints=trained).score("The")
    dear = replace(plain, token_nll=plain.token_nll * 1e4)
    monkeypatch.setattr(api.Model, "score", lambda *_, **__: replace(plain, adapted=dear, fitted=dear))
    record = json.loads(charrnn(*arguments, "--json").out)
    assert record["adapted"]["ppl"] is None and record["fitted"]["ppl"] is None
    assert record["adapted"]["bpt"] == pytest.approx(1e4 * record["bpt"])
    assert "adapted_ppl\tinf" in charrnn(*arguments).out.splitlines()


def test_figures_do_not_depend_on_batch_size_and_sum_to_the_total(
    charrnn: CommandLine, trained: Path, prose: str
) -> None:
    Path("text.txt").write_text(prose[:5000], encoding="utf-8")
    arguments = ["eval", "-m", "small", "--checkpoints", str(trained), "text.txt", "-q", "--metric", "loss"]
    for mode in ([], ["--lines"], ["--reset-every", "100"]):
        values = [float(charrnn(*arguments, *mode, "--batch-size", size).out) for size in ("1", "7", "64")]
        assert values == pytest.approx([values[0]] * 3, rel=1e-6)
    score = api.load("small", checkpoints=trained).score(prose[:5000])
    assert sum(score.surprisal.tolist()) * 0.6931471805599453 == pytest.approx(score.nats, rel=1e-9)


@pytest.mark.parametrize("run", ["small", "lines"])
def test_lines_are_scored_as_if_each_were_alone(charrnn: CommandLine, trained: Path, prose: str, run: str) -> None:
    lines = [line for line in prose[:1500].split("\n") if line]
    text = "\n".join(lines) + "\n"
    model = api.load(run, checkpoints=trained)
    alone = [model.score(line + "\n").nats for line in lines]
    assert len(alone) > 10
    Path("text.txt").write_text(text, encoding="utf-8")
    record = json.loads(charrnn("eval", "-m", run, "--checkpoints", str(trained), "text.txt", "--lines", "--json").out)
    assert record["nats"] == pytest.approx(sum(alone), rel=1e-6)
    assert record["tokens"] == record["chars"] == len(text)
    assert record["state"] == "reset at each line or document"


def test_the_gate_exits_with_three_when_it_does_not_hold(charrnn: CommandLine, trained: Path) -> None:
    arguments = ["eval", "-m", "small", "--checkpoints", str(trained), "-q", "--metric", "bpc"]
    value = float(charrnn(*arguments).out)
    assert charrnn(*arguments, "--fail-above", str(value * 1.01)).code == 0
    assert charrnn(*arguments, "--fail-above", str(value * 0.99)).code == 3


def test_unknown_characters_are_counted_when_asked(charrnn: CommandLine, trained: Path) -> None:
    Path("text.txt").write_text("The hérön", encoding="utf-8")
    arguments = ["eval", "-m", "small", "--checkpoints", str(trained), "text.txt"]
    refused = charrnn(*arguments)
    assert refused.code == 1 and "'é', 'ö'" in refused.err and "--unk" in refused.err
    record = json.loads(charrnn(*arguments, "--unk", "--json").out)
    assert record["oov"] == 2 and record["bpb"] is None and record["ppl_known"] != record["ppl"]


def test_stdin_is_a_corpus_and_a_text(tmp_path: Path, prose: str) -> None:
    def pipe(text: str, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
        line = [sys.executable, "-m", "charrnn", *arguments]
        return subprocess.run(line, cwd=tmp_path, input=text.encode(), capture_output=True, check=True)

    pipe(prose, "train", "-", "--steps", "5", "--seed", "1", *SMALL)
    assert (tmp_path / "checkpoints/stdin/corpus.txt").read_text("utf-8") == prose
    assert float(pipe(prose[:100], "eval", "-q", "-").stdout) > 1
    assert pipe("", "sample", "-q", "-l", "5").stdout.strip()


def test_ctrl_c_saves_and_prints_the_command_that_continues(tmp_path: Path, corpus: Path) -> None:
    process = command("train", str(corpus), "--for", "10m", "--name", "stopped", *SMALL, cwd=tmp_path)
    wait_for(tmp_path / "checkpoints/stopped/resume.safetensors", process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"charrnn train --resume --name stopped" in err
    process = command("train", "--resume", "--name", "stopped", "--steps", "1", cwd=tmp_path)
    assert process.communicate(timeout=60) and process.returncode == 0


def test_a_reader_that_goes_away_is_no_failure(tmp_path: Path, trained: Path) -> None:
    sample = f"{sys.executable} -m charrnn sample -q -m small --checkpoints '{trained}' -l 100000"
    line = f"set -o pipefail; {sample} | head -c 100"
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0 and len(done.stdout) == 100 and done.stderr == b""


def test_so_it_is_for_the_reader_of_a_help_text(tmp_path: Path) -> None:
    line = f"set -o pipefail; for i in 1 2 3; do {sys.executable} -m charrnn train --help | head -c 10 || exit 1; done"
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0 and done.stderr == b""


def test_without_a_command_there_is_help(charrnn: CommandLine) -> None:
    result = charrnn()
    assert "Usage: charrnn" in result.out and result.err == "" and result.code == 2


def test_a_pipe_sees_plain_lines_and_the_c_locale_is_no_obstacle(tmp_path: Path) -> None:
    text = tmp_path / "unicode.txt"
    text.write_text("Zażółć gęślą jaźń. Съешь ещё этих булок. 我能吞下玻璃。🙂\n" * 100, encoding="utf-8")
    plain = {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    process = command("train", str(text), "--steps", "40", "--seed", "1", *SMALL, cwd=tmp_path, **plain)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert b"\x1b" not in err and b"\r" not in err and b"valid" in err
    out, _ = command("sample", "-q", "-p", "булок 🙂", "-l", "30", cwd=tmp_path, **plain).communicate(timeout=60)
    assert out.decode("utf-8").startswith("булок 🙂")


def test_help_is_fast_to_load_and_every_command_ends_with_examples(charrnn: CommandLine) -> None:
    script = "import sys; from charrnn.cli.app import run; run(['--help']); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, env={**os.environ})
    for name in ("train", "sample", "eval", "inspect"):
        text = charrnn(name, "--help").out
        assert "Examples:" in text and f"charrnn {name}" in text


def wait_for(file: Path, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while not file.exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
