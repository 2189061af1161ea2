"""Both pools of connections keep one contract: they reuse what is good, and whatever comes is an answer or none."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from executor_sdk.client.aiohttp_pool import AiohttpPool
from executor_sdk.client.exchange import NoAnswerError, OversizedAnswerError, Pool
from executor_sdk.client.pool import Httpx2Pool
from tests.executor_sdk.client.peers import answering, peer, whole_request

pytestmark = pytest.mark.anyio

NewPool = Callable[..., Pool]

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@pytest.fixture(params=[AiohttpPool, Httpx2Pool])
def new_pool(request: pytest.FixtureRequest) -> NewPool:
    """The two pools, one after the other."""
    kind: NewPool = request.param
    return kind


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


async def test_a_request_is_sent_whole_with_its_host_and_length(new_pool: NewPool) -> None:
    """And nothing is added that was not asked for."""
    async with peer(sending(OK)) as (url, got), new_pool() as pool:
        assert await call(pool, url, b"body") == (200, b"ok")
    head, _, body = got[0].decode().partition("\r\n\r\n")
    host = url.removeprefix("http://")
    assert head.splitlines()[0] == "POST /path HTTP/1.1"
    assert sorted(head.lower().splitlines()[1:]) == ["accept: */*", "content-length: 4", f"host: {host}"]
    assert body == "body"


async def test_a_connection_is_used_again() -> None:
    """Calls one after another share one, calls at once have one each. Only aiohttp keeps them: see `Httpx2Pool`."""
    async with keeping() as (url, connections), AiohttpPool() as pool:
        for _ in range(3):
            await call(pool, url)
        assert len(connections) == 1

        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(call, pool, url)
        assert len(connections) == 3


async def test_a_connection_that_was_closed_while_idle_costs_no_call() -> None:
    """It is seen before anything is sent: nothing has to be sent again."""
    async with keeping() as (url, connections), AiohttpPool() as pool:
        await call(pool, url)
        await connections[0].aclose()
        with anyio.fail_after(5):
            while any(connection.is_connected() for connection in _idle(pool)):
                await anyio.sleep(0.001)

        assert await call(pool, url) == (200, b"ok")
        assert len(connections) == 2


def _idle(pool: AiohttpPool) -> list[Any]:
    assert pool._session is not None
    assert isinstance(pool._session.connector, aiohttp.TCPConnector)
    return [protocol for idle in pool._session.connector._conns.values() for protocol, _ in idle]


async def test_an_idle_connection_is_not_used_again_after_its_time() -> None:
    """Its server may be closing it just now."""
    async with keeping() as (url, connections), AiohttpPool(idle_s=0.0) as pool:
        for _ in range(2):
            await call(pool, url)
        assert len(connections) == 2


@pytest.mark.parametrize("answer", [b"HTTP/1.1 200 OK\r\nconnection: close" + OK[15:], OK + OK])
async def test_a_connection_that_may_not_be_used_again_is_closed(new_pool: NewPool, answer: bytes) -> None:
    """Its server said so, or something came that nobody asked for."""
    async with keeping(answer) as (url, connections), new_pool() as pool:
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
async def test_an_answer_is_read_however_it_is_framed(new_pool: NewPool, answer: bytes) -> None:
    """Also when it comes byte by byte."""
    for parts in ([answer], [answer[n : n + 1] for n in range(len(answer))]):
        async with peer(sending(*parts)) as (url, _), new_pool() as pool:
            assert await call(pool, url) == (200, b"ok")


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
async def test_some_answers_have_no_body(new_pool: NewPool, status: bytes) -> None:
    """Whatever length they tell."""
    async with keeping(b"HTTP/1.1 %b\r\ncontent-length: 5\r\n\r\n" % status) as (url, _), new_pool() as pool:
        for _ in range(2):
            assert await call(pool, url) == (int(status[:3]), b"")


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (b"", "the connection ended before the answer did"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nok", "the connection ended before the answer did"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n", "ended before the answer did"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "the connection ended before the answer did"),
        (b"SSH-2.0-OpenSSH_9\r\n\r\n", "the answer is no HTTP"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello", "the answer is no HTTP"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"x" * 200_000, "the answer is no HTTP"),
    ],
)
async def test_what_is_not_a_whole_answer_is_none(new_pool: NewPool, answer: bytes, sentence: str) -> None:
    """Half an answer may mean anything."""
    async with peer(sending(answer)) as (url, _), new_pool() as pool:
        with pytest.raises(NoAnswerError, match=sentence):
            await call(pool, url)


async def test_a_body_is_bounded_before_it_is_whole(new_pool: NewPool) -> None:
    """The error holds what was read, the status with it."""
    async with (
        keeping(b"HTTP/1.1 500 Oh\r\ncontent-length: 2000\r\n\r\n" + b"x" * 1500) as (url, _),
        new_pool() as pool,
    ):
        with anyio.fail_after(5), pytest.raises(OversizedAnswerError) as told:
            await call(pool, url)
    assert (told.value.answer.status, len(told.value.answer.body)) == (500, 1500)


async def test_a_server_may_refuse_before_it_has_read_everything(new_pool: NewPool) -> None:
    """Its answer counts, though it hangs up on the rest of the request."""
    refusal = answering("413 Content Too Large", b"too large")
    async with peer(refusal) as (url, _), new_pool() as pool:
        assert await call(pool, url, b"x" * 3_000_000) == (413, b"too large")


async def test_a_call_that_is_cancelled_closes_its_connection(new_pool: NewPool) -> None:
    """Its answer must not be taken for the next call's."""
    asked, ended = anyio.Event(), anyio.Event()

    async def silent(request: bytes, stream: SocketStream) -> None:
        asked.set()
        with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            await stream.receive()
        ended.set()

    async with peer(silent) as (url, _), new_pool() as pool:
        with anyio.fail_after(30):
            async with anyio.create_task_group() as callers:
                callers.start_soon(call, pool, url)
                await asked.wait()
                callers.cancel_scope.cancel()
            await ended.wait()


@pytest.mark.parametrize("url", ["http://", "nowhere", "ftp://127.0.0.1", "http://[x"])
async def test_an_address_that_is_none_brings_no_answer(new_pool: NewPool, url: str, no_network: list[str]) -> None:
    """It is told like any other call that came to nothing."""
    async with new_pool() as pool:
        with pytest.raises(NoAnswerError):
            await call(pool, url)
    no_network.clear()


async def test_a_host_that_nobody_can_resolve_is_no_answer(new_pool: NewPool, no_network: list[str]) -> None:
    """Neither one that does not exist, nor one that is no name."""
    async with new_pool() as pool:
        for host in ("host.invalid", "x" * 300):
            with pytest.raises(NoAnswerError):
                await call(pool, f"http://{host}")
    # Where the network is forbidden, every name but one is without an address.
    no_network.clear()


async def test_what_was_sent_beyond_an_answer_is_no_later_answer(new_pool: NewPool) -> None:
    """aiohttp refuses the whole, httpx2 takes the answer; neither gives the rest to the next call."""
    twice = [OK + b"HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n", OK + b"more"]
    for answer in twice:
        async with keeping(answer) as (url, _), new_pool() as pool:
            for _ in range(2):
                with suppress(NoAnswerError):
                    assert await call(pool, url) == (200, b"ok")


async def test_nothing_of_an_answer_is_acted_upon(new_pool: NewPool) -> None:
    """No redirect is followed, no cookie kept, nothing decompressed: the caller gets what was sent."""
    packed = gzip.compress(b"ok")
    headers = ("location: http://127.0.0.1:1/", "set-cookie: a=b", "content-encoding: gzip")
    async with peer(answering("302 Found", packed, *headers)) as (url, got), new_pool() as pool:
        for _ in range(2):
            assert await call(pool, url) == (302, packed)

    assert len(got) == 2
    assert b"cookie" not in got[1].lower()


async def test_the_environment_sends_no_call_elsewhere(new_pool: NewPool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy for the whole machine is not one for executors."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    async with peer(sending(OK)) as (url, _), new_pool() as pool:
        assert await call(pool, url) == (200, b"ok")


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://127.0.0.1:1", "no connection: Connection refused"),
        ("https://127.0.0.1:1", "no connection: Connection refused"),
        ("ftp://127.0.0.1", "the address cannot be called"),
    ],
)
async def test_both_pools_say_the_same_of_the_same_trouble(new_pool: NewPool, url: str, sentence: str) -> None:
    """What people read does not hang on what is installed."""
    async with new_pool() as pool:
        with pytest.raises(NoAnswerError) as told:
            await call(pool, url)

    assert str(told.value) == sentence


async def test_a_peer_without_encryption_is_told(new_pool: NewPool) -> None:
    """An https address of a plain server."""

    async def speak_first(stream: SocketStream) -> None:
        async with stream:
            await stream.send(OK)

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as group, new_pool() as pool:
        group.start_soon(listener.serve, speak_first)
        with anyio.fail_after(5), pytest.raises(NoAnswerError, match="no encrypted connection: "):
            await call(pool, f"https://127.0.0.1:{listener.extra(SocketAttribute.local_port)}")  # noqa: S610 - not Django
        group.cancel_scope.cancel()
