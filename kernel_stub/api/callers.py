"""Who may call an API that asks nobody's name: not a web page that somebody looks at on the same machine."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from kernel_stub.api.envelope import failure

#: Names of this machine that no other machine can take, the last one from inside its containers.
LOOPBACK_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "[::1]", "host.docker.internal"})


class Callers:
    """Lets calls through but those of foreign web pages.

    A browser sends a page's `Origin` with its calls, and the name that the page's address had as `Host`: a page that
    calls across, and one whose own name was made to point here, both show themselves. `hosts` are the names that this
    API is reached by; without it any will do.
    """

    def __init__(self, app: ASGIApp, *, hosts: Collection[str] | None = None) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on, or refuse it with 403."""
        if scope["type"] == "http" and (refusal := self._refusal(Headers(scope=scope))) is not None:
            await failure(403, refusal, "FOREIGN_CALLER")(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refusal(self, headers: Headers) -> str | None:
        host, origin = headers.get("host", ""), headers.get("origin")
        if origin is not None and origin not in {f"http://{host}", f"https://{host}"}:
            return "this API is not for web pages of other origins"
        if self._hosts is not None and _name_of(host) not in self._hosts:
            return "this API listens on loopback, and is not called by that host name"
        return None


def _name_of(host: str) -> str:
    """`Host` without its port; IPv6 addresses keep their brackets."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdecimal() else host).lower()
