"""One writer for one folder: a lock that lasts as long as its process, and that no crash leaves behind.

The operating system holds it on an open file and lets go when the process ends, however it ends. The file that a crash
leaves behind holds nobody up.
"""

import contextlib
import errno
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from charrnn.errors import RunError

NAME = ".lock"
# What a system says when somebody else has the lock; anything else means that the file system knows no locks.
TAKEN = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)


class Lock:
    """A folder that this process alone writes to, until `release`, the end of the `with`, or its own end."""

    def __init__(self, folder: Path) -> None:
        """Raises RunError at once where another writer has the folder, or none can write to it."""
        self.path = folder / NAME
        self._file: int | None = None
        try:
            while not self._open():
                pass
        except OSError as error:
            raise RunError(f"{folder} cannot be written to: {error.strerror}") from None

    def _open(self) -> bool:
        """Open and lock the file; False where it was removed in between, by the writer before."""
        file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _take(file)
            if not self.path.exists() or not os.path.samestat(os.fstat(file), os.stat(self.path)):
                os.close(file)
                return False
        except OSError as error:
            if error.errno in TAKEN:
                os.close(file)
                raise RunError(
                    f"the run {self.path.parent.name} is being trained at this moment, by another process or another "
                    "training of this one: wait for its end, or stop it"
                ) from None
        self._file = file
        return True

    def release(self) -> None:
        """Let others write; once more does nothing."""
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):  # Windows removes no file that is open
                self.path.unlink()
            os.close(file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError, OSError):
            self.release()


class HeldElsewhere(Lock):
    """That of a folder which the first of several processes has locked: the others write nothing there."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._file = None


def locked(folder: Path) -> bool:
    """Whether somebody writes to the folder at this moment."""
    if not (folder / NAME).exists():
        return False
    try:
        Lock(folder).release()
    except RunError:
        return True
    return False


def _take(file: int) -> None:
    """Lock the file for this process, or raise the OSError that says why not."""
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
