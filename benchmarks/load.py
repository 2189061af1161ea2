"""A load generator: raw HTTP/1.1 over a few keep-alive connections, cheap enough not to be what is measured."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import cast

import uvloop


@dataclass(frozen=True, slots=True)
class Round:
    """What one round of load brought: answered requests, those with another status than 200, and seconds."""

    answered: int
    failed: int
    seconds: float

    @property
    def per_s(self) -> float:
        """Good answers per second."""
        return (self.answered - self.failed) / self.seconds


class _Connection(asyncio.Protocol):
    """One keep-alive connection: sends the next request as soon as an answer is complete."""

    def __init__(self, requests: Iterator[bytes], until: float, done: asyncio.Future[None]) -> None:
        self._requests = requests
        self._until = until
        self._done = done
        self._buffer = b""
        self.answered = 0
        self.failed = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one without saying so
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = self._buffer[:head_end].lower()
        at = head.index(b"content-length:") + 15
        line_end = head.find(b"\r\n", at)
        total = head_end + 4 + int(head[at : line_end if line_end > 0 else None])
        if len(self._buffer) < total:
            return
        self.answered += 1
        self.failed += not head.startswith(b"http/1.1 200")
        self._buffer = self._buffer[total:]
        self._send()

    def connection_lost(self, error: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(error or ConnectionError("the server closed the connection"))

    def _send(self) -> None:
        if time.perf_counter() < self._until:
            self._transport.write(next(self._requests))
        elif not self._done.done():
            self._done.set_result(None)
            self._transport.close()


def request(path: str, body: bytes) -> bytes:
    """The bytes of one POST."""
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    return f"{head}\r\n\r\n".encode() + body


def drive(port: int, requests: Callable[[], Iterator[bytes]], *, seconds: float, connections: int = 16) -> Round:
    """Load 127.0.0.1:`port` for `seconds` with the requests that one iterator yields to all connections."""

    async def run() -> Round:
        loop = asyncio.get_running_loop()
        source = requests()
        begun = time.perf_counter()
        ends: list[asyncio.Future[None]] = [loop.create_future() for _ in range(connections)]
        pairs = [
            await loop.create_connection(partial(_Connection, source, begun + seconds, end), "127.0.0.1", port)
            for end in ends
        ]
        await asyncio.gather(*ends)
        taken = time.perf_counter() - begun
        return Round(sum(p.answered for _, p in pairs), sum(p.failed for _, p in pairs), taken)

    return uvloop.run(run())
