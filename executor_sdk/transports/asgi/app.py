"""The ASGI application of an executor: its routes, and what happens when the server starts and stops."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from executor_sdk.dispatcher import Dispatcher
from executor_sdk.executions.plan import Reply
from executor_sdk.executions.presence import Presence
from executor_sdk.executions.record import Work
from executor_sdk.protocol.requests import NEW_WORK_HEADER
from executor_sdk.settings import Settings
from executor_sdk.transports.asgi.limits import BodyReader
from executor_sdk.transports.asgi.routes import Call, Headers, Report, not_found
from executor_sdk.transports.asgi.stalls import stalls_told

_NEW_WORK: Final = (NEW_WORK_HEADER.encode(), b"true")


class Application:
    """The four endpoints, a fifth where agent events are handled, and a lifespan that opens and drains."""

    def __init__(self, dispatcher: Dispatcher, settings: Settings, *, state: AbstractAsyncContextManager[None]) -> None:
        """`state` is opened before anything else, and closed after the last work has ended."""
        self._dispatcher = dispatcher
        self._state = state
        reader = BodyReader(
            max_bytes=settings.max_body_bytes,
            timeout_s=settings.body_timeout_s,
            max_unfinished_bytes=settings.max_unfinished_bytes,
        )
        self._calls = (
            Call(self._execute, reader, dispatcher.answered),
            Call(self._verify, reader, dispatcher.answered),
            Call(self._agent_event, reader, dispatcher.answered),
        )
        self._endpoints: dict[str, ASGIApp] = {
            "/execute": self._calls[0],
            "/verify": self._calls[1],
            "/health": Report(dispatcher.health),
            "/capabilities": Report(dispatcher.capabilities),
        }
        if dispatcher.hears_events:
            self._endpoints["/agent-events"] = self._calls[2]
        self._router = Router(
            routes=[Route(path, endpoint) for path, endpoint in self._endpoints.items()],
            redirect_slashes=False,
            default=not_found,
            lifespan=lambda _: self.lifespan(),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as an ASGI application."""
        # Fixed paths need no search; what is mounted or unusual goes the long way.
        is_plain = scope["type"] == "http" and not scope.get("root_path")
        straight = self._endpoints.get(scope["path"]) if is_plain else None
        await (straight or self._router)(scope, receive, send)

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """From the start of a server to its end; once.

        Raises:
            StartError, LedgerError: the state or the ledger cannot be opened; nothing may be served.
        """
        async with self._state:
            try:
                await self._dispatcher.start()
                with stalls_told():
                    yield
            finally:
                for call in self._calls:
                    await call.flush()
                await self._dispatcher.drain()

    def _execute(self, body: bytes, caller: str, presence: Presence[Work], headers: Headers) -> Awaitable[Reply | None]:
        wants_new_work = _NEW_WORK in headers
        return self._dispatcher.execute(body, caller, presence, wants_new_work=wants_new_work)

    def _verify(self, body: bytes, caller: str, presence: Presence[Work], headers: Headers) -> Awaitable[Reply | None]:
        return self._dispatcher.verify(body, caller, presence)

    def _agent_event(
        self, body: bytes, caller: str, presence: Presence[Work], headers: Headers
    ) -> Awaitable[Reply | None]:
        return self._dispatcher.agent_event(body, caller, presence)
