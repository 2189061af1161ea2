"""A real server on an ephemeral loopback port, for tests that need sockets."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp

#: Seconds that an application may take to start, and to stop.
START_S: Final = 30.0
STOP_S: Final = 10.0


class NotStartedError(RuntimeError):
    """The application did not start; its log says why."""


@dataclass(frozen=True)
class Served:
    """Where the application is to be found."""

    url: str
    port: int


@contextmanager
def serve(app: ASGIApp, **options: Any) -> Iterator[Served]:
    """Serve `app` with uvicorn in a thread of its own, from when it listens until it has stopped.

    Args:
        app: any ASGI application.
        options: of `uvicorn.Config`, in place of quiet defaults.
    """
    given = {"log_level": "warning", "lifespan": "auto", "timeout_graceful_shutdown": 3, **options}
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = _Server(uvicorn.Config(app, **given))
        thread = threading.Thread(target=server.live, args=(listening,), name="served", daemon=True)
        thread.start()
        try:
            if not server.settled.wait(START_S) or not server.started:
                raise NotStartedError("the application did not start; its log says why")
            port = listening.getsockname()[1]
            yield Served(f"http://127.0.0.1:{port}", port)
        finally:
            server.should_exit = True
            thread.join(STOP_S)


class _Server(uvicorn.Server):
    """A server that tells when it listens, or has given up."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.settled = threading.Event()

    def live(self, listening: socket.socket) -> None:
        """Serve until told to exit; the thread's whole life."""
        try:
            # A startup that fails ends in sys.exit, which means nothing in a thread.
            with suppress(SystemExit):
                self.run(sockets=[listening])
        finally:
            self.settled.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening, and tell."""
        await super().startup(sockets=sockets)
        self.settled.set()
