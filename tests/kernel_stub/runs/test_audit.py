"""The audit of a log that lives, and of what a replay needs beside the log."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import anyio
import pytest

from kernel_stub.errors import TablesDifferError
from kernel_stub.testing.stub_kernel import StubKernel, stub_kernel
from tests.kernel_stub.scripted import Scripted

pytestmark = pytest.mark.anyio

#: Nobody agrees at first; whoever is asked again says the same.
_ROUNDS: Final = (
    '{"rounds": [{"out": {"answer": "x", "decision": "x"}}, {"out": {"answer": "x"}, "refs": ["sha256:n"]}]}',
    '{"rounds": [{"out": {"answer": "y", "decision": "y"}}, {"out": {"answer": "x"}, "refs": ["sha256:m"]}]}',
)


def spec(run_id: str, *prompts: str, **extra: Any) -> dict[str, Any]:
    """An agent for each prompt."""
    agents = [{"agent_id": f"a{n}", "executor": "rt", "prompt": prompt} for n, prompt in enumerate(prompts)]
    return {"run_id": run_id, "agents": agents, **extra}


async def _ended(stub: StubKernel, run_id: str) -> bool:
    return (await stub.kernel.runs.result(run_id))["finished_at"] is not None


async def test_a_log_that_lives_can_be_verified_and_replayed_at_any_moment(tmp_path: Path) -> None:
    """What is appended meanwhile is left to the next check."""
    checks = 0
    async with stub_kernel({"rt": Scripted()}, state_dir=tmp_path, concurrency=8) as stub:
        for n in range(3):
            await stub.kernel.runs.submit(spec(f"r{n}", *["{}"] * 20), kickoff=True)
        with anyio.fail_after(30):
            while not all([await _ended(stub, f"r{n}") for n in range(3)]):
                await stub.kernel.audit.verify()
                await stub.kernel.audit.replay()
                checks += 1
        replay = await stub.kernel.audit.replay()

    assert checks > 0
    assert replay.finalized() == 60


async def test_rounds_of_a_run_are_told_again_from_the_outputs_that_were_kept(tmp_path: Path) -> None:
    """A step that ran twice keeps its last result only; without what it said before, the round cannot be checked."""
    async with stub_kernel({"rt": Scripted()}, state_dir=tmp_path) as stub:
        result = await stub.run(spec("r", *_ROUNDS, aggregation={"quorum": 2}))
        events = await stub.kernel.runs.events("r")
        await stub.kernel.audit.replay()
        for kept in stub.kernel.settings.outputs_dir.rglob("*"):
            if kept.is_file():
                kept.unlink()

        assert result["result"]["aggregation"]["final_answer"] == "X"
        assert "RUN_NULL_REEXPLORE_TRIGGERED" in [event["event_type"] for event in events]
        with pytest.raises(TablesDifferError, match=r"the output of its task run-r-a\d-1 is no longer kept"):
            await stub.kernel.audit.replay()


async def test_every_way_a_run_can_end_is_told_again(tmp_path: Path) -> None:
    """Failed, partly failed, tried again, cancelled before it began."""
    async with stub_kernel({"rt": Scripted()}, state_dir=tmp_path, poll_ms=25) as stub:
        fails = '{"status": 422}'
        await stub.run(spec("failed", fails, fails))
        await stub.run(spec("partly", "{}", fails))
        await stub.kernel.runs.retry("partly")
        with anyio.fail_after(10):
            while not await _ended(stub, "partly"):
                await anyio.sleep(0.01)
        await stub.kernel.runs.submit(spec("cancelled", "{}"))
        await stub.kernel.runs.cancel("cancelled")
        await stub.kernel.runs.submit(spec("waiting", "{}"))

        await stub.kernel.audit.replay()
