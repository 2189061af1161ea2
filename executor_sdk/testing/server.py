"""The life of an application in a test, behind a real server or without one."""

from __future__ import annotations

import re
import threading
from collections.abc import AsyncIterator, Iterator, MutableMapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final

import anyio
from starlette.types import ASGIApp

from executor_sdk.serving.addresses import LOOPBACK, listen, url_of
from executor_sdk.serving.server import Server, configuration

#: Seconds that an application may take to start, and to stop.
START_S: Final = 30.0
STOP_S: Final = 10.0


class NotStartedError(RuntimeError):
    """The application did not start; its log says why."""


@dataclass(frozen=True)
class Served:
    """Where the application is to be found."""

    url: str
    port: int


@contextmanager
def serve(app: ASGIApp, **options: Any) -> Iterator[Served]:
    """Serve `app` with uvicorn in a thread of its own, from when it listens until it has stopped.

    Args:
        app: any ASGI application.
        options: of `serving.server.configuration`: a `door` with other bounds, or what `uvicorn.Config` takes.
    """
    options = {"timeout_graceful_shutdown": 3, **options}
    with listen(LOOPBACK, 0) as listening:
        server = Server(configuration(app, **options))
        thread = threading.Thread(target=server.run, args=([listening],), name="served", daemon=True)
        thread.start()
        try:
            if not server.settled.wait(START_S) or not server.started:
                raise NotStartedError("the application did not start; its log says why")
            yield Served(url_of(listening), listening.getsockname()[1])
        finally:
            server.stop()
            thread.join(STOP_S)


class LifespanError(RuntimeError):
    """The application failed to start or to stop; the message is its own."""


@asynccontextmanager
async def running(app: ASGIApp) -> AsyncIterator[None]:
    """The time between an application's startup and its shutdown."""
    to_app, asked = anyio.create_memory_object_stream[MutableMapping[str, Any]](2)
    answered, from_app = anyio.create_memory_object_stream[MutableMapping[str, Any]](2)

    has_failed = False

    async def tell(message: MutableMapping[str, Any]) -> None:
        nonlocal has_failed
        has_failed = message["type"].endswith(".failed")
        await answered.send(message)

    async def live() -> None:
        try:
            await app({"type": "lifespan", "asgi": {"version": "3.0"}}, asked.receive, tell)
        except Exception:
            # An application may raise what it has told already.
            if not has_failed:
                raise

    # Kept and raised at the end: a task group would wrap it, and a test could not name what it expects.
    error: BaseException | None = None
    with to_app, asked, answered, from_app:
        async with anyio.create_task_group() as group:
            group.start_soon(live)
            try:
                await to_app.send({"type": "lifespan.startup"})
                _check(await from_app.receive())
                yield
            except BaseException as raised:  # noqa: BLE001 - raised again below
                error = raised
            if not isinstance(error, LifespanError):
                with anyio.CancelScope(shield=True):
                    await to_app.send({"type": "lifespan.shutdown"})
                    ended = await from_app.receive()
    if error is not None:
        raise error
    _check(ended)


def _check(message: MutableMapping[str, Any]) -> None:
    if message["type"].endswith(".failed"):
        # Starlette gives the traceback, of which the last line says it.
        told = message.get("message", "").strip()
        error = LifespanError(re.sub(r"^[\w.]+: ", "", told.rpartition("\n")[2]))
        error.add_note(told)
        raise error
