"""Peers on loopback that answer as a test says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import anyio
from anyio.abc import SocketAttribute, SocketStream

#: Given the bytes of a request, answers them over the stream, or does not.
Script = Callable[[bytes, SocketStream], Awaitable[None]]


@asynccontextmanager
async def peer(script: Script) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A TCP peer that reads one request a connection; its URL, and the requests that it got."""
    got: list[bytes] = []

    async def serve(stream: SocketStream) -> None:
        async with stream:
            # A client that hangs up is what some tests are about.
            with suppress(anyio.BrokenResourceError, anyio.EndOfStream):
                await one_exchange(stream)

    async def one_exchange(stream: SocketStream) -> None:
        request = await whole_request(stream)
        got.append(request)
        await script(request, stream)

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, serve)
        yield f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}", got  # noqa: S610 - not Django
        group.cancel_scope.cancel()


def answering(status: str, body: bytes = b"", *headers: str) -> Script:
    """A script that answers every request alike."""

    async def script(request: bytes, stream: SocketStream) -> None:
        head = "\r\n".join([f"HTTP/1.1 {status}", f"content-length: {len(body)}", "connection: close", *headers])
        await stream.send(head.encode() + b"\r\n\r\n" + body)

    return script


async def whole_request(stream: SocketStream) -> bytes:
    """Head and body of one request."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += await stream.receive()
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    while lengths and len(body) < int(lengths[0].partition(b":")[2]):
        body += await stream.receive()
    return head + b"\r\n\r\n" + body
