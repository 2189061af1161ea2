"""Runs that are refused at submit: no step of them could ever succeed, or their tasks would be another run's."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from executor_sdk.protocol.plain import Json
from kernel_stub.errors import InvalidSpecError, TaskIdTakenError
from kernel_stub.kernel import open_kernel
from kernel_stub.log.growth import MAX_EVENT_BYTES
from kernel_stub.rules.ids import MAX_AGENTS
from kernel_stub.settings import KernelSettings
from kernel_stub.testing.stub_kernel import stub_kernel
from tests.kernel_stub.scripted import Scripted

pytestmark = pytest.mark.anyio

#: A task template, a part of the sentence, and the path.
HOPELESS_TEMPLATES: Final[list[tuple[dict[str, Json], str, str]]] = [
    ({"budget": {"explore_cost_units": 0}}, "stage budget buckets must be > 0", "$.task_template"),
    ({"budget": {"time_ms": "long"}}, "Expected `int`, got `str`", "$.task_template.budget.time_ms"),
    ({"budget": None}, "Expected `object`, got `null`", "$.task_template.budget"),
    ({"acceptance": {"verifier_policy": {"policy_id": "none"}}}, "task policy binding invalid", "$.task_template"),
    ({"acceptance": {"quorum_threshold": 2}}, "approvals are below quorum_threshold", "$.task_template"),
    ({"budget": {"verify_cost_units": 2}}, "verify budget exhausted", "$.task_template"),
    ({"assignment": {"claim": {"lease_ms": 2**64 - 1}}}, "beyond 64 bits", "$.task_template"),
]


def spec(run_id: str = "r", agent_id: str = "a", **extra: Any) -> dict[str, Any]:
    """A run of one agent, without a second round."""
    agents = [{"agent_id": agent_id, "executor": "rt", "prompt": "{}"}]
    policy = {"null_policy": {"chain": ["FINALIZE_NULL"]}}
    return {"run_id": run_id, "agents": agents, "aggregation": policy, **extra}


@pytest.mark.parametrize(("template", "said", "path"), HOPELESS_TEMPLATES)
async def test_a_template_that_no_task_could_live_by_is_refused(
    tmp_path: Path, template: dict[str, Json], said: str, path: str
) -> None:
    """Attempts would be spent on it one after another; the author hears it at once instead."""
    async with open_kernel(KernelSettings(tmp_path)) as kernel:
        with pytest.raises(InvalidSpecError) as refused:
            await kernel.runs.submit(spec(task_template=template))

        assert await kernel.store.runs.find("r") is None
    assert said in refused.value.sentence
    assert [field["path"] for field in refused.value.details] == [path]


@pytest.mark.parametrize(
    ("extra", "path"),
    [
        ({"shared_inputs": {"text": "x" * MAX_EVENT_BYTES}}, "$.shared_inputs"),
        ({"task_template": {"output_schema": {"title": "x" * MAX_EVENT_BYTES}}}, "$.task_template"),
        (
            {
                "agents": [
                    {"agent_id": "a", "executor": "rt", "prompt": "p"},
                    {"agent_id": "b", "executor": "rt", "prompt": "x" * MAX_EVENT_BYTES},
                ]
            },
            "$.agents[1].prompt",
        ),
    ],
)
async def test_what_no_signed_event_can_hold_is_refused(tmp_path: Path, extra: dict[str, Any], path: str) -> None:
    """The sentence names the largest part, and what to do."""
    async with open_kernel(KernelSettings(tmp_path)) as kernel:
        with pytest.raises(InvalidSpecError, match="a signed event holds 131072: send a reference") as refused:
            await kernel.runs.submit(spec(**extra))

        assert await kernel.store.runs.find("r") is None
    assert [field["path"] for field in refused.value.details] == [path]


async def test_the_largest_run_that_is_taken_succeeds(tmp_path: Path) -> None:
    """The bound is the log's own: one byte more is refused, and what is taken can be done."""
    async with stub_kernel({"rt": Scripted()}, state_dir=tmp_path) as stub:
        size = await _largest(stub.kernel.runs.submit)
        result = await stub.run(spec("largest", shared_inputs={"text": "x" * size}))

        assert result["status"] == "FINALIZED"


async def _largest(submit: Any) -> int:
    """Characters of shared inputs of the largest run that is taken, found by halving; run ids are of one length."""
    low, high = 100_000, MAX_EVENT_BYTES
    while high - low > 1:
        middle = (low + high) // 2
        try:
            await submit(spec(f"r{middle:06}", shared_inputs={"text": "x" * middle}))
            low = middle
        except InvalidSpecError:
            high = middle
    return low


@pytest.mark.parametrize(
    ("first", "second"),
    [(("a", "b-c"), ("a-b", "c")), (("a-b", "c"), ("a", "b-c")), (("é-", "x-y"), ("é", "-x-y"))],
)
async def test_runs_whose_tasks_would_share_an_id_are_refused(
    tmp_path: Path, first: tuple[str, str], second: tuple[str, str]
) -> None:
    """Both tasks would be `run-a-b-c-1`: the second run could only fail on the first one's events."""
    async with open_kernel(KernelSettings(tmp_path)) as kernel:
        await kernel.runs.submit(spec(*first))
        with pytest.raises(TaskIdTakenError, match=f"step {first[0]}:{first[1]}; choose another run_id"):
            await kernel.runs.submit(spec(*second))

        assert await kernel.store.runs.find(second[0]) is None


async def test_runs_whose_ids_only_look_alike_are_taken(tmp_path: Path) -> None:
    """Another attempt number is not another task of the same name."""
    async with open_kernel(KernelSettings(tmp_path)) as kernel:
        for run_id, agent_id in (("a", "b"), ("a-b", "1"), ("a-b-1", "1"), ("-", "-"), ("b", "b-b")):
            await kernel.runs.submit(spec(run_id, agent_id))

        assert len(await kernel.store.runs.newest(limit=10)) == 5


async def test_a_run_of_too_many_agents_is_refused_before_it_is_read(tmp_path: Path) -> None:
    """Their number is bounded; a body of four megabytes could name eighty thousand."""
    agents = [{"agent_id": f"a{n}", "executor": "rt", "prompt": "p"} for n in range(MAX_AGENTS + 1)]
    async with open_kernel(KernelSettings(tmp_path)) as kernel:
        with pytest.raises(InvalidSpecError, match="agents are 10001; one run has at most 10000") as refused:
            await kernel.runs.submit({"run_id": "r", "agents": agents})
    assert [field["path"] for field in refused.value.details] == ["$.agents"]


async def test_a_submit_takes_memory_in_proportion_to_its_body(tmp_path: Path) -> None:
    """Ids of many dashes once made a list of every place where they could be cut: 400 times the body."""
    agents = [{"agent_id": f"{n:04}" + "-a" * 98, "executor": "rt", "prompt": "p"} for n in range(1_000)]
    size_bytes = len(orjson.dumps(agents))
    async with open_kernel(KernelSettings(tmp_path)) as kernel:
        tracemalloc.start()
        try:
            await kernel.runs.submit({**spec("-".join("r" * 100)), "agents": agents})
            _, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

        assert (await kernel.store.runs.counts("-".join("r" * 100)))["created"] == 1_000
    assert peak_bytes < 40 * size_bytes
