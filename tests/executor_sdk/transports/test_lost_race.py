"""A success is kept until somebody says no: a recorded race under two workers, played for two hundred steps at once.

Seconds of the recording are hundredths here. Both attempts are answered and both verdicts are `passed`, but the kernel
that settles second finds its lease taken, and attempt 3 asks.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import aiohttp
import anyio
import pytest

from executor_sdk.authoring.task import Task
from executor_sdk.client.asks import Asked, verify_body
from executor_sdk.executor import Executor
from executor_sdk.protocol.requests import execute_request, sample_contract
from executor_sdk.testing.server import serve

pytestmark = pytest.mark.anyio

RECORDED: Final = json.loads((Path(__file__).parents[2] / "data" / "lost_race.json").read_text())
HUNG_UP: Final = "caller hung up"
SCALE: Final = 1 / 100
STEPS: Final = 200
#: Seconds for which a caller waits who is answered in the end.
PATIENCE_S: Final = 30.0
#: The steps begin one after another in this time, so that one machine can play both sides.
BEGIN_S: Final = 2.0


class Race:
    """One step: the recorded calls, the verdicts, and the attempts after them."""

    def __init__(self, number: int, url: str, http: aiohttp.ClientSession) -> None:
        self._number = number
        self._url = url
        self._http = http
        self.answers = list[bytes]()
        self.hang_ups = 0

    @property
    def agent(self) -> str:
        """The step's agent, in whose name effects are counted."""
        return f"a{self._number}"

    def request(self, task_id: str, execution_id: str) -> dict[str, Any]:
        """The body of an attempt; `task_id` ends in its number."""
        contract = sample_contract(
            task_id=f"run-slow-130-{self.agent}-{task_id.rpartition('-')[2]}",
            task_type="swarm",
            inputs={"agent_id": self.agent, "prompt": "slow"},
            expiry_ms=2**42,
        )
        return execute_request(contract, execution_id=f"{execution_id}-{self._number}")

    async def play(self) -> None:
        """The recorded calls, each at its time."""
        async with anyio.create_task_group() as group:
            for call in RECORDED["calls"]:
                if call["path"] == "/execute":
                    group.start_soon(self._call, call)

    async def judge(self, task_id: str, execution_id: str, **changed: Any) -> bool:
        """Whether the verdict on an attempt's candidate is `passed`."""
        asked = Asked(self.request(task_id, execution_id), json.loads(self.answers[0]))
        return bool(json.loads(await self._post("/verify", verify_body(asked, **changed)))["passed"])

    async def attempt(self, number: int) -> bytes:
        """The answer to one more attempt."""
        return await self._post("/execute", self.request(f"t-{number}", f"exec-{number}"))

    async def _call(self, call: dict[str, Any]) -> None:
        await anyio.sleep(call["at_ms"] / 1000 * SCALE)
        # An answered caller had more patience than it needed.
        patience_s = call["ms"] / 1000 * SCALE if call["status"] == HUNG_UP else PATIENCE_S
        request = self.request(call["task_id"], call["execution_id"])
        try:
            self.answers.append(await self._post("/execute", request, patience_s))
        except TimeoutError:
            self.hang_ups += 1

    async def _post(self, path: str, body: dict[str, Any], patience_s: float = PATIENCE_S) -> bytes:
        """The bytes of the answer. A closed connection is none, and kernels send again."""
        for sends_left in reversed(range(5)):
            try:
                async with self._http.post(
                    f"{self._url}{path}", json=body, timeout=aiohttp.ClientTimeout(patience_s)
                ) as answer:
                    assert answer.status == 200, await answer.text()
                    return await answer.read()
            except aiohttp.ClientConnectionError:
                if not sends_left:
                    raise
        raise AssertionError


@pytest.fixture(params=["memory", "file"])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Counter[str]]]:
    """The address of a served executor whose steps take as long as the recorded one, and its side effects."""
    ledger = tmp_path / "ledger.sqlite" if request.param == "file" else None
    executor = Executor("test", "race-1", timeout_s=30, max_concurrency=STEPS, ledger=ledger)
    effects = Counter[str]()

    @executor.execute("swarm")
    async def slowly(inputs: dict[str, Any], task: Task) -> dict[str, Any]:
        effects[inputs["agent_id"]] += 1
        await anyio.sleep(RECORDED["work_ms"] / 1000 * SCALE)
        return {"answer": uuid4().hex}

    with serve(executor) as server:
        yield server.url, effects


async def test_an_attempt_after_a_lost_race_gets_the_answer_that_was_there(served: tuple[str, Counter[str]]) -> None:
    """The same bytes and one side effect; after a verdict that is not `passed`, new work."""
    url, effects = served
    last = [call for call in RECORDED["calls"] if call["path"] == "/verify"]
    attempts = {call["execution_id"]: call["task_id"] for call in RECORDED["calls"] if call["task_id"]}
    hang_ups = Counter[str]()

    async def race(number: int, http: aiohttp.ClientSession) -> None:
        step = Race(number, url, http)
        await anyio.sleep(number / STEPS * BEGIN_S)
        await step.play()
        for call in last:
            assert await step.judge(attempts[call["execution_id"]], call["execution_id"])
        await anyio.sleep(RECORDED["next_attempt_after_ms"] / 1000 * SCALE)

        third = await step.attempt(3)

        assert {third} == set(step.answers)
        assert effects[step.agent] == 1
        assert not await step.judge("t-3", "exec-3", output={"answer": 5})
        assert await step.attempt(4) != third
        assert effects[step.agent] == 2
        hang_ups["all"] += step.hang_ups

    connector = aiohttp.TCPConnector(limit=0)
    with anyio.fail_after(60):
        async with aiohttp.ClientSession(connector=connector) as http, anyio.create_task_group() as group:
            for number in range(STEPS):
                group.start_soon(race, number, http)

    assert hang_ups["all"] > STEPS
    assert len(effects) == STEPS
