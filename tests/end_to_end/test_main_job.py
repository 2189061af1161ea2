"""The main job in one process: the documents' run over the shipped sales, from submit to a final decision."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from executor_sdk import Settings
from executor_sdk.protocol.plain import Json
from kernel_stub.testing.stub_kernel import stub_kernel
from reference_executors.analyst import draws_per_look, executor
from tests.reference_executors.sales_files import EXAMPLE, SHIPPED, without_the_doubled_line

pytestmark = pytest.mark.anyio

#: Enough for a confidence within a few per cent; the votes do not depend on it.
DRAWS = 200
#: Three analysts share one interpreter, and the machine may be busy.
WITHIN_S = 60.0


def _spec(sales: Path) -> dict[str, Any]:
    spec: dict[str, Any] = json.loads((EXAMPLE / "run-spec.json").read_text(encoding="utf-8"))
    spec["shared_inputs"]["data_url"] = sales.as_uri()
    return spec


async def _decided(sales: Path, state: Path) -> tuple[dict[str, Json], list[str], list[str]]:
    """The aggregation of the result, the types of the events newest first, and why."""
    app = executor.application(Settings(file_roots=(sales.parent,)), overrides={draws_per_look: lambda: DRAWS})
    async with stub_kernel({"rt": app}, state_dir=state) as kernel:
        spec = _spec(sales)
        result = await kernel.run(spec, within_s=WITHIN_S)
        events = await kernel.kernel.runs.events(spec["run_id"])
        why = await kernel.kernel.runs.why(spec["run_id"])
        await kernel.kernel.audit.replay()
    assert result["status"] == "FINALIZED"
    assert len(why) == 5
    return result["result"]["aggregation"], [event["event_type"] for event in events], why


async def test_the_run_splits_explores_again_and_decides_to_restate(tmp_path: Path) -> None:
    """One round has three opinions, the second has one, and every vote cites the doubled lines."""
    aggregation, events, why = await _decided(SHIPPED, tmp_path / "state")

    assert (aggregation["final_decision"], aggregation["final_answer"]) == ("RESTATE", "BOOKED_TWICE")
    assert aggregation["decision_votes"] == {"RESTATE": 3}
    assert events.count("RUN_NULL_REEXPLORE_TRIGGERED") == 1
    assert events.count("RUN_FINALIZED") == 1
    assert "lines 5063, 5463" in why[-1]
    assert all(len(step["evidence_digests"]) == 2 for step in aggregation["steps"])


async def test_without_the_doubled_line_the_decision_is_another_one(tmp_path: Path) -> None:
    """The hint at the end of the demo, tried: a decline, in one round, with one analyst against it."""
    sales = tmp_path / "sales.csv"
    sales.write_bytes(without_the_doubled_line())

    aggregation, events, _ = await _decided(sales, tmp_path / "state")

    assert (aggregation["final_decision"], aggregation["final_answer"]) == ("DECLINE", "MOST_GROUPS_FELL")
    assert aggregation["decision_votes"] == {"DECLINE": 2, "INVESTIGATE": 1}
    assert "RUN_NULL_REEXPLORE_TRIGGERED" not in events
