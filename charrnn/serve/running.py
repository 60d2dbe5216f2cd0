"""The process: a socket, uvicorn, and signals. What is being written when it is asked to end is finished first."""

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import Iterator
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from charrnn.serve.limits import Limits

# Seconds that texts under way have to come to their ends.
GRACE = 30
KEEP_ALIVE = 15
BACKLOG = 2048


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(BACKLOG)  # whoever comes before the first answer waits
    except BaseException:
        made.close()
        raise
    return made


def address(listening: socket.socket) -> str:
    """Where that is: http://127.0.0.1:8000"""
    host, port, *_ = listening.getsockname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run(app: Any, listening: socket.socket, limits: Limits) -> None:
    """Answer until a signal comes, or `SIGTERM`, and then what is under way; a second Ctrl-C does not wait."""
    config = uvicorn.Config(
        app, http=_protocol(limits.patience), ws="none", log_config=None, access_log=False, server_header=False,
        proxy_headers=False, limit_concurrency=limits.connections, timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=GRACE, lifespan="on",
    )  # fmt: skip
    _Server(config).run(sockets=[listening])


class _Server(uvicorn.Server):  # type: ignore[misc, unused-ignore]
    """One that has done what a signal asked for when it has ended: the signal is not raised again."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {one: signal.signal(one, self.handle_exit) for one in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)


def _protocol(patience: int) -> type[asyncio.Protocol]:
    """HTTP of those whose request's head has come within so many seconds; uvicorn itself waits for ever."""

    class Patient(H11Protocol):  # type: ignore[misc, unused-ignore]
        _until: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._wait()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.conn.their_state is h11.IDLE and self.conn.our_state is h11.IDLE:
                self._wait()
            else:
                self._forget()

        def connection_lost(self, exc: Exception | None) -> None:
            self._forget()
            super().connection_lost(exc)

        def _wait(self) -> None:
            if self._until is None:
                self._until = self.loop.call_later(patience, self.transport.close)

        def _forget(self) -> None:
            if self._until is not None:
                self._until.cancel()
                self._until = None

    return Patient
