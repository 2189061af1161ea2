"""Pools of connections to executors, to share among many clients."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from io import BytesIO
from types import TracebackType
from typing import Final, Self, TypeAlias, overload

import aiohttp
import anyio
import httpx2

from executor_sdk.client.answer import Answer, NoAnswerError, OversizedAnswerError

#: Exchanges under way at once, and connections kept open between them.
MAX_CONNECTIONS: Final = 200
MAX_KEEPALIVE: Final = 100

#: An idle connection is not used again after this long: uvicorn closes its own after five seconds.
IDLE_S: Final = 4.0

#: Above this a body is handed to aiohttp as a file, which it sends piece by piece.
LARGE_BYTES: Final = 2**20

#: Characters of a parser's complaint that are told.
_SENTENCE: Final = 100


class Pool:
    """Connections for everything that ExecutorClients call."""

    def __init__(self, *, idle_s: float = IDLE_S) -> None:
        self._idle_s = idle_s
        #: Made by the first call: aiohttp ties a session to the loop that runs then.
        self._session: aiohttp.ClientSession | None = None

    async def exchange(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None, *, max_bytes: int
    ) -> Answer:
        """Send one request, read its answer; bound it in time by cancelling.

        Raises:
            NoAnswerError: no whole answer came.
            OversizedAnswerError: its body is larger than `max_bytes`.
        """
        data = BytesIO(content) if content is not None and len(content) > LARGE_BYTES else content
        request = self._opened().request(method, url, headers=headers, data=data, allow_redirects=False)
        try:
            # Leaving the block before the body was read whole closes the connection.
            async with request as response:
                return await _bounded(response, max_bytes)
        except (aiohttp.ClientError, ValueError, OSError) as error:
            raise NoAnswerError(_sentence(error), timed_out=isinstance(error, TimeoutError)) from None

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

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


#: What an ExecutorClient can be given to send its calls with.
Http: TypeAlias = Pool | httpx2.AsyncClient


@overload
def pooled_http(transport: None = None) -> Pool: ...


@overload
def pooled_http(transport: httpx2.AsyncBaseTransport) -> httpx2.AsyncClient: ...


def pooled_http(transport: httpx2.AsyncBaseTransport | None = None) -> Http:
    """A pool to share among many ExecutorClients; close it with `async with` or `aclose()`.

    It knows nothing of the environment (proxies, netrc), follows no redirect and has no timeouts of its own: an
    ExecutorClient bounds each call as a whole. With a `transport`, all calls go through that.
    """
    return Pool() if transport is None else _httpx2_client(transport)


async def exchange_by_httpx2(
    http: httpx2.AsyncClient,
    method: str,
    url: str,
    headers: Mapping[str, str],
    content: bytes | None,
    *,
    max_bytes: int,
) -> Answer:
    """The same as `Pool.exchange`, by an httpx2 client."""
    try:
        request = http.build_request(method, url, content=content, headers=dict(headers))
        response = await http.send(request, stream=True)
        try:
            return await _bounded_of_httpx2(response, max_bytes)
        finally:
            # A cancelled call closes its connection too; the pool does it without awaiting the peer.
            with anyio.CancelScope(shield=True):
                await response.aclose()
    except (httpx2.TransportError, httpx2.InvalidURL) as error:
        timed_out = isinstance(error, httpx2.TimeoutException)
        raise NoAnswerError(str(error) or type(error).__name__, timed_out=timed_out) from None


async def _bounded(response: aiohttp.ClientResponse, max_bytes: int) -> Answer:
    body = await _up_to(max_bytes, response.content.iter_any())
    answer = Answer(response.status, response.reason or "", response.headers, body)
    if len(body) > max_bytes:
        response.close()
        raise OversizedAnswerError(answer)
    return answer


async def _bounded_of_httpx2(response: httpx2.Response, max_bytes: int) -> Answer:
    body = await _up_to(max_bytes, response.aiter_raw())
    answer = Answer(response.status_code, response.reason_phrase, response.headers, body)
    if len(body) > max_bytes:
        raise OversizedAnswerError(answer)
    return answer


async def _up_to(max_bytes: int, chunks: AsyncIterator[bytes]) -> bytes:
    """All bytes, or the first of them: at least one more than `max_bytes`."""
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > max_bytes:
            break
    return bytes(body)


def _httpx2_client(transport: httpx2.AsyncBaseTransport | None) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        transport=transport,
        timeout=None,
        follow_redirects=False,
        trust_env=False,
        limits=httpx2.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_KEEPALIVE),
    )


def _sentence(error: Exception) -> str:
    if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientPayloadError):
        return "the connection ended before the answer did"
    if isinstance(error, aiohttp.ClientResponseError):
        # Its own text begins with a status that nobody answered.
        return f"the answer is no HTTP: {error.message.partition(chr(10))[0][:_SENTENCE]}"
    return str(error) or type(error).__name__
