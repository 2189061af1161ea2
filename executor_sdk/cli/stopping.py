"""A server that stops when it is told to: with exit code 0, and without work that will not let go of the process."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from typing import Final

import uvicorn

#: Seconds for which a stopped server waits for what goes on although it was cancelled.
LEAVE_S: Final = 2.0

logger = logging.getLogger(__name__)


class Server(uvicorn.Server):
    """Serves until SIGTERM or SIGINT, and lets its callers and its work end first."""

    _guard: threading.Timer | None = None

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve; returns when all has ended, or ends the process when something will not."""
        before = set(threading.enumerate())
        if threading.current_thread() is threading.main_thread():
            # uvicorn raises the signal again once it has stopped; by default that would be an exit code of -15.
            signal.signal(signal.SIGTERM, lambda *_: None)
        try:
            super().run(sockets)
        except (KeyboardInterrupt, SystemExit):
            # The signal again, or a start that failed: whoever called sees it in `started`.
            pass
        finally:
            if self._guard is not None:
                self._guard.cancel()
        _wait_for({thread for thread in threading.enumerate() if not thread.daemon} - before)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop as uvicorn does. A task that swallows its cancellation would keep the loop from closing for ever."""
        await super().shutdown(sockets)
        self._guard = threading.Timer(LEAVE_S, _leave)
        self._guard.daemon = True
        self._guard.start()


def _wait_for(threads: set[threading.Thread]) -> None:
    """Let abandoned threads of handlers end; the interpreter would wait for them without a bound."""
    for thread in threads:
        thread.join(LEAVE_S / len(threads))
    if any(thread.is_alive() for thread in threads):
        _leave()


def _leave() -> None:
    logger.warning("a handler goes on although it was told to stop; the process ends without it")
    logging.shutdown()
    sys.stdout.flush()
    os._exit(0)
