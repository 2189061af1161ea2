"""Cancel and retry over HTTP, as they were recorded.

The order of calls and the states are those recorded from the WattSwarm kernel, wattetheria/wattswarm at fafc797; one
thing is **ours**: the cancel of a run reaches the call that is under way, so the leased step ends CANCELLED.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from executor_sdk import Executor
from kernel_stub.testing.stub_kernel import StubKernel, stub_kernel

pytestmark = pytest.mark.anyio


class Scripted:
    """An executor whose `slow` agent waits to be cancelled, and whose `flaky` one fails the first time."""

    def __init__(self) -> None:
        self.begun = anyio.Event()
        self.calls = 0
        self.executor = Executor(provider_family="tests", model_id="scripted-1")

        @self.executor.execute("swarm", linger_s=0)
        async def act(inputs: dict[str, Any]) -> dict[str, Any]:
            self.calls += 1
            if inputs["agent_id"] == "slow":
                self.begun.set()
                await anyio.sleep_forever()
            if inputs["agent_id"] == "flaky" and self.calls == 1:
                raise RuntimeError("told to fail")
            return {"answer": "yes", "decision": "go"}


async def test_a_running_run_is_cancelled_and_stays_so(tmp_path: Path) -> None:
    """What has ended stays, what runs is cut, and the run can be neither retried nor kicked off again."""
    scripted = Scripted()
    async with stub_kernel({"scripted": scripted.executor}, state_dir=tmp_path, poll_ms=25, concurrency=1) as kernel:
        await _submit(kernel.api, "cancel-me", "quick", "slow")
        with anyio.fail_after(10):
            await scripted.begun.wait()

        cancelled = await kernel.api.post("/api/run/cancel/cancel-me")
        watch = await _until(kernel, "cancel-me", "CANCELLED")
        retried = await kernel.api.post("/api/run/retry/cancel-me")
        again = await kernel.api.post("/api/run/cancel/cancel-me")
        kicked_off = await kernel.api.post("/api/run/kickoff/cancel-me")
        after = await _watch(kernel, "cancel-me")
        await kernel.kernel.audit.replay()

    assert cancelled.json() == again.json() == {"ok": True, "run_id": "cancel-me", "cancelled": True}
    assert (watch["counts"]["succeeded"], watch["counts"]["cancelled"]) == (1, 1)
    assert (retried.status_code, retried.json()["error"]) == (409, "run is cancelled, cannot retry: cancel-me")
    assert kicked_off.json() == {"ok": True, "run_id": "cancel-me", "kicked_off": True}
    assert after == watch


async def test_a_failed_run_is_retried_and_a_finalized_one_is_left_alone(tmp_path: Path) -> None:
    """The second try counts on: attempt 2; a retry of what succeeded is accepted and changes nothing."""
    scripted = Scripted()
    async with stub_kernel({"scripted": scripted.executor}, state_dir=tmp_path, poll_ms=25) as kernel:
        await _submit(kernel.api, "retry-me", "flaky")
        failed = await _until(kernel, "retry-me", "FAILED")

        retried = await kernel.api.post("/api/run/retry/retry-me")
        finalized = await _until(kernel, "retry-me", "FINALIZED")
        result = (await kernel.api.get("/api/run/result/retry-me")).json()["result"]
        again = await kernel.api.post("/api/run/retry/retry-me")
        after = await _watch(kernel, "retry-me")
        await kernel.kernel.audit.replay()

    assert failed["counts"]["failed"] == 1
    assert retried.json() == again.json() == {"ok": True, "run_id": "retry-me", "retried": True}
    assert result["result"]["aggregation"]["steps"][0]["attempt"] == 2
    assert result["result"]["aggregation"]["final_decision"] == "GO"
    assert after == finalized


async def _submit(api: httpx2.AsyncClient, run_id: str, *agent_ids: str) -> None:
    agents = [
        {"agent_id": agent_id, "executor": "scripted", "prompt": "p", "priority": -n}
        for n, agent_id in enumerate(agent_ids)
    ]
    spec = {
        "run_id": run_id,
        "agents": agents,
        "retry": {"max_attempts": 1},
        "aggregation": {"null_policy": {"chain": ["FINALIZE_NULL"]}},
    }
    answer = await api.post("/api/run/submit", json={"spec": spec, "kickoff": True})
    assert answer.json() == {"ok": True, "run_id": run_id, "kicked_off": True}


async def _until(kernel: StubKernel, run_id: str, status: str) -> dict[str, Any]:
    with anyio.fail_after(10):
        while (watch := await _watch(kernel, run_id))["status"] != status:
            await anyio.sleep(0.01)
    return watch


async def _watch(kernel: StubKernel, run_id: str) -> dict[str, Any]:
    watch: dict[str, Any] = (await kernel.api.get(f"/api/run/watch/{run_id}")).json()["watch"]
    return watch
