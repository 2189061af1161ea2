"""The process that serves an application until its source changes: `python -m` this, started by `executor dev`."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
import traceback
from typing import Final

from starlette.types import ASGIApp

from executor_sdk.asking.loading import AppError, load_app
from executor_sdk.cli.applications import application
from executor_sdk.cli.command import CommandError
from executor_sdk.cli.developing.breakage import Breakage, Unserved, breakage_of
from executor_sdk.cli.developing.channel import Channel
from executor_sdk.cli.developing.traffic import Traffic
from executor_sdk.executor import Executor
from executor_sdk.options.environment import APP_VARIABLE
from executor_sdk.serving.door import Bounds, Door
from executor_sdk.serving.server import Server, configuration
from executor_sdk.settings import Settings

#: Seconds for which callers are waited for when the source has changed; then they are told to ask again.
STOP_S: Final = 2

#: Lines that raise, of which it is remembered that their tracebacks were shown.
_TRACEBACKS: Final = 100


class TracebackOnce(logging.Filter):
    """Shows a traceback once for each line that raises: all agents of a run, and their attempts, fail alike."""

    def __init__(self) -> None:
        super().__init__()
        self._shown: set[tuple[type[BaseException], str, int]] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass; a traceback that was shown before is left out of it."""
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            last = traceback.extract_tb(error.__traceback__)[-1:]
            where = (type(error), last[0].filename if last else "", (last[0].lineno or 0) if last else 0)
            if where in self._shown:
                record.msg, record.args = f"{record.getMessage()}: the traceback is shown above", ()
                record.exc_info = record.exc_text = None
            elif len(self._shown) < _TRACEBACKS:
                self._shown.add(where)
        return True


class _NotLoadedError(Exception):
    """The application cannot be loaded."""

    def __init__(self, breakage: Breakage) -> None:
        super().__init__(breakage.sentence)
        self.breakage = breakage


def main(listening_fd: int, channel_fd: int, ended: str = "") -> None:
    """Serve the application that the environment names, or 503 where it cannot be served, until SIGTERM.

    With `ended`, the last such process ended by itself in that way: nothing is loaded, and 503 is all that is served.
    """
    # Ctrl-C reaches the whole group; the process that watches ends this one in its own order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    channel = Channel(socket.socket(fileno=channel_fd))
    with socket.socket(fileno=listening_fd) as listening:
        breakage = Breakage(ended, kind="its process ended") if ended else _serve(listening, channel)
        if breakage is not None:
            channel.tell(breakage.event())
            unserved = Traffic(Unserved(breakage), channel.tell)
            Server(configuration(unserved, lifespan="off", timeout_graceful_shutdown=STOP_S)).run([listening])
    channel.close()


def _serve(listening: socket.socket, channel: Channel) -> Breakage | None:
    """Serve the application to its end; what is wrong where that never began."""
    try:
        app, bounds = _loaded()
    except _NotLoadedError as error:
        return error.breakage
    traffic = Traffic(app, channel.tell)
    server = Server(configuration(traffic, Door(bounds), timeout_graceful_shutdown=STOP_S))
    threading.Thread(target=_announce, args=(server, channel), name="announcement", daemon=True).start()
    server.run([listening])
    if server.started or traffic.start_failure is None:
        # Told to stop, if that was while it started.
        return None
    return Breakage(traffic.start_failure or "the application did not start; its log says why", kind="no start")


def _loaded() -> tuple[ASGIApp, Bounds]:
    name = os.environ[APP_VARIABLE]
    try:
        app = load_app(name)
        served = application()
        for handler in logging.getLogger().handlers:
            handler.addFilter(TracebackOnce())
        settings = Settings.from_environment(os.environ, otherwise=app.settings if isinstance(app, Executor) else None)
    except AppError as error:
        found = breakage_of(error.__cause__ or error)
        # Without a place in the author's source, the loader's own sentence says more.
        raise _NotLoadedError(found if found.file else Breakage(str(error), kind=found.kind)) from None
    except CommandError as error:
        raise _NotLoadedError(Breakage(str(error), kind="an option")) from None
    return served, Bounds(settings.max_connections, settings.max_head_bytes, settings.head_timeout_s)


def _announce(server: Server, channel: Channel) -> None:
    server.settled.wait()
    if server.started:
        channel.tell({"event": "ready"})


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
