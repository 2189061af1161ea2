"""HTTP/1.1 to plain http addresses over pooled connections, at a fifth of what a client for everything costs a call.

It sends GET and POST with whole bodies and knows no proxies, redirects, cookies or encodings. What it does not know is
left to httpx2 (see `head_of`).
"""

from __future__ import annotations

import re
import select
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import anyio
import httptools
from anyio.abc import SocketAttribute, SocketStream

from executor_sdk.client.answer import Answer, NoAnswerError, OversizedAnswerError

#: Exchanges under way at once, and connections kept open between them.
MAX_CONNECTIONS: Final = 200
MAX_KEEPALIVE: Final = 100

#: An idle connection is not used again after this long: uvicorn closes its own after five seconds.
_IDLE_S: Final = 4.0

#: Bytes that an answer may have beside its body: status line, headers, trailers.
_MAX_HEAD_BYTES: Final = 65_536

#: Bytes of framing that a byte of body may cost: chunks of one byte have five.
_FRAMING: Final = 8

#: Nothing here needs escaping, a name in another script, or dot segments removed.
_PLAIN_URL: Final = re.compile(r"http://(?!.*/\.)[A-Za-z0-9\-._~:/?\[\]!$&'()*+,;=%]+")
_PLAIN_NAME: Final = re.compile(r"(?!(?:host|connection|content-length|transfer-encoding)$)[a-z0-9-]+", re.IGNORECASE)
_PLAIN_VALUE: Final = re.compile(r"[\t -~]*")


@dataclass(frozen=True, slots=True)
class Head:
    """Where a call goes, and what it begins with, up to the length of its body."""

    origin: tuple[str, int]
    lines: bytes = field(repr=False)


def head_of(method: str, url: str, headers: tuple[tuple[str, str], ...]) -> Head | None:
    """The head of a call that can be made here; None for any other."""
    plain = all(_PLAIN_NAME.fullmatch(name) and _PLAIN_VALUE.fullmatch(value) for name, value in headers)
    if method not in {"GET", "POST"} or _PLAIN_URL.fullmatch(url) is None or not plain:
        return None
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [f"{method} {target} HTTP/1.1", f"host: {parts.netloc}", *(f"{name}: {value}" for name, value in headers)]
    origin = (parts.hostname or "", 80 if parts.port is None else parts.port)
    return Head(origin, "\r\n".join([*lines, ""]).encode("ascii"))


class Connections:
    """A pool of connections to any number of servers, each used by one exchange at a time."""

    def __init__(self) -> None:
        self._slots = anyio.Semaphore(MAX_CONNECTIONS, fast_acquire=True)
        #: The one that was used last stands last.
        self._idle: list[_Idle] = []
        self._closed = False

    async def exchange(self, head: Head, content: bytes | None, *, max_bytes: int) -> Answer:
        """Send one request and read its answer. Cancelling it closes the connection.

        Raises:
            NoAnswerError: no whole answer came.
            OversizedAnswerError: its body is larger than `max_bytes`.
        """
        request = head.lines + (
            b"\r\n" if content is None else b"content-length: %d\r\n\r\n%b" % (len(content), content)
        )
        async with self._slots:
            connection = await self._reused(head.origin) or await _connected(head.origin)
            try:
                answer = await connection.exchange(request, max_bytes)
            except BaseException:
                await connection.close()
                raise
            await self._keep(_Idle(head.origin, connection, time.monotonic() + _IDLE_S))
        return answer

    async def aclose(self) -> None:
        """Close what is idle, and each other connection once its exchange ends."""
        self._closed = True
        while self._idle:
            await self._idle.pop().connection.close()

    async def _reused(self, origin: tuple[str, int]) -> _Connection | None:
        """An idle connection that its server has neither closed nor said anything on."""
        while (idle := self._popped(origin)) is not None:
            if idle.until > time.monotonic() and idle.connection.is_quiet():
                return idle.connection
            await idle.connection.close()
        return None

    def _popped(self, origin: tuple[str, int]) -> _Idle | None:
        for n in reversed(range(len(self._idle))):
            if self._idle[n].origin == origin:
                return self._idle.pop(n)
        return None

    async def _keep(self, idle: _Idle) -> None:
        self._idle.append(idle)
        if self._closed or not idle.connection.reusable:
            await self._idle.pop().connection.close()
        # The oldest stands first, to whichever server it goes.
        while self._idle and (len(self._idle) > MAX_KEEPALIVE or self._idle[0].until < time.monotonic()):
            await self._idle.pop(0).connection.close()


@dataclass(frozen=True, slots=True)
class _Idle:
    """A connection that waits for its next exchange, at most until a time of the monotonic clock."""

    origin: tuple[str, int]
    connection: _Connection
    until: float


class _Connection:
    """One connection; the parser calls its `on_…` methods with the parts of an answer."""

    def __init__(self, stream: SocketStream) -> None:
        self._stream = stream
        self._socket = stream.extra(SocketAttribute.raw_socket)  # noqa: S610 - not Django
        self._parser = httptools.HttpResponseParser(self)
        self._answer: Answer | None = None
        #: Whether another exchange may follow.
        self.reusable = False
        self.on_message_begin()

    async def exchange(self, request: bytes, max_bytes: int) -> Answer:
        """Send the request, read the answer."""
        self._answer, self.reusable = None, False
        # A server may refuse before it has read everything: what it said is still there to be read.
        with suppress(anyio.BrokenResourceError):
            await self._stream.send(request)
        taken = 0
        while True:
            data = await self._receive()
            taken += len(data)
            answer = self._fed(data) if data else self._ended()
            body = self._body if answer is None else answer.body
            if len(body) > max_bytes:
                raise OversizedAnswerError(answer or self._so_far())
            if answer is not None:
                return answer
            if taken - len(body) > _MAX_HEAD_BYTES + _FRAMING * len(body):
                raise NoAnswerError("an answer of headers without end")

    def is_quiet(self) -> bool:
        """Whether nothing is to be read, neither bytes nor the end."""
        if self._socket.fileno() < 0:
            return False
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return not poll.poll(0)

    async def close(self) -> None:
        """Close at once, without waiting for the server."""
        await anyio.aclose_forcefully(self._stream)

    def on_message_begin(self) -> None:
        """A new answer; one that was not asked for spoils the connection."""
        self.reusable = False
        self._reason = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._body = bytearray()
        #: Whether the answer ends with the connection.
        self._open_ended = False

    def on_status(self, part: bytes) -> None:
        """Another part of the reason phrase."""
        self._reason += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Everything before the body is there."""
        sized = {name.lower() for name, _ in self._headers} & {b"content-length", b"transfer-encoding"}
        self._open_ended = not sized and self._parser.get_status_code() >= 200

    def on_body(self, part: bytes) -> None:
        """Another part of the body."""
        self._body += part

    def on_message_complete(self) -> None:
        """The answer is whole, unless it only announced another."""
        if self._answer is None and self._parser.get_status_code() >= 200:
            self._answer = self._so_far()
            self.reusable = self._parser.should_keep_alive()

    async def _receive(self) -> bytes:
        try:
            return await self._stream.receive()
        except anyio.EndOfStream:
            return b""
        except anyio.BrokenResourceError as error:
            raise NoAnswerError(f"the connection broke: {error.__cause__ or 'no reason given'}") from None

    def _fed(self, data: bytes) -> Answer | None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.reusable = False
            # Behind a whole answer anything may stand; it is nobody's.
            if self._answer is None:
                raise NoAnswerError(f"the answer is no HTTP: {error}") from None
        return self._answer

    def _ended(self) -> Answer:
        if not self._open_ended:
            raise NoAnswerError("the connection ended before the answer did")
        return self._so_far()

    def _so_far(self) -> Answer:
        return Answer(
            self._parser.get_status_code(),
            self._reason.decode("ascii", "replace"),
            {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in self._headers},
            bytes(self._body),
        )


async def _connected(origin: tuple[str, int]) -> _Connection:
    try:
        return _Connection(await anyio.connect_tcp(*origin))
    except (OSError, UnicodeError) as error:
        # A host name may be longer than any resolver takes: that is a UnicodeError.
        raise NoAnswerError(str(error)) from None
