"""Pools of connections to executors, to share among many clients."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import TracebackType
from typing import Final, Self, TypeAlias, overload

import anyio
import httpx2

from executor_sdk.client import http11
from executor_sdk.client.answer import Answer, NoAnswerError, OversizedAnswerError

#: Heads of calls that a pool keeps.
_KNOWN_HEADS: Final = 256


class Pool:
    """Connections for everything that ExecutorClients call: plain http by `http11`, the rest by httpx2."""

    def __init__(self) -> None:
        self._plain = http11.Connections()
        #: The same few calls are made again and again: an executor's address and headers stay what they are.
        self._head_of = lru_cache(_KNOWN_HEADS)(http11.head_of)
        #: Made by the first call that needs it: loading certificates takes longer than many calls.
        self._other: httpx2.AsyncClient | None = None

    async def exchange(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None, *, max_bytes: int
    ) -> Answer:
        """Send one request, read its answer; bound it in time by cancelling.

        Raises:
            NoAnswerError: no whole answer came.
            OversizedAnswerError: its body is larger than `max_bytes`.
        """
        if (head := self._head_of(method, url, tuple(headers.items()))) is not None:
            return await self._plain.exchange(head, content, max_bytes=max_bytes)
        if self._other is None:
            self._other = _httpx2_client(None)
        return await exchange_by_httpx2(self._other, method, url, headers, content, max_bytes=max_bytes)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._plain.aclose()
        if self._other is not None:
            await self._other.aclose()

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
            return await _bounded(response, max_bytes)
        finally:
            # A cancelled call closes its connection too; the pool does it without awaiting the peer.
            with anyio.CancelScope(shield=True):
                await response.aclose()
    except (httpx2.TransportError, httpx2.InvalidURL) as error:
        timed_out = isinstance(error, httpx2.TimeoutException)
        raise NoAnswerError(str(error) or type(error).__name__, timed_out=timed_out) from None


async def _bounded(response: httpx2.Response, max_bytes: int) -> Answer:
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > max_bytes:
            break
    answer = Answer(response.status_code, response.reason_phrase, response.headers, bytes(body))
    if len(body) > max_bytes:
        raise OversizedAnswerError(answer)
    return answer


def _httpx2_client(transport: httpx2.AsyncBaseTransport | None) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        transport=transport,
        timeout=None,
        follow_redirects=False,
        trust_env=False,
        limits=httpx2.Limits(max_connections=http11.MAX_CONNECTIONS, max_keepalive_connections=http11.MAX_KEEPALIVE),
    )
