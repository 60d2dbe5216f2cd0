"""Files that are replaced whole or not at all."""

import contextlib
import os
import tempfile
from pathlib import Path

from charrnn.errors import CheckpointError


def write_atomically(path: Path, data: bytes) -> None:
    """A temporary file beside `path`, fsync, rename: what stood there survives any failure.

    Raises CheckpointError when the disk is full or the folder cannot be written.
    """
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = file.name
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        before = "; the file that stood there is unharmed" if path.exists() else ""
        raise CheckpointError(f"{path} cannot be written: {error.strerror or error}{before}") from None
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make a renaming last. Some systems and file systems cannot; the file itself is safe already."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
