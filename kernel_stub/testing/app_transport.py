"""A transport that reaches ASGI applications by host name, and nothing else: no test leaves the process by accident."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx2


class AppTransport(httpx2.AsyncBaseTransport):
    """Sends each request to the application of its `host:port`; to any other address there is no connection."""

    def __init__(self, apps: Mapping[str, Any]) -> None:
        self._transports = {netloc: httpx2.ASGITransport(app=app) for netloc, app in apps.items()}

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer from the application, or refuse the connection."""
        netloc = request.url.netloc.decode("ascii").rpartition("@")[2]
        transport = self._transports.get(netloc)
        if transport is None:
            raise httpx2.ConnectError(f"no application stands at {netloc}", request=request)
        return await transport.handle_async_request(request)
