"""Refusals: what a server answers by itself, before there is a request that an application could answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, TypeAlias

from executor_sdk.protocol.canonical import declared_bytes


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error of the connection and not of a task; `retry_after_s` only where another try may help."""

    status: HTTPStatus
    code: str
    message: str
    retry_after_s: int | None = None


#: How a house writes an error body.
Render: TypeAlias = Callable[[Refusal], bytes]

MALFORMED: Final = Refusal(HTTPStatus.BAD_REQUEST, "MALFORMED_HTTP", "this is not a valid HTTP/1.1 request")
FULL: Final = Refusal(
    HTTPStatus.SERVICE_UNAVAILABLE, "TOO_MANY_CONNECTIONS", "every connection is busy; ask again later", 1
)


def head_too_large(max_bytes: int, max_fields: int) -> Refusal:
    """The head, or the trailer, of a request is beyond its bounds."""
    message = f"a request head may have {max_bytes} bytes and {max_fields} header fields; this one has more"
    return Refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "HEAD_TOO_LARGE", message)


def head_too_slow(timeout_s: float) -> Refusal:
    """The head of a request did not come in time."""
    message = f"the request head did not come within {timeout_s:g} s"
    return Refusal(HTTPStatus.REQUEST_TIMEOUT, "HEAD_TIMEOUT", message)


def executor_body(refusal: Refusal) -> bytes:
    """The error body of an executor; the status is the retry rule, as in all others."""
    error = {"code": refusal.code, "message": refusal.message, "retryable": refusal.status >= 500}
    return declared_bytes({"error": error})


def response_bytes(refusal: Refusal, body: bytes, headers: Iterable[tuple[bytes, bytes]] = ()) -> bytes:
    """The whole response, after which the connection is closed."""
    fields = [
        *headers,
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
    ]
    if refusal.retry_after_s is not None:
        fields.append((b"retry-after", b"%d" % refusal.retry_after_s))
    head = [f"HTTP/1.1 {refusal.status.value} {refusal.status.phrase}".encode(), *(b": ".join(f) for f in fields)]
    return b"\r\n".join((*head, b"", body))
