"""The pool by httpx2, unless `executor-sdk[kernel]` has brought the faster one by aiohttp."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final, TypeAlias

import anyio
import httpx2

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

#: How httpx2 begins its sentence when a peer hangs up; it has no error class of its own for that.
_HUNG_UP: Final = ("Server disconnected", "peer closed connection")


class Httpx2Pool(Pool):
    """Sends through a client that is given, or through one of its own with `transport`.

    Its own keeps no connection between calls: what a broken server sends beyond its answer would stay in the parser,
    and be taken for the answer to the next call.
    """

    def __init__(
        self,
        client: httpx2.AsyncClient | None = None,
        *,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._client = client
        self._transport = transport

    async def exchange(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None, *, max_bytes: int
    ) -> Answer:
        """See `Pool`."""
        try:
            # Not `client.build_request`: that adds the client's own headers, cookies and timeouts.
            request = httpx2.Request(method, url, headers=dict(headers), content=content)
            response = await self._opened().send(request, stream=True, follow_redirects=False)
            try:
                return await bounded(
                    response.status_code, response.reason_phrase, response.headers, response.aiter_raw(), max_bytes
                )
            finally:
                # A cancelled call closes its connection too; the pool does it without awaiting the peer.
                with anyio.CancelScope(shield=True):
                    await response.aclose()
        except (httpx2.TransportError, httpx2.InvalidURL, ValueError) as error:
            timed_out = isinstance(error, httpx2.TimeoutException)
            raise NoAnswerError(_sentence(error), timed_out=timed_out) from None

    async def aclose(self) -> None:
        """Close all connections."""
        if self._client is not None:
            await self._client.aclose()

    def _opened(self) -> httpx2.AsyncClient:
        if self._client is None:
            self._client = httpx2.AsyncClient(
                transport=self._transport,
                timeout=None,
                trust_env=False,
                limits=httpx2.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=0),
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
                # The certificates that aiohttp takes. Reading them is slow, and a transport needs none.
                verify=ssl.create_default_context() if self._transport is None else True,
            )
        return self._client


def _sentence(error: Exception) -> str:
    match error:
        case httpx2.ConnectError() | httpx2.TimeoutException():
            return no_connection(error)
        case httpx2.RemoteProtocolError() if not str(error).startswith(_HUNG_UP):
            return no_http(str(error))
        case httpx2.InvalidURL() | httpx2.UnsupportedProtocol() | httpx2.LocalProtocolError() | ValueError():
            return UNUSABLE_ADDRESS
        case _:  # disconnected, reset, or a body that ended early
            return ENDED


#: What an ExecutorClient can be given to send its calls with.
Http: TypeAlias = Pool | httpx2.AsyncClient


def pooled_http(transport: httpx2.AsyncBaseTransport | None = None) -> Pool:
    """A pool to share among many ExecutorClients; close it with `async with` or `aclose()`.

    With a `transport`, all calls go through that.
    """
    if transport is not None:
        return Httpx2Pool(transport=transport)
    try:
        from executor_sdk.client.aiohttp_pool import AiohttpPool
    except ModuleNotFoundError as error:
        if error.name != "aiohttp":
            raise
        return Httpx2Pool()
    return AiohttpPool()
