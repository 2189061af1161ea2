"""HTTP/1.1 within bounds: uvicorn's protocol, with limits on what a client may send before it is answered."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.server import ServerState

from executor_sdk.serving.door import LINGER_S, MAX_FIELDS, MAX_LINGERING, MAX_PIPELINED, PIECE_BYTES, Door
from executor_sdk.serving.refusals import FULL, MALFORMED, Refusal, head_too_large, head_too_slow, response_bytes

try:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
except ImportError as error:
    raise ImportError("bounds of HTTP need the package httptools: pip install 'uvicorn[standard]'") from error


class BoundedHttp(HttpToolsProtocol):
    """One connection. It is busy from when a request's head has come until the answer is out; otherwise it is idle.

    Any uvicorn takes it, with the bounds that are its default:

        uvicorn app:executor --http executor_sdk.serving.bounded_http:BoundedHttp

    Args:
        door: shared by all connections of a server, with the bounds; made for the server where none is given.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        door: Door | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._door = door or _door_of(server_state)
        self._idle = self._door.idle
        self._max_head_bytes = self._door.bounds.max_head_bytes
        self._head_timeout_s = self._door.bounds.head_timeout_s
        #: When the client began to owe something: a head, the taking of an answer, or its leave.
        self._since = self.loop.time()
        #: Seconds that it may owe it while the connection is idle.
        self._patience_s = self._head_timeout_s
        self._busy = False
        #: Bytes that came since the last head was complete or the last part of a body came: all of them may be kept.
        self._unread = 0
        self._head_begun = False
        #: Whether what still comes is thrown away.
        self._deaf = False
        self._fault = MALFORMED
        self.headers = []

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Come in through the door."""
        super().connection_made(transport)
        self.transport = cast("asyncio.Transport", _OnePiece(transport, self))
        self.flow = _Flow(self)
        self._door.enter(self, len(self.connections), self.loop)

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave the door's count."""
        self._door.leave(self)
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over; it still counts, and is never idle."""
        self._deaf = True
        self._door.leave(self)
        super().handle_websocket_upgrade()

    def data_received(self, data: bytes) -> None:
        """Parse what came, in pieces that cannot hold much more than is allowed."""
        if len(data) <= PIECE_BYTES:
            self._take(data)
            return
        for at in range(0, len(data), PIECE_BYTES):
            self._take(data[at : at + PIECE_BYTES])

    def _take(self, data: bytes) -> None:
        if self._deaf:
            return
        self._unread += len(data)
        super().data_received(data)
        if (self._unread > self._max_head_bytes or len(self.headers) > MAX_FIELDS) and not self._deaf:
            self._refuse(self._too_large())

    def on_message_begin(self) -> None:
        """A head begins; from now on it has to hurry."""
        if len(self.pipeline) >= MAX_PIPELINED:
            raise _BeyondError
        self._since = self.loop.time()
        self._patience_s = self._head_timeout_s
        self._head_begun = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head has come: the connection is busy."""
        # Other things may have come with the head, so only then is it measured by itself.
        if len(self.headers) > MAX_FIELDS or (self._unread > self._max_head_bytes < self._head_bytes()):
            self._fault = self._too_large()
            raise _BeyondError
        self._unread = 0
        self._head_begun = False
        super().on_headers_complete()
        self._busy = True
        self._idle.pop(self, None)

    def on_body(self, body: bytes) -> None:
        """A part of a body, which the application bounds."""
        self._unread = 0
        super().on_body(body)

    def on_response_complete(self) -> None:
        """An answer is out: it is the next request's turn, or the connection idles."""
        self._since = self.loop.time()
        if self.pipeline:
            super().on_response_complete()
            return
        # Without the timer that uvicorn would set for each request.
        self.server_state.total_requests += 1
        self._busy = False
        if not self._head_begun:
            self._patience_s = self.timeout_keep_alive
        if not self.transport.is_closing():
            self._idle[self] = None
            self.flow.resume_reading()

    def send_400_response(self, msg: str) -> None:
        """What uvicorn calls when the parser gave up, be it by itself or by an error of ours."""
        self._refuse(self._fault)

    def pause_writing(self) -> None:
        """The client takes less than it asked for."""
        self._since = self.loop.time()
        super().pause_writing()

    def look(self, now: float) -> None:
        """End what waits for too long."""
        waited_s = now - self._since
        if self.transport.is_closing() or self.flow.write_paused:
            if waited_s > self._door.bounds.answer_timeout_s:
                self.transport.abort()
        elif self in self._door.lingering:
            if waited_s > LINGER_S:
                self.transport.close()
        elif self in self._idle and waited_s > self._patience_s:
            if self._head_begun:
                self._refuse(head_too_slow(self._head_timeout_s))
            else:
                self.make_room()

    def make_room(self) -> None:
        """Close an idle connection without a word, as keep-alive connections end."""
        self._idle.pop(self, None)
        self._since = self.loop.time()
        self.transport.close()

    def turn_away(self) -> None:
        """Refuse the newcomer for whom there is no room."""
        self._refuse(FULL)

    def _head_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _too_large(self) -> Refusal:
        return head_too_large(self._max_head_bytes, MAX_FIELDS)

    def _refuse(self, refusal: Refusal) -> None:
        """Hear no more; answer unless that would break into another answer, then close."""
        self._deaf = True
        # What is over the bound was kept by the parser's own callbacks.
        del self.headers[MAX_FIELDS:]
        self._since = self.loop.time()
        if self._busy:
            cycle = self.cycle
            if self.pipeline or not cycle.more_body:
                # What came whole is answered first, in order; behind that the connection ends.
                cycle.keep_alive = False
                return
            # The body that is wanted never comes: for the application its client is gone.
            cycle.disconnected = True
            cycle.message_event.set()
            if cycle.response_started:
                self.transport.close()
                return
        self._idle.pop(self, None)
        body = self._door.render(refusal)
        self.transport.write(response_bytes(refusal, body, self.server_state.default_headers))
        self._linger()

    def _linger(self) -> None:
        if len(self._door.lingering) >= MAX_LINGERING or not self.transport.can_write_eof():
            self.transport.close()
            return
        self._door.lingering.add(self)
        self.transport.write_eof()
        self.flow.resume_reading()


class _BeyondError(Exception):
    """Stops the parser; the reason is kept beside it."""


class _OnePiece:
    """The transport of a connection, on which an answer's head waits for its body: both leave in one piece, which
    costs half as much as two, here and on the network."""

    def __init__(self, transport: asyncio.Transport, connection: BoundedHttp) -> None:
        self._transport = transport
        self._connection = connection
        #: Whose head has passed or waits here.
        self._begun: object = None
        self._head = b""
        self._write = transport.write
        self.is_closing = transport.is_closing
        self.abort = transport.abort

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send `data`, unless it is a head whose body is certain to follow."""
        cycle = self._connection.cycle
        if cycle is not self._begun and cycle.response_started:
            self._begun = cycle
            if cycle.expected_content_length and cycle.scope["method"] != "HEAD":
                self._head = data
                return
        if self._head:
            data, self._head = self._head + data, b""
        self._write(data)

    def close(self) -> None:
        """Send what waits, and close."""
        if self._head:
            self._write(self._head)
            self._head = b""
        self._transport.close()


class _Flow(FlowControl):
    """Reading that stays paused while a whole request waits: an application that listens for a hang-up resumes it."""

    def __init__(self, connection: BoundedHttp) -> None:
        super().__init__(connection.transport)
        self._pipeline = connection.pipeline

    def resume_reading(self) -> None:
        """Read on, unless there is a request that has not begun."""
        if not self._pipeline:
            super().resume_reading()


def _door_of(server_state: ServerState) -> Door:
    """The door that this server's connections share: as old as its state."""
    kept = vars(server_state)
    if "door" not in kept:
        kept["door"] = Door()
    door: Door = kept["door"]
    return door
