"""A text written in turns: what the model proposes, what is kept, what is typed."""

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from charrnn import api
from charrnn.api.session import Session
from charrnn.cli import keys
from charrnn.cli.interactive import FLAGS, OPTIONS, described
from charrnn.cli.keys import Prompt
from charrnn.errors import ConfigError, VocabularyError
from charrnn.generation.config import SampleConfig
from charrnn.generation.sequence import TextChunk

from .cases import each
from .conftest import CommandLine

LENGTH = 30


@pytest.fixture
def session(trained: Path) -> Session:
    return api.load("small", checkpoints=trained).session(seed=5, config=SampleConfig(length=LENGTH))


def written(chunks: Iterator[TextChunk]) -> str:
    return "".join(chunk.text for chunk in chunks)


# ---- what Python users have


def test_each_turn_is_what_a_sample_behind_the_whole_text_is(session: Session) -> None:
    model, options = session.source, {"length": LENGTH}
    first = written(session.write("The heron"))
    assert first == session.proposal == model.sample("The heron", seed=5, **options)  # type: ignore[arg-type]
    assert session.text == "The heron"
    other = written(session.again())
    assert other == model.sample("The heron", seed=6, **options) != first  # type: ignore[arg-type]
    more = written(session.more())
    assert session.text == "The heron" + other
    assert more == model.sample(session.text, seed=7, **options)  # type: ignore[arg-type]
    session.keep()
    session.config = SampleConfig(length=9, temperature=0)
    assert written(session.write(" And")) == model.sample(session.text, length=9, temperature=0)
    assert session.text == "The heron" + other + more + " And"


def test_what_is_not_kept_is_gone_and_what_was_kept_can_be_undone(session: Session) -> None:
    first = written(session.write("The"))
    written(session.write(" own"))
    assert session.text == "The own", "typed in the place of what was proposed"
    assert session.undo() and session.proposal == "" and session.text == "The own"
    assert session.undo() and session.text == "The"
    session.turn = 0
    assert written(session.write()) == first
    session.keep()
    assert session.text == "The" + first
    assert session.undo() and session.text == "The" and session.undo() and session.text == ""
    assert not session.undo()


def test_a_text_that_is_left_while_it_comes_is_a_proposal_as_far_as_it_came(session: Session) -> None:
    chunks = session.write("The ")
    came = next(chunks).text
    assert session.proposal == came and 0 < len(came) < 40
    written(session.more())
    assert session.text == "The " + came


def test_a_document_that_has_ended_is_followed_by_another(trained: Path) -> None:
    session = api.load("lines", checkpoints=trained).session(seed=3, config=SampleConfig(length=2000))
    first = written(session.write())
    session.keep()
    assert session.text == first + "\n"
    second = written(session.write())
    assert second == session.source.sample(seed=4, length=2000) and session.undo()
    assert written(session.again()) == session.source.sample(seed=5, length=2000)
    written(session.more("The "))
    assert session.text.startswith(first + "\n") and session.text.endswith("\nThe ")


def test_what_cannot_be_done_leaves_all_as_it_was(session: Session) -> None:
    written(session.write("The"))
    before = session.text, session.proposal, session.turn
    with pytest.raises(VocabularyError):
        session.write("Ω")
    with pytest.raises(ConfigError):
        session.use(SampleConfig(length=5, match=("z{90}",)))
    session.config = SampleConfig(length=5, match=("z{90}",))
    for turn in (session.write, session.more):
        with pytest.raises(ConfigError):
            turn(" heron")
    assert before == (session.text, session.proposal, session.turn)


def test_an_older_turn_that_is_read_on_adds_nothing_to_a_newer_one(session: Session) -> None:
    older = session.write("The")
    next(older)
    newer = session.again()
    first = next(newer).text
    assert list(older) == [] and session.proposal == first


def test_a_pattern_ends_a_text_of_one_stream_and_the_text_goes_on(trained: Path) -> None:
    model = api.load("small", checkpoints=trained)
    session = model.session(seed=4, length=40, match=(r"[^z]{5,9}",))
    written(session.write("The "))
    session.keep()
    assert len(session.text) <= 9 and not session.text.endswith("\n")
    session.use(SampleConfig(length=10))
    assert written(session.write()) == model.sample(session.text, seed=5, length=10)


def test_it_goes_on_behind_a_text_that_was_read_before(trained: Path, tmp_path: Path) -> None:
    model = api.load("small", checkpoints=trained)
    model.read("The heron").save(tmp_path / "heron.state")
    session = Session(model, seed=2, config=SampleConfig(length=LENGTH), state=tmp_path / "heron.state")
    assert session.text == "The heron"
    assert written(session.write(" is")) == model.sample("The heron is", seed=2, length=LENGTH)


# ---- lines that come through a pipe


def piped(
    monkeypatch: pytest.MonkeyPatch, charrnn: CommandLine, trained: Path, *lines: str, more: str = ""
) -> tuple[str, str]:
    monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
    line = ["sample", "-i", "-m", "small", "--checkpoints", str(trained), "--seed", "5", "-l", "20", *more.split()]
    told = charrnn(*line)
    assert told.code == 0
    return told.out, told.err


def test_turns_come_through_a_pipe(
    monkeypatch: pytest.MonkeyPatch, charrnn: CommandLine, trained: Path, tmp_path: Path
) -> None:
    model, file = api.load("small", checkpoints=trained), tmp_path / "story.txt"
    first = model.sample("The", seed=5, length=20)
    again = model.sample("The", seed=6, length=20)
    third = model.sample(f"The{again}", seed=7, length=20, temperature=0.1)
    fourth = model.sample(f"The{again}{third} So", seed=8, length=20, temperature=0.1)
    out, err = piped(
        monkeypatch, charrnn, trained,
        "The", "/retry", "/temp 0.1", "", "/keep", " So", "/text", f"/save {file}", "/quit", "The",
    )  # fmt: skip
    whole = f"The{again}{third} So{fourth}"
    assert out == f"The{first}\n{again}\n{third}\n So{fourth}\n{whole}\n"
    assert file.read_text(encoding="utf-8") == whole + "\n"
    assert "temp 0.1" in err
    silent, _ = piped(monkeypatch, charrnn, trained, "The", more="--no-echo")
    assert silent == f"{first}\n"
    begun, _ = piped(monkeypatch, charrnn, trained, more="-p The")
    assert begun == f"The{first}\n"
    assert piped(monkeypatch, charrnn, trained, "/undo", "/help", more="-q")[1].count("\n") > 10
    prompt = charrnn("sample", "-i", "-m", "small", "--checkpoints", str(trained), "-p", "/text")
    assert prompt.code == 1 and "no '/'" in prompt.err, "a prompt is a text, and this one cannot be read"
    mended, _ = piped(monkeypatch, charrnn, trained, "The\r", "/quit\r", "x")
    assert mended == f"The{first}\n"


@each(
    "line, words",
    [
        ("/html x", "there is no command /html"),
        ("/tmp 0.4", "there is no command /tmp; the nearest is /temp"),
        ("/temp warm", "/temp must be a number, or two as in 0.5:1.2, not 'warm'"),
        ("/top-p 2", "/top-p must be above 0 and at most 1, not 2.0"),
        ("/length 1.5", "/length must be a whole number, not '1.5'"),
        ("Ω", "'Ω'"),
        ("/save", "/save needs a file"),
        ("/save /nowhere/at/all", "'/nowhere/at/all' cannot be written: No such file or directory"),
        ("/save ~nobody-of-this-name/x", "cannot be written: "),
        ("/save a\0b", "cannot be written: "),
        ("/match (", "is no regular expression"),
    ],
)
def test_a_line_that_nobody_understands_costs_nothing(
    monkeypatch: pytest.MonkeyPatch, charrnn: CommandLine, trained: Path, line: str, words: str
) -> None:
    out, err = piped(monkeypatch, charrnn, trained, line, "The")
    assert words in err and out.startswith("The") and out.count("\n") >= 1, err


def test_options_go_by_their_flags_and_off_undoes_them(
    monkeypatch: pytest.MonkeyPatch, charrnn: CommandLine, trained: Path
) -> None:
    assert OPTIONS["temp"] == OPTIONS["temperature"] == "temperature" and FLAGS["temperature"] == "temp"
    _, err = piped(
        monkeypatch, charrnn, trained, "/top-k 3", "/ban a b", "/temp 0.5:1.5", "/top-k off", "/ban off", "/",
    )  # fmt: skip
    told = [line for line in err.splitlines() if line.startswith("length")]
    assert told == [
        "length 20, temp 0.8, top-k 3",
        "length 20, ban 'a b', temp 0.8, top-k 3",
        "length 20, ban 'a b', temp 0.5:1.5, top-k 3",
        "length 20, ban 'a b', temp 0.5:1.5",
        "length 20, temp 0.5:1.5",
        "length 20, temp 0.5:1.5",
    ]
    assert described(SampleConfig(stop=("a b",))) == "length 500, stop 'a b', temp 0.8"


def test_what_is_of_many_texts_means_nothing_there(charrnn: CommandLine, trained: Path) -> None:
    for option in (["-n", "3"], ["--json"], ["--best", "1"], ["--novel"], ["--html", "x.html"], ["--state-out", "x"]):
        told = charrnn("sample", "--interactive", "-m", "small", "--checkpoints", str(trained), *option)
        assert told.code == 2 and "means nothing beside --interactive" in told.err, option


# ---- keys


def test_keys_keep_and_retry_and_the_rest_is_typed(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "create_output", lambda stdout: DummyOutput())
    written(session.write("The"))
    proposed = session.proposal
    with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
        lines = iter(Prompt(session))
        pipe.send_text("\x12")
        assert next(lines) == "/retry" and session.proposal == proposed
        pipe.send_text("\tand so\r")
        assert next(lines) == "and so"
        assert session.text == "The" + proposed and not session.proposal
        pipe.send_text("\x1b[A\r")  # the line before
        assert next(lines) == "and so"
        pipe.send_text("\r")
        assert next(lines) == ""
        pipe.send_text("\x04")
        assert next(lines, None) is None
