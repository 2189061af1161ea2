"""Who is alive is asked of the operating system: no silence, stop or clock makes a second process do a step again.

Two real processes on one ledger; one has the work, the other gets the next attempt at the same step.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx2
import orjson
import pytest

from benchmarks.trouble import Processes
from executor_sdk.protocol.requests import execute_request, output_ref, sample_contract, verify_request

pytestmark = pytest.mark.anyio

FAR_FUTURE_MS = 4_102_444_800_000
STRANGERS = 24


@dataclass
class Scene:
    """Two processes, and a caller that has patience."""

    processes: Processes
    http: httpx2.AsyncClient

    async def ask(
        self, number: int, *, attempt: int, step: str = "a", task_type: str = "waiting", work_s: float = 1.0
    ) -> httpx2.Response:
        """Ask process `number` for one attempt at a step."""
        inputs = {"agent_id": step, "work_s": work_s}
        task_id = f"run-live-{step}-{attempt}"
        contract = sample_contract(task_id=task_id, task_type=task_type, inputs=inputs, expiry_ms=FAR_FUTURE_MS)
        request = execute_request(contract, execution_id=f"exec-{step}-{attempt}")
        return await self.http.post(f"{self.processes.urls[number]}/execute", json=request)

    async def until_done(self, effects: int = 1) -> None:
        """Wait until so many side effects have begun."""
        while len(self.processes.effects()) < effects:
            await anyio.sleep(0.01)

    async def both(
        self,
        meanwhile: Callable[[], Coroutine[Any, Any, object]] | None = None,
        *,
        task_type: str = "waiting",
        work_s: float = 1.0,
    ) -> list[httpx2.Response]:
        """The answers of attempt 1 at the first process, and of attempt 2 at the second once the work runs."""
        answers = list[httpx2.Response]()

        async def attempt(number: int) -> None:
            answers.append(await self.ask(number - 1, attempt=number, task_type=task_type, work_s=work_s))

        with anyio.fail_after(30):
            async with anyio.create_task_group() as group:
                group.start_soon(attempt, 1)
                await self.until_done()
                if meanwhile is not None:
                    group.start_soon(meanwhile)
                group.start_soon(attempt, 2)
        return answers

    def steps(self) -> list[str]:
        """The steps of all side effects."""
        return [effect.step for effect in self.processes.effects()]


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    """Both processes answer."""
    processes = Processes(tmp_path)
    try:
        await processes.start(0)
        await processes.start(1)
        await processes.ready()
        async with httpx2.AsyncClient(timeout=30, trust_env=False) as http:
            yield Scene(processes, http)
    finally:
        await processes.end()


def check_once(scene: Scene, answers: list[httpx2.Response]) -> None:
    """Both attempts have the same bytes, and the work was done once."""
    assert [answer.status_code for answer in answers] == [200, 200], [answer.text for answer in answers]
    assert answers[0].content == answers[1].content
    assert scene.steps() == ["a"]


async def test_a_handler_that_blocks_the_event_loop_is_alive(scene: Scene) -> None:
    """It computes for longer than any heartbeat would be waited for."""
    check_once(scene, await scene.both(task_type="computing", work_s=4.0))


async def test_a_stopped_process_is_alive(scene: Scene) -> None:
    """SIGSTOP for longer than its work takes; once it goes on, its answer counts."""
    check_once(scene, await scene.both(partial(scene.processes.stop, 0, 4.5)))


async def test_a_clock_that_is_ahead_buries_nobody(scene: Scene) -> None:
    """Of the process that waits, by ten seconds, from the moment the work runs."""

    async def jump() -> None:
        scene.processes.set_clock(1, 10)

    check_once(scene, await scene.both(jump, work_s=2.0))


async def test_a_clock_set_back_after_a_kill_leaves_nothing_hanging(scene: Scene) -> None:
    """Whoever waits gets new work at once; the cut execution id is told."""
    killed = scene.processes

    async def kill() -> None:
        killed.set_clock(1, -3600)
        await killed.kill(0)

    async def lost() -> None:
        with pytest.raises(httpx2.TransportError):
            await scene.ask(0, attempt=1, work_s=0.5)

    waiting = list[httpx2.Response]()

    async def wait() -> None:
        waiting.append(await scene.ask(1, attempt=2, work_s=0.5))

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(lost)
            await scene.until_done()
            group.start_soon(wait)
            await kill()
        later = await scene.ask(1, attempt=3, work_s=0.5)
        copy = await scene.ask(1, attempt=1, work_s=0.5)

    assert [waiting[0].status_code, later.status_code, copy.status_code] == [200, 200, 503]
    assert waiting[0].content == later.content
    assert copy.json()["error"]["code"] == "TASK_LOST"
    assert scene.steps() == ["a", "a"]


async def test_strangers_with_large_bodies_bury_nobody(scene: Scene) -> None:
    """They keep the process that has the work as busy as they can, each with legal bodies of 4 MB."""
    body = large_verification()

    async def stranger(http: httpx2.AsyncClient, done: anyio.Event, statuses: list[int]) -> None:
        while not done.is_set():
            statuses.append((await http.post(f"{scene.processes.urls[0]}/verify", content=body)).status_code)

    statuses, done = list[int](), anyio.Event()
    async with httpx2.AsyncClient(timeout=60, trust_env=False) as http, anyio.create_task_group() as group:

        async def crowd() -> None:
            for _ in range(STRANGERS):
                group.start_soon(stranger, http, done, statuses)

        answers = await scene.both(crowd, work_s=4.0)
        done.set()

    check_once(scene, answers)
    assert len(statuses) >= STRANGERS
    assert set(statuses) <= {200, 503}


async def test_a_process_started_with_its_clock_ahead_forgets_nothing(scene: Scene) -> None:
    """By its own clock every answer of the others would be too old to keep."""
    with anyio.fail_after(20):
        first = await scene.ask(0, attempt=1, work_s=0.01)
        await scene.processes.kill(1)
        await scene.processes.start(1, ahead_s=5 * 3600)
        await scene.processes.ready()
        # New work: this is when a ledger is tidied up.
        await scene.ask(1, attempt=1, step="b", work_s=0.01)
        second = await scene.ask(1, attempt=2, work_s=0.01)

    assert second.content == first.content
    assert scene.steps() == ["a", "b"]


def large_verification() -> bytes:
    """A body of `POST /verify` of almost 4 MB that has to be read and judged."""
    output = {"answer": "x", "rows": [{"n": n, "name": f"row {n}"} for n in range(130_000)]}
    contract = sample_contract(task_id="t", task_type="waiting", inputs={}, expiry_ms=1)
    candidate = {
        "candidate_id": "c",
        "execution_id": "exec-stranger",
        "output_ref": output_ref(output, producer="p", created_at=1),
        "output": output,
        "evidence_inline": [],
        "evidence_refs": [],
    }
    row = {"type": "object", "required": ["n", "name"], "properties": {"n": {"type": "integer", "minimum": 0}}}
    schema = {"type": "object", "properties": {"rows": {"type": "array", "items": row}}}
    body = orjson.dumps(
        verify_request(candidate, output_schema=schema, policy=contract["acceptance"]["verifier_policy"])
    )
    assert 3_500_000 < len(body) < 4 * 1024 * 1024
    return body
