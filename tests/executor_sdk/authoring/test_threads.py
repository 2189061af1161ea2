"""Where functions run: blocked ones hold up nothing else, and an author may choose one thread, or a process."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import anyio.to_process
import httpx2
import pytest

from executor_sdk import Executor, Task, TaskTimeoutError, in_process
from executor_sdk.authoring.calling import Surroundings
from executor_sdk.authoring.threads import Threads
from executor_sdk.cancelling import Alarms
from executor_sdk.client.asks import execute_body
from executor_sdk.testing.server import serve
from executor_sdk.testing.tasks import a_task

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


class OneThread(ThreadPoolExecutor):
    """What a library needs that may be called from one thread only."""


def test_a_library_that_wants_one_thread_gets_it_from_a_lifespan() -> None:
    """Plain functions have any of many threads; so an `async def` hands it to the one, which no deadline can stop."""
    threads = list[str]()

    async def one_thread() -> AsyncIterator[OneThread]:
        with OneThread(1, thread_name_prefix="the one") as one:
            yield one

    executor = Executor("acme", "m-1", lifespan=one_thread)

    @executor.execute
    async def ask(inputs: dict[str, Any], one: OneThread) -> dict[str, Any]:
        name = await asyncio.get_running_loop().run_in_executor(one, lambda: threading.current_thread().name)
        threads.append(name)
        return {"answer": name}

    with in_process(executor) as rt:
        for n in range(5):
            rt.execute({"n": n})

    assert threads == ["the one_0"] * 5


@pytest.mark.anyio
async def test_what_runs_in_a_process_of_its_own_is_killed_at_its_deadline() -> None:
    """Python cannot stop a thread; a process it can."""
    executor = Executor("acme", "m-1")

    @executor.execute("t")
    async def solve() -> dict[str, Any]:
        await anyio.to_process.run_sync(signal.pause, cancellable=True)
        return {"answer": ""}

    handler = executor.registry.find("t", "default")
    with anyio.fail_after(20):
        # It is kept for the next call.
        process_id = await anyio.to_process.run_sync(os.getpid)
        os.kill(process_id, 0)
        with pytest.raises(TaskTimeoutError, match="solve did not finish within"):
            await handler.call({}, a_task(), Surroundings(Threads(1)), Alarms(0.05))
        while is_there(process_id):
            await anyio.sleep(0.01)


def is_there(process_id: int) -> bool:
    """Whether the process still runs."""
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True
