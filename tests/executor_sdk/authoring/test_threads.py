"""Blocked handlers take threads of their own, and nothing else of a server waits for one of those."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from executor_sdk import Executor, Task
from executor_sdk.client.asks import execute_body
from executor_sdk.testing.server import serve

#: More than the threads that anyio has for everybody, and than the kit has for handlers.
BLOCKED = 100


@pytest.mark.anyio
async def test_a_hundred_blocked_handlers_hold_up_neither_health_nor_answers(tmp_path: Path) -> None:
    """Nor what needs a thread itself: a plain health check, a file that is fetched, a large body that is read."""
    release, blocked = threading.Event(), threading.Semaphore(0)
    (tmp_path / "rows").write_bytes(b"1,2")
    executor = Executor("acme", "m-1", max_concurrency=BLOCKED + 10, threads=40, file_roots=(tmp_path,))

    @executor.execute("blocks", timeout_s=30)
    def blocks(inputs: dict[str, Any]) -> dict[str, Any]:
        blocked.release()
        release.wait(30)
        return {"answer": "late"}

    @executor.execute("reads")
    async def reads(inputs: dict[str, Any], task: Task) -> dict[str, Any]:
        return {"answer": (await task.fetch(f"file://{tmp_path}/rows")).decode()}

    @executor.health
    def well() -> bool:
        return threading.current_thread() is not threading.main_thread()

    with serve(executor) as server, anyio.fail_after(30):
        limits = httpx2.Limits(max_connections=2 * BLOCKED)
        async with httpx2.AsyncClient(base_url=server.url, limits=limits, timeout=30, trust_env=False) as http:
            asks = [http.post("/execute", json=execute_body({"n": n}, task_type="blocks")) for n in range(BLOCKED)]
            callers = [asyncio.create_task(ask) for ask in asks]
            for _ in range(40):
                await asyncio.to_thread(blocked.acquire, timeout=20)
            while (await http.get("/health")).json()["running"] < BLOCKED:
                await anyio.sleep(0.01)

            health = await http.get("/health")
            padding = "x" * 300_000
            answer = await http.post("/execute", json=execute_body({"padding": padding}, task_type="reads"))
            assert not blocked.acquire(blocking=False)
            release.set()
            late = await asyncio.gather(*callers)

    assert (health.status_code, health.json()["status"]) == (200, "ok")
    assert answer.json()["candidate_output"] == {"answer": "1,2"}
    assert {one.status_code for one in late} == {200}
