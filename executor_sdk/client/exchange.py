"""One request and its answer, bounded: what every pool of connections promises, whichever library carries it."""

from __future__ import annotations

import os
import socket
import ssl
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator, Mapping
from types import TracebackType
from typing import Final, Self

from executor_sdk.client.answer import Answer

#: Exchanges under way at once.
MAX_CONNECTIONS: Final = 200

#: Why no whole answer came; the same sentences over every library.
ENDED: Final = "the connection ended before the answer did"
UNUSABLE_ADDRESS: Final = "the address cannot be called"

#: Characters of a parser's complaint that are told.
_COMPLAINT: Final = 100


class Pool(ABC):
    """Connections for everything that ExecutorClients call.

    A pool knows nothing of the environment (proxies, netrc), keeps no cookies, follows no redirect, decompresses
    nothing, adds no header but `host` and `content-length`, and has no timeouts of its own.
    """

    @abstractmethod
    async def exchange(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None, *, max_bytes: int
    ) -> Answer:
        """Send one request, read its answer; bound it in time by cancelling.

        Raises:
            NoAnswerError: no whole answer came.
            OversizedAnswerError: its body is larger than `max_bytes`.
        """

    @abstractmethod
    async def aclose(self) -> None:
        """Close all connections."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


async def up_to(max_bytes: int, chunks: AsyncIterator[bytes]) -> bytes:
    """All bytes, or the first of them: at least one more than `max_bytes`."""
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > max_bytes:
            break
    return bytes(body)


def no_http(complaint: str) -> str:
    """The sentence for bytes that are no HTTP."""
    return f"the answer is no HTTP: {complaint.partition(chr(10))[0][:_COMPLAINT]}"


def no_connection(error: BaseException) -> str:
    """The sentence for a connection that could not be made: the operating system's reason, where there is one."""
    causes = list(_causes(error))
    for cause in reversed(causes):  # the deepest first: what wraps it knows less
        if isinstance(cause, ssl.SSLError):
            return f"no encrypted connection: {getattr(cause, 'reason', None) or cause}"
        if isinstance(cause, socket.gaierror):
            return f"no connection: {cause.strerror}"
    codes = (cause.errno for cause in causes if isinstance(cause, OSError) and cause.errno)
    code = next(codes, None)
    return str(error) or type(error).__name__ if code is None else f"no connection: {os.strerror(code)}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it came from, in whichever way the libraries keep that."""
    if error is None:
        return
    yield error
    grouped = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    for cause in (getattr(error, "os_error", None), *grouped, error.__cause__ or error.__context__):
        yield from _causes(cause)
