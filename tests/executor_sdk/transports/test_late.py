"""An executor that no lifespan reaches starts with its first request, says so once, and tries again if that fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Any

import anyio
import httpx2
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from executor_sdk import Executor
from executor_sdk.client.asks import execute_body

log: list[str] = []
trace: ContextVar[str] = ContextVar("trace", default="none")


class Pools:
    """A state of the process."""

    def __init__(self) -> None:
        self.trace = trace.get()


async def pools() -> AsyncIterator[Pools]:
    """Opened and closed by name; some of its closing has to be waited for."""
    log.append("open")
    await anyio.lowlevel.checkpoint()
    try:
        yield Pools()
    finally:
        async with asyncio.timeout(5):
            await asyncio.sleep(0)
        log.append("close")


def an_executor(*lifespan: Any) -> Executor:
    """One that answers with what it finds in its state."""
    log.clear()
    executor = Executor("acme", "m-1", lifespan=lifespan or pools)

    @executor.execute
    async def find(pools: Pools) -> dict[str, Any]:
        return {"answer": pools.trace}

    return executor


def mounted(executor: Executor, **options: Any) -> httpx2.AsyncClient:
    """A client of an application around `executor`."""
    app = Starlette(routes=[Mount("/agents", executor)], **options)
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://host/agents")


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was warned of."""
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


def test_the_first_request_opens_the_state_and_the_end_of_the_loop_closes_it(caplog: pytest.LogCaptureFixture) -> None:
    """Requests that come together wait for one start, whose context is none of theirs; the log says what to write."""
    executor = an_executor()

    async def live() -> None:
        trace.set("the request's")
        async with mounted(executor) as http:
            asked = [http.post("/execute", json=execute_body({"n": n}, task_type="swarm")) for n in range(3)]
            answers = await asyncio.gather(*asked, http.get("/health"))
        assert [answer.status_code for answer in answers] == [200] * 4
        assert answers[0].json()["candidate_output"] == {"answer": "none"}
        assert log == ["open"]

    for _ in range(2):  # two loops, one after the other
        log.clear()
        asyncio.run(live())
        assert log == ["open", "close"]

    [told] = warnings(caplog)
    assert told.startswith("acme/m-1 starts with its first request, because")
    assert "Write Starlette(lifespan=executor.lifespan)" in told


@pytest.mark.anyio
async def test_its_lifespan_around_it_starts_it_before_the_first_request(caplog: pytest.LogCaptureFixture) -> None:
    """Then nobody is warned, and the state is closed when the application stops."""
    executor = an_executor()

    async with executor.lifespan():
        assert log == ["open"]
        async with mounted(executor) as http:
            answer = await http.post("/execute", json=execute_body({}, task_type="swarm"))

    assert answer.json()["candidate_output"] == {"answer": "none"}
    assert log == ["open", "close"]
    assert warnings(caplog) == []


@pytest.mark.anyio
async def test_a_start_that_fails_is_tried_again_at_the_next_request(caplog: pytest.LogCaptureFixture) -> None:
    """Until then all are told 503; the log has the traceback, which no caller sees."""
    is_there = False

    async def sometimes() -> AsyncIterator[Pools]:
        if not is_there:
            raise ConnectionError("postgres://user:secret@host")
        yield Pools()

    async with mounted(an_executor(sometimes)) as http:
        failed = [
            await http.get("/health"),
            await http.post("/execute", json=execute_body({}, task_type="swarm")),
        ]
        assert caplog.text.count("acme/m-1 cannot start; its next request tries again") == 2
        assert "secret" in caplog.text
        is_there = True
        healthy = await http.get("/health")
        answer = await http.post("/execute", json=execute_body({}, task_type="swarm"))

    assert [one.status_code for one in failed] == [503, 503]
    told = "sometimes raised ConnectionError, so this executor does not start; the log has the traceback"
    assert failed[0].json() == {"status": "unhealthy", "message": told}
    assert failed[1].json()["error"] == {"code": "NOT_STARTED", "message": told, "retryable": True}
    assert (healthy.status_code, answer.status_code) == (200, 200)
    assert len(warnings(caplog)) == 1


@pytest.mark.anyio
async def test_a_caller_who_leaves_does_not_stop_the_start_for_others() -> None:
    """They wait for the same one."""
    go_on = asyncio.Event()

    async def slow() -> AsyncIterator[Pools]:
        log.append("open")
        await go_on.wait()
        yield Pools()

    async with mounted(an_executor(slow)) as http, asyncio.TaskGroup() as group:
        first = group.create_task(http.get("/health"))
        second = group.create_task(http.get("/health"))
        while not log:
            await anyio.lowlevel.checkpoint()
        first.cancel()
        await asyncio.wait([first])
        go_on.set()
        assert (await second).status_code == 200

    assert log == ["open"]


@pytest.mark.anyio
async def test_a_websocket_starts_nothing() -> None:
    """There is none to be had."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await an_executor()({"type": "websocket", "path": "/"}, asyncio.Event().wait, send)  # type: ignore[arg-type]

    assert sent[0]["type"] == "websocket.close"
    assert log == []
