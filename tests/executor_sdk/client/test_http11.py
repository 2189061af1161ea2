"""Our own HTTP/1.1: connections are kept while they are good, and whatever comes is an answer or none."""

from __future__ import annotations

import select
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from executor_sdk.client import http11
from executor_sdk.client.answer import NoAnswerError, OversizedAnswerError
from executor_sdk.client.pool import Pool
from tests.executor_sdk.client.peers import answering, peer, whole_request

pytestmark = pytest.mark.anyio

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


async def call(pool: Pool, url: str, content: bytes | None = None, *, max_bytes: int = 1000) -> tuple[int, bytes]:
    """Status and body of one call."""
    method = "GET" if content is None else "POST"
    answer = await pool.exchange(method, url + "/path", {"accept": "*/*"}, content, max_bytes=max_bytes)
    return answer.status, answer.body


def sending(*parts: bytes) -> Callable[[bytes, SocketStream], Awaitable[None]]:
    """A script that answers with these bytes as they are, and hangs up."""

    async def script(request: bytes, stream: SocketStream) -> None:
        for part in parts:
            await stream.send(part)

    return script


@asynccontextmanager
async def keeping(answer: bytes = OK) -> AsyncIterator[tuple[str, list[SocketStream]]]:
    """A peer that answers any number of requests on each connection; its URL and its connections."""
    connections: list[SocketStream] = []

    async def serve(stream: SocketStream) -> None:
        connections.append(stream)
        async with stream:
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                while True:
                    await whole_request(stream)
                    await stream.send(answer)

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, serve)
        yield f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}", connections  # noqa: S610 - not Django
        group.cancel_scope.cancel()


async def test_a_request_is_sent_whole_with_its_host_and_length() -> None:
    """And nothing is added that was not asked for."""
    async with peer(sending(OK)) as (url, got), Pool() as pool:
        assert await call(pool, url, b"body") == (200, b"ok")
    host = url.removeprefix("http://")
    assert got == [
        f"POST /path HTTP/1.1\r\nhost: {host}\r\naccept: */*\r\ncontent-length: 4\r\n\r\nbody".encode(),
    ]


async def test_a_connection_is_used_again() -> None:
    """Calls one after another share one, calls at once have one each."""
    async with keeping() as (url, connections), Pool() as pool:
        for _ in range(3):
            await call(pool, url)
        assert len(connections) == 1

        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(call, pool, url)
        assert len(connections) == 3


async def test_a_connection_that_was_closed_while_idle_costs_no_call() -> None:
    """It is seen before anything is sent: nothing has to be sent again."""
    async with keeping() as (url, connections), Pool() as pool:
        await call(pool, url)
        await connections[0].aclose()
        await anyio.to_thread.run_sync(select.select, [_socket_of(pool)], [], [], 5)

        assert await call(pool, url) == (200, b"ok")
        assert len(connections) == 2


def _socket_of(pool: Pool) -> Any:
    return pool._plain._idle[0].connection._socket


async def test_an_idle_connection_is_not_used_again_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its server may be closing it just now."""
    monkeypatch.setattr(http11, "_IDLE_S", 0.0)
    async with keeping() as (url, connections), Pool() as pool:
        for _ in range(2):
            await call(pool, url)
        assert len(connections) == 2


@pytest.mark.parametrize("answer", [OK + b"more", b"HTTP/1.1 200 OK\r\nconnection: close" + OK[15:], OK + OK])
async def test_a_connection_that_may_not_be_used_again_is_closed(answer: bytes) -> None:
    """Its server said so, or something came that nobody asked for."""
    async with keeping(answer) as (url, connections), Pool() as pool:
        for _ in range(2):
            assert await call(pool, url) == (200, b"ok")
        assert len(connections) == 2


@pytest.mark.parametrize(
    "answer",
    [
        OK,
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\no\r\n1;x=y\r\nk\r\n0\r\nlate: x\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + OK,
        b"HTTP/1.1 200 OK\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\n\r\nok",
    ],
)
async def test_an_answer_is_read_however_it_is_framed(answer: bytes) -> None:
    """Also when it comes byte by byte."""
    for parts in ([answer], [answer[n : n + 1] for n in range(len(answer))]):
        async with peer(sending(*parts)) as (url, _), Pool() as pool:
            assert await call(pool, url) == (200, b"ok")


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
async def test_some_answers_have_no_body(status: bytes) -> None:
    """Whatever length they tell."""
    async with keeping(b"HTTP/1.1 %b\r\ncontent-length: 5\r\n\r\n" % status) as (url, connections), Pool() as pool:
        for _ in range(2):
            assert await call(pool, url) == (int(status[:3]), b"")
        assert len(connections) == 1


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (b"", "the connection ended before the answer did"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nok", "the connection ended before the answer did"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n", "ended before the answer did"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "the connection ended before the answer did"),
        (b"SSH-2.0-OpenSSH_9\r\n", "the answer is no HTTP"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello", "the answer is no HTTP"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"x" * 200_000, "an answer of headers without end"),
    ],
)
async def test_what_is_not_a_whole_answer_is_none(answer: bytes, sentence: str) -> None:
    """Half an answer may mean anything."""
    async with peer(sending(answer)) as (url, _), Pool() as pool:
        with pytest.raises(NoAnswerError, match=sentence):
            await call(pool, url)


async def test_a_body_is_bounded_before_it_is_whole() -> None:
    """The error holds what was read, the status with it."""
    async with keeping(b"HTTP/1.1 500 Oh\r\ncontent-length: 2000\r\n\r\n" + b"x" * 1500) as (url, _), Pool() as pool:
        with anyio.fail_after(5), pytest.raises(OversizedAnswerError) as told:
            await call(pool, url)
    assert (told.value.answer.status, len(told.value.answer.body)) == (500, 1500)


async def test_a_server_may_refuse_before_it_has_read_everything() -> None:
    """Its answer counts, though it hangs up on the rest of the request."""
    refusal = answering("413 Content Too Large", b"too large")
    async with peer(refusal) as (url, _), Pool() as pool:
        assert await call(pool, url, b"x" * 3_000_000) == (413, b"too large")


async def test_a_call_that_is_cancelled_closes_its_connection() -> None:
    """Its answer must not be taken for the next call's."""
    ended = anyio.Event()

    async def silent(request: bytes, stream: SocketStream) -> None:
        with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            await stream.receive()
        ended.set()

    async with peer(silent) as (url, _), Pool() as pool:
        with anyio.move_on_after(0.1):
            await call(pool, url)
        with anyio.fail_after(5):
            await ended.wait()


@pytest.mark.parametrize(
    ("method", "url", "headers"),
    [
        ("HEAD", "http://host/", ()),
        ("GET", "https://host/", ()),
        ("GET", "http://höst/", ()),
        ("GET", "http://host/a b", ()),
        ("GET", "http://host/a/../b", ()),
        ("GET", "http://host/\r\nx: y", ()),
        ("GET", "http://host/#part", ()),
        ("GET", "http://user:secret@host/", ()),
        ("GET", "http://host/", (("x", "a\r\nb: c"),)),
        ("GET", "http://host/", (("x y", "z"),)),
        ("GET", "http://host/", (("Content-Length", "5"),)),
    ],
)
def test_what_is_not_plain_is_left_to_httpx2(method: str, url: str, headers: tuple[tuple[str, str], ...]) -> None:
    """It escapes, encrypts and refuses better than we would."""
    assert http11.head_of(method, url, headers) is None


async def test_what_is_left_to_httpx2_goes_through_the_same_pool() -> None:
    """Whoever calls sees no difference."""
    async with peer(answering("200 OK")) as (url, got), Pool() as pool:
        answer = await pool.exchange("PUT", f"{url}/a b", {}, b"x", max_bytes=10)
        assert answer.status == 200
        with pytest.raises(NoAnswerError):
            await pool.exchange("GET", "https://127.0.0.1:1", {}, None, max_bytes=10)
    assert got[0].startswith(b"PUT /a%20b HTTP/1.1\r\n")


async def test_a_host_that_nobody_can_resolve_is_no_answer() -> None:
    """Neither one that does not exist, nor one that is no name."""
    async with Pool() as pool:
        for host in ("host.invalid", "x" * 300):
            with pytest.raises(NoAnswerError):
                await call(pool, f"http://{host}")
