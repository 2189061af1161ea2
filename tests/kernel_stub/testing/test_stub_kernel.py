"""The stub kernel in a test: a run from its specification to its result, over ASGI, without a socket."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest

from executor_sdk import Executor, Refuse
from kernel_stub.log.head import head_document
from kernel_stub.testing.app_transport import AppTransport
from kernel_stub.testing.plugin import NewStubKernel, stub_kernel
from kernel_stub.testing.stub_kernel import stub_kernel as new_stub_kernel

__all__ = ["stub_kernel"]

pytestmark = pytest.mark.anyio


def _voter() -> Executor:
    """An executor that votes as its prompt says."""
    executor = Executor(provider_family="tests", model_id="voter-1")

    @executor.execute("swarm")
    async def vote(inputs: dict[str, Any]) -> dict[str, Any]:
        if inputs["prompt"] == "refuse":
            raise Refuse("NO", "told to refuse")
        return {"decision": inputs["prompt"], "answer": inputs["prompt"], "confidence": 0.9}

    return executor


def _agents(*prompts: str) -> list[dict[str, Any]]:
    return [{"agent_id": f"a{n}", "executor": "rt", "prompt": prompt} for n, prompt in enumerate(prompts)]


async def test_a_run_goes_from_its_specification_to_a_decision_and_a_log_that_holds(stub_kernel: NewStubKernel) -> None:
    """Three agents, two agree; every event that it took verifies and replays."""
    async with stub_kernel({"rt": _voter()}) as kernel:
        result = await kernel.run({"run_id": "r", "agents": _agents("yes", "no", "yes"), "aggregation": {"quorum": 2}})
        verified = await kernel.kernel.audit.verify()
        replay = await kernel.kernel.audit.replay()
        why = (await kernel.api.get("/api/run/why/r")).json()["why"]
        over_http = (await kernel.api.get("/api/run/result/r")).json()["result"]
        head = (await kernel.api.get("/api/log/head")).json()
        checks = [(await kernel.api.post(f"/api/log/{check}")).json() for check in ("verify", "replay")]
        node = (await kernel.api.get("/api/node/status")).json()

    assert result["status"] == "FINALIZED"
    assert result["result"]["aggregation"]["final_decision"] == "YES"
    assert result["result"]["aggregation"]["decision_votes"] == {"NO": 1, "YES": 2}
    assert over_http == result
    assert head == {"ok": True, "head": verified.events, "signed_head": head_document(verified)}
    assert checks == [{"ok": True, "message": "verified"}, {"ok": True, "message": "replayed"}]
    assert (node["running"], node["node_id"]) == (True, kernel.kernel.identity.node_id)
    assert (verified.events > 0, replay.finalized()) == (True, 3)
    assert 0 < len(why) <= 6


async def test_a_run_whose_every_step_is_refused_fails(tmp_path: Path) -> None:
    """A 4xx is final: one attempt each, and the run ends FAILED."""
    async with new_stub_kernel({"rt": _voter()}, state_dir=tmp_path) as kernel:
        spec = {
            "run_id": "r",
            "agents": _agents("refuse"),
            "aggregation": {"null_policy": {"chain": ["FINALIZE_NULL"]}},
        }
        result = await kernel.run(spec)

        letters = (await kernel.api.get("/api/run/dead-letters")).json()["dead_letters"]

    assert result["status"] == "FAILED"
    assert [(letter["step_id"], letter["attempt"]) for letter in letters] == [("r:a0", 1)]
    assert "422 Unprocessable Entity" in letters[0]["reason"]
    assert [step["attempt"] for step in result["result"]["aggregation"]["steps"]] == [1]


async def test_what_a_test_raises_inside_comes_out_as_it_is(tmp_path: Path) -> None:
    """A failing assertion must not arrive wrapped in a group."""
    with pytest.raises(LookupError, match="mine"):
        async with new_stub_kernel({}, state_dir=tmp_path):
            raise LookupError("mine")


async def test_no_request_leaves_the_process() -> None:
    """Whatever address a test makes up, there is nothing."""
    async with httpx2.AsyncClient(transport=AppTransport({})) as http:
        with pytest.raises(httpx2.ConnectError):
            await http.get("http://10.0.1.5:8080/health")


async def test_a_worker_of_the_kernel_can_be_killed_at_every_commit_and_send(tmp_path: Path) -> None:
    """T1 included, which is the worker's own and not the attempt's."""
    reached: list[str] = []
    async with new_stub_kernel({"rt": _voter()}, state_dir=tmp_path, worker=False) as stub:
        agents = [{"agent_id": "a", "executor": "rt", "prompt": "GROWTH"}]
        await stub.kernel.runs.submit({"run_id": "r", "agents": agents}, kickoff=True)
        await stub.kernel.worker(failpoint=reached.append).run(once=True)

    points = ("T1", "T2", "execute", "T3", "verify", "T4")
    assert list(dict.fromkeys(reached)) == [f"{point}:{side}" for point in points for side in ("before", "after")]
