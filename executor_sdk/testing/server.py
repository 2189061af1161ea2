"""A real server on an ephemeral loopback port, for tests that need sockets."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from starlette.types import ASGIApp

from executor_sdk.serving.addresses import LOOPBACK, listen, url_of
from executor_sdk.serving.server import Server, configuration

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
        options: of `serving.server.configuration`: a `door` with other bounds, or what `uvicorn.Config` takes.
    """
    options = {"timeout_graceful_shutdown": 3, **options}
    with listen(LOOPBACK, 0) as listening:
        server = Server(configuration(app, **options))
        thread = threading.Thread(target=server.run, args=([listening],), name="served", daemon=True)
        thread.start()
        try:
            if not server.settled.wait(START_S) or not server.started:
                raise NotStartedError("the application did not start; its log says why")
            yield Served(url_of(listening), listening.getsockname()[1])
        finally:
            server.stop()
            thread.join(STOP_S)
