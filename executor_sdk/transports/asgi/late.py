"""The late start: an application that no lifespan reaches, because it is mounted, starts with its first request."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextvars import Context
from typing import Final, TypeAlias

from starlette.types import Receive, Scope, Send

from executor_sdk.errors import ExecutorError, StartError
from executor_sdk.executions.outcomes import answered, failed
from executor_sdk.executions.record import Outcome
from executor_sdk.transports.asgi.app import Application
from executor_sdk.transports.asgi.responses import respond
from executor_sdk.transports.asgi.routes import not_found

logger = logging.getLogger(__name__)

_CLOSE: Final = (b"connection", b"close")

_Start: TypeAlias = "asyncio.Future[Application | ExecutorError]"


class LateStart:
    """Answers the requests that come before an application has started, and starts it with the first of them.

    Nobody tells the application when the server stops. Callers that the server waits for are answered. Work that nobody
    waits for is lost: when the event loop ends, it is cut, and the state is closed after it; and some servers end the
    process before that, as uvicorn does at SIGTERM.
    """

    def __init__(self, name: str, make: Callable[[], Application]) -> None:
        """`name` tells the log which one, `make` makes a fresh application for each try to start."""
        self._name = name
        self._make = make
        self._start: _Start | None = None
        self._life: asyncio.Task[None] | None = None
        self._has_warned = False
        #: The application, from its start to its end.
        self.app: Application | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the application, or with 503 where it cannot start; the next request tries again."""
        if scope["type"] != "http":
            await not_found(scope, receive, send)
            return
        if self._start is None:
            self._warn()
            self._start = asyncio.get_running_loop().create_future()
            # Not in the context of this request, which ends long before: its trace would go on in the state.
            self._life = asyncio.get_running_loop().create_task(self._live(self._start), context=Context())
        # Shielded: others wait for the same start.
        started = await asyncio.shield(self._start)
        if isinstance(started, ExecutorError):
            await respond(send, _told(started, scope["path"]), _CLOSE)
            return
        await started(scope, receive, send)

    async def _live(self, start: _Start) -> None:
        try:
            app = self._make()
            async with app.lifespan():
                self.app = app
                start.set_result(app)
                await _end_of_loop()
        except Exception as error:
            logger.exception("%s cannot start; its next request tries again", self._name)
            if not start.done():
                start.set_result(error if isinstance(error, ExecutorError) else StartError())
        finally:
            start.cancel()
            self.app = self._start = None

    def _warn(self) -> None:
        if not self._has_warned:
            self._has_warned = True
            logger.warning(
                "%s starts with its first request, because it was not told of the server's start. So it will not be "
                "told of the stop either: work that nobody waits for will be lost, and its state may stay open. Write "
                "Starlette(lifespan=executor.lifespan) for the application around it",
                self._name,
            )


def _told(error: ExecutorError, path: str) -> Outcome:
    if path.endswith("/health"):
        return answered({"status": "unhealthy", "message": error.message}, status=503)
    return failed(error)


async def _end_of_loop() -> None:
    try:
        await asyncio.get_running_loop().create_future()
    except asyncio.CancelledError:
        # What is closed now may wait for things itself.
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in one
        task.uncancel()
