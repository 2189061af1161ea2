"""The recorded runs that ended, played again: this kernel comes to what the recorded one came to."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, Final

import anyio
import pytest

from tests.kernel_stub.scripted import Scripted
from tests.kernel_stub.workshop import Workshop, workshop

pytestmark = pytest.mark.anyio

_DATA: Final = Path(__file__).parents[1] / "data" / "recorded_runs.jsonl"
RUNS: Final[dict[str, dict[str, Any]]] = {
    run["name"]: run for run in map(json.loads, _DATA.read_text(encoding="utf-8").splitlines())
}

#: What this kernel does otherwise, and why: the whole of it. (runs, event type, how many more of it, why)
OURS: Final[tuple[tuple[str, str, str, str], ...]] = (
    ("*", "STEP_CLAIMED", "one an attempt", "who took a step, and when, belongs to its history"),
    ("null-finalize", "RUN_FINALIZED", "one fewer", "recorded: two workers settled the last two steps at once, twice"),
)

#: The recorded clients hung up after 30 s; here a recorded second takes this long.
_SECONDS: Final = 0.01


@pytest.mark.parametrize("name", RUNS)
async def test_a_recorded_run_ends_as_recorded(name: str, tmp_path: Path) -> None:
    """Status, states of steps, votes, event types and calls are those of the recording, but for the table."""
    recorded = RUNS[name]
    executor = Scripted(seconds=_SECONDS)

    async with workshop(tmp_path, apps={"scripted": executor}, call_timeout_s=30 * _SECONDS) as shop:
        played = await _played(shop, recorded["spec"])

    assert played["status"] == recorded["status"]
    assert played["counts"] == recorded["counts"]
    assert played["votes"] == recorded["votes"]
    assert played["steps"] == [_comparable(step) for step in recorded["steps"]]
    assert played["events"] == _expected_events(recorded)
    assert _calls(executor) == Counter((call["path"], call["task_id"]) for call in recorded["calls"])


async def _played(shop: Workshop, spec: dict[str, Any]) -> dict[str, Any]:
    run_id = spec["run_id"]
    await shop.commands.submit(spec, kickoff=True)
    worker = shop.worker()
    async with anyio.create_task_group() as group:
        group.start_soon(worker.run)
        with anyio.fail_after(20):
            run = await shop.ended(run_id)
        worker.stop()
    await shop.audit.replay()
    aggregation = run.result["aggregation"]
    events = await shop.store.runs.events(run_id, limit=1000, newest_first=False)
    return {
        "status": run.status.value,
        "counts": await shop.store.runs.counts(run_id),
        "votes": {
            name: aggregation[name] for name in ("decision_votes", "answer_votes", "final_decision", "final_answer")
        },
        "steps": [_comparable(step) for step in aggregation["steps"]],
        "events": Counter((event.event_type, event.payload.get("step_id")) for event in events),
    }


def _comparable(step: dict[str, Any]) -> dict[str, Any]:
    names = ("step_id", "status", "attempt", "task_id", "conclusion", "evidence_digests")
    error = step["error"]
    # An address is part of one sentence, and ours is another one.
    said = error if error is None else error.replace("http://127.0.0.1:8791", "http://scripted")
    return {**{name: step[name] for name in names}, "error": said}


def _expected_events(recorded: dict[str, Any]) -> Counter[tuple[str, str | None]]:
    expected = Counter((event["event_type"], event["step_id"]) for event in recorded["events"])
    for runs, event_type, how_many, _ in OURS:
        if runs not in {"*", recorded["name"]}:
            continue
        if how_many == "one fewer":
            expected[event_type, None] -= 1
            continue
        for step in recorded["steps"]:
            expected[event_type, step["step_id"]] += step["attempt"]
    return expected


def _calls(executor: Scripted) -> Counter[tuple[str, str | None]]:
    return Counter((path, json.loads(body).get("task_id")) for path, body in executor.calls)
