"""Which requests are attempts at the same step."""

from __future__ import annotations

from typing import Any

import pytest

from executor_sdk.executions.record import StepAttempt
from executor_sdk.executions.step import step_of
from executor_sdk.protocol.incoming import ExecuteRequest, attempt_of
from executor_sdk.protocol.requests import execute_request, sample_contract

#: Stands for the output schema.
SCHEMA = "schema"


def make_request(task_id: str = "run-r-a-1", *, inputs: Any = None, **changes: Any) -> ExecuteRequest:
    """A request for a step of agent `a`."""
    inputs = {"agent_id": "a", "prompt": "p"} if inputs is None else inputs
    contract = sample_contract(task_id=task_id, task_type="swarm", inputs=inputs, expiry_ms=1)
    return ExecuteRequest.of({**execute_request(contract, execution_id="exec-p-1"), **changes})


@pytest.mark.parametrize(
    ("task_id", "inputs", "expected"),
    [
        ("run-r-a-1", {"agent_id": "a"}, ("run-r-a", 1)),
        ("run-r-a-12", {"agent_id": "a"}, ("run-r-a", 12)),
        ("run-r-a-b-2", {"agent_id": "a-b"}, ("run-r-a-b", 2)),
        ("run-r-ba-1", {"agent_id": "a"}, ("run-r-ba-1", None)),
        ("run-r-a-0", {"agent_id": "a"}, ("run-r-a-0", None)),
        ("run-r-a-01", {"agent_id": "a"}, ("run-r-a-01", None)),
        ("run-r-a-²", {"agent_id": "a"}, ("run-r-a-²", None)),
        ("run-r-a-", {"agent_id": "a"}, ("run-r-a-", None)),
        ("run-r-a-1234567890", {"agent_id": "a"}, ("run-r-a-1234567890", None)),
        ("by-hand", {"agent_id": "a"}, ("by-hand", None)),
        ("run-r-a-1", {"agent_id": 1}, ("run-r-a-1", None)),
        ("run-r-a-1", {}, ("run-r-a-1", None)),
        ("run-r-a-1", [1], ("run-r-a-1", None)),
    ],
)
def test_the_attempt_is_read_from_the_task_id(task_id: str, inputs: Any, expected: tuple[str, int | None]) -> None:
    """Only where the id is a run step's and its agent is the one in the inputs."""
    assert attempt_of(make_request(task_id, inputs=inputs)) == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"execution_id": "exec-p-2", "attempt_id": "exec-p-2"},
        {"stage": "DECIDE"},
        {"seed_bundle": {"hits": []}},
    ],
)
def test_what_differs_between_attempts_is_left_out(changes: dict[str, Any]) -> None:
    """Ids, stage and seeds do not make another step."""
    key, step = step_of(make_request(), "", SCHEMA)

    assert step == StepAttempt(key, 1)
    assert step_of(make_request("run-r-a-2", **changes), "", SCHEMA) == (key, StepAttempt(key, 2))


@pytest.mark.parametrize(
    ("request_", "caller"),
    [
        (make_request("run-s-a-1"), ""),
        (make_request(inputs={"agent_id": "a", "prompt": "q"}), ""),
        (make_request(inputs={"agent_id": "a", "prompt": "p", "_aggregation_signal": {"iteration": 1}}), ""),
        (make_request(profile="fast"), ""),
        (make_request(task_type="other"), ""),
        (make_request(), "somebody"),
    ],
)
def test_what_makes_another_step(request_: ExecuteRequest, caller: str) -> None:
    """Run, inputs (a re-explore signal among them), profile, task type, output schema and caller."""
    assert step_of(request_, caller, SCHEMA)[0] != step_of(make_request(), "", SCHEMA)[0]


def test_a_task_made_by_hand_has_no_other_attempts() -> None:
    """It keeps a key for its author, and is never adopted."""
    key, step = step_of(make_request("by-hand"), "", SCHEMA)

    assert step is None
    assert key == step_of(make_request("by-hand"), "", SCHEMA)[0]


def test_another_output_schema_makes_another_step() -> None:
    """What was made for one schema may not fit the other."""
    assert step_of(make_request(), "", "other")[0] != step_of(make_request(), "", SCHEMA)[0]


def test_a_task_made_by_hand_is_no_run_step_of_the_same_stem() -> None:
    """Whatever it is called."""
    assert step_of(make_request("run-r-a"), "", SCHEMA)[0] != step_of(make_request("run-r-a-1"), "", SCHEMA)[0]
