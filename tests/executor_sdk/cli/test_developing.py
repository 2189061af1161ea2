"""Tests of what `executor dev` is made of: its look at the traffic, and the lines that it prints."""

from __future__ import annotations

import logging
import queue
import socket
import sys
from typing import Any

import httpx2
import pytest
from starlette.types import Receive, Scope, Send

from executor_sdk import Executor
from executor_sdk.cli.developing.breakage import breakage_of
from executor_sdk.cli.developing.printing import lines
from executor_sdk.cli.developing.serving import TracebackOnce
from executor_sdk.cli.developing.traffic import Traffic
from executor_sdk.testing.server import serve
from executor_sdk.transports.asgi.hearing import connection_of

Event = dict[str, Any]


def test_the_executor_still_sees_the_connection_of_its_caller() -> None:
    """As without anybody between: by it the executor knows whose answers were heard."""
    seen: list[object] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(connection_of(receive))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    with serve(Traffic(app, lambda _: None), lifespan="off") as served:
        httpx2.get(served.url, trust_env=False)

    assert seen != [None]


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff\xfe", b"[]", b"[" * 100_000, b'{"execution_id": 5, "task_type": null}', b'{"candidate": []}'],
)
def test_a_request_that_cannot_be_read_is_told_without_its_names(body: bytes) -> None:
    """Whatever strangers send, the executor answers it, and its refusal is told."""
    events: list[Event] = []
    executor = Executor("tests", "one")

    with serve(Traffic(executor, events.append)) as served:
        answer = httpx2.post(f"{served.url}/execute", content=body, trust_env=False)

    assert answer.status_code == 400
    assert (events[0]["status"], events[0]["task_type"], events[0]["execution_id"]) == (400, "", "")
    assert events[0]["said"].startswith("MALFORMED_REQUEST: ")


def test_a_caller_that_hangs_up_is_told_as_such() -> None:
    """The executor's own words; one that says nothing has no status."""
    events: queue.Queue[Event] = queue.Queue()

    with serve(Traffic(Executor("tests", "one"), events.put)) as served:
        with socket.create_connection(("127.0.0.1", served.port)) as caller:
            caller.sendall(b"POST /execute HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n{")
        event = events.get(timeout=30)

    assert event["said"].startswith("CALLER_GONE: ")
    assert "the caller hung up 5 ms" in next(lines({**event, "status": None, "ms": 5.0}))[0]


def test_nothing_from_outside_speaks_to_the_terminal() -> None:
    """A path with an escape sequence stays one line of plain text."""
    event = {
        "event": "request", "method": "GET", "path": "/\x1b[2J\n", "task_type": "", "execution_id": "", "how": "",
        "status": 404, "ms": 1.0, "said": "",
    }  # fmt: skip

    assert [line for line, _ in lines(event)] == ["GET /\\u001b[2J\\u000a 404 1 ms"]


def test_an_error_that_quotes_megabytes_is_cut() -> None:
    """The channel takes no event without a bound."""
    told = breakage_of(ValueError("x" * 3_000_000)).event()

    assert str(told["message"]).startswith("ValueError: xxx")
    assert len(str(told)) < 10_000


def test_an_error_without_a_place_in_the_authors_source_is_told_by_its_text() -> None:
    """There is no file to show."""
    found = breakage_of(ValueError("no place"))

    assert (found.sentence, found.file, found.excerpt) == ("ValueError: no place", "", ())


def test_a_traceback_is_shown_once() -> None:
    """Each line that raises has its own; what is said beside a traceback is said each time."""

    def record(raised: Exception) -> logging.LogRecord:
        try:
            raise raised
        except Exception:  # noqa: BLE001 - whatever it is
            return logging.LogRecord("x", logging.ERROR, "", 1, "%s failed", ("f",), sys.exc_info())

    once = TracebackOnce()
    records = [record(ValueError("a")), record(ValueError("b")), record(KeyError("c"))]
    assert all(once.filter(one) for one in records)

    assert [one.exc_info is not None for one in records] == [True, False, True]
    assert records[1].getMessage() == "f failed: the traceback is shown above"
