"""charrnn inspect and its commands, as a user calls them."""

import json
from pathlib import Path

import pytest

from .conftest import SMALL, CommandLine


@pytest.fixture
def here(trained: Path, charrnn: CommandLine) -> list[str]:
    """The options that name the model of one stream."""
    return ["-m", "small", "--checkpoints", str(trained)]


@pytest.mark.slow
def test_gradients_of_a_model_are_told_drawn_and_given_as_json(charrnn: CommandLine, here: list[str]) -> None:
    done = charrnn("inspect", "gradients", *here, "--reach", "20", "--positions", "4", "--seed", "1", "--svg", "g.svg")
    assert done.code == 0 and "layer 1: halves in" in done.out and "k = 20" in done.out
    assert Path("g.svg").read_text(encoding="utf-8").startswith("<?xml")
    found = json.loads(
        charrnn("inspect", "gradients", *here, "--reach", "20", "--positions", "4", "--seed", "1", "--json").out
    )
    (network,) = found["networks"]
    assert len(network["layers"][0]["median"]) == 21 and network["network"] == "small: lstm 1 x 16"
    training = network["training"]
    assert network["step"] == 60 and training["step"][-1] == 60 and 0 <= training["clipped"] <= 1
    picture = Path("g.svg").read_text(encoding="utf-8")
    assert f"{training['clipped']:.1%} of steps clipped" in picture and "halves in" in picture
    assert "of steps clipped" in done.out
    bare = charrnn("inspect", "gradients", *here, "--reach", "20", "--positions", "4", "--seed", "1", "-q")
    assert float(bare.out) == network["layers"][0]["half_life"] and bare.err == ""


@pytest.mark.slow
def test_gradients_of_several_models_stand_side_by_side_in_80_columns(charrnn: CommandLine, here: list[str]) -> None:
    asked = ["inspect", "gradients", *here, "--reach", "9", "--positions", "4", "--seed", "1"]
    done = charrnn(*asked, "-m", "lines")
    assert done.code == 0 and max(map(len, done.out.splitlines())) <= 80
    assert [line[:24] for line in done.out.splitlines()[:2]] == ["a  small: lstm 1 x 16, l", "b  lines: lstm 1 x 16, l"]
    own = json.loads(charrnn(*asked, "--json").out)["networks"]
    both = json.loads(charrnn(*asked, "-m", "lines", "--json").out)["networks"]
    assert len(both) == 2 and both[:1] == own
    rows = [line.split() for line in done.out.splitlines() if line.startswith(("a  ", "b  ", "k ="))][2:]
    assert rows[0] == ["k", "=", "0", "1", "2", "5"]
    for row, network in zip(rows[1:], both, strict=True):
        middle = network["layers"][0]["median"]
        assert row[1:] == [f"{middle[k]:.1e}" for k in (0, 1, 2, 5)]


@pytest.mark.slow
def test_a_page_of_gradients_has_a_frame_for_each_step_that_was_kept(charrnn: CommandLine, corpus: Path) -> None:
    asked = ["train", str(corpus), "--steps", "6", "--keep-every", "3", "--name", "x", "--no-counts", "--seed", "1"]
    assert charrnn(*asked, *SMALL).code == 0
    kept = sorted(path.name for path in Path("checkpoints/x").glob("step-*"))
    assert kept == ["step-0.safetensors", "step-3.safetensors", "step-6.safetensors"]
    assert (
        json.loads(charrnn("inspect", "-m", "checkpoints/x/step-3.safetensors", "--json").out)["training"]["step"] == 3
    )
    flags = ["--reach", "9", "--positions", "4", "--seed", "1"]
    done = charrnn("inspect", "gradients", "-m", "x", *flags, "--json", "--html", "g.html")
    line = next(one for one in Path("g.html").read_text("utf-8").splitlines() if one.startswith("const data = "))
    (network,) = json.loads(line.removeprefix("const data = ").removesuffix(";"))["networks"]
    assert [frame["step"] for frame in network["frames"]] == [0, 3, 6]
    shown = network["frames"][2]["layers"][0]
    exact = json.loads(done.out)["networks"][0]["layers"][0]
    assert shown["median"] == [float(f"{norm:.4g}") for norm in exact["median"]] and shown["half"] == exact["half_life"]
    fresh = charrnn("inspect", "gradients", "-m", "checkpoints/x/step-0.safetensors", *flags, "--json")
    assert json.loads(fresh.out)["networks"][0]["layers"][0]["half_life"] == network["frames"][0]["layers"][0]["half"]
    assert charrnn("runs", "rm", "x", "--yes").code == 0 and not Path("checkpoints/x").exists()


def test_gradients_of_untrained_networks_stand_side_by_side(charrnn: CommandLine) -> None:
    asked = ["--cell", "rnn", "--cell", "lstm", "--hidden", "8", "--layers", "2", "--reach", "10", "--positions", "4"]
    done = charrnn("inspect", "gradients", *asked, "--seed", "3")
    assert done.code == 0
    assert [line[3:].split(":")[0] for line in done.out.splitlines() if "layer" in line] == [
        "rnn 2 x 8, layer 1", "rnn 2 x 8, layer 2", "lstm 2 x 8, layer 1", "lstm 2 x 8, layer 2",
    ]  # fmt: skip
    assert charrnn("inspect", "gradients", *asked, "--seed", "3").out == done.out
    assert charrnn("inspect", "gradients", *asked, "--seed", "4").out != done.out


def test_a_larger_radius_makes_gradients_of_untrained_networks_last_longer(charrnn: CommandLine) -> None:
    asked = ["--cell", "rnn", "--hidden", "16", "--reach", "20", "--positions", "8", "--seed", "3", "--json"]
    done = charrnn(
        "inspect", "gradients", *asked, "--spectral-radius", "0.5", "--spectral-radius", "1", "--spectral-radius", "1.5"
    )
    networks = json.loads(done.out)["networks"]
    assert [network["network"] for network in networks] == [
        "rnn 1 x 16, radius 0.5", "rnn 1 x 16", "rnn 1 x 16, radius 1.5",
    ]  # fmt: skip
    halves = [network["layers"][0]["half_life"] for network in networks]
    assert networks[0]["note"] is None
    assert halves == sorted(halves)


def test_what_describes_an_untrained_network_is_refused_beside_a_trained_one(
    charrnn: CommandLine, here: list[str]
) -> None:
    for flag, value in (("--spectral-radius", "2"), ("--hidden", "9"), ("--skip", "dense"), ("--layers", "2")):
        done = charrnn("inspect", "gradients", *here, flag, value)
        assert done.code == 2 and f"{flag} means nothing without --cell" in done.err, flag


def test_memory_is_a_line_for_each_reset(charrnn: CommandLine, here: list[str]) -> None:
    done = charrnn("inspect", "memory", *here, "--length", "300", "--svg", "m.svg")
    rows = [line.split("\t") for line in done.out.splitlines()]
    assert [row[0] for row in rows] == ["1", "2", "5", "10", "20", "50", "100", "200", "never"]
    assert all(1 < float(row[1]) < 8 for row in rows) and Path("m.svg").exists()
    found = json.loads(charrnn("inspect", "memory", *here, "--length", "300", "--json").out)
    assert [f"{point['bpc']:.4f}" for point in found[0]["curve"]] == [row[1] for row in rows]
    exact = charrnn("inspect", "memory", *here, "--length", "300", "--fixed-context", "--svg", "e.svg").out.splitlines()
    assert [line.split("\t")[0] for line in exact] == ["1", "2", "5", "10", "20", "50", "100", "all"]
    assert "tokens read before the one scored" in Path("e.svg").read_text(encoding="utf-8")
    both = charrnn("inspect", "memory", *here, "--compare-with", "lines", "--length", "300").out.splitlines()
    assert both[0] == "reset every\tsmall: lstm 1 x 16\tlines: lstm 1 x 16"
    assert [line.split("\t")[1] for line in both[1:]] == [row[1] for row in rows]


def test_what_a_prediction_rests_on_is_shown_and_written(charrnn: CommandLine, here: list[str]) -> None:
    done = charrnn("inspect", "memory", *here, "--saliency", "the fox", "--html", "m.html")
    assert done.code == 0 and done.out.startswith("the fox") and 'what "x" rests on' in done.out
    assert "\x1b" not in done.out
    page = Path("m.html").read_text(encoding="utf-8")
    assert '"symbols": ["t", "h", "e", " ", "f", "o", "x"]' in page
    Path("t.txt").write_text("and the hen\n" * 30, encoding="utf-8")
    both = charrnn("inspect", "memory", *here, "--saliency", "the fox", "--saliency-file", "t.txt", "--json").out
    first, second = map(json.loads, both.splitlines())
    assert first["symbols"] == list("the fox") and len(second["weights"]) == 360
    assert [len(row) for row in first["weights"]] == list(range(1, 8)) and len(second["weights"][-1]) == 200
    refused = charrnn("inspect", "memory", *here, "--saliency", "the ☃")
    assert refused.code in (1, 2) and len(refused.err.splitlines()) == 1


def test_neurons_are_found_shown_and_written(charrnn: CommandLine, here: list[str]) -> None:
    done = charrnn("inspect", "neurons", *here, "--length", "300", "--count", "2", "--html", "n.html")
    rows = [line.split("\t") for line in done.out.splitlines() if line.startswith("word")]
    assert done.code == 0 and len(rows) == 2 and abs(float(rows[0][2])) >= abs(float(rows[1][2]))
    assert "gate f, layer 1" in done.out and "the text by unit" in done.out
    assert '"label": "word 1:' in Path("n.html").read_text(encoding="utf-8")
    one = charrnn("inspect", "neurons", *here, "--length", "300", "--property", "word", "--json")
    found = json.loads(one.out)
    assert [unit["property"] for unit in found["units"]] == ["word"] * 3
    assert {gate["gate"] for gate in found["gates"]} == {"i", "f", "o"}


def test_what_there_is_not_is_refused_in_one_line(charrnn: CommandLine, here: list[str]) -> None:
    for flag, value, words in (
        *[("--unit", unit, "unit") for unit in ("3", "0:1", "a:b", "2:0", "1:16")],
        ("--property", "wrod", "the nearest is word"),
        ("--length", "1", "--length must be from 2 to 1,000,000, not 1"),
    ):
        short = [] if flag == "--length" else ["--length", "50"]
        done = charrnn("inspect", "neurons", *here, *short, flag, value)
        assert done.code == 2 and len(done.err.splitlines()) == 1 and words in done.err, (flag, value)


@pytest.mark.slow
def test_a_model_of_lines_is_looked_at_too(charrnn: CommandLine, trained: Path) -> None:
    place = ["-m", "lines", "--checkpoints", str(trained)]
    assert charrnn("inspect", "memory", *place, "--length", "100").code == 0
    assert charrnn("inspect", "neurons", *place, "--length", "100").code == 0
    assert charrnn("inspect", "gradients", *place, "--reach", "5", "--positions", "2").code == 0


def test_options_stand_behind_the_command(charrnn: CommandLine, trained: Path) -> None:
    done = charrnn("inspect", "--checkpoints", str(trained), "memory")
    assert done.code == 2 and "options stand behind the command: charrnn inspect memory" in done.err
    assert "lstm 1 x 16" in charrnn("inspect", "--checkpoints", str(trained)).out
