"""The ASGI application of an executor: its routes, and what happens when the server starts and stops."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from starlette.routing import Route, Router

from executor_sdk.dispatcher import Dispatcher
from executor_sdk.settings import Settings
from executor_sdk.transports.asgi.limits import BodyReader
from executor_sdk.transports.asgi.routes import Call, Report, not_found


def build(
    dispatcher: Dispatcher, settings: Settings, *, stopped: Callable[[], Awaitable[None]] | None = None
) -> Router:
    """An application that also works mounted inside another one, whose lifespan never reaches it.

    `stopped` is called after the last work has ended.
    """

    @asynccontextmanager
    async def lifespan(app: object) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await dispatcher.drain()
            if stopped is not None:
                await stopped()

    reader = BodyReader(max_bytes=settings.max_body_bytes, timeout_s=settings.body_timeout_s)
    return Router(
        # The router asks one route after another, so the busiest stand first.
        routes=[
            Route("/execute", Call(dispatcher.execute, reader, dispatcher.answered)),
            Route("/verify", Call(dispatcher.verify, reader, dispatcher.answered)),
            Route("/health", Report(dispatcher.health)),
            Route("/capabilities", Report(dispatcher.capabilities)),
        ],
        redirect_slashes=False,
        default=not_found,
        lifespan=lifespan,
    )
