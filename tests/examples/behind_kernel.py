"""A run of three agents behind a kernel, over real sockets on loopback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
from starlette.types import ASGIApp

from executor_sdk.protocol.plain import Json
from executor_sdk.testing.server import serve
from kernel_stub.fleet.entries import valid_entry
from kernel_stub.kernel import open_kernel
from kernel_stub.rules.records import TERMINAL_RUN, ExecutorEntry, RunStatus
from kernel_stub.settings import KernelSettings

#: Seconds in which a run ends, also on a busy machine.
WITHIN_S = 60.0

AGENTS = ("a", "b", "c")


async def decided(
    app: ASGIApp,
    inputs: dict[str, Json],
    *,
    state_dir: Path,
    task_type: str = "swarm",
    agents: tuple[str, ...] = AGENTS,
) -> dict[str, Any]:
    """What a kernel makes of a run whose `agents` each have `inputs` done by `app`: its aggregation."""
    spec = {
        "run_id": "run-1",
        "task_type": task_type,
        "shared_inputs": inputs,
        "agents": [{"agent_id": agent, "executor": "rt", "prompt": f"You are {agent}."} for agent in agents],
    }
    with serve(app) as served:
        async with open_kernel(KernelSettings(state_dir)) as kernel, anyio.create_task_group() as group:
            await kernel.registry.add(valid_entry(ExecutorEntry("rt", served.url)))
            group.start_soon(kernel.worker().run)
            await kernel.runs.submit(spec, kickoff=True)
            with anyio.fail_after(WITHIN_S):
                while RunStatus((result := await kernel.runs.result("run-1"))["status"]) not in TERMINAL_RUN:
                    await anyio.sleep(0.01)
            group.cancel_scope.cancel()
    assert result["status"] == "FINALIZED", result
    aggregation: dict[str, Any] = result["result"]["aggregation"]
    return aggregation
