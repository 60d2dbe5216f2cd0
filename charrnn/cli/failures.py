"""Failures of libraries that a user can do something about, as one line: memory that is short, a library missing."""

import sys

if sys.platform != "win32":
    import resource

# The last are oneDNN's and the loader's words for it.
MEMORY_WORDS = ("alloc", "out of memory", "pthread_create", "could not create a primitive", "failed to map segment")


def told(problem: BaseException) -> str | None:
    """What is said of it; None where it is a fault of charrnn's own, whose traceback is worth reading."""
    words, limit = str(problem) or type(problem).__name__, _limit()
    short = isinstance(problem, MemoryError) or any(word in words.lower() for word in MEMORY_WORDS)
    # Short of memory, imports also end in errors that say nothing.
    if short or (limit and isinstance(problem, ImportError | SystemError)):
        way = (
            f"memory is limited to {limit} (ulimit -v)" if limit else "close other programs, or choose a smaller model"
        )
        return f"there is not enough memory ({words}): {way}"
    return f"a library cannot be loaded: {words}" if isinstance(problem, ImportError) else None


def _limit() -> str | None:
    """The limit of this process's memory, where there is one."""
    if sys.platform == "win32":
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if limit == resource.RLIM_INFINITY else f"{limit // 2**20:,} MiB"
