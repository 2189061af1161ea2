"""Responses: an outcome as the two messages of an ASGI answer."""

from __future__ import annotations

from starlette.types import Send

from executor_sdk.executions.record import Outcome
from executor_sdk.protocol.canonical import declared_bytes

_CONTENT_TYPE = (b"content-type", b"application/json")


async def respond(send: Send, outcome: Outcome, *extra: tuple[bytes, bytes]) -> None:
    """Send the status, the recorded headers with `extra` ones, and the body."""
    headers = [_CONTENT_TYPE, (b"content-length", b"%d" % len(outcome.body)), *outcome.headers, *extra]
    await send({"type": "http.response.start", "status": outcome.status, "headers": headers})
    await send({"type": "http.response.body", "body": outcome.body})


def plain_error(status: int, code: str, message: str, *headers: tuple[bytes, bytes]) -> Outcome:
    """An error that is about HTTP and not about a task, in the same body shape as all others."""
    error = {"code": code, "message": message, "retryable": status >= 500}
    return Outcome(status, declared_bytes({"error": error}), headers)
