"""The ASGI application of an executor: its routes, and what happens when the server starts and stops."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from executor_sdk.dispatcher import Dispatcher
from executor_sdk.settings import Settings
from executor_sdk.transports.asgi.limits import BodyReader
from executor_sdk.transports.asgi.routes import Call, Report, not_found


def build(
    dispatcher: Dispatcher,
    settings: Settings,
    *,
    started: Callable[[], Awaitable[object]] | None = None,
    stopped: Callable[[], Awaitable[None]] | None = None,
) -> ASGIApp:
    """An application that also works mounted inside another one, whose lifespan never reaches it.

    `started` is called before the first request, and what it raises keeps the server from starting; `stopped` is
    called after the last work has ended.
    """

    @asynccontextmanager
    async def lifespan(app: object) -> AsyncIterator[None]:
        try:
            if started is not None:
                await started()
            yield
        finally:
            await dispatcher.drain()
            if stopped is not None:
                await stopped()

    reader = BodyReader(max_bytes=settings.max_body_bytes, timeout_s=settings.body_timeout_s)
    endpoints: dict[str, ASGIApp] = {
        "/execute": Call(dispatcher.execute, reader, dispatcher.answered),
        "/verify": Call(dispatcher.verify, reader, dispatcher.answered),
        "/health": Report(dispatcher.health),
        "/capabilities": Report(dispatcher.capabilities),
    }
    router = Router(
        routes=[Route(path, endpoint) for path, endpoint in endpoints.items()],
        redirect_slashes=False,
        default=not_found,
        lifespan=lifespan,
    )

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        # Four fixed paths need no search; what is mounted or unusual goes the long way.
        straight = endpoints.get(scope["path"]) if scope["type"] == "http" and not scope.get("root_path") else None
        await (straight or router)(scope, receive, send)

    return application
