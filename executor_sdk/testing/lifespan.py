"""Starting and stopping an ASGI application without a server."""

from __future__ import annotations

from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
from starlette.types import ASGIApp


class LifespanError(RuntimeError):
    """The application failed to start or to stop; the message is its own."""


@asynccontextmanager
async def running(app: ASGIApp) -> AsyncIterator[None]:
    """The time between an application's startup and its shutdown."""
    to_app, asked = anyio.create_memory_object_stream[MutableMapping[str, Any]](2)
    answered, from_app = anyio.create_memory_object_stream[MutableMapping[str, Any]](2)

    async def live() -> None:
        await app({"type": "lifespan", "asgi": {"version": "3.0"}}, asked.receive, answered.send)

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
                    _check(await from_app.receive())
    if error is not None:
        raise error


def _check(message: MutableMapping[str, Any]) -> None:
    if message["type"].endswith(".failed"):
        raise LifespanError(message.get("message", ""))
