"""Kinds of events: the name in an event's envelope and the name in its payload."""

from __future__ import annotations

from typing import Final

#: The version that every event carries.
PROTOCOL_VERSION: Final = "0.1.0"

#: Every kind that a local kernel may meet in a log.
KINDS: Final = (
    "TASK_CREATED",
    "TASK_CLAIMED",
    "TASK_CLAIM_RENEWED",
    "TASK_CLAIM_RELEASED",
    "CANDIDATE_PROPOSED",
    "EVIDENCE_ADDED",
    "EVIDENCE_AVAILABLE",
    "VERIFIER_RESULT_SUBMITTED",
    "VOTE_COMMIT",
    "VOTE_REVEAL",
    "DECISION_COMMITTED",
    "DECISION_FINALIZED",
    "TASK_ERROR",
    "TASK_RETRY_SCHEDULED",
    "TASK_EXPIRED",
    "TASK_STOPPED",
    "TASK_SUSPENDED",
    "TASK_KILLED",
    "TASK_COMPLETED",
    "TASK_SETTLED",
    "CHECKPOINT_CREATED",
    "TASK_FEEDBACK_REPORTED",
    "REUSE_REJECT_RECORDED",
    "EVENT_REVOKED",
    "NODE_PENALIZED",
    "TASK_ANNOUNCED",
)


def payload_type(kind: str) -> str:
    """`TaskCreated` for `TASK_CREATED`."""
    return kind.title().replace("_", "")
