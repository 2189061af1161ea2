"""Steps that outlive their callers, in the timing of recorded runs scaled down: one side effect, one answer.

`tests/data/slow_steps.jsonl` is recorded from the WattSwarm kernel, wattetheria/wattswarm at fafc797: a 35 s step whose
caller hung up five times, and a 40 s step under two workers that never ended. Seconds there are hundredths here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from executor_sdk.authoring.task import Task
from executor_sdk.client.executor_client import ExecutorClient
from executor_sdk.errors import ExecutorUnreachableError
from executor_sdk.executor import Executor
from executor_sdk.testing.server import serve

pytestmark = pytest.mark.anyio

SCALE = 1 / 100
RECORDED = {
    line["run"]: line
    for line in map(json.loads, (Path(__file__).parents[2] / "data" / "slow_steps.jsonl").read_text().splitlines())
}


class SlowStep:
    """An executor whose one handler takes its time and counts its side effects."""

    def __init__(self, work_ms: int) -> None:
        self.effects: list[str] = []
        self.executor = Executor(provider_family="test", model_id="slow-1", timeout_s=30)

        @self.executor.execute("swarm")
        async def slowly(inputs: dict[str, Any], task: Task) -> dict[str, Any]:
            await anyio.sleep(work_ms / 1000 * SCALE)
            self.effects.append(task.execution_id)
            return {"answer": "late", "decision": "go"}


@pytest.fixture
def slow_step() -> Iterator[Callable[[int], tuple[SlowStep, str]]]:
    """Serves a step of so many milliseconds on a real port."""
    served = []

    def start(work_ms: int) -> tuple[SlowStep, str]:
        step = SlowStep(work_ms)
        server = serve(step.executor)
        served.append(server)
        return step, server.__enter__().url

    yield start
    for server in served:
        server.__exit__(None, None, None)


def attempt(recorded: dict[str, Any], number: int) -> bytes:
    """The recorded request as attempt `number` sends it: other ids, the same step."""
    first = recorded["first"]
    calls = {call["task_id"]: call["execution_id"] for call in recorded["calls"]}
    task_id = first["task_id"].removesuffix("-1") + f"-{number}"
    execution_id = calls.get(task_id, f"exec-p-{number}")
    contract = {**first["task_contract"], "task_id": task_id}
    return json.dumps(
        {
            **first,
            "task_id": task_id,
            "execution_id": execution_id,
            "attempt_id": execution_id,
            "task_contract": contract,
        }
    ).encode()


async def test_a_step_slower_than_its_callers_timeout_is_done_once(
    slow_step: Callable[..., tuple[SlowStep, str]],
) -> None:
    """35 s of work, a caller that hangs up after 30 s and resends: the second copy brings the answer."""
    recorded = RECORDED["slow-35s"]
    step, url = slow_step(recorded["work_ms"])

    with anyio.fail_after(10):
        async with httpx2.AsyncClient() as http:
            client = ExecutorClient(url, timeout_s=recorded["cut_after_ms"] / 1000 * SCALE, http=http)
            answer = await client.execute(attempt(recorded, 1))

    assert answer["candidate_output"] == {"answer": "late", "decision": "go"}
    assert step.effects == [recorded["first"]["execution_id"]]


async def test_two_workers_at_one_step_share_its_work(slow_step: Callable[..., tuple[SlowStep, str]]) -> None:
    """40 s of work: the second worker takes over at 30 s as attempt 2, while attempt 1 still asks."""
    recorded = RECORDED["two-workers-40s"]
    step, url = slow_step(recorded["work_ms"])
    cut_s = recorded["cut_after_ms"] / 1000 * SCALE
    answers: list[Any] = []

    async with httpx2.AsyncClient() as http:

        async def worker(number: int, after_s: float) -> None:
            await anyio.sleep(after_s)
            answers.append(await ExecutorClient(url, timeout_s=cut_s, http=http).execute(attempt(recorded, number)))

        with anyio.fail_after(10):
            async with anyio.create_task_group() as group:
                group.start_soon(worker, 1, 0)
                group.start_soon(worker, 2, cut_s)

    assert len(answers) == 2
    assert answers[0] == answers[1]
    assert step.effects == [recorded["first"]["execution_id"]]


async def test_the_answer_reaches_the_attempt_that_asks_last(slow_step: Callable[..., tuple[SlowStep, str]]) -> None:
    """Attempts 1 to 3 each ask once and give up; the work goes on between them and attempt 4 gets its answer."""
    recorded = RECORDED["two-workers-40s"]
    step, url = slow_step(3 * recorded["work_ms"])

    with anyio.fail_after(10):
        async with httpx2.AsyncClient() as http:
            client = ExecutorClient(url, timeout_s=recorded["cut_after_ms"] / 1000 * SCALE, resends=0, http=http)
            for number in (1, 2, 3):
                with pytest.raises(ExecutorUnreachableError):
                    await client.execute(attempt(recorded, number))
            patient = ExecutorClient(url, timeout_s=5, http=http)
            answer = await patient.execute(attempt(recorded, 4))

    assert answer["candidate_output"]["answer"] == "late"
    assert len(step.effects) == 1


async def test_five_overlapping_copies_get_the_same_bytes(slow_step: Callable[..., tuple[SlowStep, str]]) -> None:
    """One opens the work and four join it; a sixth, later, is a replay."""
    recorded = RECORDED["slow-35s"]
    step, url = slow_step(recorded["work_ms"])
    body, responses = attempt(recorded, 1), list[httpx2.Response]()

    async with httpx2.AsyncClient() as http:

        async def copy() -> None:
            responses.append(await http.post(f"{url}/execute", content=body))

        with anyio.fail_after(10):
            async with anyio.create_task_group() as group:
                for _ in range(5):
                    group.start_soon(copy)
            replay = await http.post(f"{url}/execute", content=body)

    assert {response.status_code for response in responses} == {200}
    assert len({response.content for response in (*responses, replay)}) == 1
    assert sum(response.headers.get("executor-joined") == "true" for response in responses) == 4
    assert replay.headers["executor-replayed"] == "true"
    assert len(step.effects) == 1
