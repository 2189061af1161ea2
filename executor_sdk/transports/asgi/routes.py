"""The endpoints: plain ASGI objects, because building Request and Response objects costs a third of the throughput."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final, Protocol, TypeAlias

from starlette.types import Receive, Scope, Send

from executor_sdk.cancelling import Alarms
from executor_sdk.errors import BodyTooLargeError, DrainingError, ExecutorError, SaturatedError
from executor_sdk.executions.outcomes import failed
from executor_sdk.executions.plan import How, Reply
from executor_sdk.executions.presence import Presence
from executor_sdk.executions.record import Outcome, Work
from executor_sdk.transports.asgi.disconnects import WATCH_AFTER_S, Watch
from executor_sdk.transports.asgi.hearing import Heard, Hearing, connection_of
from executor_sdk.transports.asgi.limits import BodyReader, BodyStalledError
from executor_sdk.transports.asgi.responses import plain_error, respond

logger = logging.getLogger(__name__)

Headers: TypeAlias = Sequence[tuple[bytes, bytes]]

_CLOSE: Final = (b"connection", b"close")
_HOW: Final[dict[How, tuple[tuple[bytes, bytes], ...]]] = {
    How.OPENED: (),
    How.JOINED: ((b"executor-joined", b"true"),),
    How.REPLAYED: ((b"executor-replayed", b"true"),),
}
#: Nobody reads it. But middlewares of hosts take a request that ends without any answer for a crash.
_GONE: Final = plain_error(503, "CALLER_GONE", "The caller hung up; the same call again joins the work.")
_CRASHED: Final = plain_error(500, "INTERNAL_ERROR", "The executor itself failed; its log has the traceback.")


class Dispatch(Protocol):
    """What answers the body of a call, for a caller that is present."""

    def __call__(
        self, body: bytes, caller: str, presence: Presence[Work], headers: Headers, /
    ) -> Awaitable[Reply | None]:
        """The reply, or None if the caller went away."""


class Call:
    """An endpoint that takes a body: `POST /execute`, `POST /verify` and `POST /agent-events`."""

    def __init__(self, dispatch: Dispatch, reader: BodyReader, heard: Heard) -> None:
        """`dispatch` answers bodies, `reader` brings them whole, `heard` is told whose replies were heard."""
        self._dispatch = dispatch
        self._reader = reader
        self._heard = heard
        self._hearing = Hearing(heard)
        self._watches = Alarms(WATCH_AFTER_S)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["method"] != "POST":
            await respond(send, _not_allowed(scope, "POST"))
            return
        try:
            await self._answer(scope, receive, send)
        except (BodyTooLargeError, BodyStalledError, SaturatedError) as error:
            # Part of the body may still be on its way; only a new connection is clean.
            await respond(send, failed(error), _CLOSE)
        except asyncio.CancelledError:
            # A stopping server waits for its callers only so long. They hear it from us, unless they heard already.
            with suppress(RuntimeError):
                await respond(send, failed(DrainingError()), _CLOSE)
            raise

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await self._reader.read(scope, receive)
        if body is None:
            await _say_to_nobody(send)
            return
        watch = Watch(receive, self._watches)
        try:
            asked = self._dispatch(body, scope.get("executor.caller", ""), watch.presence, scope["headers"])
            # While it waits, a copy holds no body.
            del body
            reply = await asked
            if reply is None or watch.presence.gone:
                await _say_to_nobody(send)
            elif reply.key is None:
                await respond(send, reply.outcome)
            elif (connection := connection_of(receive)) is not None:
                await respond(send, reply.outcome, *_HOW[reply.how])
                self._hearing.sent(reply.key, connection)
            elif not await watch.hung_up():
                await respond(send, reply.outcome, *_HOW[reply.how])
                await self._heard([reply.key])
            else:
                await _say_to_nobody(send)
        finally:
            watch.stop()

    async def flush(self) -> None:
        """The server stops: tell which of the last replies were heard."""
        await self._hearing.flush()


class Report:
    """An endpoint that only tells: `GET /health` and `GET /capabilities`."""

    def __init__(self, report: Callable[[], Awaitable[Outcome]]) -> None:
        self._report = report

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; a HEAD is a GET whose body the server leaves out."""
        if scope["method"] not in {"GET", "HEAD"}:
            await respond(send, _not_allowed(scope, "GET, HEAD"))
            return
        try:
            outcome = await self._report()
        except ExecutorError as error:
            outcome = failed(error)
        except Exception:
            logger.exception("report failed", extra={"path": scope["path"]})
            outcome = _CRASHED
        await respond(send, outcome)


async def not_found(scope: Scope, receive: Receive, send: Send) -> None:
    """The answer to every other path."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1000, "reason": "not found"})
        return
    message = f"nothing is at {scope['path'][:100]}; there are /health, /capabilities, /execute and /verify"
    await respond(send, plain_error(404, "NOT_FOUND", message))


async def _say_to_nobody(send: Send) -> None:
    with suppress(OSError):  # what a server may raise where the connection is closed
        await respond(send, _GONE, _CLOSE)


def _not_allowed(scope: Scope, allowed: str) -> Outcome:
    message = f"{scope['path'][:100]} takes {allowed}, not {scope['method'][:20]}"
    return plain_error(405, "METHOD_NOT_ALLOWED", message, (b"allow", allowed.encode()))
