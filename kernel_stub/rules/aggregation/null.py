"""Null resolvers: no value has enough votes, and the reason for it is named."""

from __future__ import annotations

from executor_sdk.protocol.plain import Json
from kernel_stub.rules.spec import NullPolicy, OpenEnd

Trace = list[dict[str, Json]]


def null_reason(kind: OpenEnd, *, all_succeeded: bool) -> str:
    """Why a bucket has no value."""
    if kind == "QUORUM_NULL":
        return "VALID_VOTES_BELOW_QUORUM"
    return "NO_VALID_DECISION" if all_succeeded else "EXECUTION_INCOMPLETE_OR_FAILED"


def null_trace(bucket: str, kind: OpenEnd, policy: NullPolicy) -> Trace:
    """What the chain did with a bucket without a value; finalizing as null ends it."""
    if kind not in policy.enabled_on:
        return [{"bucket": bucket, "mode": "NULL_POLICY", "outcome": "DISABLED"}]
    trace: Trace = []
    for mode in policy.chain:
        outcome = "PENDING_REEXPLORE" if mode == "REEXPLORE" else "FINALIZED_NULL"
        trace.append({"bucket": bucket, "mode": mode, "outcome": outcome})
        if mode == "FINALIZE_NULL":
            break
    return trace


def next_action(kind: str | None, reason: str | None) -> str:
    """What the next round is asked for; a tie has neither kind nor reason."""
    if reason == "EXECUTION_INCOMPLETE_OR_FAILED":
        return "NEED_STEP_RECOVERY"
    return "NEED_DECISION" if kind == "EMPTY" else "NEED_MORE_EVIDENCE"
