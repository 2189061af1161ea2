"""The protocol behind any application: what it closes, what it leaves whole, and what an application hears."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from executor_sdk.serving import bounded_http
from executor_sdk.serving.bounded_http import BoundedHttp
from executor_sdk.serving.door import Bounds, Door
from executor_sdk.testing.server import serve
from tests.executor_sdk.serving.houses import ROOT, SOON_S, answered

GET = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"


def post(field: bytes) -> bytes:
    """The head of a request with a body, whose length this field tells."""
    return b"POST / HTTP/1.1\r\nhost: localhost\r\n" + field + b"\r\n\r\n"


async def answer(send: Send, body: bytes = b"ok") -> None:
    """200 with this body."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


async def ready(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers at once, without a look at the body."""
    await answer(send)


@contextmanager
def connected(app: ASGIApp, **options: object) -> Iterator[Callable[[], socket.socket]]:
    """A way to connect to `app`, which is served meanwhile."""
    with serve(app, lifespan="off", **options) as served:
        callers: list[socket.socket] = []

        def connect() -> socket.socket:
            callers.append(socket.create_connection(("127.0.0.1", served.port), SOON_S))
            return callers[-1]

        try:
            yield connect
        finally:
            for caller in callers:
                caller.close()


def test_a_kept_connection_is_closed_when_it_has_idled() -> None:
    """After uvicorn's own option, although there is no timer for each request."""
    with connected(ready, timeout_keep_alive=1) as connect:
        caller = connect()
        for _ in range(3):
            caller.sendall(GET)
            assert answered(caller).body == b"ok"

        assert caller.recv(1) == b""


def test_a_body_that_trickles_in_behind_its_answer_keeps_no_connection() -> None:
    """Nothing is in progress, whatever still comes."""
    with connected(ready, timeout_keep_alive=1) as connect:
        caller = connect()
        caller.sendall(post(b"content-length: 1000"))
        assert answered(caller).body == b"ok"

        assert _ends_while_it_sends(caller)


def test_a_client_that_does_not_take_its_answer_is_dropped() -> None:
    """A large answer to a client that never reads would hold a connection, and the work, without an end."""
    ended = threading.Event()

    async def large(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % 2**26)]})
        for _ in range(2**6):
            await send({"type": "http.response.body", "body": b"x" * 2**20, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        ended.set()

    with connected(large, door=Door(Bounds(answer_timeout_s=1))) as connect:
        connect().sendall(GET)

        assert ended.wait(SOON_S)


def test_an_answer_leaves_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    """Head and body are one write; an answer without a known length goes out as it comes."""
    pieces: list[bytes] = []
    unwatched = bounded_http._OnePiece.__init__

    def watched(one: bounded_http._OnePiece, transport: asyncio.Transport, connection: BoundedHttp) -> None:
        unwatched(one, transport, connection)
        write = one._write

        def note(data: bytes | bytearray | memoryview) -> None:
            pieces.append(bytes(data))
            write(data)

        one._write = note

    monkeypatch.setattr(bounded_http._OnePiece, "__init__", watched)

    async def streamed(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/whole":
            await answer(send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    with connected(streamed) as connect:
        caller = connect()
        for _ in range(2):
            caller.sendall(GET.replace(b"/", b"/whole", 1))
            assert answered(caller).body == b"ok"
        assert [piece.endswith(b"\r\n\r\nok") for piece in pieces] == [True, True]
        caller.sendall(GET)
        assert answered(caller).headers["transfer-encoding"] == "chunked"
        assert pieces[2].endswith(b"\r\n\r\n")


@pytest.mark.parametrize(("method", "length", "body"), [(b"HEAD", 2, b"ok"), (b"GET", 0, b"")])
def test_an_answer_without_a_body_waits_for_none(method: bytes, length: int, body: bytes) -> None:
    """A HEAD tells the length of what it leaves out."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, body)

    with connected(app) as connect:
        caller = connect()
        for _ in range(2):
            caller.sendall(GET.replace(b"GET", method))
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += caller.recv(1)
            assert b"content-length: %d\r\n" % length in head


def test_an_answer_that_breaks_off_is_seen_as_such() -> None:
    """The client hears how much was to come, and that the connection ended before."""

    async def breaks(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})

    with connected(breaks) as connect:
        caller = connect()
        caller.sendall(GET)
        came = b""
        while part := caller.recv(100):
            came += part

    assert came.startswith(b"HTTP/1.1 200 OK\r\n")
    assert came.endswith(b"content-length: 5\r\n\r\n")


def test_pipelined_answers_come_whole_and_in_order() -> None:
    """Also where the next head is parsed before the body of the last answer is out."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        body = scope["path"].encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": body[:2], "more_body": True})
        await send({"type": "http.response.body", "body": body[2:]})

    with connected(app) as connect:
        caller = connect()
        caller.sendall(b"".join(GET.replace(b"/", b"/%d" % n, 1) for n in range(8)))

        assert [answered(caller).body for _ in range(8)] == [b"/%d" % n for n in range(8)]


def test_garbage_behind_a_request_leaves_its_answer_whole() -> None:
    """The request in progress is answered; then the connection ends, and the garbage is not spoken of."""
    with connected(ready) as connect:
        caller = connect()
        caller.sendall(GET + b"\0garbage\r\n\r\n")
        response = answered(caller)
        rest = caller.recv(1)

    assert (response.status, response.body, rest) == (200, b"ok", b"")


def test_an_application_hears_that_the_body_it_waits_for_never_comes() -> None:
    """As it hears of a client that hung up."""
    heard: list[Message] = []
    told = threading.Event()

    async def reader(scope: Scope, receive: Receive, send: Send) -> None:
        while (message := await receive())["type"] == "http.request":
            heard.append(message)
        told.set()

    with connected(reader) as connect:
        caller = connect()
        caller.sendall(post(b"transfer-encoding: chunked"))
        caller.sendall(b"no size\r\n")
        response = answered(caller)

        assert told.wait(SOON_S)
    assert (response.status, [message["more_body"] for message in heard]) == (400, [True] * len(heard))


def test_a_missing_parser_is_told_with_what_to_install() -> None:
    """uvicorn would fall back to another one, which has no bounds."""
    program = "import sys; sys.modules['httptools'] = None; import executor_sdk.serving.bounded_http"
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)

    assert ended.returncode == 1
    assert ended.stderr.endswith("bounds of HTTP need the package httptools: pip install 'uvicorn[standard]'\n")


def _ends_while_it_sends(caller: socket.socket) -> bool:
    """Whether the connection is closed although a byte is sent now and then."""
    caller.settimeout(0.1)
    for _ in range(int(SOON_S / 0.1)):
        try:
            caller.sendall(b"x")
            return caller.recv(1) == b""
        except TimeoutError:
            continue
        except ConnectionError:
            return True
    return False
