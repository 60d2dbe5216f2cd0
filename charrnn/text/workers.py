"""Tasks done side by side by processes of their own, which load neither torch nor the program that asks.

They speak lines of JSON. (multiprocessing would run the program's main module again, which may be anybody's script.)
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

from charrnn import errors
from charrnn.errors import CharrnnError, CorpusError

# A process takes up to 150 MB.
MOST_PROCESSES = 4
# A task's name, and what it is given.
Task = tuple[str, Mapping[str, Any]]

_MAIN = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from charrnn.text.tasks import main; main()"


@contextmanager
def side_by_side(tasks: Sequence[Task], processes: int) -> Iterator[Iterator[Any]]:
    """What each task says, in their order, by at most so many processes; they are gone behind it.

    Asked for what a task says, it raises what the task raised, CorpusError where its process has died.
    """
    workers = [_begun() for _ in range(min(processes, len(tasks), MOST_PROCESSES))]
    idle: SimpleQueue[subprocess.Popen[bytes]] = SimpleQueue()
    for worker in workers:
        idle.put(worker)

    def told(task: Task) -> Any:
        worker = idle.get()
        try:
            return _asked(worker, task)
        finally:
            idle.put(worker)

    pool = ThreadPoolExecutor(max(1, len(workers)))
    try:
        futures = [pool.submit(told, task) for task in tasks]
        yield (future.result() for future in futures)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for worker in workers:
            worker.kill()
        pool.shutdown()
        for worker in workers:
            worker.communicate()


def _begun() -> "subprocess.Popen[bytes]":
    # NumPy's own threads would only take memory.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    line = [sys.executable, "-c", _MAIN, json.dumps(sys.path)]
    # A session of its own: Ctrl-C is for the program, which ends this process.
    return subprocess.Popen(
        line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, start_new_session=True
    )


def _asked(worker: "subprocess.Popen[bytes]", task: Task) -> Any:
    assert worker.stdin is not None and worker.stdout is not None
    try:
        worker.stdin.write(json.dumps(task).encode() + b"\n")
        worker.stdin.flush()
        answer = json.loads(worker.stdout.readline())
    except (OSError, ValueError) as problem:
        raise CorpusError("a process that reads the text has died: had it too little memory?") from problem
    if "raised" in answer:
        raise getattr(errors, answer["raised"])(answer["words"])
    return answer["said"]


def serve(tasks: Mapping[str, Callable[..., Any]]) -> None:
    """Do what is asked on standard input, until that ends."""
    for line in sys.stdin.buffer:
        name, given = json.loads(line)
        try:
            answer = {"said": tasks[name](**given)}
        except CharrnnError as problem:
            answer = {"raised": type(problem).__name__, "words": str(problem)}
        try:
            os.write(1, json.dumps(answer).encode() + b"\n")
        except BrokenPipeError:  # whoever asked was killed
            return
