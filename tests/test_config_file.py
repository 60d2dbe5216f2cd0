"""A training's options in a file: written of any run, and read so that it can be repeated."""

from pathlib import Path

import pytest

from charrnn.config import TrainOptions

from .conftest import CommandLine


@pytest.mark.slow
@pytest.mark.parametrize("name", ["small", "lines"])
def test_a_run_is_repeated_by_what_inspect_writes(
    charrnn: CommandLine, trained: Path, tmp_path: Path, name: str
) -> None:
    told = charrnn("inspect", "--config", "-m", name, "--checkpoints", str(trained))
    assert told.code == 0 and "weight-drop = 0.0\n" in told.out, "what was chosen is written, also where it is none"
    Path("run.toml").write_text(told.out, encoding="utf-8")
    again = ["train", "--config", "run.toml", "--name", "again", "--threads", "1", "-q"]
    assert charrnn(*again).code == 0
    digests = [
        charrnn("inspect", "--digest", "-m", *which).out
        for which in ((name, "--checkpoints", str(trained)), ("again",))
    ]
    assert digests[0] == digests[1]
    # What is typed comes before the file, and another budget stands in place of the file's.
    other = charrnn(*again[:3], "--name", "other", "--epochs", "0.01", "--hidden", "5", "--threads", "1")
    assert other.code == 0 and "lstm 1 x 5" in other.err


def test_a_file_that_is_wrong_is_told_in_one_line(charrnn: CommandLine) -> None:
    for text, complaint in {
        "hiden = 3": "run.toml: there is no option hiden; the nearest is --hidden",
        "hidden = -3": "--hidden must be from 1 to 16,384, not -3",
        "hidden = [3]": "run.toml: hidden must be a text, a number, true or false, not [3]",
        "hidden = [3": "run.toml is no TOML: ",
        "cell = 'lsmt'": "; the nearest is lstm\n",
        "for = 'soon'": "'soon' is no time",
        "steps = 3\nfor = '3s'": "give one of --for, --steps and --epochs",
    }.items():
        Path("run.toml").write_text(text + "\n", encoding="utf-8")
        result = charrnn("train", "--config", "run.toml")
        assert result.code == 2 and complaint in result.err and result.err.count("\n") <= 2, (text, result)
    assert charrnn("train", "--config", "run.toml", "--resume").code == 2
    missing = charrnn("train", "--config", "none.toml")
    assert missing.code == 1 and "there is no file none.toml" in missing.err


def test_every_option_has_its_name_in_the_file(charrnn: CommandLine) -> None:
    from charrnn.cli.config_file import config_text, read_config

    values = {name: ["a", "b"] if name == "corpus" else 'a "b"\n\\ü' for name in TrainOptions.__dataclass_fields__}
    Path("run.toml").write_text(config_text(values), encoding="utf-8")
    assert read_config(Path("run.toml")) == values
