"""What torch's launcher (torchrun) tells the processes that it starts, in their environment."""

import os
import socket


def launched() -> bool:
    """Whether a launcher started this process, with others or alone."""
    return "TORCHELASTIC_RUN_ID" in os.environ or size() > 1


def size() -> int:
    """How many processes there are."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """Which of them this is: 0, the first, alone writes and talks."""
    return int(os.environ.get("RANK", "0")) if launched() else 0


def local_rank() -> int:
    """Which of those on this machine it is."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def here() -> int:
    """How many of them share this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def attempt() -> int:
    """How often the launcher has begun its processes again."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))


def name() -> str:
    """What tells this launch from others, also when it begins its processes again: its id, or else the launcher."""
    given = os.environ.get("TORCHELASTIC_RUN_ID", "none")
    return given if given != "none" else f"{socket.gethostname()} {os.getppid()}"
