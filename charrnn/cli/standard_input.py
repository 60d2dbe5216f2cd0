"""Standard input where no text is named: what is piped in is the text, and what merely stands there is not.

A command that names no text may be run by a person, from cron, within a loop, by another program. What its standard
input is tells them apart, and nothing of it is read to find out:

    terminal, closed, /dev/null, an empty pipe or file      there is no text
    pipe or socket on which something has come              it is the text
    file that nobody has read from                          it is the text
    file that somebody has read from (a loop its list)      refused: it may be anybody's
    pipe or socket on which nothing comes, nor ends         refused after some seconds: neither guessed nor waited for
"""

import io
import os
import select
import stat
import sys

from charrnn.config import require
from charrnn.console import say, warn

SECONDS_UNTIL_SAID = 1.0
SECONDS_WAITED = 10.0
CHOICE = "name one, write - for what comes there, or add < /dev/null to go without"


def or_standard_input(texts: list[str] | None) -> list[str]:
    """The texts that are named; else standard input, where one was piped in; else none.

    Raises ConfigError when nobody can say whether it is meant.
    """
    if texts or not holds_text():
        return texts or []
    say("no text is named: standard input is read")
    return ["-"]


def holds_text() -> bool:
    """Whether standard input is a pipe or a file with something in it. Raises ConfigError where that is not known."""
    try:
        descriptor = sys.stdin.fileno()
        mode = os.fstat(descriptor).st_mode
    except (AttributeError, OSError, ValueError):  # None or closed, or no file at all, as in a notebook
        return False
    if stat.S_ISREG(mode):
        return _unread(descriptor)
    return (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)) and _has_come(descriptor)


def _unread(file: int) -> bool:
    at, size = os.lseek(file, 0, io.SEEK_CUR), os.fstat(file).st_size
    require(at == 0 or at >= size, f"no text is named, and part of standard input has been read already: {CHOICE}")
    return size > at


def _has_come(pipe: int) -> bool:
    """Whether there is something to read, rather than the end, once there is either."""
    if not select.select([pipe], [], [], SECONDS_UNTIL_SAID)[0]:
        warn("no text is named: waiting for one on standard input")
        come, _, _ = select.select([pipe], [], [], SECONDS_WAITED)
        require(bool(come), f"no text is named, and nothing comes on standard input: {CHOICE}")
    import fcntl
    import termios

    waiting = fcntl.ioctl(pipe, termios.FIONREAD, bytes(4))
    return any(waiting)
