"""A task by hand is asked for as a kernel does: the ids of a run step, the usual contract, what is offered."""

from __future__ import annotations

import httpx2
import pytest

from executor_sdk import Executor, ExecutorClient, ExecutorRefusedError, Task
from executor_sdk.client.asks import Asked, execute_body, offered, verify_body
from executor_sdk.client.pool import pooled_http
from executor_sdk.protocol.digests import output_digest
from executor_sdk.protocol.incoming import ExecuteRequest, attempt_of
from executor_sdk.protocol.plain import Json


@pytest.fixture
def executor() -> Executor:
    """It tells what it was asked."""
    executor = Executor("acme", "m-1")

    @executor.execute("first", profiles=("careful", "fast"))
    def first(inputs: dict[str, int], task: Task) -> dict[str, Json]:
        return {"answer": f"first {task.profile} {inputs['n']} {task.contract['budget']}"}

    @executor.execute("second")
    def second(task: Task) -> dict[str, Json]:
        return {"answer": f"second {task.profile}"}

    return executor


@pytest.mark.anyio
async def test_a_task_is_asked_for_by_its_inputs(executor: Executor) -> None:
    """The first offered type and profile; each ask is a task of its own, and its candidate can be verified."""
    async with pooled_http(httpx2.ASGITransport(executor)) as http:
        client = ExecutorClient("http://executor.test", http=http)
        done = await client.ask({"n": 3}, contract={"budget": "small"})
        again = await client.ask({"n": 3}, contract={"budget": "small"})
        other = await client.ask({}, task_type="second")
        verdict = await client.verify(verify_body(done))
        with pytest.raises(ExecutorRefusedError, match="UNKNOWN_TASK_TYPE"):
            await client.ask({}, task_type="third")

    assert done.answer["candidate_output"] == {"answer": "first careful 3 small"}
    assert other.answer["candidate_output"] == {"answer": "second default"}
    assert done.request["execution_id"] != again.request["execution_id"]
    assert verdict["passed"] is True


def test_the_ids_are_those_of_a_first_attempt_of_a_run_step() -> None:
    """So that an executor treats it as one."""
    body = execute_body({"agent_id": "a"}, task_type="t", run_id="r", execution_id="exec-1")

    assert (body["task_id"], body["execution_id"]) == ("run-r-a-1", "exec-1")
    assert body["task_contract"]["task_id"] == "run-r-a-1"
    assert attempt_of(ExecuteRequest.of(body)) == ("run-r-a", 1)


def test_another_output_is_verified_under_its_own_digest() -> None:
    """As a candidate that a kernel might have."""
    asked = Asked(execute_body({}, task_type="t"), {"candidate_output": {"answer": "x"}})
    body = verify_body(asked, output=None, created_at=7)

    assert body["candidate"]["output"] is None
    assert body["candidate"]["output_ref"]["digest"] == output_digest(None)
    assert body["candidate"]["output_ref"]["created_at"] == 7
    assert body["policy"] == asked.request["task_contract"]["acceptance"]["verifier_policy"]


@pytest.mark.parametrize(
    ("capabilities", "named", "expected"),
    [
        ({"task_types": ["a", "b"], "profiles": ["p"]}, {}, ("a", "p")),
        ({"task_types": ["a"], "profiles": ["p"]}, {"task_type": "z", "profile": "q"}, ("z", "q")),
        ({"task_types": ["a"], "handlers": [{"task_type": "a", "profiles": ["own"]}]}, {}, ("a", "own")),
        ({"task_types": [], "handlers": {}}, {}, ("swarm", "default")),
        (None, {}, ("swarm", "default")),
    ],
)
def test_what_is_not_named_is_what_is_offered_first(
    capabilities: Json, named: dict[str, str], expected: tuple[str, str]
) -> None:
    """Whatever shape the document has."""
    assert offered(capabilities, **named) == expected
