"""One request and its answer, bounded: what every pool of connections promises, over each library alike."""

from __future__ import annotations

import os
import socket
import ssl
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Final, Self

import orjson

#: Exchanges under way at once.
MAX_CONNECTIONS: Final = 200

#: Why no whole answer came; the same sentences over every library.
ENDED: Final = "the connection ended before the answer did"
UNUSABLE_ADDRESS: Final = "the address cannot be called"

#: Characters of a parser's complaint that are told.
_COMPLAINT: Final = 100

#: Characters of an error answer that kernels keep.
KEPT_CHARACTERS: Final = 512


@dataclass(frozen=True)
class Answer:
    """An HTTP answer, whole."""

    status: int
    reason_phrase: str
    #: To be looked up by lower-case names.
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    @property
    def excerpt(self) -> str:
        """The first 512 characters of the body, trimmed."""
        # A character has at most four bytes; nothing behind these can be among the first 512.
        return self.body[: 4 * KEPT_CHARACTERS].decode("utf-8", "replace").strip()[:KEPT_CHARACTERS]

    @property
    def sentence(self) -> str:
        """What the body says went wrong: code and message of our error body, or the excerpt as it is."""
        code, message = self._told
        return self.excerpt if code is None else f"{code}: {message}"

    @property
    def code(self) -> str | None:
        """The code of our error body, if the body is one."""
        return self._told[0]

    @property
    def after_s(self) -> float | None:
        """Seconds of `Retry-After`, of which only whole seconds and HTTP dates exist; None where it says nothing."""
        text = self.headers.get("retry-after", "").strip()
        if text.isascii() and text.isdecimal() and len(text) < 10:
            return float(text)
        try:
            return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
        except (ValueError, TypeError):
            return None

    @property
    def _told(self) -> tuple[str, str] | tuple[None, None]:
        try:
            error = orjson.loads(self.body)["error"]
            code, message = error["code"], error["message"]
        except (ValueError, LookupError, TypeError):
            return None, None
        return (code, message) if isinstance(code, str) and isinstance(message, str) else (None, None)


class NoAnswerError(Exception):
    """No whole answer came: there is no connection, or it broke, or what came is no HTTP."""

    def __init__(self, sentence: str, *, timed_out: bool = False) -> None:
        super().__init__(sentence)
        self.timed_out = timed_out


class OversizedAnswerError(Exception):
    """The answer is larger than asked for; `answer` holds what was read of it."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"more than {len(answer.body)} bytes")
        self.answer = answer


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

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


async def bounded(
    status: int, reason_phrase: str, headers: Mapping[str, str], chunks: AsyncIterator[bytes], max_bytes: int
) -> Answer:
    """The answer with all of its body.

    Raises:
        OversizedAnswerError: the body has more than `max_bytes`.
    """
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > max_bytes:
            raise OversizedAnswerError(Answer(status, reason_phrase, headers, bytes(body)))
    return Answer(status, reason_phrase, headers, bytes(body))


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
    """The error and its causes, from each attribute in which libraries keep one."""
    if error is None:
        return
    yield error
    grouped = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    for cause in (getattr(error, "os_error", None), *grouped, error.__cause__ or error.__context__):
        yield from _causes(cause)
