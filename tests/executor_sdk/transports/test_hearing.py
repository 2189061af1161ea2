"""An answer counts as heard when its connection is still there a moment later; nobody who hung up has heard it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from typing import Any

import anyio
import httpx2
import pytest

from executor_sdk.errors import Refuse
from executor_sdk.executions.ledger import LedgerError
from executor_sdk.executions.record import Key
from executor_sdk.executor import Executor
from executor_sdk.testing.server import serve
from executor_sdk.transports.asgi import hearing
from executor_sdk.transports.asgi.hearing import Hearing, connection_of
from tests.executor_sdk.transports.test_asgi import make_body

KEY: Key = ("", "execute", "exec-1")


class Line:
    """A connection that is there until somebody hangs up."""

    def __init__(self, *, closed: bool = False) -> None:
        self.closed = closed

    def is_closing(self) -> bool:
        """Whether somebody has hung up."""
        return self.closed


class Heard:
    """Collects what was heard."""

    def __init__(self) -> None:
        self.keys: list[Key] = []
        self.happened = anyio.Event()

    async def __call__(self, keys: Sequence[Key]) -> None:
        self.keys.extend(keys)
        self.happened.set()


def make_key(number: int = 1) -> Key:
    """The key of an ask that can be told apart."""
    return ("", "execute", f"exec-{number}")


@pytest.mark.anyio
async def test_who_is_there_a_moment_later_has_heard() -> None:
    """Who has left by then has not."""
    heard, left = Heard(), Line()
    hearing_of = Hearing(heard)
    hearing_of.sent(make_key(1), left)
    hearing_of.sent(make_key(2), Line())
    left.closed = True
    assert heard.keys == []

    with anyio.fail_after(5):
        await heard.happened.wait()

    assert heard.keys == [make_key(2)]


@pytest.mark.anyio
async def test_a_stopping_server_tells_at_once() -> None:
    """What it does not tell now it never will."""
    heard = Heard()
    hearing_of = Hearing(heard)
    for number in range(3):
        hearing_of.sent(make_key(number), Line(closed=number == 1))

    await hearing_of.flush()

    assert heard.keys == [make_key(0), make_key(2)]


@pytest.mark.anyio
async def test_those_that_wait_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one more, the oldest is looked at now."""
    monkeypatch.setattr(hearing, "MAX_WAITING", 2)
    monkeypatch.setattr(hearing, "HEARD_AFTER_S", 60.0)
    heard = Heard()
    hearing_of = Hearing(heard)
    for number in range(3):
        hearing_of.sent(make_key(number), Line())

    with anyio.fail_after(5):
        await heard.happened.wait()

    assert heard.keys == [make_key(0)]
    await hearing_of.flush()


@pytest.mark.anyio
async def test_answers_that_cannot_be_told_of_hold_up_no_others(caplog: pytest.LogCaptureFixture) -> None:
    """They count as not heard, which the log says; those after them are told of."""
    told: list[Key] = []

    async def heard(keys: Sequence[Key]) -> None:
        if make_key(0) in keys:
            raise LedgerError("the disk is full")
        told.extend(keys)

    hearing_of = Hearing(heard)
    with anyio.fail_after(5):
        for number in range(2):
            hearing_of.sent(make_key(number), Line())
            await hearing_of.flush()

    assert told == [make_key(1)]
    assert "the disk is full" in caplog.text


def test_other_servers_have_no_connection_to_look_at() -> None:
    """Nor has a request that something stands in front of."""

    async def receive() -> dict[str, Any]:
        return {}

    assert connection_of(receive) is None


def test_a_caller_that_hangs_up_has_heard_nothing_however_quick_the_answer() -> None:
    """Its refusal goes to the next attempt, and the work is not done a second time."""
    started, runs = threading.Semaphore(0), list[str]()
    executor = Executor("test", "refuses-1")

    @executor.execute("swarm")
    async def refuse(inputs: dict[str, Any]) -> dict[str, Any]:
        runs.append(inputs["prompt"])
        started.release()
        await anyio.sleep(0.001)
        raise Refuse("NO", "never")

    with serve(executor) as server, httpx2.Client() as http:
        for number in range(100):
            body = make_body(f"exec-{number}-1", prompt=str(number), attempt=1)
            with socket.create_connection(("127.0.0.1", server.port)) as connection:
                head = f"POST /execute HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
                connection.sendall(head.encode() + body)
                assert started.acquire(timeout=5)
            next_body = make_body(f"exec-{number}-2", prompt=str(number), attempt=2)
            assert http.post(f"{server.url}/execute", content=next_body).status_code == 422

    assert runs == [str(number) for number in range(100)]
