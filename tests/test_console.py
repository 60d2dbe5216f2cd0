"""What is shown to a person: lines that fit, a bar that stays, the product alone on stdout."""

import contextlib
import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text

from charrnn import console
from charrnn.console import ReaderGone, Talk, clock, sparkline, write
from charrnn.console.display import BAR, FIRST, TrainingDisplay, progress_line, validation_line
from charrnn.console.shading import show_heat
from charrnn.training.events import Note, Report, Stopped

REPORT = Report(
    step=12_345, tokens=9, epoch=1.5, loss=1.2345, bpc=1.781, lr=0.01, grad_norm=0.5, clipped=0.02,
    tokens_per_second=43_210.0, seconds=65.4, progress=0.25, seconds_left=3725.0,
)  # fmt: skip
WHOLE = "step 12,345  loss 1.234  1.781 bpc  43.2k tok/s  grad 0.50, 2% clipped"


@contextlib.contextmanager
def screen(monkeypatch: pytest.MonkeyPatch, width: int, *, terminal: bool) -> Iterator[io.StringIO]:
    """A terminal (or a file) of so many columns in the place of stderr."""
    shown = io.StringIO()
    made = Console(file=shown, width=width, force_terminal=terminal, highlight=False, soft_wrap=True)
    monkeypatch.setattr(console, "console", made)
    yield shown


def test_a_line_drops_what_matters_least_until_it_fits() -> None:
    assert progress_line(REPORT, 1000) == WHOLE
    order = ["grad", "loss", "tok/s", "step", "bpc"]
    gone = set()
    for width in range(len(WHOLE), -1, -1):
        line = progress_line(REPORT, width)
        assert len(line) <= width, width
        assert all(part in WHOLE.split("  ") for part in line.split("  ") if part), line
        gone = {word for word in order if word not in line}
        assert gone == set(order[: len(gone)]), (width, line)
    assert len(gone) == len(order)


def test_the_bar_and_the_time_left_stay_on_a_terminal_of_any_width(monkeypatch: pytest.MonkeyPatch) -> None:
    end = "  25%  1:02:05 left"
    for width in range(len(end) + BAR + 3, 110):
        with screen(monkeypatch, width, terminal=True) as shown, TrainingDisplay() as display:
            display.show(REPORT)
            display._bar.refresh()
            drawn = shown.getvalue().split("\r")[-1]
        (line,) = [line for line in Text.from_ansi(drawn).plain.splitlines() if "left" in line]
        assert line.rstrip().endswith(end) and sum(map(line.count, "━╸╺")) == BAR, (width, line)
        assert "…" not in line and len(line.rstrip()) <= width, (width, line)
        assert (WHOLE in line) == (width > len(WHOLE) + BAR + len(end)), (width, line)


def test_the_bar_is_shorter_where_there_is_room_for_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    end = "  25%  1:02:05 left"
    for width in range(len(end) + 4, len(end) + BAR + 2):
        with screen(monkeypatch, width, terminal=True) as shown, TrainingDisplay() as display:
            display.show(REPORT)
            display._bar.refresh()
            line = Text.from_ansi(shown.getvalue().split("\r")[-1]).plain.splitlines()[0].rstrip()
        assert line.endswith(end) and 1 <= sum(map(line.count, "━╸╺")) < BAR, (width, line)
        assert len(line) <= width, (width, line)


def test_the_bar_says_what_is_waited_for_until_the_first_report(monkeypatch: pytest.MonkeyPatch) -> None:
    with screen(monkeypatch, 60, terminal=True) as shown, TrainingDisplay() as display:
        display._bar.refresh()
        assert FIRST in shown.getvalue()
        display.show(REPORT)
        shown.truncate(0)
        display._bar.refresh()
        assert FIRST not in shown.getvalue() and "25%" in shown.getvalue()


def test_what_is_printed_goes_where_it_was_sent_while_the_bar_moves(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with screen(monkeypatch, 80, terminal=True) as shown, TrainingDisplay() as display:
        display.show(REPORT)
        write('{"step": 1}\n')
    assert capfd.readouterr().out == '{"step": 1}\n' and '"step"' not in shown.getvalue()


def test_a_line_is_broken_between_words_on_a_terminal_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "network: lstm 2 x 256, embedding 128, for about 3.4 passes over the text in twelve seconds"
    for terminal, width in ((True, 60), (True, 37), (True, 200), (False, 37)):
        with screen(monkeypatch, width, terminal=terminal) as shown:
            console.say(text)
            console.warn(text)
        lines = Text.from_ansi(shown.getvalue()).plain.splitlines()
        assert " ".join(lines).split() == [*text.split(), "charrnn:", *text.split()], lines
        assert not terminal or max(map(len, lines)) <= width
        assert len(lines) == 2 or (terminal and width < len(text)), lines


def test_a_command_can_be_copied_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    command = "charrnn train --resume --name a-long-name --checkpoints /a/long/folder"
    for terminal, width, lines in (
        (True, 100, [f"to go on: {command}"]),
        (True, 60, ["to go on:", command]),
        (False, 60, [f"to go on: {command}"]),
    ):
        with screen(monkeypatch, width, terminal=terminal) as shown:
            console.say("to go on:", command)
        assert Text.from_ansi(shown.getvalue()).plain.splitlines() == lines, (terminal, width)


def test_what_a_terminal_would_act_upon_is_written_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    acting = "a\x1b]0;title\x07b\rc\x9b2Jd\u202ee\udcff"
    shown_as = r"a\x1b]0;title\x07b\rc\x9b2Jd\u202ee\udcff"
    assert console.visible(acting) == shown_as
    assert console.visible("née – 漢字\u3000\u00a0🙂\u200d") == "née – 漢字\u3000\u00a0🙂\u200d"
    validation = {"valid_loss": 1.5, "valid_bpc": 2.164, "best": True, "sample": acting.replace("\r", "")}
    with screen(monkeypatch, 200, terminal=False) as shown, TrainingDisplay() as display:
        display.show(Report(**{**vars(REPORT), **validation}))
        console.say(acting)
        console.warn(acting)
        console.error(acting)
    assert shown.getvalue().count(shown_as) == 3 and shown_as.replace(r"\r", "") in shown.getvalue()
    console.show_record(acting, {"name": f"{acting}\ntwo"})
    show_heat([*acting], [0.0] * len(acting))
    out = capsys.readouterr().out
    assert out.count("title") == 3 and out.count(shown_as) == 3 and "\x1b" not in out


def test_what_is_being_done_stands_on_a_terminal_until_there_is_something_to_show(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    gone = "\r\x1b[2K"
    thens: list[Callable[[], None]] = [
        lambda: console.say("there"),
        lambda: write("there"),
        lambda: console.show_record("there", {}),
    ]
    for then in thens:
        with screen(monkeypatch, 20, terminal=True) as shown:
            console.working("reading the model and all of its text")
            assert Text.from_ansi(shown.getvalue()).plain == "reading the model a" and gone not in shown.getvalue()
            then()
            assert shown.getvalue().count(gone) == 1
            console.forget_working()
            assert shown.getvalue().count(gone) == 1
    for terminal, quiet in ((False, False), (True, True)):
        monkeypatch.setattr(Talk, "quiet", quiet)
        with screen(monkeypatch, 20, terminal=terminal) as shown:
            console.working("reading")
            write("there")
            assert shown.getvalue() == ""


def test_a_size_is_told_in_megabytes() -> None:
    for size, told in ((1_100_000, "1.1 MB"), (294_929, "0.3 MB"), (1_234, "1.2 kB"), (5 * 10**9, "5,000.0 MB")):
        assert console.megabytes(size) == told
    assert [console.megabytes(size) for size in (1, 37, 999, 1000)] == ["1 byte", "37 bytes", "999 bytes", "1.0 kB"]


def test_a_validation_fits_too() -> None:
    report = Report(**{**vars(REPORT), "valid_loss": 1.5, "valid_bpc": 2.164})
    whole = "step 12,345   1:05  train 1.234  valid 1.500  2.164 bpc"
    assert validation_line(report, len(whole)) == whole
    assert validation_line(report, len(whole) - 1) == "step 12,345   1:05  valid 1.500  2.164 bpc"
    assert validation_line(report, 30) == "step 12,345  2.164 bpc"


def test_a_validation_a_note_and_a_warning_stand_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    validation = {"valid_loss": 1.5, "valid_bpc": 2.164, "best": True, "sample": "once  upon\na time"}
    for terminal in (True, False):
        with screen(monkeypatch, 80, terminal=terminal) as shown, TrainingDisplay() as display:
            for event in (Report(**{**vars(REPORT), **validation}), Note("aside"), Note("look", warning=True)):
                display.show(event)
            display.show(Stopped("done"))
        lines = [line.rstrip() for line in Text.from_ansi(shown.getvalue()).plain.splitlines()]
        for expected in (
            "step 12,345   1:05  train 1.234  valid 1.500  2.164 bpc  best",
            "    once upon a time",
            "aside",
            "charrnn: look",
        ):
            assert sum(line.endswith(expected) for line in lines) == 1, (expected, lines)


def test_all_that_is_said_is_in_the_callers_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Talk, "reworded", lambda text: text.replace("`threads`", "--threads"))
    with screen(monkeypatch, 80, terminal=False) as shown, TrainingDisplay() as display:
        display.show(Note("a given `threads` is kept"))
        console.warn("leave out `threads`")
        console.error("`threads` must be at least 1")
    assert "`" not in shown.getvalue() and shown.getvalue().count("--threads") == 3


def test_a_file_has_plain_lines_at_intervals_and_the_quiet_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    times = (0.0, 1.0, 9.9, 10.0, 15.0, 20.5)
    reports = [Report(**{**vars(REPORT), "seconds": seconds, "step": at}) for at, seconds in enumerate(times)]
    for quiet, steps in ((False, [0, 3, 5]), (True, [])):
        monkeypatch.setattr(Talk, "quiet", quiet)
        with screen(monkeypatch, 40, terminal=False) as shown, TrainingDisplay() as display:
            for report in reports:
                display.show(report)
            display.show(Note("aside"))
        lines = [line for line in shown.getvalue().splitlines() if "left" in line]
        assert lines == [WHOLE.replace("12,345", str(step)) + "  25%  1:02:05 left" for step in steps]
        assert ("aside" in shown.getvalue()) != quiet


def test_a_notebook_is_drawn_in_where_its_widgets_are(monkeypatch: pytest.MonkeyPatch) -> None:
    for terminal, jupyter, widgets, watched, live in (
        (True, False, False, True, True),
        (False, True, True, True, True),
        (False, True, False, True, False),
        (False, False, True, False, False),
    ):
        made = Console(file=io.StringIO(), force_terminal=terminal, force_jupyter=jupyter)
        monkeypatch.setattr(console, "console", made)
        monkeypatch.setattr(
            "charrnn.console.display.find_spec", lambda name, there=widgets: object() if there else None
        )
        case = (terminal, jupyter, widgets)
        assert console.somebody_watches() == watched, case
        assert TrainingDisplay()._live == live, case


def test_a_time_is_told_like_a_clock() -> None:
    for seconds, text in ((0, "0:00"), (-3, "0:00"), (9.6, "0:10"), (75, "1:15"), (3599.4, "59:59"), (3725, "1:02:05")):
        assert clock(seconds) == text


def test_values_as_bars() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == console.BARS
    assert sparkline([3, 3]) == console.BARS[0] * 2
    assert len(sparkline(range(1000), width=50)) == 50


def test_talk_is_no_markup_and_errors_are_said_to_the_quiet_too(monkeypatch: pytest.MonkeyPatch) -> None:
    for quiet, expected in (
        (False, ["[bold]a[/bold]", "charrnn: b [red]", "charrnn: c"]),
        (True, ["charrnn: c"]),
    ):
        monkeypatch.setattr(Talk, "quiet", quiet)
        with screen(monkeypatch, 80, terminal=False) as shown:
            console.say("[bold]a[/bold]")
            console.warn("b [red]")
            console.error("c")
        assert shown.getvalue().splitlines() == expected


def test_the_product_goes_to_stdout_as_it_is(capfd: pytest.CaptureFixture[str]) -> None:
    write("a [b]\r\n")
    assert capfd.readouterr() == ("a [b]\r\n", "")


def test_a_reader_that_has_gone_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    read, end = os.pipe()
    os.close(read)
    with open(end, "w", encoding="utf-8") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        with pytest.raises(ReaderGone):
            write("x")
        write("what Python still flushes at exit has somewhere to go")


def test_a_record_and_a_heat_are_stdouts(capsys: pytest.CaptureFixture[str]) -> None:
    console.show_record("title", {"name": "[x]", "path": str(Path("a/b")), "json": json.dumps({"c": 1})})
    out, err = capsys.readouterr()
    assert not err and out.splitlines()[1].split() == ["name", "[x]"]
    show_heat(["a", "\n", "b"], [0.5, -1.0, 1.0])
    assert capsys.readouterr().out == "a↵\nb\n"
