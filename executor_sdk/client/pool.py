"""One pooled HTTP client, made the way every caller of executors wants it."""

from __future__ import annotations

from typing import Final

import httpx2

#: Connections open at once, and kept open between calls.
MAX_CONNECTIONS: Final = 200
MAX_KEEPALIVE: Final = 100


def pooled_http(transport: httpx2.AsyncBaseTransport | None = None) -> httpx2.AsyncClient:
    """A client to share among many ExecutorClients; close it with `async with` or `aclose()`.

    It knows nothing of the environment (proxies, netrc), follows no redirect and has no timeouts of its own: an
    ExecutorClient bounds each call as a whole.
    """
    return httpx2.AsyncClient(
        transport=transport,
        timeout=None,
        follow_redirects=False,
        trust_env=False,
        limits=httpx2.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_KEEPALIVE),
    )
