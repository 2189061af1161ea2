"""What a person does to runs, over a real store."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from executor_sdk.protocol.plain import Json
from kernel_stub.errors import IllegalTransitionError, InvalidSpecError, RunExistsError, RunNotFoundError
from kernel_stub.kernel import open_kernel
from kernel_stub.settings import KernelSettings

pytestmark = pytest.mark.anyio

#: The run of the documents.
DOCUMENTED: Final = {
    "run_id": "analysis-run-001",
    "task_type": "swarm",
    "shared_inputs": {
        "topic": "quarterly-revenue-review",
        "data_url": "https://data.example.com/q3.json",
        "instructions": "Identify the top three revenue drivers and any anomalies.",
    },
    "agents": [
        {"agent_id": "analyst-a", "prompt": "Focus on geographic trends in the revenue data.", "executor": "rt"},
        {"agent_id": "analyst-b", "prompt": "Focus on product-line contributions.", "executor": "rt"},
        {"agent_id": "analyst-c", "prompt": "Focus on customer-segment shifts.", "executor": "rt"},
    ],
    "aggregation": {
        "quorum": 2,
        "tie_policy": {"chain": ["STOCHASTIC"]},
        "null_policy": {"chain": ["REEXPLORE", "FINALIZE_NULL"]},
    },
}

RUN_ID: Final = "analysis-run-001"


async def test_a_submitted_run_waits_for_its_kickoff(tmp_path: Path) -> None:
    """Nothing is due before; the kickoff queues every step."""
    async with open_kernel(KernelSettings(tmp_path)) as kernel:
        assert await kernel.runs.submit(DOCUMENTED) == {"run_id": RUN_ID, "kicked_off": False}
        created = await kernel.runs.watch(RUN_ID)
        await kernel.runs.kickoff(RUN_ID)
        queued = await kernel.runs.watch(RUN_ID)

    assert (created["status"], created["counts"]["created"], created["counts"]["queued"]) == ("CREATED", 3, 0)
    assert (queued["status"], queued["counts"]["created"], queued["counts"]["queued"]) == ("QUEUED", 0, 3)


async def test_watch_has_the_documented_keys_in_order(tmp_path: Path) -> None:
    """The command line prints them as they stand."""
    async with open_kernel(KernelSettings(tmp_path), clock=lambda: 1_000) as kernel:
        await kernel.runs.submit(DOCUMENTED)
        watch = await kernel.runs.watch(RUN_ID)

    names = ("created", "queued", "leased", "succeeded", "failed", "retry_wait", "cancelled", "remote_dispatched")
    assert list(watch.items()) == [
        ("run_id", RUN_ID),
        ("status", "CREATED"),
        ("task_type", "swarm"),
        ("created_at", 1_000),
        ("updated_at", 1_000),
        ("started_at", None),
        ("finished_at", None),
        ("counts", {name: 3 if name == "created" else 0 for name in names}),
    ]
    assert list(watch["counts"]) == list(names)


@pytest.mark.parametrize("wrapper", ["spec", "run_spec"])
@pytest.mark.parametrize("kickoff", [True, False, None])
async def test_a_wrapped_specification_says_itself_whether_it_is_kicked_off(
    tmp_path: Path, wrapper: str, kickoff: Json
) -> None:
    """One transaction: the run is never seen created but not queued."""
    async with open_kernel(KernelSettings(tmp_path)) as kernel:
        submitted = await kernel.runs.submit({wrapper: DOCUMENTED, "kickoff": kickoff})
        watch = await kernel.runs.watch(RUN_ID)
        events = await kernel.runs.events(RUN_ID)

    assert submitted["kicked_off"] is bool(kickoff)
    assert watch["status"] == ("QUEUED" if kickoff else "CREATED")
    expected = ["RUN_KICKOFF", "RUN_CREATED"] if kickoff else ["RUN_CREATED"]
    assert [event["event_type"] for event in events] == expected


async def test_the_same_run_twice_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    """A second submit of an id is a mistake of the caller, whatever its specification says."""
    async with open_kernel(KernelSettings(tmp_path)) as kernel:
        await kernel.runs.submit(DOCUMENTED)
        before = await kernel.runs.watch(RUN_ID)

        with pytest.raises(RunExistsError):
            await kernel.runs.submit({**DOCUMENTED, "agents": DOCUMENTED["agents"][:1]}, kickoff=True)  # type: ignore[index]

        assert await kernel.runs.watch(RUN_ID) == before
        assert len(await kernel.runs.events(RUN_ID)) == 1


async def test_a_refused_specification_leaves_no_run(tmp_path: Path) -> None:
    """The wrong agent is the last one, and still nothing is written of the others."""
    agents: list[Any] = [{"agent_id": f"a{n}", "prompt": "p", "executor": "rt"} for n in range(50)]
    async with open_kernel(KernelSettings(tmp_path)) as kernel:
        with pytest.raises(InvalidSpecError, match="duplicate agent_id: a7"):
            await kernel.runs.submit({"run_id": "r", "agents": [*agents, agents[7]]}, kickoff=True)

        with pytest.raises(RunNotFoundError):
            await kernel.runs.watch("r")
        assert await kernel.runs.events("r") == []


async def test_a_run_cancelled_before_its_kickoff_is_over_at_once(tmp_path: Path) -> None:
    """Every step is cancelled unrun, and the run with them; it cannot be retried, a kickoff does nothing."""
    async with open_kernel(KernelSettings(tmp_path)) as kernel:
        await kernel.runs.submit(DOCUMENTED)
        await kernel.runs.cancel(RUN_ID)
        await kernel.runs.cancel(RUN_ID)
        await kernel.runs.kickoff(RUN_ID)
        watch = await kernel.runs.watch(RUN_ID)

        with pytest.raises(IllegalTransitionError, match=f"run is cancelled, cannot retry: {RUN_ID}"):
            await kernel.runs.retry(RUN_ID)

    assert (watch["status"], watch["counts"]["cancelled"]) == ("CANCELLED", 3)


async def test_events_come_newest_first_and_no_more_than_asked_for(tmp_path: Path) -> None:
    """The limit cuts off the oldest; following goes the other way round."""
    async with open_kernel(KernelSettings(tmp_path)) as kernel:
        await kernel.runs.submit(DOCUMENTED)
        for _ in range(3):
            await kernel.runs.kickoff(RUN_ID)
        newest = await kernel.runs.events(RUN_ID, limit=2)
        since_first = await kernel.runs.events_after(RUN_ID, 1)

        assert await kernel.runs.events(RUN_ID, limit=0) == []
        assert len(await kernel.runs.events(RUN_ID, limit=10**9)) == 4
    assert [event["id"] for event in newest] == [4, 3]
    assert [event["id"] for event in since_first] == [2, 3, 4]
    assert list(newest[0]) == ["id", "run_id", "event_type", "payload", "created_at"]


async def test_the_result_of_an_unfinished_run_is_empty(tmp_path: Path) -> None:
    """The documented keys are there from the start."""
    async with open_kernel(KernelSettings(tmp_path)) as kernel:
        await kernel.runs.submit(DOCUMENTED)
        result = await kernel.runs.result(RUN_ID)

    assert list(result.items()) == [
        ("run_id", RUN_ID),
        ("status", "CREATED"),
        ("finished_at", None),
        ("error", None),
        ("result", {}),
    ]
