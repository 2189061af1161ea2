"""Which step a request belongs to: computed from the request and its caller, and from nothing else."""

from __future__ import annotations

from executor_sdk.executions.record import StepAttempt
from executor_sdk.protocol.incoming import ExecuteRequest, attempt_of


def step_of(request: ExecuteRequest, caller: str, schema_digest: str) -> tuple[bytes, StepAttempt | None]:
    """The key that all attempts at a step share, and which attempt this is; None for a task that has no others."""
    stem, attempt = attempt_of(request)
    # Marked, so that a task made by hand is never the step whose stem it is named like.
    key = request.step_digest(caller, stem if attempt is not None else f"{stem} by hand", schema_digest)
    return key, None if attempt is None else StepAttempt(key, attempt)
