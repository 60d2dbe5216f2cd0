"""charrnn sample --interactive: type, see how it goes on, keep what is good."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charrnn.cli.fields import flags_of, read_value
from charrnn.config import require
from charrnn.config.fields import tuple_of
from charrnn.config.suggest import unknown
from charrnn.console import error, say, write
from charrnn.errors import CharrnnError
from charrnn.generation.config import SampleConfig

if TYPE_CHECKING:
    from charrnn.api.session import Session

HELP = """What you type comes behind the text, and the model goes on from there.
  Tab, /keep       keep what it wrote, and type behind it
  Enter, /more     keep it, and let the model go on
  Ctrl-R, /retry   something else in its place
  any text         your own in its place; //… where that begins with /
  Ctrl-C           stops a text while it comes
  /undo            drop what it wrote; again: what was typed or kept last
  /text, /save F   the text so far, on the screen or into a file
  /temp 0.7        an option of `charrnn sample`, as /top-p 0.9; off undoes it
  /                the options that are on
  Ctrl-D, /quit    the end"""
FIELDS = SampleConfig.__dataclass_fields__
# What options are called behind the slash, and which of its names an option is told by.
OPTIONS = {
    flag.removeprefix("--"): name for name, field in FIELDS.items() for flag in flags_of(field) if flag[:2] == "--"
}
FLAGS = {name: flag for flag, name in reversed(OPTIONS.items())}


def interact(session: "Session", typed: str, *, echo: bool, paint: Any) -> None:
    """Turn by turn until there are no more lines; `typed` is the first. `paint` shades, where that is asked for."""
    turns = Turns(session, echo=echo, paint=paint)
    if typed:
        turns.run(typed)
    else:
        say("type the beginning of a text; /help says what else there is")
    for line in lines(session):
        try:
            if not turns.run(line):
                return
        except CharrnnError as problem:
            error(slashed(str(problem)))
        except OSError as problem:
            error(f"{problem.strerror or problem}: {problem.filename}")


def lines(session: "Session") -> Iterator[str]:
    """What is typed, line by line: on a terminal with keys and a history, else as it comes."""
    if not (sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()):
        for line in sys.stdin or ():
            yield line.removesuffix("\n")
        return
    from charrnn.cli.keys import Prompt

    yield from Prompt(session)


class Turns:
    """One line typed after another."""

    def __init__(self, session: "Session", *, echo: bool, paint: Any) -> None:
        self.session, self.echo, self.paint = session, echo, paint
        self.words = {
            "keep": self.keep, "more": self.more, "retry": self.retry, "undo": self.undo, "text": self.text,
            "save": self.save, "help": self.help, "": self.options,
        }  # fmt: skip

    def run(self, line: str) -> bool:
        """Do what a line asks for; whether it goes on. Raises ConfigError on what nobody understands."""
        if not line.startswith("/") or line.startswith("//"):
            typed = line[1:] if line.startswith("//") else line
            self.show(self.session.write(typed) if typed else self.session.more(), typed)
            return True
        word, _, value = line[1:].partition(" ")
        if word in ("quit", "exit", "q"):
            return False
        if word in self.words:
            self.words[word](value.strip())
        else:
            self.set(word, value.strip())
        return True

    def show(self, chunks: Any, typed: str = "") -> None:
        """What is typed, and how it goes on, as it comes; Ctrl-C stops it there."""
        from charrnn.generation.spans import SpanReader

        reader = SpanReader(self.session.source.tokenizer)
        write(typed if self.echo else "")
        try:
            for chunk in chunks:
                write(self.paint(reader, chunk) if self.paint else chunk.text)
        except KeyboardInterrupt:
            pass
        write("\n")

    def help(self, _: str) -> None:
        """What can be typed."""
        for line in HELP.splitlines():
            say(line)

    def keep(self, _: str) -> None:
        """Keep what was proposed."""
        self.session.keep()

    def more(self, typed: str) -> None:
        """Keep it, and go on."""
        self.show(self.session.more(typed), typed)

    def retry(self, _: str) -> None:
        """Something else in its place."""
        self.show(self.session.again())

    def undo(self, _: str) -> None:
        """Drop what came last."""
        say(f"…{self.session.text[-60:]}" if self.session.undo() else "there is nothing to undo")

    def text(self, _: str) -> None:
        """All of it."""
        write(self.session.text + self.session.proposal + "\n")

    def save(self, file: str) -> None:
        """All of it into a file."""
        require(bool(file), "/save needs a file: /save story.txt")
        text = self.session.text + self.session.proposal
        Path(file).expanduser().write_text(text + "\n" * (not text.endswith("\n")), encoding="utf-8")
        say(f"{len(text):,} characters: {file}")

    def options(self, _: str = "") -> None:
        """What is on."""
        say(described(self.session.config))

    def set(self, word: str, value: str) -> None:
        """An option of sampling by its flag; alone, what it is now."""
        require(word in OPTIONS, unknown("command", f"/{word}", [f"/{one}" for one in (*self.words, *OPTIONS) if one]))
        name = OPTIONS[word]
        if value:
            now = {each: getattr(self.session.config, each) for each in FIELDS}
            self.session.config = SampleConfig.of(**{**now, name: read_value(FIELDS[name], value)})
        self.options()


def described(config: SampleConfig) -> str:
    """The options of a sampling that say something, by their flags."""
    words = []
    for name, field in FIELDS.items():
        value = getattr(config, name)
        if value not in (None, ()) and (value != field.default or name in ("temperature", "length")):
            words.append(f"{FLAGS[name]} {' '.join(value) if tuple_of(field) else value}")
    return ", ".join(words)


def slashed(message: str) -> str:
    """A message with options named as they are typed here."""
    for name, flag in FLAGS.items():
        message = message.replace(f"`{name}`", f"/{flag}")
    return message
