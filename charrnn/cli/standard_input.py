"""Standard input where no text is named: what is piped in is the text, and what merely stands there is not.

A command that names no text may be run by a person, from cron, within a loop, by another program. What its standard
input is tells them apart, and nothing of it is read to find out:

    terminal, closed, /dev/null                             there is no text
    pipe or socket on which something has come              it is the text
    pipe, socket or file that is empty                      refused, for its writer may have failed; an empty text to a
                                                            command that has no other
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
EMPTY = "no text is named, and standard input is empty"
CHOICE = "name one, write - for what comes there, or add < /dev/null to go without"


def or_standard_input(texts: list[str] | None, *, empty: bool = False) -> list[str]:
    """The texts that are named; else standard input, where one was piped in; else none.

    `empty`: a pipe or file with nothing in it is an empty text, for a command that has no other of its own.
    Raises ConfigError when nobody can say whether it is meant.
    """
    if texts or not holds_text(empty=empty):
        return texts or []
    say("no text is named: standard input is read")
    return ["-"]


def warn_unread(advice: str) -> None:
    """For a command that reads standard input when it is asked to: say so, where something waits there already."""
    descriptor = _descriptor()
    if descriptor is not None and _is_pipe(descriptor) and _waiting(descriptor):
        warn(f"standard input is not read: {advice}")


def holds_text(*, empty: bool = False) -> bool:
    """Whether standard input is a pipe or a file with something in it; with `empty`, with nothing, too.

    Raises ConfigError where nobody can know what is meant.
    """
    descriptor = _descriptor()
    if descriptor is None:
        return False
    if _is_pipe(descriptor):
        _wait(descriptor)
        require(empty or _waiting(descriptor), f"{EMPTY}: {CHOICE}")
        return True
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        return False
    at, size = os.lseek(descriptor, 0, io.SEEK_CUR), os.fstat(descriptor).st_size
    require(empty or size > 0, f"{EMPTY}: {CHOICE}")
    require(at == 0 or at >= size, f"no text is named, and part of standard input has been read already: {CHOICE}")
    return size > at or (empty and size == 0)


def _descriptor() -> int | None:
    """Standard input's, unless it is closed or no file at all, as in a notebook."""
    try:
        descriptor = sys.stdin.fileno()
        os.fstat(descriptor)
    except (AttributeError, OSError, ValueError):
        return None
    return descriptor


def _is_pipe(descriptor: int) -> bool:
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _wait(pipe: int) -> None:
    """Until there is something to read or the end."""
    if not select.select([pipe], [], [], SECONDS_UNTIL_SAID)[0]:
        warn("no text is named: waiting for one on standard input")
        come, _, _ = select.select([pipe], [], [], SECONDS_WAITED)
        require(bool(come), f"no text is named, and nothing comes on standard input: {CHOICE}")


def _waiting(pipe: int) -> bool:
    """Whether something can be read at once, which the end is not."""
    import fcntl
    import termios

    return any(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))
