"""Which step a request belongs to: computed from the request and its caller, and from nothing else."""

from __future__ import annotations

from executor_sdk.executions.record import Step
from executor_sdk.protocol.attempts import attempt_of
from executor_sdk.protocol.canonical import sorted_bytes
from executor_sdk.protocol.digests import hex_digest
from executor_sdk.protocol.wire import ExecuteRequest


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
