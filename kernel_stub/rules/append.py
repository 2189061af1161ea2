"""What may be appended to a task's events: each rule with the sentence of the breach."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from executor_sdk.protocol.digests import candidate_hash, vote_commit_hash
from executor_sdk.protocol.plain import Json
from kernel_stub.rules.taskstate import EPOCH, STAGE_OF, TaskState

Payload: TypeAlias = dict[str, Json]

#: Kinds that may follow a task's end.
_AFTER_THE_END: Final = frozenset({"CHECKPOINT_CREATED", "TASK_FEEDBACK_REPORTED", "TASK_SETTLED", "TASK_COMPLETED"})


def breach(state: TaskState, kind: str, payload: Payload, *, author: str, created_at: int) -> str | None:
    """The first rule that this event would break as the task's next one; None if it may be appended."""
    if kind == "TASK_CREATED":
        return "task already exists" if state.exists else None
    if not state.exists:
        return "task is unknown"
    if payload.get("task_id") != state.task_id:
        return "task_id of event and payload differ"
    if state.terminal_state != "Open" and kind not in _AFTER_THE_END:
        return f"task is {state.terminal_state.lower()}"
    if (spent := _overspent(state, kind)) is not None:
        return spent
    rule = _RULES.get(kind)
    return None if rule is None else rule(state, payload, author, created_at)


def _overspent(state: TaskState, kind: str) -> str | None:
    stage = STAGE_OF.get(kind)
    if stage is None or state.spent.get(stage, 0) < state.contract["budget"][f"{stage}_cost_units"]:
        return None
    return f"{stage} budget exhausted for task {state.task_id} epoch {EPOCH}"


def _claim(state: TaskState, payload: Payload, author: str, _: int) -> str | None:
    if not payload["execution_id"].strip():
        return "execution_id is required"
    if payload["claimer_node_id"] != author:
        return "claimer is not the author"
    holder = state.claims.get((payload["role"], payload["execution_id"]), author)
    return None if holder == author else "execution is claimed by another node"


def _proposal(state: TaskState, payload: Payload, author: str, _: int) -> str | None:
    candidate = payload["candidate"]
    if state.claims.get(("propose", candidate["execution_id"])) != author:
        return "author holds no propose claim for this execution"
    known = state.candidates.get(candidate["candidate_id"])
    if known is not None and candidate_hash(known) != candidate_hash(candidate):
        return "idempotency violation: this execution proposed another candidate before"
    return None


def _evidence(state: TaskState, payload: Payload, author: str, _: int) -> str | None:
    candidate = state.candidates.get(payload["candidate_id"])
    if candidate is None:
        return "candidate is unknown"
    if payload["evidence_digest"] not in {ref["digest"] for ref in candidate["evidence_refs"]}:
        return "candidate cites no such evidence"
    return _verifies(state, payload["execution_id"], author)


def _verdict(state: TaskState, payload: Payload, author: str, _: int) -> str | None:
    result = payload["result"]
    if result["candidate_id"] not in state.candidates:
        return "candidate is unknown"
    policy = state.contract["acceptance"]["verifier_policy"]
    if any(result[name] != policy[name] for name in ("policy_id", "policy_version", "policy_hash")):
        return "verifier result is bound to another policy"
    if result["passed"] != (result["verification_status"] == "passed"):
        return "verifier status and passed flag differ"
    return _verifies(state, result["execution_id"], author)


def _commit(state: TaskState, payload: Payload, author: str, _: int) -> str | None:
    result = state.results.get((payload["candidate_id"], payload["execution_id"]))
    if result is None or result["verifier_result_hash"] != payload["verifier_result_hash"]:
        return "vote is bound to no verifier result"
    if payload["candidate_hash"] != candidate_hash(state.candidates[payload["candidate_id"]]):
        return "vote is bound to another candidate"
    return _verifies(state, payload["execution_id"], author)


def _reveal(state: TaskState, payload: Payload, author: str, created_at: int) -> str | None:
    ballot = state.ballots.get((payload["candidate_id"], payload["execution_id"]))
    if ballot is None:
        return "vote was never committed"
    if created_at > ballot.committed_at + state.contract["acceptance"]["vote"]["reveal_deadline_ms"]:
        return "vote was revealed too late"
    if (payload["candidate_hash"], payload["verifier_result_hash"]) != (
        ballot.candidate_hash,
        ballot.verifier_result_hash,
    ):
        return "revealed vote is about something else than the committed one"
    if vote_commit_hash(payload["vote"], payload["salt"], payload["verifier_result_hash"]) != ballot.commit_hash:
        return "revealed vote does not match its commit"
    return _verifies(state, payload["execution_id"], author)


def _commitment(state: TaskState, payload: Payload, _author: str, _: int) -> str | None:
    candidate = state.candidates.get(payload["candidate_id"])
    if candidate is None or payload["candidate_hash"] != candidate_hash(candidate):
        return "candidate is unknown"
    if state.approvals(payload["candidate_id"]) < state.contract["acceptance"]["quorum_threshold"]:
        return "approvals are below quorum_threshold"
    return None


def _finality(state: TaskState, payload: Payload, _author: str, _: int) -> str | None:
    candidate_id = payload["candidate_id"]
    if state.committed != candidate_id:
        return "decision was not committed"
    candidate = state.candidates[candidate_id]
    if payload["winning_candidate_hash"] != candidate_hash(candidate):
        return "candidate is unknown"
    needed = state.contract["acceptance"].get("da_quorum_threshold", 1)
    for ref in candidate["evidence_refs"]:
        if len(state.confirmed.get((candidate_id, ref["digest"]), ())) < needed:
            return f"evidence {ref['digest']} is not confirmed often enough"
    proof = payload["finality_proof"]
    signers = {signature["signer_node_id"] for signature in proof["signatures"]}
    return None if len(signers) >= max(1, proof["threshold"]) else "finality proof has too few signatures"


def _verifies(state: TaskState, execution_id: str, author: str) -> str | None:
    holds = state.claims.get(("verify", execution_id)) == author
    return None if holds else "author holds no verify claim for this execution"


_RULES: Final[Mapping[str, Callable[[TaskState, Payload, str, int], str | None]]] = {
    "TASK_CLAIMED": _claim,
    "CANDIDATE_PROPOSED": _proposal,
    "EVIDENCE_AVAILABLE": _evidence,
    "VERIFIER_RESULT_SUBMITTED": _verdict,
    "VOTE_COMMIT": _commit,
    "VOTE_REVEAL": _reveal,
    "DECISION_COMMITTED": _commitment,
    "DECISION_FINALIZED": _finality,
}
