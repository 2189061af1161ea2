"""Which step a request belongs to: computed from the request and its caller, and from nothing else."""

from __future__ import annotations

from executor_sdk.executions.record import Step
from executor_sdk.protocol.canonical import sorted_bytes
from executor_sdk.protocol.digests import hex_digest
from executor_sdk.protocol.wire import ExecuteRequest


def attempt_of(request: ExecuteRequest) -> tuple[str, int | None]:
    """The task id without its attempt, and the attempt; None where no run step is asked for.

    A kernel names the task of a run step `run-RUN-AGENT-ATTEMPT` and puts the agent into the inputs. Tasks made by
    hand have other ids, and no earlier attempt.
    """
    agent = request.inputs.get("agent_id") if isinstance(request.inputs, dict) else None
    stem, _, number = request.task_id.rpartition("-")
    # isdecimal alone takes digits of every script, and int() would read them.
    counted = number.isascii() and number.isdecimal() and len(number) < 10 and number[0] != "0"
    if not isinstance(agent, str) or not counted or not stem.endswith(f"-{agent}"):
        return request.task_id, None
    return stem, int(number)


def step_of(request: ExecuteRequest, caller: str) -> tuple[str, Step | None]:
    """The key that all attempts at a step share, and the step; None for a task that has no other attempts.

    Seeds, stage, expiry and ids differ between attempts and are left out. A re-explore round carries its signal in
    the inputs, so it is a step of its own here.
    """
    stem, attempt = attempt_of(request)
    key = hex_digest(
        sorted_bytes(
            [
                caller,
                request.task_type,
                request.profile,
                stem,
                attempt is None,
                request.inputs,
                request.task_contract.get("output_schema"),
            ]
        )
    )
    return key, None if attempt is None else Step(key, attempt)
