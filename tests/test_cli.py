"""The command line as users and scripts meet it: streams, exit codes, formats, options and their words."""

import ast
import dataclasses
import json
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

import charrnn as charrnn_package
from charrnn import api
from charrnn.cli.app import app
from charrnn.cli.evaluate import METRICS
from charrnn.cli.flags import commands, flags, in_flags
from charrnn.config import TrainOptions
from charrnn.config.fields import setting
from charrnn.config.verbs import PRECISIONS
from charrnn.generation.config import SampleConfig
from charrnn.models.cells import CELLS
from charrnn.models.connections import CONNECTIONS
from charrnn.scoring.figures import flat

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
    assert charrnn("train", str(corpus), "--steps", "2", *SMALL).out == ""
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


def test_the_number_format_is_said_and_gives_its_own_text_again(charrnn: CommandLine, trained: Path) -> None:
    arguments = ["sample", "-m", "small", "--checkpoints", str(trained), "--length", "40", "--seed", "3"]
    model = api.load("small", checkpoints=trained)
    for precision in (*PRECISIONS, None):
        result = charrnn(*arguments, *(["--precision", precision] if precision else []))
        chosen = precision or model.precision
        assert f"model.safetensors, {chosen} {model.computed(chosen)}, seed 3" in result.err
        assert result.out == f"{model.sample(length=40, seed=3, precision=precision)}\n", precision


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
    charrnn: CommandLine, trained: Path, prose: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("text.txt").write_text(prose[:500], encoding="utf-8")
    arguments = ["eval", "-m", "small", "--checkpoints", str(trained), "text.txt", "--threads", "1"]
    figures = dict(line.split("\t") for line in charrnn(*arguments).out.splitlines())
    record = json.loads(charrnn(*arguments, "--json").out)
    names = "model text tokens chars bytes words oov nats loss ppl ppl_se bpt bpc bpb word_ppl state seconds"
    for key in names.split(" "):
        assert key in figures and key in record
    assert record["chars"] == 500 and record.keys().isdisjoint({"adapted", "fitted"})
    assert float(figures["nats"]) == record["nats"]
    for metric in METRICS:
        assert float(charrnn(*arguments, "-q", "--metric", metric).out) == pytest.approx(record[metric], rel=1e-9)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    lines = charrnn(*arguments).out.splitlines()
    wide = len("network_word_ppl")
    read = {line[:wide].rstrip(): line[wide:].strip() for line in lines}
    assert all(line[wide : wide + 2] == "  " and line[wide + 2] != " " for line in lines), "columns are aligned"
    assert read["ppl"] == f"{record['ppl']:.6g}" and read["tokens"] == "500" and read["text"] == "text.txt"
    assert charrnn(*arguments, "-q").out == f"{record['ppl']!r}\n"
    assert json.loads(charrnn(*arguments, "--json").out)["nats"] == record["nats"]


def test_eval_of_several_models_tells_their_figures_side_by_side(
    charrnn: CommandLine, trained: Path, prose: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("text.txt").write_text(prose[:300], encoding="utf-8")
    line = ["eval", "--checkpoints", str(trained), "text.txt", "--threads", "1"]
    models = ["-m", "small", "-m", "lines"]
    alone = [json.loads(charrnn(*line, "--json", "-m", name).out) for name in ("small", "lines")]
    timed = [json.loads(text) for text in charrnn(*line, "--json", *models).out.splitlines()]
    assert [{**one, "seconds": 0} for one in timed] == [{**one, "seconds": 0} for one in alone]
    bare = charrnn(*line, "-q", "--metric", "bpc", *models).out
    assert bare == "".join(f"{one['bpc']!r}\n" for one in alone)
    table = {row[0]: row[1:] for row in (text.split("\t") for text in charrnn(*line, *models).out.splitlines())}
    assert list(table) == [name for name, _ in flat(alone[0])] and table["nats"] == [str(one["nats"]) for one in alone]
    gate = ["-q", "--metric", "bpc", "--fail-above"]
    least, most = sorted(one["bpc"] for one in alone)
    assert charrnn(*line, *models, *gate, str(most)).code == 0
    assert charrnn(*line, *models, *gate, str((least + most) / 2)).code == 3
    # Two runs on one corpus that held out the same length, and yet not the same text.
    own = charrnn(*line[:3], *models, "--threads", "1")
    assert own.code == 0 and "figures compare on one TEXT alone" in own.err
    assert "figures compare" not in charrnn(*line, *models).err
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    rows = charrnn(*line, *models).out.splitlines()
    starts = {row.rindex("  ") + 2 for row in rows if not row.startswith(("model", "state"))}
    assert len(starts) == 1 and rows[1].endswith("  text.txt")


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
    own = [name for name in plain if not name.startswith("network_")]
    network = [f"network_{name}" for name in names]
    assert [name for name, _ in lines] == [*own[:-1], *adapted, *fitted, *network, "seconds"]
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
    Path("text.txt").write_text(prose[:1500], encoding="utf-8")
    asked = ["text.txt", "-q", "--metric", "loss", "--threads", "1"]
    for mode in ([], ["--lines"], ["--reset-every", "100"]):
        line = ["eval", "-m", "small", "--checkpoints", str(trained), *asked, *mode]
        values = [float(charrnn(*line, "--batch-size", size).out) for size in ("1", "7", "64")]
        assert values == pytest.approx([values[0]] * 3, rel=1e-6), mode
    score = api.load("small", checkpoints=trained).score(prose[:1500])
    assert sum(score.surprisal.tolist()) * 0.6931471805599453 == pytest.approx(score.nats, rel=1e-9)


def test_lines_are_scored_as_if_each_were_alone(charrnn: CommandLine, trained: Path, prose: str) -> None:
    lines = [line for line in prose[:1200].split("\n") if line]
    text = "\n".join(lines) + "\n"
    Path("text.txt").write_text(text, encoding="utf-8")
    for run in ("small", "lines"):
        model = api.load(run, checkpoints=trained)
        alone = [model.score(line + "\n").nats for line in lines]
        assert len(alone) > 10
        asked = ["text.txt", "--lines", "--json", "--threads", "1"]
        record = json.loads(charrnn("eval", "-m", run, "--checkpoints", str(trained), *asked).out)
        assert record["nats"] == pytest.approx(sum(alone), rel=1e-6), run
        assert record["tokens"] == record["chars"] == len(text)
        assert record["state"] == "reset at each line or document"


def test_the_gate_exits_with_three_when_it_does_not_hold(charrnn: CommandLine, trained: Path) -> None:
    arguments = ["eval", "-m", "small", "--checkpoints", str(trained), "-q", "--metric", "bpc", "--threads", "1"]
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


@pytest.mark.slow
def test_stdin_is_a_corpus_and_a_text(tmp_path: Path, prose: str, program: Path) -> None:
    def pipe(text: str, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
        line = [str(program), *arguments]
        return subprocess.run(line, cwd=tmp_path, input=text.encode(), capture_output=True, check=True)

    pipe(prose, "train", "-", "--steps", "5", "--seed", "1", *SMALL)
    assert (tmp_path / "checkpoints/stdin/corpus.txt").read_text("utf-8") == prose
    assert float(pipe(prose[:100], "eval", "-q", "-").stdout) > 1
    assert pipe("", "sample", "-q", "-l", "5").stdout.strip()


@pytest.mark.slow
def test_ctrl_c_saves_and_prints_the_command_that_continues(charrnn: CommandLine, tmp_path: Path, corpus: Path) -> None:
    process = command("train", str(corpus), "--for", "10m", "--name", "stopped", *SMALL, cwd=tmp_path)
    wait_for(tmp_path / "checkpoints/stopped/resume.safetensors", process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"charrnn train --resume --name stopped" in err
    assert charrnn("train", "--resume", "--name", "stopped", "--more", "0.2s", "--threads", "1").code == 0


def test_more_is_for_a_run_that_goes_on_and_a_list_is_told_what_to_ask_for(
    charrnn: CommandLine, tmp_path: Path
) -> None:
    (tmp_path / "names.txt").write_text("".join(f"Name {number}\n" for number in range(60)))
    refused = charrnn("train", "names.txt", "--more", "1s")
    assert refused.code == 2 and refused.err.count("\n") == 1 and "--more means nothing without --resume" in refused.err
    begun = charrnn("train", "names.txt", "--steps", "2", *SMALL)
    assert begun.code == 0 and "list of short lines: --documents lines learns" in begun.err
    spent = charrnn("train", "--resume", "--steps", "2")
    assert spent.code == 1 and "--steps counts from its beginning" in spent.err and "--more counts" in spent.err


def test_a_reader_that_goes_away_is_no_failure(tmp_path: Path, trained: Path) -> None:
    sample = f"{sys.executable} -m charrnn sample -q -m small --checkpoints '{trained}' -l 100000"
    line = f"set -o pipefail; {sample} | head -c 100"
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0 and len(done.stdout) == 100 and done.stderr == b""


@pytest.mark.slow
def test_so_it_is_for_the_reader_of_a_help_text(tmp_path: Path) -> None:
    line = f"set -o pipefail; for i in 1 2; do {sys.executable} -m charrnn train --help | head -c 10 || exit 1; done"
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0 and done.stderr == b""


def test_without_a_command_there_is_help(charrnn: CommandLine) -> None:
    result = charrnn()
    assert "Usage: charrnn" in result.out and result.err == "" and result.code == 2


@pytest.mark.slow
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


# ---- options, their words and their flags


def test_every_command_explains_itself_and_ends_with_examples() -> None:
    for name, each in commands(app):
        assert each.help, name
        assert "Examples:" in each.epilog and f"charrnn {name}".strip() in each.epilog, name
        taken: list[str] = []
        for parameter in each.params:
            assert parameter.help and parameter.help.endswith("."), (name, parameter.name)
            listed = parameter.name in ("cell", "skip", "metric")
            assert listed or len(parameter.help) <= 90, (name, parameter.name)
            taken += parameter.opts if parameter.param_type_name == "option" else []
        assert len(taken) == len(set(taken)), name


def test_the_words_of_an_option_are_those_at_its_field() -> None:
    for config, name in ((TrainOptions, "train"), (SampleConfig, "sample")):
        parameters = {parameter.name: parameter for parameter in dict(commands(app))[name].params}
        for field in dataclasses.fields(config):
            told, parameter = setting(field), parameters[field.name]
            assert len(told.help) <= 90 and told.help[0].isupper(), field.name
            if field.name == "corpus":
                continue
            assert parameter.help.startswith(told.help.removesuffix(".")), field.name
            assert parameter.rich_help_panel == told.group and parameter.opts[0].startswith("--"), field.name
            assert list(parameter.opts) == list(told.flags or [f"--{field.name.replace('_', '-')}"]), field.name


def test_names_are_listed_from_their_registries_and_the_nearest_is_told(charrnn: CommandLine) -> None:
    text = " ".join(charrnn("train", "--help").out.replace("│", " ").split())
    assert f"Recurrent cell: {', '.join(CELLS)}." in text
    assert ", ".join(name or "none" for name in CONNECTIONS) in text
    for flag, wrong, near in (("--cell", "lstn", "lstm"), ("--skip", "resdual", "residual")):
        refused = charrnn("train", flag, wrong)
        assert refused.code == 2 and refused.err.endswith(f"not '{wrong}'; the nearest is {near}\n")
        assert refused.err.startswith(f"charrnn: {flag} must be ")
    for name in CONNECTIONS:
        assert dict(commands(app))["train"].make_context("train", ["--skip", name or "none"]).params["skip"] == name


def test_a_message_of_the_library_is_told_in_flags() -> None:
    known = flags(app)
    for message, told in {
        "`clip_value` must be above 0, not -1": "--clip-value must be above 0, not -1",
        "give one of `seconds`, `steps` and `epochs`": "give one of --for, --steps and --epochs",
        "leave out one of `tie` and `skip='dense'`": "leave out one of --tie and --skip dense",
        "train one with `bidirectional=True`": "train one with --bidirectional",
        "leave `norm=False` out": "leave --no-norm out",
        "use `tokenizer` char, not `other`": "use --tokenizer char, not other",
        "there is none yet: `train` makes one": "there is none yet: charrnn train makes one",
        "`start_from`, `temperature`, `rows`, `unknown`": "--from, --temp, --num, --unk",
    }.items():
        assert in_flags(message, known) == told


def test_only_the_command_line_names_a_flag() -> None:
    """Whoever calls the library from Python has fields, not flags."""
    package = Path(charrnn_package.__file__).parent
    found = [
        f"{path.name}: {word.value}"
        for path in package.rglob("*.py")
        if "cli" not in path.relative_to(package).parts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Raise | ast.Call)
        for word in ast.walk(node)
        if isinstance(word, ast.Constant) and isinstance(word.value, str)
        # A flag alone is what a field says of itself.
        if re.search(r"(?<![\w-])--[a-z]", word.value) and " " in word.value.strip()
    ]
    assert not found


def wait_for(file: Path, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while not file.exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
