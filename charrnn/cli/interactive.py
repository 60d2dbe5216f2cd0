"""charrnn sample --interactive: type, see how it goes on, keep what is good."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any

from charrnn.cli.fields import flags_of, read_value
from charrnn.config import require
from charrnn.config.fields import kinds, tuple_of
from charrnn.config.suggest import nearest
from charrnn.console import answer, error, say, write
from charrnn.errors import CharrnnError, CorpusError
from charrnn.generation.config import SampleConfig, said

if TYPE_CHECKING:
    from charrnn.api.session import Session
    from charrnn.cli.written import Painter
    from charrnn.generation.sequence import TextChunk

HELP = """You type, the model goes on. What it writes is a proposal:
  Enter, /more     keep it, and let the model go on
  Tab, /keep       keep it, and type behind it
  Ctrl-R, /retry   drop it for another one
  any text         drop it for your own text, and let the model go on
  //text           the same, where your text begins with /
  Ctrl-C           stop it where it is
  /undo            drop it; again: what was typed or kept last
  /text            show all that was kept, and the proposal
  /save FILE       write that into a new file
  /temp 0.7        an option of charrnn sample: /top-p 0.9, /length 80, /match ...;
                   the rest of the line is its value, off takes it back
  /                the options that are on
  Ctrl-D, /quit    the end"""
FIELDS = SampleConfig.__dataclass_fields__
# What options are called behind the slash, and which of its names an option is told by.
OPTIONS = {
    flag.removeprefix("--"): name for name, field in FIELDS.items() for flag in flags_of(field) if flag[:2] == "--"
}
FLAGS = {name: flag for flag, name in reversed(OPTIONS.items())}
# So much of the line that goes on is shown again where it does.
SHOWN = 40


def interact(session: "Session", typed: str, *, echo: bool, paint: "Painter | None") -> None:
    """Turn by turn until there are no more lines; `typed` is the first text. `paint` shades, where that is wanted."""
    turns = Turns(session, echo=echo, paint=paint)
    if typed:
        turns.show(lambda: session.write(typed), typed)
    elif _is_terminal():
        say("type the beginning of a text; /help says what else there is")
    for line in lines(session):
        try:
            if not turns.run(line):
                return
        except CharrnnError as problem:
            error(slashed(str(problem)))


def lines(session: "Session") -> Iterator[str]:
    """What is typed, line by line: on a terminal with keys and a history, else as it comes.

    Raises CorpusError on what is no text.
    """
    if not _is_terminal():
        try:
            for line in sys.stdin or ():
                yield line.removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            raise CorpusError("standard input is not UTF-8 text") from None
        return
    from charrnn.cli.keys import Prompt

    yield from Prompt(session)


class Turns:
    """One line typed after another."""

    def __init__(self, session: "Session", *, echo: bool, paint: "Painter | None") -> None:
        self.session, self.echo, self.paint, self.begun = session, echo, paint, session.config
        self.saved: set[Path] = set()
        self.words: dict[str, Callable[[str], None]] = {
            "keep": self.keep, "more": self.more, "retry": self.retry, "undo": self.undo, "text": self.text,
            "save": self.save, "help": self.help, "": self.options,
        }  # fmt: skip

    def run(self, line: str) -> bool:
        """Do what a line asks for; whether it goes on. Raises ConfigError on what nobody understands."""
        if not line.startswith("/") or line.startswith("//"):
            typed = line[1:] if line.startswith("//") else line
            if typed:
                self.show(lambda: self.session.write(typed), typed)
            else:
                self.more()
            return True
        word, _, value = line[1:].partition(" ")
        if word in ("quit", "exit", "q"):
            return False
        if word in self.words:
            self.words[word](value.strip())
        else:
            self.set(word.lower(), value)
        return True

    def show(self, begin: "Callable[[], Iterator[TextChunk]]", typed: str = "") -> None:
        """What is typed, and how it goes on, as it comes; Ctrl-C stops it there."""
        from charrnn.generation.spans import SpanReader

        reader = SpanReader(self.session.source.tokenizer)
        try:
            chunks = begin()
            line = self.session.text.rpartition("\n")[2][-SHOWN:]
            write(typed if self.echo and typed else line if sys.stdout.isatty() and not typed else "")
            for chunk in chunks:
                write(self.paint(reader, chunk) if self.paint else chunk.text)
        except KeyboardInterrupt:
            pass
        write("\n")

    def help(self, _: str) -> None:
        """What can be typed."""
        for line in HELP.splitlines():
            answer(line)

    def keep(self, _: str) -> None:
        """Keep what was proposed."""
        self.session.keep()

    def more(self, _: str = "") -> None:
        """Keep it, and go on."""
        self.show(self.session.more)

    def retry(self, _: str) -> None:
        """Something else in its place."""
        self.show(self.session.again)

    def undo(self, _: str) -> None:
        """Drop what came last."""
        undone, text = self.session.undo(), self.session.text
        tail = f"…{text[-SHOWN:]}" if len(text) > SHOWN else text or "nothing is left"
        answer(tail if undone else "there is nothing to undo")

    def text(self, _: str) -> None:
        """All of it."""
        write(self.session.text + self.session.proposal + "\n")

    def save(self, file: str) -> None:
        """All of it into a new file, or the one that it was saved in before."""
        require(bool(file), "/save needs a file: /save story.txt")
        text = self.session.text + self.session.proposal
        try:
            path = Path(file).expanduser().absolute()
            require(path in self.saved or not path.exists(), f"{file} is there already: name a new file")
            path.write_text(text + "\n" * (not text.endswith("\n")), encoding="utf-8")
        except (OSError, RuntimeError, ValueError) as problem:
            why = getattr(problem, "strerror", None) or problem
            raise CharrnnError(f"{file!r} cannot be written: {why}") from None
        self.saved.add(path)
        answer(f"{len(text):,} characters: {file}")

    def options(self, _: str = "") -> None:
        """What is on."""
        answer(described(self.session.config))

    def set(self, word: str, value: str) -> None:
        """An option of sampling by its flag; alone, what it is now."""
        if word not in OPTIONS:
            near = nearest(word, [*self.words, *OPTIONS, "quit"])
            hint = f"; the nearest is /{near}" if near else ", nor is it an option of a text: /help says what there is"
            raise CharrnnError(f"there is no command /{word}{hint}")
        name = OPTIONS[word]
        if value:
            now = {each: getattr(self.session.config, each) for each in FIELDS}
            now[name] = _off(name, self.begun) if value.strip() == "off" else read_value(FIELDS[name], value)
            self.session.use(SampleConfig.of(**now))
        self.options()


def _off(name: str, begun: SampleConfig) -> Any:
    """An option that is not on: without one, as it was in the beginning."""
    field = FIELDS[name]
    if NoneType in kinds(field):
        return None
    return () if tuple_of(field) else getattr(begun, name)


def described(config: SampleConfig) -> str:
    """The options of a sampling that say something, by their flags."""
    return ", ".join(f"{FLAGS[name]} {value}" for name, value in said(config))


def slashed(message: str) -> str:
    """A message with options named as they are typed here."""
    for name, flag in FLAGS.items():
        message = message.replace(f"`{name}`", f"/{flag}")
    return message


def _is_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()
