"""The channel from the process that serves to the one that watches: events up, and the end of both together."""

from __future__ import annotations

import os
import queue
import signal
import socket
import threading
from contextlib import suppress
from typing import Final

import orjson

from executor_sdk.protocol.plain import Json

#: Events that wait to be sent; with more, new ones are left out, because no request may wait for a terminal.
MAX_WAITING: Final = 1_000

#: Seconds in which what waits is sent when the process ends.
FLUSH_S: Final = 1.0


class Channel:
    """The lower end. Where the upper end closes, because its process is gone, this process is told to end."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._waiting: queue.Queue[bytes | None] = queue.Queue(MAX_WAITING)
        self._sender = threading.Thread(target=self._send, name="dev events", daemon=True)
        self._sender.start()
        threading.Thread(target=self._watch, name="dev lifeline", daemon=True).start()

    def tell(self, event: dict[str, Json]) -> None:
        """Send an event, a line of JSON; never waits."""
        try:
            self._waiting.put_nowait(orjson.dumps(event) + b"\n")
        except queue.Full:
            return

    def close(self) -> None:
        """Send what waits, within its time."""
        try:
            self._waiting.put(None, timeout=FLUSH_S)
        except queue.Full:
            return
        self._sender.join(FLUSH_S)

    def _send(self) -> None:
        while (line := self._waiting.get()) is not None:
            try:
                self._connection.sendall(line)
            except OSError:
                return

    def _watch(self) -> None:
        with suppress(OSError):
            self._connection.recv(1)
        os.kill(os.getpid(), signal.SIGTERM)
