"""The pool by aiohttp, for the busiest calls; importing this file needs the extra `executor-sdk[kernel]`."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Final

import aiohttp

from executor_sdk.client.exchange import (
    ENDED,
    MAX_CONNECTIONS,
    UNUSABLE_ADDRESS,
    Answer,
    NoAnswerError,
    Pool,
    bounded,
    no_connection,
    no_http,
)

#: An idle connection is not used again after this long: uvicorn closes its own after five seconds.
IDLE_S: Final = 4.0

#: Above this a body is handed to aiohttp as a file, which it sends piece by piece.
LARGE_BYTES: Final = 2**20


class AiohttpPool(Pool):
    """More than twice the rate of `Httpx2Pool` in benchmarks/kernel_steps.py."""

    def __init__(self, *, idle_s: float = IDLE_S) -> None:
        self._idle_s = idle_s
        #: Made by the first call: aiohttp ties a session to the loop that runs then.
        self._session: aiohttp.ClientSession | None = None

    async def exchange(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None, *, max_bytes: int
    ) -> Answer:
        """See `Pool`."""
        data = BytesIO(content) if content is not None and len(content) > LARGE_BYTES else content
        request = self._opened().request(method, url, headers=headers, data=data, allow_redirects=False)
        try:
            # Leaving the block before the body was read whole closes the connection.
            async with request as response:
                return await bounded(
                    response.status, response.reason or "", response.headers, response.content.iter_any(), max_bytes
                )
        except (aiohttp.ClientError, ValueError, OSError) as error:
            raise NoAnswerError(_sentence(error), timed_out=isinstance(error, TimeoutError)) from None

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS, keepalive_timeout=self._idle_s),
                timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=("user-agent", "accept", "accept-encoding", "content-type"),
            )
        return self._session


def _sentence(error: Exception) -> str:
    match error:
        case aiohttp.ClientConnectorError() | aiohttp.ClientSSLError():
            return no_connection(error)
        case aiohttp.ClientResponseError():
            # Its own text begins with a status that nobody answered.
            return no_http(error.message)
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError() | ValueError():
            return UNUSABLE_ADDRESS
        case _:  # disconnected, reset, or a body that ended early
            return ENDED
