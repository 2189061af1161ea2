"""A handler asks another executor: one work there for all copies and attempts here, and its refusals passed on."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx2
import pytest
from pydantic import BaseModel

from executor_sdk import Executor, ExecutorClient, Refuse, Task, TryLater
from executor_sdk.client.asks import execute_body
from executor_sdk.client.pool import pooled_http
from executor_sdk.protocol.plain import Json
from executor_sdk.testing.server import running, serve
from executor_sdk.transports.asgi.app import Application

pytestmark = pytest.mark.anyio

PEER = "http://peer.test"


class Part(BaseModel):
    """A part of the work, done by the other executor."""

    answer: str
    share: float


class Peer:
    """The other executor, and how often it did what it was asked for."""

    def __init__(self) -> None:
        self.effects = Counter[str]()
        self.tasks: list[Task] = []
        self.executor = Executor("acme", "peer-1")
        self.raises: Exception | None = None

        @self.executor.execute("part")
        def part(inputs: dict[str, Any], task: Task) -> dict[str, Json]:
            self.effects[inputs["region"]] += 1
            self.tasks.append(task)
            if self.raises is not None:
                raise self.raises
            return {"answer": inputs["region"], "share": 0.5 if inputs["region"] != "odd" else "half"}


@asynccontextmanager
async def gateway(peer: ExecutorClient, **options: Any) -> AsyncIterator[httpx2.AsyncClient]:
    """An executor that asks the peer for two parts, or hands the whole task on."""
    executor = Executor("acme", "gateway-1", adopt=False, **options)

    @executor.execute("whole")
    async def whole(inputs: dict[str, Any], task: Task) -> dict[str, Json]:
        parts = [
            await peer.ask({"region": region}, task_type="part", profile="default", as_=Part, within=task)
            for region in inputs["regions"]
        ]
        return {
            "answer": " ".join(part.output.answer for part in parts),
            "sum": sum(part.output.share for part in parts),
        }

    @executor.execute("handed-on")
    async def hand_on(task: Task) -> dict[str, Json]:
        done = await task.forward(peer, task_type="part")
        answer: dict[str, Json] = done.output
        return answer

    app = executor.application()
    async with running(app), caller(app) as http:
        yield http


def caller(app: Application) -> httpx2.AsyncClient:
    """Calls an application without sockets."""
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://gateway.test", trust_env=False)


@asynccontextmanager
async def connected(peer: Executor) -> AsyncIterator[ExecutorClient]:
    """A client of the peer."""
    app = peer.application()
    async with running(app), pooled_http(httpx2.ASGITransport(app)) as http:
        yield ExecutorClient(PEER, http=http, resends=0)


def body(inputs: Json, *, task_type: str = "whole", attempt: int = 1) -> dict[str, Json]:
    """An attempt at one step, as a kernel asks for it."""
    made = execute_body({"agent_id": "a", **inputs}, task_type=task_type, run_id="r", execution_id=f"exec-{attempt}")
    made["task_id"] = made["task_contract"]["task_id"] = f"run-r-a-{attempt}"
    return made


async def test_copies_and_attempts_are_one_work_there() -> None:
    """Also where this executor does the work again, as after a restart; each part is a work of its own."""
    peer = Peer()
    asked = body({"regions": ["north", "south"]})
    async with connected(peer.executor) as client:
        async with gateway(client) as http:
            first = await http.post("/execute", json=asked)
            await http.post("/execute", json=asked)
        async with gateway(client) as http:
            again = await http.post("/execute", json=asked)
            later = await http.post("/execute", json=body({"regions": ["north", "south"]}, attempt=2))

    assert first.json()["candidate_output"] == {"answer": "north south", "sum": 1.0}
    assert [answer.content for answer in (again, later)] == [first.content] * 2
    assert peer.effects == {"north": 1, "south": 1}
    assert len({task.execution_id for task in peer.tasks}) == 2
    assert {task.attempt for task in peer.tasks} == {1}


async def test_a_task_is_handed_on_with_all_that_belongs_to_it() -> None:
    """Inputs, contract, stage and seeds are those of the kernel; the ids are derived."""
    peer = Peer()
    asked = body({"region": "west", "prompt": "look"}, task_type="handed-on")
    asked["stage"], asked["seed_bundle"] = "DECIDE", {"hits": [{"decision": "GROWTH"}]}
    asked["task_contract"]["budget"]["time_ms"] = 7
    async with connected(peer.executor) as client, gateway(client) as http:
        answer = await http.post("/execute", json=asked)

    (task,) = peer.tasks
    assert answer.json()["candidate_output"] == {"answer": "west", "share": 0.5}
    assert (task.prompt, task.stage, task.seeds) == ("look", "DECIDE", [{"decision": "GROWTH"}])
    assert task.contract["budget"]["time_ms"] == 7
    assert task.contract["task_type"] == task.task_type == "part"
    assert task.execution_id != "exec-1"


@pytest.mark.parametrize(
    ("raised", "expected", "retry_after"),
    [
        (Refuse("NO_SALES", "there are none"), (422, "NO_SALES"), None),
        (TryLater("busy", after_s=7), (503, "TRY_LATER"), "7"),
        (ValueError("a fault of the other"), (503, "TRY_LATER"), "1"),
    ],
)
async def test_what_the_other_executor_says_is_passed_on(
    raised: Exception, expected: tuple[int, str], retry_after: str | None
) -> None:
    """A final refusal stays final, and what may be tried again says after which time; its address is not told."""
    peer = Peer()
    peer.raises = raised
    async with connected(peer.executor) as client, gateway(client) as http:
        answer = await http.post("/execute", json=body({"regions": ["north"]}))

    assert (answer.status_code, answer.json()["error"]["code"]) == expected
    assert answer.headers.get("retry-after") == retry_after
    assert "peer.test" not in answer.text


@pytest.mark.parametrize(
    ("status", "expected", "sentence"),
    [
        (429, 503, "429 Too Many Requests: slow down"),
        (404, 422, "404 Not Found: slow down"),
        (0, 503, "gave no answer"),
    ],
)
async def test_a_stranger_behind_this_executor_is_passed_on_by_its_status(
    status: int, expected: int, sentence: str
) -> None:
    """A status that speaks of the moment is not final, and silence is not either."""

    async def stranger(request: httpx2.Request) -> httpx2.Response:
        if not status:
            raise httpx2.ConnectError("nobody is there")
        return httpx2.Response(status, stream=httpx2.ByteStream(b"slow down"))

    async with pooled_http(httpx2.MockTransport(stranger)) as strange:
        client = ExecutorClient(PEER, http=strange, resends=0)
        async with gateway(client) as http:
            answer = await http.post("/execute", json=body({"regions": ["north"]}))

    assert answer.status_code == expected
    assert sentence in answer.json()["error"]["message"]
    assert "peer.test" not in answer.text


async def test_an_output_of_another_shape_names_the_place() -> None:
    """It is the other executor's fault, so another attempt may help."""
    peer = Peer()
    async with connected(peer.executor) as client, gateway(client) as http:
        answer = await http.post("/execute", json=body({"regions": ["odd"]}))

    assert answer.status_code == 503
    assert "an output that is no Part: $.share: Input should be a valid number" in answer.json()["error"]["message"]


async def test_new_work_is_asked_for_by_name() -> None:
    """Where what was done before was turned down; within the same attempt it stays one work."""
    peer = Peer()
    async with connected(peer.executor) as client:
        executor = Executor("acme", "gateway-1", adopt=False)

        @executor.execute("whole")
        async def whole(inputs: dict[str, Any], task: Task) -> dict[str, Json]:
            done = await client.ask(
                {"region": "north"}, task_type="part", profile="default", within=task, new_work=True
            )
            answer: dict[str, Json] = done.output
            return answer

        app = executor.application()
        async with running(app), caller(app) as http:
            for attempt in (1, 2):
                await http.post("/execute", json=body({}, attempt=attempt))

    assert peer.effects == {"north": 2}


async def test_where_one_of_several_asked_at_once_refuses_the_others_are_let_go() -> None:
    """A task group leaves no orphans: its refusal is the answer, and what nobody waits for stops after its linger."""
    peer = Executor("acme", "peer-1", linger_ms=10)
    ends = dict[str, anyio.Event]()

    @peer.execute("part")
    async def part(inputs: dict[str, Any]) -> dict[str, Json]:
        if inputs["region"] == "empty":
            while len(ends) < 2:
                await anyio.sleep(0.001)
            raise Refuse("NO_SALES", "there are none")
        ends[inputs["region"]] = anyio.Event()
        try:
            await anyio.sleep_forever()
        finally:
            ends[inputs["region"]].set()
        return {}

    executor = Executor("acme", "gateway-1")
    with serve(peer) as server:

        @executor.execute("whole")
        async def whole(task: Task) -> dict[str, Json]:
            async with ExecutorClient(server.url) as client, asyncio.TaskGroup() as group:
                for region in ("north", "south", "empty"):
                    group.create_task(client.ask({"region": region}, task_type="part", within=task))
            return {"answer": ""}

        app = executor.application()
        with anyio.fail_after(20):
            async with running(app), caller(app) as http:
                answer = await http.post("/execute", json=body({}))
            for region in ("north", "south"):
                while not ends[region].is_set():
                    await anyio.sleep(0.005)

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "NO_SALES")
