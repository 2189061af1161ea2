"""A caller that hangs up is seen, whatever stands in front of the executor, and its work is not done twice."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import httpx2
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.routing import Mount
from starlette.types import ASGIApp

from executor_sdk import Executor, Refuse
from executor_sdk.testing.server import serve
from executor_sdk.transports.asgi import routes
from tests.executor_sdk.transports.test_asgi import WAIT_S, Hold, make_body, read_all, until


async def pass_on(request: Any, call_next: Any) -> Any:
    """What a host's middleware does at the least."""
    return await call_next(request)


def behind(app: ASGIApp, *, layers: int) -> ASGIApp:
    """The executor mounted under `/`, behind so many of a web framework's own middlewares."""
    middleware = [Middleware(BaseHTTPMiddleware, dispatch=pass_on)] * layers
    return Starlette(routes=[Mount("/", app)], middleware=middleware)


def sent(port: int, body: bytes) -> socket.socket:
    """A caller that has sent a whole `POST /execute`."""
    connection = socket.create_connection(("127.0.0.1", port), WAIT_S)
    head = f"POST /execute HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)
    return connection


@pytest.mark.parametrize("layers", [0, 1, 3])
def test_a_hang_up_is_seen_through_the_middleware_of_a_host(layers: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Before the first byte of an answer: the work is stopped once it has lingered, and no crash is logged."""
    hold = Hold(linger_ms=50)
    with serve(behind(hold.executor, layers=layers)) as server:
        with sent(server.port, make_body()):
            assert hold.started.acquire(timeout=WAIT_S)

        assert hold.stopped.acquire(timeout=WAIT_S)

    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("layers", [0, 1])
def test_a_caller_comes_back_to_the_same_work_through_the_middleware_of_a_host(layers: int) -> None:
    """Not only without any: it joins, and what ended meanwhile is replayed."""
    hold = Hold()
    with serve(behind(hold.executor, layers=layers)) as server:
        with sent(server.port, make_body()):
            assert hold.started.acquire(timeout=WAIT_S)
        hold.go_on.set()
        answers = [httpx2.post(f"{server.url}/execute", content=make_body()) for _ in range(2)]

    assert [answer.json()["candidate_output"] for answer in answers] == [{"answer": "hello"}] * 2
    assert not hold.started.acquire(blocking=False)


def test_a_caller_that_closes_its_half_of_the_connection_comes_back_to_the_same_work() -> None:
    """HTTP allows that, but nothing tells it from a hang-up, and the server closes the other half; no work is lost."""
    hold = Hold()
    with serve(hold.executor) as server:
        with sent(server.port, make_body()) as connection:
            assert hold.started.acquire(timeout=WAIT_S)
            connection.shutdown(socket.SHUT_WR)
            assert read_all(connection) == b""
        with ThreadPoolExecutor() as pool:
            answer = pool.submit(httpx2.post, f"{server.url}/execute", content=make_body())
            until(lambda: httpx2.get(f"{server.url}/health").json()["joined"] == 1)
            hold.go_on.set()

    assert answer.result().json()["candidate_output"] == {"answer": "hello"}
    assert not hold.started.acquire(blocking=False)


@pytest.mark.parametrize("layers", [1, 3])
def test_a_caller_that_hangs_up_has_heard_nothing_through_the_middleware_of_a_host(
    layers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the answer came before anybody watched: it goes to the next attempt, and no work is done twice."""
    monkeypatch.setattr(routes, "WATCH_AFTER_S", 60.0)
    started, left, runs = threading.Semaphore(0), threading.Semaphore(0), list[str]()
    executor = Executor("test", "refuses-1")

    @executor.execute("swarm")
    async def refuse(inputs: dict[str, Any]) -> dict[str, Any]:
        runs.append(inputs["prompt"])
        started.release()
        while not left.acquire(blocking=False):
            await anyio.sleep(0.001)
        raise Refuse("NO", "never")

    with serve(behind(executor, layers=layers)) as server, httpx2.Client() as http:
        for number in range(10):
            with sent(server.port, make_body(f"exec-{number}-1", prompt=str(number), attempt=1)):
                assert started.acquire(timeout=WAIT_S)
            left.release()
            next_body = make_body(f"exec-{number}-2", prompt=str(number), attempt=2)
            assert http.post(f"{server.url}/execute", content=next_body).status_code == 422

    assert runs == [str(number) for number in range(10)]
