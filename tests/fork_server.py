"""`charrnn` as a program for shells that starts at once: a process that has loaded torch forks for each call.

Importing torch takes far longer than what a recipe asks of a small model.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CLIENT = """#!{python} -IS
import json, os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
socket.send_fds(server, [json.dumps([os.getcwd(), *sys.argv[1:]]).encode()], [0, 1, 2])
sys.exit(server.recv(1)[0])
"""


@contextmanager
def forking(program: Path) -> Iterator[None]:
    """Within it, `program` is the command line."""
    with tempfile.TemporaryDirectory() as folder:  # the address of a socket must be short
        address = f"{folder}/s"
        line = [sys.executable, "-m", "tests.fork_server", address]
        root, one_thread = Path(__file__).parents[1], {**os.environ, "OMP_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"}
        with subprocess.Popen(line, cwd=root, env=one_thread, stdout=subprocess.PIPE) as server:
            assert server.stdout is not None and server.stdout.readline() == b"ready\n"
            program.write_text(CLIENT.format(python=sys.executable, address=address))
            program.chmod(0o755)
            yield
            server.kill()


def serve(address: str) -> None:
    import charrnn.api
    import charrnn.cli.app
    import charrnn.scoring.adaptation
    import charrnn.scoring.score  # noqa: F401
    from charrnn import machine

    machine.cores = lambda: 1  # tests run beside each other
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the copies
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(address)
    listening.listen()
    print("ready", flush=True)
    while True:
        caller, _ = listening.accept()
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
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(number, mode) for number, mode in enumerate("rww"))
    code = run(arguments)
    sys.stdout.flush()
    caller.sendall(bytes([code]))
    os._exit(0)


if __name__ == "__main__":
    serve(sys.argv[1])
