"""Handlers ask the web with their task's time, trace and secrets; in a test a function answers, and no network."""

from __future__ import annotations

from typing import Any

import anyio
import httpx2
import pytest
from pydantic import BaseModel
from pytest_httpserver import HTTPServer

from executor_sdk import Executor, ExecutorClient, FetchError, HandlerCrashedError, Secret, Task, in_process
from executor_sdk.client.asks import execute_body
from executor_sdk.errors import UnfetchableError
from executor_sdk.misuse import MisuseError
from executor_sdk.testing import a_task, serve

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TOKEN = Secret("env:CRM_TOKEN", "Bearer {}")


class Lead(BaseModel):
    """What is sent."""

    name: str


async def asynchronous(task: Task) -> dict[str, Any]:
    """Asks in the loop."""
    url = task.inputs["url"]
    found = await task.http.get(url, params={"page": 2}, headers={"authorization": TOKEN})
    made = await task.http.post(url, json=Lead(name="a"))
    gone = await task.http.request("DELETE", url, allow_statuses={404})
    return {"answer": f"{found.json()['rows']} {made.status_code} {gone.status_code}"}


def plain(task: Task) -> dict[str, Any]:
    """Asks in a thread."""
    url = task.inputs["url"]
    found = task.http_sync.get(url, params={"page": 2}, headers={"authorization": TOKEN})
    made = task.http_sync.post(url, json=Lead(name="a"))
    gone = task.http_sync.request("DELETE", url, allow_statuses={404})
    return {"answer": f"{found.json()['rows']} {made.status_code} {gone.status_code}"}


def an_executor(function: Any, **options: Any) -> Executor:
    """An executor of one function."""
    executor = Executor("acme", "m-1", allow_hosts=["localhost"])
    executor.execute("t", **options)(function)
    return executor


@pytest.mark.parametrize("function", [asynchronous, plain])
@pytest.mark.parametrize("answers_later", [True, False])
def test_a_function_of_the_test_answers(function: Any, answers_later: bool) -> None:
    """Each request as it would be sent; in the place of a secret stands the reference, so none is needed."""
    asked: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return httpx2.Response({"GET": 200, "POST": 201, "DELETE": 404}[request.method], json={"rows": 3})

    async def later(request: httpx2.Request) -> httpx2.Response:
        return answer(request)

    with in_process(an_executor(function), http=later if answers_later else answer) as rt:
        done = rt.execute({"url": "https://crm.test/leads"})

    assert done.output == {"answer": "3 201 404"}
    assert [(one.method, str(one.url)) for one in asked] == [
        ("GET", "https://crm.test/leads?page=2"), ("POST", "https://crm.test/leads"), ("DELETE", "https://crm.test/leads"),
    ]  # fmt: skip
    assert asked[0].headers["authorization"] == "Bearer <env:CRM_TOKEN>"
    assert (asked[1].content, asked[1].headers["content-type"]) == (b'{"name":"a"}', "application/json")


@pytest.mark.parametrize("function", [asynchronous, plain])
def test_a_test_that_gives_no_function_is_told_what_to_write(function: Any) -> None:
    """There is no way to any network."""
    sentence = r"the test answers no request, as GET https://crm\.test/; write in_process\(\.\.\., http=answer\)"
    with in_process(an_executor(function, retries=3)) as rt, pytest.raises(HandlerCrashedError, match=sentence) as told:
        rt.execute({"url": "https://crm.test/?token=5"})

    assert isinstance(told.value.__cause__, MisuseError)


def test_a_function_that_answers_something_else_is_told_what_to_return() -> None:
    """As long as the test is at fault, it is not told of an error of the handler."""
    sentence = r"http function returned a dict for GET https://crm\.test/; return an httpx2\.Response"
    answers: Any = lambda _: {"name": "a"}  # noqa: E731 - the mistake as a test makes it
    with in_process(an_executor(plain), http=answers) as rt, pytest.raises(HandlerCrashedError, match=sentence):
        rt.execute({"url": "https://crm.test/?token=5"})


@pytest.mark.parametrize(("status", "kind"), [(503, FetchError), (404, UnfetchableError)])
def test_a_status_is_an_error_in_a_test_too(status: int, kind: type[FetchError]) -> None:
    """Answered 502 or 422, and tried again inside the work where it may pass."""
    asked: list[int] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(1)
        return httpx2.Response(status)

    executor = an_executor(asynchronous, retries=2, backoff_s=0)
    with in_process(executor, http=answer) as rt, pytest.raises(FetchError) as told:
        rt.execute({"url": "https://crm.test/"})

    assert (type(told.value), len(asked)) == (kind, 3 if kind is FetchError else 1)


@pytest.mark.parametrize("function", [asynchronous, plain])
def test_on_the_wire_go_secret_trace_and_body(
    function: Any, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a real server to a real one: the trace context of the request that asked for the work goes along."""
    monkeypatch.setenv("CRM_TOKEN", "s3cr3t")
    trace = {"traceparent": PARENT, "tracestate": "a=1"}
    first = {**trace, "authorization": "Bearer s3cr3t"}
    found = httpserver.expect_ordered_request("/leads", "GET", query_string="page=2", headers=first)
    found.respond_with_json({"rows": 3})
    httpserver.expect_ordered_request("/leads", "POST", json={"name": "a"}, headers=trace).respond_with_data("", 201)
    httpserver.expect_ordered_request("/leads", "DELETE", headers=trace).respond_with_data("", 404)
    body = execute_body({"url": f"http://localhost:{httpserver.port}/leads"}, task_type="t")

    async def ask() -> dict[str, Any]:
        with serve(an_executor(function)) as served:
            async with ExecutorClient(served.url) as client:
                return await client.execute(body, headers=trace)

    assert anyio.run(ask)["candidate_output"] == {"answer": "3 201 404"}
    httpserver.check_assertions()


async def wrong_sync(task: Task) -> dict[str, Any]:
    """Would stop the loop."""
    task.http_sync.get("https://crm.test/")
    return {"answer": ""}


def wrong_async(task: Task) -> dict[str, Any]:
    """Would get a coroutine."""
    task.http.get("https://crm.test/")  # type: ignore[unused-coroutine]
    return {"answer": ""}


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (wrong_sync, r"task\.http_sync\.get would stop the event loop; write await task\.http\.get"),
        (wrong_async, r"task\.http\.get is for an `async def`; in a plain `def` write task\.http_sync\.get"),
    ],
)
def test_the_wrong_one_of_the_two_is_told(function: Any, sentence: str) -> None:
    """As with fetch."""
    with in_process(an_executor(function)) as rt, pytest.raises(HandlerCrashedError, match=sentence):
        rt.execute({})


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"json": 1, "content": b""}, "a request has one body; give json or content"),
        ({"json": object()}, "the json of a request holds an object"),
        ({"json": {"key": TOKEN}}, "the json of a request holds a Secret"),
        ({"params": {"key": TOKEN}}, "a Secret goes into headers"),
        ({"headers": {"host": "x"}}, "leave it out"),
        ({"tiemout": 5}, r"task\.http has no argument 'tiemout'; write"),
    ],
)
async def test_a_request_that_cannot_be_made_is_told(options: dict[str, Any], sentence: str) -> None:
    """With what to write instead."""
    with pytest.raises(MisuseError, match=sentence):
        await a_task().http.post("https://crm.test/", **options)


@pytest.mark.anyio
async def test_a_request_has_the_time_that_the_task_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or less, if the author says so; under a shield, which outlasts the deadline, that of the shield."""
    times: list[float | None] = []
    task = a_task(http=lambda request: httpx2.Response(200), timeout_s=0)
    exchange = task._ports.fetcher.exchange

    async def noting(request: Any) -> httpx2.Response:
        times.append(request.timeout_s)
        return await exchange(request)

    monkeypatch.setattr(task._ports.fetcher, "exchange", noting)
    await task.http.get("https://crm.test/")
    async with task.shield(seconds=50):
        await task.http.get("https://crm.test/")
        await task.http.get("https://crm.test/", timeout_s=2)
    later = a_task(http=lambda request: httpx2.Response(200), timeout_s=100)
    monkeypatch.setattr(later._ports.fetcher, "exchange", noting)
    await later.http.get("https://crm.test/", max_bytes=5)

    assert times[0] == 0
    assert [45 < (times[1] or 0) <= 50, times[2], 90 < (times[3] or 0) <= 100] == [True, 2, True]
