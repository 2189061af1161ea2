"""Limits of one request: how large its body may be, and how long it may take to come."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.types import Message, Receive, Scope

from executor_sdk.cancelling import Alarms, Stop
from executor_sdk.errors import BodyTooLargeError, SaturatedError, TaskError


class BodyStalledError(TaskError):
    """The request body did not come in time. Not a 4xx: the network was slow, and the same task may be sent again."""

    status_code = 503
    code = "BODY_STALLED"


class BodyReader:
    """Reads whole bodies within its limits."""

    __slots__ = ("_alarms", "_max_bytes", "_max_unfinished_bytes", "_unfinished_bytes")

    def __init__(self, *, max_bytes: int, timeout_s: float, max_unfinished_bytes: int) -> None:
        """`max_unfinished_bytes` is for the parts of all bodies together that have not come whole."""
        self._max_bytes: Final = max_bytes
        self._max_unfinished_bytes: Final = max(max_unfinished_bytes, max_bytes)
        self._unfinished_bytes = 0
        self._alarms: Final = Alarms(timeout_s)

    async def read(self, scope: Scope, receive: Receive) -> bytes | None:
        """The whole body; None if the caller hung up before it had come.

        Raises:
            BodyTooLargeError: it is larger than allowed, or says so beforehand.
            BodyStalledError: it took too long.
            SaturatedError: too many others are on their way.
        """
        for name, value in scope["headers"]:
            if name == b"content-length":
                self._check(int(value) if value.isdigit() else 0)
        stall = _Stall()
        self._alarms.set(stall)
        try:
            message = await receive()
            if message["type"] == "http.request" and not message.get("more_body", False):
                body: bytes = message.get("body", b"")
                self._check(len(body))
                return body
            return await self._read_on(message, receive)
        except asyncio.CancelledError:
            if stall.strikes and not stall.from_outside:
                stall.take_back()
                raise BodyStalledError(f"the request body did not come within {self._alarms.after_s:g} s") from None
            raise
        finally:
            self._alarms.clear(stall)

    async def _read_on(self, message: Message, receive: Receive) -> bytes | None:
        """The body whose first part is `message`."""
        chunks: list[bytes] = []
        size = 0
        try:
            while message["type"] != "http.disconnect":
                chunk: bytes = message.get("body", b"")
                size += len(chunk)
                self._unfinished_bytes += len(chunk)
                self._check(size)
                chunks.append(chunk)
                if not message.get("more_body", False):
                    return b"".join(chunks)
                if self._unfinished_bytes > self._max_unfinished_bytes:
                    raise SaturatedError("too many large bodies come in at once; ask again later")
                message = await receive()
        finally:
            self._unfinished_bytes -= size
        return None

    def _check(self, size: int) -> None:
        if size > self._max_bytes:
            raise BodyTooLargeError(f"a request body may have {self._max_bytes} bytes; this one has {size} or more")


class _Stall(Stop):
    """Stops the task that reads a body which does not come."""

    __slots__ = ()

    def ring(self) -> None:
        self.strike()
