"""Processes that start at once, forked from one that has loaded torch; `charrnn` as a program for shells among them.

Importing torch takes a second, far longer than what tests ask of a small model.
"""

import json
import multiprocessing
import os
import resource
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, NoReturn

FORKING = multiprocessing.get_context("forkserver")
FORKING.set_forkserver_preload(
    ["charrnn.api", "charrnn.cli.app", "charrnn.scoring.adaptation", "charrnn.scoring.score", "charrnn.training.run"]
)
CLIENT = """#!{python} -IS
import json, os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
socket.send_fds(server, [json.dumps([os.getcwd(), *sys.argv[1:]]).encode()], [0, 1, 2])
sys.exit(server.recv(1)[0])
"""


def forked(work: Callable[..., Any], *arguments: Any) -> ForkServerProcess:
    """Start a process that does some work, on one thread."""
    process = FORKING.Process(target=on_one_thread, args=(work, *arguments))
    process.start()
    return process


def on_one_thread(work: Callable[..., Any], *arguments: Any) -> None:
    """What a process does: tests run beside each other."""
    import torch

    from charrnn import machine

    machine.cores = lambda: 1
    torch.set_num_threads(1)
    work(*arguments)


def told_to_files(out: Path, err: Path, environment: dict[str, str], *arguments: str) -> NoReturn:
    """One command line whose words go to files; the process ends with its exit code."""
    from charrnn.cli.app import run

    os.environ.update(environment)
    for number, file in ((1, out), (2, err)):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), number)
    sys.exit(run(list(arguments)))


def on_a_full_disk(*told: Any) -> NoReturn:
    """The same where no file can have more than 4096 bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    told_to_files(*told)


@contextmanager
def forking(program: Path) -> Iterator[None]:
    """Within it, `program` is the command line."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{folder}/s")  # the address of a socket must be short
        listening.listen()
        server = forked(serve, listening)
        program.write_text(CLIENT.format(python=sys.executable, address=f"{folder}/s"))
        program.chmod(0o755)
        yield
        server.kill()
        server.join()


def serve(listening: socket.socket) -> None:
    while True:
        caller, _ = listening.accept()
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                """The copies that have answered."""
        if not os.fork():
            answer(caller)
        caller.close()


def answer(caller: socket.socket) -> None:
    """One call, with the folder and the standard streams of the caller, who gets the exit code."""
    from charrnn.cli.app import run

    asked, streams, _, _ = socket.recv_fds(caller, 1 << 16, 3)
    folder, *arguments = json.loads(asked)
    os.chdir(folder)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(number, mode, encoding="utf-8") for number, mode in enumerate("rww"))
    code = run(arguments)
    sys.stdout.flush()
    caller.sendall(bytes([code]))
    os._exit(0)
