"""What the WattSwarm kernel sends is understood, and what its reference runtime answers is accepted."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from starlette.responses import JSONResponse

from executor_sdk import Executor, ExecutorClient, Task, in_process
from executor_sdk.client.pool import pooled_http

pytestmark = pytest.mark.anyio

#: Recorded from the WattSwarm kernel and its reference runtime (wattetheria/wattswarm at fafc797).
CALLS: list[dict[str, Any]] = [
    json.loads(line) for line in (Path(__file__).parents[1] / "data" / "reference_calls.jsonl").read_text().splitlines()
]


def of(path: str) -> list[dict[str, Any]]:
    """The recorded calls to one endpoint."""
    found = [call for call in CALLS if call["path"] == path]
    assert found
    return found


@pytest.mark.parametrize("path", ["/capabilities", "/execute", "/verify"])
async def test_every_recorded_answer_is_accepted_by_the_client(path: str) -> None:
    """And comes back as it was sent."""
    for call in of(path):
        sent = call["response"]
        async with pooled_http(httpx2.ASGITransport(JSONResponse(sent))) as http:
            client = ExecutorClient("http://runtime.test", http=http)
            asks: dict[str, Callable[[], Awaitable[Any]]] = {
                "/capabilities": client.describe,
                "/execute": partial(client.execute, call["request"]),
                "/verify": partial(client.verify, call["request"]),
            }
            with anyio.fail_after(5):
                assert await asks[path]() == sent


def test_every_recorded_request_reaches_its_function_with_its_facts() -> None:
    """The second round carries the kernel's signal and a knowledge seed."""
    executor = Executor("acme", "m-1")
    facts: list[tuple[Any, ...]] = []

    @executor.execute
    def handler(inputs: dict[str, Any], task: Task) -> dict[str, Any]:
        facts.append((task.agent_id, task.attempt, task.round, task.signal, bool(task.seeds), task.prompt))
        return {"answer": task.prompt}

    with in_process(executor) as rt:
        for call in of("/execute"):
            answer = rt.send("/execute", call["request"])
            assert answer.status == 200, answer.excerpt
        for call in of("/verify"):
            answer = rt.send("/verify", call["request"])
            assert answer.status == 200, answer.excerpt
            assert json.loads(answer.body)["passed"] is call["response"]["passed"]

    assert len(facts) == len(of("/execute"))
    for (agent, attempt, number, signal, seeded, prompt), call in zip(facts, of("/execute"), strict=True):
        inputs = call["request"]["inputs"]
        assert (agent, prompt) == (inputs["agent_id"], inputs["prompt"])
        assert call["request"]["task_id"].endswith(f"-{agent}-{attempt}")
        assert (number, signal) == ((2, "NEED_DECISION") if "_aggregation_signal" in inputs else (1, None))
        assert seeded is bool((call["request"]["seed_bundle"] or {}).get("hits"))
