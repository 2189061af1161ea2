"""The lines that follow a run."""

from __future__ import annotations

import pytest

from executor_sdk.protocol.plain import Json
from kernel_stub.cli.printing import progress_line


@pytest.mark.parametrize(
    ("event_type", "payload", "expected"),
    [
        ("RUN_KICKOFF", {"run_id": "r"}, "   1.250s RUN_KICKOFF"),
        (
            "STEP_COMPLETED",
            {"attempt": 2, "error": None, "status": "SUCCEEDED", "step_id": "r:a", "task_id": "run-r-a-2"},
            "   1.250s STEP_COMPLETED r:a attempt=2 SUCCEEDED",
        ),
        (
            "RUN_FINALIZED",
            {"status": "FINALIZED", "aggregation": {"final_decision": "GROWTH", "final_answer": None}},
            "   1.250s RUN_FINALIZED FINALIZED decision=GROWTH answer=null",
        ),
        (
            "RUN_FINALIZED",
            {"status": "FINALIZED", "aggregation": {"final_decision": "A\x1b[2J\nB", "final_answer": "x" * 500}},
            f"   1.250s RUN_FINALIZED FINALIZED decision=A [2J B answer={'x' * 160}",
        ),
        (
            "RUN_NULL_REEXPLORE_TRIGGERED",
            {
                "path": "NULL_PATH",
                "action": "NEED_MORE_EVIDENCE",
                "reexplore": {},
                "aggregation": {"final_decision": None, "final_answer": None},
            },
            "   1.250s RUN_NULL_REEXPLORE_TRIGGERED NULL_PATH, another round: NEED_MORE_EVIDENCE",
        ),
        (
            "STEP_RETRY_WAIT",
            {"error": "a\nb\x1b[31m", "next_run_at": 3_250},
            "   1.250s STEP_RETRY_WAIT error=a b [31m again in 1.5s",
        ),
    ],
)
def test_a_line_tells_when_and_what(event_type: str, payload: Json, expected: str) -> None:
    """Seconds since the run was submitted, the event, and the facts a person looks for; an error stays on its line."""
    event = {"id": 1, "run_id": "r", "event_type": event_type, "payload": payload, "created_at": 1_750}

    assert expected == progress_line(event, 500)
